"""Our own SQLite files: whatever is wrong with one, it is set aside at once, or read where it can not be written."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from wangp_downloader import database as database_module
from wangp_downloader.database import Database, Schema
from wangp_downloader.errors import DatabaseError
from wangp_downloader.events import Event, Notice

SCHEMA = Schema(
    3, "CREATE TABLE t (\n  a INTEGER PRIMARY KEY,\n  b TEXT\n);\nCREATE INDEX by_b ON t (b)", "the memory"
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "a.db"


def make(path: Path, rows: int = 1) -> None:
    with closing(Database(path, SCHEMA)) as made, made.writing() as connection:
        connection.executemany(
            "INSERT INTO t VALUES (?, ?)", [(row, f"text {row:099}") for row in range(rows)]
        )


def execute(path: Path, script: str) -> None:
    path.parent.mkdir(exist_ok=True)
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(script)


def opened(path: Path) -> tuple[int, list[str]]:
    """How many rows a new object finds, and what it says."""
    events: list[Event] = []
    with closing(Database(path, SCHEMA, events.append)) as database:
        count = database.connection().execute("SELECT count(*) FROM t").fetchone()[0]
    return count, [event.text for event in events if isinstance(event, Notice)]


def other_tables(path: Path) -> None:
    execute(path, "CREATE TABLE files (x); PRAGMA user_version=3")


def other_columns(path: Path) -> None:
    execute(path, "CREATE TABLE t (a, c); CREATE INDEX by_b ON t (c); PRAGMA user_version=3")


def no_index(path: Path) -> None:
    execute(path, "CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT); PRAGMA user_version=3")


def no_tables(path: Path) -> None:
    execute(path, "PRAGMA user_version=3")


def tables_of_no_version(path: Path) -> None:
    execute(path, "CREATE TABLE t (x)")


def damaged_pages(path: Path) -> None:
    make(path, 500)
    content = bytearray(path.read_bytes())
    content[4096:] = bytes(byte ^ 0x5A for byte in content[4096:])
    path.write_bytes(content)


def damaged_last_page(path: Path) -> None:
    make(path, 500)
    path.write_bytes(path.read_bytes()[:-4096] + b"\xa5" * 4096)


def cut_off(path: Path) -> None:
    make(path, 500)
    os.truncate(path, path.stat().st_size // 2)


@pytest.mark.parametrize(
    "spoil",
    [
        other_tables,
        other_columns,
        no_index,
        no_tables,
        tables_of_no_version,
        damaged_pages,
        damaged_last_page,
        cut_off,
    ],
)
def test_an_unusable_file_is_set_aside_by_the_first_that_opens_it(
    path: Path, spoil: Callable[[Path], None]
) -> None:
    spoil(path)
    count, said = opened(path)
    assert count == 0
    assert len(said) == 1
    assert "the memory" in said[0]
    assert "was made anew" in said[0]
    assert "\n" not in said[0]
    assert len(list(path.parent.glob("a.db.broken-*"))) == 1
    make(path)
    assert opened(path) == (1, [])


def test_more_tables_and_other_white_space_are_no_reason(path: Path) -> None:
    execute(
        path,
        "CREATE TABLE t ( a INTEGER PRIMARY KEY, b TEXT );"
        "CREATE INDEX by_b  ON t (b); CREATE TABLE more (x); PRAGMA user_version=3",
    )
    assert opened(path) == (0, [])


def test_a_folder_that_may_not_be_looked_into_is_a_clear_error(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Path) -> bool:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "exists", refuse)
    with pytest.raises(DatabaseError, match=r"can not open the memory .*a\.db: .*Permission denied"):
        Database(path, SCHEMA)


class TestReadOnly:
    @pytest.fixture(autouse=True)
    def _locked(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        make(path)
        path.chmod(0o400)
        path.parent.chmod(0o500)
        # The permissions mean nothing to root.
        monkeypatch.setattr(database_module, "_writable", lambda _: False)
        yield
        path.parent.chmod(0o700)

    def test_it_is_read_and_what_is_written_is_forgotten(self, path: Path) -> None:
        before = path.read_bytes()
        events: list[Event] = []
        with closing(Database(path, SCHEMA, events.append)) as database:
            assert database.read_only
            with database.writing() as connection:
                connection.execute("INSERT INTO t VALUES (7, 'more')")
            assert database.connection().execute("SELECT count(*) FROM t").fetchone()[0] == 2
        assert ["can only be read" in event.text for event in events if isinstance(event, Notice)] == [True]
        assert opened(path)[0] == 1
        assert path.read_bytes() == before
        assert [entry.name for entry in path.parent.iterdir()] == ["a.db"]

    def test_what_is_only_in_the_log_is_read_too(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        with monkeypatch.context() as other, closing(sqlite3.connect(path)) as writer:
            other.undo()
            writer.execute("INSERT INTO t VALUES (8, 'in the log')")
            writer.commit()
            monkeypatch.setattr(database_module, "_writable", lambda _: False)
            assert opened(path)[0] == 2

    @pytest.mark.parametrize("spoil", ["PRAGMA user_version=9", "DROP TABLE t"])
    def test_one_that_can_not_be_used_stays_where_it_is(self, path: Path, spoil: str) -> None:
        path.chmod(0o600)
        execute(path, spoil)
        with pytest.raises(DatabaseError, match=r"can not open the memory .*a\.db"):
            Database(path, SCHEMA)
        assert [entry.name for entry in path.parent.iterdir()] == ["a.db"]
