"""Every fault on the way, on the loopback Hub: it recovers by itself, or stops that file alone, by name."""

from __future__ import annotations

import hashlib
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from wangp_downloader.cancel import CancelToken
from wangp_downloader.demo import faults
from wangp_downloader.demo.faults import Fault, Match
from wangp_downloader.demo.hub import Generated, LoopbackHub
from wangp_downloader.errors import (
    DownloaderError,
    GatedError,
    IntegrityError,
    NotFoundError,
    OfflineError,
    RateLimitedError,
    RemoteError,
    StorageError,
    TransferError,
)
from wangp_downloader.events import Event, FileFinished, FileRetrying, Notice
from wangp_downloader.files import Digest, DigestKind, Outcome
from wangp_downloader.transfer import TransferEngine, TransferOptions, TransferRequest, TransferResult

REPO = "org/model"
NAME = "sub/model.safetensors"
SIZE = 13 * 1024 * 1024 + 12345
CDN = Match(listener="cdn")
HUB = Match(listener="hub", path="/resolve/")
QUICK = TransferOptions(
    connections=4,
    backoff_base_s=0.01,
    backoff_cap_s=0.02,
    stall_timeout_s=0.4,
    connect_timeout_s=2.0,
    max_attempts=6,
    give_up_after_s=0,
    checkpoint_s=0.02,
)


@dataclass
class World:
    hub: LoopbackHub
    folder: Path
    events: list[Event] = field(default_factory=list)
    options: TransferOptions = QUICK

    @property
    def destination(self) -> Path:
        return self.folder / "ckpts" / "model.safetensors"

    def request(self, **changes: object) -> TransferRequest:
        content = self.hub.content(REPO, NAME)
        request = TransferRequest(
            key="ckpts/model.safetensors",
            url=f"{self.hub.endpoint}/{REPO}/resolve/main/{NAME}",
            destination=self.destination,
            size=content.size,
            digest=Digest(DigestKind.SHA256, content.sha256),
            token="hf_secret",
        )
        return replace(request, **changes)  # type: ignore[arg-type] # a test's shorthand

    def fetch(self, *requests: TransferRequest) -> list[TransferResult]:
        engine = TransferEngine(self.options)
        return engine.run(requests or [self.request()], cancel=CancelToken(), emit=self.events.append)

    def arrived(self) -> bool:
        data = self.destination.read_bytes() if self.destination.is_file() else b""
        return hashlib.sha256(data).hexdigest() == self.hub.content(REPO, NAME).sha256

    def leftovers(self) -> list[str]:
        return sorted(path.name for path in self.folder.rglob(".*"))

    def said(self, kind: type[Event]) -> list[Event]:
        return [event for event in self.events if isinstance(event, kind)]


@pytest.fixture
def world(hub: LoopbackHub, tmp_path: Path) -> World:
    hub.add_file(REPO, NAME, Generated(SIZE, seed=7))
    return World(hub, tmp_path)


RECOVERABLE: dict[str, list[Callable[[], Fault]]] = {
    "none": [],
    "resolve answers 500, 502, 503, 504": [
        lambda s=s, i=i: faults.answer(s, {}, b"", replace(HUB, skip=i))  # type: ignore[misc]
        for i, s in enumerate((500, 502, 503, 504))
    ],
    "429 with RateLimit": [lambda: faults.rate_limited(0, HUB)],
    "429 with Retry-After": [lambda: faults.rate_limited(0, HUB, retry_after=True)],
    "408": [lambda: faults.answer(408, {}, b"", HUB)],
    "CDN 503 twice": [lambda: faults.answer(503, {}, b"busy", replace(CDN, times=2))],
    "hang up": [lambda: faults.hang_up(HUB), lambda: faults.hang_up(CDN)],
    "reset": [lambda: faults.reset(1_000_000, replace(CDN, times=3))],
    "reset at once": [lambda: faults.reset(0, CDN)],
    "truncated": [lambda: faults.truncate(2_000_000, replace(CDN, times=3))],
    "stalled": [lambda: faults.stall(700_000, CDN)],
    "stalled before the first byte": [lambda: faults.stall(0, replace(CDN, skip=1))],
    "range ignored": [lambda: faults.ignore_range(replace(CDN, times=None))],
    "range ignored from the second answer on": [
        lambda: faults.ignore_range(replace(CDN, skip=1, times=None))
    ],
    "wrong Content-Range": [lambda: faults.wrong_content_range(4096, replace(CDN, times=2))],
    "length too large": [lambda: faults.wrong_length(1000, CDN)],
    "length too small": [lambda: faults.wrong_length(-1000, CDN)],
    "signature expires in mid-file": [lambda: faults.expire_signature(replace(CDN, skip=2))],
    "expired at first": [lambda: faults.expire_signature(CDN)],
    "late answer": [lambda: faults.delay(0.2, HUB)],
    "404 from a CDN node": [lambda: faults.answer(404, {}, b"", replace(CDN, skip=1))],
    "416": [lambda: faults.answer(416, {}, b"", CDN)],
}


