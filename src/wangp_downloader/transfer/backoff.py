"""When to try again: exponential waits with full jitter, and when to give up. Pure, but for chance.

Full jitter: a uniform wait between zero and a bound that doubles (AWS Architecture Blog, "Exponential
Backoff And Jitter"), so that many clients do not come back together.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

_PROGRESS_BYTES = 64 * 1024


@dataclass(slots=True)
class Backoff:
    """The failures of one file since it last made progress.

    Attributes:
        base_s: Bound of the first wait.
        cap_s: Bound of any wait.
        most: Failures after which to give up; a stall, which costs long itself, counts three.
        least_s: Time since the first of them before which not to give up.
        failures: So far.
        epoch: Goes up with each failure that counted: what began before it is part of the same trouble.
    """

    base_s: float
    cap_s: float
    most: int
    least_s: float = 0.0
    failures: int = 0
    epoch: int = 0
    _began: float = 0.0
    _fresh: int = 0
    _random: random.Random = field(default_factory=random.Random)

    def exhausted(self, now: float) -> bool:
        """Return whether it is time to give up."""
        return self.failures >= self.most and now - self._began >= self.least_s

    def failed(
        self, now: float, *, weight: int = 1, spent_s: float = 0.0, asked_s: float | None = None
    ) -> float:
        """Count a failure; return how many seconds to wait.

        Args:
            now: Monotonic seconds.
            weight: How many failures it counts for.
            spent_s: Time that passed until it showed.
            asked_s: The wait that the server asked for: it is never shorter, and up to a second longer.
        """
        if not self.failures:
            self._began = now - spent_s
        bound = min(self.cap_s, self.base_s * 2.0 ** min(self.failures, 30))
        # The last attempt comes when it is time to give up, not long after it.
        left_s = self._began + self.least_s - now
        self.failures += weight
        self.epoch += 1
        self._fresh = 0
        own = self._random.uniform(0.0, bound)
        if left_s > 0 and self.failures >= self.most - 1:
            own = min(own, left_s)
        if asked_s is None:
            return own
        return max(own, asked_s + self._random.uniform(0.0, min(1.0, 0.1 * asked_s + 0.05)))

    def progressed(self, count: int) -> None:
        """Note new bytes; enough of them since the last failure, and the count starts again."""
        if self.failures:
            self._fresh += count
            if self._fresh >= _PROGRESS_BYTES:
                self.failures = 0
