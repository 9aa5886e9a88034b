"""Received bytes on their way: sinks, checksums of what arrives, hashing from memory."""

from __future__ import annotations

import errno
import hashlib
import os
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wangp_downloader.errors import StorageError
from wangp_downloader.transfer.blocks import BLOCK_BYTES, Block, BufferPool, Checksums, Run
from wangp_downloader.transfer.checksums import Extent, crc32
from wangp_downloader.transfer.follower import Follower
from wangp_downloader.transfer.limiter import TokenBucket
from wangp_downloader.transfer.spans import Ledger
from wangp_downloader.transfer.storage import PartFile
from wangp_downloader.transfer.transport import Intake, LeaseSink, Taken
from wangp_downloader.units import MIB


@contextmanager
def _intake(folder: Path, size: int) -> Iterator[tuple[Intake, Callable[[], bytes]]]:
    """Give an intake, and what returns all that it has had written."""
    part = PartFile(folder / "part")
    intake = Intake(Ledger(size), TokenBucket(None), lambda count: None, BufferPool())
    intake.writer = follower = Follower(part, None, None, [], lambda extent: None, lambda: None)

    def content() -> bytes:
        _wait_written(follower, follower.taken)
        return part.path.read_bytes()

    yield intake, content
    follower.stop()
    part.close()


def _wait_written(follower: Follower, blocks: int) -> None:
    until = time.monotonic() + 20
    while follower.written < blocks and follower.failure is None and time.monotonic() < until:
        time.sleep(0.002)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(1, 3 * BLOCK_BYTES), min_size=1, max_size=6), st.booleans())
def test_a_sink_writes_what_it_takes_and_knows_its_checksums(
    tmp_path_factory: pytest.TempPathFactory, counts: list[int], flushing: bool
) -> None:
    content = os.urandom(sum(counts))
    with _intake(tmp_path_factory.mktemp("sink"), len(content)) as (intake, written):
        lease = intake.ledger.lease(len(content))
        assert lease is not None
        sink, at = LeaseSink(intake, lease), 0
        for count in counts:
            while (taken := sink.write(content[at : at + count])) is Taken.LATER:
                time.sleep(0.002)
            assert taken is Taken.ALL
            at += count
            if flushing:
                assert sink.flush()
        assert intake.ledger.complete
        assert written() == content
        extents = sorted(intake.checksums.take())
        assert sum(extent.length for extent in extents) == len(content)
        for extent in extents:
            assert extent.checksum == zlib.crc32(content[extent.start : extent.end])
        assert intake.checksums.take() == []


def test_a_sink_drops_what_lies_beyond_its_end(tmp_path: Path) -> None:
    with _intake(tmp_path, 100) as (intake, written):
        lease = intake.ledger.lease(60)
        assert lease is not None
        sink = LeaseSink(intake, lease)
        assert sink.write(b"a" * 50) is Taken.ALL
        assert sink.write(b"b" * 20) is Taken.STOP
        assert sink.write(b"c") is Taken.STOP
        assert written() == b"a" * 50 + b"b" * 10


def test_an_extent_that_grows_is_claimed_again_with_its_start() -> None:
    checksums, pool, run = Checksums(), BufferPool(), Run(10)
    checksums.add(_block(run, 10, b"ab", pool))
    [first] = checksums.take()
    checksums.add(_block(run, 12, b"cd", pool))
    [second] = checksums.take()
    assert (first.start, first.length, first.checksum) == (10, 2, zlib.crc32(b"ab"))
    assert (second.start, second.length, second.checksum) == (10, 4, zlib.crc32(b"abcd"))


def test_checksums_hold_no_buffers() -> None:
    checksums, pool, run = Checksums(), BufferPool(), Run(0)
    for number in range(100):
        checksums.add(_block(run, number, b"x", pool))
    assert len(pool) == 1
    assert sum(extent.length for extent in checksums.take()) == 100


def test_the_quick_checksum_is_zlibs() -> None:
    content = os.urandom(100_003)
    for cut in (0, 1, 15, 16, 17, 4096, len(content)):
        assert crc32(content[cut:], crc32(content[:cut])) == zlib.crc32(content)


def test_what_is_cleared_or_forgotten_is_not_claimed() -> None:
    checksums, pool = Checksums(), BufferPool()
    checksums.add(_block(Run(0), 0, b"ab", pool))
    checksums.clear()
    assert checksums.take() == []
    checksums.add(_block(Run(5), 5, b"ab", pool))
    checksums.forget(checksums.extents())
    assert checksums.take() == []


def _block(run: Run, start: int, data: bytes, pool: BufferPool) -> Block:
    buffer = pool.take()
    buffer[: len(data)] = data
    return Block(run, start, buffer, len(data), pool)


def _in_order(count: int) -> list[int]:
    return list(range(count))


