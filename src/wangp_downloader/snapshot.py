"""What is going on now, as one frozen value folded from events.

Owns the reducer that every face draws from: the TUI, the progress bars of the command line and the JSON
see the same :class:`Snapshot`. :func:`fold` is pure; the only thing here with a lock is the mailbox in
which events from the engine's threads wait to be folded. Knows no clock, no terminal and no engine.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from wangp_downloader.events import (
    Event,
    FileFinished,
    FileLocked,
    FilePaused,
    FileProgress,
    FileQueued,
    FileRetrying,
    FileStarted,
    FileVerifying,
    FileWaiting,
    HashProgress,
    Level,
    MetadataProgress,
    Notice,
    ScanProgress,
    Topic,
)
from wangp_downloader.files import Outcome

LOG_LIMIT = 2_000
"""Most log lines a snapshot keeps; older ones fall away."""


class Phase(StrEnum):
    """Where a transfer stands."""

    QUEUED = "queued"
    DOWNLOADING = "downloading"
    VERIFYING = "verifying"
    RETRYING = "retrying"
    PAUSED = "paused"
    FINISHED = "finished"


@dataclass(frozen=True, slots=True)
class Transfer:
    """One file of a run.

    Attributes:
        key: The plan's target.
        phase: Where it stands.
        size: Bytes, or None if unknown.
        done: Bytes on the disk, those of an earlier attempt included.
        resumed_from: ``done`` without what this run has fetched: what was here before it, negative where some of what
            was fetched did not last.
        checked: Bytes hashed so far, in phase VERIFYING.
        bytes_per_s: Smoothed speed; 0 unless downloading.
        connections: Open connections.
        problem: Why it waits (RETRYING, or QUEUED behind another process) or what went wrong (FINISHED and failed).
        wait_s: Seconds until the next attempt, in phase RETRYING.
        outcome: What became of it, in phase FINISHED.
        hint: What the person can do about a failure.
        verified: True if its bytes were compared with the remote digest.
    """

    key: str
    phase: Phase
    size: int | None = None
    done: int = 0
    resumed_from: int = 0
    checked: int = 0
    bytes_per_s: float = 0.0
    connections: int = 0
    problem: str | None = None
    wait_s: float = 0.0
    outcome: Outcome | None = None
    hint: str | None = None
    verified: bool = False

    @property
    def fraction(self) -> float | None:
        """Share that is here (or, while verifying, hashed), 0 to 1; None if the size is unknown."""
        if not self.size:
            return None
        done = self.checked if self.phase is Phase.VERIFYING else self.done
        return min(1.0, done / self.size)

    @property
    def eta_s(self) -> float | None:
        """Seconds left at the present speed, or None if that can not be said."""
        if self.phase is not Phase.DOWNLOADING or self.size is None or self.bytes_per_s <= 0:
            return None
        return max(0, self.size - self.done) / self.bytes_per_s

    @property
    def active(self) -> bool:
        """True while it has a connection or its bytes are looked at."""
        return self.phase in (Phase.DOWNLOADING, Phase.VERIFYING, Phase.RETRYING)


@dataclass(frozen=True, slots=True)
class Totals:
    """A run as a whole.

    Attributes:
        files: Files of the run.
        downloaded: Those that came over the network.
        linked: Those that were linked.
        kept: Those that were in place already.
        failed: Those that failed.
        size: Bytes of all files whose size is known.
        done: Bytes of them that are here.
        fetched: Bytes that came over the network, those of files that have not ended included.
        linked_bytes: Bytes of the linked files.
        bytes_per_s: Speed of all transfers together.
    """

    files: int = 0
    downloaded: int = 0
    linked: int = 0
    kept: int = 0
    failed: int = 0
    size: int = 0
    done: int = 0
    fetched: int = 0
    linked_bytes: int = 0
    bytes_per_s: float = 0.0

    @property
    def finished(self) -> int:
        """Files that ended well."""
        return self.downloaded + self.linked + self.kept

    @property
    def fraction(self) -> float:
        """Share of the bytes that is here, 0 to 1."""
        return min(1.0, self.done / self.size) if self.size else 0.0

    @property
    def eta_s(self) -> float | None:
        """Seconds left at the present speed, or None while nothing moves."""
        return max(0, self.size - self.done) / self.bytes_per_s if self.bytes_per_s > 0 else None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything that events have told so far.

    Attributes:
        transfers: The files of the run, in the order in which they were first heard of.
        hashing: Local files being hashed, by absolute path.
        scanning: Stores being listed, with the number of files seen.
        metadata: How far the questions about remote files are; None when all are answered.
        log: The last ``LOG_LIMIT`` lines.
        logged: Number of lines ever logged, so that a reader knows which are new.
    """

    transfers: Mapping[str, Transfer] = field(default_factory=dict)
    hashing: Mapping[str, HashProgress] = field(default_factory=dict)
    scanning: Mapping[str, int] = field(default_factory=dict)
    metadata: MetadataProgress | None = None
    log: tuple[Notice, ...] = ()
    logged: int = 0

    @property
    def totals(self) -> Totals:
        """The sums over all transfers."""
        transfers = self.transfers.values()
        outcomes = Counter(transfer.outcome for transfer in transfers)
        here = (Outcome.LINKED, Outcome.KEPT)
        return Totals(
            files=len(transfers),
            downloaded=outcomes[Outcome.DOWNLOADED],
            linked=outcomes[Outcome.LINKED],
            kept=outcomes[Outcome.KEPT],
            failed=outcomes[Outcome.FAILED],
            size=sum(transfer.size or 0 for transfer in transfers),
            done=sum(transfer.done for transfer in transfers if transfer.size),
            fetched=sum(each.done - each.resumed_from for each in transfers if each.outcome not in here),
            linked_bytes=sum(each.size or 0 for each in transfers if each.outcome is Outcome.LINKED),
            bytes_per_s=sum(transfer.bytes_per_s for transfer in transfers),
        )

    def without_transfers(self) -> Snapshot:
        """Return the snapshot as it is before a new run: the log stays."""
        return replace(self, transfers={})

    def at_rest(self) -> Snapshot:
        """Return the snapshot with nothing being asked, listed or hashed: that work has ended."""
        return replace(self, hashing={}, scanning={}, metadata=None)


