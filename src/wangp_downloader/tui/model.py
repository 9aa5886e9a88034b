"""The file table's contents: all rows, which are shown in which order, which are picked.

Owns filtering, sorting, the show modes and the selection rules, high/low pairs included. It is the only
source of truth for the selection; widgets read it and call it. No Textual, no I/O.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from wangp_downloader.files import Action, Outcome, Plan, RemoteState
from wangp_downloader.names import shared_names
from wangp_downloader.paths import printable_line
from wangp_downloader.tui.rows import FINISHED, SETTLED, Row, Status

if TYPE_CHECKING:
    from wangp_downloader.events import HashProgress
    from wangp_downloader.snapshot import Snapshot, Transfer
    from wangp_downloader.tui.engine import ModelInfo
    from wangp_downloader.tui.state import UiState

_UNKNOWN_SIZE = -1


@dataclass(frozen=True, slots=True)
class View:
    """What of the table is shown, and how.

    Attributes:
        text: The filter: words that must all occur; a word after ``!`` must not.
        show_all: Also files that are in place.
        variants: Also files that Wan2GP's present settings do not pick.
        sort: Key of the column to sort by, or empty for the catalog's order.
        descending: Largest first.
    """

    text: str = ""
    show_all: bool = False
    variants: bool = False
    sort: str = ""
    descending: bool = False


def view_of(state: UiState) -> View:
    """Return the view that was remembered."""
    return View(state.text, state.show_all, state.variants, state.sort, state.descending)


@dataclass(frozen=True, slots=True)
class SelectionTotals:
    """What the selection amounts to.

    Attributes:
        files: Rows picked.
        downloads: Those to download.
        download_bytes: What they cost on the network and on the disk.
        unknown_sizes: Downloads whose size is not known.
        links: Those to link.
        link_bytes: What linking saves.
    """

    files: int = 0
    downloads: int = 0
    download_bytes: int = 0
    unknown_sizes: int = 0
    links: int = 0
    link_bytes: int = 0


class FileModel:
    """All rows and the view of them.

    Attributes:
        rows: Every file, in the plan's order.
        by_key: The same by target.
        view: The rows shown, in the order shown.
        settings: The view's settings; change them through :meth:`set_view`.
        cut_off: True if files are blocked because the Hub can not be reached.
    """

    def __init__(self, settings: View | None = None) -> None:
        self.rows: list[Row] = []
        self.by_key: dict[str, Row] = {}
        self.view: list[Row] = []
        self.settings = settings or View()
        self._wished: set[str] = set()
        self._root = ""
        self._by_path: dict[str, Row] = {}
        self._by_size: dict[int, list[Row]] = {}
        self._hashing: set[str] = set()
        self.cut_off = False

    # Loading

    def load(
        self,
        plan: Plan,
        models: Sequence[ModelInfo],
        parts: Mapping[str, int] | None = None,
        root: str = "",
    ) -> None:
        """Take a new plan; the selection and what happens to each file stay.

        Args:
            plan: The new plan.
            models: All models, for names and families.
            parts: Bytes of left-over parts, by target.
            root: The folder that relative paths start at.
        """
        infos = {model.id: model for model in models}
        old, parts = self.by_key, parts or {}
        wished = {key for key, row in old.items() if row.selected} | self._wished
        shared = shared_names(file.target for file in plan.files)
        self.rows = [Row(file, infos, parts.get(file.target, 0), shared) for file in plan.files]
        self.cut_off = any(file.blocked is RemoteState.OFFLINE for file in plan.files)
        self.by_key = {row.key: row for row in self.rows}
        self._root, self._by_path, self._by_size = root, {}, {}
        for key in self.by_key.keys() & old.keys():
            if old[key].transfer is not None:
                self.by_key[key].transfer = old[key].transfer
                self.by_key[key].refresh_status()
        for key in wished & self.by_key.keys():
            self.by_key[key].selected = self.by_key[key].obtainable
        # A row that a refresh has not brought yet may come with the next one.
        self._wished = wished - self.by_key.keys()
        self._hashing = set()
        self.apply()

    def wish(self, targets: Iterable[str]) -> None:
        """Pick these targets as soon as a plan brings them: the selection of an earlier start."""
        self._wished.update(targets)
        for row in self.rows:
            if row.key in self._wished and row.obtainable:
                row.set_selected(True)
        self._wished -= self.by_key.keys()

    # View

    def set_view(self, **changes: Any) -> None:
        """Change fields of :class:`View` and work out the rows to show."""
        self.settings = replace(self.settings, **changes)
        self.apply()

    def apply(self) -> None:
        """Work out again which rows are shown, and in which order."""
        settings = self.settings
        # The words first: they leave few rows, and this runs at every keystroke.
        view = filter_rows(self.rows, settings.text)
        if not settings.show_all:
            view = [row for row in view if row.selected or row.status not in SETTLED]
        if not settings.variants:
            view = [row for row in view if row.file.required or row.selected or row.transfer is not None]
        if settings.sort in SORT_KEYS:
            view.sort(key=SORT_KEYS[settings.sort], reverse=settings.descending)
        for row in self.view:
            row.position = -1
        for position, row in enumerate(view):
            row.position = position
        self.view = view

    # Selection

    @property
    def selected(self) -> list[Row]:
        """The picked rows, in the plan's order."""
        return [row for row in self.rows if row.selected]

    @property
    def selected_keys(self) -> list[str]:
        """Targets of the selection, those that no plan has brought yet included."""
        return [row.key for row in self.selected] + sorted(self._wished)

    def partner(self, row: Row) -> Row | None:
        """Return the high/low noise partner, whichever of the two names the other."""
        if row.file.pair is not None:
            return self.by_key.get(row.file.pair)
        return next((other for other in self.rows if other.file.pair == row.key), None)

    def toggle(self, row: Row) -> str:
        """Pick or drop a row and its partner; return what to say about it."""
        if row.busy:
            return f"{row.name} is {row.status.word} now: x cancels it"
        if not row.obtainable:
            return why_not(row)
        wanted = not row.selected
        row.set_selected(wanted)
        partner = self.partner(row)
        said = f"{'selected' if wanted else 'unselected'} {row.name}"
        if partner is None or partner.busy or not partner.obtainable or partner.selected == wanted:
            return said
        partner.set_selected(wanted)
        return f"{said} and its {_noise(partner)}partner"

    def select(self, rows: Iterable[Row]) -> int:
        """Pick all of ``rows`` that can be obtained, with partners; return how many were added."""
        added = 0
        for row in list(rows):
            for each in (row, self.partner(row) if row.file.pair else None):
                if each is not None and each.obtainable and not each.busy:
                    added += each.set_selected(True)
        return added

    def clear_selection(self) -> int:
        """Drop every row; return how many there were."""
        self._wished.clear()
        return sum(row.set_selected(False) for row in self.rows)

    def select_model(self, model: str) -> int:
        """Pick everything obtainable that a model requires; return how many rows were added."""
        return self.select(row for row in self.rows if row.file.required and serves(row, model))

    def totals(self) -> SelectionTotals:
        """Return what the selection amounts to."""
        rows = self.selected
        downloads = [row for row in rows if row.file.action is Action.DOWNLOAD]
        links = [row for row in rows if row.file.action is Action.LINK]
        return SelectionTotals(
            files=len(rows),
            downloads=len(downloads),
            download_bytes=sum(row.bytes_to_fetch for row in downloads),
            unknown_sizes=sum(row.size is None for row in downloads),
            links=len(links),
            link_bytes=sum(row.size or 0 for row in links),
        )

    # What happens

    def follow(self, snapshot: Snapshot, keys: Iterable[str]) -> list[Row]:
        """Take over transfers of ``keys`` and all hashing; return the rows that look different now."""
        changed = []
        for key in keys:
            row = self.by_key.get(key)
            transfer = snapshot.transfers.get(key)
            if row is not None and transfer is not None and transfer is not row.transfer:
                self._take(row, transfer)
                changed.append(row)
        return changed + self._follow_hashing(snapshot.hashing)

    def _take(self, row: Row, transfer: Transfer) -> None:
        row.transfer = transfer
        if transfer.outcome is Outcome.SKIPPED and transfer.done:
            row.part_bytes = transfer.done
        row.refresh_status()
        if row.status is Status.DONE:
            row.set_selected(False)

    def _follow_hashing(self, hashing: Mapping[str, HashProgress]) -> list[Row]:
        if hashing and not self._by_path:
            self._index()
        now: dict[str, float] = {}
        for progress in hashing.values():
            exact = self._by_path.get(progress.path)
            # A candidate in a store is hashed for every file of its size.
            rows = [exact] if exact is not None else self._by_size.get(progress.size, [])
            for row in rows:
                if exact is not None or not row.settled:
                    now[row.key] = progress.done / progress.size if progress.size else 0.0
        changed = []
        for key in self._hashing | now.keys():
            row = self.by_key[key]
            if row.hashed != now.get(key):
                row.hashed = now.get(key)
                row.refresh_status()
                changed.append(row)
        self._hashing = set(now)
        return changed

    def _index(self) -> None:
        for row in self.rows:
            path = os.path.join(self._root, row.file.path)  # noqa: PTH118 - two thousand of them, no I/O
            self._by_path[path] = row
            if row.size:
                self._by_size.setdefault(row.size, []).append(row)

    def forget_transfers(self, keys: Iterable[str]) -> None:
        """Let rows say again what the plan says of them, such as before they are tried again."""
        for key in keys:
            row = self.by_key.get(key)
            if row is not None:
                row.transfer = None
                row.refresh_status()

    def end_run(self) -> None:
        """A run is over: what did not end goes back to what the plan says."""
        for row in self.rows:
            if row.transfer is not None and not _ended(row.transfer):
                if row.transfer.done:
                    row.part_bytes = row.transfer.done
                row.transfer = None
                row.refresh_status()

    @property
    def failed(self) -> list[Row]:
        """Rows that failed in this or an earlier run and were not obtained since."""
        return [row for row in self.rows if row.status is Status.FAILED]


