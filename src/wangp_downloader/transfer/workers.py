"""Threads for what would make the loop wait, and the way back into the loop's thread."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from wangp_downloader.errors import DownloaderError, StorageError, TransferError

_THREADS = 6
_log = logging.getLogger(__name__)
T = TypeVar("T")

Failed = Callable[[DownloaderError], None]


class Workers:
    """Runs jobs in threads and hands their results back to one thread, in the order in which they end."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="transfer")
        self._inbox: deque[Callable[[], None]] = deque()
        self._arrived = threading.Event()
        self.pending = 0

    def submit(self, job: Callable[[], T], then: Callable[[T], None], failed: Failed) -> None:
        """Run ``job`` in a thread; then call ``then`` or ``failed`` in the thread that calls ``deliver``."""
        self.pending += 1
        future = self._pool.submit(job)
        future.add_done_callback(lambda done: self.post(lambda: self._settle(done, then, failed)))

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
        self._pool.shutdown(wait=False)

    def _settle(self, done: Future[T], then: Callable[[T], None], failed: Failed) -> None:
        self.pending -= 1
        error = done.exception()
        if error is None:
            then(done.result())
        elif isinstance(error, DownloaderError):
            failed(error)
        elif isinstance(error, OSError):
            failed(StorageError(f"the disk refused: {error}"))
        else:
            _log.error("a transfer job broke", exc_info=error)
            failed(TransferError(f"internal error: {error!r}"))
