"""Reading the headers of HTTP answers that matter to a transfer. Pure functions, nothing is trusted."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_CONTENT_RANGE = re.compile(r"bytes\s+(?:(\d{1,19})-(\d{1,19})|\*)/(\d{1,19}|\*)\s*$", re.IGNORECASE)
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
