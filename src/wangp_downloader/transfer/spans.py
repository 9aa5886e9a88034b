"""Which bytes of a file are here, which are on their way, which are missing. Pure bookkeeping, no I/O."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

from wangp_downloader.units import KIB, MIB

UNKNOWN_END = 1 << 62
"""Stands for the end of a file whose size is not known."""
_SMALLEST_HALF = 16 * KIB
_LEASE_BYTES = 16 * MIB
_SMALLEST_LEASE = 4 * MIB
_LEASE_S = 0.25
_HELP_S = 0.1


def lease_bytes(size: int, connections: int, bytes_per_s: float) -> int:
    """Return how many bytes to give a connection at once: what keeps it busy, and leaves something for the others.

    Args:
        size: Bytes of the whole file.
        connections: Those that the file may come to have.
        bytes_per_s: What one of them brings.
    """
    fair = size // (2 * connections) // MIB * MIB
    usual = max(_LEASE_BYTES, int(_LEASE_S * bytes_per_s))
    return max(_SMALLEST_LEASE, min(usual, fair))


def worth_splitting(bytes_per_s: float) -> int:
    """Return the fewest bytes of a half that is worth asking for on another connection."""
    return max(_SMALLEST_HALF, int(bytes_per_s * _HELP_S))


class SpanSet:
    """A set of byte offsets kept as sorted, disjoint, non-touching half-open ranges."""

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return iter(zip(self._starts, self._ends, strict=True))

    @property
    def total(self) -> int:
        """Number of bytes in the set."""
        return sum(self._ends) - sum(self._starts)

    def add(self, start: int, end: int) -> None:
        """Put ``[start, end)`` into the set."""
        if start >= end:
            return
        low = bisect_left(self._ends, start)
        high = bisect_right(self._starts, end)
        if low < high:
            start = min(start, self._starts[low])
            end = max(end, self._ends[high - 1])
        self._starts[low:high] = [start]
        self._ends[low:high] = [end]

    def remove(self, start: int, end: int) -> None:
        """Take ``[start, end)`` out of the set."""
        if start >= end:
            return
        low = bisect_right(self._ends, start)
        high = bisect_left(self._starts, end)
        kept = [
            (a, b)
            for old_start, old_end in zip(self._starts[low:high], self._ends[low:high], strict=True)
            for a, b in ((old_start, min(old_end, start)), (max(old_start, end), old_end))
            if a < b
        ]
        self._starts[low:high] = [a for a, _ in kept]
        self._ends[low:high] = [b for _, b in kept]

    def first_gap(self, end: int) -> tuple[int, int] | None:
        """Return the first range below ``end`` that is not in the set, or None."""
        position = 0
        for start, stop in self:
            if start > position:
                break
            position = stop
        else:
            return (position, end) if position < end else None
        return (position, min(start, end)) if position < end else None

    def prefix_end(self) -> int:
        """Return how many bytes from offset 0 on are in the set without a gap."""
        return self._ends[0] if self._starts and self._starts[0] == 0 else 0


@dataclass(slots=True, eq=False)
class Lease:
    """A range of a file that one connection fetches.

    Attributes:
        start: First byte.
        end: Byte after the last; may be lowered while running, when the rest is given to another connection.
        position: Byte after the last one taken: it is in the part file or on its way there.
        epoch: Number of the file's failure episode in which the lease began.
    """

    start: int
    end: int
    position: int
    epoch: int = 0

    @property
    def remaining(self) -> int:
        """Bytes still to be written."""
        return self.end - self.position


class Ledger:
    """What is here and what is leased, of one file.

    Attributes:
        size: Bytes of the file, None until known.
        here: What has been taken; it counts as safe only once the journal says so.
        leases: What is being fetched.
    """

    def __init__(self, size: int | None) -> None:
        self.size = size
        self.here = SpanSet()
        self.leases: list[Lease] = []

    @property
    def end(self) -> int:
        """The file's size, or a very large number while it is unknown."""
        return UNKNOWN_END if self.size is None else self.size

    @property
    def complete(self) -> bool:
        """True if every byte is here."""
        return self.size is not None and (self.size == 0 or self.here.prefix_end() >= self.size)

    def lease(self, most: int) -> Lease | None:
        """Give out the first missing range in file order, at most ``most`` bytes; None if there is none."""
        taken = SpanSet()
        for start, end in self.here:
            taken.add(start, end)
        for lease in self.leases:
            taken.add(lease.start, lease.end)
        gap = taken.first_gap(self.end)
        if gap is None:
            return None
        start, end = gap[0], min(gap[1], gap[0] + most)
        return self._give(start, end)

    def split(self, smallest: int) -> Lease | None:
        """Take the second half of the lease with most left to do; None if no half reaches ``smallest``."""
        victim = max(self.leases, key=lambda lease: lease.remaining, default=None)
        if victim is None or victim.remaining < 2 * smallest:
            return None
        middle = victim.position + victim.remaining // 2
        end, victim.end = victim.end, middle
        return self._give(middle, end)

    def arrived(self, lease: Lease, count: int) -> None:
        """Note that ``count`` more bytes of ``lease`` were taken."""
        self.here.add(lease.position, lease.position + count)
        lease.position += count

    def release(self, lease: Lease) -> None:
        """Take a lease back; what it did not bring is missing again."""
        if lease in self.leases:
            self.leases.remove(lease)

    def _give(self, start: int, end: int) -> Lease:
        lease = Lease(start, end, start)
        self.leases.append(lease)
        return lease
