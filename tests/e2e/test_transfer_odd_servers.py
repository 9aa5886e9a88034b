"""Servers that answer in ways no proper one does: each file ends well or fails alone, and nothing hangs."""

from __future__ import annotations

import hashlib
import os
import socket
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tests.e2e.raw_server import Conversation, serving
from wangp_downloader.cancel import CancelToken
from wangp_downloader.errors import DownloaderError, OfflineError
from wangp_downloader.events import Event, FileRetrying, Notice
from wangp_downloader.files import Digest, DigestKind
from wangp_downloader.transfer import (
    TransferEngine,
    TransferOptions,
    TransferRequest,
    TransferResult,
    fetching,
)

MIB = 1024 * 1024
CONTENT = os.urandom(3 * MIB + 17)
LARGE = os.urandom(12 * MIB + 17)
QUICK = TransferOptions(
    connections=4, backoff_base_s=0.01, backoff_cap_s=0.02, give_up_after_s=0, checkpoint_s=0.01
)


def request_for(url: str, to: Path, content: bytes = CONTENT, *, known: bool = True) -> TransferRequest:
    digest = Digest(DigestKind.SHA256, hashlib.sha256(content).hexdigest()) if known else None
    return TransferRequest(to.name, url, to, len(content) if known else None, digest)


def fetch(
    *requests: TransferRequest, options: TransferOptions = QUICK, events: list[Event] | None = None
) -> list[TransferResult]:
    heard = [] if events is None else events
    return TransferEngine(options).run(requests, cancel=CancelToken(), emit=heard.append)


def good(conversation: Conversation) -> None:
    conversation.part(CONTENT)


@pytest.mark.parametrize(
    "url",
    ["ftp://x/y", "http://127.0.0.1:99999/x", "http://[bad/x", "not a url", "file:///etc/passwd", "http://"],
)
def test_an_address_that_can_not_be_fetched_fails_alone(tmp_path: Path, url: str) -> None:
    with serving(good) as server:
        bad, fine = fetch(
            request_for(url, tmp_path / "bad"), request_for(f"{server.url}/x", tmp_path / "fine")
        )
    assert isinstance(bad.error, DownloaderError)
    assert fine.verified
    assert [path.name for path in tmp_path.iterdir()] == ["fine"]


def test_a_token_that_no_header_can_hold_fails_its_file_alone(tmp_path: Path) -> None:
    with serving(good) as server:
        bad, fine = fetch(
            replace(request_for(f"{server.url}/x", tmp_path / "bad"), token="hf_a\r\nX-Evil: 1"),
            request_for(f"{server.url}/x", tmp_path / "fine"),
        )
        assert not any("evil" in each.head.lower() for each in server.requests)
    assert bad.error is not None
    assert "hf_a" not in bad.error.message
    assert fine.verified


def test_letters_beyond_ascii_in_paths_tokens_and_redirects(tmp_path: Path) -> None:
    def answer(conversation: Conversation) -> None:
        if conversation.head.startswith("GET /start"):
            location = '/grün/模型.bin?filename="模型 1.bin"'.encode()
            conversation.send(
                b"HTTP/1.1 302 Found\r\nLocation: " + location + b"\r\nContent-Length: 0\r\n\r\n"
            )
        else:
            conversation.part(CONTENT)

    folder = tmp_path / "jürgen"
    folder.mkdir()
    (folder / "ca.pem").write_text("")
    options = replace(QUICK, ca_file=folder / "ca.pem")
    with serving(answer) as server:
        one = request_for(f"{server.url}/start", tmp_path / "one")
        two = replace(request_for(f"{server.url}/modèle", tmp_path / "two"), token="hf_tökén")
        for result in fetch(one, two, options=options):
            assert result.error is None
        paths = [each.head.split()[1] for each in server.requests]
    assert "/gr%C3%BCn/%E6%A8%A1%E5%9E%8B.bin?filename=%22%E6%A8%A1%E5%9E%8B%201.bin%22" in paths
    assert "/mod%C3%A8le" in paths


