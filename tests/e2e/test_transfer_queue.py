"""Whose turn it is: files that can not move leave their place, what is asked before a run counts, every end is told."""

from __future__ import annotations

import hashlib
import os
import shutil
import threading
import time
from pathlib import Path

import pytest

from tests.e2e.raw_server import Conversation, serving
from wangp_downloader.cancel import CancelToken
from wangp_downloader.errors import CancelledError, StorageError
from wangp_downloader.events import Event, FileFinished, FileLocked, FileProgress, Notice
from wangp_downloader.files import Digest, DigestKind
from wangp_downloader.transfer import TransferEngine, TransferOptions, TransferRequest, TransferResult
from wangp_downloader.transfer.lock import FileLock
from wangp_downloader.transfer.names import PartNames
from wangp_downloader.transfer.storage import PartFile

LARGE = os.urandom(9 * 1024 * 1024)
SMALL = os.urandom(1000)


def _request(url: str, path: Path, content: bytes) -> TransferRequest:
    digest = Digest(DigestKind.SHA256, hashlib.sha256(content).hexdigest())
    return TransferRequest(path.name, url, path, len(content), digest)


def _cancel_at(moment: threading.Event, cancel: CancelToken) -> None:
    def wait() -> None:
        moment.wait(10)
        cancel.cancel()

    threading.Thread(target=wait, daemon=True).start()


def test_files_of_another_instance_leave_their_places_to_others(tmp_path: Path) -> None:
    cancel, told = CancelToken(), []
    locks = [FileLock(PartNames.beside(tmp_path / f"theirs{n}").lock) for n in range(4)]
    assert all(lock.acquire() for lock in locks)

    def done(result: TransferResult) -> None:
        told.append(result.key)
        if len(told) == 2:
            cancel.cancel()

    with serving(lambda conversation: conversation.part(LARGE)) as server:
        names = [*(f"theirs{n}" for n in range(4)), "ours0", "ours1"]
        requests = [_request(f"{server.url}/x", tmp_path / name, LARGE) for name in names]
        threading.Timer(20, cancel.cancel).start()
        TransferEngine(TransferOptions(files_at_once=4)).run(requests, cancel=cancel, done=done)
    for lock in locks:
        lock.release()
    assert sorted(told[:2]) == ["ours0", "ours1"]


def test_a_server_that_asks_to_wait_holds_up_nobody_elses_files(tmp_path: Path) -> None:
    cancel = CancelToken()

    def busy(conversation: Conversation) -> None:
        conversation.send(b"HTTP/1.1 429 Slow down\r\nRetry-After: 60\r\nContent-Length: 0\r\n\r\n")

    def done(result: TransferResult) -> None:
        if result.key == "fine":
            cancel.cancel()

    with serving(busy) as sick, serving(lambda conversation: conversation.part(LARGE)) as well:
        requests = [_request(f"{sick.url}/x", tmp_path / f"held{n}", LARGE) for n in range(5)]
        requests.append(_request(f"{well.url}/x", tmp_path / "fine", LARGE))
        threading.Timer(20, cancel.cancel).start()
        results = TransferEngine(TransferOptions(files_at_once=2)).run(requests, cancel=cancel, done=done)
        assert len(sick.requests) <= 3
    assert results[-1].verified
    assert not (tmp_path / ".held4.part").exists()


def test_a_cdn_that_asks_to_wait_is_left_alone_by_files_that_are_redirected_there_later(
    tmp_path: Path,
) -> None:
    asked_at: list[float] = []

    def cdn(conversation: Conversation) -> None:
        asked_at.append(time.monotonic())
        if len(asked_at) == 1:
            conversation.send(b"HTTP/1.1 429 Slow down\r\nRetry-After: 2\r\nContent-Length: 0\r\n\r\n")
        else:
            conversation.part(LARGE)

    def hub(conversation: Conversation) -> None:
        if "/f0" not in conversation.head:
            time.sleep(0.3)
        location = f"Location: {far.url}/x\r\nContent-Length: 0\r\n\r\n".encode()
        conversation.send(b"HTTP/1.1 302 Found\r\n" + location)

    with serving(cdn) as far, serving(hub) as near:
        requests = [_request(f"{near.url}/f{n}", tmp_path / f"f{n}", LARGE) for n in range(4)]
        results = TransferEngine(TransferOptions(files_at_once=4)).run(requests, cancel=CancelToken())
    assert all(result.verified for result in results)
    assert asked_at[1] - asked_at[0] > 1.9


def test_what_is_resumed_begins_however_many_rest_before_it(tmp_path: Path) -> None:
    cancel, ended = CancelToken(), []
    engine = TransferEngine()

    def done(result: TransferResult) -> None:
        ended.append(result.key)
        cancel.cancel()

    with serving(lambda conversation: conversation.part(SMALL)) as server:
        requests = [_request(f"{server.url}/x", tmp_path / f"f{n}", SMALL) for n in range(300)]
        engine.pause()
        engine.resume("f250")
        threading.Timer(20, cancel.cancel).start()
        engine.run(requests, cancel=cancel, done=done)
    assert ended[0] == "f250"


def test_what_is_asked_before_a_run_counts_for_that_run_only(tmp_path: Path) -> None:
    engine = TransferEngine()
    with serving(lambda conversation: conversation.part(SMALL)) as server:
        requests = [_request(f"{server.url}/x", tmp_path / name, SMALL) for name in ("a", "b")]
        engine.cancel("a")
        first, second = engine.run(requests, cancel=CancelToken())
        assert isinstance(first.error, CancelledError)
        assert second.verified
        assert engine.run(requests[:1], cancel=CancelToken())[0].verified


