"""One limit for all running instances: each finds out how many there are and takes its share.

An instance that transfers holds a locked file in a folder of the state directory; who can lock another's
file knows that its owner is gone. The share is equal, also where one instance has little to do.
"""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

from wangp_downloader.transfer.lock import FileLock, is_held

_LOOK_EVERY_S = 0.5
_TRIES = 5


class SharedLimit:
    """This instance's place among those that share the limit.

    Args:
        state_dir: Folder common to all instances, or None to be alone.
    """

    def __init__(self, state_dir: Path | None) -> None:
        self._folder = None if state_dir is None else state_dir / "limit"
        self._lock: FileLock | None = None
        self._instances = 1
        self._looked_at = -1e9

    def join(self) -> None:
        """Take a place; without one (read-only folder) this instance counts itself only."""
        if self._folder is None:
            return
        with contextlib.suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True)
            # Another instance may look at the file before we hold it, and take it away: once more, then.
            for _ in range(_TRIES):
                lock = FileLock(self._folder / f"{os.getpid()}-{time.monotonic_ns()}.instance")
                if lock.acquire():
                    self._lock = lock
                    return

    def leave(self) -> None:
        """Give the place back."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def share(self, limit: float | None, now: float) -> float | None:
        """Return this instance's share of ``limit``; looks around at most twice a second."""
        if limit is None or self._lock is None:
            return limit
        if now - self._looked_at >= _LOOK_EVERY_S:
            self._looked_at = now
            self._instances = 1 + self._others()
        return limit / self._instances

    def _others(self) -> int:
        if self._folder is None or self._lock is None:
            return 0
        alive = 0
        with contextlib.suppress(OSError):
            for path in self._folder.glob("*.instance"):
                if path != self._lock.path and is_held(path):
                    alive += 1
        return alive
