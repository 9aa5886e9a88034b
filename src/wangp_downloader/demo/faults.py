"""What can go wrong on the way, as data: a table of faults that the loopback Hub applies to requests.

Owns which request meets which fault. What a fault then does to the answer is ``hub_server``'s business.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class FaultKind(StrEnum):
    """What goes wrong."""

    ANSWER = "answer"
    """Another answer is given: ``status``, ``headers``, ``body``."""
    RESET = "reset"
    """The connection is reset (RST) after ``after_bytes`` of the body."""
    STALL = "stall"
    """Nothing more comes after ``after_bytes`` of the body, for ``seconds`` or until the client goes."""
    TRUNCATE = "truncate"
    """The connection ends in order after ``after_bytes`` of the body, fewer than were announced."""
    WRONG_LENGTH = "wrong_length"
    """``Content-Length`` is off by ``shift``; the body is complete (or padded)."""
    IGNORE_RANGE = "ignore_range"
    """The whole file comes with 200, though a range was asked for."""
    WRONG_CONTENT_RANGE = "wrong_content_range"
    """206 whose ``Content-Range`` is off by ``shift``; the body starts where the header says."""
    EXPIRE_SIGNATURE = "expire_signature"
    """The signed URL asked for is refused (403, XML) from now on; one resolved afterwards works."""
    SLOW = "slow"
    """The body comes at ``bytes_per_s``."""
    DELAY = "delay"
    """The answer begins ``seconds`` late."""
    HANG_UP = "hang_up"
    """The connection is closed before any header."""


@dataclass(frozen=True, slots=True)
class Match:
    """Which requests a fault is for.

    Attributes:
        path: Part of the decoded path; ``""`` is any.
        method: ``GET``, ``HEAD``, ``POST`` or None for any.
        listener: ``hub``, ``cdn`` or None for both.
        skip: So many matching requests pass unharmed first.
        times: How many requests are hit after that; None for all.
    """

    path: str = ""
    method: str | None = None
    listener: str | None = None
    skip: int = 0
    times: int | None = 1


@dataclass(slots=True, eq=False)
class Fault:
    """One fault; make it by the functions below (``reset(after_bytes=1000, match=Match(listener="cdn"))``).

    Attributes:
        kind: What goes wrong.
        match: Which requests it is for.
        seen: Matching requests so far.
        hits: Requests that were hit so far.
    """

    kind: FaultKind
    match: Match = field(default_factory=Match)
    status: int = 500
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    after_bytes: int = 0
    seconds: float | None = None
    shift: int = 0
    bytes_per_s: float | None = None
    seen: int = 0
    hits: int = 0

    def meets(self, listener: str, method: str, path: str) -> bool:
        """Count the request if it matches, and return whether it is hit."""
        match = self.match
        if (
            match.path not in path
            or match.method not in (None, method)
            or match.listener not in (None, listener)
        ):
            return False
        self.seen += 1
        if self.seen <= match.skip or (match.times is not None and self.hits >= match.times):
            return False
        self.hits += 1
        return True


class FaultTable:
    """The faults of one Hub; may be changed while it runs, from any thread."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._lock = threading.Lock()

    def add(self, *faults: Fault) -> None:
        """Put faults at the end of the table; all that meet a request are applied."""
        with self._lock:
            self._faults.extend(faults)

    def clear(self) -> None:
        """Let everything go well from now on."""
        with self._lock:
            self._faults.clear()

    def take(self, listener: str, method: str, path: str) -> list[Fault]:
        """Return the faults that hit this request, counting it."""
        with self._lock:
            return [fault for fault in self._faults if fault.meets(listener, method, path)]


_ANY = Match()


def answer(
    status: int, headers: Mapping[str, str] | None = None, body: bytes = b"", match: Match = _ANY
) -> Fault:
    """Answer with another status (``answer(503, {"Retry-After": "1"})``)."""
    return Fault(FaultKind.ANSWER, match, status=status, headers=headers or {}, body=body)


def rate_limited(
    wait_s: int, match: Match = _ANY, *, retry_after: bool = False, bucket: str = "api"
) -> Fault:
    """Answer 429 as the Hub does: ``RateLimit: "api";r=0;t=<wait_s>``, with ``Retry-After`` if asked for."""
    headers = {
        "RateLimit": f'"{bucket}";r=0;t={wait_s}',
        "RateLimit-Policy": f'"fixed window";"{bucket}";q=500;w=300',
    }
    if retry_after:
        headers["Retry-After"] = str(wait_s)
    return answer(429, headers, b'{"error":"Too Many Requests"}', match)


def redirect(location: str, match: Match = _ANY, status: int = 302) -> Fault:
    """Redirect to ``location`` (``file:///etc/passwd``); ``""`` is a loop: the request's own target."""
    return Fault(FaultKind.ANSWER, match, status=status, headers={"Location": location})


def reset(after_bytes: int = 0, match: Match = _ANY) -> Fault:
    """Reset the connection after so many bytes of the body."""
    return Fault(FaultKind.RESET, match, after_bytes=after_bytes)


def stall(after_bytes: int = 0, match: Match = _ANY, seconds: float | None = None) -> Fault:
    """Stop sending after so many bytes of the body, though the socket stays open."""
    return Fault(FaultKind.STALL, match, after_bytes=after_bytes, seconds=seconds)


def truncate(after_bytes: int = 0, match: Match = _ANY) -> Fault:
    """End the connection early but in order."""
    return Fault(FaultKind.TRUNCATE, match, after_bytes=after_bytes)


def wrong_length(shift: int, match: Match = _ANY) -> Fault:
    """Announce a length that is off by ``shift`` bytes."""
    return Fault(FaultKind.WRONG_LENGTH, match, shift=shift)


def ignore_range(match: Match = _ANY) -> Fault:
    """Answer a range request with 200 and the whole file."""
    return Fault(FaultKind.IGNORE_RANGE, match)


def wrong_content_range(shift: int, match: Match = _ANY) -> Fault:
    """Answer a range request with another range, ``shift`` bytes off."""
    return Fault(FaultKind.WRONG_CONTENT_RANGE, match, shift=shift)


def expire_signature(match: Match = _ANY) -> Fault:
    """Refuse a signed URL as expired."""
    return Fault(FaultKind.EXPIRE_SIGNATURE, match)


def slow(bytes_per_s: float, match: Match = _ANY) -> Fault:
    """Send the body slowly."""
    return Fault(FaultKind.SLOW, match, bytes_per_s=bytes_per_s)


def delay(seconds: float, match: Match = _ANY) -> Fault:
    """Begin the answer late."""
    return Fault(FaultKind.DELAY, match, seconds=seconds)


def hang_up(match: Match = _ANY) -> Fault:
    """Close the connection before any header."""
    return Fault(FaultKind.HANG_UP, match)
