"""From candidates to proven copies: which file holds which wanted content, and how we know.

Owns the order in which evidence is used, cheapest first, and the rule that a file is hashed only while some
content of its size is still sought. Lists nothing and changes nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from wangp_downloader.cancel import CancelToken
from wangp_downloader.errors import StorageError
from wangp_downloader.events import Emit, Level, Notice
from wangp_downloader.files import Digest, DigestKind, Evidence, LocalCopy, Wanted
from wangp_downloader.library.hashes import HashIndex
from wangp_downloader.library.scan import is_unfinished
from wangp_downloader.library.stamp import Stamp
from wangp_downloader.library.stores.base import Candidate, Likeness
from wangp_downloader.library.wanted import WantedIndex

EVIDENCE_ORDER = tuple(Evidence)
"""Strongest first."""


@dataclass(slots=True)
class PhysicalFile:
    """One file of the disk, under whichever of its names suits a link best.

    Attributes:
        stamp: Its state.
        candidate: What speaks for it.
        store: Name of the store that ``candidate`` comes from.
        order: Position of that store.
        likeness: The best of all stores' hints.
    """

    stamp: Stamp
    candidate: Candidate
    store: str
    order: int
    likeness: Likeness

    @property
    def path(self) -> str:
        """The path to offer."""
        return self.candidate.path


class FileTable:
    """Gathers candidates from all stores, one entry a physical file, however many names it has."""

    def __init__(self, excluded: Iterable[str] = ()) -> None:
        self._excluded = frozenset(excluded)
        self._files: dict[tuple[int, int], PhysicalFile] = {}

    def add(self, candidate: Candidate, store: str, order: int) -> None:
        """Take a candidate; of several names of one file the most suitable is kept."""
        if candidate.path in self._excluded:
            return
        new = PhysicalFile(candidate.stamp, candidate, store, order, candidate.likeness)
        old = self._files.setdefault(candidate.stamp.file, new)
        likeness = min(old.likeness, new.likeness)
        if _suitability(new) < _suitability(old):
            self._files[candidate.stamp.file] = old = new
        old.likeness = likeness

    def files(self) -> list[PhysicalFile]:
        """Return the files, in the order they were found.

        A file seen only through symbolic links is offered under its own path, so that a link to it is not
        one more link of a chain.
        """
        return [file for file in self._files.values() if not file.candidate.is_link or self._resolve(file)]

    def _resolve(self, file: PhysicalFile) -> bool:
        path = os.path.realpath(file.path)
        file.candidate = replace(file.candidate, path=path)
        return path not in self._excluded and not is_unfinished(os.path.basename(path))  # noqa: PTH119 - a plain string


@dataclass(slots=True)
class Matcher:
    """Finds out which files hold wanted content.

    Attributes:
        wanted: What is sought.
        hashes: What is known already, and what computes the rest.
        cancel: Stops the hashing.
        emit: Told of progress, and of files that can not be read.
    """

    wanted: WantedIndex
    hashes: HashIndex
    cancel: CancelToken
    emit: Emit
    _copies: dict[Digest, list[tuple[Evidence, PhysicalFile]]] = field(default_factory=dict)
    _trusted: dict[str, bool] = field(default_factory=dict)

    def match(self, files: list[PhysicalFile], *, hashing: bool) -> dict[Digest, tuple[LocalCopy, ...]]:
        """Return the copies of each wanted content, best first.

        Args:
            files: All candidates.
            hashing: Whether files may be read; if not, those that would be are GUESSED copies.

        Raises:
            CancelledError: The user asked to stop; hashes computed so far are remembered.
            DatabaseError: The memory of hashes can not be read.
        """
        pending = [file for file in self._without_known(files) if not self._add_stated(file)]
        by_size: dict[int, list[PhysicalFile]] = {}
        for file in pending:
            by_size.setdefault(file.stamp.size, []).append(file)
        # Small files first: one that agrees with its name spares the large ones of its hub.
        for size in sorted(by_size):
            group = sorted(by_size[size], key=lambda file: (file.likeness, file.order, file.path))
            self._search(group, self.wanted.by_size(size), hashing=hashing)
        return {digest: _ordered(copies) for digest, copies in self._copies.items()}

    def _without_known(self, files: list[PhysicalFile]) -> list[PhysicalFile]:
        # A small git file is wanted by its blob id; another hash of it says nothing.
        stamps = {file.path: file.stamp for file in files if not _is_blob(file.candidate)}
        known = self.hashes.known(stamps)
        for file in files:
            if file.path in known:
                self._add_computed(file, known[file.path])
        return [file for file in files if file.path not in known]

    def _add_stated(self, file: PhysicalFile) -> bool:
        """Take what a store vouches for; return whether the file is settled by that."""
        candidate = file.candidate
        if candidate.digest is None or candidate.evidence is Evidence.GUESSED:
            return False
        self._add(candidate.digest, candidate.evidence, file)
        return True

    def _search(self, group: list[PhysicalFile], items: tuple[Wanted, ...], *, hashing: bool) -> None:
        for file in group:
            sought = [item for item in items if not self._is_proven(item.digest)]
            if not sought:
                return
            if self._is_trusted(file):
                self._add_claimed(file)
            elif hashing:
                self._hash(file)
            else:
                for item in sought:
                    self._add(item.digest, Evidence.GUESSED, file)

    def _hash(self, file: PhysicalFile) -> None:
        try:
            hashed = self.hashes.hashed(file.path, DigestKind.SHA256, cancel=self.cancel, emit=self.emit)
        except StorageError as error:
            self.emit(Notice(Level.WARNING, f"{file.store}: {error.message}"))
        else:
            self._add_computed(file, hashed.digest)

    def _add_computed(self, file: PhysicalFile, digest: Digest) -> None:
        candidate = file.candidate
        if candidate.trust_group and candidate.digest is not None:
            agreed = candidate.digest == digest
            self._trusted[candidate.trust_group] = agreed and self._trusted.get(candidate.trust_group, True)
        self._add(digest, Evidence.COMPUTED, file)

    def _add_claimed(self, file: PhysicalFile) -> None:
        if file.candidate.digest is not None:
            self._add(file.candidate.digest, Evidence.NAMED, file)

    def _add(self, digest: Digest, evidence: Evidence, file: PhysicalFile) -> None:
        item = self.wanted.by_digest(digest)
        if item is not None and item.size == file.stamp.size:
            self._copies.setdefault(digest, []).append((evidence, file))

    def _is_proven(self, digest: Digest) -> bool:
        return any(evidence is not Evidence.GUESSED for evidence, _ in self._copies.get(digest, ()))

    def _is_trusted(self, file: PhysicalFile) -> bool:
        group = file.candidate.trust_group
        return group is not None and self._trusted.get(group, False)


def _is_blob(candidate: Candidate) -> bool:
    return candidate.digest is not None and candidate.digest.kind is DigestKind.GIT_BLOB


def _suitability(file: PhysicalFile) -> tuple[bool, int, int]:
    """Order the names of one file: the file itself before a link, vouched names, then the stores' order."""
    return file.candidate.is_link, EVIDENCE_ORDER.index(file.candidate.evidence), file.order


def _ordered(copies: list[tuple[Evidence, PhysicalFile]]) -> tuple[LocalCopy, ...]:
    ordered = sorted(
        copies,
        key=lambda copy: (
            EVIDENCE_ORDER.index(copy[0]), copy[1].candidate.is_link, copy[1].order, copy[1].path
        ),
    )  # fmt: skip
    return tuple(LocalCopy(file.store, file.path, evidence) for evidence, file in ordered)
