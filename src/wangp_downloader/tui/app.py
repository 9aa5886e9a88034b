"""The application: wires the main screen to the engine, remembers, and ends well.

Owns themes, persistence, the palette and every way out. What the screens show is not its business.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from rich.text import Text
from textual.app import App, SystemCommand
from textual.events import Event as InputEvent
from textual.events import Key, Paste
from textual.screen import Screen
from textual.theme import ThemeProvider
from textual.timer import Timer

from wangp_downloader.errors import DownloaderError
from wangp_downloader.tui import terminal
from wangp_downloader.tui.backend import Backend
from wangp_downloader.tui.commands import COMMANDS
from wangp_downloader.tui.desk import Desk
from wangp_downloader.tui.front import Question
from wangp_downloader.tui.messages import PlanArrived
from wangp_downloader.tui.plan_cache import save_plan
from wangp_downloader.tui.screens.main import MainScreen
from wangp_downloader.tui.screens.palette import Palette
from wangp_downloader.tui.screens.panes import MIDDLE_CELLS, TALL_CELLS, WIDE_CELLS
from wangp_downloader.tui.state import UiState, load_state, save_state
from wangp_downloader.tui.widgets.ordered import OrderedInput
from wangp_downloader.tui.wiring import Wiring

if TYPE_CHECKING:
    from wangp_downloader.events import Event
    from wangp_downloader.snapshot import Mailbox

log = logging.getLogger(__name__)

DEFAULT_THEME = "textual-dark"
_OPENING_DEMO = "opening the demo"
_SAVE_AFTER_S = 0.5
_STOP_TIMEOUT_S = 3.0
_IDLE_TIMEOUT_S = 0.5


class DownloaderApp(App[None]):
    """The program in a terminal.

    Args:
        wiring: Its engine and its files.
    """

    TITLE = "WanGP Downloader"
    CSS_PATH = "styles.tcss"
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (MIDDLE_CELLS, "-middle"), (WIDE_CELLS, "-wide")]  # noqa: RUF012 - declared so by Textual
    VERTICAL_BREAKPOINTS = [(0, "-short"), (TALL_CELLS, "-tall")]  # noqa: RUF012 - declared so by Textual

    def __init__(self, wiring: Wiring) -> None:
        super().__init__()
        self.wiring = wiring
        self.state = load_state(wiring.state_path)
        self.backend = Backend(
            wiring.open_engine,
            emit=self._take_event,
            post=self._post_to_main,
            wake=self._wake_main,
            free_bytes=wiring.free_bytes,
            log_path=wiring.log_path,
        )
        self.main = MainScreen(self._make_desk, self.backend, self)
        self.crash_log: Path | None = None
        self._save_timer: Timer | None = None
        self._saving = threading.Lock()
        self._saves = 0
        self._saving_plan = threading.Lock()
        self._plans = 0
        self._before_demo: UiState | None = None
        self._quitting = False
        self._frozen = False
        self._in_demo = False

    @cached_property
    def mailbox(self) -> Mailbox:
        """Where the engine's events wait for the next tick."""
        from wangp_downloader.snapshot import Mailbox  # noqa: PLC0415 - start-up

        return Mailbox()

    def _make_desk(self, front: MainScreen) -> Desk:
        desk = Desk(front, self.backend, lambda: self.mailbox, self.state, self.wiring.clock)
        last = self.wiring.last
        if last is not None:
            desk.preload(last.plan, last.models)
        return desk

    # Life

    def get_default_screen(self) -> Screen[None]:
        """Open with the main screen."""
        return self.main

    def on_mount(self) -> None:
        """Take the remembered theme, listen to signals."""
        if self.state.theme in self.available_themes:
            self.theme = self.state.theme
        if self.wiring.hard_exit:
            terminal.handle_signals(self)

    async def on_event(self, event: InputEvent) -> None:
        """Give text to inputs at once, everything else to Textual."""
        if isinstance(event, Key | Paste) and not event.is_forwarded and self.screen_stack:
            focused = self.focused
            if isinstance(focused, OrderedInput) and focused.take(event):
                return
        await super().on_event(event)

    def first_paint(self) -> None:
        """The table can be seen: now the engine may take its time."""
        gc.enable()
        _ = self.mailbox
        self.backend.open()

    def _take_event(self, event: Event) -> None:
        self.mailbox(event)

    def _post_to_main(self, message: object) -> None:
        # A thread of the engine may outlive the application.
        with contextlib.suppress(RuntimeError):
            self.main.post_message(message)  # type: ignore[arg-type]

    def _wake_main(self) -> None:
        self.main.wake()

    # Memory

    def remember_soon(self) -> None:
        """Write ``ui.json`` in a moment, unless something changes again before."""
        if self._save_timer is not None:
            self._save_timer.stop()
        if self.is_running and not self._quitting and not self._in_demo:
            self._save_timer = self.set_timer(_SAVE_AFTER_S, self._save_in_thread)

    def _save_in_thread(self) -> None:
        self._saves += 1
        arguments = (self._state_now(), self._saves)
        threading.Thread(target=self._save, args=arguments, name="save-ui", daemon=True).start()

    def _state_now(self) -> UiState:
        current = self.main.files.current
        cursor = current.key if current is not None else ""
        return replace(
            self.main.desk.remember(self.state), theme=self.theme, cursor=cursor, line=self.main.files.line
        )

    def _save(self, state: UiState, number: int) -> None:
        with self._saving:
            if number < self._saves:
                return  # a newer state is written, or about to be
            try:
                save_state(self.wiring.state_path, state)
            except OSError as error:
                log.warning("can not write %s: %s", self.wiring.state_path, error)

    def save_now(self) -> None:
        """Write ``ui.json`` at once; the demo leaves no trace."""
        if self._in_demo:
            return
        self._saves += 1
        self._save(self._state_now(), self._saves)

    def set_details(self, shown: bool) -> None:
        """Remember whether the details pane is open."""
        self.state = replace(self.state, details=shown)
        self.remember_soon()

    def keep_plan(self, message: PlanArrived) -> None:
        """Keep a plan for the first frame of the next start."""
        if not self._in_demo:
            self._plans += 1
            arguments = (message, self.wiring.mark(), self._plans)
            threading.Thread(target=self._save_plan, args=arguments, name="save-plan", daemon=True).start()
        else:
            self.main.unsay(_OPENING_DEMO)
        if self.wiring.hard_exit and not self._frozen:
            # The rows stay: a collection that walks all of them would be seen as a slow keystroke.
            self._frozen = True
            gc.collect()
            gc.freeze()
            gc.enable()

    def _save_plan(self, message: PlanArrived, mark: str, number: int) -> None:
        with self._saving_plan:
            if number == self._plans:  # else a newer plan is about to be written
                save_plan(self.wiring.plan_path, mark, message.plan, message.models)

    # Screens

    def open_help(self) -> None:
        """Show all keys."""
        from wangp_downloader.tui.screens.help import HelpScreen  # noqa: PLC0415 - start-up

        self.push_screen(HelpScreen())

    def open_log(self) -> None:
        """Show the log."""
        from wangp_downloader.tui.screens.log import LogScreen  # noqa: PLC0415 - start-up

        self.push_screen(LogScreen(lambda: list(self.main.desk.log_lines)))

    def log_grew(self, lines: Sequence[str]) -> None:
        """Show new lines where the log is open."""
        top = self.screen_stack[-1] if self.is_running and self.screen_stack else None
        add = getattr(top, "add", None)
        if add is not None and top is not None and top.is_mounted:
            add(lines)

    def open_settings(self, error: DownloaderError | None) -> None:
        """Show the settings form; with ``error`` it is the first-run form."""
        from wangp_downloader.tui.screens.setup import SetupScreen  # noqa: PLC0415 - start-up

        if self.wiring.open_setup is None:
            if error is None:
                self.main.say("settings can not be changed here: wangp-dl config set KEY VALUE")
        elif self.main.desk.active:
            self.main.say("not now: wait until the downloads are done")
        else:
            demo = self.wiring.open_demo is not None
            self.push_screen(
                SetupScreen(self.wiring.open_setup(), error, with_demo=demo), self._settings_done
            )

    def _settings_done(self, answer: str | None) -> None:
        if answer == "demo" and self.wiring.open_demo is not None:
            if not self._in_demo:
                self.save_now()
                self._before_demo = self._state_now()
            self._in_demo = True
            self.main.take_view(UiState())
            self.main.restart(self.wiring.open_demo, _OPENING_DEMO)
        elif answer == "quit":
            self.run_worker(self.shut_down(0), exit_on_error=False)
        elif answer:
            if self._before_demo is not None:
                self.main.take_view(self._before_demo)
            self._in_demo, self._before_demo = False, None
            self.main.restart(self.wiring.open_engine, f"saved {answer}")

    def action_command_palette(self) -> None:
        """Show the command palette."""
        if not isinstance(self.screen, Palette):
            self.push_screen(Palette(id="--command-palette"))

    def search_themes(self) -> None:
        """Show the themes to choose from."""
        self.push_screen(Palette(providers=[ThemeProvider], placeholder="Search for themes…"))

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """Offer every command in the palette, then Textual's own."""
        if screen is self.main:
            for command in COMMANDS:
                title = f"{command.label}  ({command.shown})"
                yield SystemCommand(title, command.help, self._palette_callback(command.action))
        yield SystemCommand("Theme", "change the colours", self.action_change_theme)

    def _palette_callback(self, action: str) -> Callable[[], None]:
        def call() -> None:
            self.call_later(self.run_action, action, self.main)

        return call

    # Ways out

    def action_help_quit(self) -> None:
        """Say how to quit to whoever presses Ctrl+c."""
        self.notify("q quits", timeout=3)

    async def action_quit(self) -> None:
        """Quit; ask first while downloads run, but only once."""
        if not self.main.desk.active or self._quitting:
            await self.shut_down(0)
            return
        self._quitting = True
        text = "What has arrived is kept: the next start offers to go on from there."
        question = Question("Quit while downloads run?", text, "Quit", "Stay")
        from wangp_downloader.tui.screens.confirm import ConfirmScreen  # noqa: PLC0415 - start-up

        self.push_screen(ConfirmScreen(question), self._quit_answered)

    def _quit_answered(self, yes: bool | None) -> None:
        if yes:
            self.run_worker(self.shut_down(0), exit_on_error=False)
        else:
            self._quitting = False

    async def shut_down(self, code: int) -> None:
        """Save, stop the engine and leave; an engine that does not stop is not waited for."""
        self._quitting = True
        self.save_now()
        if self.wiring.hard_exit:
            terminal.exit_for_sure(code)
        timeout_s = _STOP_TIMEOUT_S if self.main.desk.active else _IDLE_TIMEOUT_S
        self.backend.stop()
        deadline = time.monotonic() + timeout_s
        while not self.backend.idle and time.monotonic() < deadline:
            await asyncio.sleep(0.01)
        self.exit(return_code=code)

    def _handle_exception(self, error: Exception) -> None:
        # Textual's hook for whatever nobody caught: it ends the application and restores the terminal.
        if self.crash_log is None:
            self.crash_log = terminal.write_crash_log(self.wiring.folder, error)
            self.backend.stop()
        super()._handle_exception(error)

    def _fatal_error(self) -> None:
        # Replaces a screenful of locals, file names and tokens among them, by a short message.
        if self._exit_renderables:
            return
        error = self._exception
        words = f"wangp-dl stopped: unexpected {type(error).__name__}: {error}\n"
        where = f"Details are in {self.crash_log}. Downloads go on where they were at the next start."
        self._exit_renderables.append(Text(words + where))
        self._close_messages_no_wait()
