"""How much of a download is already here. Reads the parts' journals, changes nothing."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from wangp_downloader.files import Digest
from wangp_downloader.transfer.journal import Journal, disjoint
from wangp_downloader.transfer.lock import is_held
from wangp_downloader.transfer.names import PartNames
from wangp_downloader.transfer.storage import allocated


@dataclass(frozen=True, slots=True)
class Resumable:
    """A part that waits beside a destination.

    Attributes:
        bytes_done: Bytes that have arrived, are journalled, and belong to the content that is wanted.
        size: Bytes of the whole file, None if nothing of the part can be gone on with.
        bytes_held: What it occupies on the disk, reserved space included: what the next download need not find.
        in_use: True while a process fetches it.
    """

    bytes_done: int
    size: int | None
    bytes_held: int
    in_use: bool


def resumable_parts(wanted: Mapping[Path, Digest | None]) -> dict[Path, Resumable]:
    """Return the parts that wait beside some destinations; each folder is listed once.

    Args:
        wanted: Absolute final paths, whether or not something is there, and the content that is wanted if it is known.
    """
    by_folder: dict[Path, list[Path]] = {}
    for destination in wanted:
        by_folder.setdefault(destination.parent, []).append(destination)
    found: dict[Path, Resumable] = {}
    for folder, members in by_folder.items():
        try:
            hidden = {name for name in os.listdir(folder) if name.startswith(".")}  # noqa: PTH208 - names are all it takes
        except OSError:
            continue
        for destination in members if hidden else ():
            names = PartNames.beside(destination)
            if names.part.name in hidden:
                with contextlib.suppress(OSError):
                    found[destination] = _look_at(names, wanted[destination])
    return found


def _look_at(names: PartNames, digest: Digest | None) -> Resumable:
    held = allocated(names.part)
    journal = Journal(names.journal)
    journal.load()
    header = journal.header
    if header is None or (digest is not None and header.digest not in {None, str(digest)}):
        return Resumable(0, None, held, in_use=False)
    done = sum(extent.length for extent in disjoint(journal.extents, header.size))
    return Resumable(done, header.size, held, is_held(names.lock))
