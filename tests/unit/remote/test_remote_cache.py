from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wangp_downloader import database
from wangp_downloader.demo.hub import LoopbackHub
from wangp_downloader.errors import DatabaseError, RemoteError
from wangp_downloader.events import Event, Notice
from wangp_downloader.files import Digest, DigestKind, RemoteState
from wangp_downloader.remote.cache import MetadataCache, PlainRecord
from wangp_downloader.remote.client import RemoteClient, hub_file
from wangp_downloader.remote.options import RemoteOptions
from wangp_downloader.remote.records import (
    MISSING_FILE,
    Access,
    FileRecord,
    Problem,
    RepoReport,
    RevisionRecord,
    file_record,
)

if TYPE_CHECKING:
    from tests.unit.remote.conftest import MakeRoom, Room

HUB = "https://hub.example"
KEY = ("org/name", "main")
FILE = FileRecord(7, Digest(DigestKind.SHA256, "a" * 64))


def report(commit: str | None = "c1", **changes: object) -> RepoReport:
    values: dict[str, object] = {"checked_at": 1000.0, **changes}
    files = {"x.bin": FILE, "gone.bin": MISSING_FILE, "odd.bin": FileRecord(0)} if commit else {}
    return RepoReport(KEY, RevisionRecord(commit, **values), files)  # type: ignore[arg-type] # test data


def test_what_is_stored_comes_back(tmp_path: Path) -> None:
    with closing(MetadataCache(tmp_path / "a" / "hfcache.db")) as cache:
        stored = report(access=Access.GRANTED, now_called="new/name", with_token=True)
        cache.store(HUB, stored)
        (record,) = cache.revisions(HUB).values()
        assert (record.commit, record.access, record.now_called) == ("c1", Access.GRANTED, "new/name")
        assert (record.with_token, record.checked_at, record.problem) == (True, 1000.0, None)
        assert cache.files({record.row: ["x.bin", "gone.bin", "odd.bin", "unasked.bin"]}) == {
            record.row: dict(stored.files)
        }
        assert cache.revisions("https://other.example") == {}
        assert cache.revision(HUB, KEY) == record


def test_a_problem_keeps_the_commit_from_before(tmp_path: Path) -> None:
    with closing(MetadataCache(tmp_path / "hfcache.db")) as cache:
        cache.store(HUB, report())
        problem = Problem(RemoteState.GATED, "gated", "do this")
        cache.store(HUB, report(None, problem=problem, checked_at=2000.0))
        record = cache.revision(HUB, KEY)
        assert record is not None
        assert (record.commit, record.problem, record.checked_at) == ("c1", problem, 2000.0)
        cache.store(HUB, report("c2"))
        record = cache.revision(HUB, KEY)
        assert record is not None
        assert (record.commit, record.problem) == ("c2", None)


def test_a_clock_that_ran_ahead_does_not_keep_answers_fresh(tmp_path: Path) -> None:
    with closing(MetadataCache(tmp_path / "hfcache.db")) as cache:
        cache.store(HUB, report(checked_at=time.time() + 10**9))
        record = cache.revision(HUB, KEY)
        assert record is not None
        assert record.checked_at <= time.time()


def test_of_other_hosts_urls_only_a_hash_is_on_the_disk(tmp_path: Path) -> None:
    url = "https://host.example/x.safetensors?token=very-secret"
    with closing(MetadataCache(tmp_path / "hfcache.db")) as cache:
        record = PlainRecord(5, 1000.0, Problem(RemoteState.MISSING, "gone"))
        cache.store_plain({url: record})
        assert cache.plain([url, "https://host.example/y"]) == {url: record}
    assert b"very-secret" not in b"".join(file.read_bytes() for file in tmp_path.iterdir())


def test_info_and_reset(hub: LoopbackHub, room: Room) -> None:
    hub.add_file("org/a", "x.bin", b"1")
    hub.add_file("org/a", "y.bin", b"1")
    hub.add_file("org/b", "x.bin", b"1")
    room.lookup(hub_file("org/a", "x.bin"), hub_file("org/b", "x.bin"), hub_file("org/b", "nope.bin"))
    info = room.cache.info()
    assert (info.repos, info.files) == (2, 3)
    assert info.oldest is not None
    assert info.newest is not None
    assert info.oldest <= info.newest <= time.time()
    assert info.size_bytes > 0
    room.cache.reset()
    empty = room.cache.info()
    assert (empty.repos, empty.files, empty.oldest, empty.newest) == (0, 0, None, None)
    assert room.client.cached([hub_file("org/a", "x.bin")]).popitem()[1].state is RemoteState.UNKNOWN
    assert room.lookup(hub_file("org/a", "x.bin"))[0].state is RemoteState.KNOWN


@pytest.mark.parametrize(
    "garbage", [b"", b"not a database at all" * 100, b"SQLite format 3\0" + b"\xff" * 5000]
)
def test_a_damaged_file_is_made_anew_and_said(tmp_path: Path, garbage: bytes) -> None:
    path = tmp_path / "hfcache.db"
    path.write_bytes(garbage)
    events: list[Event] = []
    with closing(MetadataCache(path, events.append)) as cache:
        cache.store(HUB, report())
        assert cache.revision(HUB, KEY) is not None
    notices = [event.text for event in events if isinstance(event, Notice)]
    assert len(notices) == (1 if garbage else 0)
    assert all("the metadata cache" in text and "made anew" in text for text in notices)


