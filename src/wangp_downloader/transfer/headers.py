"""Reading the headers of HTTP answers that matter to a transfer. Pure functions, nothing is trusted."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

_CONTENT_RANGE = re.compile(r"bytes\s+(?:(\d{1,19})-(\d{1,19})|\*)/(\d{1,19}|\*)\s*$", re.IGNORECASE)
_RATE_LIMIT_T = re.compile(r";\s*t\s*=\s*(\d{1,9})(?:\.\d+)?")
_RATE_LIMIT_R = re.compile(r";\s*r\s*=\s*(\d{1,9})")
_DATED = "last-modified: "
_STATUS_LINE = re.compile(rb"HTTP/\d+(?:\.\d+)?\s+(\d{3})")


@dataclass(frozen=True, slots=True)
class ContentRange:
    """What ``Content-Range`` says (RFC 9110, section 14.4).

    Attributes:
        start: First byte of the body in the whole, None for ``bytes */total``.
        end: Byte after the last, None for ``bytes */total``.
        total: Bytes of the whole, None for ``*``.
    """

    start: int | None
    end: int | None
    total: int | None


def parse_content_range(value: str | None) -> ContentRange | None:
    """Return what the header says, or None if it is absent or makes no sense."""
    match = _CONTENT_RANGE.match(value.strip()) if value else None
    if match is None:
        return None
    total = None if match[3] == "*" else int(match[3])
    if match[1] is None:
        return ContentRange(None, None, total)
    start, last = int(match[1]), int(match[2])
    if last < start or (total is not None and last >= total):
        return None
    return ContentRange(start, last + 1, total)


def parse_length(value: str | None) -> int | None:
    """Return ``Content-Length`` in bytes, or None if it is absent or no number."""
    text = (value or "").strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None


def validator(headers: Mapping[str, str]) -> str | None:
    """Return what changes when the content does: the ``ETag``, else the ``Last-Modified`` date, marked as such.

    RFC 9110, section 8.8.
    """
    if headers.get("etag"):
        return headers["etag"]
    date = headers.get("last-modified")
    return f"{_DATED}{date}" if date else None


def differs(known: str | None, headers: Mapping[str, str]) -> bool:
    """Return whether an answer's validator, of the kind that is known, is another one."""
    if known is None:
        return False
    if known.startswith(_DATED):
        date = headers.get("last-modified")
        return date is not None and f"{_DATED}{date}" != known
    etag = headers.get("etag")
    return etag is not None and etag != known


def lacks(known: str | None, headers: Mapping[str, str]) -> bool:
    """Return whether an answer has no validator of the kind that is known: it can not be put to what is here."""
    if known is None:
        return False
    return headers.get("last-modified" if known.startswith(_DATED) else "etag") is None


def parse_status_line(line: bytes) -> int | None:
    """Return the status of a line like ``HTTP/1.1 206 Partial Content``, or None if it is no status line."""
    match = _STATUS_LINE.match(line)
    return int(match[1]) if match else None


def wait_asked(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Return how many seconds the server asks us to wait, or None.

    ``Retry-After`` is seconds or a date (RFC 9110, section 10.2.3), counted from the answer's own ``Date`` since
    clocks differ; ``RateLimit: "name";r=0;t=87`` names the seconds until the window ends
    (draft-ietf-httpapi-ratelimit-headers) and is what the Hub sends.
    """
    sent_at = _date(headers.get("date")) or now or datetime.now(UTC)
    answers = [_retry_after(headers.get("retry-after"), sent_at), _rate_limit(headers.get("ratelimit"))]
    return max((answer for answer in answers if answer is not None), default=None)


def _retry_after(value: str | None, now: datetime) -> float | None:
    if not value:
        return None
    seconds = parse_length(value)
    if seconds is not None:
        return float(seconds)
    when = _date(value)
    return None if when is None else max(0.0, (when - now).total_seconds())


def _date(value: str | None) -> datetime | None:
    try:
        when = parsedate_to_datetime(value or "")
    except (ValueError, OverflowError):
        return None
    return when if when.tzinfo is not None else when.replace(tzinfo=UTC)


def _rate_limit(value: str | None) -> float | None:
    wait, left = _RATE_LIMIT_T.search(value or ""), _RATE_LIMIT_R.search(value or "")
    if wait is None or (left is not None and int(left[1]) > 0):
        return None  # requests are left in this window: waiting for its end would be for nothing
    return float(wait[1])
