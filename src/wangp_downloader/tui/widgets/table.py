"""A table drawn line by line, for thousands of rows that change ten times a second.

Owns drawing, cursor and scrolling; the rows belong to a model and are only read. Textual's DataTable
renders every visible cell again for each change and lays the screen out for each filter key; this one draws
the lines that changed from a cache and never asks for a layout.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import ClassVar, Protocol, TypeVar

from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding, BindingType
from textual.cache import LRUCache
from textual.events import Click, MouseDown, MouseMove, MouseUp, Resize
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from wangp_downloader.names import crop_end
from wangp_downloader.tui.columns import GAP, Column, Part, fit, pad
from wangp_downloader.tui.widgets.bar import toned

_CACHED_LINES = 600
_DOUBLE_CLICK = 2


class Line(Protocol):
    """A row, as far as the table needs to know it."""

    @property
    def key(self) -> str:
        """What the row is known by across refreshes."""

    @property
    def position(self) -> int:
        """Its place in the view, or -1."""

    @property
    def version(self) -> int:
        """Another number after each visible change, and never one that another row has had."""


LineT = TypeVar("LineT", bound=Line)


class Table(ScrollView, can_focus=True):
    """The table.

    Args:
        columns: All columns, in their order on the screen.
        paint: Given a row, a column's key and a width, returns the cell's parts; they may be shorter than the
            width, never longer.
        id: The widget's id.
    """

    ALLOW_SELECT = False
    ALLOW_MAXIMIZE = False

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "table--header",
        "table--header-sorted",
        "table--even",
        "table--odd",
        "table--cursor",
        "table--cursor-blurred",
    }

    # All keys are priority bindings: they run in the order in which they were typed, whatever is being drawn.
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Up", show=False, priority=True),
        Binding("down,j", "move(1)", "Down", show=False, priority=True),
        Binding("pageup,ctrl+b", "page(-1)", "Page up", show=False, priority=True),
        Binding("pagedown,ctrl+f", "page(1)", "Page down", show=False, priority=True),
        Binding("ctrl+u", "half_page(-1)", "Half a page up", show=False, priority=True),
        Binding("ctrl+d", "half_page(1)", "Half a page down", show=False, priority=True),
        Binding("home,g", "first", "First row", show=False, priority=True),
        Binding("end,G,shift+g", "last", "Last row", show=False, priority=True),
        Binding("enter,space,ctrl+j", "activate", "Toggle", show=False, priority=True),
    ]

    class Moved(Message):
        """The cursor is on another row."""

        @property
        def can_replace_key(self) -> str:
            """Only the last of several moves matters."""
            return "moved"

        def can_replace(self, message: Message) -> bool:
            """Take the place of an older move that was not handled yet."""
            return isinstance(message, Table.Moved)

    class Opened(Message):
        """A row was clicked twice."""

    class HeaderClicked(Message):
        """A heading was clicked.

        Args:
            column: The column's key.
        """

        def __init__(self, column: str) -> None:
            super().__init__()
            self.column = column

    def __init__(
        self,
        columns: Sequence[Column],
        paint: Callable[[LineT, str, int], Sequence[Part]],
        *,
        activate: Callable[[LineT], None],
        id: str,
    ) -> None:
        super().__init__(id=id)
        self._columns = tuple(columns)
        self._paint: Callable[..., Sequence[Part]] = paint
        self._activate: Callable[..., None] = activate
        self._view: Sequence[Line] = ()
        self._cursor = 0
        self._line: int | None = None
        self._used = False
        self._fitted: list[tuple[Column, int]] = []
        self._fitted_width = -1
        self._sort = ("", False)
        self._strips: LRUCache[object, Strip] = LRUCache(_CACHED_LINES)
        self._styles: dict[tuple[str, str], Style] = {}
        self.empty_text = ""

    # What is shown

    @property
    def cursor(self) -> int:
        """Line of the cursor in the view."""
        return self._cursor

    @property
    def current(self) -> Line | None:
        """The row under the cursor, or None in an empty table."""
        return self._view[self._cursor] if self._view else None

    @property
    def shown_columns(self) -> list[str]:
        """Keys of the columns that the width has room for."""
        return [column.key for column, _ in self._fitted] or [column.key for column in self._columns]

    def show(self, view: Sequence[Line], *, keep: str | None = None, line: int | None = None) -> None:
        """Show other rows; the cursor stays on its row if that is still there, else where it was.

        Args:
            view: The rows, in order.
            keep: Key of the row to put the cursor on, in place of the one it is on now.
            line: Line of the screen to have it on, in place of the one it is on now.
        """
        current = self.current
        key = keep if keep is not None else current.key if current is not None else None
        offset = self.line if line is None else line
        self._view = view
        self._used |= keep is not None
        if not self._used:
            # Nobody has put the cursor anywhere: it does not follow a row away from the top.
            key, offset = (view[0].key if view else None), 0
        place = _place(view, current, key)
        self._cursor = min(self._cursor, max(0, len(view) - 1)) if place is None else place
        self._resize_contents()
        # The row stays at the same height of the screen: the eye is on it.
        self._line = offset
        self._place()
        self.refresh()
        self.post_message(self.Moved())

    @property
    def line(self) -> int:
        """Line of the screen that the cursor is on; while the table is hidden, the one it will be on."""
        return self._cursor - self.scroll_offset.y if self._line is None else self._line

    def _place(self) -> None:
        """Scroll to where the cursor is on its line, as soon as the table has a size."""
        if self._line is not None and self.size.height:
            self._scroll(self._cursor - self._line)
            self._line = None
        self._reveal()

    def set_columns(self, columns: Sequence[Column]) -> None:
        """Change the columns' widths or titles."""
        if tuple(columns) == self._columns:
            return
        self._columns = tuple(columns)
        self._fitted_width = -1
        self._forget()

    def set_sort(self, column: str, descending: bool) -> None:
        """Mark the column that the rows are sorted by."""
        self._sort = (column, descending)
        self.refresh(Region(0, 0, self.size.width, 1))

    def line_changed(self, line: Line) -> None:
        """Draw one row again, if it can be seen."""
        y = line.position - self.scroll_offset.y + 1
        if line.position >= 0 and 1 <= y < self.size.height:
            self.refresh(Region(0, y, self.size.width, 1))

    def move_to(self, position: int) -> None:
        """Put the cursor on a line of the view; out of range means the nearest."""
        self._used = True
        position = max(0, min(len(self._view) - 1, position))
        if position == self._cursor or not self._view:
            return
        before, self._cursor = self._cursor, position
        for place in (before, position):
            self.line_changed(self._view[place])
        self._reveal()
        self.post_message(self.Moved())

    # Keys and mouse

    def action_move(self, lines: int) -> None:
        """Move the cursor by ``lines``."""
        self.move_to(self._cursor + lines)

    def action_page(self, direction: int) -> None:
        """Move the cursor by a page."""
        self.move_to(self._cursor + direction * max(1, self._page - 1))

    def action_half_page(self, direction: int) -> None:
        """Move the cursor by half a page."""
        self.move_to(self._cursor + direction * max(1, self._page // 2))

    def action_first(self) -> None:
        """Move the cursor to the first row."""
        self.move_to(0)

    def action_last(self) -> None:
        """Move the cursor to the last row."""
        self.move_to(len(self._view) - 1)

    def action_activate(self) -> None:
        """Call ``activate`` with the row under the cursor."""
        current = self.current
        if current is not None:
            self._used = True
            self._activate(current)

    def on_click(self, event: Click) -> None:
        """Move the cursor to the clicked row; sort by the clicked heading."""
        if event.x >= self.size.width - 1:
            return
        if event.y == 0:
            column = self._column_at(event.x)
            if column is not None:
                self.post_message(self.HeaderClicked(column))
            return
        position = event.y - 1 + self.scroll_offset.y
        if position < len(self._view):
            self.move_to(position)
            if event.chain == _DOUBLE_CLICK:
                self.post_message(self.Opened())

    def on_resize(self, event: Resize) -> None:
        """Keep the cursor in sight."""
        self._resize_contents()
        self._place()

    def on_hide(self) -> None:
        """Remember where the cursor was on the screen: hidden, the table has no lines to be on."""
        self._line = self.line

    def on_focus(self) -> None:
        """Show the cursor of a table that has the keys."""
        self._refresh_cursor()

    def on_blur(self) -> None:
        """Show the cursor of a table that does not have the keys."""
        self._refresh_cursor()

    # Drawing

    def notify_style_update(self) -> None:
        """Forget everything drawn: the theme may have changed."""
        super().notify_style_update()
        self._forget()

    def render_lines(self, crop: Region) -> list[Strip]:
        """Draw lines without Textual's style cache: this widget has no border and no padding."""
        filters = [each for each in self.get_line_filters() if each.enabled]
        background = self.background_colors[1]
        strips = []
        for y in crop.line_range:
            strip = self.render_line(y)
            if crop.x or crop.right != strip.cell_length:
                strip = strip.crop(crop.x, crop.right)
            for each in filters:
                strip = strip.apply_filter(each, background)
            strips.append(strip)
        return strips

    def render_line(self, y: int) -> Strip:
        """Draw line ``y`` of what can be seen: the headings, a row, or nothing."""
        width = self.size.width - 1
        if width != self._fitted_width:
            # Not in on_resize: that message can come after the first frame.
            self._fitted = fit(self._columns, width - 2)
            self._fitted_width = width
            self._strips.clear()
        position = y - 1 + self.scroll_offset.y
        if y == 0:
            strip = self._header(width)
        elif position < len(self._view):
            strip = self._row(position, width)
        else:
            strip = self._blank(y, width)
        return Strip([*strip, self._bar_cell(y)], width + 1)

    def _bar_cell(self, y: int) -> Segment:
        # Textual's scrollbar is a widget of its own, and its change comes in a frame of its own.
        page, total = self._page, len(self._view)
        if y == 0 or total <= page:
            return Segment(" ", self._style("table--header" if y == 0 else "table--even", ""))
        size = max(1, page * page // total)
        top = round((page - size) * self.scroll_offset.y / max(1, total - page))
        thumb = top <= y - 1 < top + size
        return Segment(
            "┃" if thumb else "│", self._style("table--even", "tone--muted" if thumb else "tone--track")
        )

    def _drag_to(self, y: int) -> None:
        page, total = self._page, len(self._view)
        share = max(0.0, min(1.0, (y - 1) / max(1, page - 1)))
        self._scroll(round(share * (total - page)))
        self.move_to(min(max(self._cursor, self.scroll_offset.y), self.scroll_offset.y + page - 1))

    def on_mouse_down(self, event: MouseDown) -> None:
        """Begin to drag the scrollbar."""
        if event.x >= self.size.width - 1 and event.y > 0:
            self.capture_mouse()
            self._drag_to(event.y)

    def on_mouse_move(self, event: MouseMove) -> None:
        """Drag the scrollbar."""
        if self.app.mouse_captured is self:
            self._drag_to(event.y)

    def on_mouse_up(self, event: MouseUp) -> None:
        """Let the scrollbar go."""
        self.release_mouse()

    def _row(self, position: int, width: int) -> Strip:
        line = self._view[position]
        if position == self._cursor:
            base = "table--cursor" if self.has_focus else "table--cursor-blurred"
        else:
            base = "table--even" if position % 2 == 0 else "table--odd"
        key = (line.key, line.version, base)
        strip = self._strips.get(key)
        if strip is None:
            strip = self._draw(line, base, width)
            self._strips[key] = strip
        return strip

    def _draw(self, line: Line, base: str, width: int) -> Strip:
        joined: list[tuple[str, str]] = [(" ", "")]
        for index, (column, cells) in enumerate(self._fitted):
            if index:
                joined.append((" " * GAP, ""))
            parts = self._paint(line, column.key, cells)
            joined += _fill(parts, cells, column.right)
        joined.append((" ", ""))
        return Strip([Segment(text, self._style(base, tone)) for text, tone in _merge(joined)], width)

    def _header(self, width: int) -> Strip:
        plain, marked = self._style("table--header", ""), self._style("table--header-sorted", "")
        segments = [Segment(" ", plain)]
        for index, (column, cells) in enumerate(self._fitted):
            sorted_by = column.key == self._sort[0]
            arrow = (" ▼" if self._sort[1] else " ▲") if sorted_by else ""
            gap = " " * GAP if index else ""
            # A column of one cell has no room for both.
            title = (
                crop_end(column.title, cells - len(arrow)) + arrow if cells > len(arrow) else arrow.strip()
            )
            text = pad(title or column.title, cells, column.right)
            segments += [Segment(gap, plain), Segment(text, marked if sorted_by else plain)]
        segments.append(Segment(" ", plain))
        return Strip(segments).adjust_cell_length(width, plain)

    def _blank(self, y: int, width: int) -> Strip:
        style = self._style("table--even", "tone--muted")
        text = self.empty_text if not self._view and y == 2 else ""
        return Strip([Segment(pad(f"  {text}", width), style)], width)

    def _style(self, base: str, tone: str) -> Style:
        style = self._styles.get((base, tone))
        if style is None:
            style = toned(self, tone, base)
            self._styles[(base, tone)] = style
        return style

    # Geometry

    @property
    def _page(self) -> int:
        return max(1, self.size.height - 1)

    def _resize_contents(self) -> None:
        size = Size(self.size.width, len(self._view) + 1)
        if size == self.virtual_size:
            return
        # Setting the reactive would lay out the whole screen: only the scrollbar has to know.
        self.set_reactive(Table.virtual_size, size)
        self._scroll_update(size)

    def _reveal(self) -> None:
        top = self.scroll_offset.y
        if not self.size.height:
            return
        if self._cursor < top:
            self._scroll(self._cursor)
        elif self._cursor >= top + self._page:
            self._scroll(self._cursor - self._page + 1)

    def _scroll(self, top: int) -> None:
        top = max(0, min(top, len(self._view) - self._page))
        if top != self.scroll_offset.y:
            self.scroll_to(y=top, animate=False, force=True)

    def _refresh_cursor(self) -> None:
        if self._view:
            self.line_changed(self._view[self._cursor])

    def _forget(self) -> None:
        self._strips.clear()
        self._styles.clear()
        self.refresh()

    def _column_at(self, x: int) -> str | None:
        right = 1
        for column, cells in self._fitted:
            right += cells + GAP
            if x < right:
                return column.key
        return None


def _place(view: Sequence[Line], current: Line | None, key: str | None) -> int | None:
    # Mostly it is still the same object, which knows its place.
    if current is not None and current.key == key and 0 <= current.position < len(view):
        return current.position if view[current.position] is current else None
    return next((place for place, line in enumerate(view) if line.key == key), None)


def _fill(parts: Sequence[Part], width: int, right: bool) -> list[Part]:
    """Pad parts to exactly ``width`` cells."""
    if len(parts) == 1:
        text, tone = parts[0]
        return [(pad(text, width, right), tone)]
    used = sum(len(text) for text, _ in parts)
    blank = (" " * max(0, width - used), "")
    return [blank, *parts] if right else [*parts, blank]


def _merge(parts: Sequence[Part]) -> list[Part]:
    """Join neighbours of one tone: fewer segments are fewer bytes on the line."""
    merged: list[Part] = []
    for text, tone in parts:
        if not text:
            continue
        if merged and (merged[-1][1] == tone or text.isspace()):
            merged[-1] = (merged[-1][0] + text, merged[-1][1])
        else:
            merged.append((text, tone))
    return merged


def widest(texts: Mapping[str, int], column: Column) -> Column:
    """Return ``column`` with the ideal width that its texts ask for."""
    ideal = max(column.minimum, texts.get(column.key, column.ideal))
    return replace(column, ideal=ideal)