@pytest.mark.parametrize("case", RECOVERABLE)
def test_recovers_by_itself(world: World, case: str) -> None:
    world.hub.faults.add(*(make() for make in RECOVERABLE[case]))
    [result] = world.fetch()
    assert result.error is None
    assert result.verified
    assert world.arrived()
    assert world.leftovers() == []
    assert not any(request.authorized for request in world.hub.requests_to(listener="cdn"))
    assert all(request.token == "hf_secret" for request in world.hub.requests_to(listener="hub"))


@dataclass
class Fatal:
    make: Callable[[], Fault]
    error: type[DownloaderError]
    words: str


def every(match: Match) -> Match:
    return replace(match, times=None)


FATAL = {
    "always 500": Fatal(lambda: faults.answer(500, match=every(HUB)), TransferError, "500"),
    "always 429": Fatal(lambda: faults.rate_limited(0, every(HUB)), RateLimitedError, "429"),
    "429 for an hour": Fatal(lambda: faults.rate_limited(3600, every(HUB)), RateLimitedError, "429"),
    "always reset": Fatal(lambda: faults.reset(0, every(CDN)), TransferError, "reset"),
    "always truncated": Fatal(lambda: faults.truncate(10, every(CDN)), TransferError, "ended"),
    "always stalled": Fatal(lambda: faults.stall(0, every(CDN)), TransferError, "nothing came"),
    "redirect loop": Fatal(lambda: faults.redirect("", every(HUB)), TransferError, "more than 10"),
    "file://": Fatal(lambda: faults.redirect("file:///etc/passwd", HUB), TransferError, "neither http"),
    "ftp://": Fatal(lambda: faults.redirect("ftp://127.0.0.1/x", HUB), TransferError, "neither http"),
    "redirect to nowhere": Fatal(lambda: faults.answer(302, match=HUB), TransferError, "nowhere"),
    "gzip": Fatal(
        lambda: faults.answer(200, {"Content-Encoding": "gzip"}, b"x" * SIZE, HUB), TransferError, "encoded"
    ),
    "gone": Fatal(
        lambda: faults.answer(404, {"X-Error-Code": "EntryNotFound"}, match=HUB), NotFoundError, "not there"
    ),
    "gated": Fatal(
        lambda: faults.answer(403, {"X-Error-Code": "GatedRepo"}, match=HUB), GatedError, "access"
    ),
    "unknown repo": Fatal(lambda: faults.answer(401, match=HUB), GatedError, "does not exist"),
    "disabled": Fatal(
        lambda: faults.answer(403, {"X-Error-Code": "DisabledRepo"}, match=HUB), RemoteError, "DisabledRepo"
    ),
    "other length": Fatal(
        lambda: faults.answer(200, {}, b"another content", every(HUB)), TransferError, "has changed"
    ),
    "signature never works": Fatal(lambda: faults.expire_signature(every(CDN)), TransferError, "403"),
}


