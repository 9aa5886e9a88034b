"""The record of every change made to the disk, so that it can be looked up and undone.

Owns the file ``journal.jsonl`` in the state folder and its format (``docs/disk-formats-library.md``). Knows
nothing of how links are made or undone; it changes no file but its own.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import secrets
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from wangp_downloader.errors import StorageError
from wangp_downloader.files import Digest, DigestKind
from wangp_downloader.reading import open_regular, require_regular

FORMAT_VERSION = 1
_LAST_TIME_S = 253_402_128_000.0
"""The last day of the year 9999: calendars end there."""


class JournalAction(StrEnum):
    """What was done to a path."""

    LINK = "link"
    """A symbolic link, hard link, reflink or verified copy was placed; ``mode`` says which."""
    DOWNLOAD = "download"
    REPLACE = "replace"
    REMOVE = "remove"
    MKDIR = "mkdir"
    UNDO = "undo"
    """An earlier entry was taken back; ``source`` is that entry's id."""


class JournalState(StrEnum):
    """How far a change got."""

    BEGUN = "begun"
    """Announced; whether it happened is to be seen on the disk (the process may have died)."""
    DONE = "done"
    FAILED = "failed"


class BeforeKind(StrEnum):
    """What stood at a target before it was changed."""

    ABSENT = "absent"
    LINK = "link"
    FILE = "file"


@dataclass(frozen=True, slots=True)
class Before:
    """What stood at a target before it was changed.

    Attributes:
        kind: What it was.
        link_to: The text of the symbolic link, where it was one.
        size: Bytes of the file, where it was one.
    """

    kind: BeforeKind = BeforeKind.ABSENT
    link_to: str | None = None
    size: int | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """One change to the disk, as its maker describes it.

    Attributes:
        action: What is done.
        target: Absolute path that changes.
        source: Absolute path the content comes from, a redacted URL, or None.
        mode: For links: ``symlink``, ``hardlink``, ``reflink`` or ``copy``.
        digest: What the content hashes to, or None if unknown.
        before: What stood at ``target``.
    """

    action: JournalAction
    target: str
    source: str | None = None
    mode: str | None = None
    digest: Digest | None = None
    before: Before = Before()


@dataclass(frozen=True, slots=True)
class Entry:
    """One change as the journal remembers it.

    Attributes:
        id: Unique in the journal.
        run: Shared by all entries of one run of the program.
        time: Seconds since the epoch when it was begun.
        verb: The command that led to it (``link``, ``download``, …).
        pid: The process.
        change: What was done.
        state: How far it got.
        after: ``(device, inode, size, mtime_ns)`` of what stood at the target afterwards, where known.
    """

    id: str
    run: str
    time: float
    verb: str
    pid: int
    change: Change
    state: JournalState
    after: tuple[int, int, int, int] | None = None


