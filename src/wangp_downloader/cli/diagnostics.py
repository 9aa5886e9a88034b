"""Owns standard error and the exit codes: every message to a person leaves through here.

Names come from other people's files: no control sequence of theirs reaches the terminal.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from wangp_downloader.cancel import CancelToken
from wangp_downloader.errors import CancelledError, DownloaderError
from wangp_downloader.paths import printable

EXIT_INTERRUPTED = CancelledError.exit_code


def note(text: str) -> None:
    """Tell the person something, on standard error."""
    _write(printable(text))


def warn(text: str) -> None:
    """Warn the person, on standard error."""
    _write(printable(text), "warning:", fg="yellow")


def report(error: DownloaderError) -> None:
    """Say what failed and what to do next."""
    _write(printable(error.message), "error:", fg="red", bold=True)
    if error.hint:
        _write(f"  {printable(error.hint)}")


def _write(text: str, label: str = "", **style: Any) -> None:
    import click  # the interactive program starts without it

    shown = f"{click.style(label, **style)} {text}" if label else text
    with contextlib.suppress(OSError, ValueError):
        click.echo(shown, err=True)


def guarded(work: Callable[[], Any], *, as_json: bool = False) -> int:
    """Run a command and turn every way it can end into an exit code and a message.

    Args:
        work: Runs the command; returns the exit code or None for 0.
        as_json: True to print the document ``{"error": …}`` on standard output too, where it ends with an error.

    Returns:
        The exit code: 0 done, 1 failed, 2 wrong usage or configuration, 130 interrupted.
    """
    try:
        code = work()
    except BrokenPipeError:
        # The reader has gone (`| head`): nothing can be said any more, not even at interpreter exit.
        from wangp_downloader.cli.output import silence

        silence()
        return 1
    except (CancelledError, KeyboardInterrupt) as error:
        failure: DownloaderError = error if isinstance(error, CancelledError) else CancelledError("stopped")
        note(failure.message)
    except DownloaderError as error:
        failure = error
        report(failure)
    except Exception as error:  # noqa: BLE001 - the edge: whatever it is, the person gets a sentence
        outcome = _of_click(error)
        if isinstance(outcome, int):
            return outcome
        failure = outcome or DownloaderError(_unexpected(error))
        if outcome is None:
            report(failure)
    else:
        return code if isinstance(code, int) else 0
    if as_json:
        _print_failure(failure)
    return failure.exit_code


def _of_click(error: Exception) -> DownloaderError | int | None:
    """Show what the command line itself raised; return an exit code for its normal ways out, else the failure.

    None for everything else.
    """
    if isinstance(error, OSError) and _raised_in_click(error):
        from wangp_downloader.cli.output import unwritable

        failure = unwritable(error)
        report(failure)
        return failure
    if not type(error).__module__.startswith("click."):
        return None
    import click

    if isinstance(error, click.exceptions.Exit):
        return error.exit_code
    if isinstance(error, click.Abort):
        note("stopped")
        return CancelledError("stopped")
    if isinstance(error, click.ClickException):
        with contextlib.suppress(OSError):
            error.show()
        failure = DownloaderError(error.format_message())
        failure.exit_code = error.exit_code
        return failure
    return None


def _raised_in_click(error: OSError) -> bool:
    """Return whether click itself failed to print: its help, its version."""
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    return str(frame.f_globals.get("__name__")).startswith("click.")


def _print_failure(failure: DownloaderError) -> None:
    from wangp_downloader.cli.output import print_json

    part = {"message": failure.message, "hint": failure.hint, "exit_code": failure.exit_code}
    with contextlib.suppress(OSError, DownloaderError):
        print_json({"error": part})


def _unexpected(error: Exception) -> str:
    from wangp_downloader.places import Surroundings, state_folder

    what = f"unexpected {type(error).__name__}: {str(error)[:300]}"
    try:
        log = Path(state_folder(Surroundings.of_process())) / "crash.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("a", encoding="utf-8") as stream:
            stream.write(f"\n{time.strftime('%Y-%m-%d %H:%M:%S')} {what}\n{traceback.format_exc()}")
    except (OSError, DownloaderError) as problem:
        return f"{what} (the details could not be written: {problem})"
    return f"{what}\n  the details are in {log}; please report them"


@contextmanager
def sigterm_interrupts() -> Iterator[None]:
    """Let SIGTERM end the program as Ctrl-C does, also where no :func:`cancel_on_signals` is at work yet."""

    def interrupt(_: int, __: FrameType | None) -> None:
        raise KeyboardInterrupt

    try:
        before = signal.signal(signal.SIGTERM, interrupt)
    except ValueError:  # not in the main thread
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def cancel_on_signals() -> Iterator[CancelToken]:
    """Give a cancel token that Ctrl-C and SIGTERM set; a second signal ends the process at once."""
    token = CancelToken()

    def stop(_: int, __: FrameType | None) -> None:
        if token.cancelled:
            os._exit(EXIT_INTERRUPTED)
        token.cancel()

    before = {}
    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(ValueError):  # not in the main thread
            before[number] = signal.signal(number, stop)
    try:
        yield token
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
