"""How much of a download is already here. Reads the parts' journals, changes nothing."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from wangp_downloader.transfer.journal import Journal, disjoint
from wangp_downloader.transfer.lock import is_held
from wangp_downloader.transfer.names import PartNames


@dataclass(frozen=True, slots=True)
class Resumable:
    """A part that the next download of its destination goes on with.

    Attributes:
        bytes_done: Bytes that have arrived and are journalled.
        size: Bytes of the whole file.
        in_use: True while a process fetches it.
    """

    bytes_done: int
    size: int
    in_use: bool


def resumable_parts(destinations: Iterable[Path]) -> dict[Path, Resumable]:
    """Return the parts that wait beside some destinations; each folder is listed once.

    Args:
        destinations: Absolute final paths, whether or not something is there.
    """
    by_folder: dict[Path, list[Path]] = {}
    for destination in destinations:
        by_folder.setdefault(destination.parent, []).append(destination)
    found: dict[Path, Resumable] = {}
    for folder, members in by_folder.items():
        try:
            hidden = {name for name in os.listdir(folder) if name.startswith(".")}  # noqa: PTH208 - names are all it takes
        except OSError:
            continue
        for destination in members if hidden else ():
            names = PartNames.beside(destination)
            if names.part.name in hidden and names.journal.name in hidden:
                part = _read(names)
                if part is not None:
                    found[destination] = part
    return found


def _read(names: PartNames) -> Resumable | None:
    journal = Journal(names.journal)
    journal.load()
    if journal.header is None:
        return None
    done = sum(extent.length for extent in disjoint(journal.extents, journal.header.size))
    return Resumable(done, journal.header.size, is_held(names.lock))
