"""Reading another program's SQLite file without leaving a trace, also while that program runs.

Owns the choice of how it is opened. Measured with SQLite 3.40: opening a WAL database with ``mode=ro`` alone
creates ``-wal`` and ``-shm`` beside it, and leaves them there.
"""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from wangp_downloader.errors import DatabaseError

_TIMEOUT_S = 2.0
_ATTEMPTS = 2

T = TypeVar("T")


def read_database(path: Path, read: Callable[[sqlite3.Connection], T]) -> T:
    """Call ``read`` with a read-only connection and return what it returns.

    A database at rest (no ``-wal``) is opened ``immutable``, and read again if it changed meanwhile; one in
    use is opened ``mode=ro`` over its shared memory; where neither is possible a copy is read.

    Args:
        path: The SQLite file.
        read: Takes all it needs out of the connection; may be called more than once.

    Raises:
        DatabaseError: It is missing, locked, damaged or no SQLite file; the message names it and says which.
    """
    try:
        for _ in range(_ATTEMPTS):
            before = _state(path)
            with _opened(path) as connection:
                result = read(connection)
            if _state(path) == before:
                break
        return result
    except (OSError, sqlite3.Error, UnicodeError, OverflowError) as error:
        raise DatabaseError(f"can not read {path}: {error}") from error


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    wal, shared_memory = (path.with_name(path.name + suffix) for suffix in ("-wal", "-shm"))
    if not path.is_file():
        raise FileNotFoundError(2, "No such file", str(path))
    with contextlib.ExitStack() as stack:
        if not wal.exists():
            options = "mode=ro&immutable=1"
        elif shared_memory.exists():
            options = "mode=ro"
        else:  # its program died: SQLite would have to write a new -shm beside it
            path = _copied(path, wal, stack.enter_context(tempfile.TemporaryDirectory()))
            options = "mode=rw"
        uri = f"{path.absolute().as_uri()}?{options}"
        connection = sqlite3.connect(uri, uri=True, timeout=_TIMEOUT_S, isolation_level=None)
        stack.callback(connection.close)
        connection.row_factory = sqlite3.Row
        yield connection


def _copied(path: Path, wal: Path, folder: str) -> Path:
    copy = Path(folder) / "copy.db"
    shutil.copyfile(path, copy)
    shutil.copyfile(wal, copy.with_name("copy.db-wal"))
    return copy


def _state(path: Path) -> tuple[int, int, bool]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns, path.with_name(path.name + "-wal").exists()
