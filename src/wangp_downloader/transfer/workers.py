"""Threads for what would make the loop wait, and the way back into the loop's thread.

Daemon threads, which the standard library's executors do not have: a disk that hangs must not keep the process.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from typing import TypeVar

from wangp_downloader.errors import DownloaderError, StorageError, TransferError

_THREADS = 32
_log = logging.getLogger(__name__)
T = TypeVar("T")

Failed = Callable[[DownloaderError], None]


class Workers:
    """Runs jobs in threads and hands their results back to one thread, in the order in which they end."""

    def __init__(self) -> None:
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._threads = 0
        self._inbox: deque[Callable[[], None]] = deque()
        self._arrived = threading.Event()
        self.pending = 0

    def submit(self, job: Callable[[], T], then: Callable[[T], None], failed: Failed) -> None:
        """Run ``job`` in a thread; then call ``then`` or ``failed`` in the thread that calls ``deliver``."""
        self.pending += 1
        if self._threads < min(_THREADS, self.pending):
            self._threads += 1
            threading.Thread(target=self._work, name="transfer", daemon=True).start()

        def work() -> None:
            try:
                result = job()
            except BaseException as error:  # noqa: BLE001 - handed to the loop's thread
                problem = error
                self.post(lambda: self._broke(problem, failed))
            else:
                self.post(lambda: self._ended(result, then))

        self._jobs.put(work)

    def post(self, call: Callable[[], None]) -> None:
        """Have ``call`` run by ``deliver``; from any thread."""
        self._inbox.append(call)
        self._arrived.set()

    def deliver(self) -> None:
        """Run what has been posted, in the caller's thread."""
        self._arrived.clear()
        while self._inbox:
            self._inbox.popleft()()

    def wait(self, timeout_s: float) -> None:
        """Wait until something is posted, or for ``timeout_s``."""
        self._arrived.wait(timeout_s)

    def close(self) -> None:
        """Take no more jobs; those that run end by themselves."""
        for _ in range(self._threads):
            self._jobs.put(None)

    def _work(self) -> None:
        while (work := self._jobs.get()) is not None:
            work()

    def _ended(self, result: T, then: Callable[[T], None]) -> None:
        self.pending -= 1
        then(result)

    def _broke(self, error: BaseException, failed: Failed) -> None:
        self.pending -= 1
        if isinstance(error, DownloaderError):
            failed(error)
        elif isinstance(error, OSError):
            failed(StorageError(f"the disk refused: {error}"))
        else:
            _log.error("a transfer job broke", exc_info=error)
            failed(TransferError(f"internal error: {error!r}"))