def _second_half_first(count: int) -> list[int]:
    return [*range(count // 2, count), *range(count // 2)]


class _SlowDisk(PartFile):
    """A part file whose writes wait until they may go on, and fail if told to."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.may_write = threading.Event()
        self.writing = threading.Event()
        self.error: OSError | None = None

    def write(self, offset: int, chunks: Sequence[bytes | memoryview]) -> None:
        self.writing.set()
        assert self.may_write.wait(20)
        if self.error is not None:
            raise self.error
        super().write(offset, chunks)


@contextmanager
def _follower(part: PartFile, content: bytes) -> Iterator[tuple[Follower, threading.Event]]:
    done = threading.Event()
    follower = Follower(part, len(content), hashlib.sha256(), [], lambda extent: None, done.set)
    try:
        yield follower, done
    finally:
        follower.stop()
        part.close()


@pytest.mark.parametrize("order", [_in_order, _second_half_first])
def test_follower_writes_what_it_gets_and_hashes_it_in_file_order(
    tmp_path: Path, order: Callable[[int], list[int]]
) -> None:
    step, count, pool = MIB // 2, 48, BufferPool()
    content = os.urandom(step * count)
    ledger = Ledger(len(content))
    with _follower(PartFile(tmp_path / "f"), content) as (follower, done):
        for number in order(count):
            start = number * step
            assert follower.put(_block(Run(start), start, content[start : start + step], pool))
            ledger.here.add(start, start + step)
            follower.advance(ledger.here.prefix_end())
        assert done.wait(20)
        assert follower.hexdigest() == hashlib.sha256(content).hexdigest()
        assert (tmp_path / "f").read_bytes() == content


def test_follower_has_no_room_while_the_disk_is_slow_and_refuses_what_comes_after_a_refusal(
    tmp_path: Path,
) -> None:
    pool, part = BufferPool(), _SlowDisk(tmp_path / "f")
    with _follower(part, bytes(1000)) as (follower, done):
        for number in range(20):
            if not follower.has_room():
                break
            assert follower.put(_block(Run(number), number, b"x", pool))
        assert 0 < number < 20
        part.error = OSError(errno.ENOSPC, "No space left on device")
        part.may_write.set()
        assert done.wait(20)
        assert isinstance(follower.failure, StorageError)
        assert "disk full" in follower.failure.message
        assert follower.has_room()
        assert not follower.put(_block(Run(0), 0, b"x", pool))


def test_follower_writes_what_was_put_before_it_stops(tmp_path: Path) -> None:
    pool, part = BufferPool(), _SlowDisk(tmp_path / "f")
    with _follower(part, bytes(1000)) as (follower, _):
        for number in range(4):
            follower.put(_block(Run(number), number, b"%d" % number, pool))
        part.may_write.set()
        _wait_written(follower, 2)
        follower.stop()
        assert (tmp_path / "f").read_bytes() == b"0123"


def test_follower_never_hashes_what_was_just_taken_out_of_the_books(tmp_path: Path) -> None:
    content, pool = os.urandom(16 * MIB), BufferPool()
    damaged = bytearray(content[: 12 * MIB])
    damaged[4 * MIB + 10] ^= 1
    (tmp_path / "f").write_bytes(damaged)
    extents = [
        Extent(start, 4 * MIB, zlib.crc32(content[start : start + 4 * MIB]))
        for start in range(0, 12 * MIB, 4 * MIB)
    ]
    part, lost, done = _SlowDisk(tmp_path / "f"), threading.Event(), threading.Event()

    def put(start: int) -> None:
        follower.put(_block(Run(start), start, content[start : start + MIB], pool))

    follower = Follower(part, len(content), hashlib.sha256(), extents, lambda extent: lost.set(), done.set)
    follower.advance(12 * MIB)
    assert lost.wait(20)
    put(12 * MIB)  # of another connection; while it is being written, the loop hears of the loss
    assert part.writing.wait(20)
    follower.recovered(4 * MIB)
    part.may_write.set()
    _wait_written(follower, 1)
    for start in (*range(4 * MIB, 8 * MIB, MIB), *range(13 * MIB, 16 * MIB, MIB)):
        put(start)
    follower.advance(16 * MIB)
    assert done.wait(20)
    part.close()
    assert (tmp_path / "f").read_bytes() == content
    assert follower.hexdigest() == hashlib.sha256(content).hexdigest()


def test_a_sink_takes_nothing_more_while_the_disk_is_slow(tmp_path: Path) -> None:
    size, part = 40 * BLOCK_BYTES, _SlowDisk(tmp_path / "f")
    with _follower(part, bytes(size)) as (follower, _):
        intake = Intake(Ledger(size), TokenBucket(None), lambda count: None, BufferPool())
        intake.writer = follower
        lease = intake.ledger.lease(size)
        assert lease is not None
        sink = LeaseSink(intake, lease)
        answers = [sink.write(bytes(BLOCK_BYTES)) for _ in range(40)]
        assert answers[0] is Taken.ALL
        assert answers[-1] is Taken.LATER
        assert sink.taken == answers.count(Taken.ALL) * BLOCK_BYTES < size
        part.may_write.set()
        _wait_written(follower, follower.taken)
        assert sink.write(bytes(BLOCK_BYTES)) is Taken.ALL
