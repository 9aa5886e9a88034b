"""Every command of the main screen, once: keys, footer, help and command palette are made from this table.

Owns names, keys and words. What a command does is the method ``action_<name>`` of the main screen.
"""

from __future__ import annotations

from dataclasses import dataclass

from textual.binding import Binding


@dataclass(frozen=True, slots=True)
class Command:
    """One thing that the user can ask for.

    Attributes:
        action: Name of the action.
        keys: Textual's names of its keys, with commas.
        shown: The keys as people read them.
        label: One or two words for the footer.
        help: One line for the help and the command palette.
        group: Heading in the help.
        footer: Its place in the footer, or 0 if it is not there; narrow terminals drop the highest first.
    """

    action: str
    keys: str
    shown: str
    label: str
    help: str
    group: str
    footer: int = 0


CHOOSE, FETCH, VIEW, PROGRAM = "Choose", "Fetch", "View", "Program"

COMMANDS = (
    Command("focus_filter", "slash,f", "/ f", "Filter", "filter as you type; !word leaves out", CHOOSE, 2),
    Command("select_all", "a", "a", "All", "select all rows that are shown", CHOOSE, 5),
    Command("select_none", "u", "u", "None", "unselect everything", CHOOSE, 8),
    Command("download", "d", "d", "Download", "link and download the selection", FETCH, 1),
    Command("retry", "R,shift+r", "R", "Retry", "try again what failed", FETCH),
    Command("continue_parts", "c", "c", "Continue", "go on with interrupted downloads", FETCH),
    Command("pause", "p", "p", "Pause", "pause or resume all downloads", FETCH),
    Command("pause_row", "P,shift+p", "P", "Pause row", "pause or resume the row's download", FETCH),
    Command("cancel_row", "x", "x", "Cancel row", "cancel this download, keep what arrived", FETCH),
    Command("faster", "plus,equals_sign", "+", "Faster", "raise the bandwidth limit", FETCH),
    Command("slower", "minus", "-", "Slower", "lower the bandwidth limit", FETCH),
    Command("refresh", "f5,ctrl+r", "F5", "Refresh", "look again at disk and Hub", FETCH),
    Command("reset_cache", "r", "r", "Reset cache", "ask the Hub again about everything", FETCH),
    Command("show_all", "s", "s", "Show all", "show missing files only, or all files", VIEW, 6),
    Command("variants", "v", "v", "Variants", "files your settings do not pick, too", VIEW, 7),
    Command("model_view", "m", "m", "Models", "switch between files and models", VIEW, 4),
    Command("details", "i", "i", "Info", "why a file is needed, its origin", VIEW, 9),
    Command("downloads", "t", "t", "Transfers", "open or close the downloads pane", VIEW),
    Command("log", "L,shift+l", "L", "Log", "read and copy the log", VIEW),
    Command("sort", "o", "o", "Order", "sort by the next column", VIEW),
    Command("reverse", "O,shift+o", "O", "Reverse", "turn the order round", VIEW),
    Command("help", "question_mark,f1", "?", "Help", "all keys", PROGRAM, 3),
    Command("settings", "comma,f2", ",", "Settings", "change settings", PROGRAM),
    Command("back", "escape", "Esc", "Back", "to the table, clear filter, abort, quit", PROGRAM),
    Command("leave", "q", "q", "Quit", "quit", PROGRAM, 10),
)

TABLE_KEYS = (
    ("Enter Space", "select the row and its noise partner"),
    ("↑ ↓ k j", "move"),
    ("PgUp PgDn", "move by a page"),
    ("Ctrl+u Ctrl+d", "move by half a page"),
    ("g G Home End", "first and last row"),
    ("click", "move; heading: sort; twice: details"),
)
"""Keys that the table itself answers to, for the help."""


def bindings() -> list[Binding]:
    """Return the key bindings of the main screen.

    All have priority: they then run in the order in which the keys were typed. Whether a key is one of these
    or text for the filter is decided by the screen's ``check_action``.
    """
    return [
        Binding(
            command.keys,
            command.action,
            command.label,
            show=bool(command.footer),
            # Escape must reach menus and the palette first.
            priority=command.action != "back",
            id=command.action,
            tooltip=command.help,
        )
        for command in COMMANDS
    ]
