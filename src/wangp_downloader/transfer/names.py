"""How the files around a download in progress are called. No I/O."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from wangp_downloader.paths import MAX_NAME_BYTES

PART_SUFFIX = ".part"
JOURNAL_SUFFIX = ".part.json"
LOCK_SUFFIX = ".part.lock"
BAD_SUFFIX = ".bad"
_LONGEST_SUFFIX = len(JOURNAL_SUFFIX + ".new")


@dataclass(frozen=True, slots=True)
class PartNames:
    """The hidden neighbours of a destination.

    Attributes:
        destination: Where the whole file will stand.
        part: What has arrived so far.
        journal: What is known of it.
        lock: Held by the process that fetches it.
        bad: Where content that failed its check is kept.
    """

    destination: Path
    part: Path
    journal: Path
    lock: Path
    bad: Path

    @classmethod
    def beside(cls, destination: Path) -> PartNames:
        """Return the names for a destination; too long ones are shortened and made unique by a hash."""
        stem = f".{destination.name}"
        if len(stem.encode()) + _LONGEST_SUFFIX > MAX_NAME_BYTES:
            mark = hashlib.sha256(stem.encode()).hexdigest()[:10]
            room = MAX_NAME_BYTES - _LONGEST_SUFFIX - len(mark) - 1
            stem = f"{stem.encode()[:room].decode(errors='ignore')}~{mark}"
        folder = destination.parent
        return cls(
            destination=destination,
            part=folder / (stem + PART_SUFFIX),
            journal=folder / (stem + JOURNAL_SUFFIX),
            lock=folder / (stem + LOCK_SUFFIX),
            bad=folder / (stem + BAD_SUFFIX),
        )
