from __future__ import annotations

import http.client
import socket
import time
from urllib.parse import urlsplit

import pytest

from wangp_downloader.demo import faults
from wangp_downloader.demo.faults import Fault, FaultTable, Match
from wangp_downloader.demo.hub import Generated, LoopbackHub
from wangp_downloader.demo.hub_pacing import Pacer

BODY = b"0123456789" * 10


def connect(url: str, timeout_s: float = 10) -> http.client.HTTPConnection:
    parts = urlsplit(url)
    return http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=timeout_s)


def fetch(url: str, headers: dict[str, str] | None = None) -> tuple[int, dict[str, str], bytes]:
    connection = connect(url)
    try:
        connection.request("GET", urlsplit(url).path, headers=headers or {})
        response = connection.getresponse()
        return response.status, dict(response.headers.items()), response.read()
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("match", "hit"),
    [
        (Match(), [True, False, False, False]),
        (Match(times=None), [True, True, True, True]),
        (Match(skip=1, times=2), [False, True, True, False]),
        (Match(method="HEAD"), [False, False, False, False]),
        (Match(path="/other"), [False, False, False, False]),
        (Match(path="file", listener="cdn", times=3), [True, True, True, False]),
        (Match(listener="hub"), [False, False, False, False]),
    ],
)
def test_a_fault_meets_the_requests_it_is_for(match: Match, hit: list[bool]) -> None:
    table = FaultTable()
    table.add(faults.hang_up(match))
    assert [bool(table.take("cdn", "GET", "/a/file.bin")) for _ in range(4)] == hit


@pytest.mark.parametrize(
    ("fault", "headers"),
    [
        (faults.answer(503, {"Retry-After": "1"}), {"Retry-After": "1"}),
        (faults.rate_limited(87), {"RateLimit": '"api";r=0;t=87'}),
        (faults.rate_limited(3, retry_after=True), {"Retry-After": "3"}),
        (faults.redirect("file:///etc/passwd"), {"Location": "file:///etc/passwd"}),
        (faults.redirect(""), {"Location": "/file.bin"}),
    ],
)
def test_other_answers(hub: LoopbackHub, fault: Fault, headers: dict[str, str]) -> None:
    url = hub.add_plain("/file.bin", BODY)
    hub.faults.add(fault)
    status, seen, _ = fetch(url)
    assert status == fault.status
    assert seen.items() >= headers.items()
    assert fetch(url)[2] == BODY


@pytest.mark.parametrize("after", [0, 1, 50])
def test_a_truncated_body(hub: LoopbackHub, after: int) -> None:
    url = hub.add_plain("/file.bin", BODY)
    hub.faults.add(faults.truncate(after))
    with pytest.raises(http.client.IncompleteRead) as caught:
        fetch(url)
    assert caught.value.partial == BODY[:after]


def test_a_reset(hub: LoopbackHub) -> None:
    url = hub.add_plain("/file.bin", Generated(10_000_000))
    hub.faults.add(faults.reset(5_000_000))
    with pytest.raises(ConnectionResetError):
        fetch(url)
    assert hub.bytes_sent() == 5_000_000


def test_a_stall_lasts_until_the_client_goes(hub: LoopbackHub) -> None:
    url = hub.add_plain("/file.bin", BODY)
    hub.faults.add(faults.stall(10))
    connection = connect(url, timeout_s=0.2)
    connection.request("GET", "/file.bin")
    response = connection.getresponse()
    assert response.read(10) == BODY[:10]
    with pytest.raises(TimeoutError):
        response.read(1)
    response.close()
    connection.close()


def test_hanging_up_before_any_header(hub: LoopbackHub) -> None:
    url = hub.add_plain("/file.bin", BODY)
    hub.faults.add(faults.hang_up())
    with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
        fetch(url)


@pytest.mark.parametrize(
    ("fault", "status", "content_range", "body"),
    [
        (faults.ignore_range(), 200, None, BODY),
        (faults.wrong_content_range(5), 206, "bytes 15-24/100", BODY[15:25]),
        (faults.wrong_content_range(85), 206, "bytes 95-99/100", BODY[95:]),
    ],
)
def test_bent_ranges(
    hub: LoopbackHub, fault: Fault, status: int, content_range: str | None, body: bytes
) -> None:
    url = hub.add_plain("/file.bin", BODY)
    hub.faults.add(fault)
    seen = fetch(url, {"Range": "bytes=10-19"})
    assert (seen[0], seen[1].get("Content-Range"), seen[2]) == (status, content_range, body)


def test_a_wrong_length(hub: LoopbackHub) -> None:
    url = hub.add_plain("/file.bin", BODY)
    hub.faults.add(faults.wrong_length(-10))
    assert fetch(url)[1]["Content-Length"] == "90"


def test_an_expired_signature_stays_expired_and_a_new_one_works(hub: LoopbackHub) -> None:
    hub.add_file("org/name", "x.bin", BODY)
    hub.faults.add(faults.expire_signature(Match(listener="cdn", skip=1)))
    resolve = f"{hub.endpoint}/org/name/resolve/main/x.bin"

    def status_of(url: str) -> int:
        connection = connect(url)
        try:
            connection.request("GET", url.removeprefix(hub.cdn_url))
            return connection.getresponse().status
        finally:
            connection.close()

    first = fetch(resolve)[1]["Location"]
    assert [status_of(first) for _ in range(3)] == [200, 403, 403]
    assert status_of(fetch(resolve)[1]["Location"]) == 200


def test_a_slow_body_and_a_late_answer(hub: LoopbackHub) -> None:
    url = hub.add_plain("/file.bin", Generated(40_000))
    hub.faults.add(faults.slow(200_000), faults.delay(0.1))
    start = time.monotonic()
    assert len(fetch(url)[2]) == 40_000
    assert time.monotonic() - start >= 0.1 + 40_000 / 200_000 - 0.05


def test_a_shaped_link_holds_in_all_over_several_connections(hub: LoopbackHub) -> None:
    url = hub.add_plain("/file.bin", Generated(10**9))
    hub.shape(latency_s=0.01, total_bytes_per_s=1_000_000)
    connections = [connect(url) for _ in range(3)]
    for connection in connections:
        connection.request("GET", "/file.bin")
    responses = [connection.getresponse() for connection in connections]
    start = time.monotonic()
    for response in responses:
        response.read(100_000)
    elapsed = time.monotonic() - start
    for response, connection in zip(responses, connections, strict=True):
        response.close()
        connection.close()
    assert elapsed >= 0.2


def test_a_pacer_gives_out_its_rate() -> None:
    pacer = Pacer(1_000_000)
    waits = [pacer.reserve(100_000) for _ in range(11)]
    assert waits[0] == 0
    assert waits[-1] == pytest.approx(1.0, abs=0.1)
    assert pacer.chunk_bytes() == 10_000


def test_dropped_connections_are_seen_by_the_client(hub: LoopbackHub) -> None:
    with socket.create_connection(("127.0.0.1", urlsplit(hub.cdn_url).port or 0), timeout=10) as client:
        client.sendall(b"HEAD /nope HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = b""
        while not answer.endswith(b"\r\n\r\n"):
            answer += client.recv(100_000)
        assert answer.startswith(b"HTTP/1.1 404")
        hub.drop_connections()
        assert client.recv(1) == b""
