"""What the panes around the table have in common: their keys."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.widget import Widget


class Pane(Widget):
    """A widget beside the table: movement scrolls it, Enter still acts on the row, Escape leads back there."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "scroll_by(-1)", "Up", show=False, priority=True),
        Binding("down,j", "scroll_by(1)", "Down", show=False, priority=True),
        Binding("pageup,ctrl+b", "scroll_page(-1)", "Page up", show=False, priority=True),
        Binding("pagedown,ctrl+f", "scroll_page(1)", "Page down", show=False, priority=True),
        Binding("home,g", "scroll_ends(False)", "Top", show=False, priority=True),
        Binding("end,G,shift+g", "scroll_ends(True)", "End", show=False, priority=True),
        Binding("enter,space,ctrl+j", "screen.toggle_current", "Toggle", show=False, priority=True),
    ]

    def action_scroll_by(self, lines: int) -> None:
        """Scroll by ``lines``."""
        self.scroll_relative(y=lines, animate=False, immediate=True)

    def action_scroll_page(self, direction: int) -> None:
        """Scroll by a page."""
        self.scroll_relative(y=direction * max(1, self.size.height - 1), animate=False, immediate=True)

    def action_scroll_ends(self, down: bool) -> None:
        """Scroll to the top or the end."""
        (self.scroll_end if down else self.scroll_home)(animate=False, immediate=True)
