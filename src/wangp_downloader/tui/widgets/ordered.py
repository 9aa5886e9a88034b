"""An input whose keys act in the order in which they were typed, however fast they come."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.events import Event, Key, Paste
from textual.widgets import Input


class OrderedInput(Input, inherit_bindings=False):
    """An input that takes its keys from the application's own queue.

    Textual would queue letters for the widget, and an editing key typed after them would overtake them: here
    all editing keys have priority, and the application gives letters to :meth:`take`.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        replace(binding, priority=True)
        for binding in Input.BINDINGS
        if isinstance(binding, Binding) and binding.key != "enter"
    ]

    def take(self, event: Event) -> bool:
        """Take typed or pasted text at once; return whether the event was that."""
        if isinstance(event, Key) and event.is_printable and event.character is not None:
            text = event.character
        elif isinstance(event, Paste):
            text = " ".join(event.text.split())
        else:
            return False
        if self.selection.is_empty:
            self.insert_text_at_cursor(text)
        else:
            self.replace(text, *self.selection)
        return True
