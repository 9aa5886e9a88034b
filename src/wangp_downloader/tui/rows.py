"""One row of the file table: a planned file and what is happening to it.

Owns the statuses and how a row gets one. Rows are plain objects that the tables only read; nothing here
draws, and nothing here knows Textual.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping
from enum import Enum
from typing import TYPE_CHECKING

from wangp_downloader.files import SHARED_MODEL, Action, Outcome, PlannedFile, RemoteState
from wangp_downloader.names import shown_name
from wangp_downloader.paths import printable_line

if TYPE_CHECKING:
    from wangp_downloader.snapshot import Transfer
    from wangp_downloader.tui.engine import ModelInfo


class Status(Enum):
    """What a row says of itself.

    The value is its place when sorting by status: what asks for attention first, what is settled last.
    """

    FAILED = 0
    CONFLICT = 1
    DOWNLOADING = 2
    VERIFYING = 3
    RETRYING = 4
    PAUSED = 5
    QUEUED = 6
    HASHING = 7
    LINKABLE = 8
    MISSING = 9
    BLOCKED = 10
    DONE = 11
    LINKED = 12
    PRESENT = 13

    @property
    def word(self) -> str:
        """The status as people read and filter it."""
        return self.name.lower()

    @property
    def glyph(self) -> str:
        """One character beside the word, so that colour is never the only sign."""
        return _GLYPHS[self]


_GLYPHS = {
    Status.FAILED: "✗",
    Status.CONFLICT: "!",
    Status.DOWNLOADING: "↓",
    Status.VERIFYING: "≡",
    Status.RETRYING: "↻",
    Status.PAUSED: "‖",
    Status.QUEUED: "…",
    Status.HASHING: "#",
    Status.LINKABLE: "→",
    Status.MISSING: "○",
    Status.BLOCKED: "⊘",
    Status.DONE: "✓",
    Status.LINKED: "→",
    Status.PRESENT: "●",
}

OFFLINE = "offline"
SETTLED = frozenset({Status.PRESENT, Status.LINKED})
"""Statuses of files that are in place and to which nothing happened since the start."""
_SUCCESS = frozenset({Outcome.KEPT, Outcome.LINKED, Outcome.DOWNLOADED})
FINISHED = "finished"
GOING_ON = frozenset({"downloading", "verifying", FINISHED})
"""Phases of a transfer that has nothing to wait for."""
# By the phases' text: the reducer's module is imported after the first frame.
_PHASES = {
    "queued": Status.QUEUED,
    "downloading": Status.DOWNLOADING,
    "verifying": Status.VERIFYING,
    "retrying": Status.RETRYING,
    "paused": Status.PAUSED,
}


_versions = itertools.count(1)


def new_version() -> int:
    """Return a number that no row of any table has had: rows made for a new plan differ from those of the old one."""
    return next(_versions)


class Row:
    """A file of the plan in the table.

    Attributes:
        file: The planned file.
        name: Its file name, with the folder where that alone says too little.
        config: The first model that names it, as shown.
        more: How many other models name it.
        status: What it says of itself now.
        selected: True if the user picked it.
        transfer: The transfer of the present or last run, or None.
        hashed: Share of a local candidate that is hashed, 0 to 1, while that goes on.
        part_bytes: Bytes left from an earlier attempt.
        position: Its line in the view, or -1 while it is not shown.
        version: Another number after every change that can be seen, never one of another row; keys of drawing
            caches hold it.
    """

    __slots__ = (
        "_haystack",
        "_models",
        "config",
        "file",
        "hashed",
        "more",
        "name",
        "part_bytes",
        "position",
        "selected",
        "status",
        "transfer",
        "version",
    )

    def __init__(
        self,
        file: PlannedFile,
        models: Mapping[str, ModelInfo],
        part_bytes: int = 0,
        shared: Collection[str] = (),
    ) -> None:
        self.file = file
        self.name = shown_name(file.target, shared)
        self.config, self.more = _config_label(file)
        self.transfer: Transfer | None = None
        self.hashed: float | None = None
        self.part_bytes = part_bytes
        self.selected = False
        self.position = -1
        self.version = new_version()
        self.status = resting_status(file)
        self._models = models
        self._haystack = ""

    @property
    def haystack(self) -> str:
        """Lower-case text that the filter looks into; made when it is first asked for."""
        if not self._haystack:
            self._haystack = f"{self.status.word} {_searchable(self.file, self._models)}"
        return self._haystack

    @property
    def key(self) -> str:
        """The plan's target: the row's identity across refreshes."""
        return self.file.target

    @property
    def size(self) -> int | None:
        """Bytes of the whole file, if known."""
        return self.file.size

    @property
    def bytes_to_fetch(self) -> int:
        """Bytes that would come over the network."""
        if self.file.action is not Action.DOWNLOAD:
            return 0
        here = max(self.part_bytes, self.transfer.done if self.transfer is not None else 0)
        return max(0, (self.file.size or 0) - here)

    @property
    def obtainable(self) -> bool:
        """True if selecting it makes sense: it can be linked or downloaded and is not already there."""
        return self.file.action in (Action.LINK, Action.DOWNLOAD) and self.status is not Status.DONE

    @property
    def busy(self) -> bool:
        """True while a run is at work on it."""
        return self.transfer is not None and self.transfer.phase != FINISHED

    @property
    def settled(self) -> bool:
        """True if it is in place and nothing happened to it since the start."""
        return self.status in SETTLED

    def set_selected(self, selected: bool) -> bool:
        """Pick or drop the row; return whether that changed anything."""
        if self.selected == selected:
            return False
        self.selected = selected
        self.version = new_version()
        return True

    def refresh_status(self) -> None:
        """Work out the status again after ``file``, ``transfer`` or ``hashed`` changed."""
        status = self._status_now()
        self.version = new_version()
        if status is not self.status:
            self.status = status
            self._haystack = ""

    def _status_now(self) -> Status:
        transfer = self.transfer
        if transfer is None:
            return Status.HASHING if self.hashed is not None else resting_status(self.file)
        if transfer.phase != FINISHED:
            return _PHASES[transfer.phase]
        if transfer.outcome is Outcome.FAILED:
            return Status.FAILED
        return Status.DONE if transfer.outcome in _SUCCESS else resting_status(self.file)


def resting_status(file: PlannedFile) -> Status:
    """Return what the plan alone says of a file."""
    match file.action:
        case Action.KEEP:
            return Status.LINKED if file.link_to else Status.PRESENT
        case Action.LINK:
            return Status.LINKABLE
        case Action.DOWNLOAD:
            return Status.MISSING
        case Action.CONFLICT:
            return Status.CONFLICT
        case _:
            return Status.BLOCKED


def short_reason(file: PlannedFile) -> str:
    """Return in a word or two why a file can not be had; the details have the whole reason."""
    if file.blocked is not None:
        return _BLOCKED[file.blocked]
    return "blocked" if file.remote is not None else "not here"


_BLOCKED = {
    RemoteState.KNOWN: "blocked",
    RemoteState.UNKNOWN: "not asked yet",
    RemoteState.GATED: "gated",
    RemoteState.MISSING: "not on the Hub",
    RemoteState.OFFLINE: OFFLINE,
    RemoteState.FAILED: "no answer",
}


def _config_label(file: PlannedFile) -> tuple[str, int]:
    if SHARED_MODEL in file.models:
        return "all models", 0
    return (printable_line(file.models[0]), len(file.models) - 1) if file.models else ("-", 0)


def _searchable(file: PlannedFile, models: Mapping[str, ModelInfo]) -> str:
    words = [file.target, *file.models, "" if file.required else "variant", *file.roles, *file.groups]
    for model in file.models:
        if model in models:
            words += (models[model].name, models[model].family)
    if file.remote is not None:
        words.append(file.remote.repo or "")
    if file.source is not None:
        words.append(file.source.store)
    if file.action is Action.BLOCKED:
        words.append(file.reason)
    if SHARED_MODEL in file.models:
        words.append("shared all models")
    return " ".join(words).lower()
