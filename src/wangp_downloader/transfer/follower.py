"""The follower: hashes a part file in file order, close behind the bytes that arrive.

Works in a thread of its own; :mod:`hashlib` lets other threads run meanwhile. Blocks that come in
file order are hashed from memory; whatever else is read back, mostly from the page cache. Extents of an earlier
run are checked against their checksums on the way.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from io import FileIO
from pathlib import Path

from wangp_downloader.errors import DownloaderError
from wangp_downloader.transfer.blocks import Block
from wangp_downloader.transfer.checksums import Extent, Hasher, crc32
from wangp_downloader.transfer.storage import storage_error
from wangp_downloader.units import MIB

_BLOCK = MIB // 2
_STRIDE = 2 * MIB
"""The thread is woken for so many new bytes, not for every few."""
_MOST_OFFERED = 8
_MOST_WAIT_S = 0.05


class Follower:
    """Hashes ``size`` bytes of a file, never beyond the frontier it was told.

    Args:
        path: The part file.
        size: Bytes to hash in all.
        hasher: Fed with them in order.
        claimed: Extents of an earlier run, sorted and disjoint: checked before they count.
        on_lost: Called from the thread with an extent whose bytes changed; the follower then waits until
            ``recovered`` is called.
        on_done: Called from the thread when it has ended by itself.

    Attributes:
        hashed: Bytes hashed so far.
        failure: Why the thread gave up, or None.
    """

    def __init__(
        self,
        path: Path,
        size: int,
        hasher: Hasher,
        claimed: list[Extent],
        on_lost: Callable[[Extent], None],
        on_done: Callable[[], None],
    ) -> None:
        self.hashed = 0
        self.failure: DownloaderError | None = None
        self._path = path
        self._size = size
        self._hasher = hasher
        self._claimed = sorted(claimed, reverse=True)
        self._on_lost, self._on_done = on_lost, on_done
        self._offered: deque[Block] = deque()
        self._frontier = 0
        self._lost = False
        self._in_step = False
        self._stopped = False
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._buffer = memoryview(b"")

    @property
    def finished(self) -> bool:
        """True if all bytes are hashed, or hashing failed."""
        return self.hashed >= self._size or self.failure is not None

    def hexdigest(self) -> str:
        """Return the digest of what has been hashed."""
        return self._hasher.hexdigest()

    def advance(self, frontier: int) -> None:
        """Allow hashing up to ``frontier``; starts the thread at the first call."""
        if frontier - self._frontier < _STRIDE and frontier < self._size:
            return
        with self._changed:
            if self._lost:
                return
            self._frontier = frontier
            self._wake()

    def offer(self, block: Block) -> None:
        """Let the thread have a block that was written; it need not take it.

        Waits a moment if the thread is in step but behind: it would never get in step again by reading back, and
        what arrives meanwhile waits in the kernel.
        """
        if self.finished or self._lost:
            return
        with self._changed:
            if len(self._offered) >= _MOST_OFFERED and self._in_step:
                self._changed.wait_for(lambda: len(self._offered) <= _MOST_OFFERED // 2, _MOST_WAIT_S)
            if len(self._offered) < _MOST_OFFERED:
                self._offered.append(block)
                self._wake()

    def _wake(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="follower", daemon=True)
            self._thread.start()
        self._changed.notify()

    def recovered(self, frontier: int) -> None:
        """Go on after a lost extent was taken out of the books."""
        with self._changed:
            self._lost = False
            self._frontier = frontier
            self._changed.notify()

    @property
    def running(self) -> bool:
        """True if the thread was started."""
        return self._thread is not None

    def drain(self) -> None:
        """Hash the whole file in the caller's thread; returns early if an extent is lost.

        For small files, which do not deserve a thread.
        """
        self._frontier = self._size
        try:
            with FileIO(self._path) as file:
                while not (self.finished or self._lost or self._stopped):
                    self._advance_in(file)
        except OSError as error:
            self.failure = storage_error("read", self._path, error)

    def stop(self) -> None:
        """End the thread and wait for it (at most for the hashing of one block)."""
        with self._changed:
            self._stopped = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()
        self._offered.clear()

    def _run(self) -> None:
        try:
            with FileIO(self._path) as file:
                while self._wait():
                    self._advance_in(file)
        except OSError as error:
            self.failure = storage_error("read", self._path, error)
        self._offered.clear()
        if not self._stopped:
            self._on_done()

    def _wait(self) -> bool:
        with self._changed:
            self._changed.wait_for(
                lambda: (
                    self._stopped
                    or self._offered
                    or self.hashed >= self._size
                    or (not self._lost and self._frontier > self.hashed)
                )
            )
            return not self._stopped and self.hashed < self._size

    def _advance_in(self, file: FileIO) -> None:
        while self._offered and not self._stopped:
            self._hash_block(self._offered.popleft())
            if len(self._offered) == _MOST_OFFERED // 2:
                with self._changed:
                    self._changed.notify_all()
        if not self._lost and self._frontier > self.hashed:
            self._read_back(file)

    def _hash_block(self, block: Block) -> None:
        """Hash a block that is next in file order; others are read back when it is their turn."""
        known = self.hashed - block.start
        self._in_step = 0 <= known < len(block.data) and not self._lost
        if self._in_step:
            self._hasher.update(block.data[known:])
            self.hashed += len(block.data) - known

    def _read_back(self, file: FileIO) -> None:
        next_claim = self._claimed[-1].start if self._claimed else self._size
        if self.hashed < next_claim or not self._claimed:
            # A little at a time: what arrives meanwhile is cheaper to hash.
            self._hash(file, min(self._frontier, next_claim, self.hashed + _BLOCK))
            return
        extent = self._claimed.pop()
        saved, start = self._hasher.copy(), self.hashed
        if self._hash(file, extent.end, check=True) == extent.checksum:
            return
        self._hasher, self.hashed = saved, start
        if not self._stopped:
            with self._changed:
                self._lost = True
            self._on_lost(extent)

    def _hash(self, file: FileIO, end: int, *, check: bool = False) -> int:
        checksum = 0
        if not self._buffer:
            self._buffer = memoryview(bytearray(min(_BLOCK, self._size)))
        file.seek(self.hashed)
        while self.hashed < end and not self._stopped:
            count = file.readinto(self._buffer[: end - self.hashed])
            if not count:
                if check:
                    return -1
                raise OSError(0, "it ends too early: something else has cut it")
            block = self._buffer[:count]
            if check:
                checksum = crc32(block, checksum)
            self._hasher.update(block)
            self.hashed += count
        return checksum