def filter_rows(rows: Iterable[Row], text: str) -> list[Row]:
    """Return the rows whose text holds every word of ``text`` and none of its ``!words``."""
    words = text.lower().split()
    for word in words:
        if not word.startswith("!"):
            rows = [row for row in rows if word in row.haystack]
        elif len(word) > 1:
            banned = word[1:]
            rows = [row for row in rows if banned not in row.haystack]
    return list(rows)


def serves(row: Row, model: str) -> bool:
    """Return whether a model needs the row; rows of the shared set serve every model."""
    return model in row.file.models or "*" in row.file.models


def why_not(row: Row) -> str:
    """Return why a row can not be picked, and what the person can do."""
    if row.status in (Status.PRESENT, Status.LINKED, Status.DONE):
        return f"{row.name} is already in place"
    hint = f" · {row.file.hint}" if row.file.hint else ""
    return f"{row.name}: {row.file.reason or row.status.word}{hint}"


def source_text(row: Row) -> str:
    """Return where a row's file is or would come from."""
    file = row.file
    if file.action is Action.KEEP:
        return "in place"
    if file.action is Action.LINK and file.source is not None:
        return printable_line(file.source.store)
    if file.remote is None:
        return "local only"
    return printable_line(file.remote.repo or file.remote.url.split("/")[2])


def _noise(row: Row) -> str:
    name = row.name.lower()
    return "low-noise " if "low" in name else "high-noise " if "high" in name else ""


def _ended(transfer: Transfer) -> bool:
    return transfer.phase == FINISHED and transfer.outcome is not Outcome.SKIPPED


SORT_KEYS: dict[str, Callable[[Row], Any]] = {
    "mark": lambda row: not row.selected,
    "config": lambda row: row.config.lower(),
    "file": lambda row: row.name.lower(),
    "size": lambda row: _UNKNOWN_SIZE if row.size is None else row.size,
    "source": lambda row: source_text(row).lower(),
    "status": lambda row: row.status.value,
    "target": lambda row: row.file.target.lower(),
}
"""How each column sorts; equal rows keep the catalog's order."""
