"""How fast it goes: a smoothed speed that admits a stall. Pure arithmetic."""

from __future__ import annotations

import math

_SMOOTHING_S = 2.5
_SILENCE_S = 5.0


class SpeedMeter:
    """An exponential mean of the speed over some seconds.

    Call ``update`` a few times a second, also when nothing arrives: then the speed falls, and is zero after five
    seconds. What comes after that, or after the machine slept, is measured afresh.
    """

    def __init__(self, now: float) -> None:
        self._at = self._moved_at = now
        self._speed = 0.0
        self._weight = 0.0

    @property
    def bytes_per_s(self) -> float:
        """The smoothed speed; already true after the first update, not a ramp from zero."""
        return self._speed / self._weight if self._weight > 0 else 0.0

    def update(self, count: int, now: float) -> None:
        """Note ``count`` bytes since the last call, at ``now`` (monotonic seconds)."""
        elapsed = now - self._at
        if elapsed <= 0:
            return
        self._at = now
        if count:
            self._moved_at = now
        if elapsed > _SILENCE_S or now - self._moved_at > _SILENCE_S:
            self._speed = self._weight = 0.0
            return
        keep = math.exp(-elapsed / _SMOOTHING_S)
        self._speed = self._speed * keep + (count / elapsed) * (1 - keep)
        self._weight = self._weight * keep + (1 - keep)

    def reset(self, now: float) -> None:
        """Measure afresh from now on."""
        self._at = self._moved_at = now
        self._speed = self._weight = 0.0
