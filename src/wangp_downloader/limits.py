"""Keeps the bandwidth limit what the settings say while downloads run: by the hour, or as a share of the line.

Owns one thread during a run. The engine holds the limit; this only tells it which.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType

from wangp_downloader.events import Emit, Event, FileFinished, FileProgress
from wangp_downloader.settings import LoadedSettings, Origin
from wangp_downloader.settings.schedule import Schedule

_LOOK_S = 1.0
_MEASURE_S = 6.0
"""How long the line runs free to be measured, at the start and then now and again."""
_MEASURE_AGAIN_S = 900.0


@dataclass(frozen=True, slots=True)
class LimitRule:
    """What the settings say.

    Attributes:
        fixed_bytes_per_s: A fixed limit, or None.
        schedule: A timetable, or None; wins over the fixed limit.
        share: Part of the measured line, 0 to 1, or None; wins over both.
    """

    fixed_bytes_per_s: float | None = None
    schedule: Schedule | None = None
    share: float | None = None


def limit_rule(loaded: LoadedSettings) -> LimitRule:
    """Return the rule of the settings; a limit that was given for this run wins over the file's timetable."""
    settings = loaded.settings
    given = loaded.origins["bandwidth_limit_kb"] in (Origin.COMMAND_LINE, Origin.ENVIRONMENT)
    schedule = None if given else settings.bandwidth_schedule
    return LimitRule(settings.limit_bytes_per_s, schedule, settings.limit_share)


class LimitKeeper:
    """A context in which the limit follows its rule; nothing is started for a fixed limit.

    Args:
        rule: Tells the rule that holds; it may change while running.
        set_limit: Takes the limit in bytes per second, None for none; called from a thread of our own.
        now: Tells the local time.
    """

    def __init__(
        self,
        rule: Callable[[], LimitRule],
        set_limit: Callable[[float | None], None],
        now: Callable[[], datetime] = lambda: datetime.now().astimezone(),
    ) -> None:
        self._rule = rule
        self._set_limit = set_limit
        self._now = now
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._speeds: dict[str, float] = {}
        self._measured = 0.0
        self._measure_from = time.monotonic()

    def __enter__(self) -> LimitKeeper:
        self.apply()
        rule = self._rule()
        if rule.schedule is not None or rule.share is not None:
            self._thread = threading.Thread(target=self._keep, name="bandwidth limit", daemon=True)
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def watch(self, emit: Emit) -> Emit:
        """Return a sink that passes events on and learns from them how fast the line is."""
        if self._rule().share is None:
            return emit

        def watched(event: Event) -> None:
            if isinstance(event, FileProgress):
                self._speeds[event.key] = event.bytes_per_s
            elif isinstance(event, FileFinished):
                self._speeds.pop(event.key, None)
            emit(event)

        return watched

    def apply(self) -> None:
        """Tell the engine the limit that holds now."""
        rule = self._rule()
        if rule.share is not None:
            self._set_limit(self._share_of_line(rule.share))
        elif rule.schedule is not None:
            self._set_limit(rule.schedule.limit_at(self._now()))
        else:
            self._set_limit(rule.fixed_bytes_per_s)

    def _share_of_line(self, share: float) -> float | None:
        """Let the line run free for a moment now and again, and take the share of the most it gave."""
        since = time.monotonic() - self._measure_from
        if since > _MEASURE_AGAIN_S:
            self._measure_from, self._measured, since = time.monotonic(), 0.0, 0.0
        if since < _MEASURE_S or not self._measured:
            self._measured = max(self._measured, sum(self._speeds.copy().values()))
            return None
        return share * self._measured

    def _keep(self) -> None:
        while not self._stop.wait(_LOOK_S):
            self.apply()
