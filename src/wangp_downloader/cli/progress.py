"""Shows the engine's events while it works: bars on a terminal, plain lines elsewhere, JSON lines if asked.

Draws on standard error only, so that standard output stays what the verb prints.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from wangp_downloader.cli.diagnostics import note, warn
from wangp_downloader.events import (
    Emit,
    Event,
    FileFinished,
    FileProgress,
    FileQueued,
    FileRetrying,
    FileStarted,
    FileVerifying,
    HashProgress,
    Level,
    MetadataProgress,
    Notice,
    ScanProgress,
    to_json,
)
from wangp_downloader.files import Outcome
from wangp_downloader.paths import printable
from wangp_downloader.units import format_size

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


def print_notice(event: Event) -> None:
    """Print notices as messages and drop everything else: the sink where no progress is shown."""
    if isinstance(event, Notice):
        _say(event)


def _say(event: Notice) -> None:
    (note if event.level is Level.INFO else warn)(event.text)


@contextmanager
def watching(*, quiet: bool = False) -> Iterator[Emit]:
    """Give an event sink that shows progress on standard error.

    Args:
        quiet: True to show notices only.
    """
    if quiet:
        yield print_notice
    elif sys.stderr.isatty():
        with _bars() as progress:
            yield _Bars(progress)
    else:
        yield _Lines()


def json_lines() -> Emit:
    """Return an event sink that prints one JSON object a line on standard output."""
    from wangp_downloader.cli.output import print_json_line

    lock = threading.Lock()

    def emit(event: Event) -> None:
        with lock:
            print_json_line(to_json(event))

    return emit


@contextmanager
def _bars() -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=None),
        DownloadColumn(binary_units=True),
        TransferSpeedColumn(),
        TimeRemainingColumn(compact=True),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True, expand=True) as progress:
        yield progress


class _Bars:
    """Folds events into rich's bars; called from any thread."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._tasks: dict[str, TaskID] = {}
        self._lock = threading.Lock()

    def __call__(self, event: Event) -> None:
        with self._lock:
            self._show(event)

    def _show(self, event: Event) -> None:
        match event:
            case Notice():
                self._progress.console.print(printable(event.text), markup=False, highlight=False)
            case MetadataProgress():
                self._update("metadata", "asking the Hub", event.done, event.total, event.done == event.total)
            case ScanProgress():
                self._update(
                    f"scan {event.store}", f"looking in {event.store}", event.files, None, event.finished
                )
            case HashProgress():
                name = event.path.replace("\\", "/").rpartition("/")[2]
                self._update(f"hash {event.path}", f"hashing {name}", event.done, event.size, event.finished)
            case FileStarted():
                self._update(event.key, _short(event.key), event.done, event.size, finished=False)
            case FileProgress():
                self._update(event.key, _short(event.key), event.done, None, finished=False)
            case _:
                self._show_later_stage(event)

    def _show_later_stage(self, event: Event) -> None:
        match event:
            case FileVerifying():
                text = f"verifying {_short(event.key)}"
                self._update(event.key, text, event.done, event.size, finished=False)
            case FileRetrying():
                self._progress.console.print(printable(_retry_text(event)), markup=False, highlight=False)
            case FileFinished():
                self._finish(event.key)
                if event.outcome is not Outcome.SKIPPED:
                    self._progress.console.print(
                        printable(_finish_text(event)), markup=False, highlight=False
                    )
            case _:
                pass

    def _update(self, key: str, text: str, done: int, total: int | None, finished: bool) -> None:
        if finished:
            self._finish(key)
            return
        if key not in self._tasks:
            self._tasks[key] = self._progress.add_task(printable(text), total=total, completed=done)
            return
        changes: dict[str, Any] = {"completed": done, "description": printable(text)}
        if total is not None:
            changes["total"] = total
        self._progress.update(self._tasks[key], **changes)

    def _finish(self, key: str) -> None:
        task = self._tasks.pop(key, None)
        if task is not None:
            self._progress.remove_task(task)


class _Lines:
    """Says what begins and what ends, a line each: for logs and pipes."""

    def __init__(self) -> None:
        self._sizes: dict[str, int | None] = {}

    def __call__(self, event: Event) -> None:
        match event:
            case Notice():
                _say(event)
            case FileQueued():
                self._sizes[event.key] = event.size
            case FileStarted():
                already = f", {format_size(event.done)} are here" if event.done else ""
                note(f"downloading {event.key} ({format_size(event.size)}{already})")
            case FileRetrying():
                note(_retry_text(event))
            case FileFinished():
                if event.outcome is not Outcome.SKIPPED:
                    note(_finish_text(event))
            case _:
                pass


def _short(key: str) -> str:
    name = key.rpartition("/")[2]
    return name if len(name) <= 48 else f"{name[:22]}…{name[-25:]}"


def _retry_text(event: FileRetrying) -> str:
    return f"{event.key}: {event.reason}; trying again in {event.wait_s:.0f} s"


def _finish_text(event: FileFinished) -> str:
    if event.outcome is Outcome.FAILED:
        return f"✗ {event.key}: {event.error}"
    verified = "" if event.verified or event.outcome is Outcome.KEPT else " (unverified)"
    return f"✓ {event.key}: {event.outcome.value}{verified}"
