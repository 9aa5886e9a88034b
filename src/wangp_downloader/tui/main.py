"""Runs the application in a real terminal and returns the process's exit code."""

from __future__ import annotations

import logging
import sys
from dataclasses import replace
from pathlib import Path

from wangp_downloader.tui import terminal
from wangp_downloader.tui.app import DownloaderApp
from wangp_downloader.tui.wiring import Wiring

_MAX_LOG_BYTES = 1_000_000


def run_app(wiring: Wiring) -> int:
    """Do what :func:`wangp_downloader.tui.run` promises."""
    if not terminal.usable():
        print("wangp-dl: the TUI needs a terminal; wangp-dl --help shows the commands", file=sys.stderr)
        return 2
    terminal.remember()
    handler = _log_to(wiring.log_path)
    app = DownloaderApp(replace(wiring, hard_exit=True))
    try:
        app.run()
    except Exception as error:  # noqa: BLE001 - the last edge: a message and a log file in place of a traceback
        path = terminal.write_crash_log(wiring.folder, error)
        print(
            f"wangp-dl stopped: unexpected {type(error).__name__}: {error}. Details: {path}", file=sys.stderr
        )
        return 1
    finally:
        logging.getLogger("wangp_downloader").removeHandler(handler)
    return app.return_code or 0


def _log_to(path: Path) -> logging.Handler:
    """Send the package's warnings to a file: the screen is not the place for them."""
    try:
        if path.stat().st_size > _MAX_LOG_BYTES:
            path.unlink()
    except OSError:
        pass
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handler: logging.Handler = logging.FileHandler(path, encoding="utf-8", delay=True)
    except OSError:
        handler = logging.NullHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    handler.setLevel(logging.WARNING)
    logging.getLogger("wangp_downloader").addHandler(handler)
    return handler