class Mailbox:
    """An event sink for the engine's threads; one reader empties it when it likes."""

    def __init__(self) -> None:
        self._events: deque[Event] = deque()

    def __call__(self, event: Event) -> None:
        """Keep one event. Safe from any thread, never blocks."""
        self._events.append(event)

    def drain(self) -> list[Event]:
        """Return what has come since the last call, oldest first."""
        events = []
        while True:
            try:
                events.append(self._events.popleft())
            except IndexError:
                return events


def fold(snapshot: Snapshot, events: Iterable[Event]) -> Snapshot:
    """Return ``snapshot`` after ``events``. Pure; copies each mapping once however many events there are."""
    draft = _Draft(snapshot)
    for event in events:
        handler = _HANDLERS.get(type(event))
        if handler is not None:
            handler(draft, event)
    return draft.finished()


class _Draft:
    """The parts of a snapshot while they are being changed."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.transfers = dict(snapshot.transfers)
        self.hashing = dict(snapshot.hashing)
        self.scanning = dict(snapshot.scanning)
        self.metadata = snapshot.metadata
        self.logged = snapshot.logged
        self._log = snapshot.log
        self._new_lines: list[Notice] = []

    def say(self, level: Level, text: str, key: str | None) -> None:
        self.log(Notice(level, text, key))

    def log(self, notice: Notice) -> None:
        self._new_lines.append(notice)
        self.logged += 1

    def change(self, key: str, **changes: Any) -> None:
        """Change a transfer; its speed is zero unless the change says otherwise."""
        transfer = self.transfers.get(key) or Transfer(key, Phase.QUEUED)
        self.transfers[key] = replace(transfer, **{"bytes_per_s": 0.0, "connections": 0} | changes)

    def finished(self) -> Snapshot:
        log = (*self._log, *self._new_lines)[-LOG_LIMIT:] if self._new_lines else self._log
        return Snapshot(self.transfers, self.hashing, self.scanning, self.metadata, log, self.logged)


def _on_queued(draft: _Draft, event: FileQueued) -> None:
    # A file that is tried again starts from a clean line.
    draft.transfers[event.key] = Transfer(event.key, Phase.QUEUED, size=event.size)


def _on_started(draft: _Draft, event: FileStarted) -> None:
    # One that starts over, or has lost some of what it had, has fetched what it has fetched.
    before = draft.transfers.get(event.key)
    fetched = before.done - before.resumed_from if before is not None and before.outcome is None else 0
    draft.change(
        event.key,
        phase=Phase.DOWNLOADING,
        size=event.size,
        done=event.done,
        resumed_from=event.done - fetched,
        problem=None,
        outcome=None,
    )


def _on_progress(draft: _Draft, event: FileProgress) -> None:
    draft.change(
        event.key,
        phase=Phase.DOWNLOADING,
        done=event.done,
        bytes_per_s=event.bytes_per_s,
        connections=event.connections,
        problem=None,
    )


def _on_verifying(draft: _Draft, event: FileVerifying) -> None:
    draft.change(event.key, phase=Phase.VERIFYING, size=event.size, done=event.size, checked=event.done)


def _on_retrying(draft: _Draft, event: FileRetrying) -> None:
    draft.change(event.key, phase=Phase.RETRYING, problem=event.reason, wait_s=event.wait_s)
    draft.say(
        Level.WARNING, f"{_name(event.key)}: {event.reason}; trying again in {event.wait_s:.0f} s", event.key
    )


def _on_waiting(draft: _Draft, event: FileWaiting) -> None:
    draft.change(event.key, phase=Phase.RETRYING, wait_s=event.wait_s)


def _on_locked(draft: _Draft, event: FileLocked) -> None:
    draft.change(event.key, phase=Phase.QUEUED, problem="waiting for another instance")


def _on_paused(draft: _Draft, event: FilePaused) -> None:
    draft.change(event.key, phase=Phase.PAUSED)


def _on_finished(draft: _Draft, event: FileFinished) -> None:
    before = draft.transfers.get(event.key)
    whole = event.outcome in (Outcome.KEPT, Outcome.LINKED, Outcome.DOWNLOADED)
    done = (before.size or before.done) if before and whole else before.done if before else 0
    draft.change(
        event.key,
        phase=Phase.FINISHED,
        done=done,
        outcome=event.outcome,
        problem=event.error,
        hint=event.hint,
        verified=event.verified,
    )
    level = Level.ERROR if event.outcome is Outcome.FAILED else Level.INFO
    topic = Topic.STOPPED if event.outcome is Outcome.SKIPPED else None
    draft.log(Notice(level, _ending(event), event.key, topic))


def _ending(event: FileFinished) -> str:
    name = _name(event.key)
    match event.outcome:
        case Outcome.DOWNLOADED:
            return f"{name}: downloaded{', verified' if event.verified else ', not verified'}"
        case Outcome.FAILED:
            hint = f" · {event.hint}" if event.hint else ""
            reason = (event.error or "no reason given").removeprefix(f"{name} ").removeprefix(f"{name}: ")
            return f"{name}: failed: {reason}{hint}"
        case Outcome.SKIPPED:
            return f"{name}: skipped{f': {event.error}' if event.error else ''}"
        case _:
            return f"{name}: {event.outcome.value}"


def _on_hashing(draft: _Draft, event: HashProgress) -> None:
    if event.finished:
        draft.hashing.pop(event.path, None)
    else:
        draft.hashing[event.path] = event


def _on_scanning(draft: _Draft, event: ScanProgress) -> None:
    if event.finished:
        draft.scanning.pop(event.store, None)
    else:
        draft.scanning[event.store] = event.files


def _on_metadata(draft: _Draft, event: MetadataProgress) -> None:
    draft.metadata = event if event.done < event.total else None


def _on_notice(draft: _Draft, event: Notice) -> None:
    draft.log(event)


def _name(key: str) -> str:
    return key.rpartition("/")[2]


_HANDLERS: Mapping[type[Event], Callable[[_Draft, Any], None]] = {
    FileQueued: _on_queued,
    FileStarted: _on_started,
    FileProgress: _on_progress,
    FileVerifying: _on_verifying,
    FileRetrying: _on_retrying,
    FileWaiting: _on_waiting,
    FileLocked: _on_locked,
    FilePaused: _on_paused,
    FileFinished: _on_finished,
    HashProgress: _on_hashing,
    ScanProgress: _on_scanning,
    MetadataProgress: _on_metadata,
    Notice: _on_notice,
}
