"""The terminal and the process at their end: signals, crashes, and an exit that nothing can delay."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import signal
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wangp_downloader.tui.app import DownloaderApp

RESET = "\x1b[?1049l\x1b[?25h\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?1015l\x1b[?2004l\x1b[<u\x1b[0m"
"""Leaves the alternate screen, shows the cursor, ends mouse, paste and keyboard modes."""

_saved: list[list[Any]] = []
"""Settings of the terminal as the program found it: echo, line by line, control keys."""

_EXIT_AFTER_S = 5.0
_HANGUP_WAIT_S = 2.0


def remember() -> None:
    """Keep the terminal's settings, for the ways out that Textual is not asked about."""
    try:
        import termios  # noqa: PLC0415 - Windows has none
    except ImportError:
        return
    with contextlib.suppress(termios.error, OSError, ValueError):
        _saved[:] = [termios.tcgetattr(sys.stdin.fileno())]


def _restore() -> None:
    with contextlib.suppress(OSError):
        os.write(2, RESET.encode())
    if not _saved:
        return
    import termios  # noqa: PLC0415 - Windows has none

    # In the background this would stop the process instead of ending it.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTTOU})
    with contextlib.suppress(termios.error, OSError, ValueError):
        termios.tcsetattr(sys.stdin.fileno(), termios.TCSANOW, _saved[0])


def handle_signals(app: DownloaderApp) -> None:
    """End well on SIGTERM, SIGINT and SIGHUP. Only for a real terminal; needs the running loop."""
    loop = asyncio.get_running_loop()

    def leave(number: int) -> None:
        app.run_worker(app.shut_down(128 + number), exit_on_error=False)

    # Windows knows none of this: closing the window ends the process there.
    with contextlib.suppress(NotImplementedError, AttributeError):
        loop.add_signal_handler(signal.SIGTERM, leave, signal.SIGTERM)
        loop.add_signal_handler(signal.SIGINT, leave, signal.SIGINT)
        loop.add_signal_handler(signal.SIGHUP, hang_up, app)
    if sys.platform == "linux":
        threading.Thread(target=_watch_terminal, args=(app,), name="terminal-watch", daemon=True).start()


def _watch_terminal(app: DownloaderApp) -> None:
    """Notice that the terminal is gone where no SIGHUP tells so: Textual would read its end for ever."""
    watched = select.poll()
    watched.register(sys.stdin.fileno(), 0)  # an end is told whatever is asked for
    watched.poll()
    hang_up(app)


def hang_up(app: DownloaderApp) -> None:
    """The terminal is gone: stop the engine, save, end.

    Not through ``App.exit``: its writer thread may be blocked for ever on a terminal that nobody reads.
    """
    app.backend.stop()
    with contextlib.suppress(Exception):
        app.save_now()
    app.backend.wait_idle(_HANGUP_WAIT_S)
    _restore()
    os._exit(128 + signal.SIGHUP)


def exit_for_sure(code: int) -> None:
    """End the process in some seconds even if something hangs; a normal exit comes before that."""
    timer = threading.Timer(_EXIT_AFTER_S, _end, args=(code,))
    timer.daemon = True
    timer.start()


def _end(code: int) -> None:
    _restore()
    os._exit(code)


def write_crash_log(folder: Path, error: BaseException) -> Path | None:
    """Write the traceback to a file; return its path, or None if that is not possible."""
    path = folder / time.strftime("crash-%Y%m%d-%H%M%S.log")
    text = "".join(traceback.format_exception(error))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text(f"Python {sys.version}\n{text}", encoding="utf-8", errors="backslashreplace")
    except OSError:
        return None
    return path


def usable() -> bool:
    """Return whether there is a terminal to draw on; Textual reads stdin and draws on stderr."""
    try:
        return sys.stdin.isatty() and sys.stderr.isatty()
    except ValueError:
        return False
