"""Textual's command palette, for keys that come faster than it is laid out."""

from __future__ import annotations

from textual.command import CommandList, CommandPalette


class Palette(CommandPalette):
    """The command palette."""

    def _action_command_list(self, action: str) -> None:
        # Until its list has a place on the screen, Textual's paging looks for lines that do not exist.
        if self.query_one(CommandList).size:
            super()._action_command_list(action)
