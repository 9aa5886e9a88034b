"""Asks the rooms what a plan needs to know, in the order in which each answer narrows the next question.

    rows ─► metadata ─► what stands at the targets ─► copies elsewhere ─► parts and disk space

Owns that order and nothing else: what follows from the answers is the planner's business.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from wangp_downloader.cancel import CancelToken
from wangp_downloader.errors import RemoteError
from wangp_downloader.events import Emit
from wangp_downloader.files import (
    Action,
    Digest,
    DiskNeed,
    LocalCopy,
    PlannedFile,
    RemoteAnswer,
    RemoteFile,
    RemoteFolder,
    Requirement,
    TargetKind,
    TargetState,
    Wanted,
)
from wangp_downloader.library.library import Library
from wangp_downloader.library.link import folder_outside
from wangp_downloader.planner import Facts, Row, destination
from wangp_downloader.remote.client import RemoteClient
from wangp_downloader.settings import Settings
from wangp_downloader.transfer.resumable import Resumable, resumable_parts


@dataclass(frozen=True, slots=True)
class Sources:
    """The rooms that are asked.

    Attributes:
        root: The Wan2GP folder.
        settings: The user's settings.
        remote: The remote service.
        memory: The same, from memory alone.
        library: What is on this machine.
        hub: Where downloads go first, or None.
        roots: Folders of Wan2GP that may be written below, absolute.
    """

    root: Path
    settings: Settings
    remote: RemoteClient
    memory: RemoteClient
    library: Library
    hub: Path | None
    roots: tuple[Path, ...]

    def destination(self, target: str, digest: Digest | None) -> Path:
        """Return the absolute path that a download is written to: the target, or its place in the hub."""
        return destination(self.root, self.hub, target, digest)


@dataclass(frozen=True, slots=True)
class PlanOptions:
    """How much may be done to answer.

    Attributes:
        network: False to use only cached metadata.
        hashing: False to read no file: candidates and unchecked targets stay guesses.
        rehash: True to hash files in place although the settings, or another program's record, vouch for them.
    """

    network: bool = True
    hashing: bool = True
    rehash: bool = False


@dataclass(frozen=True, slots=True)
class UsableFile:
    """A file on this machine that Wan2GP could use: where it belongs, its size in bytes, where it is."""

    target: str
    size: int
    copy: LocalCopy


@dataclass(frozen=True, slots=True)
class ScanResult:
    """What a scan found, and what the person should know."""

    rows: tuple[UsableFile, ...]
    warnings: tuple[str, ...]


class FactFinder:
    """Finds out what the planner needs to know.

    Args:
        sources: The rooms that are asked.
        options: How much may be done to answer.
        cancel: Stops it.
        emit: Told of the progress.
    """

    def __init__(self, sources: Sources, options: PlanOptions, cancel: CancelToken, emit: Emit) -> None:
        self._sources = sources
        self._options = options
        self._cancel = cancel
        self._emit = emit

    def expand(self, requirements: Iterable[Requirement]) -> tuple[list[Requirement], dict[str, str]]:
        """Replace requirements that name a whole folder by one for each file in it.

        Those whose folder can not be listed stay, with the reason by target.
        """
        expanded: list[Requirement] = []
        unlisted: dict[str, str] = {}
        for row in requirements:
            if row.folder is None:
                expanded.append(row)
                continue
            try:
                expanded.extend(self._files_of(row, row.folder))
            except RemoteError as error:
                unlisted[row.target] = error.message
                expanded.append(row)
        return expanded, unlisted

    def _files_of(self, row: Requirement, folder: RemoteFolder) -> list[Requirement]:
        remote = self._sources.remote if self._options.network else self._sources.memory
        cut = len(folder.path) + 1 if folder.path else 0
        return [
            replace(
                row,
                remote=file,
                folder=None,
                target=f"{row.target}/{file.path[cut:]}",
                also_at=tuple(f"{place}/{file.path[cut:]}" for place in row.also_at),
                choice=f"{row.choice}/{file.path[cut:]}",
            )
            for file in remote.list_folder(folder, cancel=self._cancel, emit=self._emit)
        ]

    def facts(self, rows: Sequence[Row]) -> Facts:
        """Return what is known of the rows' files: remotely, at their targets, and elsewhere on this machine."""
        answers = self.answers([row.remote for row in rows if row.remote])
        wanted = {row.target: wanted_of(row, answers) for row in rows}
        states = self._states(rows, wanted)
        absent = [row for row in rows if not _stands(row, states)]
        looked_for = [item for row in absent if (item := wanted[row.target]) is not None]
        copies = self._copies(looked_for)
        paths, parts = parts_beside(self._sources, absent, answers)
        resumed = {target: parts[path] for target, path in paths.items() if path in parts}
        done = {target: part.bytes_done for target, part in resumed.items()}
        held = {target: part.bytes_held for target, part in resumed.items()}
        return Facts(answers, states, copies, done, held, outside=self._outside(absent))

    def _outside(self, rows: Iterable[Row]) -> dict[str, str]:
        root = str(self._sources.root)
        folders = {row.target: os.path.normpath(os.path.join(root, row.target, "..")) for row in rows}  # noqa: PTH118 - thousands
        real = {folder: folder_outside(folder, self._sources.roots) for folder in set(folders.values())}
        return {target: where for target, folder in folders.items() if (where := real[folder]) is not None}

    def answers(self, files: Collection[RemoteFile]) -> Mapping[RemoteFile, RemoteAnswer]:
        """Return the metadata of remote files."""
        if not self._options.network:
            return self._sources.memory.cached(files)
        return self._sources.remote.lookup(files, cancel=self._cancel, emit=self._emit)

    def _states(
        self,
        rows: Sequence[Row],
        wanted: Mapping[str, Wanted | None],
    ) -> Mapping[str, TargetState]:
        places = {place: wanted[row.target] for row in rows for place in row.places}
        root = str(self._sources.root)
        found = self._sources.library.inspect_many(
            [(os.path.normpath(os.path.join(root, place)), item) for place, item in places.items()],  # noqa: PTH118 - thousands
            hashing=self._options.rehash
            or (self._options.hashing and self._sources.settings.verify == "once"),
            trust=not self._options.rehash and self._sources.settings.verify == "trust",
            records=not self._options.rehash,
            cancel=self._cancel,
            emit=self._emit,
        )
        return dict(zip(places, found, strict=True))

    def _copies(self, wanted: Sequence[Wanted]) -> Mapping[Digest, tuple[LocalCopy, ...]]:
        if not wanted:
            return {}
        return self._sources.library.find(
            wanted, hashing=self._options.hashing, cancel=self._cancel, emit=self._emit
        )

    def disk_needs(self, files: Iterable[PlannedFile], held: Mapping[str, int]) -> tuple[DiskNeed, ...]:
        """Return the space that the selected files need, by file system.

        Args:
            files: The plan's rows.
            held: Bytes that part files occupy already, by target.
        """
        needed: dict[str, int] = {}
        seen: set[Digest] = set()
        copied = (
            {Action.DOWNLOAD, Action.LINK} if self._sources.settings.link == "copy" else {Action.DOWNLOAD}
        )
        for file in files:
            if not file.selected or file.action not in copied or file.size is None:
                continue
            if file.digest in seen and self._sources.settings.link != "copy":
                continue  # fetched once, linked after that
            if file.digest is not None:
                seen.add(file.digest)
            if file.action is Action.DOWNLOAD:
                folder = str(self._sources.destination(file.target, file.digest).parent)
            else:
                folder = os.path.normpath(self._sources.root / file.target.rpartition("/")[0])
            needed[folder] = needed.get(folder, 0) + max(0, file.size - held.get(file.target, 0))
        return disk_needs(needed)


