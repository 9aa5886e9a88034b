"""What is on the disk of one file: part, journal, ledger and follower, kept in agreement.

Runs in the loop's thread and hands disk work to :class:`Workers`, one job at a time: while ``busy``, only
bytes may arrive. Knows no network.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from wangp_downloader.errors import DownloaderError
from wangp_downloader.transfer import work
from wangp_downloader.transfer.blocks import BufferPool
from wangp_downloader.transfer.checksums import Extent, new_hasher
from wangp_downloader.transfer.follower import Follower
from wangp_downloader.transfer.journal import Header
from wangp_downloader.transfer.limiter import TokenBucket
from wangp_downloader.transfer.names import PartNames
from wangp_downloader.transfer.request import SMALL_FILE, TransferRequest
from wangp_downloader.transfer.spans import Lease, Ledger, lease_bytes, worth_splitting
from wangp_downloader.transfer.transport import Intake
from wangp_downloader.transfer.workers import Workers
from wangp_downloader.units import KIB, MIB

_CHECKPOINT_BYTES = 256 * KIB
_SLOW_CHECKPOINT_S = 0.5
_SYNC_SHARE = 4.0
_HELD_UP_S = 1.0
_LEAST_UNSYNCED = 64 * MIB
_FIRST_UNSYNCED = 256 * MIB
_UNSYNCED_S = 3.0
Progressed = Callable[[int], None]


class _Sink(Protocol):
    @property
    def buffered(self) -> int: ...

    @property
    def taken(self) -> int: ...

    def flush(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class _Claims:
    """What is claimed in the journal as soon as it is written.

    Attributes:
        extents: With the checksums of what was received.
        blocks: Number of the block, of all that were put, up to which they reach.
        received: Bytes received until then.
    """

    extents: list[Extent]
    blocks: int
    received: int


class Books:
    """The disk side of one file, from the moment its part is open.

    Args:
        request: What is asked for.
        opened: The open part and what its journal claims.
        bucket: The limit.
        workers: Where disk work is done.
        progressed: Told of new bytes.
        pool: Where buffers come from.

    Attributes:
        ledger: Which bytes are here, on their way, missing.
        intake: Takes what arrives.
        etag: Validator of the content, where there is no digest.
        busy: True while a job has the part and the journal.
        clearing: True while everything is being forgotten: nothing may be written then.
        on_failure: Called when the disk refuses.
        on_quiet: Called when a job or the hashing has ended.
        on_lost: Called with the number of bytes that had changed on the disk and are fetched again.
    """

    def __init__(
        self,
        request: TransferRequest,
        opened: work.Opened,
        bucket: TokenBucket,
        workers: Workers,
        progressed: Progressed,
        pool: BufferPool,
    ) -> None:
        self.etag = opened.etag
        self.busy = self.clearing = False
        self.on_failure: Callable[[DownloaderError], None] = _ignore_failure
        self.on_lost: Callable[[int], None] = _ignore_count
        self.on_quiet: Callable[[], None] = _ignore_quiet
        self.ledger = Ledger(opened.size)
        for extent in opened.claimed:
            self.ledger.here.add(extent.start, extent.end)
        self.intake = Intake(self.ledger, bucket, progressed, pool)
        self._request = request
        self._part, self._journal, self._room = opened.part, opened.journal, opened.room
        if opened.size is not None:
            self.intake.most_unsynced = _FIRST_UNSYNCED
        self._workers = workers
        self._lost: list[Extent] = []
        self._length_told = True
        self._reserved = False
        self._claims: _Claims | None = None
        self._follower = self._new_follower(opened.claimed)
        self._checkpoint_at = self._sync_took_s = 0.0
        self._checkpointed = self._written = 0
        self._room_at = self._written_at = math.inf

    @property
    def size(self) -> int | None:
        """Bytes of the whole file, None until known."""
        return self.ledger.size

    @property
    def hashed(self) -> int:
        """Bytes hashed so far."""
        return self._follower.hashed

    @property
    def hashing(self) -> bool:
        """True while a complete file is still being hashed in the background."""
        return self._follower.running and not self._follower.finished

    def held_up(self, now: float) -> bool:
        """Return whether the disk has had no room, or has written nothing of what waits, for a while; asked often."""
        follower = self._follower
        if self.intake.has_room():
            self._room_at = now
        moving = follower.written != self._written or follower.written == follower.taken
        if moving or self._written_at == math.inf:
            self._written, self._written_at = follower.written, now
        return now - min(self._room_at, self._written_at) > _HELD_UP_S

    def learn(self, size: int, etag: str | None, *, told: bool = True) -> None:
        """Note the size that the first answer gave, or that was there when it ended (not ``told``).

        Raises:
            StorageError: There is too little space for it.
        """
        self.ledger.size = size
        self._length_told = told
        self.etag = etag
        for lease in self.ledger.leases:
            lease.end = min(lease.end, size)
        self._room.claim(self._part, size)
        self.intake.most_unsynced = _FIRST_UNSYNCED
        self._follower.begin(size, new_hasher(self._request.digest, size))

    def lease(self, expected: int, bytes_per_s: float, sinks: Sequence[_Sink]) -> Lease | None:
        """Return the next range to fetch, None if there is none.

        Args:
            expected: Connections that the file may come to have.
            bytes_per_s: What one of them brings.
            sinks: Where bytes go now of which others may take over some.
        """
        size, ledger = self.size, self.ledger
        if size is None or expected == 1:
            return ledger.lease(SMALL_FILE if size is None else size)
        lease = ledger.lease(size if size <= SMALL_FILE else lease_bytes(size, expected, bytes_per_s))
        if lease is not None or not sinks:
            return lease
        for sink in sinks:
            sink.flush()  # what is gathered there is not left to do
        # Nothing is left to give: help the one who has most to do, if that takes longer than asking.
        return ledger.split(worth_splitting(bytes_per_s))

    def follow(self) -> None:
        """Let the follower hash what has arrived in order, and notice if it could not read."""
        if self._follower.failure is not None:
            self.on_failure(self._follower.failure)
        elif self.size is not None and not self._follower.finished:
            self._follower.advance(self.ledger.here.prefix_end())

    def checkpoint(self, sinks: Sequence[_Sink], now: float, every_s: float) -> None:
        """Sync and journal what has arrived since the last time, if it is time and nothing is going on.

        It is time after ``every_s`` if much has arrived, later if little has, and never so soon that
        the disk would do nothing but sync.
        """
        if self.busy or self.size is None:
            return
        if not self._reserved and any(sink.taken for sink in sinks):
            self._reserve(self.size)
            return
        if self._claims is None and self._is_time(sinks, now, every_s):
            if self.intake.has_room():
                for sink in sinks:
                    sink.flush()
            self._checkpoint_at, self._checkpointed = now, self.intake.received
            extents = self.intake.checksums.take()
            self._claims = _Claims(extents, self._follower.taken, self.intake.received)
        # No job waits for the disk to take blocks: those of a disk that hangs would use up all threads.
        if self._claims is not None and self._follower.written >= self._claims.blocks:
            claims, self._claims = self._claims, None
            self._run(self._checkpoint_job(claims.extents), lambda _: self._synced(claims.received))

    def _synced(self, received: int) -> None:
        """Note how far the disk is, and let no more come than it can take in some seconds: a kill would lose that."""
        intake = self.intake
        bytes_per_s = (received - intake.synced) / max(self._sync_took_s, 1e-3)
        intake.most_unsynced = max(_LEAST_UNSYNCED, _UNSYNCED_S * bytes_per_s)
        intake.synced = received

    def _is_time(self, sinks: Sequence[_Sink], now: float, every_s: float) -> bool:
        since = now - self._checkpoint_at
        if self.intake.ahead:
            return True
        if since < max(every_s, _SYNC_SHARE * self._sync_took_s):
            return False
        fresh = self.intake.received - self._checkpointed + sum(sink.buffered for sink in sinks)
        if since < _SLOW_CHECKPOINT_S and fresh < _CHECKPOINT_BYTES and not self._lost:
            return False
        return bool(fresh or self._lost)

    def _reserve(self, size: int) -> None:
        """Reserve the file's space, now that its bytes come: who gets none of them should take none."""
        self._reserved = True
        self._run(lambda: self._part.reserve(size), _ignore_none)

    def _checkpoint_job(self, extents: list[Extent]) -> Callable[[], None]:
        part, journal, header, lost = self._part, self._journal, self._header(), self._lost
        self._lost = []

        def job() -> None:
            began = time.monotonic()
            if lost:
                journal.forget(lost)
            work.checkpoint(part, journal, header, extents)
            self._sync_took_s = time.monotonic() - began

        return job

    def clear(self) -> None:
        """Forget everything that has arrived: the file starts from zero.

        Without a digest, what was learnt about it is forgotten too.
        """
        follower, self.intake.writer, self._claims = self._follower, None, None
        journal, part, size = self._journal, self._part, self.size
        if self._request.digest is None:
            size, self.etag = self._request.size, None
        self.clearing = True
        self.intake.checksums.clear()
        self.ledger = self.intake.ledger = Ledger(size)

        def job() -> None:
            follower.stop(discard=True)
            journal.remove()
            part.truncate(0)
            if size is not None:
                self._room.claim(part, size)

        def done(_: None) -> None:
            self.clearing = self._reserved = False
            self._follower = self._new_follower([])

        self._run(job, done)

    def check(
        self, then: Callable[[work.InPlace | work.Mismatch | None], None], cancelled: work.Cancelled
    ) -> None:
        """Compare a complete file with its digest and put it in place; ``None``: bytes were lost, go on.

        Args:
            then: Given the result.
            cancelled: Returns True once nothing is to be put in place any more; from any thread.
        """
        size, follower, journal, fresh = self.size or 0, self._follower, self._journal, self._unclaimed()
        unverified = work.NO_DIGEST if self._length_told else work.NO_LENGTH

        def job() -> work.InPlace | work.Mismatch | None:
            if not follower.running:
                follower.drain()
            if follower.failure is not None:
                raise follower.failure
            if follower.hashed < size:
                return None
            latest = {extent.start: extent for extent in (*journal.extents, *fresh)}
            extents = list(latest.values())
            actual = follower.hexdigest()
            found = work.finish(self._request, self._part, extents, size, actual, cancelled)
            if isinstance(found, work.InPlace) and not found.verified:
                return replace(found, reason=unverified)
            return found

        self._run(job, then)

    def drop(self, extents: list[Extent]) -> None:
        """Take extents whose bytes changed out of the books and hash the file anew."""
        self.intake.writer = None
        self._follower.stop()
        if self._claims is not None:
            self._claims.extents[:] = [extent for extent in self._claims.extents if extent not in extents]
        for extent in extents:
            self.ledger.here.remove(extent.start, extent.end)
        self.intake.checksums.forget(extents)
        self._lost.extend(extents)
        self._follower = self._new_follower([])

    def close(self, *, remove: bool, then: Callable[[], None]) -> None:
        """Make what has arrived resumable and close everything; ``remove`` deletes the journal."""
        follower, extents = self._follower, self._unclaimed()
        self.intake.writer = self._claims = None
        self.intake.checksums.clear()
        header = self._header() if self.size is not None else None

        def job() -> None:
            follower.stop()
            self._room.leave(self._part)
            if remove:
                self._part.close()
                self._journal.remove()
            else:
                if follower.failure is not None:
                    # Not all that arrived was written: what was is worth keeping.
                    extents[:] = work.unchanged_extents(self._part.path, extents)
                work.close_part(self._part, self._journal, header, extents)

        self._run(job, lambda _: then(), lambda _: then())

    def keep_aside(self, then: Callable[[object], None]) -> None:
        """Rename the part of a file that failed its check."""
        names = PartNames.beside(self._request.destination)
        self._run(lambda: work.keep_aside(names), then)

    def _run(
        self,
        job: Callable[[], work.T],
        then: Callable[[work.T], None],
        failed: Callable[[DownloaderError], None] | None = None,
    ) -> None:
        self.busy = True

        def done(result: work.T) -> None:
            self.busy = False
            then(result)
            self.on_quiet()

        def broke(error: DownloaderError) -> None:
            self.busy = False
            (failed or self.on_failure)(error)

        self._workers.submit(job, done, broke)

    def _header(self) -> Header:
        return Header.of(self._request, self.size or 0, self.etag)

    def _unclaimed(self) -> list[Extent]:
        """Return what has arrived and is in no journal yet."""
        waiting = {} if self._claims is None else {extent.start: extent for extent in self._claims.extents}
        return list((waiting | {extent.start: extent for extent in self.intake.checksums.extents()}).values())

    def _new_follower(self, claimed: list[Extent]) -> Follower:
        size = self.ledger.size
        hasher = None if size is None else new_hasher(self._request.digest, size)

        def lost(extent: Extent) -> None:
            self._workers.post(lambda: self._take_back(follower, extent))

        def done() -> None:
            self._workers.post(self.on_quiet)

        follower = Follower(self._part, size, hasher, claimed, lost, done)
        self.intake.writer = follower
        return follower

    def _take_back(self, follower: Follower, extent: Extent) -> None:
        if follower is not self._follower:
            return
        self.ledger.here.remove(extent.start, extent.end)
        self._lost.append(extent)
        follower.recovered(self.ledger.here.prefix_end())
        self.on_lost(extent.length)


def _ignore_failure(error: DownloaderError) -> None:
    pass


def _ignore_count(count: int) -> None:
    pass


def _ignore_quiet() -> None:
    pass


def _ignore_none(result: None) -> None:
    pass
