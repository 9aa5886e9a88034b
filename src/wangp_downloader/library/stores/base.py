"""What every store offers, and what it says about a file. Knows no application."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from pathlib import Path
from typing import Protocol

from wangp_downloader.cancel import CancelToken
from wangp_downloader.events import Emit
from wangp_downloader.files import Digest, Evidence
from wangp_downloader.library.scan import FoundFile
from wangp_downloader.library.stamp import Stamp
from wangp_downloader.library.wanted import WantedIndex


class StoreKind(StrEnum):
    """Which application a store belongs to: the values of ``kind`` in the settings' ``stores``."""

    HUB = "hub"
    HF_CACHE = "hf-cache"
    INVOKEAI = "invokeai"
    COMFYUI = "comfyui"
    FOLDER = "folder"
    WAN2GP = "wan2gp"


class Likeness(IntEnum):
    """Why a file may be the wanted one: in which order files of one size are tried."""

    URL = 0
    """Another program says that it came from a wanted URL."""
    REPO = 1
    """Another program says that it came from a repo that holds a wanted file."""
    NAME = 2
    SIZE = 3


@dataclass(frozen=True, slots=True)
class Candidate:
    """A file that may hold wanted content, and what speaks for it. Its size is a wanted one.

    Attributes:
        path: Absolute path of a regular file, or of the stable link to one that the store offers; with
            ``is_link``, of a symbolic link that is resolved before it is offered.
        stamp: State of the regular file.
        evidence: How ``digest`` is known: RECORDED or NAMED; GUESSED if it is not.
        digest: What the store says that the file hashes to.
        trust_group: If set, ``digest`` is only a claim: it counts as NAMED once a computed hash of
            another file of the same group agreed with its claim, and never after one disagreed.
        likeness: Order among files of one size.
        is_link: True if ``path`` is a symbolic link in some tree.
    """

    path: str
    stamp: Stamp
    evidence: Evidence = Evidence.GUESSED
    digest: Digest | None = None
    trust_group: str | None = None
    likeness: Likeness = Likeness.SIZE
    is_link: bool = False


class Store(Protocol):
    """A place on this machine that may hold model files.

    A store that is missing, unreadable or odd yields what it can and emits one notice; it never raises for
    what it finds, and never writes.
    """

    @property
    def name(self) -> str:
        """What people call it: ``hub``, ``hf-cache``, ``folder:/mnt/nas``."""
        ...

    @property
    def root(self) -> Path:
        """Its main folder."""
        ...

    def candidates(self, wanted: WantedIndex, *, cancel: CancelToken, emit: Emit) -> Iterator[Candidate]:
        """Yield the files of a wanted size, as they are now, without reading any of them.

        Raises:
            CancelledError: The user asked to stop.
        """
        ...


def as_candidate(found: FoundFile, wanted: WantedIndex) -> Candidate:
    """Make a candidate of a file about which nothing is known but its name and size."""
    likeness = name_likeness(found.path, found.stamp.size, wanted)
    return Candidate(found.path, found.stamp, likeness=likeness, is_link=found.is_link)


def name_likeness(path: str, size: int, wanted: WantedIndex) -> Likeness:
    """Return NAME if a wanted file of this size goes by the file's name, else SIZE."""
    return Likeness.NAME if wanted.is_named(size, os.path.basename(path)) else Likeness.SIZE  # noqa: PTH119 - for every file found
