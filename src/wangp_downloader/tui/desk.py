"""The state of the main screen and the rules of what may happen when.

Owns rows, selection, snapshot, limit and the run's state machine; it asks the backend to act and a
:class:`Front` to show. No widget and no Textual here: the rules can be tested with a scripted front.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from enum import Enum
from itertools import chain
from typing import TYPE_CHECKING

from wangp_downloader.errors import CancelledError, DownloaderError, OfflineError
from wangp_downloader.files import Action, Outcome, Plan, PlannedFile
from wangp_downloader.names import base_name, crop_name
from wangp_downloader.paths import printable, without_address
from wangp_downloader.tui import limits
from wangp_downloader.tui.asked import OFFLINE_WORDS, Asked, queued_words, without_downloads
from wangp_downloader.tui.backend import Backend
from wangp_downloader.tui.ending import looked_again, sentence, summary, too_little
from wangp_downloader.tui.front import ERROR, HUB_SILENT, INFO, STOPPED, WARNING, Front
from wangp_downloader.tui.messages import PlanArrived, RunEnded
from wangp_downloader.tui.model import FileModel, view_of
from wangp_downloader.tui.models import ModelsModel
from wangp_downloader.tui.rows import GOING_ON, Row, Status
from wangp_downloader.tui.state import UiState
from wangp_downloader.units import KIB, format_speed, plural

if TYPE_CHECKING:
    from wangp_downloader.events import Notice
    from wangp_downloader.snapshot import Mailbox, Snapshot
    from wangp_downloader.tui.engine import ModelInfo

_LOADING = "still loading: press d again in a moment"
_NAME_CELLS = 34
HISTORY = 120
"""Points of the speed graph, one every half second."""
LOG_LINES = 2_000


class RunState(Enum):
    """Where a run stands."""

    IDLE = "idle"
    PREPARING = "preparing"
    RUNNING = "running"
    STOPPING = "stopping"


class Desk:
    """All that the main screen shows.

    Args:
        front: Shows it.
        backend: Acts.
        mailbox: Returns where the engine's events arrive.
        state: What was remembered from the last time.
        clock: Seconds since the epoch, for the log.
    """

    def __init__(
        self,
        front: Front,
        backend: Backend,
        mailbox: Callable[[], Mailbox],
        state: UiState,
        clock: Callable[[], float],
    ) -> None:
        self._front = front
        self._backend = backend
        self._mailbox = mailbox
        self._clock = clock
        self.files = FileModel(view_of(state))
        self.files.wish(state.selection)
        self.models = ModelsModel()
        self.infos: dict[str, ModelInfo] = {}
        self.models_shown = state.models
        self._snapshot: Snapshot | None = None
        self.run = RunState.IDLE
        self.paused = False
        self.limit_kb: float | None = None
        self._limit_words = ""
        self.free: int | None = None
        self.root = ""
        self.fresh = False
        self.refreshing = False
        self.problem = ""
        self.warnings: tuple[str, ...] = ()
        self.parts: dict[str, int] = {}
        self.history: deque[float] = deque(maxlen=HISTORY)
        self.log_lines: deque[str] = deque(maxlen=LOG_LINES)
        self.asked = Asked()
        self.no_network = False
        self._refresh_cut = False
        self._hub_silent = False
        self._before: dict[str, PlannedFile] | None = None
        self._warned: Notice | None = None

    @property
    def quiet(self) -> bool:
        """True while nothing has happened since the start: the snapshot is empty."""
        return self._snapshot is None

    @property
    def snapshot(self) -> Snapshot:
        """What the engine's events have told."""
        if self._snapshot is None:
            from wangp_downloader.snapshot import Snapshot  # noqa: PLC0415 - start-up

            self._snapshot = Snapshot()
        return self._snapshot

    @snapshot.setter
    def snapshot(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    @property
    def active(self) -> bool:
        """True while a run is being prepared, carried out or stopped."""
        return self.run is not RunState.IDLE

    @property
    def parts_offered(self) -> list[str]:
        """Targets of interrupted downloads that can be gone on with."""
        if self.active or not self.fresh:
            return []
        rows = (self.files.by_key.get(key) for key in self.parts)
        return [row.key for row in rows if row is not None and row.obtainable]

    def say(self, text: str) -> None:
        """Show a sentence in the status line."""
        self._front.say(text)

    # Plans

    def take_plan(self, message: PlanArrived, *, fresh: bool = True) -> None:
        """Show a newer plan."""
        self.fresh = fresh
        self._front.unsay(_LOADING)
        self.parts = dict(message.parts)
        self.files.load(message.plan, message.models, self.parts, self.root)
        self.models.load(message.models, self.files.rows)
        self.infos = {info.id: info for info in message.models}
        self.show_view()
        for warning in message.plan.warnings:
            if warning not in self.warnings:
                self._log_line(WARNING, warning)
        self.warnings = message.plan.warnings
        self._front.run_changed()
        self._front.selection_changed()

    @property
    def folder(self) -> str:
        """Where downloads go: the folder of the first one selected, else of the first row shown; empty if unknown."""
        rows = chain((row for row in self.files.rows if row.selected), self.files.view)
        row = next((row for row in rows if row.file.action is Action.DOWNLOAD), None)
        if not self.root or row is None:
            return self.root
        # No look at the disk here: whoever measures goes through links, up to what is there.
        return os.path.dirname(os.path.join(self.root, row.file.path))  # noqa: PTH118, PTH120

    def preload(self, plan: Plan, models: Sequence[ModelInfo]) -> None:
        """Take the last start's plan for the first frame; nothing can be done with it yet."""
        self.files.load(plan, models)
        self.infos = {info.id: info for info in models}
        if self.models_shown:
            self.models.load(models, self.files.rows)
            self.models.apply(self.files.settings.text, self.files.settings.show_all)

    @property
    def offline(self) -> bool:
        """True if the last look did not reach the Hub: files are blocked by that, or it was said."""
        return self._hub_silent or self.files.cut_off

    def begin_refresh(self, *, asked: bool = False) -> None:
        """A refresh begins; with ``asked`` its end says what came out."""
        self.refreshing = True
        self._hub_silent = False
        if asked:
            self._before = {row.key: row.file for row in self.files.rows}

    def forget_plan(self) -> None:
        """Show no rows: those that are shown belong to another configuration."""
        self.files.load(Plan((), (), ()), ())
        self.models.load((), ())
        self.infos = {}
        self.fresh = False
        self.show_view()

    def refresh_ended(self, error: DownloaderError | None) -> None:
        """Say what a refresh changed, or could not do."""
        self.collect()  # what was said on the way comes before how it ended
        self.refreshing = False
        self._refresh_cut = isinstance(error, CancelledError)
        self.snapshot = self.snapshot.at_rest()
        self.files.follow(self.snapshot, ())
        if error is None:
            self.problem = ""
            self._say_what_changed()
        elif not isinstance(error, CancelledError):
            self.problem = f"{'offline: ' if isinstance(error, OfflineError) else ''}{error.message}"
            self._log_line(WARNING, sentence(error))
        if not isinstance(error, CancelledError):
            self._before = None
        self._front.run_changed()

    def _say_what_changed(self) -> None:
        if self._before is None:
            return
        if self.offline:
            self._front.say("looked again: the Hub can not be reached", WARNING)
        else:
            now = {row.key: row.file for row in self.files.rows}
            self._front.say(looked_again(self._before, now))

    def show_view(self) -> None:
        """Work out the rows of both tables again."""
        self.set_view()

    def set_view(self, **changes: object) -> None:
        """Change the view; see :class:`wangp_downloader.tui.model.View`."""
        self.files.set_view(**changes)
        if self.models_shown:
            self.models.apply(self.files.settings.text, self.files.settings.show_all)
        self._front.rows_replaced()

    # Selection

    def selection_done(self, said: str) -> None:
        """Show a changed selection and say what it did."""
        if self.models_shown:
            self.models.recount()
        self._front.selection_changed()
        self._front.say(said)

    # Running

    def start_selected(self) -> None:
        """Fetch the selection, or after the present run what that does not have."""
        keys = [row.key for row in self.files.selected if not row.busy]
        if self.active and self.run is not RunState.STOPPING and not (keys := self.asked.new(keys)):
            self._front.say("nothing new is selected")
        elif keys:
            self.start(keys)
        else:
            self._front.say("nothing is selected: Enter selects the row, a all rows shown")

    def start(self, targets: Sequence[str]) -> None:
        """Fetch these rows, or after the present run if there is one."""
        allowed = without_downloads(targets, self.files.by_key) if self.no_network else targets
        left_out = len(targets) - len(allowed)
        if self.run is RunState.STOPPING:
            self._front.say("the downloads are being stopped: press d again in a moment")
        elif not allowed:
            self._front.say(f"not downloaded: {OFFLINE_WORDS}", WARNING)
        elif self.active:
            self._front.say(queued_words(self.asked.add(allowed)))
        elif self._backend.engine is None:
            self._front.say(_LOADING)
        else:
            self._begin(allowed)
            if left_out:
                words = (
                    f"preparing {plural(len(allowed), 'link')}; {left_out:,} not downloaded: {OFFLINE_WORDS}"
                )
                self._front.say(words, WARNING)

    def _begin(self, targets: Sequence[str]) -> None:
        self.files.forget_transfers(targets)
        self.snapshot = self.snapshot.without_transfers()
        self.history.clear()
        self.paused = False
        self.asked.begin(targets)
        self._change_run(RunState.PREPARING)
        self._front.say(f"preparing {plural(len(targets), 'file')}: links first, then downloads")
        self._backend.prepare(targets)

    def take_prepared(self, plan: Plan) -> None:
        """Start a prepared plan, or ask first if the disk is too small."""
        if self.run is not RunState.PREPARING:
            self._change_run(RunState.IDLE)
            return
        short = [need for need in plan.disk if need.missing]
        if not short:
            self._go(plan)
            return
        self._change_run(RunState.IDLE)
        self._front.ask(
            too_little(short),
            lambda: self._go(replace(plan, disk=())) if not self.active else None,
            self._not_started,
        )

    def _not_started(self) -> None:
        self.asked.drop_next()
        self._front.say("not started: the disk has too little space")

    def _go(self, plan: Plan) -> None:
        self._change_run(RunState.RUNNING)
        self._front.say(f"fetching {plural(sum(file.selected for file in plan.files), 'file')}")
        self._backend.run(plan)

    def stop(self) -> None:
        """Stop the run; parts stay."""
        if self.run in (RunState.PREPARING, RunState.RUNNING):
            self._backend.stop_run()
            self.asked.drop_next()
            self._change_run(RunState.STOPPING)
            self._front.say("stopping: what arrived is kept")

    def run_ended(self, message: RunEnded) -> None:
        """Show the outcome of a run, then look at the disk again."""
        self.collect()
        results = message.report.results if message.report else ()
        for result in results:
            row = self.files.by_key.get(result.file.target)
            if row is not None and result.outcome in (Outcome.KEPT, Outcome.LINKED, Outcome.DOWNLOADED):
                row.set_selected(False)
        self.files.end_run()
        again = self.asked.due(self.files.by_key) if message.error is None else []
        self._change_run(RunState.IDLE)
        text, level = summary(message, self.snapshot)
        self._log_line(level, text)
        self._front.say(text, level)
        self.show_view()
        self._front.selection_changed()
        if again:
            self._begin(again)
        elif self._refresh_cut:
            self.begin_refresh()
            self._backend.refresh()
        else:
            self._backend.replan()

    def retry(self) -> None:
        """Fetch again what failed."""
        keys = [row.key for row in self.files.failed]
        if not keys:
            self._front.say("nothing has failed")
        else:
            self.start(keys)

    def continue_parts(self) -> None:
        """Go on with the downloads that an earlier run left half done."""
        keys = self.parts_offered
        if not keys:
            self._front.say("no download was interrupted")
            return
        self.files.select(self.files.by_key[key] for key in keys)
        self._front.rows_changed(self.files.rows)
        self._front.selection_changed()
        self.start(keys)

    def _change_run(self, state: RunState) -> None:
        self.run = state
        self._front.run_changed()

    # Pause and limit

    def toggle_pause(self) -> None:
        """Pause all transfers, or resume them."""
        engine = self._backend.engine
        if engine is None or self.run is not RunState.RUNNING:
            self._front.say("nothing is being downloaded")
            return
        self.paused = not self.paused
        (engine.pause if self.paused else engine.resume)()
        self._front.say("paused: p resumes" if self.paused else "resumed")
        self._front.run_changed()

    def toggle_pause_row(self, row: Row) -> None:
        """Pause one transfer, or resume it."""
        engine = self._backend.engine
        if self.run is not RunState.RUNNING:
            self._front.say("nothing is being downloaded")
        elif engine is None or row.transfer is None or not row.busy:
            self._front.say(f"not being downloaded: {_short(row)}")
        elif row.status is Status.PAUSED:
            engine.resume(row.key)
            self._front.say(f"resumed {_short(row)}")
        else:
            engine.pause(row.key)
            self._front.say(f"paused (P resumes): {_short(row)}")

    def cancel_row(self, row: Row) -> None:
        """Cancel one transfer; its part stays."""
        engine = self._backend.engine
        if self.run is not RunState.RUNNING:
            self._front.say("nothing is being downloaded")
        elif engine is None or not row.busy:
            self._front.say(f"not being downloaded: {_short(row)}")
        else:
            self.asked.cancel(row.key)
            engine.cancel(row.key)
            self._front.say(f"cancelled, what arrived is kept: {_short(row)}")

    def change_limit(self, up: bool) -> None:
        """Raise or lower the limit by a step."""
        engine = self._backend.engine
        if engine is None:
            return
        speed = self.snapshot.totals.bytes_per_s
        self._limit_words = ""
        self.limit_kb = limits.faster(self.limit_kb) if up else limits.slower(self.limit_kb, speed)
        engine.set_limit(self.limit_kb * KIB if self.limit_kb else None)
        self._front.say(f"bandwidth limit: {self.limit_text}")
        self._front.run_changed()

    def take_limit(self, setting: float | str) -> None:
        """Take the limit of the settings."""
        self.limit_kb = float(setting) or None if isinstance(setting, int | float) else None
        self._limit_words = "" if isinstance(setting, int | float) else setting

    @property
    def limit_text(self) -> str:
        """The limit as people read it."""
        if self._limit_words:
            return self._limit_words
        return format_speed(self.limit_kb * KIB) if self.limit_kb else "none"

    # Events

    def collect(self) -> bool:
        """Fold the events that came; return whether there were any."""
        events = self._mailbox().drain()
        if not events:
            return False
        from wangp_downloader.snapshot import fold  # noqa: PLC0415 - start-up

        logged = self.snapshot.logged
        self.snapshot = fold(self.snapshot, events)
        keys = {key for event in events if (key := getattr(event, "key", None)) is not None}
        changed = self.files.follow(self.snapshot, keys)
        fresh = self.snapshot.logged - logged
        for notice in self.snapshot.log[len(self.snapshot.log) - fresh :]:
            self._log_notice(notice)
        self._forget_warning()
        if changed:
            self._front.rows_changed(changed)
        self._front.progressed()
        return True

    def remember_speed(self) -> None:
        """Add a point to the speed graph."""
        if self.run is RunState.RUNNING:
            self.history.append(self.snapshot.totals.bytes_per_s)

    def _log_notice(self, notice: Notice) -> None:
        row = self.files.by_key.get(notice.key) if notice.key is not None else None
        if self.run is RunState.STOPPING and notice.topic == STOPPED:
            return  # one line a file would bury what failed; the end of the run has the count
        self._log_line(notice.level, notice.text)
        if notice.level == INFO:
            return
        self._hub_silent |= self.refreshing and notice.topic == HUB_SILENT
        # The status line is short: the reason comes before the name, the address is in the log.
        words = without_address(notice.text, base_name(notice.key or ""))
        notice = replace(notice, text=f"{words} · {_short(row)}" if row is not None else words)
        self._front.say(notice.text, notice.level)
        self._warned = notice if row is not None and notice.level == WARNING else None

    def _forget_warning(self) -> None:
        """Take a warning about a transfer back when that goes on."""
        if self._warned is None or self._warned.key is None:
            return
        transfer = self.snapshot.transfers.get(self._warned.key)
        if transfer is not None and transfer.phase in GOING_ON:
            self._front.unsay(self._warned.text)
            self._warned = None

    def _log_line(self, level: str, text: str) -> None:
        stamp = time.strftime("%H:%M:%S", time.localtime(self._clock()))
        sign = {INFO: " ", WARNING: "!", ERROR: "✗"}[level]
        line = printable(f"{stamp} {sign} {' '.join(text.split())}")
        self.log_lines.append(line)
        self._front.log_grew([line])

    # Memory

    def remember(self, state: UiState) -> UiState:
        """Return ``state`` with the view and the selection of now."""
        selection = tuple(self.files.selected_keys)
        return replace(state, **asdict(self.files.settings), models=self.models_shown, selection=selection)

    def take_view(self, state: UiState) -> None:
        """Show what ``state`` says; its selection is all that is selected."""
        self.files.clear_selection()
        self.files.wish(state.selection)
        self.set_view(**asdict(view_of(state)))


def _short(row: Row) -> str:
    return crop_name(row.name, _NAME_CELLS)
