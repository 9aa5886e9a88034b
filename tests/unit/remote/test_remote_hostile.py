"""Answers that are meant to hurt: endless, crawling, or small until they are unpacked."""

from __future__ import annotations

import gzip
import json
import time
from typing import TYPE_CHECKING

import pytest
from tests.e2e.raw_server import Answer, Conversation, serving

from wangp_downloader.errors import OfflineError, RemoteError
from wangp_downloader.files import RemoteState
from wangp_downloader.remote import bounded
from wangp_downloader.remote.client import hub_file
from wangp_downloader.remote.plain import plain_size
from wangp_downloader.units import KIB, MIB

if TYPE_CHECKING:
    from tests.unit.remote.conftest import MakeRoom

FILE = hub_file("org/name", "x.bin")
INFO = json.dumps(
    {"id": "org/name", "sha": "a" * 40, "siblings": [{"rfilename": "x.bin", "size": 7, "blobId": "b" * 40}]}
).encode()


def whole(body: bytes, encoding: str = "") -> Answer:
    head = (
        f"HTTP/1.1 200 OK\r\n{encoding}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return lambda conversation: conversation.send(head.encode() + body)


def flood(conversation: Conversation) -> None:
    while True:
        conversation.send(b"HTTP/1.1 100 Continue\r\n\r\n" * 20)
        time.sleep(0.01)


def trickle(conversation: Conversation) -> None:
    conversation.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    while True:
        conversation.send(b" ")
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (INFO, ""),
        (gzip.compress(INFO), "Content-Encoding: gzip\r\n"),
        (gzip.compress(INFO), "Content-Encoding: GZIP\r\n"),
    ],
    ids=["plain", "gzip", "capitals"],
)
def test_a_compressed_answer_is_read(make_room: MakeRoom, body: bytes, encoding: str) -> None:
    with serving(whole(body, encoding)) as server:
        (answer,) = make_room(endpoint=server.url).lookup(FILE)
    assert (answer.state, answer.size) == (RemoteState.KNOWN, 7)
    assert "accept-encoding: gzip" in server.requests[0].head.lower()


@pytest.mark.parametrize("status", ["200 OK", "302 Found\r\nLocation: /elsewhere", "404 Not Found"])
def test_an_answer_that_unpacks_to_very_much_is_refused(
    make_room: MakeRoom, monkeypatch: pytest.MonkeyPatch, status: str
) -> None:
    monkeypatch.setattr(bounded, "MOST_BYTES", 2 * MIB)
    bomb = gzip.compress(b" " * 50 * MIB)
    head = f"HTTP/1.1 {status}\r\nContent-Encoding: gzip\r\nContent-Length: {len(bomb)}\r\n\r\n".encode()
    with serving(lambda conversation: conversation.send(head + bomb)) as server:
        (answer,) = make_room(endpoint=server.url).lookup(FILE)
    assert answer.state is RemoteState.FAILED
    assert "more than 2" in (answer.problem or "")


def test_a_bomb_is_unpacked_in_small_steps() -> None:
    steps = [len(step) for step in bounded._unpacked(iter([gzip.compress(b" " * 50 * MIB)]))]
    assert sum(steps) == 50 * MIB
    assert max(steps) <= MIB


def test_an_encoding_nobody_asked_for_is_refused(make_room: MakeRoom) -> None:
    with serving(whole(b"\0" * KIB, "Content-Encoding: br\r\n")) as server:
        (answer,) = make_room(endpoint=server.url).lookup(FILE)
    assert answer.state is RemoteState.FAILED
    assert "encoding" in (answer.problem or "")


@pytest.mark.parametrize("endless", [flood, trickle])
def test_an_answer_that_never_ends_is_given_up(make_room: MakeRoom, endless: Answer) -> None:
    began = time.monotonic()
    with serving(endless) as server:
        (answer,) = make_room(endpoint=server.url, timeout_s=0.3, retry_budget_s=1.5).lookup(FILE)
        assert len(server.requests) == 2
    assert answer.state is RemoteState.OFFLINE
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("endless", [flood])
def test_a_plain_host_that_never_answers_is_given_up(endless: Answer) -> None:
    with serving(endless) as server, pytest.raises(OfflineError):
        plain_size(f"{server.url}/x.bin", 0.3)


