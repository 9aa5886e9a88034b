"""The memory of hashes: ``library.db``, and nothing else. A file is read once and known until it changes.

Owns the table ``hashes`` (``docs/disk-formats-library.md``). Does not decide what a hash is good for.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from wangp_downloader.cancel import CancelToken
from wangp_downloader.database import Database, Schema
from wangp_downloader.errors import DatabaseError, StorageError
from wangp_downloader.events import Emit, Level, Notice, ignore
from wangp_downloader.files import Digest, DigestKind
from wangp_downloader.library.hashing import HashedFile, hash_file, stamp_of
from wangp_downloader.library.stamp import Stamp

_SCHEMA = Schema(
    version=1,
    what="the memory of hashes",
    script="""
        CREATE TABLE hashes (
            state TEXT NOT NULL,
            device TEXT NOT NULL,
            path BLOB NOT NULL,
            sha256 TEXT,
            git_blob TEXT,
            hashed_at INTEGER NOT NULL,
            PRIMARY KEY (state, device)
        ) WITHOUT ROWID;
        CREATE INDEX hashes_by_path ON hashes (path)
    """,
)
_COLUMNS: Mapping[DigestKind, str] = {DigestKind.SHA256: "sha256", DigestKind.GIT_BLOB: "git_blob"}


class HashIndex:
    """Computed hashes, kept with the state of the file in which they were computed.

    A hash is valid for a file whose inode, size, mtime and ctime agree to the nanosecond with the record,
    and whose device number *or* path does. So a hard link is known under each of its names, and a file on
    a file system whose device number changes at each mount (btrfs, NFS, ZFS) is still known under its path.

    Args:
        path: ``library.db``.
        emit: Told when the database had to be made anew, or could not be written.

    Raises:
        DatabaseError: The database can not be opened.
    """

    def __init__(self, path: Path, emit: Emit = ignore) -> None:
        self._database = Database(path, _SCHEMA, emit)
        self._emit = emit

    def known(self, files: Mapping[str, Stamp], kind: DigestKind = DigestKind.SHA256) -> dict[str, Digest]:
        """Return the remembered digests of files, by path. Reads no file; one query for all.

        Args:
            files: Path → its stamp as it is now.
            kind: Which hash.

        Raises:
            DatabaseError: The database can not be read.
        """
        if not files:
            return {}
        by_state: dict[str, list[str]] = {}
        for path, stamp in files.items():
            by_state.setdefault(_state(stamp), []).append(path)
        found: dict[str, Digest] = {}
        for row in self._rows(by_state, _COLUMNS[kind]):
            digest = Digest(kind, row["hex"])
            for path in by_state[row["state"]]:
                if row["device"] == str(files[path].device) or row["path"] == os.fsencode(path):
                    found[path] = digest
        return found

    def hashed(
        self, path: str, kind: DigestKind = DigestKind.SHA256, *, cancel: CancelToken, emit: Emit = ignore
    ) -> HashedFile:
        """Return a file's digest and stamp, remembered if it is unchanged, else computed and remembered.

        Args:
            path: A regular file, or a symbolic link to one.
            kind: Which hash.
            cancel: Stops the reading.
            emit: Told of the progress.

        Raises:
            StorageError: The file can not be read or keeps changing.
            DatabaseError: The database can not be read.
            CancelledError: The user asked to stop.
        """
        stamp = stamp_of(path)
        known = self.known({path: stamp}, kind).get(path)
        if known is not None:
            return HashedFile(known, stamp)
        hashed = hash_file(path, kind, cancel=cancel, emit=emit)
        self.store(path, hashed)
        return hashed

    def digest(
        self,
        path: Path,
        kind: DigestKind = DigestKind.SHA256,
        *,
        cancel: CancelToken,
        emit: Emit = ignore,
    ) -> Digest:
        """Return a file's digest: as :meth:`hashed`, without the stamp."""
        return self.hashed(str(path), kind, cancel=cancel, emit=emit).digest

    def remember(self, path: Path, digest: Digest, size: int) -> None:
        """Take over a digest that was computed while the file was written (a verified download).

        Nothing is remembered if the file is not there or has another size.
        """
        try:
            stamp = stamp_of(str(path))
        except StorageError:
            return
        if stamp.size == size:
            self.store(str(path), HashedFile(digest, stamp))

    def relinked(self, path: str, before: Stamp) -> None:
        """Keep what is known of a file to which *we* just made or removed a hard link.

        That changes ctime and nothing else; the caller took ``before`` right before the act.
        """
        try:
            now = stamp_of(path)
            if now == before or not now.same_content(before):
                return
            for kind in DigestKind:
                known = self.known({path: before}, kind).get(path)
                if known is not None:
                    self.store(path, HashedFile(known, now))
        except (StorageError, DatabaseError) as error:
            self._emit(Notice(Level.WARNING, f"{path} will be hashed again: {error.message}"))

    def store(self, path: str, hashed: HashedFile) -> None:
        """Write down a computed hash. A memory that can not be written costs time, not the run."""
        column = _COLUMNS[hashed.digest.kind]
        state, device, name = _state(hashed.stamp), str(hashed.stamp.device), os.fsencode(path)
        try:
            with self._database.writing() as connection:
                connection.execute("DELETE FROM hashes WHERE path = ? AND state != ?", (name, state))
                connection.execute(
                    f"INSERT INTO hashes (state, device, path, {column}, hashed_at) VALUES (?, ?, ?, ?, ?) "
                    f"ON CONFLICT (state, device) DO UPDATE SET {column} = excluded.{column}, "
                    "path = excluded.path, hashed_at = excluded.hashed_at",
                    (state, device, name, hashed.digest.hex, int(time.time())),
                )
        except DatabaseError as error:
            self._emit(Notice(Level.WARNING, f"a hash is not remembered: {error.message}"))

    def count(self) -> int:
        """Return how many files are remembered."""
        row = self._database.connection().execute("SELECT count(*) FROM hashes").fetchone()
        return int(row[0])

    def forget(self, paths: Iterable[str]) -> None:
        """Forget the hashes of files: they are read again when they are next asked about.

        Args:
            paths: Absolute paths; those that are not there are passed over.

        Raises:
            DatabaseError: The database can not be written.
        """
        states = []
        for path in paths:
            with contextlib.suppress(StorageError):
                states.append((_state(stamp_of(path)),))
        with self._database.writing() as connection:
            connection.executemany("DELETE FROM hashes WHERE state = ?", states)

    def close(self) -> None:
        """Close the database; the object can not be used afterwards."""
        self._database.close()

    def _rows(self, states: Iterable[str], column: str) -> list[sqlite3.Row]:
        query = (
            f"SELECT state, device, path, {column} AS hex FROM hashes "
            f"WHERE state IN (SELECT value FROM json_each(?)) AND {column} IS NOT NULL"
        )
        try:
            rows = self._database.connection().execute(query, (json.dumps(list(states)),))
            return rows.fetchall()
        except sqlite3.Error as error:
            self._database.mark_if_damaged(error)
            raise DatabaseError(
                f"can not read the memory of hashes {self._database.path}: {error}",
                hint="remove the file; the hashes are then computed again",
            ) from error


def _state(stamp: Stamp) -> str:
    """Return all of a stamp but the device, as the table's key (inodes may exceed SQLite's integers)."""
    return f"{stamp.inode}:{stamp.size}:{stamp.mtime_ns}:{stamp.ctime_ns}"


__all__ = ["HashIndex", "HashedFile"]
