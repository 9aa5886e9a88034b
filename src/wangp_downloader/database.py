"""How this program opens its own SQLite files: WAL, a schema version, rebuilt if broken.

Owns connections, not tables: each user brings its schema. Other programs' databases are not opened here.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from wangp_downloader.errors import DatabaseError
from wangp_downloader.events import Emit, Level, Notice, ignore

if TYPE_CHECKING:
    import tempfile

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

    @property
    def statements(self) -> frozenset[str]:
        """The script's statements, as SQLite keeps them but for white space."""
        return frozenset(_on_one_line(statement) for statement in self.script.split(";"))


class Database:
    """One of our own SQLite files; safe to use from several threads and several processes.

    Each thread gets its own connection. What is in such a file can always be found out again, so a file
    that is corrupt, of another version or with other tables is set aside (``NAME.broken-<time>``) with a notice,
    and made anew. Where the damage shows only while it is used, the next program to open it does so. Of a file
    that can be read but not written a copy is used, which is forgotten at the end.

    Args:
        path: The file; its folder is made if needed.
        schema: Tables and version.
        emit: Told when the file had to be made anew, or can only be read.

    Attributes:
        path: The file.
        read_only: True if the file can not be written: what is written goes to the copy alone.

    Raises:
        DatabaseError: The file can not be opened or made, with the path and the reason.
    """

    def __init__(self, path: Path, schema: Schema, emit: Emit = ignore) -> None:
        self.path = path
        self.read_only = False
        self._file = path
        self._copy: tempfile.TemporaryDirectory[str] | None = None
        self._schema = schema
        self._emit = emit
        self._local = threading.local()
        self._all: list[sqlite3.Connection] = []
        self._lock = threading.Lock()
        try:
            self.read_only = path.exists() and not _writable(path)
            if self.read_only:
                self._use_a_copy()
            path.parent.mkdir(parents=True, exist_ok=True)
            self._prepare()
        except (OSError, sqlite3.Error) as error:
            self.close()
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
        if self._copy is not None:
            self._copy.cleanup()

    def _use_a_copy(self) -> None:
        import shutil  # noqa: PLC0415 - start-up
        import tempfile  # noqa: PLC0415 - start-up

        self._copy = tempfile.TemporaryDirectory(prefix="wangp-", ignore_cleanup_errors=True)
        self._file = Path(self._copy.name) / self.path.name
        for suffix in ("", "-wal"):
            source = self.path.with_name(self.path.name + suffix)
            if not suffix or source.exists():
                shutil.copyfile(source, self._file.with_name(source.name))
        text = f"{self._schema.what} {self.path} can only be read; what is found out is forgotten at the end"
        self._emit(Notice(Level.WARNING, text))

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._file, timeout=_BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
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
            problem = self._problem()
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                raise  # locked, not to be opened, disk trouble: the file itself is not at fault
            problem = f"it is damaged ({error})"
        if problem:
            self._set_aside(problem)
        self._create()

    def _problem(self) -> str:
        """Return why the file can not be used, or nothing if it is in order or still empty."""
        connection = self.connection()
        connection.execute("BEGIN")  # one look at both: another process may be making the tables right now
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        rows = connection.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
        connection.execute("COMMIT")
        if version == 0 and not rows:
            return ""
        if version != self._schema.version:
            return f"it has version {version}, this program writes version {self._schema.version}"
        if not self._schema.statements <= {_on_one_line(row["sql"]) for row in rows}:
            return "its tables are not those of this program"
        # Looks at every page; ten thousand rows are a few milliseconds.
        found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        return "" if found == "ok" else f"it is damaged ({found.splitlines()[-1]})"

    def _create(self) -> None:
        connection = self.connection()
        if connection.execute("PRAGMA user_version").fetchone()[0] != 0:
            return
        # Two processes may start at once: the second waits for the first and finds the tables there.
        connection.execute("BEGIN IMMEDIATE")
        if connection.execute("PRAGMA user_version").fetchone()[0] == 0:
            for statement in self._schema.script.split(";"):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version={self._schema.version:d}")
        connection.execute("COMMIT")

    def _set_aside(self, why: str) -> None:
        if self.read_only:
            raise sqlite3.DatabaseError(why)
        self.close()
        self._local = threading.local()
        aside = self.path.with_name(f"{self.path.name}.broken-{time.time_ns()}")
        for suffix in ("-wal", "-shm"):
            self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)
        with contextlib.suppress(FileNotFoundError):
            self.path.rename(aside)
        text = f"{self._schema.what} {self.path} was made anew: {why}; the old file is {aside.name}"
        self._emit(Notice(Level.WARNING, text))


def _on_one_line(statement: str) -> str:
    return " ".join(statement.split())


def _writable(path: Path) -> bool:
    """Return whether SQLite can write the file: its folder must take the write-ahead log."""
    return os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)