class Journal:
    """Appends entries to one file; safe to use from several threads and several processes.

    Each line goes out in one ``write`` to a descriptor in append mode; the line that announces a change is
    on the disk (fsync) before the change is made. A line torn by a crash is skipped when reading.

    Args:
        path: The file; it and its folder are made at the first record.
        verb: The command on whose behalf changes are made.
    """

    def __init__(self, path: Path, verb: str = "") -> None:
        self.path = path
        self.verb = verb
        self.run = secrets.token_hex(6)
        self._count = itertools.count(1)
        self._lock = threading.Lock()
        self._descriptor: int | None = None

    def begin(self, change: Change) -> str:
        """Announce a change before it is made; return the entry's id, for :meth:`finish`.

        Raises:
            StorageError: The journal can not be written; the change must then not be made.
        """
        entry_id = f"{self.run}-{next(self._count)}"
        line: dict[str, Any] = {"v": FORMAT_VERSION, "id": entry_id, "state": JournalState.BEGUN.value}
        line |= {"run": self.run, "time": time.time(), "verb": self.verb, "pid": os.getpid()}
        self._append(line | _encode(change), sync=True)
        return entry_id

    def finish(self, entry_id: str, *, done: bool = True, after: os.stat_result | None = None) -> None:
        """Say how a change ended.

        Not synced: if this line is lost, the entry stays ``begun`` and the disk itself tells.

        Args:
            entry_id: What :meth:`begin` gave.
            done: False if the change failed and nothing changed.
            after: ``lstat`` of the target now, so that an undo can tell whether it is still ours.
        """
        state = JournalState.DONE if done else JournalState.FAILED
        line: dict[str, Any] = {"v": FORMAT_VERSION, "id": entry_id, "state": state.value}
        if after is not None:
            line["after"] = [after.st_dev, after.st_ino, after.st_size, after.st_mtime_ns]
        self._append(line, sync=False)

    def prepare(self) -> None:
        """Make sure that changes can be written down, before the first one is made.

        Raises:
            StorageError: The journal can not be opened for writing.
        """
        with self._lock, self._errors():
            self._open()

    def record(self, change: Change, *, after: os.stat_result | None = None) -> str:
        """Write down a change that is already made; return the entry's id.

        Raises:
            StorageError: The journal can not be written.
        """
        entry_id = self.begin(change)
        self.finish(entry_id, after=after)
        return entry_id

    def entries(self) -> list[Entry]:
        """Return all entries, oldest first; lines that can not be read are left out.

        Raises:
            StorageError: The file exists but can not be opened.
        """
        found: dict[str, Entry] = {}
        for line in self._lines():
            with contextlib.suppress(ValueError, KeyError, TypeError, OverflowError):
                _fold(line, found)
        return list(found.values())

    def close(self) -> None:
        """Close the file; the next record opens it again."""
        with self._lock:
            if self._descriptor is not None:
                os.close(self._descriptor)
                self._descriptor = None

    def _lines(self) -> Iterator[dict[str, Any]]:
        try:
            with open_regular(self.path) as file:
                content = file.read()
        except FileNotFoundError:
            return
        except OSError as error:
            raise StorageError(f"can not read the journal {self.path}: {error.strerror}") from error
        for raw in content.splitlines():
            with contextlib.suppress(ValueError, RecursionError):
                line = json.loads(raw)
                if isinstance(line, dict) and line.get("v") == FORMAT_VERSION:
                    yield line

    def _append(self, line: Mapping[str, Any], *, sync: bool) -> None:
        data = json.dumps(line, separators=(",", ":")).encode("ascii") + b"\n"
        with self._lock, self._errors():
            descriptor = self._open()
            if os.write(descriptor, data) != len(data):
                raise StorageError(f"can not write the journal {self.path}: the disk is full")
            if sync:
                os.fsync(descriptor)

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            text = f"can not write the journal {self.path}: {error.strerror}"
            raise StorageError(text, hint="free space or make the state folder writable") from error

    def _open(self) -> int:
        if self._descriptor is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_CLOEXEC", 0)
            descriptor = os.open(self.path, flags | getattr(os, "O_BINARY", 0), 0o600)
            try:
                require_regular(descriptor, self.path)
                _end_torn_line(descriptor)
            except BaseException:
                os.close(descriptor)
                raise
            self._descriptor = descriptor
        return self._descriptor


def _end_torn_line(descriptor: int) -> None:
    """Keep a line that a crash cut off from swallowing the next one."""
    size = os.lseek(descriptor, 0, os.SEEK_END)
    if size == 0:
        return
    os.lseek(descriptor, size - 1, os.SEEK_SET)
    if os.read(descriptor, 1) != b"\n":
        os.write(descriptor, b"\n")


def _encode(change: Change) -> dict[str, Any]:
    before = {"kind": change.before.kind.value, "link_to": change.before.link_to, "size": change.before.size}
    return {
        "action": change.action.value,
        "target": change.target,
        "source": change.source,
        "mode": change.mode,
        "digest": str(change.digest) if change.digest is not None else None,
        "before": {key: value for key, value in before.items() if value is not None},
    }


def _fold(line: dict[str, Any], found: dict[str, Entry]) -> None:
    """Add one line to what is known: the first of an id makes the entry, later ones end it."""
    state = JournalState(line["state"])
    if state is JournalState.BEGUN:
        entry = Entry(
            id=str(line["id"]),
            run=str(line["run"]),
            time=_time(line["time"]),
            verb=str(line["verb"]),
            pid=int(line["pid"]),
            change=_decode(line),
            state=state,
        )
        found.setdefault(entry.id, entry)
        return
    begun = found[line["id"]]
    after = line.get("after")
    stamp = None if after is None else _four(after)
    found[begun.id] = Entry(
        begun.id, begun.run, begun.time, begun.verb, begun.pid, begun.change, state=state, after=stamp
    )


def _time(value: float) -> float:
    seconds = float(value)
    if not 0 <= seconds <= _LAST_TIME_S:  # nor is "not a number" between the two
        raise ValueError(value)
    return seconds


def _four(numbers: list[int]) -> tuple[int, int, int, int]:
    device, inode, size, mtime_ns = (int(number) for number in numbers)
    return device, inode, size, mtime_ns


def _decode(line: dict[str, Any]) -> Change:
    return Change(
        action=JournalAction(line["action"]),
        target=_text(line["target"]),
        source=None if line["source"] is None else _text(line["source"]),
        mode=None if line["mode"] is None else _text(line["mode"]),
        digest=None if line["digest"] is None else _digest(_text(line["digest"])),
        before=_before(line["before"]),
    )


def _before(found: dict[str, Any]) -> Before:
    link_to, size = found.get("link_to"), found.get("size")
    return Before(
        kind=BeforeKind(found["kind"]),
        link_to=None if link_to is None else _text(link_to),
        size=None if size is None else int(size),
    )


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value


def _digest(text: str) -> Digest:
    kind, _, digits = text.partition(":")
    return Digest(DigestKind(kind), digits)
