"""How many connections this machine can make use of: one is enough where it, and not the line, is the limit. Pure.

More connections than the thread that serves them can drain bring nothing, and bytes that come in file order
are hashed from memory instead of being read back.
"""

from __future__ import annotations

from dataclasses import dataclass, field

_NEAR_S = 0.01
_BUSY = 0.9
_IDLE = 0.6
_TICKS = 4


@dataclass(slots=True)
class Pace:
    """Follows how busy the loop is.

    Attributes:
        most: The user's budget.
        useful: How many connections can be made use of, 1 to ``most``.
        strained: True since the loop, and not the line, was the limit.
    """

    most: int
    useful: int = 0
    strained: bool = False
    _answered: bool = False
    _recent: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.useful = self.most

    def answered(self, after_s: float) -> None:
        """Note how long a server took to answer; if the first one did at once, more than one must prove useful."""
        if not self._answered:
            self._answered = True
            if after_s < _NEAR_S:
                self.useful = 1

    def tick(self, waited_s: float, elapsed_s: float) -> None:
        """Note how long the loop waited for the network.

        One idle moment says little: what came out of order meanwhile would have to be read back.

        Args:
            waited_s: Seconds of waiting since the last tick.
            elapsed_s: Seconds since the last tick.
        """
        self._recent.append(1.0 - waited_s / elapsed_s if elapsed_s > 0 else 0.0)
        recent = self._recent
        busy = len(recent) > 1 and min(recent[-2:]) > _BUSY
        self.strained = self.strained or busy
        if busy and self.useful > 1:
            self.useful //= 2
            recent.clear()
        elif len(recent) >= _TICKS and sum(recent) / len(recent) < _IDLE:
            self.useful, self.strained = min(self.most, 2 * self.useful), False
            recent.clear()
        else:
            del recent[: 1 - _TICKS]
