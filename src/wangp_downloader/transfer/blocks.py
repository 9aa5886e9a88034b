"""Received bytes in memory, on their way to the part file and to those who compute over them.

Owns the buffers and the checksums of what was received. Used by the loop's thread, but for the reading of
blocks and the giving back of their buffers.
"""

from __future__ import annotations

from wangp_downloader.transfer.checksums import Extent, crc32
from wangp_downloader.units import KIB, MIB

BLOCK_BYTES = MIB
"""Gathered by each of a few connections: large enough for few system calls, small enough to stay in a core's cache."""
_SMALLEST_BLOCK = 128 * KIB
_MOST_GATHERED = 16 * MIB
_EXTENT_BYTES = 4 * MIB


class Block:
    """Bytes of a file on their way from memory to the part file.

    Attributes:
        run: What it continues.
        start: Offset of its first byte in the file.
        data: The bytes.
    """

    __slots__ = ("_buffer", "_pool", "data", "run", "start")

    def __init__(self, run: Run, start: int, buffer: memoryview, count: int, pool: BufferPool) -> None:
        self.run = run
        self.start = start
        self.data = buffer[:count]
        self._buffer = buffer
        self._pool = pool

    def __del__(self) -> None:
        """Give the buffer back: only here is it certain that nobody reads it any more."""
        self._pool.give(self._buffer)


class Run:
    """Bytes that arrive one after the other and the checksum of the extent that they make up so far.

    Args:
        start: Offset of the first byte.
    """

    __slots__ = ("checksum", "start")

    def __init__(self, start: int) -> None:
        self.start = start
        self.checksum = 0


def block_bytes(connections: int) -> int:
    """Return how much so many connections may gather each, before it is written."""
    return max(_SMALLEST_BLOCK, min(BLOCK_BYTES, _MOST_GATHERED // connections))


class BufferPool:
    """Buffers that are used again: memory that is touched for the first time costs as much as a copy.

    Attributes:
        buffer_bytes: Size of each.
    """

    def __init__(self, buffer_bytes: int = BLOCK_BYTES) -> None:
        self.buffer_bytes = buffer_bytes
        self._most_idle = _MOST_GATHERED // buffer_bytes
        self._idle: list[memoryview] = []

    def __len__(self) -> int:
        """Return how many wait to be used again."""
        return len(self._idle)

    def take(self) -> memoryview:
        """Return a buffer; from any thread."""
        try:
            return self._idle.pop()
        except IndexError:
            return memoryview(bytearray(self.buffer_bytes))

    def give(self, buffer: memoryview) -> None:
        """Take a buffer back; from any thread."""
        if len(self._idle) < self._most_idle:
            self._idle.append(buffer)


class Checksums:
    """The checksums of what was received for one file and is not claimed in the journal yet."""

    def __init__(self) -> None:
        self._fresh: dict[int, Extent] = {}

    def add(self, block: Block) -> None:
        """Note a block; those of a run come in order."""
        run = block.run
        run.checksum = crc32(block.data, run.checksum)
        length = block.start + len(block.data) - run.start
        self._fresh[run.start] = Extent(run.start, length, run.checksum)
        if length >= _EXTENT_BYTES:
            run.start, run.checksum = run.start + length, 0

    def take(self) -> list[Extent]:
        """Return the extents that were added or have grown since the last call; those with an old start replace it."""
        fresh, self._fresh = self._fresh, {}
        return list(fresh.values())

    def extents(self) -> list[Extent]:
        """Return what ``take`` would, without forgetting it."""
        return list(self._fresh.values())

    def forget(self, extents: list[Extent]) -> None:
        """Leave out some extents."""
        gone = set(extents)
        self._fresh = {start: extent for start, extent in self._fresh.items() if extent not in gone}

    def clear(self) -> None:
        """Forget everything."""
        self._fresh = {}
