"""The bandwidth limit: one token bucket over everything that runs. Pure arithmetic on a clock.

A chunk is taken whole while the bucket is not empty, so the level may go below zero by one chunk and the
next waits longer: the mean is exact. The bucket holds little, so that no window of time sees a burst.
"""

from __future__ import annotations

import time
from collections.abc import Callable

_BURST_S = 0.08
"""The bucket's depth: 80 ms of the rate are 1.6 % of a window of five seconds."""
_SMALLEST_BURST = 4 * 1024


class TokenBucket:
    """Counts bytes against a rate; used by the thread of the loop.

    Args:
        bytes_per_s: The rate, or None for no limit.
        clock: Monotonic seconds.

    Attributes:
        rate: Bytes a second, or None for no limit; changed by ``set_rate`` only.
    """

    def __init__(self, bytes_per_s: float | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.rate = bytes_per_s
        self._tokens = 0.0
        self._at = clock()

    def set_rate(self, bytes_per_s: float | None) -> None:
        """Change the rate from now on; an old debt is kept, but never more than 100 ms of the new rate."""
        if bytes_per_s == self.rate:
            return
        self._refill()
        self.rate = bytes_per_s
        if bytes_per_s is not None:
            self._tokens = max(self._tokens, -0.1 * bytes_per_s)
            self._tokens = min(self._tokens, _BURST_S * bytes_per_s)

    def take(self, count: int) -> bool:
        """Take ``count`` bytes if the bucket is not empty; return whether they may be used now."""
        if self.rate is None:
            return True
        if self._tokens <= 0.0:
            self._refill()
            if self._tokens <= 0.0:
                return False
        self._tokens -= count
        return True

    def open(self) -> bool:
        """Return whether a chunk could be taken now."""
        if self.rate is None:
            return True
        self._refill()
        return self._tokens > 0.0

    def wait_s(self) -> float:
        """Return the seconds until a chunk can be taken."""
        if self.rate is None:
            return 0.0
        self._refill()
        return max(0.0, -self._tokens / self.rate)

    def _refill(self) -> None:
        now = self._clock()
        elapsed, self._at = now - self._at, now
        if self.rate is not None:
            depth = max(_SMALLEST_BURST, _BURST_S * self.rate)
            self._tokens = min(depth, self._tokens + elapsed * self.rate)
