"""How many connections this machine can make use of: one is enough where it, and not the line, is the limit. Pure.

More connections than the thread that serves them can drain bring nothing, and bytes that come in file order
are hashed from memory instead of being read back.
"""

from __future__ import annotations

from dataclasses import dataclass

_NEAR_S = 0.01
_BUSY = 0.9
_IDLE = 0.75
_VERY_IDLE = 0.4
_PATIENCE_S = 0.5


@dataclass(slots=True)
class Pace:
    """Follows how busy the loop is.

    Attributes:
        most: The user's budget.
        useful: How many connections can be made use of, 1 to ``most``.
    """

    most: int
    useful: int = 0
    _answered: bool = False
    _was_busy: bool = False
    _lowered_at: float = -1e9

    def __post_init__(self) -> None:
        self.useful = self.most

    def answered(self, after_s: float) -> None:
        """Note how long a server took to answer; if the first one did at once, more than one must prove useful."""
        if not self._answered:
            self._answered = True
            if after_s < _NEAR_S:
                self.useful = 1

    def tick(self, waited_s: float, elapsed_s: float, now: float) -> None:
        """Note how long the loop waited for the network.

        Args:
            waited_s: Seconds of waiting since the last tick.
            elapsed_s: Seconds since the last tick.
            now: Monotonic seconds.
        """
        busy = 1.0 - waited_s / elapsed_s if elapsed_s > 0 else 0.0
        if busy > _BUSY and self._was_busy and self.useful > 1:
            self.useful //= 2
            self._lowered_at = now
        elif busy < _VERY_IDLE or (busy < _IDLE and now - self._lowered_at > _PATIENCE_S):
            self.useful = min(self.most, 2 * self.useful)
        self._was_busy = busy > _BUSY