SIBLING = {"rfilename": "x.bin", "size": 7, "blobId": "b" * 40}


def info(**changes: object) -> bytes:
    return json.dumps({"id": "org/name", "sha": "a" * 40, "siblings": [SIBLING], **changes}).encode()


@pytest.mark.parametrize(
    "body",
    [
        info(siblings=[{**SIBLING, "lfs": [1]}]),
        info(siblings=[{**SIBLING, "lfs": "word"}]),
        info(siblings=[SIBLING, None]),
        info(siblings=[SIBLING, 7]),
        info(siblings=[{**SIBLING, "rfilename": 5}]),
        info(siblings=[{**SIBLING, "rfilename": ["x.bin"]}]),
        info(siblings=[{"size": 7, "blobId": "b" * 40}]),
        info(id=5),
        info(id=["org/name"]),
        b"[" * 100_000 + b"]" * 100_000,
    ],
    ids=range(10),
)
def test_wrong_types_in_an_answer_make_no_sense_and_are_no_bug_of_ours(
    make_room: MakeRoom, caplog: pytest.LogCaptureFixture, body: bytes
) -> None:
    with serving(whole(body)) as server:
        (answer,) = make_room(endpoint=server.url).lookup(FILE)
        assert len(server.requests) == 1
    assert answer.state is RemoteState.FAILED
    assert "the answer about org/name makes no sense" in (answer.problem or "")
    assert caplog.records == []


@pytest.mark.parametrize("size", [2**63, 10**30])
def test_a_size_that_no_disk_holds_is_refused(make_room: MakeRoom, size: int) -> None:
    with serving(whole(info(siblings=[{**SIBLING, "size": size}]))) as server:
        (answer,) = make_room(endpoint=server.url).lookup(FILE)
    assert answer.state is RemoteState.FAILED
    assert "the size" in (answer.problem or "")


@pytest.mark.parametrize(
    "entries",
    [
        [None],
        "word",
        [{"type": "file", "path": {"x": 1}, "size": 7, "oid": "b" * 40}],
        [{"type": "file", "path": "x.bin", "size": 7, "oid": "b" * 40, "lfs": [1]}],
        [{"type": "file", "path": 5, "size": 7, "oid": "b" * 40}],
    ],
    ids=range(5),
)
@pytest.mark.parametrize("of_folder", [True, False])
def test_wrong_types_in_a_list_of_files_make_no_sense(
    make_room: MakeRoom, caplog: pytest.LogCaptureFixture, entries: object, of_folder: bool
) -> None:
    def answer(conversation: Conversation) -> None:
        is_list = "/paths-info/" in conversation.head or "/tree/" in conversation.head
        whole(json.dumps(entries).encode() if is_list else info(siblings=None))(conversation)

    with serving(answer) as server:
        room = make_room(endpoint=server.url)
        if of_folder:
            with pytest.raises(RemoteError, match="the answer about org/name makes no sense"):
                room.list_folder("org/name", "")
        else:
            assert "the answer about org/name makes no sense" in (room.lookup(FILE)[0].problem or "")
    assert caplog.records == []


def test_one_answer_that_never_ends_costs_no_other_question(make_room: MakeRoom) -> None:
    def answer(conversation: Conversation) -> None:
        if "/slow/" in conversation.head:
            trickle(conversation)
        time.sleep(0.2)
        whole(INFO)(conversation)

    files = [hub_file("org/slow", "x.bin"), *(hub_file(f"org/n{n}", "x.bin") for n in range(12))]
    with serving(answer) as server:
        room = make_room(endpoint=server.url, timeout_s=0.3, attempts=1, workers=2)
        slow, *others = room.lookup(*files)
    assert slow.state is RemoteState.OFFLINE
    assert {other.state for other in others} == {RemoteState.KNOWN}
