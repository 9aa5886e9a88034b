"""Sizes, speeds and durations as people read them. Pure functions."""

from __future__ import annotations

import math

KIB = 1024
MIB = 1024**2
GIB = 1024**3

_SIZE_UNITS = ("B", "KB", "MB", "GB", "TB", "PB")


def format_size(size_bytes: int | float | None) -> str:
    """Format a size in bytes with three significant digits, 1 KB = 1024 bytes; ``?`` if unknown."""
    if size_bytes is None:
        return "?"
    value = float(size_bytes)
    for unit in _SIZE_UNITS:
        # 999.5 would round to four digits: step up early, as `ls -h` does.
        if abs(value) < 999.5 or unit == _SIZE_UNITS[-1]:
            break
        value /= KIB
    if unit == "B":
        return f"{value:.0f} B"
    decimals = 2 if abs(value) < 9.995 else 1 if abs(value) < 99.95 else 0
    return f"{value:.{decimals}f} {unit}"


def format_speed(bytes_per_s: float | None) -> str:
    """Format a speed in bytes per second (``12.3 MB/s``); ``–`` if unknown or zero."""
    return f"{format_size(bytes_per_s)}/s" if bytes_per_s else "–"


def format_duration(seconds: float | None) -> str:
    """Format a duration for an ETA (``42 s``, ``3:07``, ``1:02:03``, ``2 d 3 h``); ``–`` if unknown."""
    if seconds is None or not math.isfinite(seconds) or seconds < 0:
        return "–"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, second = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes}:{second:02}"
    hours, minute = divmod(minutes, 60)
    if hours < 24:
        return f"{hours}:{minute:02}:{second:02}"
    days, hour = divmod(hours, 24)
    return f"{days} d {hour} h"


def plural(count: int, noun: str, plural_noun: str | None = None) -> str:
    """Return ``1 file``, ``2 files``; ``plural_noun`` where adding an s is wrong."""
    return f"{count:,} {noun if count == 1 else plural_noun or noun + 's'}"
