"""The lines of the frame: header, selection, status, keys. Drawn line by line, without a layout."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.events import Click
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from wangp_downloader.names import crop_end
from wangp_downloader.tui.columns import Part

TONES = frozenset(
    {
        "tone--muted",
        "tone--good",
        "tone--active",
        "tone--warning",
        "tone--bad",
        "tone--mark",
        "tone--track",
        "tone--key",
        "tone--strong",
    }
)
"""Component classes of the main screen that give text its colour, through the theme's variables.

Of the screen and not of each widget: Textual works out the style of every component class of every widget
several times before the first frame.
"""
BASES = frozenset({"bar--panel", "bar--surface", "bar--keys", "bar--banner"})
"""Component classes of the main screen that give lines their background."""


def toned(widget: Widget, tone: str, base: str = "", *, of_screen: bool = False) -> Style:
    """Return the style of a tone, its transparent colours mixed with what is behind them.

    Args:
        widget: The widget that draws.
        tone: Component class of the text, or empty.
        base: Component class of what is behind the text, or empty for the widget itself.
        of_screen: Whether ``base`` is a class of the screen and not of the widget.
    """
    owner = widget.screen if of_screen else widget
    behind = owner.get_component_styles(base) if base else widget.styles
    background = widget.background_colors[1]
    if base:
        background += behind.background
    front = widget.screen.get_component_styles(tone) if tone else behind
    color = background + (front.color if front.has_rule("color") else behind.color)
    style = front.text_style if front is behind else behind.text_style + front.text_style
    return Style(color=color.rich_color, bgcolor=background.rich_color) + style


class Toned(Widget):
    """A widget whose text has tones."""

    ALLOW_SELECT = False

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._tones: dict[tuple[str, str], Style] = {}

    def tone(self, name: str, base: str = "") -> Style:
        """Return the style of a tone on this widget's background, or on that of a class of the screen."""
        style = self._tones.get((name, base))
        if style is None:
            style = self._tones[name, base] = toned(self, name, base, of_screen=True)
        return style

    def strip_of(self, parts: Sequence[Part], width: int, base: str = "") -> Strip:
        """Return one line of parts, cut or padded to ``width`` cells."""
        strip = Strip([Segment(text, self.tone(tone, base)) for text, tone in parts if text])
        return strip.adjust_cell_length(width, self.tone("", base))

    def notify_style_update(self) -> None:
        """Forget the styles: the theme may have changed."""
        super().notify_style_update()
        self._tones.clear()


class BarLine:
    """A line with text at the left and at the right; the left gives way where both do not fit.

    Args:
        base: Component class of the screen that gives the line its background.
    """

    def __init__(self, base: str) -> None:
        self.base = base
        self._left: Sequence[Part] = ()
        self._right: Sequence[Part] = ()

    @property
    def text(self) -> str:
        """What the line says, without colours."""
        return "".join(text for text, _ in (*self._left, *self._right))

    def set(self, left: Sequence[Part], right: Sequence[Part] = ()) -> bool:
        """Take other text; return whether it differs."""
        changed = (left, right) != (self._left, self._right)
        self._left, self._right = left, right
        return changed

    def parts(self, width: int) -> list[Part]:
        """Return the line in exactly ``width`` cells."""
        right_width = parts_length(self._right)
        if right_width > width - 2:
            return [(" ", ""), *_cut(self._right, width - 2)]
        left = _cut(self._left, max(0, width - right_width - 4) if right_width else width - 2)
        gap = width - parts_length(left) - right_width - 2
        return [(" ", ""), *left, (" " * gap, ""), *self._right, (" ", "")]

    def action_at(self, x: int) -> str:
        """Return the action of what is at a cell, if a click there does something."""
        return ""


class KeyLine(BarLine):
    """The keys at the foot of the screen; a click on one is as good as pressing it."""

    def __init__(self, base: str) -> None:
        super().__init__(base)
        self._keys: Sequence[tuple[str, str, str, bool]] = ()
        self._places: list[tuple[int, int, str]] = []

    def set_keys(self, keys: Sequence[tuple[str, str, str, bool]]) -> bool:
        """Take key, label, action (may be empty) and whether it can be used now; first ones first."""
        changed = keys != self._keys
        self._keys = keys
        return changed

    @property
    def text(self) -> str:
        """What the line says, without colours."""
        return "  ".join(f"{key} {label}" for key, label, _, _ in self._keys)

    def parts(self, width: int) -> list[Part]:
        """Return as many keys as fit."""
        parts: list[Part] = []
        self._places = []
        x = 0
        for key, label, action, enabled in self._keys:
            length = cell_len(key) + cell_len(label) + 3
            if x + length > width:
                break
            tone = "" if enabled else "tone--track"
            parts += [(f" {key} ", "tone--key" if enabled else "tone--track"), (f"{label} ", tone)]
            self._places.append((x, x + length, action))
            x += length
        return parts

    def action_at(self, x: int) -> str:
        """Return the action of the key at a cell."""
        return next((action for start, end, action in self._places if start <= x < end), "")


class Bars(Toned):
    """Some lines of the screen's frame, as one widget: each widget costs time before the first frame.

    Args:
        lines: The lines, from top to bottom.
        id: The widget's id.
    """

    def __init__(self, *lines: BarLine, id: str) -> None:
        super().__init__(id=id)
        self._lines = lines

    def show(self, line: BarLine, changed: bool = True) -> None:
        """Draw a line again, if it changed."""
        if changed:
            self.refresh(Region(0, self._lines.index(line), self.size.width, 1))

    def render_line(self, y: int) -> Strip:
        """Draw a line."""
        line = self._lines[y]
        return self.strip_of(line.parts(self.size.width), self.size.width, line.base)

    async def on_click(self, event: Click) -> None:
        """Do what the clicked key does."""
        action = self._lines[event.y].action_at(event.x)
        if action:
            await self.app.run_action(action, self.screen)


def parts_length(parts: Sequence[Part]) -> int:
    """Return the cells that parts take."""
    return sum(cell_len(text) for text, _ in parts)


def _cut(parts: Sequence[Part], width: int) -> list[Part]:
    cut: list[Part] = []
    for text, tone in parts:
        length = cell_len(text)
        if length > width:
            cut.append((crop_end(text, max(0, width)), tone))
            break
        cut.append((text, tone))
        width -= length
    return cut