def test_a_stream_that_is_cut_at_the_same_place_every_time_is_given_up(tmp_path: Path) -> None:
    def answer(conversation: Conversation) -> None:
        conversation.send(f"HTTP/1.0 200 OK\r\nContent-Length: {len(CONTENT)}\r\n\r\n".encode())
        conversation.send(CONTENT[: 2 * MIB])
        conversation.close()

    heard: list[Event] = []
    with serving(answer) as server:
        [result] = fetch(request_for(f"{server.url}/x", tmp_path / "x"), events=heard)
        assert len(server.requests) <= QUICK.max_attempts + 1
    assert any("the server can not go on with x" in e.text for e in heard if isinstance(e, Notice))
    assert result.error is not None
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("content", [CONTENT, LARGE], ids=["small", "large"])
def test_a_trickle_counts_as_a_stall(tmp_path: Path, content: bytes) -> None:
    def answer(conversation: Conversation) -> None:
        start, end = conversation.range or (0, len(content))
        if len(server.requests) > 1:
            conversation.part(content)
            return
        conversation.send(
            f"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes {start}-{end - 1}/{len(content)}\r\n"
            f"Content-Length: {end - start}\r\n\r\n".encode()
        )
        for position in range(start, end):
            conversation.send(content[position : position + 1])
            time.sleep(0.05)

    options = replace(QUICK, stall_timeout_s=0.5)
    with serving(answer) as server:
        began = time.monotonic()
        [result] = fetch(request_for(f"{server.url}/x", tmp_path / "x", content), options=options)
        assert time.monotonic() - began < 20
    assert result.verified


def test_a_small_file_that_crawls_is_helped_by_other_connections(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "_CRAWLS_S", 0.3)

    def answer(conversation: Conversation) -> None:
        if len(server.requests) == 1:
            conversation.part(CONTENT, bytes_per_s=20_000)
        else:
            conversation.part(CONTENT)

    with serving(answer) as server:
        began = time.monotonic()
        [result] = fetch(request_for(f"{server.url}/x", tmp_path / "x"))
        assert time.monotonic() - began < 20  # alone it would take 157 s
    assert result.verified
    assert len(server.requests) > 1


def test_header_lines_without_end_are_no_sign_of_life(tmp_path: Path) -> None:
    def answer(conversation: Conversation) -> None:
        while len(server.requests) == 1:
            conversation.send(b"HTTP/1.1 102 Processing\r\n\r\n")
            time.sleep(0.05)
        conversation.part(CONTENT)

    with serving(answer) as server:
        [result] = fetch(
            request_for(f"{server.url}/x", tmp_path / "x"), options=replace(QUICK, stall_timeout_s=0.5)
        )
    assert result.verified


def test_a_host_that_never_answers_is_given_up_after_few_attempts(tmp_path: Path) -> None:
    # A full backlog: the kernel lets further connections wait, as a firewall that drops everything does.
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        port = listener.getsockname()[1]
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
        events: list[Event] = []
        options = replace(QUICK, connect_timeout_s=0.3)
        [result] = fetch(
            request_for(f"http://127.0.0.1:{port}/x", tmp_path / "x"), options=options, events=events
        )
        for filler in fillers:
            filler.close()
    assert isinstance(result.error, OfflineError)
    assert sum(isinstance(event, FileRetrying) for event in events) <= 3


def test_one_answer_of_another_length_is_doubted_and_asked_for_again(tmp_path: Path) -> None:
    def answer(conversation: Conversation) -> None:
        if len(server.requests) == 2:
            conversation.send(
                b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 12\r\n\r\n<html></html"
            )
        else:
            conversation.part(LARGE)

    with serving(answer) as server:
        [result] = fetch(request_for(f"{server.url}/x", tmp_path / "x", LARGE))
    assert result.verified


def test_a_file_that_really_has_another_length_now_fails_soon(tmp_path: Path) -> None:
    with serving(lambda conversation: conversation.part(CONTENT, total=len(CONTENT) + 5)) as server:
        [result] = fetch(request_for(f"{server.url}/x", tmp_path / "x"))
        assert len(server.requests) == 2
    assert result.error is not None
    assert "has changed" in result.error.message


def test_a_redirect_whose_body_never_comes_is_followed(tmp_path: Path) -> None:
    def answer(conversation: Conversation) -> None:
        if conversation.head.startswith("GET /start"):
            conversation.send(b"HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 100\r\n\r\n")
            time.sleep(5)
        else:
            conversation.part(CONTENT)

    with serving(answer) as server:
        began = time.monotonic()
        [result] = fetch(request_for(f"{server.url}/start", tmp_path / "x"))
        assert time.monotonic() - began < 4
    assert result.verified


