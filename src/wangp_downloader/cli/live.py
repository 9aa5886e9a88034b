"""The live view on a terminal: a line for everything that moves and one for all of it, drawn from the snapshot."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from types import TracebackType
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from wangp_downloader.cli.event_text import state_of, summary_of, text_of
from wangp_downloader.events import Event, Notice
from wangp_downloader.names import crop_name, shared_names, shown_name
from wangp_downloader.paths import printable
from wangp_downloader.snapshot import Mailbox, Phase, Snapshot, fold

_EVERY_S = 0.1
_OTHER_LINES = 2
_STATE_CELLS = 28
_MOST_BAR_CELLS = 40
_MOST_NAME_CELLS = 70


class LiveView:
    """An event sink that draws what goes on, at most ten times a second, and prints what is worth keeping above.

    Args:
        console: Where to; a terminal.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._mailbox = Mailbox()
        self._snapshot = Snapshot()
        self._live = Live(console=console, auto_refresh=False, transient=True)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._draw_until_ended, name="live view", daemon=True)

    def __call__(self, event: Event) -> None:
        """Take an event; from any thread, never waits."""
        self._mailbox(event)

    def __enter__(self) -> Self:
        """Begin to draw."""
        self._live.start()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Print what is still to be said and take the view away."""
        self._ended.set()
        self._thread.join()
        with contextlib.suppress(OSError):
            self._draw()
            self._live.stop()

    def _draw_until_ended(self) -> None:
        # A terminal that is gone takes nothing any more; the work goes on without it.
        with contextlib.suppress(OSError):
            while not self._ended.wait(_EVERY_S):
                self._draw()

    def _draw(self) -> None:
        events = self._mailbox.drain()
        for event in events:
            text = event.text if isinstance(event, Notice) else text_of(event)
            if text is not None:
                self._console.print(printable(text), markup=False, highlight=False)
        if events:
            self._snapshot = fold(self._snapshot, events)
            self._live.update(render(self._snapshot, *self._console.size), refresh=True)


def render(snapshot: Snapshot, width: int, height: int) -> Group:
    """Return the view of a snapshot for a terminal of ``width`` × ``height`` cells; empty if nothing goes on."""
    rows = list(_rows(snapshot))
    room = max(1, height - _OTHER_LINES - 1)
    bar_cells = max(1, min(_MOST_BAR_CELLS, width // 6))
    name_cells = max(1, min(_MOST_NAME_CELLS, width - bar_cells - _STATE_CELLS - 2))
    table = Table.grid(padding=(0, 1))
    table.add_column(no_wrap=True, max_width=name_cells)
    table.add_column(width=bar_cells)
    table.add_column(no_wrap=True, overflow="ellipsis")
    for name, fraction, state in rows[:room]:
        bar = ProgressBar(1.0, fraction, width=bar_cells) if fraction is not None else ""
        table.add_row(Text(crop_name(printable(name), name_cells)), bar, Text(printable(state)))
    more = [Text(f"… and {len(rows) - room:,} more")] if len(rows) > room else []
    summary = summary_of(snapshot)
    last = [Text(summary, style="bold", no_wrap=True, overflow="ellipsis")] if summary else []
    return Group(table, *more, *last)


def _rows(snapshot: Snapshot) -> Iterator[tuple[str, float | None, str]]:
    """Yield name, share that is done (0 to 1, None without a bar) and state of what is worth a line."""
    if snapshot.metadata is not None:
        asked = snapshot.metadata
        yield "asking the Hub", asked.done / max(1, asked.total), f"{asked.done:,} of {asked.total:,}"
    for store, files in snapshot.scanning.items():
        yield f"looking in {store}", None, f"{files:,} files"
    for path, hashed in snapshot.hashing.items():
        yield path.replace("\\", "/").rpartition("/")[2], hashed.done / max(1, hashed.size), "hashing"
    shared = shared_names(snapshot.transfers)
    for key, transfer in snapshot.transfers.items():
        waits = transfer.phase is Phase.QUEUED and transfer.problem is not None
        if transfer.active or waits or transfer.phase is Phase.PAUSED:
            yield shown_name(key, shared), transfer.fraction, state_of(transfer)
