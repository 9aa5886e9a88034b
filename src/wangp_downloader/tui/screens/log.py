"""The log in full: scroll it, select from it, copy it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Static

from wangp_downloader.tui.widgets.log_view import WrappedLog


class LogScreen(ModalScreen[None]):
    """Shows the log and grows with it.

    Args:
        lines: Returns all lines of the log.
    """

    AUTO_FOCUS = "#log-lines"
    CSS_PATH = "dialogs.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,L,shift+l", "close", "Close"),
        Binding("y", "copy", "Copy all"),
        Binding("j", "scroll(1)", "Down", show=False),
        Binding("k", "scroll(-1)", "Up", show=False),
    ]

    def __init__(self, lines: Callable[[], Sequence[str]]) -> None:
        super().__init__()
        self._lines = lines

    def compose(self) -> ComposeResult:
        """Lay out the log."""
        with Vertical(id="log-dialog"):
            yield Static("Log", id="dialog-title")
            yield WrappedLog(self._lines(), id="log-lines")
            yield Static("y copies all · drag selects, Ctrl+c copies · Escape closes", id="help-foot")

    def add(self, lines: Sequence[str]) -> None:
        """Show what happens now."""
        self.query_one(WrappedLog).add(lines)

    def action_copy(self) -> None:
        """Copy all lines to the clipboard, as far as the terminal allows that."""
        self.app.copy_to_clipboard("\n".join(self._lines()))
        self.notify(f"copied {len(self._lines())} lines", timeout=3)

    def action_scroll(self, lines: int) -> None:
        """Scroll with the table's keys."""
        self.query_one(WrappedLog).scroll_relative(y=lines, animate=False)

    def action_close(self) -> None:
        """Go back."""
        self.dismiss()
