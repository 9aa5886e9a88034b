"""What was asked for and is not done yet, so that a killed program can go on with it.

Owns the folder ``queue/`` of the state folder: one JSON file a run, removed when the run has done all
(``docs/disk-formats-queue.md``). Two programs may run at once; the file of a run that still lives is left alone.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import tempfile
from collections.abc import Collection, Iterable
from pathlib import Path

from wangp_downloader.reading import read_small

_VERSION = 1
_MAX_BYTES = 64 * 1024**2


class QueueMemory:
    """The targets of one run that are still to be done.

    Args:
        folder: Where the files of all runs are; made when needed.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / f"{os.getpid()}-{secrets.token_hex(4)}.json"

    def remember(self, targets: Collection[str]) -> None:
        """Write down what is still to be done; nothing left removes the file. A full disk costs the memory only."""
        with contextlib.suppress(OSError):
            if not targets:
                self._path.unlink(missing_ok=True)
                return
            self._folder.mkdir(parents=True, exist_ok=True)
            document = {"version": _VERSION, "pid": os.getpid(), "targets": sorted(targets)}
            handle, temporary = tempfile.mkstemp(dir=self._folder, suffix=".new")
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(document, file)
            Path(temporary).replace(self._path)


def left_undone(folder: Path) -> dict[Path, frozenset[str]]:
    """Return what runs that no longer live left undone: file → targets."""
    found = {}
    for path in sorted(folder.glob("*.json")) if folder.is_dir() else ():
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
            document = json.loads(read_small(path, _MAX_BYTES))
            if document["version"] == _VERSION and not _lives(int(document["pid"])):
                found[path] = frozenset(str(target) for target in document["targets"])
    return found


def forget(files: Iterable[Path]) -> None:
    """Remove the files of runs whose work another run has taken over."""
    for path in files:
        with contextlib.suppress(OSError):
            path.unlink()


def _lives(pid: int) -> bool:
    if pid == os.getpid():
        return False  # an earlier run of this very process, or a number that came round again
    if os.name == "nt":
        return False  # signals mean something else there; parts are locked anyway
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
