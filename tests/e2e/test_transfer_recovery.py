"""One sick server, address or answer among good ones: the file recovers, and the others do not notice."""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tests.e2e.raw_server import Answer, Conversation, serving
from wangp_downloader.cancel import CancelToken
from wangp_downloader.events import Event, FileProgress
from wangp_downloader.files import Digest, DigestKind
from wangp_downloader.transfer import TransferEngine, TransferOptions, TransferRequest, TransferResult

MIB = 1024 * 1024
CONTENT = os.urandom(24 * MIB + 17)
OTHER = os.urandom(len(CONTENT))
DIGEST = Digest(DigestKind.SHA256, hashlib.sha256(CONTENT).hexdigest())
QUICK = TransferOptions(
    connections=8, backoff_base_s=0.05, backoff_cap_s=0.1, give_up_after_s=0, checkpoint_s=0.01
)


def request_for(url: str, to: Path, digest: Digest | None = DIGEST) -> TransferRequest:
    return TransferRequest(to.name, url, to, len(CONTENT), digest)


def fetch(*requests: TransferRequest, options: TransferOptions = QUICK) -> list[TransferResult]:
    return TransferEngine(options).run(requests, cancel=CancelToken())


def redirect(conversation: Conversation, url: str) -> None:
    conversation.send(f"HTTP/1.1 302 Found\r\nLocation: {url}\r\nContent-Length: 0\r\n\r\n".encode())


def good(conversation: Conversation) -> None:
    conversation.part(CONTENT)


# -- addresses


@pytest.mark.parametrize("connections", [1, 8])
def test_an_address_that_dies_is_asked_for_again(tmp_path: Path, connections: int) -> None:
    dead = threading.Event()

    def dying(conversation: Conversation) -> None:
        if not dead.is_set():
            start = conversation.range[0] if conversation.range else 0
            conversation.part(CONTENT[: start + MIB], total=len(CONTENT))
        dead.set()
        conversation.close()

    def hub(conversation: Conversation) -> None:
        redirect(conversation, f"{(second if dead.is_set() else first).url}/x")

    with serving(dying) as first, serving(good) as second, serving(hub) as near:
        [result] = fetch(
            request_for(f"{near.url}/x", tmp_path / "x"), options=replace(QUICK, connections=connections)
        )
        assert len(second.requests) > 0
    assert result.verified


@pytest.mark.parametrize(
    "head", ["302 Found\r\nLocation: {far}/x", "429 Slow\r\nRetry-After: 1"], ids=["redirect", "refusal"]
)
def test_the_origin_is_asked_once_though_the_body_of_its_answer_comes_late(tmp_path: Path, head: str) -> None:
    def hub(conversation: Conversation) -> None:
        if len(near.requests) > 1:
            conversation.part(CONTENT)
            return
        text = head.format(far=far.url)
        conversation.send(f"HTTP/1.1 {text}\r\nContent-Length: 5\r\n\r\n".encode())
        time.sleep(0.5)
        asked.append(len(near.requests))
        conversation.send(b"later")

    asked: list[int] = []
    with serving(good) as far, serving(hub) as near:
        [result] = fetch(request_for(f"{near.url}/x", tmp_path / "x"))
    assert result.verified
    assert asked == [1]


# -- answers


def _status(line: str, headers: str = "") -> Answer:
    answer = f"HTTP/1.1 {line}\r\n{headers}Content-Length: 0\r\n\r\n".encode()
    return lambda conversation: conversation.send(answer)


ODD: dict[str, Answer] = {
    **{
        line: _status(line) for line in ("204 No", "207 Multi", "404 Gone", "418 Teapot", "451 Law", "501 No")
    },
    "302 to nowhere": _status("302 Found"),
    "302 to nonsense": _status("302 Found", "Location: http://[bad/\r\n"),
    "gzip": _status("206 Partial", "Content-Encoding: gzip\r\n"),
    "another protocol": lambda conversation: conversation.send(b"HTTP/7.3 200 OK\r\n\r\n"),
}


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
def test_one_odd_answer_among_good_ones_costs_nothing(tmp_path: Path, odd: Answer) -> None:
    told = threading.Event()

    def answer(conversation: Conversation) -> None:
        if len(server.requests) >= 3 and not told.is_set():
            told.set()
            odd(conversation)
        else:
            conversation.part(CONTENT)

    with serving(answer) as server:
        [result] = fetch(
            request_for(f"{server.url}/x", tmp_path / "x"), options=replace(QUICK, connections=2)
        )
    assert told.is_set()
    assert result.verified


def test_one_bad_moment_of_all_connections_is_one_doubt(tmp_path: Path) -> None:
    """A server that knows ranges, and for a moment does not: what has arrived is not thrown away."""
    sick = threading.Event()

    def answer(conversation: Conversation) -> None:
        start = conversation.range[0] if conversation.range else 0
        if len(server.requests) == 8:
            sick.set()
            threading.Timer(0.3, sick.clear).start()
        if sick.is_set() and start:
            _status("200 OK")(conversation)
        else:
            conversation.part(CONTENT, bytes_per_s=20_000_000)

    options = replace(QUICK, backoff_base_s=1.0, backoff_cap_s=2.0)
    with serving(answer) as server:
        [result] = fetch(request_for(f"{server.url}/x", tmp_path / "x"), options=options)
    assert result.verified
    assert result.bytes_fetched < 1.2 * len(CONTENT)


