"""Opens the interactive program, if there is a terminal to open it on."""

from __future__ import annotations

import sys

from wangp_downloader.cli.options import Shared
from wangp_downloader.errors import UsageError


def open_tui(shared: Shared) -> int:
    """Open the interactive program and return its exit code.

    Raises:
        UsageError: There is no terminal.
    """
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError(
            "the interactive program needs a terminal",
            hint="on a headless machine use: wangp-dl list, wangp-dl plan, wangp-dl download",
        )
    from wangp_downloader.cli.list_models import list_models

    return list_models(shared, (), as_json=False)
