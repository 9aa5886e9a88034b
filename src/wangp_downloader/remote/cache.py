"""``hfcache.db``: what hosts have told us, so that a plan needs no network.

Owns the tables (``docs/disk-formats-hfcache.md``) and nothing else: when to ask again is decided by
``client.py``. What is known of a commit is valid for ever; which commit a branch means goes stale.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import sqlite3
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from wangp_downloader.database import Database, Schema
from wangp_downloader.errors import DatabaseError
from wangp_downloader.events import Emit, ignore
from wangp_downloader.files import Digest, DigestKind, RemoteState
from wangp_downloader.remote.records import (
    MISSING_FILE,
    Access,
    FileRecord,
    Problem,
    RepoReport,
    RevisionKey,
    RevisionRecord,
)

_SCHEMA = Schema(
    version=1,
    what="the metadata cache",
    script="""
    CREATE TABLE revisions (
        id INTEGER PRIMARY KEY,
        endpoint TEXT NOT NULL, repo TEXT NOT NULL, revision TEXT NOT NULL,
        commit_id INTEGER REFERENCES commits(id),
        checked_at REAL NOT NULL, with_token INTEGER NOT NULL, access TEXT NOT NULL, now_called TEXT,
        problem_state TEXT, problem TEXT, hint TEXT,
        UNIQUE (endpoint, repo, revision)
    );
    CREATE TABLE commits (
        id INTEGER PRIMARY KEY, endpoint TEXT NOT NULL, repo TEXT NOT NULL, sha TEXT NOT NULL,
        UNIQUE (endpoint, repo, sha)
    );
    CREATE TABLE files (
        commit_id INTEGER NOT NULL REFERENCES commits(id), path TEXT NOT NULL,
        size INTEGER, kind TEXT, hex TEXT,
        PRIMARY KEY (commit_id, path)
    ) WITHOUT ROWID;
    CREATE TABLE folders (
        commit_id INTEGER NOT NULL REFERENCES commits(id), path TEXT NOT NULL,
        PRIMARY KEY (commit_id, path)
    ) WITHOUT ROWID;
    CREATE TABLE plain (
        url_sha256 TEXT PRIMARY KEY, size INTEGER, checked_at REAL NOT NULL,
        problem_state TEXT, problem TEXT, hint TEXT
    ) WITHOUT ROWID
    """,
)
_SELECT_REVISIONS = (
    "SELECT r.repo, r.revision, r.checked_at, r.with_token, r.access, r.now_called,"
    " r.problem_state, r.problem, r.hint, c.sha, c.id"
    " FROM revisions r LEFT JOIN commits c ON c.id = r.commit_id"
)
_KINDS = {kind.value: kind for kind in DigestKind}
_TABLES = ("revisions", "files", "folders", "commits", "plain")


@dataclass(frozen=True, slots=True)
class CacheInfo:
    """What ``cache info`` shows.

    Attributes:
        path: The database file.
        size_bytes: Its size, with the write-ahead log.
        repos: Repos that something is known of.
        files: Files whose metadata is known.
        oldest: Unix time of the oldest answer, or None if there is none.
        newest: Unix time of the newest answer, or None.
    """

    path: Path
    size_bytes: int
    repos: int
    files: int
    oldest: float | None
    newest: float | None


@dataclass(frozen=True, slots=True)
class PlainRecord:
    """What a host that is no Hub said about a URL.

    Attributes:
        size: Bytes, or None if the host does not say.
        checked_at: Unix time in seconds.
        problem: Why the file can not be had.
    """

    size: int | None
    checked_at: float
    problem: Problem | None = None


class MetadataCache:
    """The metadata of remote files, on disk; safe to use from several threads and processes.

    A row that makes no sense is as good as none: what it should say is asked for again.

    Args:
        path: The database file, made if needed.
        emit: Told when the file was damaged and made anew.

    Raises:
        DatabaseError: The file can not be opened or made.
    """

    def __init__(self, path: Path, emit: Emit = ignore) -> None:
        self.path = path
        self._database = Database(path, _SCHEMA, emit)

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def info(self) -> CacheInfo:
        """Count what is in it.

        Raises:
            DatabaseError: The file can not be read.
        """
        row = self._rows(
            "SELECT (SELECT count(DISTINCT endpoint || ' ' || repo) FROM revisions) AS repos,"
            " (SELECT count(*) FROM files WHERE size IS NOT NULL) + (SELECT count(*) FROM plain) AS files,"
            " min(checked_at) AS oldest, max(checked_at) AS newest"
            " FROM (SELECT checked_at FROM revisions UNION ALL SELECT checked_at FROM plain)"
            " WHERE checked_at BETWEEN 0 AND 1e11"  # what else there may be is no time
        )[0]
        parts = (self.path, self.path.with_name(f"{self.path.name}-wal"))
        size = sum(part.stat().st_size for part in parts if part.exists())
        return CacheInfo(self.path, size, row["repos"], row["files"], row["oldest"], row["newest"])

    def reset(self) -> None:
        """Forget everything.

        Raises:
            DatabaseError: The file can not be written.
        """
        if self._database.read_only:
            text = f"can not empty the metadata cache {self.path}: it can only be read"
            raise DatabaseError(text, hint="make the file and its folder writable, or delete the file")
        with self._database.writing() as connection:
            for table in _TABLES:
                connection.execute(f"DELETE FROM {table}")
        self._rows("VACUUM")

    def revisions(self, endpoint: str) -> dict[RevisionKey, RevisionRecord]:
        """Return all revisions known at an endpoint (one query)."""
        rows = self._rows(f"{_SELECT_REVISIONS} WHERE r.endpoint = ?", (endpoint,))
        records = {(row["repo"], row["revision"]): _revision(row) for row in rows}
        return {key: record for key, record in records.items() if record is not None}

    def revision(self, endpoint: str, key: RevisionKey) -> RevisionRecord | None:
        """Return one revision, or None if it is not known."""
        where = "WHERE r.endpoint = ? AND r.repo = ? AND r.revision = ?"
        rows = self._rows(f"{_SELECT_REVISIONS} {where}", (endpoint, *key))
        return _revision(rows[0]) if rows else None

    def files(self, wanted: Mapping[int, Collection[str]]) -> dict[int, dict[str, FileRecord]]:
        """Return what is known of files (one query).

        Args:
            wanted: ``RevisionRecord.row`` → paths.

        Returns:
            The same, for those that are known.
        """
        found: dict[int, dict[str, FileRecord]] = {row: {} for row in wanted}
        rows = self._rows(
            "SELECT f.commit_id, f.path, f.size, f.kind, f.hex"
            " FROM json_each(?) AS c, json_each(c.value) AS p"
            " CROSS JOIN files AS f ON f.commit_id = CAST(c.key AS INTEGER) AND f.path = p.value",
            (json.dumps({row: list(paths) for row, paths in wanted.items()}),),
        )
        for commit_id, path, size, kind, hex_digest in rows:
            with contextlib.suppress(ValueError):
                found[commit_id][path] = _file(size, kind, hex_digest)
        return found

    def listing(self, row: int, folder: str) -> dict[str, FileRecord] | None:
        """Return all files below a folder of a commit, or None if it was never listed."""
        parents = ["", *_prefixes(folder)]
        marks = ",".join("?" * len(parents))
        listed = self._rows(
            f"SELECT 1 FROM folders WHERE commit_id = ? AND path IN ({marks}) LIMIT 1",
            (row, *parents),
        )
        if not listed:
            return None
        start = f"{folder}/" if folder else ""
        # "0" is the character after "/": the range is what begins with the folder's name and a slash.
        end = f"{folder}0" if folder else "\U0010ffff"
        rows = self._rows(
            "SELECT path, size, kind, hex FROM files"
            " WHERE commit_id = ? AND path >= ? AND path < ? AND size IS NOT NULL ORDER BY path",
            (row, start, end),
        )
        try:
            return {found["path"]: _file(found["size"], found["kind"], found["hex"]) for found in rows}
        except ValueError:
            return None

    def plain(self, urls: Collection[str]) -> dict[str, PlainRecord]:
        """Return what is known of URLs that are on no Hub (one query)."""
        keys = {_url_key(url): url for url in urls}
        rows = self._rows(
            "SELECT p.* FROM json_each(?) AS w JOIN plain AS p ON p.url_sha256 = w.value",
            (json.dumps(list(keys)),),
        )
        found = {}
        for row in rows:
            with contextlib.suppress(ValueError):
                record = PlainRecord(_size(row["size"]), _time(row["checked_at"]), _problem(row))
                found[keys[row["url_sha256"]]] = record
        return found

    def store(self, endpoint: str, report: RepoReport) -> None:
        """Remember what a question brought, in one transaction.

        Raises:
            DatabaseError: The file can not be written.
        """
        with self._database.writing() as connection:
            commit_id = None
            if report.revision.commit is not None:
                commit_id = _commit_id(connection, endpoint, report.key[0], report.revision.commit)
                _store_files(connection, commit_id, report)
            _store_revision(connection, endpoint, report, commit_id)

    def store_plain(self, records: Mapping[str, PlainRecord]) -> None:
        """Remember what hosts said about URLs; of a URL only its SHA-256 is stored, as it may hold secrets.

        Raises:
            DatabaseError: The file can not be written.
        """
        with self._database.writing() as connection:
            connection.executemany(
                "INSERT OR REPLACE INTO plain VALUES (?, ?, ?, ?, ?, ?)",
                [
                    (_url_key(url), record.size, record.checked_at, *_problem_columns(record.problem))
                    for url, record in records.items()
                ],
            )

    def _rows(self, sql: str, parameters: tuple[object, ...] = ()) -> list[sqlite3.Row]:
        try:
            rows: list[sqlite3.Row] = self._database.connection().execute(sql, parameters).fetchall()
        except sqlite3.Error as error:
            self._database.mark_if_damaged(error)
            raise DatabaseError(
                f"can not read the metadata cache {self.path}: {error}",
                hint="delete the file: what it holds is asked for again",
            ) from error
        return rows


def _commit_id(connection: sqlite3.Connection, endpoint: str, repo: str, sha: str) -> int:
    key = (endpoint, repo, sha)
    connection.execute("INSERT OR IGNORE INTO commits (endpoint, repo, sha) VALUES (?, ?, ?)", key)
    found = connection.execute("SELECT id FROM commits WHERE endpoint = ? AND repo = ? AND sha = ?", key)
    return int(found.fetchone()[0])


def _store_files(connection: sqlite3.Connection, commit_id: int, report: RepoReport) -> None:
    connection.executemany(
        "INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?)",
        [
            (
                commit_id,
                path,
                file.size,
                *((file.digest.kind, file.digest.hex) if file.digest else (None, None)),
            )
            for path, file in report.files.items()
        ],
    )
    connection.executemany(
        "INSERT OR IGNORE INTO folders VALUES (?, ?)", [(commit_id, folder) for folder in report.folders]
    )


def _store_revision(
    connection: sqlite3.Connection, endpoint: str, report: RepoReport, commit_id: int | None
) -> None:
    record = report.revision
    # A problem does not erase the commit known from before: offline, or once it is solved, that still serves.
    connection.execute(
        "INSERT INTO revisions (endpoint, repo, revision, commit_id, checked_at, with_token, access,"
        " now_called, problem_state, problem, hint) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (endpoint, repo, revision) DO UPDATE SET"
        " commit_id = coalesce(excluded.commit_id, commit_id), checked_at = excluded.checked_at,"
        " with_token = excluded.with_token, access = excluded.access,"
        " now_called = coalesce(excluded.now_called, now_called),"
        " problem_state = excluded.problem_state, problem = excluded.problem, hint = excluded.hint",
        (
            endpoint,
            *report.key,
            commit_id,
            record.checked_at,
            record.with_token,
            record.access,
            record.now_called,
            *_problem_columns(record.problem),
        ),
    )


def _problem_columns(problem: Problem | None) -> tuple[str | None, str | None, str | None]:
    return (problem.state, problem.text, problem.hint) if problem else (None, None, None)


def _problem(row: sqlite3.Row) -> Problem | None:
    state = row["problem_state"]
    return Problem(RemoteState(state), _text(row["problem"]) or "", _text(row["hint"])) if state else None


def _revision(row: sqlite3.Row) -> RevisionRecord | None:
    try:
        return RevisionRecord(
            _text(row["sha"]),
            # A clock that was wrong once must not keep an answer fresh for years.
            min(_time(row["checked_at"]), time.time()),
            Access(row["access"]),
            row["now_called"] if isinstance(row["now_called"], str) else None,
            _problem(row),
            with_token=bool(row["with_token"]),
            row=row["id"] or 0,
        )
    except ValueError:
        return None


def _file(size: object, kind: str | None, hex_digest: str | None) -> FileRecord:
    size_bytes = _size(size)
    if size_bytes is None:
        return MISSING_FILE
    hex_text = _text(hex_digest)
    if kind and kind not in _KINDS:
        raise ValueError(kind)
    return FileRecord(size_bytes, Digest(_KINDS[kind], hex_text) if kind and hex_text else None)


def _size(value: object) -> int | None:
    if value is not None and (not isinstance(value, int) or value < 0):
        raise ValueError(value)
    return value


def _time(value: object) -> float:
    if not isinstance(value, float) or not math.isfinite(value):
        raise ValueError(value)
    return value


def _text(value: object) -> str | None:
    if value is not None and not isinstance(value, str):
        raise ValueError(value)
    return value


def _prefixes(folder: str) -> list[str]:
    parts = folder.split("/") if folder else []
    return ["/".join(parts[: count + 1]) for count in range(len(parts))]


def _url_key(url: str) -> str:
    return hashlib.sha256(url.encode("utf-8", "surrogatepass")).hexdigest()
