"""What stands at the paths where Wan2GP looks, and whether it is what is wanted. Changes nothing."""

# Thousands of paths go through here: plain strings, half the time of pathlib.
# ruff: noqa: PTH115, PTH116, PTH118, PTH120

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass

from wangp_downloader.cancel import CancelToken
from wangp_downloader.errors import StorageError
from wangp_downloader.events import Emit, Level, Notice
from wangp_downloader.files import Digest, DigestKind, Evidence, TargetKind, TargetState, Wanted
from wangp_downloader.library.hashes import HashIndex
from wangp_downloader.library.sidecars import Sidecars
from wangp_downloader.library.stamp import Stamp
from wangp_downloader.library.stores.hf_cache import named_digest

_NOTHING_THERE = frozenset({errno.ENOENT, errno.ENOTDIR})
_LEADS_NOWHERE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP})


@dataclass(frozen=True, slots=True)
class Standing:
    """What one look at a path shows.

    Attributes:
        path: The path.
        kind: What it is.
        own: ``lstat`` of what stands there, None if nothing does.
        stamp: State of the regular file there or behind the link, None if there is none.
        link_to: The text of the link, if it is one.
        problem: What the system said if it could not be looked at, or behind.
    """

    path: str
    kind: TargetKind
    own: os.stat_result | None = None
    stamp: Stamp | None = None
    link_to: str | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Inspection:
    """How closely targets are looked at.

    Attributes:
        hashing: Whether files may be read.
        trust: Whether an equal size is enough (the settings' ``verify: trust``).
        records: Whether another program's record, or the name of a blob, is believed.
        cancel: Stops the hashing.
        emit: Told of progress, and of files that can not be read.
    """

    hashing: bool
    trust: bool
    cancel: CancelToken
    emit: Emit
    records: bool = True


def look(path: str) -> Standing:
    """Return what stands at a path. Never raises for what it finds; reads no file."""
    try:
        own = os.lstat(path)
    except (OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno in _NOTHING_THERE:
            return Standing(path, TargetKind.ABSENT)
        return Standing(path, TargetKind.OTHER, problem=getattr(error, "strerror", None) or str(error))
    if stat.S_ISREG(own.st_mode):
        return Standing(path, TargetKind.FILE, own, Stamp.of(own))
    if not stat.S_ISLNK(own.st_mode):
        return Standing(path, TargetKind.OTHER, own)
    return _look_behind(path, own)


def _look_behind(path: str, own: os.stat_result) -> Standing:
    link_to: str | None = None
    try:
        link_to = os.readlink(path)
        behind = os.stat(path)
    except OSError as error:
        kind = TargetKind.BROKEN_LINK if error.errno in _LEADS_NOWHERE else TargetKind.OTHER
        return Standing(path, kind, own, link_to=link_to, problem=error.strerror)
    if not stat.S_ISREG(behind.st_mode):
        return Standing(path, TargetKind.OTHER, own, link_to=link_to)
    return Standing(path, TargetKind.LINK, own, Stamp.of(behind), link_to)


def inspect_targets(
    items: Sequence[tuple[str, Wanted | None]], hashes: HashIndex, options: Inspection
) -> list[TargetState]:
    """Return the state of each path, in the same order; one query for all remembered hashes.

    Args:
        items: Absolute path and what is wanted there, None if that is not known.
        hashes: What is known already, and what computes the rest.
        options: How closely to look.

    Raises:
        CancelledError: The user asked to stop.
        DatabaseError: The memory of hashes can not be read.
    """
    standings = [look(path) for path, _ in items]
    known = _remembered(standings, [wanted for _, wanted in items], hashes)
    judge = _Judge(hashes, options, known, Sidecars())
    return [judge.state(standing, wanted) for standing, (_, wanted) in zip(standings, items, strict=True)]


def _remembered(
    standings: list[Standing], wanted: list[Wanted | None], hashes: HashIndex
) -> dict[tuple[str, DigestKind], Digest]:
    by_kind: dict[DigestKind, dict[str, Stamp]] = {}
    for standing, item in zip(standings, wanted, strict=True):
        if standing.stamp is not None and item is not None and standing.stamp.size == item.size:
            by_kind.setdefault(item.digest.kind, {})[standing.path] = standing.stamp
    return {
        (path, kind): digest
        for kind, files in by_kind.items()
        for path, digest in hashes.known(files, kind).items()
    }


@dataclass(frozen=True, slots=True)
class _Judge:
    """Decides for one path after another whether its content is the wanted content."""

    hashes: HashIndex
    options: Inspection
    known: dict[tuple[str, DigestKind], Digest]
    sidecars: Sidecars

    def state(self, standing: Standing, wanted: Wanted | None) -> TargetState:
        matches, evidence = self._verdict(standing, wanted)
        size = standing.stamp.size if standing.stamp is not None else None
        return TargetState(standing.path, standing.kind, size, matches, evidence, standing.link_to)

    def _verdict(self, standing: Standing, wanted: Wanted | None) -> tuple[bool | None, Evidence | None]:
        if standing.stamp is None or wanted is None:
            return None, None
        if standing.stamp.size != wanted.size:
            return False, None
        digest = self.known.get((standing.path, wanted.digest.kind))
        if digest is not None:
            return _compared(digest, wanted)
        evidence = self._stated(standing, wanted)
        if evidence is not None:
            return True, evidence
        return self._computed(standing, wanted) if self.options.hashing else (None, None)

    def _stated(self, standing: Standing, wanted: Wanted) -> Evidence | None:
        """Return the evidence that needs no reading, if there is any that says yes."""
        if not self.options.records:
            return None
        if standing.link_to is not None:
            leads_to = os.path.join(os.path.dirname(standing.path), standing.link_to)
            if named_digest(leads_to) == wanted.digest:
                return Evidence.NAMED
        elif standing.stamp is not None:
            if self.sidecars.recorded(standing.path, standing.stamp) == wanted.digest:
                return Evidence.RECORDED
        return Evidence.GUESSED if self.options.trust else None

    def _computed(self, standing: Standing, wanted: Wanted) -> tuple[bool | None, Evidence | None]:
        options = self.options
        try:
            hashed = self.hashes.hashed(
                standing.path, wanted.digest.kind, cancel=options.cancel, emit=options.emit
            )
        except StorageError as error:
            options.emit(Notice(Level.WARNING, error.message, standing.path))
            return None, None
        return _compared(hashed.digest, wanted)


def _compared(digest: Digest, wanted: Wanted) -> tuple[bool, Evidence | None]:
    return (True, Evidence.COMPUTED) if digest == wanted.digest else (False, Evidence.COMPUTED)
