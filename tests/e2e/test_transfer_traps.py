"""A disk with traps: names that lead to the user's files, errors told only once, space for one file of two."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.e2e.raw_server import Conversation, serving
from wangp_downloader.cancel import CancelToken
from wangp_downloader.errors import StorageError
from wangp_downloader.events import Event, FileProgress
from wangp_downloader.files import Digest, DigestKind
from wangp_downloader.transfer import TransferEngine, TransferOptions, TransferRequest, TransferResult
from wangp_downloader.transfer.names import PartNames
from wangp_downloader.transfer.storage import PartFile

MIB = 1024 * 1024
CONTENT = os.urandom(24 * MIB + 17)
DIGEST = Digest(DigestKind.SHA256, hashlib.sha256(CONTENT).hexdigest())
MINE = b"the user's own file"


def _fetch(
    folder: Path, *names: str, cancel: CancelToken | None = None, watch: Callable[[Event], None] | None = None
) -> list[TransferResult]:
    with serving(lambda conversation: conversation.part(CONTENT)) as server:
        requests = [
            TransferRequest(name, f"{server.url}/x", folder / name, len(CONTENT), DIGEST) for name in names
        ]
        options = TransferOptions(checkpoint_s=0.01, connections=2)
        heard: list[Event] = []
        return TransferEngine(options).run(
            requests, cancel=cancel or CancelToken(), emit=watch or heard.append
        )


def _stop_in_the_middle(folder: Path) -> None:
    cancel = CancelToken()

    def watch(event: Event) -> None:
        if isinstance(event, FileProgress) and event.done > 4 * MIB:
            cancel.cancel()

    with serving(lambda conversation: conversation.part(CONTENT)) as server:
        request = TransferRequest("x", f"{server.url}/x", folder / "x", len(CONTENT), DIGEST)
        options = TransferOptions(checkpoint_s=0.01, limit_bytes_per_s=20e6)
        TransferEngine(options).run([request], cancel=cancel, emit=watch)


def _symlink(at: Path, mine: Path) -> None:
    at.symlink_to(mine)


def _hard_link(at: Path, mine: Path) -> None:
    os.link(mine, at)


@pytest.mark.parametrize("trap", [_symlink, _hard_link])
@pytest.mark.parametrize("suffix", [".part", ".part.json", ".part.json.new", ".part.lock"])
@pytest.mark.parametrize("begun", [False, True])
def test_no_link_under_a_hidden_name_leads_to_the_users_file(
    tmp_path: Path, trap: Callable[[Path, Path], None], suffix: str, begun: bool
) -> None:
    folder, mine = tmp_path / "models", tmp_path / "mine"
    folder.mkdir()
    mine.write_bytes(MINE)
    if begun:
        _stop_in_the_middle(folder)
        journal = PartNames.beside(folder / "x").journal
        os.truncate(journal, journal.stat().st_size - 1)  # so that it is written anew
    (folder / f".x{suffix}").unlink(missing_ok=True)
    trap(folder / f".x{suffix}", mine)
    [result] = _fetch(folder, "x")
    assert result.verified
    assert mine.read_bytes() == MINE
    assert (folder / "x").read_bytes() == CONTENT
    assert [path.name for path in folder.iterdir()] == ["x"]


def test_a_dangling_link_as_lock_makes_no_file_elsewhere(tmp_path: Path) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    (folder / ".x.part.lock").symlink_to(tmp_path / "elsewhere")
    assert _fetch(folder, "x")[0].verified
    assert not (tmp_path / "elsewhere").exists()


def test_bytes_that_could_not_be_written_back_are_never_claimed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system says so once; after that it takes them for written."""
    really, failed = os.fdatasync, threading.Event()

    def sync(fd: int) -> None:
        name = os.path.basename(os.readlink(f"/proc/self/fd/{fd}"))  # noqa: PTH115, PTH119
        if name == ".x.part" and os.fstat(fd).st_size == len(CONTENT) and not failed.is_set():
            failed.set()
            raise OSError(errno.EIO, "Input/output error")
        really(fd)

    monkeypatch.setattr(os, "fdatasync", sync)
    [result] = _fetch(tmp_path, "x")
    assert failed.is_set()
    assert isinstance(result.error, StorageError)
    [again] = _fetch(tmp_path, "x")
    assert again.verified
    assert again.bytes_fetched > len(CONTENT) // 2


