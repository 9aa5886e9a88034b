"""The steps that ``+`` and ``-`` take through bandwidth limits. Pure."""

from __future__ import annotations

from wangp_downloader.units import KIB

_STEPS = (1, 1.5, 2, 3, 5, 7)
# Round in the unit that is shown: KB/s, then MB/s of 1024 KB, then GB/s.
_STEPS_KB = (
    *(round(step * power) for power in (100,) for step in _STEPS),
    *(round(step * power * 1024) for power in (1, 10, 100) for step in _STEPS),
    *(round(step * 1024 * 1024) for step in _STEPS),
)
_START_KB = 20 * 1024


def faster(limit_kb: float | None) -> float | None:
    """Return the next higher limit in KB/s; None (no limit) after the highest."""
    if not limit_kb:
        return None
    return next((float(step) for step in _STEPS_KB if step > limit_kb), None)


def slower(limit_kb: float | None, speed_bytes_per_s: float) -> float:
    """Return the next lower limit in KB/s.

    Args:
        limit_kb: The present limit, None or 0 for none.
        speed_bytes_per_s: What the line gives now: without a limit, the first step starts just below it.
    """
    present = limit_kb or (speed_bytes_per_s / KIB) or _START_KB
    return float(next((step for step in reversed(_STEPS_KB) if step < present), _STEPS_KB[0]))
