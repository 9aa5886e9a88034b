"""The state of the main screen and the rules of what may happen when.

Owns rows, selection, snapshot, limit and the run's state machine; it asks the backend to act and a
:class:`Front` to show. No widget and no Textual here: the rules can be tested with a scripted front.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING, Protocol

from wangp_downloader.errors import CancelledError, DownloaderError, OfflineError
from wangp_downloader.files import Outcome, Plan
from wangp_downloader.tui import limits
from wangp_downloader.tui.backend import Backend
from wangp_downloader.tui.messages import PlanArrived, RunEnded
from wangp_downloader.tui.model import FileModel, View
from wangp_downloader.tui.models import ModelsModel
from wangp_downloader.tui.rows import Row, Status
from wangp_downloader.tui.state import UiState
from wangp_downloader.units import KIB, format_size, format_speed, plural

if TYPE_CHECKING:
    from wangp_downloader.events import Notice
    from wangp_downloader.snapshot import Mailbox, Snapshot, Totals
    from wangp_downloader.tui.engine import ModelInfo

INFO, WARNING, ERROR = "info", "warning", "error"
"""The values of :class:`wangp_downloader.events.Level`, which is imported after the first frame."""

HISTORY = 120
"""Points of the speed graph, one every half second."""
LOG_LINES = 2_000


class RunState(Enum):
    """Where a run stands."""

    IDLE = "idle"
    PREPARING = "preparing"
    RUNNING = "running"
    STOPPING = "stopping"


@dataclass(frozen=True, slots=True)
class Question:
    """Something to ask before acting.

    Attributes:
        title: The question.
        text: What it means.
        yes: Words of the button that acts.
        no: Words of the button that does not; it has the focus.
    """

    title: str
    text: str
    yes: str
    no: str


class Front(Protocol):
    """The main screen, as the desk needs it."""

    def say(self, text: str, level: str = INFO) -> None:
        """Show a sentence in the status line."""

    def ask(self, question: Question, then: Callable[[], None]) -> None:
        """Ask, and call ``then`` if the answer is yes."""

    def rows_replaced(self) -> None:
        """Other rows are shown, or in another order."""

    def rows_changed(self, rows: Sequence[Row]) -> None:
        """These rows look different."""

    def run_changed(self) -> None:
        """The run's state, the limit or the parts on offer changed."""

    def selection_changed(self) -> None:
        """The selection or the free space changed."""

    def log_grew(self, lines: Sequence[str]) -> None:
        """These lines came to the log."""

    def progressed(self) -> None:
        """The snapshot changed."""


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
        self.files = FileModel(View(state.text, state.show_all, state.variants, state.sort, state.descending))
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
        self.folder = ""
        self.fresh = False
        self.refreshing = False
        self.problem = ""
        self.warnings: tuple[str, ...] = ()
        self.parts: dict[str, int] = {}
        self.history: deque[float] = deque(maxlen=HISTORY)
        self.log_lines: deque[str] = deque(maxlen=LOG_LINES)
        self._run_again = False
        self._refresh_cut = False

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
        self.parts = dict(message.parts)
        self.files.load(message.plan, message.models, self.parts, self.root)
        self.models.load(message.models, self.files.rows)
        self.infos = {info.id: info for info in message.models}
        self.show_view()
        for warning in message.plan.warnings:
            if warning not in self.warnings:
                self._log_line(WARNING, warning)
        self.warnings = message.plan.warnings
        if message.plan.disk:
            self.folder = message.plan.disk[0].path
        self._front.run_changed()
        self._front.selection_changed()

    def preload(self, plan: Plan, models: Sequence[ModelInfo]) -> None:
        """Take the last start's plan for the first frame; nothing can be done with it yet."""
        self.files.load(plan, models)
        self.infos = {info.id: info for info in models}
        if self.models_shown:
            self.models.load(models, self.files.rows)
            self.models.apply(self.files.settings.text, self.files.settings.show_all)

    def refresh_ended(self, error: DownloaderError | None) -> None:
        """Say what a refresh could not do."""
        self.refreshing = False
        self._refresh_cut = isinstance(error, CancelledError)
        self.snapshot = self.snapshot.at_rest()
        self.files.follow(self.snapshot, ())
        if error is None:
            self.problem = ""
        elif not isinstance(error, CancelledError):
            self.problem = f"{'offline: ' if isinstance(error, OfflineError) else ''}{error.message}"
            self._log_line(WARNING, _sentence(error))
        self._front.run_changed()

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

    def start(self, targets: Sequence[str]) -> None:
        """Fetch these rows, or after the present run if there is one."""
        if self.run is RunState.STOPPING:
            self._front.say("the downloads are being stopped: press d again in a moment")
        elif self.active:
            self._run_again = True
            self._front.say("these start when the present downloads are done")
        elif not targets:
            self._front.say("nothing is selected: Enter selects the row, a all rows shown")
        elif self._backend.engine is None:
            self._front.say("still loading: press d again in a moment")
        else:
            self._begin(targets)

    def _begin(self, targets: Sequence[str]) -> None:
        self.files.forget_transfers(targets)
        self.snapshot = self.snapshot.without_transfers()
        self.history.clear()
        self.paused = False
        self._run_again = False
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
        lines = [
            f"{need.path}: needs {format_size(need.needed)}, has {format_size(need.free)} free, "
            f"{format_size(need.missing)} too little."
            for need in short
        ]
        self._change_run(RunState.IDLE)
        text = "\n".join(lines) + "\n\nWhat does not fit will fail; what arrived stays."
        self._front.ask(
            Question("Too little disk space", text, "Start all the same", "Do not start"),
            lambda: self._go(replace(plan, disk=())) if not self.active else None,
        )

    def _go(self, plan: Plan) -> None:
        self._change_run(RunState.RUNNING)
        self._front.say(f"fetching {plural(sum(file.selected for file in plan.files), 'file')}")
        self._backend.run(plan)

    def stop(self) -> None:
        """Stop the run; parts stay."""
        if self.run in (RunState.PREPARING, RunState.RUNNING):
            self._backend.stop_run()
            self._run_again = False
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
        again = self._run_again and message.error is None
        self._change_run(RunState.IDLE)
        text, level = _summary(message, self.snapshot)
        self._log_line(level, text)
        self._front.say(text, level)
        self.show_view()
        self._front.selection_changed()
        if again and (keys := [row.key for row in self.files.selected]):
            self._begin(keys)
        elif self._refresh_cut:
            self.refreshing = True
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
        if engine is None or row.transfer is None or not row.busy:
            self._front.say(f"{row.name} is not being downloaded")
        elif row.status is Status.PAUSED:
            engine.resume(row.key)
            self._front.say(f"resumed {row.name}")
        else:
            engine.pause(row.key)
            self._front.say(f"paused {row.name}: P resumes")

    def cancel_row(self, row: Row) -> None:
        """Cancel one transfer; its part stays."""
        engine = self._backend.engine
        if engine is None or not row.busy:
            self._front.say(f"{row.name} is not being downloaded")
        else:
            engine.cancel(row.key)
            self._front.say(f"cancelled {row.name}: what arrived is kept")

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
        if changed:
            self._front.rows_changed(changed)
        self._front.progressed()
        return True

    def remember_speed(self) -> None:
        """Add a point to the speed graph."""
        if self.run is RunState.RUNNING:
            self.history.append(self.snapshot.totals.bytes_per_s)

    def _log_notice(self, notice: Notice) -> None:
        self._log_line(notice.level, notice.text)
        if notice.level != INFO:
            self._front.say(notice.text, notice.level)

    def _log_line(self, level: str, text: str) -> None:
        stamp = time.strftime("%H:%M:%S", time.localtime(self._clock()))
        sign = {INFO: " ", WARNING: "!", ERROR: "✗"}[level]
        line = f"{stamp} {sign} {' '.join(text.split())}"
        self.log_lines.append(line)
        self._front.log_grew([line])

    # Memory

    def remember(self, state: UiState) -> UiState:
        """Return ``state`` with the view and the selection of now."""
        view = self.files.settings
        return replace(
            state,
            text=view.text,
            show_all=view.show_all,
            variants=view.variants,
            sort=view.sort,
            descending=view.descending,
            models=self.models_shown,
            selection=tuple(self.files.selected_keys),
        )


