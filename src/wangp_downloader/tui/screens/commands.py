"""The commands of the main screen, one method each; the table of commands names them.

A base of the main screen for the sake of size: what a key does is here, what is drawn is in ``main.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from textual.screen import Screen

from wangp_downloader.errors import DownloaderError
from wangp_downloader.tui import choosing
from wangp_downloader.tui.backend import Backend
from wangp_downloader.tui.desk import Desk, RunState
from wangp_downloader.tui.front import INFO, Question
from wangp_downloader.tui.messages import PlanArrived
from wangp_downloader.tui.rows import Row
from wangp_downloader.tui.state import UiState
from wangp_downloader.tui.widgets.filter import FilterInput
from wangp_downloader.tui.widgets.table import Table


class Host(Protocol):
    """The application, as the main screen needs it."""

    @property
    def state(self) -> UiState:
        """What was remembered."""

    def first_paint(self) -> None:
        """The table can be seen."""

    def remember_soon(self) -> None:
        """The view or the selection changed."""

    def set_details(self, shown: bool) -> None:
        """The details pane was opened or closed."""

    def keep_plan(self, message: PlanArrived) -> None:
        """A plan worth keeping for the next start."""

    def open_help(self) -> None:
        """Show all keys."""

    def open_log(self) -> None:
        """Show the log."""

    def log_grew(self, lines: Sequence[str]) -> None:
        """Lines came to the log."""

    def open_settings(self, error: DownloaderError | None) -> None:
        """Show the settings form."""

    async def action_quit(self) -> None:
        """Quit, asking if need be."""


class CommandsScreen(Screen[None]):
    """A screen with a desk and the commands that work on it."""

    desk: Desk
    backend: Backend
    filter: FilterInput

    host: Host

    if TYPE_CHECKING:  # The main screen has these.

        @property
        def table(self) -> Table:
            """The table that is shown."""

        @property
        def row(self) -> Row | None:
            """The file under the cursor."""

        def say(self, text: str, level: str = INFO) -> None:
            """Show a sentence in the status line."""

        def ask(
            self, question: Question, then: Callable[[], None], otherwise: Callable[[], None] | None = None
        ) -> None:
            """Ask, and call ``then`` if the answer is yes, ``otherwise`` if it is no."""

        def rows_replaced(self) -> None:
            """Show other rows."""

        def start_refresh(self, *, asked: bool = False) -> None:
            """Look at disk and Hub again."""

        def show_models(self, shown: bool) -> None:
            """Show the model table, or the file table."""

        def toggle_details(self) -> None:
            """Open or close the details."""

        def toggle_downloads(self) -> None:
            """Open or close the downloads pane."""

    def action_toggle_current(self) -> None:
        """Do what Enter does in the table."""
        self.table.action_activate()

    def action_focus_filter(self) -> None:
        """Go to the filter."""
        # Not widget.focus(): that is deferred, and the next letters would go to the table.
        self.set_focus(self.filter)
        self.filter.action_select_all()

    def action_leave_filter(self) -> None:
        """Go back to the table; the filter stays."""
        self.set_focus(self.table)

    def action_move_cursor(self, lines: int) -> None:
        """Move the table's cursor from the filter."""
        self.table.action_move(lines)

    def action_select_all(self) -> None:
        """Select all rows that are shown."""
        choosing.select_shown(self.desk)

    def action_select_none(self) -> None:
        """Unselect everything."""
        self.desk.selection_done(f"unselected {self.desk.files.clear_selection()}")

    def action_download(self) -> None:
        """Fetch the selection."""
        self.desk.start_selected()

    def action_retry(self) -> None:
        """Try again what failed."""
        self.desk.retry()

    def action_continue_parts(self) -> None:
        """Go on with interrupted downloads."""
        self.desk.continue_parts()

    def action_pause(self) -> None:
        """Pause or resume all."""
        self.desk.toggle_pause()

    def action_pause_row(self) -> None:
        """Pause or resume the row."""
        if self.row is not None:
            self.desk.toggle_pause_row(self.row)

    def action_cancel_row(self) -> None:
        """Cancel the row's download."""
        if self.row is not None:
            self.desk.cancel_row(self.row)

    def action_faster(self) -> None:
        """Raise the limit."""
        self.desk.change_limit(up=True)

    def action_slower(self) -> None:
        """Lower the limit."""
        self.desk.change_limit(up=False)

    def action_refresh(self) -> None:
        """Look again."""
        if self.desk.active or (not self.backend.idle and self.backend.engine is None):
            self.say("not now: wait until this is done")
            return
        self.say("looking again at disk and Hub")
        if self.backend.engine is None:
            self.backend.open()
        else:
            self.start_refresh(asked=True)

    def action_reset_cache(self) -> None:
        """Forget remote metadata, after asking."""
        if self.desk.active or self.backend.engine is None:
            self.say("not now: wait until this is done")
            return
        text = "Sizes and hashes of all files are asked for again. No file on the disk is touched."
        self.ask(Question("Reset the metadata cache?", text, "Reset", "Keep it"), self._reset)

    def _reset(self) -> None:
        self.desk.begin_refresh(asked=True)
        self.say("the cache is empty: asking the Hub again")
        self.backend.reset_cache()

    def action_show_all(self) -> None:
        """Show missing files, or all."""
        choosing.toggle_show_all(self.desk)
        self.host.remember_soon()

    def action_variants(self) -> None:
        """Show variants, or only what the settings pick."""
        choosing.toggle_variants(self.desk)
        self.host.remember_soon()

    def action_model_view(self) -> None:
        """Switch between files and models."""
        self.show_models(not self.desk.models_shown)
        self.host.remember_soon()

    def action_details(self) -> None:
        """Open or close the details."""
        self.toggle_details()

    def action_downloads(self) -> None:
        """Open or close the downloads pane."""
        self.toggle_downloads()

    def action_log(self) -> None:
        """Show the log."""
        self.host.open_log()

    def action_sort(self) -> None:
        """Sort by the next column."""
        choosing.sort_by_next(self.desk, self.table.shown_columns)
        self.rows_replaced()
        self.host.remember_soon()

    def action_reverse(self) -> None:
        """Turn the order round."""
        choosing.reverse(self.desk)
        self.rows_replaced()
        self.host.remember_soon()

    def action_help(self) -> None:
        """Show all keys."""
        self.host.open_help()

    def action_settings(self) -> None:
        """Change settings."""
        self.host.open_settings(None)

    async def action_leave(self) -> None:
        """Quit."""
        await self.host.action_quit()

    async def action_back(self) -> None:
        """Go back to the table, else clear the filter, else abort downloads, else quit."""
        if self.focused is not self.table:
            self.set_focus(self.table)
        elif self.desk.files.settings.text and not self.desk.active:
            self.filter.value = ""
            self.say("filter cleared: Escape again quits")
        elif self.desk.run is RunState.STOPPING:
            self.say("stopping: what arrived is kept")
        elif self.desk.active:
            text = "What has arrived is kept: the next download goes on from there."
            self.ask(Question("Abort the downloads?", text, "Abort", "Go on"), self.desk.stop)
        else:
            await self.host.action_quit()
