"""What one file tells the world: events, at most ten progress events a second. Owns no decision."""

from __future__ import annotations

from wangp_downloader.events import (
    Emit,
    FileFinished,
    FileLocked,
    FilePaused,
    FileProgress,
    FileQueued,
    FileRetrying,
    FileStarted,
    FileVerifying,
    FileWaiting,
    Level,
    Notice,
    ignore,
)
from wangp_downloader.files import Outcome
from wangp_downloader.transfer.request import TransferResult
from wangp_downloader.transfer.speed import SpeedMeter

_EVERY_S = 0.1
_COUNTDOWN_S = 1.0


class Report:
    """The voice of one file.

    Args:
        key: The plan's target.
        emit: The sink.
        now: Monotonic seconds.

    Attributes:
        fetched: Bytes of content received in this run.
    """

    def __init__(self, key: str, emit: Emit, now: float) -> None:
        self.fetched = 0
        self._key = key
        self._emit = emit
        self._meter = SpeedMeter(now)
        self._counted = 0
        self._told = (-1, -1.0, -1)
        self._at = now

    @property
    def bytes_per_s(self) -> float:
        """The smoothed speed."""
        return self._meter.bytes_per_s

    def mute(self) -> None:
        """Say nothing any more."""
        self._emit = ignore

    def queued(self, size: int | None) -> None:
        """Say that the file waits for its turn."""
        self._emit(FileQueued(self._key, size))

    def started(self, size: int | None, done: int) -> None:
        """Say that the file begins with ``done`` bytes from earlier."""
        self._emit(FileStarted(self._key, size, done))

    def locked(self) -> None:
        """Say that another process is at work on the file."""
        self._emit(FileLocked(self._key))

    def paused(self) -> None:
        """Say that the file is paused."""
        self._told = (-1, -1.0, -1)
        self._emit(FilePaused(self._key))

    def resting(self, now: float, wait_s: float | None = None) -> None:
        """Note that nothing is asked now; say once a second how long that takes, if it is known."""
        self._meter.reset(now)
        self._counted = self.fetched
        if wait_s is not None and now - self._at >= _COUNTDOWN_S:
            self._at = now
            self._emit(FileWaiting(self._key, wait_s))

    def retrying(self, reason: str, wait_s: float) -> None:
        """Say that something failed and when the next attempt comes."""
        self._told = (-1, -1.0, -1)
        self._emit(FileRetrying(self._key, reason, wait_s))

    def notice(self, text: str, level: Level = Level.WARNING) -> None:
        """Say a sentence about the file."""
        self._emit(Notice(level, text, self._key))

    def progress(self, done: int, connections: int, now: float) -> None:
        """Say how far and how fast it is, if it is time and something has changed."""
        if now - self._at < _EVERY_S:
            return
        self._at = now
        self._meter.update(self.fetched - self._counted, now)
        self._counted = self.fetched
        told = (done, round(self._meter.bytes_per_s, 1), connections)
        if told != self._told:
            self._told = told
            self._emit(FileProgress(self._key, done, self._meter.bytes_per_s, connections))

    def verifying(self, hashed: int, size: int, now: float) -> None:
        """Say how far the check of a complete file is, if it is time."""
        if now - self._at >= _EVERY_S:
            self._at = now
            self._emit(FileVerifying(self._key, hashed, size))

    def finished(self, result: TransferResult, *, stopped: bool) -> None:
        """Say how it ended."""
        error = result.error
        if error is None:
            outcome = Outcome.KEPT if result.kept else Outcome.DOWNLOADED
            text = result.unverified_reason
            self._emit(FileFinished(self._key, outcome, None, text, result.verified))
        else:
            outcome = Outcome.SKIPPED if stopped else Outcome.FAILED
            self._emit(FileFinished(self._key, outcome, error.message, error.hint))