@pytest.mark.parametrize("case", FATAL)
def test_stops_that_file_alone(world: World, case: str) -> None:
    world.hub.add_file(REPO, "other.json", b"{}", lfs=False)
    other = world.hub.content(REPO, "other.json")
    world.hub.faults.add(
        replace(FATAL[case].make(), match=replace(FATAL[case].make().match, path="model.safet"))
    )
    result, second = world.fetch(
        world.request(),
        world.request(
            key="other",
            url=f"{world.hub.endpoint}/{REPO}/resolve/main/other.json",
            destination=world.folder / "other.json",
            size=2,
            digest=Digest(DigestKind.GIT_BLOB, other.blob_id),
        ),
    )
    assert isinstance(result.error, FATAL[case].error)
    assert FATAL[case].words in result.error.message
    assert not world.destination.exists()
    assert second.error is None
    assert second.verified
    finished = {event.key: event for event in world.events if isinstance(event, FileFinished)}
    assert finished["ckpts/model.safetensors"].outcome is Outcome.FAILED
    assert finished["other"].outcome is Outcome.DOWNLOADED
    assert not any(request.authorized for request in world.hub.requests_to(listener="cdn"))


def test_failed_file_goes_on_later(world: World) -> None:
    world.hub.faults.add(faults.reset(3_000_000, replace(CDN, times=2)))
    world.hub.faults.add(faults.answer(500, match=replace(CDN, skip=2, times=None)))
    [first] = world.fetch()
    assert isinstance(first.error, TransferError)
    world.hub.faults.clear()
    [second] = world.fetch()
    assert second.error is None
    assert world.arrived()
    assert first.bytes_fetched + second.bytes_fetched == SIZE


def test_waits_as_long_as_the_server_asks(world: World) -> None:
    world.hub.faults.add(faults.rate_limited(1, HUB))
    began = time.monotonic()
    [result] = world.fetch()
    assert result.error is None
    assert time.monotonic() - began >= 1.0
    [retry] = world.said(FileRetrying)
    assert isinstance(retry, FileRetrying)
    assert 1.0 <= retry.wait_s <= 1.5


def test_wrong_byte_is_refused_after_one_more_attempt(world: World) -> None:
    world.hub.corrupt(REPO, NAME, offset=5_000_000)
    [result] = world.fetch()
    assert isinstance(result.error, IntegrityError)
    assert world.hub.content(REPO, NAME).sha256 in result.error.message
    assert "model.safetensors" in result.error.message
    assert world.leftovers() == [".model.safetensors.bad"]
    assert result.bytes_fetched == 2 * SIZE
    assert not world.destination.exists()


def test_wrong_byte_that_heals_is_repaired(world: World) -> None:
    world.hub.corrupt(REPO, NAME, offset=5_000_000)

    def heal(event: Event) -> None:
        world.events.append(event)
        if isinstance(event, FileRetrying):
            world.hub.heal(REPO, NAME)

    [result] = TransferEngine(QUICK).run([world.request()], cancel=CancelToken(), emit=heal)
    assert result.error is None
    assert world.arrived()


def test_connection_refused(world: World) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/x"
        [result] = world.fetch(world.request(url=url))
    assert isinstance(result.error, OfflineError)
    assert result.error.hint


def test_no_such_host(world: World) -> None:
    [result] = world.fetch(world.request(url="http://no-such-host.invalid/x"))
    assert isinstance(result.error, OfflineError)
    assert "DNS" in result.error.message


def test_router_restarts(world: World) -> None:
    world.hub.shape(total_bytes_per_s=40e6)
    timer = threading.Timer(0.2, world.hub.drop_connections)
    timer.start()
    [result] = world.fetch()
    timer.join()
    assert result.error is None
    assert world.arrived()