def _sentence(error: DownloaderError) -> str:
    return f"{error.message}{f' · {error.hint}' if error.hint else ''}"


def _summary(message: RunEnded, snapshot: Snapshot) -> tuple[str, str]:
    totals = snapshot.totals
    if message.error is not None and not isinstance(message.error, CancelledError):
        return _sentence(message.error), ERROR
    words = ", ".join(_outcomes(totals))
    if message.error is not None:
        done = f"{totals.finished:,} of {plural(totals.files, 'file')} done"
        failed = f", {totals.failed:,} failed" if totals.failed else ""
        fetched = f", {format_size(totals.fetched)} fetched" if totals.fetched else ""
        return f"stopped: {done}{failed}{fetched}; what arrived is kept", WARNING
    if totals.failed:
        return f"{totals.failed:,} failed{f', {words}' if words else ''}: R tries again, L shows why", ERROR
    cancelled = totals.files - totals.finished
    if cancelled:
        return f"{f'{words}, ' if words else ''}{cancelled:,} cancelled: what arrived is kept", INFO
    return f"all done: {words or 'nothing to do'}", INFO


def _outcomes(totals: Totals) -> list[str]:
    words = []
    if totals.linked:
        words.append(f"{totals.linked:,} linked ({format_size(totals.linked_bytes)} saved)")
    if totals.downloaded:
        words.append(f"{totals.downloaded:,} downloaded ({format_size(totals.fetched)})")
    if totals.kept:
        words.append(f"{totals.kept:,} already there")
    return words
