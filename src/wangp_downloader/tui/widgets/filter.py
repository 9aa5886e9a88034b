"""The filter line: what is typed takes effect in the same frame."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from rich.segment import Segment
from textual.binding import Binding, BindingType
from textual.strip import Strip

from wangp_downloader.tui.columns import Part
from wangp_downloader.tui.widgets.bar import parts_length, toned
from wangp_downloader.tui.widgets.ordered import OrderedInput

_LEAST_TEXT = 12


class FilterInput(OrderedInput):
    """An input that filters at every keystroke and hands the arrow keys to the table.

    Args:
        apply: Called with the text, at once.
        id: The widget's id.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,enter,tab,ctrl+j", "screen.leave_filter", "To the table", show=False, priority=True),
        Binding("up", "screen.move_cursor(-1)", "Up", show=False, priority=True),
        Binding("down", "screen.move_cursor(1)", "Down", show=False, priority=True),
        Binding("pageup", "screen.move_cursor(-10)", "Page up", show=False, priority=True),
        Binding("pagedown", "screen.move_cursor(10)", "Page down", show=False, priority=True),
    ]

    def __init__(self, apply: Callable[[str], None], *, id: str) -> None:
        super().__init__(
            placeholder="/ to filter: missing flux int8 !bf16",
            compact=True,
            select_on_focus=False,
            id=id,
        )
        self.cursor_blink = False
        self._apply = apply
        self._note: Sequence[Part] = ()

    def set_note(self, note: Sequence[Part]) -> None:
        """Show words at the right end of the line."""
        if note != self._note:
            self._note = note
            self.refresh()

    @property
    def note(self) -> str:
        """The words at the right end of the line."""
        return "".join(text for text, _ in self._note)

    def render_line(self, y: int) -> Strip:
        """Draw the text, and the note over its end."""
        strip = super().render_line(y)
        total = self.content_size.width  # Input's own line has a cell more, for the cursor at its end
        width = total - parts_length(self._note) - 2
        if width < _LEAST_TEXT or not self._note:
            return strip
        note = [Segment(text, toned(self, tone)) for text, tone in (("  ", ""), *self._note)]
        return Strip([*strip.crop(0, width), *note], total)

    def watch_value(self, value: str) -> None:
        """Filter now: a message would arrive a frame later."""
        if self.is_mounted:
            self._apply(value)
