"""What the engine says while it works: frozen values, for any face to draw or to print.

Owns the vocabulary only. Rooms get an :data:`Emit` and call it from any thread; it must not block.
Progress events come at most ten times a second a file, so that a sink may be slow-ish but not lazy.
``docs/events.md`` documents the JSON form that ``download --events`` prints.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from wangp_downloader.files import Outcome


class Level(StrEnum):
    """How much a notice matters."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class Topic(StrEnum):
    """What a notice is about, where a face does more with it than to show it."""

    HUB_SILENT = "hub silent"
    """Nobody answers at the Hub's address."""
    STOPPED = "stopped"
    """A file was told to stop."""


@dataclass(frozen=True, slots=True)
class Event:
    """Root of all events."""


Emit = Callable[[Event], None]
"""Takes one event, from any thread, without blocking and without raising."""


def ignore(event: Event) -> None:
    """Drop an event: the sink for callers that do not watch."""


@dataclass(frozen=True, slots=True)
class Notice(Event):
    """A sentence for the log; ``key`` is the target it is about, if it is about one."""

    level: Level
    text: str
    key: str | None = None
    topic: Topic | None = None


@dataclass(frozen=True, slots=True)
class MetadataProgress(Event):
    """``done`` of ``total`` repos have been asked about; ``repo`` is the one that just answered."""

    repo: str
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class ScanProgress(Event):
    """A store is being listed; ``files`` seen in it so far."""

    store: str
    files: int
    finished: bool = False


@dataclass(frozen=True, slots=True)
class HashProgress(Event):
    """``done`` of ``size`` bytes of a local file are hashed."""

    path: str
    done: int
    size: int
    finished: bool = False


@dataclass(frozen=True, slots=True)
class FileQueued(Event):
    """A transfer waits for its turn. ``key`` is the plan's target; ``size`` in bytes if known."""

    key: str
    size: int | None


@dataclass(frozen=True, slots=True)
class FileStarted(Event):
    """A transfer begins; ``done`` bytes were already here from an earlier attempt."""

    key: str
    size: int | None
    done: int


@dataclass(frozen=True, slots=True)
class FileProgress(Event):
    """``done`` bytes are on the disk; ``bytes_per_s`` is smoothed; ``connections`` are open for it."""

    key: str
    done: int
    bytes_per_s: float
    connections: int = 1


@dataclass(frozen=True, slots=True)
class FileVerifying(Event):
    """All bytes are here; ``done`` of them are hashed."""

    key: str
    done: int
    size: int


@dataclass(frozen=True, slots=True)
class FileRetrying(Event):
    """An attempt failed for ``reason``; the next starts in ``wait_s`` seconds."""

    key: str
    reason: str
    wait_s: float


@dataclass(frozen=True, slots=True)
class FileWaiting(Event):
    """The next attempt after a failure starts in ``wait_s`` seconds; told once a second."""

    key: str
    wait_s: float


@dataclass(frozen=True, slots=True)
class FileLocked(Event):
    """Another process is fetching the file: this one waits for it."""

    key: str


@dataclass(frozen=True, slots=True)
class FilePaused(Event):
    """A transfer was paused by the user; it keeps its part."""

    key: str


@dataclass(frozen=True, slots=True)
class FileFinished(Event):
    """The end of one file: ``outcome``, and ``error`` and ``hint`` where it failed."""

    key: str
    outcome: Outcome
    error: str | None = None
    hint: str | None = None
    verified: bool = False


def to_json(event: Event) -> dict[str, Any]:
    """Return the event as a JSON-ready mapping whose ``event`` names its class in snake_case."""
    name = re.sub(r"(?<!^)(?=[A-Z])", "_", type(event).__name__).lower()
    return {"event": name, **asdict(event)}
