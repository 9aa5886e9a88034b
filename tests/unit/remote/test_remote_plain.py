from __future__ import annotations

import ssl
import time
import urllib.request
from collections.abc import Callable
from email.message import Message
from io import BytesIO
from typing import TYPE_CHECKING
from urllib.error import URLError

import pytest
from tests.e2e.raw_server import Answer, Conversation, serving

from wangp_downloader.demo import faults
from wangp_downloader.demo.faults import Fault, Match
from wangp_downloader.demo.hub import LoopbackHub
from wangp_downloader.errors import (
    DownloaderError,
    GatedError,
    NotFoundError,
    OfflineError,
    RateLimitedError,
    RemoteError,
)
from wangp_downloader.files import RemoteFile, RemoteState
from wangp_downloader.remote import plain
from wangp_downloader.remote.foreign import UnreachableError
from wangp_downloader.remote.plain import plain_size

if TYPE_CHECKING:
    from tests.unit.remote.conftest import MakeRoom, Room


def size_of(url: str) -> int | None:
    return plain_size(url, 5.0)


def test_the_size_comes_from_the_headers_and_no_body_is_fetched(hub: LoopbackHub) -> None:
    url = hub.add_plain("/models/a b.safetensors", b"x" * 1000)
    assert size_of(url) == 1000
    assert [request.method for request in hub.requests] == ["HEAD"]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 408, 500, 501, 502, 503, 504])
def test_a_host_that_knows_no_head_is_asked_for_one_byte(hub: LoopbackHub, status: int) -> None:
    url = hub.add_plain("/x.bin", b"x" * 1000)
    hub.faults.add(faults.answer(status, match=Match(method="HEAD", times=None)))
    assert size_of(url) == 1000
    assert [request.range for request in hub.requests] == [None, "bytes=0-0"]


@pytest.mark.parametrize("fault", [faults.hang_up, faults.reset, lambda match: faults.delay(3600, match)])
def test_a_host_that_breaks_off_a_head_is_asked_for_one_byte(
    hub: LoopbackHub, fault: Callable[..., Fault]
) -> None:
    url = hub.add_plain("/x.bin", b"x" * 1000)
    hub.faults.add(fault(match=Match(method="HEAD", times=None)))
    assert plain_size(url, 0.3) == 1000


@pytest.mark.parametrize("fault", [faults.answer(503), faults.hang_up(), faults.answer(429)])
def test_a_host_in_trouble_is_asked_again(hub: LoopbackHub, room: Room, fault: Fault) -> None:
    file = RemoteFile(hub.add_plain("/x.bin", b"12345"), None, None, "x.bin")
    hub.faults.add(Fault(fault.kind, Match(times=5), fault.status))
    (answer,) = room.lookup(file)
    assert (answer.state, answer.size) == (RemoteState.KNOWN, 5)


def test_a_host_in_trouble_for_ever_is_given_up_for_all_its_files(
    hub: LoopbackHub, make_room: MakeRoom
) -> None:
    files = [RemoteFile(hub.add_plain(f"/{index}", b"1"), None, None, f"{index}") for index in range(20)]
    hub.faults.add(faults.answer(503, match=Match(times=None)))
    start = time.monotonic()
    answers = make_room(retry_pause_s=0.1, retry_budget_s=0.5).lookup(*files)
    assert {answer.state for answer in answers} == {RemoteState.FAILED}
    assert time.monotonic() - start < 3


def page(status: str = "200 OK", more: str = "") -> Answer:
    head = f"HTTP/1.1 {status}\r\nContent-Type: Text/HTML; charset=utf-8\r\nContent-Length: 5\r\n{more}\r\n"
    return lambda conversation: conversation.send(
        head.encode() + b"login" * conversation.head.startswith("GET")
    )


def test_the_length_of_a_web_page_is_not_the_size_of_a_model(make_room: MakeRoom) -> None:
    with serving(page()) as server:
        url = f"{server.url}/dir/model.pth?token=secret&page=x.html"
        with pytest.raises(RemoteError, match="a web page instead of the file") as caught:
            size_of(url)
        assert "login" in (caught.value.hint or "")
        assert "secret" not in f"{caught.value} {caught.value.hint}"
        file = RemoteFile(url, None, None, "model.pth")
        (answer,) = make_room().lookup(file)
        assert (answer.state, answer.size) == (RemoteState.FAILED, None)
        before = len(server.requests)
        # The person may have logged in since, where it was the page of a hotel.
        make_room().lookup(file)
        assert len(server.requests) > before


def test_a_head_that_answers_with_a_page_says_nothing_about_the_get() -> None:
    def answer(conversation: Conversation) -> None:
        if conversation.head.startswith("HEAD"):
            page()(conversation)
        else:
            conversation.part(b"x" * 1000)

    with serving(answer) as server:
        assert size_of(f"{server.url}/model.pth") == 1000


@pytest.mark.parametrize("path", ["/index.html", "/INDEX.HTM?token=1"])
def test_a_web_page_may_be_the_file(path: str) -> None:
    with serving(page()) as server:
        assert size_of(f"{server.url}{path}") == 5


def test_a_file_that_is_sent_as_an_attachment_is_no_web_page() -> None:
    with serving(page(more="Content-Disposition: attachment; filename=model.pth\r\n")) as server:
        assert size_of(f"{server.url}/model.pth") == 5


