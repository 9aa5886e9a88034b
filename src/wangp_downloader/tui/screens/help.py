"""All keys on one screen, made from the table of commands."""

from __future__ import annotations

from itertools import groupby
from typing import ClassVar

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from wangp_downloader.tui.commands import COMMANDS, TABLE_KEYS

_KEY_CELLS = 15
Section = tuple[str, tuple[tuple[str, str], ...]]


class HelpScreen(ModalScreen[None]):
    """Shows the keys until one is pressed that closes it."""

    AUTO_FOCUS = "#help"
    CSS_PATH = "dialogs.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,question_mark,f1,enter", "close", "Close", show=False),
        Binding("j", "scroll(1)", "Down", show=False),
        Binding("k", "scroll(-1)", "Up", show=False),
    ]

    def compose(self) -> ComposeResult:
        """Lay out the keys in two columns where there is room."""
        with VerticalScroll(id="help"):
            yield Static("Keys", id="dialog-title")
            with Vertical(id="help-columns"):
                for text in help_columns():
                    yield Static(text, classes="help-column")
            yield Static("Escape closes. Every command is also in the palette: Ctrl+p", id="help-foot")

    def action_close(self) -> None:
        """Go back."""
        self.dismiss()

    def action_scroll(self, lines: int) -> None:
        """Scroll with the table's keys."""
        self.query_one("#help").scroll_relative(y=lines, animate=False)


def help_columns() -> list[Group]:
    """Return the two columns of the help."""
    sections: list[Section] = [("Move", TABLE_KEYS[1:])]
    for group, commands in groupby(COMMANDS, key=lambda command: command.group):
        keys = tuple((command.shown, command.help) for command in commands)
        sections.append((group, (TABLE_KEYS[0], *keys) if group == "Choose" else keys))
    order = [sections[1], sections[2], sections[3], sections[0], sections[4]]
    return [_column(order[:2]), _column(order[2:])]


def _column(sections: list[Section]) -> Group:
    parts: list[RenderableType] = []
    for title, keys in sections:
        # A grid, so that long words are wrapped beside their key and not below it.
        grid = Table.grid()
        grid.add_column(width=_KEY_CELLS + 2, style="bold dim")
        grid.add_column(ratio=1)
        for key, words in keys:
            grid.add_row(f"  {key}", words)
        parts += [Text(f"\n{title}" if parts else title, "bold"), grid]
    return Group(*parts)
