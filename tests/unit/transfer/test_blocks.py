"""Received bytes on their way: sinks, checksums of what arrives, hashing from memory."""

from __future__ import annotations

import hashlib
import os
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wangp_downloader.transfer.blocks import BLOCK_BYTES, Block, BufferPool, Checksums, Run
from wangp_downloader.transfer.checksums import crc32
from wangp_downloader.transfer.follower import Follower
from wangp_downloader.transfer.limiter import TokenBucket
from wangp_downloader.transfer.spans import Ledger
from wangp_downloader.transfer.storage import PartFile
from wangp_downloader.transfer.transport import Intake, LeaseSink, Taken
from wangp_downloader.units import MIB


@contextmanager
def _intake(folder: Path, size: int) -> Iterator[Intake]:
    part = PartFile(folder / "part")
    yield Intake(part, Ledger(size), TokenBucket(None), lambda count: None, BufferPool())
    part.close()


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(1, 3 * BLOCK_BYTES), min_size=1, max_size=6), st.booleans())
def test_a_sink_writes_what_it_takes_and_knows_its_checksums(
    tmp_path_factory: pytest.TempPathFactory, counts: list[int], flushing: bool
) -> None:
    content = os.urandom(sum(counts))
    with _intake(tmp_path_factory.mktemp("sink"), len(content)) as intake:
        lease = intake.ledger.lease(len(content))
        assert lease is not None
        sink, at = LeaseSink(intake, lease), 0
        for count in counts:
            assert sink.write(content[at : at + count]) is Taken.ALL
            at += count
            if flushing:
                assert sink.flush()
        assert intake.ledger.complete
        assert intake.part.path.read_bytes() == content
        extents = sorted(intake.checksums.take())
        assert sum(extent.length for extent in extents) == len(content)
        for extent in extents:
            assert extent.checksum == zlib.crc32(content[extent.start : extent.end])
        assert intake.checksums.take() == []


def test_a_sink_drops_what_lies_beyond_its_end(tmp_path: Path) -> None:
    with _intake(tmp_path, 100) as intake:
        lease = intake.ledger.lease(60)
        assert lease is not None
        sink = LeaseSink(intake, lease)
        assert sink.write(b"a" * 50) is Taken.ALL
        assert sink.write(b"b" * 20) is Taken.STOP
        assert sink.write(b"c") is Taken.STOP
        assert intake.part.path.read_bytes() == b"a" * 50 + b"b" * 10


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


@pytest.mark.parametrize("order", [_in_order, _second_half_first])
def test_follower_hashes_from_memory_or_reads_back(tmp_path: Path, order: Callable[[int], list[int]]) -> None:
    step, count = MIB // 2, 48
    content = os.urandom(step * count)
    path, done, pool = tmp_path / "f", threading.Event(), BufferPool()
    path.write_bytes(content)
    follower = Follower(path, len(content), hashlib.sha256(), [], lambda extent: None, done.set)
    for number in order(count):
        start = number * step
        follower.offer(_block(Run(start), start, content[start : start + step], pool))
    follower.advance(len(content))
    assert done.wait(20)
    follower.stop()
    assert follower.hexdigest() == hashlib.sha256(content).hexdigest()


def test_follower_does_not_need_the_file_for_what_it_got_in_order(tmp_path: Path) -> None:
    path, done, pool = tmp_path / "f", threading.Event(), BufferPool()
    path.write_bytes(b"")
    follower = Follower(path, 6, hashlib.sha256(), [], lambda extent: None, done.set)
    for start, data in ((0, b"abc"), (3, b"def")):
        follower.offer(_block(Run(start), start, data, pool))
    assert done.wait(20)
    follower.stop()
    assert follower.failure is None
    assert follower.hexdigest() == hashlib.sha256(b"abcdef").hexdigest()
