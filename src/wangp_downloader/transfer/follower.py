"""The follower: writes a part file and hashes it in file order, close behind the bytes that arrive.

Works in a thread of its own, so that neither the disk nor SHA-256 keeps the network waiting; writing and
:mod:`hashlib` let other threads run meanwhile. Blocks that come in file order are hashed from memory; whatever else is
read back, mostly from the page cache. Extents of an earlier run are checked against their checksums on the way.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from io import FileIO

from wangp_downloader.errors import DownloaderError
from wangp_downloader.transfer.blocks import Block
from wangp_downloader.transfer.checksums import Extent, Hasher, crc32
from wangp_downloader.transfer.spans import UNKNOWN_END
from wangp_downloader.transfer.storage import PartFile, storage_error
from wangp_downloader.units import MIB

_log = logging.getLogger(__name__)
_BLOCK = MIB // 2
_STRIDE = 2 * MIB
"""The thread is woken for so many new bytes, not for every few."""
_MOST_WAITING = 8


class Follower:
    """Writes the blocks of a part file and hashes ``size`` bytes of it, never beyond the frontier it was told.

    Args:
        part: The part file.
        size: Bytes to hash in all, None while that is unknown: ``begin`` tells it later.
        hasher: Fed with them in order.
        claimed: Extents of an earlier run, sorted and disjoint: checked before they count.
        on_lost: Called from the thread with an extent whose bytes changed; the follower then waits until
            ``recovered`` is called.
        on_done: Called from the thread when it has ended by itself.

    Attributes:
        hashed: Bytes hashed so far; they are in the part file.
        failure: Why the thread gave up, or None.
        taken: Blocks that were put so far.
        written: Blocks that are in the part file.
    """

    def __init__(
        self,
        part: PartFile,
        size: int | None,
        hasher: Hasher | None,
        claimed: list[Extent],
        on_lost: Callable[[Extent], None],
        on_done: Callable[[], None],
    ) -> None:
        self.hashed = 0
        self.failure: DownloaderError | None = None
        self.taken = self.written = 0
        self._part = part
        self._size = UNKNOWN_END if size is None else size
        self._hasher = hasher
        self._claimed = sorted(claimed, reverse=True)
        self._on_lost, self._on_done = on_lost, on_done
        self._blocks: deque[Block] = deque()
        self._full = False
        self._frontier = 0
        self._lost = False
        self._stopped = False
        self._ended = False
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._buffer = memoryview(b"")

    @property
    def finished(self) -> bool:
        """True if all bytes are hashed, or the disk refused."""
        return self.hashed >= self._size or self.failure is not None

    @property
    def running(self) -> bool:
        """True if the thread was started."""
        return self._thread is not None

    def hexdigest(self) -> str:
        """Return the digest of what has been hashed, empty if nothing can be."""
        return self._hasher.hexdigest() if self._hasher is not None else ""

    # -- called by the loop's thread

    def begin(self, size: int, hasher: Hasher) -> None:
        """Learn how much there is to hash; what has been written is read back."""
        with self._changed:
            self._size, self._hasher = size, hasher
            self._changed.notify()

    def has_room(self) -> bool:
        """Return whether another block should be put now: not after many wait, until half of them are written."""
        waiting = len(self._blocks)
        self._full = waiting > (_MOST_WAITING // 2 if self._full else _MOST_WAITING - 1)
        return not self._full or self._ended

    def put(self, block: Block) -> bool:
        """Have a block written; return False if the disk has refused an earlier one."""
        with self._changed:
            if self._ended:
                return self.failure is None
            self._blocks.append(block)
            self.taken += 1
            self._wake()
        return True

    def advance(self, frontier: int) -> None:
        """Allow hashing up to ``frontier``, all of which has been put or was there; starts the thread."""
        if frontier - self._frontier < _STRIDE and frontier < self._size:
            return
        with self._changed:
            if self._lost:
                return
            self._frontier = frontier
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

    # -- called by others

    def drain(self) -> None:
        """Hash the whole file in the caller's thread; returns early if an extent is lost.

        For those that no byte arrived of in this run.
        """
        self._frontier = self._size
        try:
            with FileIO(self._part.path) as file:
                while not (self.finished or self._lost or self._stopped):
                    self._read_back(file, self._size)
        except OSError as error:
            self.failure = storage_error("read", self._part.path, error)

    def stop(self, *, discard: bool = False) -> None:
        """End the thread and wait for it: until what was put is written, or is dropped with ``discard``."""
        with self._changed:
            self._stopped = True
            if discard:
                self._blocks.clear()
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()

    # -- the thread

    def _run(self) -> None:
        try:
            with FileIO(self._part.path) as file:
                # The frontier is from before the blocks: all that lies below it was put before.
                while (frontier := self._wait()) is not None:
                    self._take_blocks()
                    if frontier > self.hashed:
                        self._read_back(file, frontier)
                self._take_blocks()
        except OSError as error:
            self.failure = self.failure or storage_error("read", self._part.path, error)
        with self._changed:
            self._ended = True
            self._blocks.clear()
            self._changed.notify_all()
        if not self._stopped:
            self._on_done()

    def _wait(self) -> int | None:
        """Wait for something to do; return up to where may be read back, None to end."""
        with self._changed:
            self._changed.wait_for(
                lambda: (
                    self._stopped
                    or self._blocks
                    or self.hashed >= self._size
                    or (not self._lost and self._frontier > self.hashed)
                )
            )
            if self._stopped or self.hashed >= self._size:
                return None
            return 0 if self._lost else self._frontier

    def _take_blocks(self) -> None:
        while self._blocks:
            block = self._blocks.popleft()
            # First: SHA-256 is slow enough to fetch the bytes from the other core's cache meanwhile, a copy is not.
            hashed = self._hash_block(block) if not self._stopped else self.hashed
            try:
                self._part.write(block.start, [block.data])
            except OSError as error:
                self.failure = storage_error("write", self._part.path, error)
                raise
            self.written += 1
            self.hashed = hashed

    def _hash_block(self, block: Block) -> int:
        """Hash a block that is next in file order; return how far that is. Others are read back in their turn."""
        known = self.hashed - block.start
        if self._hasher is None or self._lost or not 0 <= known < len(block.data):
            return self.hashed
        self._hasher.update(block.data[known:])
        return block.start + len(block.data)

    def _read_back(self, file: FileIO, frontier: int) -> None:
        next_claim = self._claimed[-1].start if self._claimed else self._size
        if self.hashed < next_claim or not self._claimed:
            # A little at a time: what arrives meanwhile is cheaper to hash.
            self._hash(file, min(frontier, next_claim, self.hashed + _BLOCK))
            return
        extent = self._claimed.pop()
        assert self._hasher is not None
        saved, start = self._hasher.copy(), self.hashed
        try:
            if self._hash(file, extent.end, check=True) == extent.checksum:
                return
        except OSError as error:
            # A sector that can not be read any more is written anew.
            _log.info("%s: bytes %d to %d: %s", self._part.path, extent.start, extent.end, error)
        self._hasher, self.hashed = saved, start
        if not self._stopped:
            with self._changed:
                self._lost = True
            self._on_lost(extent)

    def _hash(self, file: FileIO, end: int, *, check: bool = False) -> int:
        checksum = 0
        assert self._hasher is not None
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