def test_a_host_that_ignores_the_range_is_not_read(hub: LoopbackHub) -> None:
    url = hub.add_plain("/x.bin", b"x" * 1000)
    hub.faults.add(faults.answer(405, match=Match(method="HEAD")), faults.ignore_range(Match(method="GET")))
    assert size_of(url) == 1000


def test_a_redirect_is_followed_with_its_method(hub: LoopbackHub) -> None:
    hub.add_plain("/real.bin", b"x" * 10)
    url = hub.add_redirect("/api/download/1", "/real.bin?sig=1")
    assert size_of(f"{url}?token=secret") == 10
    assert [request.method for request in hub.requests] == ["HEAD", "HEAD"]


@pytest.mark.parametrize("location", ["file:///etc/passwd", "ftp://127.0.0.1/x", "javascript:1"])
def test_a_redirect_to_anything_but_http_is_refused(hub: LoopbackHub, location: str) -> None:
    url = hub.add_redirect("/x", location)
    with pytest.raises(RemoteError, match="refused"):
        size_of(url)
    assert [request.path for request in hub.requests] == ["/x"]


def test_a_redirect_out_of_https_is_refused() -> None:
    handler = plain.Redirects()
    request = urllib.request.Request("https://host.example/x?token=secret")
    with pytest.raises(RemoteError, match="refused") as caught:
        handler.redirect_request(request, BytesIO(), 302, "", Message(), "http://host.example/x?token=secret")
    assert "secret" not in caught.value.message


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (faults.answer(401), GatedError),
        (faults.answer(403), GatedError),
        (faults.answer(404), NotFoundError),
        (faults.answer(410), NotFoundError),
        (faults.answer(503), RemoteError),
        (faults.rate_limited(5), RateLimitedError),
        (faults.redirect(""), RemoteError),
        (faults.hang_up(), OfflineError),
    ],
    ids=lambda value: f"{value.kind}-{value.status}" if isinstance(value, Fault) else None,
)
def test_each_failure_has_its_class_and_names_no_secret(
    hub: LoopbackHub, fault: Fault, expected: type[DownloaderError]
) -> None:
    url = hub.add_plain("/x.bin", b"x") + "?token=very-secret"
    hub.faults.add(Fault(fault.kind, Match(times=None), fault.status, fault.headers))
    with pytest.raises(expected) as caught:
        size_of(url)
    assert "very-secret" not in f"{caught.value} {caught.value.hint}"


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://host/x", "", "/etc/passwd", "data:,x"])
def test_other_schemes_are_refused(url: str) -> None:
    with pytest.raises(RemoteError, match="no http or https URL"):
        size_of(url)


@pytest.mark.parametrize(
    "url", ["http://", "http://[::1", "http://127.0.0.1:99999/x", "http://a b/\x00", "http://\udcff/"]
)
def test_broken_urls(url: str) -> None:
    with pytest.raises(DownloaderError):
        size_of(url)


def test_nobody_listens() -> None:
    with LoopbackHub() as gone:
        url = f"{gone.cdn_url}/x?token=secret"
    with pytest.raises(UnreachableError) as caught:
        size_of(url)
    assert "secret" not in caught.value.message


def test_a_bad_certificate_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise URLError(ssl.SSLCertVerificationError("certificate verify failed"))

    monkeypatch.setattr(plain, "_ask", refuse)
    with pytest.raises(UnreachableError, match="certificate verify failed"):
        size_of("https://host.example/x")


def test_lookup_of_plain_files(hub: LoopbackHub, make_room: MakeRoom) -> None:
    good = RemoteFile(
        hub.add_plain("/good.safetensors", b"12345") + "?token=1", None, None, "good.safetensors"
    )
    gone = RemoteFile(f"{hub.cdn_url}/gone.safetensors", None, None, "gone.safetensors")
    room = make_room(token="hf_secret")
    found, missing = room.lookup(good, gone)
    assert (found.state, found.size, found.digest, found.commit) == (RemoteState.KNOWN, 5, None, None)
    assert missing.state is RemoteState.MISSING
    assert not any(request.authorized for request in hub.requests)
    hub.forget_requests()
    again = make_room()
    assert again.lookup(good, gone) == [found, missing]
    assert list(again.client.cached([good, gone]).values()) == [found, missing]
    assert hub.requests == []
    hub.add_plain("/good.safetensors", b"123456789")
    assert again.lookup(good, max_age_s=0)[0].size == 9


def test_a_stale_size_serves_while_the_host_is_away(hub: LoopbackHub, room: Room) -> None:
    file = RemoteFile(hub.add_plain("/x.bin", b"12345"), None, None, "x.bin")
    room.lookup(file)
    hub.faults.add(faults.answer(503, match=Match(times=None)))
    (answer,) = room.lookup(file, max_age_s=0)
    assert (answer.state, answer.size, answer.stale) == (RemoteState.KNOWN, 5, True)


def test_offline_asks_no_other_host_either(hub: LoopbackHub, make_room: MakeRoom) -> None:
    file = RemoteFile(hub.add_plain("/x.bin", b"12345"), None, None, "x.bin")
    assert make_room(offline=True).lookup(file)[0].state is RemoteState.OFFLINE
    assert hub.requests == []
