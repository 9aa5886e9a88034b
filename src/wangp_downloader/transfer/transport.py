"""The seam between what brings bytes and what takes them.

A transport brings the bytes of a range, in order; a :class:`LeaseSink` counts, limits, checksums and writes
them or has them written. HTTP (``http.py``) is the only transport now; one that yields an ordered stream, such as
hf_xet's, needs a lease for its range, a sink for that lease, and the rules of :class:`Taken`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from enum import Enum, auto
from typing import Protocol

from wangp_downloader.errors import DownloaderError
from wangp_downloader.transfer.blocks import Block, BufferPool, Checksums, Run
from wangp_downloader.transfer.limiter import TokenBucket
from wangp_downloader.transfer.spans import Lease, Ledger


class Taken(Enum):
    """What a sink did with the bytes it was offered."""

    ALL = auto()
    LATER = auto()
    """Nothing was taken: the limit holds, or the disk is slow. Offer the same bytes again when the loop says so."""
    STOP = auto()
    """The range ends here, or the disk refused: bring nothing more."""


# An enum's members are looked up slowly; this happens for every 16 KB.
_ALL, _LATER, _STOP = Taken.ALL, Taken.LATER, Taken.STOP


class Sink(Protocol):
    """What a transport needs to know of the receiving side."""

    def write(self, data: bytes) -> Taken:
        """Take the next bytes of the range."""


class Writer(Protocol):
    """Writes blocks in a thread of its own."""

    @property
    def failure(self) -> DownloaderError | None:
        """The disk's refusal, or None."""

    def has_room(self) -> bool:
        """Return whether another block should be put now."""

    def put(self, block: Block) -> bool:
        """Have a block written; return False if the disk has refused an earlier one."""


class Intake:
    """The receiving side of one file, shared by its sinks.

    Args:
        ledger: Told what arrived.
        bucket: The limit, shared by all files.
        progressed: Called with the number of bytes after each block that was taken.
        pool: Where buffers come from.

    Attributes:
        checksums: Of what was taken but is not journalled yet.
        writer: Writes the blocks; None while nothing is to be written.
        received: Bytes written or put so far in this run.
        synced: Those of them that are certainly on the disk.
        most_unsynced: Bytes that may be received and not synced.
        failure: The disk's refusal, or None.
    """

    def __init__(
        self,
        ledger: Ledger,
        bucket: TokenBucket,
        progressed: Callable[[int], None],
        pool: BufferPool,
    ) -> None:
        self.ledger = ledger
        self.bucket = bucket
        self.pool = pool
        self.checksums = Checksums()
        self.writer: Writer | None = None
        self.received = self.synced = 0
        self.most_unsynced = math.inf
        self.failure: DownloaderError | None = None
        self._progressed = progressed

    def has_room(self) -> bool:
        """Return whether another block can be taken without waiting for the disk."""
        return not self.ahead and (self.writer is None or self.writer.has_room())

    @property
    def ahead(self) -> bool:
        """True while more has been received than the disk can be expected to keep soon."""
        return self.received - self.synced > self.most_unsynced

    def put(self, lease: Lease, run: Run, buffer: memoryview, count: int) -> bool:
        """Have a buffer's first ``count`` bytes written at the lease's position; return False if the disk refused."""
        block = Block(run, lease.position, buffer, count, self.pool)
        if not self._write(block):
            return False
        self.ledger.arrived(lease, count)
        self.received += count
        self.checksums.add(block)
        self._progressed(count)
        return True

    def _write(self, block: Block) -> bool:
        writer = self.writer
        if writer is None:
            return False
        if not writer.put(block):
            self.failure = writer.failure
        return self.failure is None


class LeaseSink:
    """Takes the bytes of one lease, in order; gathers small chunks into larger writes.

    Args:
        intake: The file's receiving side.
        lease: The range; its end may be lowered meanwhile.

    Attributes:
        buffered: Bytes taken that are not put into the part file yet.
    """

    __slots__ = ("_bucket", "_buffer", "_buffer_bytes", "_intake", "_lease", "_run", "buffered")

    def __init__(self, intake: Intake, lease: Lease) -> None:
        self.buffered = 0
        self._intake = intake
        self._lease = lease
        self._bucket = intake.bucket
        self._buffer: memoryview | None = None
        self._buffer_bytes = intake.pool.buffer_bytes
        self._run = Run(lease.position)

    @property
    def taken(self) -> int:
        """Bytes taken so far, to see whether a connection is alive."""
        return self._lease.position - self._lease.start + self.buffered

    def write(self, data: bytes) -> Taken:
        """Take the next bytes of the range; those beyond its end are dropped."""
        lease, buffer, at = self._lease, self._buffer, self.buffered
        end = at + len(data)
        # Nearly always: fits into the buffer, is not the last, no limit. This runs for every 16 KB.
        if (
            buffer is not None
            and end < self._buffer_bytes
            and lease.position + end < lease.end
            and self._bucket.rate is None
        ):
            buffer[at:end] = data
            self.buffered = end
            return _ALL
        return self._write_slowly(data, lease.end - lease.position - at)

    def _write_slowly(self, data: bytes, room: int) -> Taken:
        count = len(data)
        beyond = count > room
        if beyond:
            if room <= 0:
                return _STOP
            data, count = data[:room], room
        if self.buffered + count >= self._buffer_bytes and not self._intake.has_room():
            return _LATER
        if not self._bucket.take(count):
            return _LATER
        if not self._gather(data) or (count == room and not self.flush()):
            return _STOP
        return _STOP if beyond else _ALL

    def _gather(self, data: bytes) -> bool:
        """Spread data over as many buffers as it needs; return False if the disk refused."""
        view = memoryview(data)
        while view:
            if self.buffered == self._buffer_bytes and not self.flush():
                return False
            if self._buffer is None:
                self._buffer = self._intake.pool.take()
            part = view[: self._buffer_bytes - self.buffered]
            self._buffer[self.buffered : self.buffered + len(part)] = part
            self.buffered += len(part)
            view = view[len(part) :]
        return True

    def flush(self) -> bool:
        """Write what is gathered; return False if the disk refused."""
        buffer, count = self._buffer, self.buffered
        if buffer is None or not count:
            return True
        self._buffer, self.buffered = None, 0
        return self._intake.put(self._lease, self._run, buffer, count)
