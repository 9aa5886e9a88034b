"""Stopping, going on, sharing: what survives a kill, a changed disk, a changed file, a second instance."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from io import FileIO
from pathlib import Path
from typing import Any

import pytest

from wangp_downloader.cancel import CancelToken
from wangp_downloader.demo import faults
from wangp_downloader.demo.faults import Match
from wangp_downloader.demo.hub import Generated, LoopbackHub
from wangp_downloader.errors import CancelledError, IntegrityError
from wangp_downloader.events import (
    Event,
    FileFinished,
    FilePaused,
    FileProgress,
    FileStarted,
    FileWaiting,
    Level,
    Notice,
)
from wangp_downloader.files import Digest, DigestKind, Outcome
from wangp_downloader.transfer import (
    TransferEngine,
    TransferOptions,
    TransferRequest,
    TransferResult,
    follower,
)
from wangp_downloader.transfer.storage import PartFile

REPO = "org/model"
NAME = "model.safetensors"
SIZE = 20 * 1024 * 1024 + 777
QUICK = TransferOptions(
    connections=4, backoff_base_s=0.01, backoff_cap_s=0.02, give_up_after_s=0, checkpoint_s=0.01
)

PROGRAM = """
import json, sys
from pathlib import Path
from typing import Any
from wangp_downloader.cancel import CancelToken
from wangp_downloader.files import Digest, DigestKind
from wangp_downloader.transfer import TransferEngine, TransferOptions, TransferRequest
url, to, size, sha256 = sys.argv[1:]
request = TransferRequest("key", url, Path(to), int(size), Digest(DigestKind.SHA256, sha256))
print("ready", flush=True)
[result] = TransferEngine(TransferOptions(connections=4, checkpoint_s=0.01)).run([request], cancel=CancelToken())
print(json.dumps([str(result.error), result.verified, result.bytes_fetched, result.kept]))
"""


@dataclass
class World:
    hub: LoopbackHub
    folder: Path
    events: list[Event] = field(default_factory=list)
    options: TransferOptions = QUICK

    @property
    def destination(self) -> Path:
        return self.folder / NAME

    @property
    def part(self) -> Path:
        return self.folder / f".{NAME}.part"

    @property
    def journal(self) -> Path:
        return self.folder / f".{NAME}.part.json"

    def request(self, **changes: object) -> TransferRequest:
        content = self.hub.content(REPO, NAME)
        url = f"{self.hub.endpoint}/{REPO}/resolve/main/{NAME}"
        request = TransferRequest(
            "key", url, self.destination, content.size, Digest(DigestKind.SHA256, content.sha256)
        )
        return replace(request, **changes)  # type: ignore[arg-type] # a test's shorthand

    def fetch(self, **changes: object) -> TransferResult:
        engine = TransferEngine(self.options)
        [result] = engine.run([self.request(**changes)], cancel=CancelToken(), emit=self.events.append)
        return result

    def stop_in_the_middle(self) -> TransferResult:
        """Fetch until half is there, then cancel the run."""
        self.hub.shape(total_bytes_per_s=60e6)
        cancel = CancelToken()

        def watch(event: Event) -> None:
            self.events.append(event)
            if isinstance(event, FileProgress) and event.done > SIZE // 2:
                cancel.cancel()

        [result] = TransferEngine(self.options).run([self.request()], cancel=cancel, emit=watch)
        self.hub.shape()
        self.hub.forget_requests()
        return result

    def start_program(self) -> subprocess.Popen[str]:
        content, request = self.hub.content(REPO, NAME), self.request()
        command = [
            sys.executable,
            "-c",
            PROGRAM,
            request.url,
            str(self.destination),
            str(SIZE),
            content.sha256,
        ]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        return process

    def arrived(self) -> bool:
        digest = hashlib.sha256(self.destination.read_bytes()).hexdigest()
        return digest == self.hub.content(REPO, NAME).sha256

    def notices(self) -> str:
        return "\n".join(event.text for event in self.events if isinstance(event, Notice))


@pytest.fixture
def world(hub: LoopbackHub, tmp_path: Path) -> World:
    hub.add_file(REPO, NAME, Generated(SIZE, seed=3))
    return World(hub, tmp_path)


def test_cancel_is_prompt_and_leaves_a_part_to_go_on_with(world: World) -> None:
    world.hub.faults.add(faults.stall(100_000, Match(listener="cdn", skip=2, times=None)))
    cancel = CancelToken()
    timer = threading.Timer(0.3, cancel.cancel)
    timer.start()
    began = time.monotonic()
    [result] = TransferEngine(QUICK).run([world.request()], cancel=cancel, emit=world.events.append)
    assert time.monotonic() - began < 1.3
    timer.join()
    assert isinstance(result.error, CancelledError)
    assert result.bytes_fetched > 0
    world.hub.faults.clear()
    again = world.fetch()
    assert again.verified
    assert again.bytes_fetched == SIZE - result.bytes_fetched
    assert [e.outcome for e in world.events if isinstance(e, FileFinished)] == [
        Outcome.SKIPPED,
        Outcome.DOWNLOADED,
    ]


def test_goes_on_where_it_was(world: World) -> None:
    first = world.stop_in_the_middle()
    world.events.clear()
    second = world.fetch()
    assert second.verified
    assert first.bytes_fetched + second.bytes_fetched == SIZE
    [started] = [event for event in world.events if isinstance(event, FileStarted)]
    assert started.done == first.bytes_fetched
    assert sorted(path.name for path in world.folder.iterdir()) == [NAME]


def test_changed_bytes_are_fetched_again_and_only_those(world: World) -> None:
    first = world.stop_in_the_middle()
    with world.part.open("r+b") as part:
        part.seek(1000)
        byte = part.read(1)[0]
        part.seek(1000)
        part.write(bytes([byte ^ 1]))
    second = world.fetch()
    assert second.verified
    assert world.arrived()
    assert SIZE - first.bytes_fetched < second.bytes_fetched < SIZE - first.bytes_fetched + 5_000_000
    assert "changed on the disk" in world.notices()


def test_a_sector_that_can_not_be_read_any_more_is_fetched_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = world.stop_in_the_middle()
    written = threading.Event()
    really = PartFile.write

    class Sick(FileIO):
        def readinto(self, buffer: Any, /) -> int | None:
            if self.tell() == 0 and not written.is_set():
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            return super().readinto(buffer)

    def write(part: PartFile, offset: int, chunks: Sequence[bytes | memoryview]) -> None:
        if offset == 0:
            written.set()  # a disk gives the sector another place when it is written
        really(part, offset, chunks)

    monkeypatch.setattr(follower, "FileIO", Sick)
    monkeypatch.setattr(PartFile, "write", write)
    second = world.fetch()
    assert second.verified
    assert world.arrived()
    assert second.bytes_fetched < SIZE - first.bytes_fetched + 5_000_000


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"garbage",
        b'{"format":"wangp-part","version":99,"url":"","digest":null,"size":1}\n',
        b"\0" * 500,
        b'{"format":"wangp-part","version":1,"url":"\xff\xfe"}\n',
        b'{"x":' + b"[" * 100_000,
    ],
)
def test_a_damaged_journal_costs_the_part_only(world: World, damage: bytes) -> None:
    world.stop_in_the_middle()
    world.journal.write_bytes(damage)
    assert world.fetch().verified
    assert world.arrived()


@pytest.mark.parametrize("line", [b'{"x":"\xff"}', b'{"y":' + b"[" * 100_000], ids=["no UTF-8", "deep"])
def test_a_line_that_can_not_be_read_ends_the_reading(world: World, line: bytes) -> None:
    first = world.stop_in_the_middle()
    whole = world.journal.read_bytes()
    world.journal.write_bytes(whole + line + b"\n")
    second = world.fetch()
    assert second.verified
    assert second.bytes_fetched <= SIZE - first.bytes_fetched + 5_000_000


def test_a_journal_that_lies_is_found_out(world: World) -> None:
    world.stop_in_the_middle()
    header = world.journal.read_bytes().split(b"\n")[0]
    world.journal.write_bytes(header + b'\n{"x":[[0,%d,12345]]}\n' % SIZE)
    assert world.fetch().verified
    assert world.arrived()


def test_a_torn_line_does_not_count(world: World) -> None:
    world.stop_in_the_middle()
    with world.journal.open("ab") as journal:
        journal.write(b'{"x":[[0,999')
    assert world.fetch().verified
    assert world.arrived()


def test_a_part_that_was_cut(world: World) -> None:
    world.stop_in_the_middle()
    os.truncate(world.part, 3_000_000)
    assert world.fetch().verified
    assert world.arrived()


def test_new_content_starts_afresh_and_says_so(world: World) -> None:
    world.stop_in_the_middle()
    world.hub.replace_file(REPO, NAME, Generated(SIZE, seed=4))
    result = world.fetch()
    assert result.verified
    assert result.bytes_fetched == SIZE
    assert "starts afresh: the file has another hash now" in world.notices()


def test_a_file_without_hash_that_changes_meanwhile(world: World) -> None:
    url = world.hub.add_plain("/plain.bin", Generated(SIZE, seed=5))
    request = replace(
        world.request(), url=url, digest=None, size=None, destination=world.folder / "plain.bin"
    )
    world.hub.shape(total_bytes_per_s=25e6)
    changed = threading.Event()

    def change(event: Event) -> None:
        world.events.append(event)
        if isinstance(event, FileProgress) and event.done > 9_000_000 and not changed.is_set():
            changed.set()
            world.hub.add_plain("/plain.bin", Generated(SIZE, seed=6))

    [result] = TransferEngine(QUICK).run([request], cancel=CancelToken(), emit=change)
    assert result.error is None
    assert not result.verified
    assert request.destination.read_bytes() == Generated(SIZE, seed=6).read()
    assert "was replaced while it was being fetched" in world.notices()


def test_a_file_without_hash_is_checked_by_its_header(world: World) -> None:
    good = b'{"a":{"dtype":"U8","shape":[3],"data_offsets":[0,3]}}'
    whole = len(good).to_bytes(8, "little") + good + b"abc"
    for name, content in (("good", whole), ("cut", whole[:-1])):
        url = world.hub.add_plain(f"/{name}.safetensors", content)
        result = world.fetch(
            url=url, digest=None, size=None, destination=world.folder / f"{name}.safetensors"
        )
        assert (result.error is None) == (name == "good")
        assert not result.verified
    assert isinstance(result.error, IntegrityError)
    assert sorted(path.name for path in world.folder.iterdir()) == [
        ".cut.safetensors.bad",
        "good.safetensors",
    ]


def test_killed_again_and_again(world: World) -> None:
    world.hub.shape(total_bytes_per_s=30e6)
    for _ in range(5):
        process = world.start_program()
        before = world.hub.bytes_sent(listener="cdn")
        while world.hub.bytes_sent(listener="cdn") - before < 3_000_000:
            time.sleep(0.005)
        process.kill()
        process.communicate()
        assert not world.destination.exists()
    world.hub.shape()
    assert world.fetch().verified
    assert world.arrived()
    assert sorted(path.name for path in world.folder.iterdir()) == [NAME]


def test_two_processes_fetch_it_once(world: World) -> None:
    world.hub.shape(total_bytes_per_s=40e6)
    processes = [world.start_program() for _ in range(2)]
    results = [json.loads(process.communicate()[0]) for process in processes]
    assert [result[:2] for result in results] == [["None", True]] * 2
    assert sorted(result[2] for result in results) == [0, SIZE]
    assert world.arrived()


def test_the_second_takes_over_when_the_first_is_killed(world: World) -> None:
    world.hub.shape(total_bytes_per_s=20e6)
    first = world.start_program()
    while world.hub.bytes_sent(listener="cdn") < 3_000_000:
        time.sleep(0.005)
    killer = threading.Timer(0.3, first.kill)
    killer.start()
    result = world.fetch()
    killer.join()
    first.communicate()
    assert result.verified
    assert 0 < result.bytes_fetched < SIZE
    assert "another instance is fetching" in world.notices()


def test_pause_and_resume(world: World) -> None:
    world.hub.shape(total_bytes_per_s=40e6)
    engine = TransferEngine(QUICK)
    quiet: list[float] = []

    def watch(event: Event) -> None:
        world.events.append(event)
        if isinstance(event, FileProgress) and event.done > 5_000_000 and not quiet:
            quiet.append(event.done)
            engine.pause()
        elif isinstance(event, FilePaused):
            threading.Timer(0.2, engine.resume).start()

    [result] = engine.run([world.request()], cancel=CancelToken(), emit=watch)
    assert result.verified
    assert result.bytes_fetched == SIZE
    assert sum(isinstance(event, FilePaused) for event in world.events) == 1


@pytest.mark.parametrize("connections", [1, 4])
def test_a_part_that_something_else_edits_meanwhile_is_mended(world: World, connections: int) -> None:
    world.hub.shape(total_bytes_per_s=40e6)
    edited = threading.Event()

    def edit() -> None:
        with world.part.open("r+b") as part:
            part.seek(1_000)
            part.write(b"not what came")
        edited.set()

    def watch(event: Event) -> None:
        world.events.append(event)
        if isinstance(event, FileProgress) and event.done > 8_000_000 and not edited.is_set():
            # Not in the very moment in which what arrived is written: that would pass unnoticed.
            threading.Timer(0.01, edit).start()

    options = replace(QUICK, connections=connections)
    [result] = TransferEngine(options).run([world.request()], cancel=CancelToken(), emit=watch)
    assert edited.is_set()
    assert result.verified
    assert world.arrived()
    assert any(isinstance(event, Notice) and "changed on the disk" in event.text for event in world.events)


def test_nothing_is_said_of_a_paused_file_until_it_goes_on(world: World) -> None:
    world.hub.shape(total_bytes_per_s=40e6)
    engine, resumed = TransferEngine(QUICK), threading.Event()

    def resume() -> None:
        resumed.set()
        engine.resume()

    def watch(event: Event) -> None:
        if isinstance(event, FilePaused):
            threading.Timer(0.5, resume).start()
        elif isinstance(event, FileProgress) and not resumed.is_set():
            if any(isinstance(each, FilePaused) for each in world.events):
                world.events.append(Notice(Level.ERROR, "spoke while paused"))
            engine.pause()
        world.events.append(event)

    [result] = engine.run([world.request()], cancel=CancelToken(), emit=watch)
    assert result.verified
    assert not any(isinstance(event, Notice) for event in world.events)


def test_a_wait_is_counted_down(world: World) -> None:
    world.hub.shape(total_bytes_per_s=40e6)
    world.hub.faults.add(faults.rate_limited(2, Match(listener="hub", path="/resolve/")))
    [result] = TransferEngine(QUICK).run([world.request()], cancel=CancelToken(), emit=world.events.append)
    assert result.verified
    waits = [event.wait_s for event in world.events if isinstance(event, FileWaiting)]
    assert waits == sorted(waits, reverse=True)
    assert waits


def test_cancel_one_of_two(world: World) -> None:
    world.hub.shape(total_bytes_per_s=40e6)
    engine = TransferEngine(QUICK)
    other = replace(world.request(), key="other", destination=world.folder / "other.safetensors")

    def watch(event: Event) -> None:
        if isinstance(event, FileProgress) and event.key == "key":
            engine.cancel("key")

    first, second = engine.run([world.request(), other], cancel=CancelToken(), emit=watch)
    assert isinstance(first.error, CancelledError)
    assert second.verified


def test_limit_holds_and_can_be_lifted(world: World) -> None:
    engine = TransferEngine(replace(QUICK, limit_bytes_per_s=2_000_000))
    marks: list[tuple[float, int]] = []

    def watch(event: Event) -> None:
        if isinstance(event, FileProgress):
            marks.append((time.monotonic(), event.done))
            if marks[-1][0] - marks[0][0] > 1.5:
                engine.set_limit(None)

    [result] = engine.run([world.request()], cancel=CancelToken(), emit=watch)
    assert result.verified
    limited = [mark for mark in marks if mark[0] - marks[0][0] <= 1.5]
    speed = (limited[-1][1] - limited[0][1]) / (limited[-1][0] - limited[0][0])
    assert 1_500_000 < speed < 2_400_000
    assert marks[-1][0] - marks[0][0] < 4.0


def test_one_connection_is_honoured(world: World) -> None:
    world.options = replace(QUICK, connections=1)
    assert world.fetch().verified
    assert len(world.hub.requests_to(listener="cdn")) == 1


def test_small_git_file_is_verified_by_its_blob_id(world: World) -> None:
    world.hub.add_file(REPO, "config.json", b'{"a": 1}', lfs=False)
    blob = world.hub.content(REPO, "config.json").blob_id
    url = f"{world.hub.endpoint}/{REPO}/resolve/main/config.json"
    good = world.fetch(
        url=url, size=8, digest=Digest(DigestKind.GIT_BLOB, blob), destination=world.folder / "c.json"
    )
    bad = world.fetch(
        url=url, size=8, digest=Digest(DigestKind.GIT_BLOB, "0" * 40), destination=world.folder / "d.json"
    )
    assert good.verified
    assert isinstance(bad.error, IntegrityError)
    assert "git blob id" in bad.error.message


def test_empty_file(world: World) -> None:
    empty = Digest(DigestKind.SHA256, hashlib.sha256(b"").hexdigest())
    url = world.hub.add_plain("/empty.txt", b"")
    for size in (0, None):
        destination = world.folder / f"empty-{size}"
        result = world.fetch(url=url, size=size, digest=empty, destination=destination)
        assert result.verified
        assert destination.stat().st_size == 0


def test_file_in_place_is_kept_and_not_fetched(world: World) -> None:
    assert world.fetch().verified
    world.hub.forget_requests()
    again = world.fetch()
    assert again.kept
    assert again.verified
    assert world.hub.requests == []


def test_metadata_of_huggingface_hub(world: World) -> None:
    from huggingface_hub._local_folder import read_download_metadata

    result = world.fetch(commit="a" * 40, local_dir=world.folder, path_in_repo=NAME)
    assert result.verified
    metadata = read_download_metadata(world.folder, NAME)
    assert metadata is not None
    assert metadata.etag == world.hub.content(REPO, NAME).sha256


def test_a_name_of_255_bytes(world: World) -> None:
    destination = world.folder / ("x" * 243 + ".safetensors")
    assert world.fetch(destination=destination).verified
    assert [path.name for path in world.folder.iterdir()] == [destination.name]


def test_a_disk_that_hangs_does_not_hold_up_cancel(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from wangp_downloader.transfer.storage import PartFile

    hangs, sync = threading.Event(), PartFile.sync_data

    def slow(part: PartFile) -> None:
        hangs.wait(10)
        sync(part)

    monkeypatch.setattr(PartFile, "sync_data", slow)
    began = time.monotonic()
    result = world.stop_in_the_middle()
    assert time.monotonic() - began < 2.0
    assert isinstance(result.error, CancelledError)
    hangs.set()
    again = world.fetch()
    assert again.verified
    assert again.bytes_fetched < SIZE


def test_a_limit_set_while_running_holds_within_a_second(world: World) -> None:
    engine = TransferEngine(replace(QUICK, limit_bytes_per_s=8_000_000))
    marks: list[tuple[float, int]] = []

    def watch(event: Event) -> None:
        if isinstance(event, FileProgress):
            marks.append((time.monotonic(), event.done))
            if engine.limit == 8_000_000 and event.done > 2_000_000:
                engine.set_limit(1_000_000)
                marks.clear()
            elif marks and marks[-1][0] - marks[0][0] > 1.5:
                engine.cancel("key")

    engine.run([world.request()], cancel=CancelToken(), emit=watch)
    later = [mark for mark in marks if mark[0] - marks[0][0] > 0.5]
    speed = (later[-1][1] - later[0][1]) / (later[-1][0] - later[0][0])
    assert 800_000 < speed < 1_200_000


def test_order_and_priorities(world: World) -> None:
    names = ["a", "b", "c", "urgent"]
    requests = [
        replace(world.request(), key=name, destination=world.folder / name, priority=int(name == "urgent"))
        for name in names
    ]
    engine = TransferEngine(replace(QUICK, files_at_once=1))

    def watch(event: Event) -> None:
        world.events.append(event)
        if isinstance(event, FileStarted) and event.key == "urgent":
            engine.prioritize("c")

    results = engine.run(requests, cancel=CancelToken(), emit=watch)
    assert all(result.verified for result in results)
    started = [event.key for event in world.events if isinstance(event, FileStarted)]
    assert started == ["urgent", "c", "a", "b"]


def test_many_small_files_over_few_connections(world: World) -> None:
    requests = []
    for number in range(60):
        content = world.hub.add_file(REPO, f"{number}.json", b"%d" % number, lfs=False)
        requests.append(
            TransferRequest(
                str(number),
                f"{world.hub.endpoint}/{REPO}/resolve/main/{number}.json",
                world.folder / f"{number}.json",
                content.size,
                Digest(DigestKind.GIT_BLOB, content.blob_id),
            )
        )
    results = TransferEngine(QUICK).run(requests, cancel=CancelToken(), emit=world.events.append)
    assert all(result.verified for result in results)
    assert len(world.hub.requests) == 60
