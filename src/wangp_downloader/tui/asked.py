"""What the user asked of the present run, of the one after it, and which rows they took back.

Owns three sets of targets and the rules between them. No Textual, no I/O.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from wangp_downloader.files import Action
from wangp_downloader.tui.rows import Row, Status
from wangp_downloader.units import plural

OFFLINE_WORDS = "offline (by --offline or HF_HUB_OFFLINE)"
"""Why nothing is downloaded although the Hub may well answer."""


class Asked:
    """The targets of a run and of the next one."""

    def __init__(self) -> None:
        self._present: set[str] = set()
        self._next: dict[str, None] = {}
        self._cancelled: set[str] = set()

    def begin(self, targets: Iterable[str]) -> None:
        """A run of these targets begins; nothing waits behind it yet."""
        self._present, self._cancelled = set(targets), set()
        self._next.clear()

    def drop_next(self) -> None:
        """Start nothing after the present run."""
        self._next.clear()

    def cancel(self, target: str) -> None:
        """The user does not want this one in the present run, nor by itself in the next."""
        self._cancelled.add(target)

    def new(self, targets: Iterable[str]) -> list[str]:
        """Return those targets that neither the present run nor the next one has."""
        return [target for target in targets if target not in self._present and target not in self._next]

    def add(self, targets: Iterable[str]) -> int:
        """Put targets into the next run; return how many were not in it yet and not taken back."""
        before = len(self._next)
        self._next.update(dict.fromkeys(target for target in targets if target not in self._cancelled))
        return len(self._next) - before

    def due(self, rows: Mapping[str, Row]) -> list[str]:
        """Return what to start now that the run has ended: what is still wanted of what waited."""
        waiting = [rows[key] for key in self._next if key in rows and key not in self._cancelled]
        return [
            row.key for row in waiting if row.obtainable and (row.selected or row.status is Status.FAILED)
        ]


def without_downloads(targets: Iterable[str], rows: Mapping[str, Row]) -> list[str]:
    """Return the targets that need no network."""
    return [key for key in targets if key not in rows or rows[key].file.action is not Action.DOWNLOAD]


def queued_words(added: int) -> str:
    """Return what to say of files that were put into the next run."""
    if not added:
        return "nothing new: these are fetched next already, or were cancelled"
    return f"{plural(added, 'file')} will start when the present downloads are done"
