"""Asking a host again: how often, after how long, and when to stop.

Owns the waits of this room. Knows no HTTP: what an error means for the next attempt, the error itself says.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from wangp_downloader.cancel import CancelToken
from wangp_downloader.errors import DownloaderError, RateLimitedError
from wangp_downloader.remote.foreign import UnreachableError
from wangp_downloader.remote.options import RemoteOptions
from wangp_downloader.remote.pool import Breaker

_MOST_GROWN = 8.0
"""Waits grow up to so many times the first one."""
_MOST_UNREACHABLE = 2
"""Nobody there, twice: a third attempt would only make the person wait."""

T = TypeVar("T")


@dataclass(slots=True)
class _Attempts:
    """What has become of one question so far."""

    began: float
    failed: int = 0
    unreachable: int = 0


class Retrying:
    """Asks one host, and asks again where that may help; safe to use from several threads.

    A question has a budget of its own, and so has the host: once it has been in trouble for that long, without
    one answer in between, every question gets a single attempt.

    Args:
        options: Attempts, pauses, budget.
        breaker: Told of each answer and failure; when it has tripped, nothing is asked again.
        cancel: Ends a wait within a fraction of a second.
    """

    def __init__(self, options: RemoteOptions, breaker: Breaker, cancel: CancelToken) -> None:
        self._options = options
        self._breaker = breaker
        self._cancel = cancel

    def ask(self, attempt: Callable[[], T]) -> T:
        """Return what ``attempt`` returns, at last; blocks for the attempts and the waits between them.

        Args:
            attempt: Asks once; raises a ``DownloaderError`` that says whether it is ``retryable``.

        Raises:
            DownloaderError: That of the last attempt.
            CancelledError: The user asked to stop.
        """
        attempts = _Attempts(time.monotonic())
        while True:
            self._cancel.raise_if_cancelled()
            try:
                value = attempt()
            except DownloaderError as error:
                wait_s = self._wait_after(error, attempts)
                self._breaker.failed(error, again=wait_s is not None)
                if wait_s is None:
                    raise
            else:
                self._breaker.succeeded()
                return value
            self._cancel.wait(wait_s)

    def _wait_after(self, error: DownloaderError, attempts: _Attempts) -> float | None:
        """Return the seconds until the next attempt, or None if there is to be none."""
        attempts.failed += 1
        attempts.unreachable += isinstance(error, UnreachableError)
        if not error.retryable or self._breaker.tripped is not None:
            return None
        if attempts.failed >= self._options.attempts or attempts.unreachable >= _MOST_UNREACHABLE:
            return None
        wait_s = self._pause(error, attempts.failed)
        spent_s = max(time.monotonic() - attempts.began, self._breaker.trouble_s)
        return wait_s if wait_s is not None and spent_s + wait_s <= self._options.retry_budget_s else None

    def _pause(self, error: DownloaderError, failed: int) -> float | None:
        asked_s, options = error.retry_after_s, self._options
        if asked_s is None:
            first_s = (
                options.rate_limit_pause_s if isinstance(error, RateLimitedError) else options.retry_pause_s
            )
            return first_s * min(2.0 ** (failed - 1), _MOST_GROWN) * random.uniform(0.7, 1.3)
        if asked_s > options.patience_s:
            return None
        return max(asked_s, options.retry_pause_s) * random.uniform(1.0, 1.1)
