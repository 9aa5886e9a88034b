"""How long an answer asks us to wait. Pure functions; nothing that a header says is trusted."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

_T = re.compile(r";\s*t\s*=\s*(\d{1,9})(?:\.\d+)?")
_R = re.compile(r";\s*r\s*=\s*(\d{1,9})")


def wait_asked(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Return the seconds that a 429 or 503 asks us to wait, or None if it does not say.

    ``RateLimit: "api";r=0;t=55`` (IETF draft-ietf-httpapi-ratelimit-headers, what the Hub sends) counts where
    nothing is left of a limit, and ``Retry-After`` in seconds or as a date (RFC 9110 section 10.2.3); the longest if
    there are several. A date counts from the answer's own ``Date``, since clocks differ, and one in the past is 0.

    Args:
        headers: Names in lowercase.
        now: For answers without a ``Date``; by default our own time.
    """
    sent_at = _date(headers.get("date", "")) or now or datetime.now(UTC)
    retry_after = _retry_after(headers.get("retry-after", "").strip(), sent_at)
    waits = [retry_after, *_rate_limits(headers.get("ratelimit", ""))]
    return max((wait_s for wait_s in waits if wait_s is not None), default=None)


def _rate_limits(value: str) -> Iterator[float]:
    for policy in value.split(","):
        window, left = _T.search(policy), _R.search(policy)
        # Where requests are left in this window, waiting for its end would be for nothing.
        if window is not None and (left is None or int(left[1]) == 0):
            yield float(window[1])


def _retry_after(value: str, sent_at: datetime) -> float | None:
    if re.fullmatch(r"[0-9]{1,9}", value):
        return float(value)
    until = _date(value)
    return None if until is None else max(0.0, (until - sent_at).total_seconds())


def _date(text: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return date if date.tzinfo is not None else date.replace(tzinfo=UTC)