def test_proxy_that_is_not_there(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{unused.getsockname()[1]}")
        [result] = world.fetch(world.request(url="http://example.invalid/x"))
    assert isinstance(result.error, OfflineError)
    assert "DNS" not in result.error.message


def test_tls_that_is_not_trusted_is_never_retried(world: World) -> None:
    # A server that does not speak TLS at all: the handshake fails, and that is said.
    url = world.hub.endpoint.replace("http:", "https:") + "/x"
    [result] = world.fetch(world.request(url=url))
    assert result.error is not None
    assert "TLS" in result.error.message


def test_a_mirror_without_a_cdn(world: World) -> None:
    world.hub.uses_cdn = False
    [result] = world.fetch()
    assert result.error is None
    assert world.arrived()
    assert world.hub.requests_to(listener="cdn") == []


def test_endpoint_becomes_such_a_mirror_meanwhile(world: World) -> None:
    world.hub.faults.add(faults.reset(1_000_000, replace(CDN, times=None)))
    world.options = replace(QUICK, max_attempts=2)
    world.fetch()
    world.hub.uses_cdn = False
    [result] = world.fetch()
    assert result.error is None
    assert world.arrived()


def test_renamed_repo_keeps_the_token_on_the_same_host(world: World) -> None:
    request = world.request()
    world.hub.gate(REPO, "hf_secret")
    world.hub.rename(REPO, "org/renamed")
    [result] = world.fetch(request)
    assert result.error is None
    assert [r.token for r in world.hub.requests_to("/resolve/", listener="hub")] == ["hf_secret"] * 2


def test_unwritable_folder(world: World) -> None:
    world.folder.joinpath("ckpts").write_text("a file where the folder should be")
    [result] = world.fetch()
    assert isinstance(result.error, StorageError)
    assert str(world.folder) in result.error.message


def test_target_folder_removed_while_running(world: World) -> None:
    world.hub.shape(total_bytes_per_s=20e6)

    def remove(event: Event) -> None:
        world.events.append(event)
        part = world.destination.with_name(".model.safetensors.part")
        if type(event).__name__ == "FileProgress" and part.exists():
            for path in part.parent.iterdir():
                path.unlink()
            part.parent.rmdir()

    [result] = TransferEngine(QUICK).run([world.request()], cancel=CancelToken(), emit=remove)
    assert isinstance(result.error, StorageError)
    assert not world.destination.exists()


def test_disk_full_says_so_before_the_first_byte(world: World) -> None:
    [result] = world.fetch(world.request(size=1 << 60))
    assert isinstance(result.error, StorageError)
    assert "disk full" in result.error.message
    assert world.hub.requests == []


def test_disk_full_in_the_middle_is_not_retried(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from wangp_downloader.transfer.storage import PartFile

    written = PartFile.write

    def write(self: PartFile, offset: int, chunks: list[bytes]) -> None:
        if offset > 4_000_000:
            raise OSError(28, "No space left on device")
        written(self, offset, chunks)

    monkeypatch.setattr(PartFile, "write", write)
    [result] = world.fetch()
    assert isinstance(result.error, StorageError)
    assert "disk full" in result.error.message
    assert world.said(FileRetrying) == []
    monkeypatch.undo()
    [again] = world.fetch()
    assert again.error is None
    assert again.bytes_fetched < SIZE


def test_something_appears_at_the_destination(world: World) -> None:
    world.hub.shape(total_bytes_per_s=60e6)

    def appear(event: Event) -> None:
        if type(event).__name__ == "FileProgress" and not world.destination.exists():
            world.destination.write_text("mine")

    [result] = TransferEngine(QUICK).run([world.request()], cancel=CancelToken(), emit=appear)
    assert isinstance(result.error, TransferError)
    assert world.destination.read_text() == "mine"
    assert world.destination.with_name(".model.safetensors.part").exists()


def test_another_file_at_the_destination_is_never_touched(world: World) -> None:
    world.destination.parent.mkdir()
    world.destination.write_text("mine")
    [result] = world.fetch()
    assert isinstance(result.error, TransferError)
    assert world.destination.read_text() == "mine"
    assert world.hub.requests == []


def test_no_secret_is_ever_said(world: World) -> None:
    url = world.hub.add_plain("/secret/file.bin", b"x" * 100) + "?token=s3cret"
    world.hub.faults.add(faults.answer(500, match=Match(path="/secret/")))
    [result] = world.fetch(
        world.request(url=url, size=None, digest=None, token=None, destination=world.folder / "file.bin")
    )
    assert result.error is None
    assert result.unverified_reason
    assert not result.verified
    assert "s3cret" not in repr(world.events)
    assert world.said(FileRetrying)
    assert not world.said(Notice)