def test_a_refusal_that_stays_ends_the_file_soon(tmp_path: Path) -> None:
    def answer(conversation: Conversation) -> None:
        if len(server.requests) < 3:
            conversation.part(CONTENT)
        else:
            _status("404 Gone")(conversation)

    with serving(answer) as server:
        [result] = fetch(
            request_for(f"{server.url}/x", tmp_path / "x"), options=replace(QUICK, connections=2)
        )
        assert len(server.requests) < 20
    assert result.error is not None
    assert "404" in result.error.message


@pytest.mark.parametrize("suffix", [".pth", ".bin"])
def test_a_login_page_is_no_model_though_its_length_is_right(tmp_path: Path, suffix: str) -> None:
    def page(conversation: Conversation) -> None:
        conversation.part(CONTENT, head="Content-Type: text/html\r\n")

    with serving(page) as server:
        [result] = fetch(request_for(f"{server.url}/x", tmp_path / f"x{suffix}", digest=None))
    assert result.error is not None
    assert "web page" in result.error.message
    assert not (tmp_path / f"x{suffix}").exists()


@pytest.mark.parametrize(
    ("name", "more"), [("index.html", ""), ("x.pth", "Content-Disposition: attachment; filename=x.pth\r\n")]
)
def test_a_page_that_was_asked_for_and_a_file_that_is_called_one_are_fetched(
    tmp_path: Path, name: str, more: str
) -> None:
    def page(conversation: Conversation) -> None:
        conversation.part(CONTENT, head=f"Content-Type: text/html\r\n{more}")

    with serving(page) as server:
        [result] = fetch(request_for(f"{server.url}/x", tmp_path / name, digest=None))
    assert result.error is None


def test_versions_are_not_mixed_where_a_server_begins_to_name_them(tmp_path: Path) -> None:
    def answer(conversation: Conversation) -> None:
        if len(server.requests) < 4:
            conversation.part(OTHER)
        else:
            conversation.part(CONTENT, head='ETag: "new"\r\n')

    with serving(answer) as server:
        [result] = fetch(
            request_for(f"{server.url}/x", tmp_path / "x", digest=None), options=replace(QUICK, connections=2)
        )
    assert result.error is None
    assert (tmp_path / "x").read_bytes() == CONTENT


# -- other files


def test_a_503_of_one_file_holds_up_no_other(tmp_path: Path) -> None:
    asked: list[float] = []

    def answer(conversation: Conversation) -> None:
        if "/sick" in conversation.head:
            asked.append(time.monotonic())
        if "/sick" in conversation.head and len(asked) == 1:
            _status("503 Busy", "Retry-After: 3\r\n")(conversation)
        else:
            conversation.part(CONTENT)

    ended: dict[str, float] = {}
    with serving(answer) as server:
        requests = [request_for(f"{server.url}/{name}", tmp_path / name) for name in ("sick", "a", "b")]
        results = TransferEngine(QUICK).run(
            requests,
            cancel=CancelToken(),
            done=lambda result: ended.update({result.key: time.monotonic()}),
        )
    assert all(result.verified for result in results)
    assert asked[1] - asked[0] >= 3
    assert max(ended["a"], ended["b"]) < asked[1]


def test_one_cut_does_not_put_a_file_behind_the_whole_queue(tmp_path: Path) -> None:
    cut = threading.Event()
    order: list[str] = []

    def answer(conversation: Conversation) -> None:
        conversation.part(CONTENT, bytes_per_s=12_000_000)

    def watch(event: Event) -> None:
        if (
            isinstance(event, FileProgress)
            and event.key == "f0"
            and event.done > 4 * MIB
            and not cut.is_set()
        ):
            cut.set()
            for conversation in list(server.requests):
                with contextlib.suppress(OSError):
                    conversation.close()

    with serving(answer) as server:
        requests = [request_for(f"{server.url}/f{n}", tmp_path / f"f{n}") for n in range(6)]
        options = replace(QUICK, files_at_once=2, backoff_base_s=0.3, backoff_cap_s=0.3)
        TransferEngine(options).run(
            requests, cancel=CancelToken(), emit=watch, done=lambda result: order.append(result.key)
        )
    assert cut.is_set()
    assert set(order[:4]) >= {"f0", "f1"}


def _refuses(conversation: Conversation) -> None:
    conversation.close()


def test_a_file_that_fails_gives_its_only_connection_to_others(tmp_path: Path) -> None:
    order: list[str] = []

    def answer(conversation: Conversation) -> None:
        name = conversation.head.split()[1]
        order.append(name)
        (_refuses if name == "/sick" else good)(conversation)

    with serving(answer) as server:
        requests = [request_for(f"{server.url}/{name}", tmp_path / name) for name in ("sick", "a", "b")]
        options = replace(QUICK, connections=1, backoff_base_s=1.0, backoff_cap_s=1.0)
        sick, *fine = fetch(*requests, options=options)
    assert sick.error is not None
    assert all(result.verified for result in fine)
    assert order[:2] == ["/sick", "/a"]


@pytest.mark.parametrize(("line", "words"), [("407 Login", "wants a login"), ("403 No", "refused")])
def test_a_proxy_that_refuses_is_asked_once_and_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, words: str
) -> None:
    with serving(_status(line)) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url.replace("http://", "http://user:wrong@"))
        monkeypatch.delenv("NO_PROXY", raising=False)
        [result] = fetch(request_for("https://files.example/x", tmp_path / "x"))
        assert len(proxy.requests) == 1
    assert result.error is not None
    assert words in result.error.message
    assert "proxy" in result.error.message
