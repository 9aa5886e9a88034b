"""The downloads pane: the whole run in two lines, then one line a transfer. Only draws a snapshot."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from wangp_downloader.files import Outcome
from wangp_downloader.names import base_name, crop_end, crop_name, shared_names, shown_name
from wangp_downloader.paths import without_address
from wangp_downloader.snapshot import Phase, Snapshot, Totals, Transfer
from wangp_downloader.tui.columns import Part, bar, graph, pad
from wangp_downloader.tui.painting import speed_words
from wangp_downloader.tui.widgets.bar import Toned
from wangp_downloader.tui.widgets.log_view import WrappedLog
from wangp_downloader.tui.widgets.pane import Pane
from wangp_downloader.units import format_duration, format_size, format_speed, plural

_HEAD = 2
_MUTED = "tone--muted"
_ORDER = {
    Phase.DOWNLOADING: 0,
    Phase.VERIFYING: 1,
    Phase.RETRYING: 2,
    Phase.PAUSED: 3,
    Phase.FINISHED: 4,
    Phase.QUEUED: 5,
}


@dataclass(frozen=True, slots=True)
class PaneState:
    """What the pane shows.

    Attributes:
        snapshot: The transfers.
        history: Speeds of the last minute, bytes per second.
        state: A word on the run (``running``, ``paused`` …).
        limit: The bandwidth limit, for people.
        free: Free bytes on the disk, if known.
    """

    snapshot: Snapshot = field(default_factory=Snapshot)
    history: Sequence[float] = ()
    state: str = "idle"
    limit: str = "none"
    free: int | None = None


class DownloadsPane(Pane, Toned, ScrollView, can_focus=True):
    """Bars of all transfers; scrolls if there are many."""

    ALLOW_MAXIMIZE = False

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._state = PaneState()
        self._lines: list[Transfer] = []
        self._shared: Collection[str] = ()
        self._totals = Totals()

    @property
    def text(self) -> str:
        """What the pane says, without colours."""
        width = self.size.width or 100
        lines = [self._total_line(width), self._speed_line(width)]
        lines += [transfer_line(transfer, width, self._shared) for transfer in self._lines]
        return "\n".join("".join(text for text, _ in line) for line in lines)

    def show(self, state: PaneState) -> None:
        """Draw another state."""
        self._state = state
        self._totals = state.snapshot.totals
        self._lines = shown_transfers(state.snapshot)
        self._shared = shared_names(state.snapshot.transfers)
        # Where there is room for the total line alone, there is nothing to scroll.
        height = len(self._lines) + _HEAD if self.size.height > _HEAD else self.size.height
        size = Size(self.size.width, height)
        if size != self.virtual_size:
            # As in the table: setting the reactive would lay out the whole screen.
            self.set_reactive(ScrollView.virtual_size, size)
            self._scroll_update(size)
        self.refresh()

    def on_resize(self) -> None:
        """Scroll no more than the new height asks for."""
        self.show(self._state)

    def render_line(self, y: int) -> Strip:
        """Draw one line; the two lines of the run stay on top."""
        width = self.scrollable_content_region.width
        if y == 0:
            return self.strip_of(self._total_line(width), width)
        if y == 1:
            return self.strip_of(self._speed_line(width), width)
        index = y - _HEAD + self.scroll_offset.y
        if index < len(self._lines):
            return self.strip_of(transfer_line(self._lines[index], width, self._shared), width)
        return self.strip_of([], width)

    def _total_line(self, width: int) -> list[Part]:
        totals = self._totals
        if not totals.files:
            return [(" no downloads yet", "tone--muted")]
        counts = f"{totals.finished} of {plural(totals.files, 'file')}"
        failed = f" · {totals.failed} failed" if totals.failed else ""
        amounts = f"{format_size(totals.done)} of {format_size(totals.size)}  "
        percent = f" {int(totals.fraction * 100):3}%  "
        label = f" {self._state.state:<9} "
        least = len(label) + len(percent) + len(counts) + len(failed) + 7
        # What failed is said whatever the width: the amounts give way, then the bar.
        text = f"{percent}{amounts if least + len(amounts) <= width else ''}{counts}"
        cells = max(0, min(48, width - len(label) - len(text) - len(failed) - 1))
        filled, empty = bar(totals.fraction, cells)
        return [
            (label, "tone--strong"),
            (filled, "tone--active"),
            (empty, "tone--track"),
            (text, ""),
            (failed, "tone--bad"),
        ]

    def _speed_line(self, width: int) -> list[Part]:
        totals, state = self._totals, self._state
        eta = format_duration(totals.eta_s)
        free = format_size(state.free) if state.free is not None else "?"
        left = f" {format_speed(totals.bytes_per_s):>10} "
        rest = f"  ETA {eta}  limit {state.limit}  free {free}"
        cells = max(0, min(48, width - len(left) - len(rest) - 1))
        return [(left, "tone--strong"), (graph(state.history, cells), "tone--active"), (rest, "tone--muted")]


class PaneLog(Pane, WrappedLog, can_focus=True):
    """The log beside the transfers."""


class DownloadsRow(Horizontal):
    """The pane, and the log beside it where there is room.

    Args:
        lines: What has been logged so far.
        id: The widget's id.
    """

    def __init__(self, lines: Sequence[str], *, id: str) -> None:
        super().__init__(id=id)
        self.pane = DownloadsPane(id="downloads")
        self._log_view = PaneLog(lines, id="downloads-log", max_lines=1_000)

    def compose(self) -> ComposeResult:
        """Lay out both."""
        yield self.pane
        yield self._log_view

    def show(self, state: PaneState) -> None:
        """Draw another state."""
        self.pane.show(state)

    def add_lines(self, lines: Sequence[str]) -> None:
        """Show new lines of the log."""
        self._log_view.add(lines)


def shown_transfers(snapshot: Snapshot) -> list[Transfer]:
    """Return the transfers that the pane lists: those at work, those that failed, those that wait."""
    shown = [
        transfer
        for transfer in snapshot.transfers.values()
        if transfer.phase is not Phase.FINISHED or transfer.outcome is Outcome.FAILED
    ]
    return sorted(shown, key=lambda transfer: _ORDER[transfer.phase])


def transfer_line(transfer: Transfer, width: int, shared: Collection[str] = ()) -> list[Part]:
    """Return one transfer as a line of ``width`` cells; ``shared`` are names that several files have."""
    name = shown_name(transfer.key, shared)
    words, tone = _words(transfer)
    if transfer.phase not in (Phase.DOWNLOADING, Phase.VERIFYING, Phase.PAUSED):
        cells = max(10, min(cell_len(name), max(width * 2 // 5, width - len(words) - 3)))
        return [
            (f" {pad(crop_name(name, cells), cells)} ", tone if transfer.outcome else ""),
            (crop_end(words, width - cells - 3), tone),
        ]
    fraction = transfer.fraction or 0.0
    percent = f" {int(fraction * 100):3}% "
    cells = max(6, min(30, width // 6))
    room = width - cells - len(percent) - 3
    name_cells = max(10, min(60, room - max(len(words), 20)))
    filled, empty = bar(fraction, cells)
    return [
        (f" {pad(crop_name(name, name_cells), name_cells)} ", ""),
        (filled, tone),
        (empty, "tone--track"),
        (percent, ""),
        (
            crop_end(words, max(0, room - name_cells)),
            tone if transfer.phase is Phase.PAUSED else "tone--muted",
        ),
    ]


def _words(transfer: Transfer) -> tuple[str, str]:
    match transfer.phase:
        case Phase.DOWNLOADING:
            return f"{speed_words(transfer)} {format_duration(transfer.eta_s):>7}", "tone--active"
        case Phase.VERIFYING:
            return "verifying", "tone--active"
        case Phase.PAUSED:
            return "paused", "tone--warning"
        case Phase.RETRYING:
            problem = without_address(transfer.problem or "", base_name(transfer.key))
            return f"again in {transfer.wait_s:.0f} s: {problem}", "tone--warning"
        case Phase.FINISHED:
            hint = f" · {transfer.hint}" if transfer.hint else ""
            problem = without_address(transfer.problem or "no reason given", base_name(transfer.key))
            return f"failed: {problem}{hint}", "tone--bad"
        case Phase.QUEUED if transfer.problem:
            return transfer.problem, "tone--warning"
        case _:
            return f"queued  {format_size(transfer.size)}", "tone--muted"
