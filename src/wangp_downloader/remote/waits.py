"""How long an answer asks us to wait. Pure functions; nothing that a header says is trusted."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

_RATE_LIMIT = re.compile(r'"[^"]*"\s*;\s*r\s*=\s*0+\s*;\s*t\s*=\s*(?P<wait>\d{1,9})')


def wait_asked_for(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that a 429 or 503 asks us to wait, or None if it does not say.

    ``RateLimit: "api";r=0;t=55`` (IETF draft-ietf-httpapi-ratelimit-headers), where nothing is left of the limit,
    or ``Retry-After``, in seconds or as a date (RFC 9110 section 10.2.3); the longer one if both are there. A date
    counts from the answer's own ``Date``, since clocks differ, and one in the past is 0.

    Args:
        headers: Names in lowercase.
    """
    waits = [_retry_after(headers.get("retry-after", "").strip(), headers.get("date", ""))]
    if match := _RATE_LIMIT.search(headers.get("ratelimit", "")):
        waits.append(float(match["wait"]))
    return max((wait_s for wait_s in waits if wait_s is not None), default=None)


def _retry_after(value: str, sent_at: str) -> float | None:
    if re.fullmatch(r"[0-9]{1,9}", value):
        return float(value)
    until = _date(value)
    if until is None:
        return None
    return max(0.0, (until - (_date(sent_at) or datetime.now(UTC))).total_seconds())


def _date(text: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return date if date.tzinfo is not None else date.replace(tzinfo=UTC)
