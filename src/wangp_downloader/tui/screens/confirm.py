"""A question with two answers; the safe one has the focus."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, Static

from wangp_downloader.tui.front import Question


class ConfirmScreen(ModalScreen[bool]):
    """Asks, and returns whether the answer was yes.

    Args:
        question: What to ask.
    """

    AUTO_FOCUS = "#no"
    CSS_PATH = "dialogs.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)", "Yes", priority=True),
        Binding("n", "answer(False)", "No", priority=True),
        Binding("escape", "answer(False)", "No", show=False),
        Binding("left,right,h,l", "app.focus_next", "Other answer", show=False),
    ]

    def __init__(self, question: Question) -> None:
        super().__init__()
        self.question = question

    def compose(self) -> ComposeResult:
        """Lay out the question."""
        with Vertical(id="dialog"):
            yield Static(self.question.title, id="dialog-title", markup=False)
            yield Static(self.question.text, id="dialog-text", markup=False)
            with Horizontal(id="dialog-buttons"):
                yield Button(f"{self.question.no} (n)", id="no", variant="primary", compact=True)
                yield Button(f"{self.question.yes} (y)", id="yes", variant="warning", compact=True)

    def action_answer(self, yes: bool) -> None:
        """Answer by key."""
        if self.is_current:
            self.dismiss(yes)

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Answer by button."""
        self.action_answer(event.button.id == "yes")