def test_the_end_of_every_file_is_told_once_also_of_those_that_never_began(tmp_path: Path) -> None:
    cancel = CancelToken()
    told: list[str] = []
    events: list[Event] = []

    def watch(event: Event) -> None:
        events.append(event)
        if isinstance(event, FileProgress):
            cancel.cancel()

    with serving(lambda conversation: conversation.part(LARGE)) as server:
        requests = [_request(f"{server.url}/x", tmp_path / f"f{n}", LARGE) for n in range(20)]
        options = TransferOptions(files_at_once=2, limit_bytes_per_s=2e6)
        TransferEngine(options).run(requests, cancel=cancel, emit=watch, done=lambda r: told.append(r.key))
    ended = [event.key for event in events if isinstance(event, FileFinished)]
    assert sorted(told) == sorted(ended) == sorted(request.key for request in requests)


def test_nothing_is_put_in_place_after_it_was_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cancel, syncing, go_on = CancelToken(), threading.Event(), threading.Event()
    really = PartFile.sync_data

    def sync(part: PartFile) -> None:
        if syncing.is_set():
            return
        if (tmp_path / ".x.part").stat().st_size == len(LARGE):
            syncing.set()
            go_on.wait(10)
        really(part)

    monkeypatch.setattr(PartFile, "sync_data", sync)
    with serving(lambda conversation: conversation.part(LARGE)) as server:
        options = TransferOptions(checkpoint_s=1000)
        _cancel_at(syncing, cancel)
        [result] = TransferEngine(options).run(
            [_request(f"{server.url}/x", tmp_path / "x", LARGE)], cancel=cancel
        )
    assert isinstance(result.error, CancelledError)
    go_on.set()
    for _ in range(100):
        if not (tmp_path / ".x.part.lock").exists():
            break
        time.sleep(0.05)
    assert not (tmp_path / "x").exists()


def test_locks_are_let_go_when_a_disk_that_hung_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wangp_downloader.transfer.loop._LATE_S", 0.3)
    cancel, hangs, back = CancelToken(), threading.Event(), threading.Event()
    really = PartFile.write

    def write(part: PartFile, offset: int, chunks: list[memoryview]) -> None:
        hangs.set()
        back.wait(20)
        really(part, offset, chunks)

    monkeypatch.setattr(PartFile, "write", write)
    engine = TransferEngine()
    events: list[Event] = []
    with serving(lambda conversation: conversation.part(LARGE)) as server:
        request = _request(f"{server.url}/x", tmp_path / "x", LARGE)
        _cancel_at(hangs, cancel)
        engine.run([request], cancel=cancel)
        time.sleep(0.6)  # more than it is waited for
        back.set()
        for _ in range(100):
            if not (tmp_path / ".x.part.lock").exists():
                break
            time.sleep(0.05)
        [result] = engine.run([request], cancel=CancelToken(), emit=events.append)
    assert result.verified
    assert not [event for event in events if isinstance(event, FileLocked | Notice)]


def test_a_file_that_is_refused_takes_no_space(tmp_path: Path) -> None:
    def refuse(conversation: Conversation) -> None:
        conversation.send(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")

    with serving(refuse) as server:
        [result] = TransferEngine().run(
            [_request(f"{server.url}/x", tmp_path / "x", LARGE)], cancel=CancelToken()
        )
    assert result.error is not None
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_goes_while_the_length_is_learnt_fails_that_file_alone(tmp_path: Path) -> None:
    def stream(conversation: Conversation) -> None:
        if "gone" not in conversation.head.partition("\r\n")[0]:
            conversation.part(LARGE)
            return
        conversation.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
        shutil.rmtree(tmp_path / "gone")
        conversation.send(b"0\r\n\r\n")

    with serving(stream) as server:
        requests = [
            TransferRequest("gone", f"{server.url}/gone", tmp_path / "gone" / "x", None, None),
            _request(f"{server.url}/x", tmp_path / "fine", LARGE),
        ]
        gone, fine = TransferEngine().run(requests, cancel=CancelToken())
    assert isinstance(gone.error, StorageError)
    assert fine.verified


def test_no_connection_of_before_a_limit_is_used_under_it(tmp_path: Path) -> None:
    """Its kernel buffers would take megabytes that the limit has not granted."""
    content = os.urandom(40 * 1024 * 1024)
    engine = TransferEngine(TransferOptions(connections=4))
    limited = threading.Event()
    before: set[int] = set()
    after: set[int] = set()

    def answer(conversation: Conversation) -> None:
        port = conversation.connection.getpeername()[1]
        (after if limited.is_set() else before).add(port)
        time.sleep(0.2)  # for the limit to come in the middle
        conversation.part(content)

    def watch(event: Event) -> None:
        if isinstance(event, FileProgress) and event.done > 8e6 and not limited.is_set():
            engine.set_limit(40e6)
            time.sleep(0.5)  # requests of before have arrived by then
            limited.set()

    with serving(answer) as server:
        [result] = engine.run(
            [_request(f"{server.url}/x", tmp_path / "x", content)], cancel=CancelToken(), emit=watch
        )
    assert result.verified
    assert after
    assert not before & after
