"""How this program opens its own SQLite files: WAL, a schema version, rebuilt if broken.

Owns connections, not tables: each user brings its schema. Other programs' databases are not opened here.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from wangp_downloader.errors import DatabaseError
from wangp_downloader.events import Emit, Level, Notice, ignore

_BUSY_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Schema:
    """A database's tables and their version.

    Attributes:
        version: Stored in ``user_version``; another number means the file is made anew.
        script: ``CREATE`` statements for an empty file.
        what: What the file holds, for messages (``"the metadata cache"``).
    """

    version: int
    script: str
    what: str


class Database:
    """One of our own SQLite files; safe to use from several threads and several processes.

    Each thread gets its own connection. What is in such a file can always be found out again, so a file
    that is corrupt or of another version is set aside (``NAME.broken-<time>``) with a notice, and made anew.
    Where the damage shows only while it is used, the next program to open it does so.

    Args:
        path: The file; its folder is made if needed.
        schema: Tables and version.
        emit: Told when the file had to be made anew.

    Raises:
        DatabaseError: The file can not be opened or made, with the path and the reason.
    """

    def __init__(self, path: Path, schema: Schema, emit: Emit = ignore) -> None:
        self.path = path
        self._schema = schema
        self._emit = emit
        self._local = threading.local()
        self._all: list[sqlite3.Connection] = []
        self._lock = threading.Lock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._prepare()
        except (OSError, sqlite3.Error) as error:
            raise DatabaseError(f"can not open {schema.what} {path}: {error}") from error

    def connection(self) -> sqlite3.Connection:
        """Return this thread's connection (rows are ``sqlite3.Row``), opened at the first call."""
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._connect()
            self._local.connection = connection
        return connection

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Give a connection inside an immediate transaction: committed at the end, rolled back on error.

        Raises:
            DatabaseError: SQLite refused (disk full, locked for too long).
        """
        connection = self.connection()
        try:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.rollback()
                raise
            connection.commit()
        except sqlite3.Error as error:
            self.mark_if_damaged(error)
            raise DatabaseError(f"can not write {self._schema.what} {self.path}: {error}") from error

    def mark_if_damaged(self, error: sqlite3.Error) -> None:
        """Note for the next program that opens the file that a statement found it damaged, if that is why it failed."""
        primary = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the rest says where in the file
        if primary in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            with contextlib.suppress(OSError):
                self._damage_mark.touch()

    @property
    def _damage_mark(self) -> Path:
        return self.path.with_name(f"{self.path.name}.damaged")

    def close(self) -> None:
        """Close the connections of all threads; the object can not be used afterwards."""
        with self._lock:
            for connection in self._all:
                with contextlib.suppress(sqlite3.Error):
                    connection.close()
            self._all.clear()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self.path, timeout=_BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
        )
        connection.row_factory = sqlite3.Row
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=NORMAL")
        except sqlite3.Error:
            connection.close()
            raise
        with self._lock:
            self._all.append(connection)
        return connection

    def _prepare(self) -> None:
        if self._damage_mark.exists():
            self._set_aside("it is damaged")
            self._damage_mark.unlink(missing_ok=True)
        try:
            if self._is_current():
                return
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                raise  # locked, not to be opened, disk trouble: the file itself is not at fault
            self._set_aside(f"it is damaged ({error})")
            self._is_current()

    def _is_current(self) -> bool:
        connection = self.connection()
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version == self._schema.version:
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
            return True
        if version != 0:
            self._set_aside(f"it has version {version}, this program writes version {self._schema.version}")
            connection = self.connection()
        # Two processes may start at once: the second waits for the first and finds the tables there.
        connection.execute("BEGIN IMMEDIATE")
        if connection.execute("PRAGMA user_version").fetchone()[0] == 0:
            for statement in self._schema.script.split(";"):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version={self._schema.version:d}")
        connection.execute("COMMIT")
        return True

    def _set_aside(self, why: str) -> None:
        self.close()
        self._local = threading.local()
        aside = self.path.with_name(f"{self.path.name}.broken-{time.time_ns()}")
        for suffix in ("-wal", "-shm"):
            self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)
        with contextlib.suppress(FileNotFoundError):
            self.path.rename(aside)
        text = f"{self._schema.what} {self.path} was made anew: {why}; the old file is {aside.name}"
        self._emit(Notice(Level.WARNING, text))
