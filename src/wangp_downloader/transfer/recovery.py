"""What one file has been through: failures, repairs, doubts, and how often each may happen. Pure, but for chance."""

from __future__ import annotations

from wangp_downloader.errors import DownloaderError
from wangp_downloader.transfer.backoff import Backoff
from wangp_downloader.transfer.request import TransferOptions
from wangp_downloader.transfer.source import again_hint

_MOST_REPAIRS = 3
_MOST_ODD = 3
_SLOW_WEIGHT = 3


class Recovery:
    """Decides whether something is tried again. Each ``may_…`` counts: asking is using.

    Args:
        options: How patient to be.
    """

    def __init__(self, options: TransferOptions) -> None:
        self._options = options
        self._backoff = Backoff(
            options.backoff_base_s, options.backoff_cap_s, options.max_attempts, options.give_up_after_s
        )
        self._repairs = 0
        self._furthest = 0
        self._refetched = self._doubted = False
        self._odd = 0

    @property
    def epoch(self) -> int:
        """Number of the present failure episode: what began before it is part of the same trouble."""
        return self._backoff.epoch

    @property
    def failures(self) -> int:
        """Failures since the file last made progress."""
        return self._backoff.failures

    def wait_after(self, error: DownloaderError, now: float, *, slow: bool) -> float | None:
        """Count a failure; return the seconds to wait before the next attempt, None to give up.

        Args:
            error: What went wrong; gets a hint if it is the last straw.
            now: Monotonic seconds.
            slow: True if it took long to show: that counts for more.
        """
        options, asked_s = self._options, error.retry_after_s
        wait_s = self._backoff.failed(
            now,
            weight=_SLOW_WEIGHT if slow else 1,
            spent_s=options.connect_timeout_s if slow else 0.0,
            asked_s=asked_s,
        )
        if self._backoff.exhausted(now) or (asked_s or 0) > options.max_wait_s:
            error.hint = error.hint or again_hint(asked_s)
            return None
        return wait_s

    def progressed(self, count: int, here: int) -> None:
        """Take note of ``count`` new bytes, ``here`` in all: the same ones once more, from zero, are no progress."""
        if here > self._furthest:
            self._backoff.progressed(min(count, here - self._furthest))
            self._furthest = here
            if not self._backoff.failures:
                self._odd = 0

    def may_ask_again(self) -> bool:
        """Return whether a refusal may be taken for a mistake: bytes have come before it, in this run."""
        self._odd += 1
        return self._furthest > 0 and self._odd <= _MOST_ODD

    def may_repair(self) -> bool:
        """Return whether bytes that changed may be fetched again, or all of a content that did."""
        self._repairs += 1
        return self._repairs <= _MOST_REPAIRS

    def may_refetch(self) -> bool:
        """Return whether a whole file of wrong bytes may be fetched once more."""
        refetched, self._refetched = self._refetched, True
        return not refetched

    def may_doubt(self) -> bool:
        """Return whether an answer may be taken for a mistake."""
        doubted, self._doubted = self._doubted, True
        return not doubted
