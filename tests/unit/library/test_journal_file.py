"""The journal: whatever was announced is found again, whatever was torn is not in the way."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wangp_downloader.errors import StorageError
from wangp_downloader.files import Digest, DigestKind
from wangp_downloader.journal import (
    Before,
    BeforeKind,
    Change,
    Entry,
    Journal,
    JournalAction,
    JournalState,
)

CHANGE = Change(
    JournalAction.LINK,
    "/wan2gp/ckpts/x.safetensors",
    "/hub/x.safetensors",
    "symlink",
    Digest(DigestKind.SHA256, "ab" * 32),
    Before(BeforeKind.LINK, link_to="../gone"),
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "journal.jsonl"


def test_gives_back_what_was_recorded(path: Path) -> None:
    journal = Journal(path, "download")
    status = path.parent.parent.stat()
    entry_id = journal.record(CHANGE, after=status)
    (entry,) = Journal(path).entries()
    assert entry == Entry(
        entry_id,
        journal.run,
        entry.time,
        "download",
        os.getpid(),
        CHANGE,
        JournalState.DONE,
        (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns),
    )
    journal.close()


def test_announced_failed_and_done_are_told_apart(path: Path) -> None:
    journal = Journal(path)
    journal.begin(CHANGE)
    journal.finish(journal.begin(CHANGE), done=False)
    journal.finish(journal.begin(CHANGE))
    states = [entry.state for entry in journal.entries()]
    assert states == [JournalState.BEGUN, JournalState.FAILED, JournalState.DONE]
    journal.close()


def test_an_announcement_is_on_the_disk_before_begin_returns(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[bytes] = []
    monkeypatch.setattr(os, "fsync", lambda _: synced.append(path.read_bytes()))
    journal = Journal(path)
    journal.begin(CHANGE)
    assert len(synced) == 1
    assert json.loads(synced[0])["target"] == CHANGE.target
    journal.close()


@pytest.mark.parametrize("cut", [2, 20, 150])
def test_a_torn_last_line_costs_only_itself(path: Path, cut: int) -> None:
    first = Journal(path)
    kept = first.record(CHANGE)
    first.begin(CHANGE)
    first.close()
    os.truncate(path, path.stat().st_size - cut)
    second = Journal(path)
    after = second.record(CHANGE)
    assert [entry.id for entry in second.entries()] == [kept, after]
    second.close()


@pytest.mark.parametrize(
    "garbage",
    [
        b"\0\0\0\n",
        b"[]\n",
        b"{}\n",
        b'{"v":99,"id":"x"}\n',
        b'{"v":1,"id":"x","state":"done"}\n',
        b"[" * 99_999,
    ],
)
def test_foreign_lines_are_left_out(path: Path, garbage: bytes) -> None:
    journal = Journal(path)
    journal.record(CHANGE)
    with path.open("ab") as file:
        file.write(garbage)
    assert len(journal.entries()) == 1
    journal.close()


def line_of(**changes: object) -> bytes:
    line = {"v": 1, "id": "x-1", "state": "begun", "run": "x", "time": 1.0, "verb": "link", "pid": 1}
    line |= {"action": "link", "target": "/t", "source": "/s", "mode": "copy", "digest": None}
    return json.dumps(line | {"before": {"kind": "absent"}} | changes).encode() + b"\n"


def test_a_line_in_order_is_an_entry(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(line_of())
    assert [entry.time for entry in Journal(path).entries()] == [1.0]


@pytest.mark.parametrize(
    "changes",
    [
        {"time": float("nan")},
        {"time": float("inf")},
        {"time": 1e300},
        {"time": -1},
        {"time": 10**400},
        {"pid": float("inf")},
        {"digest": 5},
        {"before": {"kind": "link", "link_to": 5}},
        {"before": {"kind": "file", "size": float("nan")}},
    ],
    ids=str,
)
def test_a_line_with_values_that_can_not_be_is_left_out(path: Path, changes: dict[str, object]) -> None:
    path.parent.mkdir()
    path.write_bytes(line_of(**changes))
    assert Journal(path).entries() == []


def test_an_end_with_values_that_can_not_be_ends_nothing(path: Path) -> None:
    path.parent.mkdir()
    end = b'{"v":1,"id":"x-1","state":"done","after":[1,2,3,1e999]}\n'
    path.write_bytes(line_of() + end)
    assert [entry.state for entry in Journal(path).entries()] == [JournalState.BEGUN]


@pytest.mark.timeout(20)
def test_a_pipe_in_its_place_is_a_clear_error(path: Path) -> None:
    path.parent.mkdir()
    os.mkfifo(path)
    with pytest.raises(StorageError, match=r"can not read the journal .*: Is no regular file"):
        Journal(path).entries()
    with pytest.raises(StorageError, match=r"can not write the journal .*: Is no regular file"):
        Journal(path).record(CHANGE)


def test_no_file_is_no_entries(path: Path) -> None:
    assert Journal(path).entries() == []


def test_threads_and_processes_do_not_mix_their_lines(path: Path) -> None:
    journals = [Journal(path) for _ in range(4)]

    def work(journal: Journal) -> None:
        for _ in range(25):
            journal.record(CHANGE)

    threads = [threading.Thread(target=work, args=(journal,)) for journal in journals for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    entries = journals[0].entries()
    assert len({entry.id for entry in entries}) == len(entries) == 200
    for journal in journals:
        journal.close()


def test_a_folder_that_can_not_be_made_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError, match="can not write the journal"):
        Journal(tmp_path / "file" / "journal.jsonl").record(CHANGE)
    (tmp_path / "journal.jsonl").mkdir()
    with pytest.raises(StorageError, match="can not read the journal"):
        Journal(tmp_path / "journal.jsonl").entries()


@given(st.text(st.characters(), max_size=60), st.binary(max_size=30))
def test_any_name_survives(tmp_path_factory: pytest.TempPathFactory, text: str, raw: bytes) -> None:
    path = tmp_path_factory.mktemp("journal") / "journal.jsonl"
    journal = Journal(path)
    change = Change(JournalAction.REMOVE, text, os.fsdecode(raw))
    journal.record(change)
    journal.close()
    assert [entry.change for entry in Journal(path).entries()] == [change]
