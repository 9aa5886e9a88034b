"""Shows the engine's events while it works: a live view on a terminal, plain lines elsewhere, JSON lines if asked.

Writes on standard error only, so that standard output stays what the verb prints.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from wangp_downloader.cli.diagnostics import note, warn
from wangp_downloader.cli.event_text import summary_of, text_of
from wangp_downloader.events import Emit, Event, FileStarted, Level, Notice, to_json
from wangp_downloader.snapshot import Mailbox, Snapshot, fold
from wangp_downloader.units import format_size

_SUMMARY_EVERY_S = 60.0


def print_notice(event: Event) -> None:
    """Print notices as messages and drop everything else: the sink where no progress is shown."""
    if isinstance(event, Notice):
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
        from rich.console import Console

        from wangp_downloader.cli.live import LiveView

        with LiveView(Console(stderr=True)) as view:
            yield view
    else:
        yield PlainLines()


def json_lines() -> Emit:
    """Return an event sink that prints one JSON object a line on standard output."""
    from wangp_downloader.cli.output import print_json_line

    lock = threading.Lock()

    def emit(event: Event) -> None:
        with lock:
            print_json_line(to_json(event))

    return emit


class PlainLines:
    """An event sink for logs and pipes: a line for what begins and what ends, and one a minute for all of it.

    Args:
        clock: Monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._mailbox = Mailbox()
        self._snapshot = Snapshot()
        self._said_at = clock()

    def __call__(self, event: Event) -> None:
        """Take an event; from any thread."""
        print_notice(event)
        text = text_of(event)
        if isinstance(event, FileStarted):
            already = f", {format_size(event.done)} are here" if event.done else ""
            text = f"downloading {event.key} ({format_size(event.size)}{already})"
        if text is not None:
            note(text)
        self._mailbox(event)
        if self._clock() - self._said_at >= _SUMMARY_EVERY_S:
            self._summarise()

    def _summarise(self) -> None:
        with self._lock:
            self._said_at = self._clock()
            self._snapshot = fold(self._snapshot, self._mailbox.drain())
            text = summary_of(self._snapshot)
        if text is not None:
            note(text)