@pytest.mark.parametrize(
    "change",
    [
        "revisions SET checked_at = 'soon'",
        "revisions SET access = 'perhaps'",
        "revisions SET problem_state = 'odd'",
        "commits SET sha = x'00ff'",
        "files SET size = 'large'",
        "files SET size = -5",
        "files SET kind = 'odd'",
        "files SET hex = x'ff'",
        "plain SET size = 'large'",
        "plain SET checked_at = 'soon'",
        "plain SET checked_at = 9e999",
        "plain SET problem_state = 'odd'",
    ],
)
def test_a_row_that_makes_no_sense_is_as_good_as_none(tmp_path: Path, change: str) -> None:
    url = "https://host.example/x.safetensors"
    whole = replace(report(), folders=frozenset({""}))
    with closing(MetadataCache(tmp_path / "hfcache.db")) as cache:

        def known() -> list[bool]:
            found = cache.revision(HUB, KEY)
            assert (found is not None) == bool(cache.revisions(HUB))
            row = 1 if found is None else found.row
            file = bool(cache.files({row: ["x.bin"]})[row])
            assert file == bool(cache.listing(row, ""))
            return [found is not None, file, bool(cache.plain([url]))]

        def tell() -> None:
            cache.store(HUB, whole)
            cache.store_plain({url: PlainRecord(5, 1000.0)})

        tell()
        assert known() == [True, True, True]
        with cache._database.writing() as connection:
            connection.execute(f"UPDATE {change}")
        spoiled = {"files": 1, "plain": 2}.get(change.partition(" ")[0], 0)
        assert known() == [place != spoiled for place in range(3)]
        assert cache.info().newest == 1000.0
        tell()
        assert known() == [True, True, True]


def test_a_cache_that_can_only_be_read_is_not_said_to_be_emptied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(MetadataCache(tmp_path / "hfcache.db")) as cache:
        cache.store(HUB, report())
    monkeypatch.setattr(database, "_writable", lambda _: False)
    with closing(MetadataCache(tmp_path / "hfcache.db")) as cache:
        assert cache.info().repos == 1
        with pytest.raises(DatabaseError, match="can not empty the metadata cache"):
            cache.reset()


def test_damage_while_running_costs_the_memory_and_not_the_answers(hub: LoopbackHub, room: Room) -> None:
    hub.add_file("org/a", "x.bin", b"1")
    hub.add_file("org/b", "x.bin", b"1")
    with closing(sqlite3.connect(room.cache.path)) as vandal:
        vandal.execute("DROP TABLE files")
    answers = room.lookup(hub_file("org/a", "x.bin"), hub_file("org/b", "x.bin"))
    assert [answer.state for answer in answers] == [RemoteState.KNOWN] * 2
    assert sum("can not write the metadata cache" in text for text in room.notices) == 1
    assert room.client.download_url(hub_file("org/a", "x.bin")).endswith("/resolve/main/x.bin")
    assert room.list_folder("org/a", "") == ["x.bin"]


def test_a_folder_that_is_a_file_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("x")
    with pytest.raises(DatabaseError, match="metadata cache"):
        MetadataCache(tmp_path / "state" / "hfcache.db")


def test_two_programs_may_use_it_at_once(hub: LoopbackHub, make_room: MakeRoom) -> None:
    hub.add_file("org/a", "x.bin", b"1")
    first, second = make_room(), make_room()
    first.lookup(hub_file("org/a", "x.bin"))
    hub.forget_requests()
    assert second.lookup(hub_file("org/a", "x.bin"))[0].state is RemoteState.KNOWN
    assert hub.requests == []


def test_a_thousand_files_take_few_queries(tmp_path: Path) -> None:
    with closing(MetadataCache(tmp_path / "hfcache.db")) as cache:
        for number in range(50):
            files = {f"{index}.bin": FILE for index in range(20)}
            cache.store(HUB, RepoReport((f"org/{number}", "main"), RevisionRecord("c", time.time()), files))
        wanted = [hub_file(f"org/{number}", f"{index}.bin") for number in range(50) for index in range(20)]
        statements: list[str] = []
        cache._database.connection().set_trace_callback(statements.append)
        answers = RemoteClient(cache, RemoteOptions(endpoint=HUB)).cached(wanted)
        assert {answer.state for answer in answers.values()} == {RemoteState.KNOWN}
        assert len(statements) == 2


@pytest.mark.parametrize(
    ("size", "sha256"), [(-1, None), ("7", None), (None, None), (True, None), (7, "abc"), (7, ""), (7, 7)]
)
def test_nonsense_about_a_file_is_refused(size: object, sha256: object) -> None:
    with pytest.raises(RemoteError, match=r"x\.bin"):
        file_record("x.bin", size, sha256, "b" * 40)


@given(st.text(), st.text(), st.integers())
def test_no_answer_gets_past_the_check_with_a_digest_that_is_none(sha: str, blob: str, size: int) -> None:
    try:
        record = file_record("x", size, sha, blob)
    except RemoteError:
        record = file_record("x", 1, None, blob)
    assert record.digest is None or record.digest.hex == record.digest.hex.lower()
    assert record.digest is None or len(record.digest.hex) in (40, 64)
