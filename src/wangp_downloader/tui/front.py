"""What the desk needs of the screen in front of it, and the words that pass between them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from wangp_downloader.tui.rows import Row

HUB_SILENT, STOPPED = "hub silent", "stopped"
"""Values of :class:`wangp_downloader.events.Topic`, as below."""
INFO, WARNING, ERROR = "info", "warning", "error"
"""The values of :class:`wangp_downloader.events.Level`, which is imported after the first frame."""


@dataclass(frozen=True, slots=True)
class Question:
    """Something to ask before acting.

    Attributes:
        title: The question.
        text: What it means.
        yes: Words of the button that acts.
        no: Words of the button that does not; it has the focus.
    """

    title: str
    text: str
    yes: str
    no: str


class Front(Protocol):
    """The main screen, as the desk needs it."""

    def say(self, text: str, level: str = INFO) -> None:
        """Show a sentence in the status line."""

    def ask(
        self, question: Question, then: Callable[[], None], otherwise: Callable[[], None] | None = None
    ) -> None:
        """Ask, and call ``then`` if the answer is yes, ``otherwise`` if it is no."""

    def unsay(self, text: str) -> None:
        """Take a sentence back if it is still the one that is shown."""

    def rows_replaced(self) -> None:
        """Other rows are shown, or in another order."""

    def rows_changed(self, rows: Sequence[Row]) -> None:
        """These rows look different."""

    def run_changed(self) -> None:
        """The run's state, the limit or the parts on offer changed."""

    def selection_changed(self) -> None:
        """The selection or the free space changed."""

    def log_grew(self, lines: Sequence[str]) -> None:
        """These lines came to the log."""

    def progressed(self) -> None:
        """The snapshot changed."""
