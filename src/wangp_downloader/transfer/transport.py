"""The seam between what brings bytes and what takes them.

A transport brings the bytes of a range, in order; a :class:`LeaseSink` writes, counts, limits and
checksums them. HTTP (``http.py``) is the only transport now; one that yields an ordered stream, such as
hf_xet's, needs a lease for its range, a sink for that lease, and the rules of :class:`Taken`.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto
from typing import Protocol

from wangp_downloader.errors import StorageError
from wangp_downloader.transfer.checksums import Extent, crc32
from wangp_downloader.transfer.limiter import TokenBucket
from wangp_downloader.transfer.spans import Lease, Ledger
from wangp_downloader.transfer.storage import PartFile, storage_error
from wangp_downloader.units import KIB, MIB

_FLUSH_BYTES = 512 * KIB
_EXTENT_BYTES = 4 * MIB


class Taken(Enum):
    """What a sink did with the bytes it was offered."""

    ALL = auto()
    LATER = auto()
    """Nothing was taken: the limit holds. Offer the same bytes again when the loop says so."""
    STOP = auto()
    """The range ends here, or the disk refused: bring nothing more."""


# An enum's members are looked up slowly; this happens for every 16 KB.
_ALL, _LATER, _STOP = Taken.ALL, Taken.LATER, Taken.STOP


class Sink(Protocol):
    """What a transport needs to know of the receiving side."""

    def write(self, data: bytes) -> Taken:
        """Take the next bytes of the range."""


class Intake:
    """The receiving side of one file, shared by its sinks.

    Args:
        part: Where the bytes go.
        ledger: Told what arrived.
        bucket: The limit, shared by all files.
        progressed: Called with the number of new bytes after each write to the part file.

    Attributes:
        closed: Extents whose bytes are written but not journalled yet; of those with the same start the last
            counts.
        received: Bytes written so far in this run.
        failure: The disk's refusal, or None.
    """

    def __init__(
        self, part: PartFile, ledger: Ledger, bucket: TokenBucket, progressed: Callable[[int], None]
    ) -> None:
        self.part = part
        self.ledger = ledger
        self.bucket = bucket
        self.closed: list[Extent] = []
        self.received = 0
        self.failure: StorageError | None = None
        self._progressed = progressed

    def put(self, lease: Lease, chunks: list[bytes], count: int) -> bool:
        """Write ``count`` bytes at the lease's position; return False if the disk refused."""
        try:
            self.part.write(lease.position, chunks)
        except OSError as error:
            self.failure = storage_error("write", self.part.path, error)
            return False
        self.ledger.arrived(lease, count)
        self.received += count
        self._progressed(count)
        if lease.position - lease.mark >= _EXTENT_BYTES:
            self.close_extent(lease)
            lease.mark, lease.checksum = lease.position, 0
        return True

    def close_extent(self, lease: Lease) -> None:
        """Hand out the lease's current extent as far as it is written; it goes on growing from there."""
        if lease.position > lease.claimed:
            self.closed.append(Extent(lease.mark, lease.position - lease.mark, lease.checksum))
            lease.claimed = lease.position

    def take_closed(self) -> list[Extent]:
        """Return the extents closed so far and forget them."""
        closed, self.closed = self.closed, []
        return closed


class LeaseSink:
    """Takes the bytes of one lease, in order; gathers small chunks into larger writes.

    Args:
        intake: The file's receiving side.
        lease: The range; its end may be lowered meanwhile.

    Attributes:
        taken: Bytes taken so far, to see whether a connection is alive.
        buffered: Those of them that are not in the part file yet.
    """

    def __init__(self, intake: Intake, lease: Lease) -> None:
        self.taken = 0
        self._intake = intake
        self._lease = lease
        self._bucket = intake.bucket
        self._chunks: list[bytes] = []
        self.buffered = 0

    def write(self, data: bytes) -> Taken:
        """Take the next bytes of the range; those beyond its end are dropped."""
        lease = self._lease
        count = len(data)
        room = lease.end - lease.position - self.buffered
        beyond = count > room
        if beyond:
            if room <= 0:
                return _STOP
            data, count = data[:room], room
        if self._bucket.rate is not None and not self._bucket.take(count):
            return _LATER
        self.taken += count
        self._chunks.append(data)
        self.buffered += count
        lease.checksum = crc32(data, lease.checksum)
        if (self.buffered >= _FLUSH_BYTES or count == room) and not self.flush():
            return _STOP
        return _STOP if beyond else _ALL

    def flush(self) -> bool:
        """Write what is gathered; return False if the disk refused."""
        if not self.buffered:
            return True
        chunks, count = self._chunks, self.buffered
        self._chunks, self.buffered = [], 0
        return self._intake.put(self._lease, chunks, count)

    def close_extent(self) -> None:
        """Write what is gathered and hand out the current extent."""
        if self.flush():
            self._intake.close_extent(self._lease)
