"""A log whose lines are wrapped: the end of a line is where it says what to do."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from textwrap import wrap

from textual.events import Resize
from textual.widgets import Log

_INDENT = " " * 11
"""Under the text, beside time and sign."""


class WrappedLog(Log):
    """Textual's log, with its text still selectable, that wraps what it is given and again when it is resized.

    Args:
        lines: What has been logged so far.
        id: The widget's id.
        max_lines: Lines it keeps.
    """

    def __init__(self, lines: Iterable[str], *, id: str, max_lines: int = 2_000) -> None:
        super().__init__(id=id, max_lines=2 * max_lines)
        self._kept: deque[str] = deque(lines, maxlen=max_lines)
        self._wrapped_at = 0

    def add(self, lines: Sequence[str]) -> None:
        """Show more lines."""
        self._kept.extend(lines)
        if self._wrapped_at:
            self._show(lines)

    def on_resize(self, event: Resize) -> None:
        """Wrap everything anew."""
        width = self.scrollable_content_region.width
        if width != self._wrapped_at and width > len(_INDENT):
            self._wrapped_at = width
            self.clear()
            self._show(self._kept)

    def _show(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write_lines(
                wrap(line, self._wrapped_at, subsequent_indent=_INDENT, break_on_hyphens=False) or [line]
            )
