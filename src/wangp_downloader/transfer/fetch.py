"""What a file and the loop need of each other: a range being fetched, a file's states. Values and interfaces only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from wangp_downloader.transfer.answer import Meaning, Verdict
from wangp_downloader.transfer.blocks import BufferPool
from wangp_downloader.transfer.limiter import TokenBucket
from wangp_downloader.transfer.redirect import Origin
from wangp_downloader.transfer.request import TransferOptions
from wangp_downloader.transfer.spans import Lease
from wangp_downloader.transfer.storage import Room
from wangp_downloader.transfer.transport import LeaseSink
from wangp_downloader.transfer.workers import Workers


class State(StrEnum):
    """Where a file is in its life."""

    QUEUED = "queued"
    OPENING = "opening"
    LOCKED = "locked"
    """Another process fetches it."""
    ACTIVE = "active"
    CLOSING = "closing"
    DONE = "done"


@dataclass(slots=True, eq=False)
class Fetch:
    """One range being fetched.

    Attributes:
        lease: The range.
        sink: Where its bytes go.
        url: Where they come from now.
        began: Monotonic time at which it was given out.
        ranged: False where the whole file is asked for without a range.
        fresh: True if it wants a new TCP connection.
        asked_end: End of the range as it was asked for, None without a range.
        hops: Redirects followed for it.
        verdict: What the answer means, None before there is one.
        slow_to_fail: True if its failure took long to show: that counts for more.
    """

    lease: Lease
    sink: LeaseSink
    url: str
    began: float
    ranged: bool
    fresh: bool = False
    asked_end: int | None = None
    hops: int = 0
    verdict: Verdict | None = None
    slow_to_fail: bool = False

    @property
    def brings_content(self) -> bool:
        """True if its answer is what was asked for."""
        return self.verdict is not None and self.verdict.meaning is Meaning.BODY

    @property
    def needs_no_more(self) -> bool:
        """True if what still comes does not matter: all bytes are here, or it is known where they are."""
        if self.verdict is not None and self.verdict.meaning is Meaning.REDIRECT:
            return True
        return self.lease.remaining <= self.sink.buffered


class Network(Protocol):
    """What a file needs from the loop."""

    def stop(self, fetch: Fetch) -> None:
        """End a fetch now, without calling ``ended``."""

    def distress(self) -> None:
        """Note that the other side, or the way to it, is in trouble."""

    def hold(self, origin: Origin, seconds: float) -> None:
        """Ask nothing of an origin for so long."""


@dataclass(frozen=True, slots=True)
class Context:
    """What all files of a run share."""

    options: TransferOptions
    bucket: TokenBucket
    pool: BufferPool
    room: Room
    workers: Workers
    network: Network
    clock: Callable[[], float]