def test_a_range_that_runs_on_to_the_end_of_the_file_is_used_up_to_its_end(tmp_path: Path) -> None:
    def answer(conversation: Conversation) -> None:
        start, _ = conversation.range or (0, 0)
        conversation.range = (start, len(LARGE))
        conversation.part(LARGE)

    with serving(answer) as server:
        [result] = fetch(request_for(f"{server.url}/x", tmp_path / "x", LARGE))
    assert result.verified


def test_many_headers_do_not_hide_the_ones_that_count(tmp_path: Path) -> None:
    many = "".join(f"X-Noise-{number}: {number}\r\n" for number in range(400))

    def answer(conversation: Conversation) -> None:
        start, end = conversation.range or (0, len(LARGE))
        conversation.send(
            f"HTTP/1.1 206 Partial Content\r\n{many}Content-Range: bytes {start}-{end - 1}/{len(LARGE)}\r\n"
            f"Content-Length: {end - start}\r\n\r\n".encode()
        )
        conversation.send(LARGE[start:end])

    with serving(answer) as server:
        [result] = fetch(request_for(f"{server.url}/x", tmp_path / "x", LARGE))
        assert all(each.range is not None for each in server.requests)
    assert result.verified


def test_another_version_is_noticed_by_its_date_where_there_is_no_etag(tmp_path: Path) -> None:
    new = os.urandom(len(LARGE))

    def answer(conversation: Conversation) -> None:
        first = len(server.requests) == 1
        date = "Mon, 01 Jun 2026 10:00:00 GMT" if first else "Tue, 02 Jun 2026 10:00:00 GMT"
        if first:
            conversation.range = (conversation.range or (0, 0))[0], 5 * MIB
        conversation.part(LARGE if first else new, head=f"Last-Modified: {date}\r\n")

    with serving(answer) as server:
        [result] = fetch(request_for(f"{server.url}/x", tmp_path / "x", LARGE, known=False))
    assert result.error is None
    assert (tmp_path / "x").read_bytes() == new


def test_a_stream_that_never_told_its_length_is_not_said_to_have_been_checked(tmp_path: Path) -> None:
    def answer(conversation: Conversation) -> None:
        conversation.send(b"HTTP/1.0 200 OK\r\n\r\n" + CONTENT)
        conversation.close()

    with serving(answer) as server:
        [result] = fetch(request_for(f"{server.url}/x", tmp_path / "x", known=False))
    assert result.error is None
    assert not result.verified
    assert result.unverified_reason is not None
    assert "length" in result.unverified_reason
    assert "was checked" not in result.unverified_reason


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 416 Range Not Satisfiable\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 206 Partial Content\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    ],
)
def test_one_answer_without_a_range_among_good_ones_costs_nothing(tmp_path: Path, answer: bytes) -> None:
    count = 0

    def moody(conversation: Conversation) -> None:
        nonlocal count
        count += 1
        if count == 3:
            conversation.send(answer)
        else:
            conversation.part(LARGE)

    with serving(moody) as server:
        [result] = fetch(request_for(f"{server.url}/x", tmp_path / "x", LARGE))
    assert result.verified
    assert result.bytes_fetched < 1.1 * len(LARGE)


@pytest.mark.parametrize("length", [b"Content-Length: 5\r\n\r\nhello", b"Connection: close\r\n\r\nhello"])
def test_a_page_of_the_network_in_between_is_not_taken_for_the_file(tmp_path: Path, length: bytes) -> None:
    count = 0

    def portal(conversation: Conversation) -> None:
        nonlocal count
        count += 1
        if 2 < count < 7:
            conversation.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n" + length)
            conversation.close()
        else:
            conversation.part(LARGE)

    with serving(portal) as server:
        [result] = fetch(request_for(f"{server.url}/x", tmp_path / "x", LARGE))
    assert result.verified
    assert result.bytes_fetched < 1.1 * len(LARGE)


def test_versions_are_not_mixed_where_a_server_stops_naming_them(tmp_path: Path) -> None:
    old, new = os.urandom(len(LARGE)), os.urandom(len(LARGE))
    count = 0

    def silent(conversation: Conversation) -> None:
        nonlocal count
        count += 1
        if count == 1:
            conversation.part(old, head='ETag: "1"\r\n')
        else:
            conversation.part(new)

    with serving(silent) as server:
        request = replace(request_for(f"{server.url}/x", tmp_path / "x", LARGE), digest=None)
        [result] = fetch(request, options=replace(QUICK, connections=2))
    assert result.error is None
    assert (tmp_path / "x").read_bytes() in (old, new)
