"""A slow link inside the loopback Hub: latency, bytes a second on a connection and over all of them.

Owns the arithmetic of when a chunk may go; the caller sleeps.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

_CATCH_UP_S = 0.03
"""How far a pacer may lag behind and still make up for it: sleeps overshoot."""
_CHUNK_S = 0.01


@dataclass(frozen=True, slots=True)
class Shape:
    """What the link looks like.

    Attributes:
        latency_s: Waited before each answer.
        connection_bytes_per_s: Limit of each connection, or None.
        total_bytes_per_s: Limit of all connections together, or None.
    """

    latency_s: float = 0.0
    connection_bytes_per_s: float | None = None
    total_bytes_per_s: float | None = None


class Pacer:
    """Gives out the time at which the next chunk may be sent, so that a rate holds on average."""

    def __init__(self, bytes_per_s: float) -> None:
        self.bytes_per_s = bytes_per_s
        self._next = 0.0
        self._lock = threading.Lock()

    def reserve(self, size: int) -> float:
        """Book ``size`` bytes; return the seconds to wait before sending them."""
        now = time.monotonic()
        with self._lock:
            start = max(self._next, now - _CATCH_UP_S)
            self._next = start + size / self.bytes_per_s
        return max(0.0, start - now)

    def chunk_bytes(self) -> int:
        """Return a chunk size that is small against the rate, yet not wasteful."""
        return max(1024, int(self.bytes_per_s * _CHUNK_S))
