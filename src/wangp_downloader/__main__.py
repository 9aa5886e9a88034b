"""``python -m wangp_downloader`` and the ``wangp-dl`` command."""

from __future__ import annotations

import sys


def main() -> int:
    """Run the program with ``sys.argv``; return its exit code."""
    # Nothing is imported before it is needed: the interactive program paints sooner without the command line.
    arguments = sys.argv[1:]
    if arguments:
        from wangp_downloader.cli.main import run  # noqa: PLC0415

        return run(arguments)
    from wangp_downloader.cli.diagnostics import guarded  # noqa: PLC0415
    from wangp_downloader.cli.interactive import open_tui  # noqa: PLC0415
    from wangp_downloader.cli.shared import Shared  # noqa: PLC0415

    return guarded(lambda: open_tui(Shared()))


if __name__ == "__main__":
    sys.exit(main())
