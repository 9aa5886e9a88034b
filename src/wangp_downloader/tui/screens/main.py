"""The main screen: composes tables, bars and panes, and turns keys into calls of the desk.

Owns what is where and when it is drawn; what may happen when is the desk's business.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.events import Resize
from textual.widgets import Input

from wangp_downloader.paths import printable
from wangp_downloader.tui import bars, choosing
from wangp_downloader.tui.backend import Backend
from wangp_downloader.tui.commands import COMMANDS, bindings
from wangp_downloader.tui.desk import Desk, RunState
from wangp_downloader.tui.front import ERROR, INFO, Question
from wangp_downloader.tui.messages import (
    DiskMeasured,
    EngineOpened,
    EngineRefused,
    PlanArrived,
    PlanPrepared,
    RefreshEnded,
    RunEnded,
)
from wangp_downloader.tui.models import ModelRow
from wangp_downloader.tui.painting import (
    FILE_COLUMNS,
    MODEL_COLUMNS,
    file_columns,
    model_widths,
    paint_file,
    paint_model,
)
from wangp_downloader.tui.rows import Row
from wangp_downloader.tui.screens.commands import Host
from wangp_downloader.tui.screens.panes import MIDDLE_CELLS, TALL_CELLS, WIDE_CELLS, PanesScreen
from wangp_downloader.tui.widgets.bar import BASES, TONES, BarLine, Bars, KeyLine
from wangp_downloader.tui.widgets.filter import FilterInput
from wangp_downloader.tui.widgets.table import Table, widest

if TYPE_CHECKING:
    from wangp_downloader.tui.engine import Engine
    from wangp_downloader.tui.state import UiState

_TICK_S = 0.1
_PANE_TICKS = 2
_STATUS_TICKS = 5
_SPEED_TICKS = 5
_DISK_TICKS = 50
_COMMAND_NAMES = frozenset(command.action for command in COMMANDS)


class MainScreen(PanesScreen):
    """The screen that the program opens with.

    Args:
        make_desk: Builds the desk around this screen.
        backend: The engine's lane.
        host: The application.

    Attributes:
        stale: True while progress that came is not drawn yet.
    """

    AUTO_FOCUS = "#files"
    COMPONENT_CLASSES: ClassVar[set[str]] = set(TONES | BASES)
    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings(),
        Binding("ctrl+q", "app.quit", "Quit", show=False, priority=True),
    ]

    def __init__(self, make_desk: Callable[[MainScreen], Desk], backend: Backend, host: Host) -> None:
        super().__init__(classes=_size_classes())
        self.host = host
        self.desk = make_desk(self)
        self.backend = backend
        # Kept here, not queried for: they are wanted also while the screen is being taken down.
        self.files = Table(FILE_COLUMNS, paint_file, activate=self.toggle_row, id="files")
        self.filter = FilterInput(self.apply_filter, id="filter")
        self.header = BarLine("bar--panel")
        self.banner = BarLine("bar--banner")
        self.selection = BarLine("bar--panel")
        self.status = BarLine("bar--surface")
        self.keys = KeyLine("bar--keys")
        self._top = Bars(self.header, id="top")
        self._foot = Bars(self.selection, self.status, self.keys, id="foot")
        self._ticks = 0
        self.stale = False
        self._said = ("", INFO)
        self._models: Table | None = None
        self._columns_for: tuple[object, ...] = ("",)
        self._shown_models: list[ModelRow] | None = None
        self._moved_to: object = None
        self._ran = False
        self._covered = False
        self._measured = ""
        self._returning = bool(host.state.cursor)

    def compose(self) -> ComposeResult:
        """Lay out what the first frame needs; panes are made when they are first opened."""
        self.filter.value = self.desk.files.settings.text
        yield self._top
        yield self.filter
        with Container(id="body"):
            yield self.files
        yield self._foot

    def on_mount(self) -> None:
        """Show what is known, then let the engine begin."""
        self._timer = self.set_interval(_TICK_S, self._tick)
        self.app.theme_changed_signal.subscribe(self, lambda _: self.host.remember_soon())
        self.files.empty_text = "reading Wan2GP's definitions …"
        self.rows_replaced()
        self.selection_changed()
        self.run_changed()
        self._show_status()
        if self.desk.models_shown:
            self.show_models(True)
        if self.host.state.details:
            self.toggle_details()
        self.call_after_refresh(self.host.first_paint)

    # Parts

    @property
    def table(self) -> Table:
        """The table that is shown."""
        return self._models if self._models is not None and self.desk.models_shown else self.files

    @property
    def row(self) -> Row | None:
        """The file under the cursor; None in the model view."""
        current = self.files.current
        return current if isinstance(current, Row) and not self.desk.models_shown else None

    # Front: what the desk has shown

    def say(self, text: str, level: str = INFO) -> None:
        """Show a sentence in the status line."""
        self._said = (printable(text), level)
        self._show_status()

    def unsay(self, text: str) -> None:
        """Take a sentence back if it is still the one that is shown."""
        if self._said[0] == printable(text):
            self.say("")

    def ask(
        self, question: Question, then: Callable[[], None], otherwise: Callable[[], None] | None = None
    ) -> None:
        """Ask, and call ``then`` if the answer is yes, ``otherwise`` if it is no."""
        from wangp_downloader.tui.screens.confirm import ConfirmScreen  # noqa: PLC0415 - start-up

        def answered(yes: bool | None) -> None:
            if yes:
                then()
            elif otherwise is not None:
                otherwise()

        self.app.push_screen(ConfirmScreen(question), answered)

    def rows_replaced(self) -> None:
        """Show other rows, in the order of the view; called at every keystroke in the filter."""
        desk = self.desk
        self._fit_columns()
        if desk.models_shown and self._models is not None:
            self._models.set_sort(desk.models.sort, desk.models.descending)
            self._models.show(desk.models.view)
        else:
            if desk.fresh or desk.files.rows:
                self.files.empty_text = _nothing_text(desk)
            self.files.set_sort(desk.files.settings.sort, desk.files.settings.descending)
            self._show_files()
        self.filter.set_note(bars.view(desk))

    def _show_files(self) -> None:
        state, view = self.host.state, self.desk.files.view
        row = self.desk.files.by_key.get(state.cursor) if self._returning else None
        if row is None or row.position < 0:
            self.files.show(view)
        else:
            self.files.show(view, keep=row.key, line=state.line)
            self._returning = False

    def _fit_columns(self) -> None:
        desk = self.desk
        settings = desk.files.settings
        # While one types, the columns stand still; they fit what is left when the table has the keys again.
        text = self._columns_for[-1] if self._filtering else settings.text
        shown_for = (desk.files.rows, desk.active, settings.show_all, settings.variants, text)
        if self._columns_for != shown_for:
            self._columns_for = shown_for
            self.files.set_columns(file_columns(desk.files.view or desk.files.rows, running=desk.active))
        if self._models is not None and self._shown_models is not desk.models.rows:
            self._shown_models = desk.models.rows
            widths = model_widths(desk.models.rows)
            self._models.set_columns([widest(widths, column) for column in MODEL_COLUMNS])

    def rows_changed(self, rows: Sequence[Row]) -> None:
        """Draw these rows again."""
        for row in rows:
            self.files.line_changed(row)
        current = self.row
        if (
            self._details is not None
            and self._details.display
            and current in rows
            and self._ticks % _SPEED_TICKS == 0
        ):
            self._show_details()

    def run_changed(self) -> None:
        """Show the run's state, the limit, the parts on offer, the keys that can be used."""
        if self.desk.active and not self._ran:
            self.open_pane()
        elif self._ran and not self.desk.active:
            self.fold_pane()
        if self._ran != self.desk.active:
            self._ran = self.desk.active
            self._fit_columns()
        self._show_header()
        self._show_banner()
        self._show_keys()
        self._show_pane()
        self._show_status()

    def selection_changed(self) -> None:
        """Show what the selection amounts to."""
        self.files.refresh()
        if self._models is not None:
            self._models.refresh()
        if self.desk.folder != self._measured:
            self.measure_disk()
        self._show_sums()
        self._show_keys()
        self.host.remember_soon()

    def log_grew(self, lines: Sequence[str]) -> None:
        """Add lines to the log where it is shown."""
        if self._pane is not None:
            self._pane.add_lines(lines)
        self.host.log_grew(lines)

    def progressed(self) -> None:
        """Show progress, though not more often than the eye can follow."""
        self.stale = True

    # Drawing

    def _show_header(self) -> None:
        self._top.show(self.header, self.header.set(*bars.header(self.desk)))

    def _show_sums(self) -> None:
        self._foot.show(self.selection, self.selection.set(*bars.selection(self.desk)))
        self._show_header()

    def _show_status(self) -> None:
        self._foot.show(self.status, self.status.set(*bars.status(self.desk, *self._said)))

    def _show_banner(self) -> None:
        parts = bars.banner(self.desk)
        self.banner.set(parts)
        if parts and self._banner is None:
            self._banner = Bars(self.banner, id="banner")
            self.mount(self._banner, before="#body")
        elif self._banner is not None:
            self._banner.display = bool(parts)
            self._banner.refresh()
        self.fit_panes()

    def _show_keys(self) -> None:
        enabled = {name: self._usable(name) for name in _COMMAND_NAMES}
        keys = bars.keys(self.desk, filtering=self._filtering, enabled=enabled) if not self._covered else []
        self._foot.show(self.keys, self.keys.set_keys(keys))

    def _tick(self) -> None:
        self._ticks += 1
        idle = self.backend.idle
        self.desk.collect()
        all_due = idle or self._ticks % _STATUS_TICKS == 0
        if self.stale and (all_due or self._ticks % _PANE_TICKS == 0):
            self._show_pane()
        if self.stale and all_due:
            self.stale = False
            self._show_status()
            self._show_sums()
        if self._ticks % _SPEED_TICKS == 0:
            self.desk.remember_speed()
        if self._ticks % _DISK_TICKS == 0:
            self.measure_disk()
        if idle:
            self._timer.pause()

    def wake(self) -> None:
        """Look for events again: the engine was given something to do."""
        if self.is_mounted:
            self._timer.resume()

    def measure_disk(self) -> None:
        """Ask for the free space of the disk that downloads go to."""
        self._measured = self.desk.folder
        if self._measured:
            self.backend.measure_disk(self._measured)

    # Answers of the engine

    def on_engine_opened(self, message: EngineOpened) -> None:
        """The session is there."""
        settings = message.engine.settings
        self.desk.root = str(settings.wan2gp_directory or "")
        self.desk.take_limit(settings.bandwidth_limit_kb)
        self.desk.no_network = message.engine.loaded.offline
        self._show_status()
        self.measure_disk()
        self._show_header()

    def on_engine_refused(self, message: EngineRefused) -> None:
        """No session: the configuration must be put right first."""
        self.desk.forget_plan()
        self.files.empty_text = message.error.message
        self.files.refresh()
        self.say(message.error.message, ERROR)
        self.host.open_settings(message.error)

    def on_plan_arrived(self, message: PlanArrived) -> None:
        """A newer plan."""
        first = not self.desk.fresh
        self.desk.take_plan(message)
        self._returning = False
        self._show_details()
        self.host.keep_plan(message)
        if first:
            self.start_refresh()

    def on_refresh_ended(self, message: RefreshEnded) -> None:
        """All is looked at again."""
        self.desk.refresh_ended(message.error)

    def on_plan_prepared(self, message: PlanPrepared) -> None:
        """The selection is planned exactly."""
        self.desk.take_prepared(message.plan)

    def on_run_ended(self, message: RunEnded) -> None:
        """A run is over."""
        self.desk.run_ended(message)
        self.measure_disk()

    def on_disk_measured(self, message: DiskMeasured) -> None:
        """The free space is known."""
        if message.folder == self._measured and message.free != self.desk.free:
            self.desk.free = message.free
            self._foot.show(self.selection, self.selection.set(*bars.selection(self.desk)))
            self._show_pane()

    def start_refresh(self, *, asked: bool = False) -> None:
        """Look at disk and Hub again, in the background; with ``asked`` the end says what changed."""
        self.desk.begin_refresh(asked=asked)
        self.backend.refresh()

    def restart(self, factory: Callable[[], Engine], said: str) -> None:
        """Begin again with another session."""
        self.desk.fresh = False
        self.say(said)
        self.backend.reopen(factory)

    def take_view(self, state: UiState) -> None:
        """Show what a state says, with its selection and nothing else selected."""
        self.desk.take_view(state)
        self.filter.value = state.text
        if state.models != self.desk.models_shown:
            self.show_models(state.models)
        self.selection_changed()

    # Table and filter

    def apply_filter(self, text: str) -> None:
        """Filter both tables; called at every keystroke, in the same frame."""
        self.desk.set_view(text=text)
        self.host.remember_soon()

    def toggle_row(self, row: Row | ModelRow) -> None:
        """Pick or drop a file; pick all that a model needs."""
        if isinstance(row, ModelRow):
            choosing.toggle_model(self.desk, row)
        else:
            self.desk.selection_done(self.desk.files.toggle(row))

    def on_table_moved(self) -> None:
        """Show the details of another row."""
        if self.table.current is not self._moved_to:
            self._moved_to = self.table.current
            self._show_details()

    def on_table_opened(self) -> None:
        """Open the details of a row that was clicked twice."""
        if not self.host.state.details:
            self.toggle_details()

    def on_table_header_clicked(self, message: Table.HeaderClicked) -> None:
        """Sort by a column; by the same again: the other way round, then not at all."""
        choosing.sort_by(self.desk, message.column)
        self.rows_replaced()
        self.host.remember_soon()

    def on_descendant_focus(self) -> None:
        """Show the keys of what has the focus now; after the filter, fit the columns to what it left."""
        self._fit_columns()
        self._show_keys()

    def on_screen_suspend(self) -> None:
        """Show no keys under a dialog: they do nothing there."""
        self._covered = True
        self._show_keys()

    def on_screen_resume(self) -> None:
        """Show the keys again."""
        self._covered = False
        self._show_keys()

    def on_resize(self, event: Resize) -> None:
        """Draw again what depends on the size."""
        self.fit_panes()
        self._show_pane()

    @property
    def _filtering(self) -> bool:
        return isinstance(self.focused, Input)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Letters are text while the filter has the focus."""
        return not (action in _COMMAND_NAMES and self._filtering)

    def _usable(self, action: str) -> bool:
        """Whether a key can do something now: else it is grey, and says why when it is pressed."""
        if action == "download":
            return any(row.selected for row in self.desk.files.rows)
        return action not in ("pause", "pause_row", "cancel_row") or self.desk.run is RunState.RUNNING

    def show_models(self, shown: bool) -> None:
        """Show the model table, or the file table."""
        self.desk.models_shown = shown
        if self._models is None:
            self._models = Table(MODEL_COLUMNS, paint_model, activate=self.toggle_row, id="models")
            self.query_one("#body").mount(self._models, before="#files")
        self.desk.models.recount()
        self._models.display = shown
        self.files.display = not shown
        self.desk.show_view()
        self.call_after_refresh(self.set_focus, self.table)


def _size_classes() -> str:
    # What the breakpoints will say, before the first frame: a class that changes later styles all widgets twice.
    size = shutil.get_terminal_size()
    columns = size.columns
    wide = "-wide" if columns >= WIDE_CELLS else "-middle" if columns >= MIDDLE_CELLS else "-narrow"
    return f"{wide} {'-tall' if size.lines >= TALL_CELLS else '-short'}"


def _nothing_text(desk: Desk) -> str:
    if desk.files.settings.text:
        return "nothing matches the filter: Escape clears it"
    if desk.files.settings.show_all or not desk.files.rows:
        return "Wan2GP's definitions name no files"
    return "nothing is missing: s shows all files"
