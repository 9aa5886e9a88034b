"""Several questions at once, in daemon threads that nobody has to wait for.

Owns threads and the decision to give up on a host that is plainly away. Knows no HTTP.
"""

from __future__ import annotations

import contextvars
import logging
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Generic, TypeVar

from wangp_downloader.cancel import CancelToken
from wangp_downloader.errors import DownloaderError, OfflineError, RateLimitedError, RemoteError
from wangp_downloader.remote.foreign import UnreachableError

_log = logging.getLogger(__name__)
_POLL_S = 0.05

T = TypeVar("T")


class Answered(Generic[T]):
    """The end of one job: its number in the sequence, and its value or its error."""

    __slots__ = ("error", "number", "value")

    def __init__(self, number: int, value: T | None, error: DownloaderError | None) -> None:
        self.number = number
        self.value = value
        self.error = error


def run_all(jobs: Sequence[Callable[[], T]], workers: int, cancel: CancelToken) -> Iterator[Answered[T]]:
    """Run jobs in up to ``workers`` threads; yield their ends as they come.

    The threads are daemons and are left behind if the caller stops or cancels: a request that hangs then
    ends by its own timeout, without anyone waiting for it.

    Args:
        jobs: Each returns a value or raises.
        workers: Threads.
        cancel: Looked at every 50 ms.

    Yields:
        One :class:`Answered` a job, in order of completion.

    Raises:
        CancelledError: ``cancel`` was called.
    """
    waiting: queue.SimpleQueue[tuple[int, Callable[[], T]]] = queue.SimpleQueue()
    ended: queue.SimpleQueue[Answered[T]] = queue.SimpleQueue()
    stop = threading.Event()
    for entry in enumerate(jobs):
        waiting.put(entry)
    for index in range(min(workers, len(jobs))):
        threading.Thread(
            target=_work, args=(waiting, ended, stop), name=f"remote-{index}", daemon=True
        ).start()
    try:
        left = len(jobs)
        while left:
            cancel.raise_if_cancelled()
            try:
                answered = ended.get(timeout=_POLL_S)
            except queue.Empty:
                continue
            left -= 1
            yield answered
        cancel.raise_if_cancelled()
    finally:
        stop.set()


def _work(
    waiting: queue.SimpleQueue[tuple[int, Callable[[], T]]],
    ended: queue.SimpleQueue[Answered[T]],
    stop: threading.Event,
) -> None:
    while not stop.is_set():
        try:
            number, job = waiting.get_nowait()
        except queue.Empty:
            return
        ended.put(_run(number, job))


def _run(number: int, job: Callable[[], T]) -> Answered[T]:
    try:
        return Answered(number, job(), None)
    except DownloaderError as error:
        return Answered(number, None, error)
    except Exception as error:  # noqa: BLE001 - a worker's edge: a bug costs this answer, not the program
        _log.exception("a question to a remote host failed")
        return Answered(number, None, RemoteError(f"internal error: {error!r}"))


def within(seconds: float, work: Callable[[], T]) -> T:
    """Return what ``work`` returns, from a daemon thread with the caller's context variables.

    Raises:
        TimeoutError: It took longer; it is left behind.
        BaseException: What ``work`` raises.
    """
    future: Future[T] = Future()
    context = contextvars.copy_context()
    threading.Thread(
        target=_run_into, args=(future, partial(context.run, work)), name="remote-request", daemon=True
    ).start()
    try:
        return future.result(timeout=seconds)
    finally:
        del future  # an error's traceback leads here: what it holds is freed at once


def _run_into(future: Future[T], work: Callable[[], T]) -> None:
    try:
        future.set_result(work())
    except BaseException as error:  # noqa: BLE001 - raised in the caller's thread
        future.set_exception(error)
    finally:
        del future


class Breaker:
    """Says when further questions are pointless: many failures in a row, and not one success between.

    A host that can not be reached counts more than one that answers with a limit, and that more than one
    slow answer; the threshold is three, five and nine of a kind in a row. What will be tried again counts only
    when it is given up, but for a host that can not be reached.
    """

    _LIMIT = 9

    def __init__(self) -> None:
        self._points = 0
        self._withheld = 0
        self._in_trouble_since: float | None = None
        self._last: DownloaderError | None = None
        self._lock = threading.Lock()

    def succeeded(self) -> None:
        """Count an answer, whatever it says: the host is there."""
        with self._lock:
            self._points = self._withheld = 0
            self._in_trouble_since = None

    def failed(self, error: DownloaderError, *, again: bool = False) -> None:
        """Count a failure.

        Args:
            error: What was raised.
            again: True if the same will be tried again.
        """
        if not error.retryable:
            self.succeeded()
            return
        weight = _weight(error)
        with self._lock:
            self._last = error
            if self._in_trouble_since is None:
                self._in_trouble_since = time.monotonic()
            if weight == 0:
                self._points = self._withheld = 0
            elif again and not isinstance(error, UnreachableError):
                self._withheld += weight
            else:
                self._points += self._withheld + weight
                self._withheld = 0

    @property
    def trouble_s(self) -> float:
        """For how many seconds there have been failures and not one answer."""
        with self._lock:
            since = self._in_trouble_since
        return 0.0 if since is None else time.monotonic() - since

    @property
    def tripped(self) -> DownloaderError | None:
        """The last error, if asking on is pointless."""
        with self._lock:
            return self._last if self._points >= self._LIMIT else None


def _weight(error: DownloaderError) -> int:
    if isinstance(error, UnreachableError):
        return 3
    if isinstance(error, RateLimitedError):
        return 2
    return 1 if isinstance(error, OfflineError) else 0
