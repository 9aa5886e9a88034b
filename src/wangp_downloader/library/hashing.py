"""Reading a file once, from end to end, for its hash. Remembers nothing: ``hashes.py`` does that."""

# Thousands of paths go through here: plain strings, half the time of pathlib.
# ruff: noqa: PTH116

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from wangp_downloader.cancel import CancelToken
from wangp_downloader.errors import StorageError
from wangp_downloader.events import Emit, HashProgress, ignore
from wangp_downloader.files import Digest, DigestKind
from wangp_downloader.library.stamp import Stamp

BUFFER_BYTES = 2 * 1024**2
PROGRESS_INTERVAL_S = 0.1
_ATTEMPTS = 2

# O_NONBLOCK: a name that turned into a pipe since it was listed must not stop us; no effect on files.
_READ_FLAGS = os.O_RDONLY | sum(
    getattr(os, name, 0) for name in ("O_CLOEXEC", "O_NONBLOCK", "O_BINARY", "O_NOCTTY")
)


@dataclass(frozen=True, slots=True)
class HashedFile:
    """A file's digest and the state in which it was read.

    Attributes:
        digest: What its bytes hash to.
        stamp: Equal before, during and after the reading.
    """

    digest: Digest
    stamp: Stamp


class Hasher(Protocol):
    """What ``hashlib`` objects offer."""

    def update(self, data: memoryview | bytes, /) -> None:
        """Take more bytes."""
        ...

    def hexdigest(self) -> str:
        """Return the hash of all bytes taken, lowercase hex."""
        ...


def new_hasher(kind: DigestKind, size: int) -> Hasher:
    r"""Return an empty hash object for a file of ``size`` bytes.

    A git blob id is SHA-1 over ``"blob <size>\0"`` and the content (git documentation, "Git Objects").
    """
    if kind is DigestKind.SHA256:
        return hashlib.sha256()
    return hashlib.sha1(f"blob {size}\0".encode(), usedforsecurity=False)


class HashMeter:
    """Tells a sink how far hashing one file has come, at most ten times a second."""

    def __init__(self, path: str, size: int, emit: Emit) -> None:
        self._path = path
        self._size = size
        self._emit = emit
        self._next = time.monotonic() + PROGRESS_INTERVAL_S

    def advanced(self, done: int) -> None:
        """Say that ``done`` bytes are hashed."""
        now = time.monotonic()
        if now >= self._next:
            self._next = now + PROGRESS_INTERVAL_S
            self._emit(HashProgress(self._path, done, self._size))

    def finished(self) -> None:
        """Say that the file is hashed."""
        self._emit(HashProgress(self._path, self._size, self._size, finished=True))


def hash_file(path: str, kind: DigestKind, *, cancel: CancelToken, emit: Emit = ignore) -> HashedFile:
    """Read a file and return its digest.

    Blocks for about half a second a GB plus the disk; stops between buffers when cancelled. The file's
    state is sampled before, on the open handle, and after; if it changed the file is read once more.

    Args:
        path: A regular file, or a symbolic link to one.
        kind: Which hash.
        cancel: Stops the reading.
        emit: Told of the progress.

    Raises:
        StorageError: It can not be read, is no regular file, or keeps changing.
        CancelledError: The user asked to stop.
    """
    for _ in range(_ATTEMPTS):
        hashed = _hash_once(path, kind, cancel, emit)
        if hashed is not None:
            return hashed
    raise StorageError(
        f"{path} changes while it is read", hint="wait until the program that writes it is done"
    )


@contextlib.contextmanager
def reading(path: str) -> Iterator[tuple[int, Stamp]]:
    """Open a regular file for one sequential reading; give its descriptor and stamp.

    Raises:
        StorageError: It can not be opened or is no regular file.
    """
    try:
        descriptor = os.open(path, _READ_FLAGS)
    except OSError as error:
        raise StorageError(f"can not read {path}: {error.strerror}") from error
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise StorageError(f"can not read {path}: it is not a regular file")
        if hasattr(os, "posix_fadvise"):
            with contextlib.suppress(OSError):
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_SEQUENTIAL)
        yield descriptor, Stamp.of(status)
    finally:
        os.close(descriptor)


def stamp_of(path: str) -> Stamp:
    """Return the stamp of the file at ``path``, behind a link if it is one.

    Raises:
        StorageError: There is no file, or it can not be looked at.
    """
    try:
        return Stamp.of(os.stat(path))
    except (OSError, ValueError) as error:
        raise StorageError(f"can not read {path}: {getattr(error, 'strerror', error)}") from error


def buffers(descriptor: int, path: str, cancel: CancelToken) -> Iterator[memoryview]:
    """Yield the rest of a file piece by piece; each piece is only valid until the next is asked for.

    Args:
        descriptor: As :func:`reading` gives it.
        path: What to call the file in an error.
        cancel: Looked at before each piece.

    Raises:
        StorageError: The disk or the network file system reports an error.
        CancelledError: The user asked to stop.
    """
    buffer = bytearray(BUFFER_BYTES)
    view = memoryview(buffer)
    with io.FileIO(descriptor, "rb", closefd=False) as file:
        while True:
            cancel.raise_if_cancelled()
            try:
                count = file.readinto(buffer)
            except OSError as error:
                raise StorageError(f"can not read {path}: {error.strerror}") from error
            if not count:
                return
            yield view[:count]


def _hash_once(path: str, kind: DigestKind, cancel: CancelToken, emit: Emit) -> HashedFile | None:
    before = stamp_of(path)
    with reading(path) as (descriptor, opened):
        if opened != before:
            return None
        hasher = new_hasher(kind, opened.size)
        meter = HashMeter(path, opened.size, emit)
        done = 0
        for piece in buffers(descriptor, path, cancel):
            hasher.update(piece)
            done += len(piece)
            meter.advanced(done)
        after = Stamp.of(os.fstat(descriptor))
    if not (before == after == stamp_of(path)) or done != after.size:
        return None
    meter.finished()
    return HashedFile(Digest(kind, hasher.hexdigest()), after)
