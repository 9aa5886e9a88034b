"""How many connections are wise: fewer when the other side shows distress, more when it recovers. Pure.

Multiplicative decrease and additive increase, as TCP does it (RFC 5681), on top of the user's budget.
"""

from __future__ import annotations

from dataclasses import dataclass

_CALM_S = 5.0
_ONE_EPISODE_S = 2.0
_PERIOD_S = 4.0
_FALL = 0.6
_LOW_PERIODS = 2


@dataclass(slots=True)
class Governor:
    """Decides on the number of connections.

    Attributes:
        most: The user's budget.
        allowed: How many may be open now, 1 to ``most``.
    """

    most: int
    allowed: int = 0
    _distress_at: float = -1e9
    _raised_at: float = 0.0
    _period_at: float = -1.0
    _bytes: int = 0
    _peak: float = 0.0
    _low: int = 0

    def __post_init__(self) -> None:
        self.allowed = self.most

    def distress(self, now: float) -> None:
        """Note a 429, a 503, a reset or a refused connection: half as many, once an episode."""
        if now - self._distress_at >= _ONE_EPISODE_S:
            self.allowed = max(1, self.allowed // 2)
        self._distress_at = now

    def tick(self, count: int, now: float, *, saturated: bool) -> None:
        """Note ``count`` bytes since the last tick.

        Args:
            count: Bytes that arrived.
            now: Monotonic seconds.
            saturated: True if all allowed connections were at work and nothing of ours held them back
                (no limit, no pause): only then goodput says something about the network.
        """
        if not saturated or self._period_at < 0:
            self._period_at, self._bytes, self._low = now, 0, 0
        self._bytes += count
        if now - self._period_at >= _PERIOD_S:
            self._judge_goodput(self._bytes / (now - self._period_at))
            self._period_at, self._bytes = now, 0
        calm = now - self._distress_at >= _CALM_S and now - self._raised_at >= _CALM_S
        if calm and self._low == 0 and self.allowed < self.most:
            self.allowed += 1
            self._raised_at = now

    def _judge_goodput(self, goodput: float) -> None:
        self._peak = max(goodput, self._peak * 0.9)
        self._low = self._low + 1 if goodput < _FALL * self._peak else 0
        if self._low >= _LOW_PERIODS:
            # The new level is the measure from here on: a line that has become slow is not distress for ever.
            self.allowed = max(1, self.allowed - max(1, self.allowed // 4))
            self._peak, self._low = goodput, 0