def test_space_for_one_file_of_two_is_not_promised_to_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = SimpleNamespace(free=len(CONTENT) * 3 // 2 + 16 * MIB)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: free)
    monkeypatch.setattr(PartFile, "reserve", lambda part, size: None)
    results = _fetch(tmp_path, "a", "b")
    [refused] = [result.error for result in results if result.error is not None]
    assert isinstance(refused, StorageError)
    assert "on their way" in refused.message
    assert [path.name for path in tmp_path.iterdir()] == [result.key for result in results if result.verified]


@pytest.mark.parametrize("change", ["truncate", "hole"])
def test_a_part_that_lost_bytes_is_not_filled_up_with_zeros(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    changed = threading.Event()

    def look(part: PartFile) -> None:
        # As where no time of change is told.
        part.disturbed = False
        if threading.current_thread().name != "follower" and not changed.is_set():
            changed.set()
            os.truncate(part.path, MIB)
            if change == "hole":
                os.truncate(part.path, len(CONTENT))

    monkeypatch.setattr(PartFile, "look", look)
    [result] = _fetch(tmp_path, "x")
    assert changed.is_set()
    assert result.verified
    assert (tmp_path / "x").read_bytes() == CONTENT


def test_no_more_comes_than_a_slow_disk_keeps_soon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a killed process would lose nearly all: each sync would have more to do than the one before."""
    monkeypatch.setattr("wangp_downloader.transfer.books._LEAST_UNSYNCED", 2 * MIB)
    monkeypatch.setattr("wangp_downloader.transfer.books._FIRST_UNSYNCED", 2 * MIB)
    monkeypatch.setattr("wangp_downloader.transfer.books._UNSYNCED_S", 0.2)
    written = 0
    most = 0
    write, sync = PartFile.write, PartFile.sync_data

    def slow_sync(part: PartFile) -> None:
        nonlocal written
        to_do, written = written, 0
        time.sleep(to_do / 20e6)
        sync(part)

    def count(part: PartFile, offset: int, chunks: Sequence[bytes | memoryview]) -> None:
        nonlocal written, most
        write(part, offset, chunks)
        written += sum(map(len, chunks))
        most = max(most, written)

    monkeypatch.setattr(PartFile, "sync_data", slow_sync)
    monkeypatch.setattr(PartFile, "write", count)
    [result] = _fetch(tmp_path, "x")
    assert result.verified
    assert most < 12 * MIB


def test_a_folder_under_a_hidden_name_is_said_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / ".x.part").mkdir()
    [result] = _fetch(tmp_path, "x")
    assert isinstance(result.error, StorageError)
    assert result.error.hint is not None
    assert "move it away" in result.error.hint


@pytest.mark.parametrize("same", [True, False])
def test_a_file_that_something_else_puts_in_place_meanwhile_is_kept(tmp_path: Path, same: bool) -> None:
    target = tmp_path / "x"
    theirs = CONTENT if same else CONTENT[::-1]

    def answer(conversation: Conversation) -> None:
        if not target.exists():
            target.write_bytes(theirs)
        conversation.part(CONTENT)

    with serving(answer) as server:
        request = TransferRequest("x", f"{server.url}/x", target, len(CONTENT), DIGEST)
        [result] = TransferEngine(TransferOptions(connections=1)).run([request], cancel=CancelToken())
    assert target.read_bytes() == theirs
    assert result.verified is same
    assert (result.error is None) is same
    assert result.kept is same
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".part"] == [".x.part"] * (not same)
