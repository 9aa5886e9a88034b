"""A bandwidth limit that changes with the hour: a timetable in rclone's syntax. Pure.

Source: rclone's documentation of ``--bwlimit`` (``fs/bwtimetable.go``): ``08:00,512k 19:00,10M 23:00,off``, and with
weekdays ``Mon-09:00,1M Fri-18:00,off``. A number without a suffix is KiB/s; k, M, G are powers of 1024; each
entry holds until the next one, around the end of the week.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_SHORT_DAY = 3
_MINUTES_A_DAY = 24 * 60
_ENTRY = re.compile(
    r"(?:(?P<day>[a-z]+)-)?(?P<hour>\d{1,2}):(?P<minute>\d{2}),(?P<limit>\S+)", re.IGNORECASE | re.ASCII
)
_LIMIT = re.compile(r"(?P<number>\d+(?:\.\d+)?)(?P<unit>[bkmgBKMG]?)", re.ASCII)
_UNITS = {"b": 1, "": 1024, "k": 1024, "m": 1024**2, "g": 1024**3}


@dataclass(frozen=True, slots=True)
class Schedule:
    """A timetable.

    Attributes:
        text: As the user wrote it.
        entries: Minute of the week (Monday 00:00 is 0) and limit in bytes per second from then on (None: no
            limit), sorted by minute.
    """

    text: str
    entries: tuple[tuple[int, float | None], ...]

    def limit_at(self, moment: datetime) -> float | None:
        """Return the limit in bytes per second that holds at a local time, None for no limit."""
        minute = moment.weekday() * _MINUTES_A_DAY + moment.hour * 60 + moment.minute
        before = [limit for start, limit in self.entries if start <= minute]
        return before[-1] if before else self.entries[-1][1]

    def __str__(self) -> str:
        return self.text


def parse_schedule(text: str) -> Schedule:
    """Read a timetable.

    Args:
        text: Entries separated by blanks: ``[WEEKDAY-]HH:MM,LIMIT``.

    Raises:
        ValueError: It is no timetable, or one hour of a day has two limits; the message names the part.
    """
    # A weekday's entry counts before that of every day.
    daily: dict[int, float | None] = {}
    weekly: dict[int, float | None] = {}
    for part in text.split():
        match = _ENTRY.fullmatch(part)
        if match is None:
            raise ValueError(part)
        hour, minute = int(match["hour"]), int(match["minute"])
        if hour > 23 or minute > 59:
            raise ValueError(part)
        entries = weekly if match["day"] else daily
        for day in _days(match["day"]):
            moment = day * _MINUTES_A_DAY + hour * 60 + minute
            if moment in entries:
                raise ValueError(part)
            entries[moment] = parse_rate(match["limit"])
    entries = daily | weekly
    if not entries:
        raise ValueError(text)
    return Schedule(text, tuple(sorted(entries.items())))


def _days(name: str | None) -> range:
    if name is None:
        return range(len(_DAYS))
    found = [index for index, day in enumerate(_DAYS) if name.lower() in (day, day[:_SHORT_DAY])]
    if not found:
        raise ValueError(name)
    return range(found[0], found[0] + 1)


def parse_rate(text: str) -> float | None:
    """Read a limit (``512``, ``512k``, ``10M``, ``off``) as bytes per second, None for no limit.

    Raises:
        ValueError: It is none.
    """
    if text.lower() == "off":
        return None
    match = _LIMIT.fullmatch(text)
    if match is None:
        raise ValueError(text)
    return float(match["number"]) * _UNITS[match["unit"].lower()] or None
