"""``python -m wangp_downloader`` and the ``wangp-dl`` command."""

from __future__ import annotations

import sys


def main() -> int:
    """Run the program with ``sys.argv``; return its exit code."""
    from wangp_downloader.cli.main import run  # noqa: PLC0415 - nothing is imported before it is needed

    return run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
