"""A disk that is slow or hangs: the network loop goes on, memory stays bounded, stopping is quick."""

from __future__ import annotations

import errno
import hashlib
import os
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.e2e.raw_server import Conversation, serving
from wangp_downloader.cancel import CancelToken
from wangp_downloader.errors import CancelledError, StorageError
from wangp_downloader.files import Digest, DigestKind
from wangp_downloader.transfer import TransferEngine, TransferOptions, TransferRequest, TransferResult
from wangp_downloader.transfer.blocks import Block
from wangp_downloader.transfer.follower import Follower
from wangp_downloader.transfer.storage import PartFile

MIB = 1024 * 1024
CONTENT = os.urandom(48 * MIB + 17)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Disk:
    """Every write of every part file waits for it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.go_on = threading.Event()
        self.waiting = threading.Event()
        self.write_s = 0.0
        really = PartFile.write

        def write(part: PartFile, offset: int, chunks: Sequence[bytes | memoryview]) -> None:
            self.waiting.set()
            self.go_on.wait()
            time.sleep(self.write_s)  # that is what a slow disk is
            really(part, offset, chunks)

        monkeypatch.setattr(PartFile, "write", write)
        self.most_waiting = 0
        put = Follower.put

        def count(follower: Follower, block: Block) -> bool:
            taken = put(follower, block)
            self.most_waiting = max(self.most_waiting, len(follower._blocks))
            return taken

        monkeypatch.setattr(Follower, "put", count)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


@pytest.mark.parametrize("connections", [1, 8])
def test_a_slow_disk_holds_the_network_back(tmp_path: Path, disk: Disk, connections: int) -> None:
    disk.write_s = 0.01
    disk.go_on.set()
    with serving(lambda conversation: conversation.part(CONTENT)) as server:
        request = TransferRequest(
            "x", f"{server.url}/x", tmp_path / "x", len(CONTENT), Digest(DigestKind.SHA256, SHA256)
        )
        options = TransferOptions(connections=connections)
        [result] = TransferEngine(options).run([request], cancel=CancelToken())
    assert result.verified
    assert result.bytes_fetched == len(CONTENT)
    assert 0 < disk.most_waiting <= 8 + connections


def test_a_disk_that_hangs_does_not_hold_up_files_on_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hangs, cancel = threading.Event(), CancelToken()
    really = PartFile.write

    def write(part: PartFile, offset: int, chunks: Sequence[bytes | memoryview]) -> None:
        if "sick" in part.path.name:
            hangs.wait(60)
        really(part, offset, chunks)

    def done(result: TransferResult) -> None:
        if result.key == "fine":
            cancel.cancel()
            hangs.set()

    monkeypatch.setattr(PartFile, "write", write)
    with serving(lambda conversation: conversation.part(CONTENT)) as server:
        requests = [
            TransferRequest(
                name, f"{server.url}/x", tmp_path / name, len(CONTENT), Digest(DigestKind.SHA256, SHA256)
            )
            for name in ("sick", "fine")
        ]
        _, fine = TransferEngine().run(requests, cancel=cancel, done=done)
    assert fine.verified


def test_a_disk_that_hangs_does_not_delay_stopping(tmp_path: Path, disk: Disk) -> None:
    cancel = CancelToken()
    with serving(lambda conversation: conversation.part(CONTENT)) as server:
        request = TransferRequest(
            "x", f"{server.url}/x", tmp_path / "x", len(CONTENT), Digest(DigestKind.SHA256, SHA256)
        )
        stopped: list[float] = []

        def stop() -> None:
            disk.waiting.wait(20)
            time.sleep(1)  # for memory to fill, if it would
            stopped.append(time.monotonic())
            cancel.cancel()

        threading.Thread(target=stop, daemon=True).start()
        try:
            [result] = TransferEngine().run([request], cancel=cancel)
            took = time.monotonic() - stopped[0]
        finally:
            disk.go_on.set()
    assert isinstance(result.error, CancelledError)
    assert took < 3
    assert disk.most_waiting <= 8 + TransferOptions().connections
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("refused", [False, True])
def test_nothing_is_published_before_its_last_block_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: bool
) -> None:
    really = PartFile.write

    def write(part: PartFile, offset: int, chunks: Sequence[bytes | memoryview]) -> None:
        if offset + sum(map(len, chunks)) == len(CONTENT):
            time.sleep(0.5)  # long enough for the loop to come round
            if refused:
                raise OSError(errno.ENOSPC, "No space left on device")
        really(part, offset, chunks)

    monkeypatch.setattr(PartFile, "write", write)
    with serving(lambda conversation: conversation.part(CONTENT)) as server:
        request = TransferRequest(
            "x", f"{server.url}/x", tmp_path / "x", len(CONTENT), Digest(DigestKind.SHA256, SHA256)
        )
        [result] = TransferEngine().run([request], cancel=CancelToken())
    if refused:
        assert isinstance(result.error, StorageError)
        assert not (tmp_path / "x").exists()
    else:
        assert result.verified
        assert (tmp_path / "x").read_bytes() == CONTENT


def _hang(monkeypatch: pytest.MonkeyPatch, folder: Path, until: threading.Event) -> None:
    """Let every write below a folder wait."""
    really = PartFile.write

    def write(part: PartFile, offset: int, chunks: Sequence[bytes | memoryview]) -> None:
        if folder in part.path.parents:
            until.wait(60)
        really(part, offset, chunks)

    monkeypatch.setattr(PartFile, "write", write)


@pytest.mark.parametrize("size", [1000, 9 * MIB])
def test_any_number_of_files_on_a_disk_that_hangs_hold_up_no_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    back, cancel = threading.Event(), CancelToken()
    content = CONTENT[:size]
    digest = Digest(DigestKind.SHA256, hashlib.sha256(content).hexdigest())
    ended: list[str] = []

    def done(result: TransferResult) -> None:
        ended.append(result.key)
        if len(ended) == 3:
            cancel.cancel()

    _hang(monkeypatch, tmp_path / "sick", back)
    with serving(lambda conversation: conversation.part(content)) as server:
        names = [*(f"sick/{n}" for n in range(40)), *(f"fine/{n}" for n in range(3))]
        requests = [TransferRequest(name, f"{server.url}/x", tmp_path / name, size, digest) for name in names]
        threading.Timer(30, cancel.cancel).start()
        began = time.monotonic()
        TransferEngine().run(requests, cancel=cancel, done=done)
        took = time.monotonic() - began
        back.set()
    assert sorted(ended[:3]) == ["fine/0", "fine/1", "fine/2"]
    assert took < 30


def test_a_stream_of_unknown_length_is_not_written_by_the_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writers: set[str] = set()
    really = PartFile.write

    def write(part: PartFile, offset: int, chunks: Sequence[bytes | memoryview]) -> None:
        writers.add(threading.current_thread().name)
        really(part, offset, chunks)

    def stream(conversation: Conversation) -> None:
        conversation.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for start in range(0, len(CONTENT), MIB):
            piece = CONTENT[start : start + MIB]
            conversation.send(b"%x\r\n%b\r\n" % (len(piece), piece))
        conversation.send(b"0\r\n\r\n")

    monkeypatch.setattr(PartFile, "write", write)
    with serving(stream) as server:
        request = TransferRequest(
            "x", f"{server.url}/x", tmp_path / "x", None, Digest(DigestKind.SHA256, SHA256)
        )
        [result] = TransferEngine().run([request], cancel=CancelToken())
    assert result.verified
    assert (tmp_path / "x").read_bytes() == CONTENT
    assert writers == {"follower"}