def parts_beside(
    sources: Sources, rows: Iterable[Row | Requirement], answers: Mapping[RemoteFile, RemoteAnswer]
) -> tuple[dict[str, Path], dict[Path, Resumable]]:
    """Return where each target is downloaded to, and the parts that wait there."""
    paths: dict[str, Path] = {}
    wanted: dict[Path, Digest | None] = {}
    for row in rows:
        answer = answers.get(row.remote) if row.remote else None
        digest = answer.digest if answer else None
        paths[row.target] = path = sources.destination(row.target, digest)
        wanted.setdefault(path, digest)
    return paths, resumable_parts(wanted)


def wanted_of(row: Row, answers: Mapping[RemoteFile, RemoteAnswer]) -> Wanted | None:
    """Return what to look for on this machine, or None if the row's content is not known."""
    answer = answers.get(row.remote) if row.remote else None
    if row.remote is None or answer is None or answer.digest is None or answer.size is None:
        return None
    return Wanted(answer.digest, answer.size, frozenset({row.remote.name}), frozenset({row.remote.url}))


def _stands(row: Row, states: Mapping[str, TargetState]) -> bool:
    nothing = (TargetKind.ABSENT, TargetKind.BROKEN_LINK)
    return any(place in states and states[place].kind not in nothing for place in row.places)


def stale_warning(answers: Mapping[RemoteFile, RemoteAnswer]) -> tuple[str, ...]:
    """Return the warning that metadata is old, if any is."""
    stale = sorted({file.repo or file.name for file, answer in answers.items() if answer.stale})
    if not stale:
        return ()
    return (f"metadata of {', '.join(stale)} is older than a day and could not be refreshed",)


def disk_needs(needed: Mapping[str, int]) -> tuple[DiskNeed, ...]:
    """Sum up what is needed by file system.

    Args:
        needed: Absolute folder, which need not exist yet → bytes to be written below it.
    """
    sums: dict[int, int] = {}
    folders: dict[int, Path] = {}
    for folder, size in needed.items():
        existing = _existing_parent(Path(folder))
        device = existing.stat().st_dev
        folders.setdefault(device, existing)
        sums[device] = sums.get(device, 0) + size
    return tuple(
        DiskNeed(str(folders[device]), size, shutil.disk_usage(folders[device]).free)
        for device, size in sums.items()
    )


def _existing_parent(folder: Path) -> Path:
    while not folder.is_dir() and folder != folder.parent:
        folder = folder.parent
    return folder
