"""The settings form: what was found on this machine, what can be changed, checked while one types."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.message import Message
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Label, Select, Static

from wangp_downloader.errors import CatalogError, DownloaderError
from wangp_downloader.tui.engine import Finding, Setup, SetupField
from wangp_downloader.tui.widgets.ordered import OrderedInput


class FieldInput(OrderedInput):
    """An input of the form; Enter goes on to the next field."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter,tab,ctrl+j", "app.focus_next", "Next", show=False, priority=True),
        Binding("shift+tab", "app.focus_previous", "Previous", show=False, priority=True),
    ]


class SetupScreen(ModalScreen[str | None]):
    """The form; returns the path of the written file, ``"demo"``, ``"quit"`` or None.

    Args:
        setup: Knows, checks and writes the settings.
        error: Why the program can not start as it is: then this is the first-run form.
        with_demo: Whether there is a demo to offer.
    """

    CSS_PATH = "dialogs.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+s", "save", "Save", priority=True),
        Binding("escape", "cancel", "Back"),
    ]

    class Looked(Message):
        """What was found on this machine."""

        def __init__(self, findings: Sequence[Finding], fields: Sequence[SetupField]) -> None:
            super().__init__()
            self.findings = findings
            self.fields = fields

    class LookFailed(Message):
        """The present settings can not be read."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    def __init__(self, setup: Setup, error: DownloaderError | None, *, with_demo: bool) -> None:
        super().__init__()
        self.setup = setup
        self.error = error
        self.with_demo = with_demo
        self._fields: dict[str, SetupField] = {}
        self._problems: dict[str, str] = {}

    @property
    def first_run(self) -> bool:
        """True if nothing works before this form is saved."""
        return self.error is not None

    @property
    def gone(self) -> bool:
        """True if the folder that the settings name is no Wan2GP any more."""
        return isinstance(self.error, CatalogError)

    def compose(self) -> ComposeResult:
        """Lay out the frame; the fields follow when they are known."""
        with Vertical(id="setup", classes="-first-run" if self.first_run else ""):
            yield Static(self._title(), id="dialog-title")
            with VerticalScroll(id="setup-form"):
                yield Static(self._welcome(), id="setup-welcome", markup=False)
                yield Static("looking around on this machine …", id="setup-found", markup=False)
            with Vertical(id="setup-foot"):
                yield Static("", id="setup-problem", markup=False)
                with Horizontal(id="dialog-buttons"):
                    yield Button("Save (^s)", id="save", variant="primary", compact=True, disabled=True)
                    if self.with_demo:
                        yield Button("Try the demo", id="demo", compact=True)
                    yield Button("Quit" if self.first_run else "Back", id="cancel", compact=True)

    def _title(self) -> str:
        if self.error is None:
            return "Settings"
        return "The Wan2GP folder is gone" if self.gone else "Welcome"

    def _welcome(self) -> str:
        if self.error is None:
            return "Ctrl+s writes config.yaml and loads the table anew."
        if self.gone:
            return f"{self.error.message}\nmount it, or choose another"
        hint = f"\n{self.error.hint}" if self.error.hint else ""
        return f"{self.error.message}{hint}"

    def on_mount(self) -> None:
        """Look around in a thread: a network disk may take its time."""
        threading.Thread(target=self._look, name="look-around", daemon=True).start()

    def _look(self) -> None:
        try:
            found = self.Looked(self.setup.findings(), self.setup.fields())
        except DownloaderError as error:
            self.post_message(self.LookFailed(error.message))
        else:
            self.post_message(found)

    async def on_setup_screen_looked(self, message: Looked) -> None:
        """Show what was found and the fields with their values."""
        fields = [field for field in message.fields if not (self.first_run and field.advanced)]
        self._fields = {field.key: field for field in fields}
        form = self.query_one("#setup-form")
        for field in fields:
            label = Label(field.label, id=f"label-{field.key}", classes="field-label", markup=False)
            await form.mount(label, _editor(field))
            await form.mount(Static("", id=f"note-{field.key}", classes="field-note", markup=False))
            self._check(field.key, field.value)
        self.query_one("#setup-found", Static).update(_found_text(message.findings))
        if fields:
            self.set_focus(self.query_one(f"#field-{fields[0].key}"), scroll_visible=False)
            self.call_after_refresh(self._reveal, fields[0].key)

    def _reveal(self, key: str) -> None:
        # No further than is needed: what was found stays in sight where there is room for both.
        form = self.query_one("#setup-form")
        for part in (f"#note-{key}", f"#label-{key}"):
            form.scroll_to_widget(self.query_one(part), animate=False)

    def on_setup_screen_look_failed(self, message: LookFailed) -> None:
        """Say why there is no form."""
        self.query_one("#setup-found", Static).update(message.text)

    def on_input_changed(self, event: Input.Changed) -> None:
        """Check what is typed."""
        if event.input.id:
            self._check(event.input.id.removeprefix("field-"), event.value)

    def on_select_changed(self, event: Select.Changed) -> None:
        """Check what was chosen."""
        if event.select.id:
            self._check(event.select.id.removeprefix("field-"), str(event.value))

    def _check(self, key: str, text: str) -> None:
        problem = self.setup.validate(key, text)
        note = self.query_one(f"#note-{key}", Static)
        note.update(f"✗ {problem}" if problem else self._fields[key].help)
        note.set_class(problem is not None, "-bad")
        if problem:
            self._problems[key] = problem
        else:
            self._problems.pop(key, None)
        self.query_one("#save", Button).disabled = bool(self._problems)

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Save, try the demo or leave."""
        match event.button.id:
            case "save":
                self.action_save()
            case "demo":
                self.dismiss("demo")
            case _:
                self.action_cancel()

    def action_cancel(self) -> None:
        """Leave without saving."""
        self.dismiss("quit" if self.first_run else None)

    def action_save(self) -> None:
        """Write the file and leave."""
        if not self._fields or self._problems:
            return
        try:
            path = self.setup.save({key: self._value(key) for key in self._fields})
        except DownloaderError as error:
            self.query_one("#setup-problem", Static).update(f"✗ {error.message}")
            return
        self.dismiss(path)

    def _value(self, key: str) -> str:
        editor = self.query_one(f"#field-{key}")
        return editor.value if isinstance(editor, Input) else str(getattr(editor, "value", ""))


def _editor(field: SetupField) -> Input | Select[str]:
    if field.choices:
        options = [(choice, choice) for choice in field.choices]
        return Select(options, value=field.value, allow_blank=False, id=f"field-{field.key}", compact=True)
    editor = FieldInput(field.value, id=f"field-{field.key}", compact=True)
    editor.cursor_blink = False
    return editor


def _found_text(findings: Sequence[Finding]) -> Text:
    text = Text()
    width = max((len(finding.label) for finding in findings), default=0)
    for index, finding in enumerate(findings):
        text.append("\n" if index else "")
        text.append("✓ " if finding.found else "· ", "bold" if finding.found else "dim")
        text.append(f"{finding.label:<{width}}  ", "" if finding.found else "dim")
        text.append(finding.detail or ("found" if finding.found else "not found"), "dim")
    return text
