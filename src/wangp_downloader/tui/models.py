"""The model view's contents: one row a model, with how ready it is.

Owns the sums from files to models. No Textual, no I/O.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from enum import Enum
from typing import TYPE_CHECKING, Any

from wangp_downloader.files import SHARED_MODEL, Action
from wangp_downloader.paths import printable_line
from wangp_downloader.tui.rows import Row, Status, new_version

if TYPE_CHECKING:
    from wangp_downloader.tui.engine import ModelInfo


class Readiness(Enum):
    """How much of a model is here; the value sorts."""

    PARTIAL = 0
    MISSING = 1
    BLOCKED = 2
    UNKNOWN = 3
    """All files that are known are here, but not every file that it needs is known."""
    READY = 4

    @property
    def word(self) -> str:
        """As people read and filter it."""
        return self.name.lower()

    @property
    def glyph(self) -> str:
        """One character beside the word."""
        return {"PARTIAL": "◐", "MISSING": "○", "BLOCKED": "⊘", "UNKNOWN": "?", "READY": "●"}[self.name]


HERE = frozenset({Status.PRESENT, Status.LINKED, Status.DONE})
"""Statuses of files that are in place."""


class ModelRow:
    """A model in the model view.

    Attributes:
        id: The definition's id.
        name: What Wan2GP calls it.
        family: The family it is listed under.
        certain: True if every file that it needs is known.
        rows: The files that it requires, those of the shared set included.
        version: Another number after every change that can be seen, never one of another row.
        position: Its line in the view, or -1.
        haystack: Lower-case text that the filter looks into.
    """

    __slots__ = (
        "certain",
        "family",
        "files_here",
        "haystack",
        "id",
        "name",
        "needed",
        "picked",
        "position",
        "readiness",
        "rows",
        "unknown",
        "version",
    )

    def __init__(self, info: ModelInfo, rows: Sequence[Row]) -> None:
        self.id = info.id
        self.name = printable_line(info.name)
        self.family = printable_line(info.family)
        self.certain = info.certain
        self.rows = rows
        self.position = -1
        self.recount()

    @property
    def key(self) -> str:
        """The model's id: its identity across refreshes."""
        return self.id

    @property
    def size(self) -> int | None:
        """Bytes still needed."""
        return self.needed

    def recount(self) -> None:
        """Sum up the files again."""
        missing = [row for row in self.rows if row.status not in HERE]
        self.files_here = len(self.rows) - len(missing)
        self.needed = sum(row.bytes_to_fetch for row in missing)
        self.unknown = any(row.size is None and row.file.action is Action.DOWNLOAD for row in missing)
        obtainable = [row for row in missing if row.obtainable]
        self.picked = bool(obtainable) and all(row.selected for row in obtainable)
        if not missing:
            self.readiness = Readiness.READY if self.certain else Readiness.UNKNOWN
        elif len(obtainable) < len(missing):
            self.readiness = Readiness.BLOCKED
        else:
            self.readiness = Readiness.PARTIAL if self.files_here else Readiness.MISSING
        self.haystack = f"{self.readiness.word} {self.id} {self.name} {self.family}".lower()
        self.version = new_version()


class ModelsModel:
    """All models and the view of them.

    Attributes:
        rows: Every model, in Wan2GP's order.
        view: Those shown, in the order shown.
        sort: Key of the column to sort by, or empty.
        descending: Largest first.
    """

    def __init__(self) -> None:
        self.rows: list[ModelRow] = []
        self.view: list[ModelRow] = []
        self.sort = ""
        self.descending = False

    def load(self, infos: Sequence[ModelInfo], files: Iterable[Row]) -> None:
        """Take the models and the files that they require."""
        required: dict[str, list[Row]] = {}
        for row in files:
            if row.file.required:
                for model in row.file.models:
                    required.setdefault(model, []).append(row)
        shared = required.get(SHARED_MODEL, [])
        self.rows = [ModelRow(info, [*required.get(info.id, []), *shared]) for info in infos]

    def recount(self) -> None:
        """Sum up every model again, after files changed."""
        for row in self.rows:
            row.recount()

    def apply(self, text: str, show_all: bool) -> None:
        """Work out the rows to show.

        Args:
            text: Words that must all occur; a word after ``!`` must not.
            show_all: Also models that are ready.
        """
        words = text.lower().split()
        rows = [row for row in self.rows if show_all or row.readiness is not Readiness.READY]
        self.view = [row for row in rows if _matches(row.haystack, words)]
        if self.sort in MODEL_SORT_KEYS:
            self.view.sort(key=MODEL_SORT_KEYS[self.sort], reverse=self.descending)
        for row in self.rows:
            row.position = -1
        for position, row in enumerate(self.view):
            row.position = position


def _matches(haystack: str, words: Sequence[str]) -> bool:
    for word in words:
        if word.startswith("!") and len(word) > 1:
            if word[1:] in haystack:
                return False
        elif word not in haystack and word != "!":
            return False
    return True


MODEL_SORT_KEYS: dict[str, Callable[[ModelRow], Any]] = {
    "mark": lambda row: not row.picked,
    "name": lambda row: row.name.lower(),
    "id": lambda row: row.id.lower(),
    "family": lambda row: row.family.lower(),
    "state": lambda row: row.readiness.value,
    "files": lambda row: (row.files_here - len(row.rows), row.files_here),
    "needed": lambda row: row.needed,
}
"""How each column sorts; equal rows keep Wan2GP's order."""
