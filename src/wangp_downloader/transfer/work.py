"""The disk work of one file that takes long: opening, checkpoints, checking, putting in place.

Each function runs in a worker thread, one at a time for a file, and touches nothing of the loop's state.
"""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import FileIO
from pathlib import Path
from typing import TypeVar

from wangp_downloader.errors import CancelledError, IntegrityError, StorageError, TransferError
from wangp_downloader.files import DigestKind
from wangp_downloader.transfer.checksums import Extent, crc32, new_hasher
from wangp_downloader.transfer.containers import contradiction
from wangp_downloader.transfer.journal import Header, Journal, disjoint
from wangp_downloader.transfer.lock import FileLock
from wangp_downloader.transfer.metadata import write_metadata
from wangp_downloader.transfer.names import PartNames
from wangp_downloader.transfer.request import TransferRequest
from wangp_downloader.transfer.storage import PartFile, Room, allocated, publish, storage_errors
from wangp_downloader.units import MIB

_BLOCK = MIB // 2
_log = logging.getLogger(__name__)
T = TypeVar("T")
Cancelled = Callable[[], bool]
NO_DIGEST = "nobody publishes a hash of it; only its length was checked"
NO_LENGTH = "nobody publishes a hash of it, nor did the server say its length: it may have been cut off"


@dataclass(slots=True)
class Opened:
    """A part that is ours.

    Attributes:
        part: The open part file.
        journal: Its journal, loaded.
        room: Where space is promised.
        claimed: What the journal claims, sorted and disjoint, not checked yet.
        size: Bytes of the whole file if known, from the request or the journal.
        etag: Validator of an earlier run.
        notices: What the person should know.
    """

    part: PartFile
    journal: Journal
    room: Room
    claimed: list[Extent]
    size: int | None
    etag: str | None = None
    notices: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class InPlace:
    """The file stands at its destination.

    Attributes:
        verified: True if its bytes were compared with the digest.
        reason: Why not.
        notices: What the person should know.
        kept: True if something else has put it there.
    """

    verified: bool
    reason: str | None = None
    notices: tuple[str, ...] = ()
    kept: bool = False


@dataclass(frozen=True, slots=True)
class Mismatch:
    """The bytes are not those of the digest.

    Attributes:
        actual: What they hash to, lowercase hex.
        changed: Extents that differ from what was received.
    """

    actual: str
    changed: list[Extent]


def already_there(request: TransferRequest, cancelled: Cancelled = lambda: False) -> InPlace | None:
    """Return how the destination already holds the content, None if nothing is there.

    Raises:
        TransferError: Something else is there; it is not touched.
        StorageError: It can not be read.
    """
    path = request.destination
    if not path.exists() and (path.is_symlink() or not os.path.lexists(path)):
        return None  # a broken link gives way when the file is whole
    if not path.is_file():
        raise TransferError(
            f"a folder or something else stands at {path}: it was not touched",
            hint="move it away and start again",
        )
    with storage_errors("read", path):
        if request.size is None or path.stat().st_size == request.size:
            if request.digest is None:
                return InPlace(False, "a file was already there; nobody publishes a hash of it", kept=True)
            if hash_file(path, request, cancelled) == request.digest.hex:
                return InPlace(True, kept=True)
    raise TransferError(
        f"another file stands at {path}: it was not touched", hint="move it away and start again"
    )


def _same_appeared(request: TransferRequest, cancelled: Cancelled) -> bool:
    """Return whether something else, Wan2GP perhaps, has put the very content at the destination meanwhile."""
    try:
        return request.digest is not None and already_there(request, cancelled) is not None
    except (TransferError, StorageError):
        return False


def open_part(
    request: TransferRequest, lock: FileLock, room: Room, cancelled: Cancelled = lambda: False
) -> Opened | InPlace | None:
    """Get hold of a request's part file.

    Returns:
        The part; or how the file is in place already; or None while another process fetches it.

    Raises:
        TransferError: Something else stands at the destination.
        StorageError: The folder can not be used, or the disk is too full.
    """
    names = PartNames.beside(request.destination)
    folder = request.destination.parent
    with storage_errors("use the folder", folder):
        folder.mkdir(parents=True, exist_ok=True)
    with storage_errors("lock", lock.path):
        if not lock.acquire():
            return None
    found = already_there(request, cancelled)
    if found is not None:
        _remove_leftovers(names)
        return found
    return _open(request, names, room)


def _open(request: TransferRequest, names: PartNames, room: Room) -> Opened:
    notices = []
    journal = Journal(names.journal)
    with storage_errors("read", names.part):
        held = _own_bytes(names.part)
    if held is None:
        _remove_leftovers(names)
    else:
        journal.load()
        if held and journal.header is None:
            notices.append(
                f"{names.destination.name} starts afresh: its part has no journal that can be read"
            )
    header = journal.header
    reason = header.change_since(request) if header is not None else None
    if header is None or reason is not None:
        if reason is not None:
            notices.append(f"{names.destination.name} starts afresh: {reason}")
        journal.remove()
        with storage_errors("remove", names.part):
            names.part.unlink(missing_ok=True)
        header = None
    part = PartFile(names.part)
    try:
        size = request.size if header is None else header.size
        claimed = disjoint(journal.extents, min(part.length, size or 0))
        journal.keep(claimed)
        if size is not None:
            room.claim(part, size)
    except BaseException:
        if not journal.extents:
            part.remove()
        part.close()
        raise
    return Opened(part, journal, room, claimed, size, header.etag if header else None, notices)


def _own_bytes(part: Path) -> int | None:
    """Return the bytes that a part occupies, None if there is none that can be ours: a link is not."""
    try:
        found = part.lstat()
    except FileNotFoundError:
        return None
    return None if stat.S_ISLNK(found.st_mode) or found.st_nlink > 1 else allocated(part)


def _remove_leftovers(names: PartNames) -> None:
    with storage_errors("remove", names.part):
        names.part.unlink(missing_ok=True)
    Journal(names.journal).remove()


def checkpoint(part: PartFile, journal: Journal, header: Header, extents: list[Extent]) -> None:
    """Bring data to the disk, then claim it in the journal.

    Raises:
        StorageError: The disk refuses, or the part is gone.
    """
    part.sync_data()
    if journal.header is None:
        journal.claim(extents)
        journal.begin(header)
    else:
        journal.append(extents)


def hash_file(path: Path, request: TransferRequest, cancelled: Cancelled) -> str:
    """Return the hex digest of a file, of the kind that the request has.

    Raises:
        CancelledError: ``cancelled`` returned True meanwhile.
    """
    with FileIO(path) as file:
        hasher = new_hasher(request.digest, path.stat().st_size)
        block = memoryview(bytearray(_BLOCK))
        while count := file.readinto(block):
            hasher.update(block[:count])
            if cancelled():
                raise CancelledError
        return hasher.hexdigest()


def changed_extents(path: Path, extents: list[Extent]) -> list[Extent]:
    """Return the extents whose bytes on the disk are not those that were received."""
    changed = []
    block = memoryview(bytearray(_BLOCK))
    with storage_errors("read", path), FileIO(path) as file:
        for extent in extents:
            checksum, left = 0, extent.length
            file.seek(extent.start)
            while left and (count := file.readinto(block[: min(left, _BLOCK)])):
                checksum = crc32(block[:count], checksum)
                left -= count
            if left or checksum != extent.checksum:
                changed.append(extent)
    return changed


def unchanged_extents(path: Path, extents: list[Extent]) -> list[Extent]:
    """Return the extents whose bytes are on the disk as they were received; none if that can not be read."""
    try:
        changed = set(changed_extents(path, extents))
    except StorageError:
        return []
    return [extent for extent in extents if extent not in changed]


def finish(
    request: TransferRequest,
    part: PartFile,
    extents: list[Extent],
    size: int,
    actual: str,
    cancelled: Cancelled = lambda: False,
) -> InPlace | Mismatch:
    """Check a complete part and put it in place.

    Args:
        request: What was asked for.
        part: All bytes of it are written.
        extents: What was received, to find out what changed if the digest does not agree.
        size: Bytes of the whole file.
        actual: What the follower computed.
        cancelled: Returns True once nothing is to be put in place any more.

    Raises:
        CancelledError: ``cancelled`` returned True before it was in place.
        IntegrityError: A file without a digest contradicts itself; it is kept aside.
        TransferError: Something appeared at the destination meanwhile.
        StorageError: The disk refuses.
    """
    mismatch = _compare(request, part, extents, size, actual)
    if mismatch is not None:
        return mismatch
    if request.digest is None:
        _refuse_contradiction(request, part)
    part.sync_data()
    if os.name == "nt":
        part.close()  # an open file can not be renamed there
    if cancelled():
        raise CancelledError
    try:
        publish(part.path, request.destination)
    except TransferError:
        if not _same_appeared(request, cancelled):
            raise
        part.remove()
        part.close()
        return InPlace(True, kept=True)
    part.close()
    problem = write_metadata(request)
    notices = () if problem is None else (problem,)
    if request.digest is None:
        return InPlace(False, NO_DIGEST, notices)
    return InPlace(True, None, notices)


def _compare(
    request: TransferRequest, part: PartFile, extents: list[Extent], size: int, actual: str
) -> Mismatch | None:
    """Compare what arrived with the digest, and what is on the disk with what arrived."""
    part.look()
    whole = part.length >= size and allocated(part.path) >= size
    if part.length != size:
        part.truncate(size)
    if request.digest is not None and actual != request.digest.hex:
        return Mismatch(actual, changed_extents(part.path, extents))
    if part.disturbed or not whole:
        # The hash is that of what arrived: what is on the disk by now may be something else.
        changed = changed_extents(part.path, extents)
        if changed:
            return Mismatch(actual, changed)
    return None


def _refuse_contradiction(request: TransferRequest, part: PartFile) -> None:
    with storage_errors("read", part.path):
        problem = contradiction(part.path, request.destination.name)
    if problem is not None:
        aside = keep_aside(PartNames.beside(request.destination))
        raise IntegrityError(
            f"{request.destination.name} is no good: {problem}", hint=f"it is kept as {aside}"
        )


def keep_aside(names: PartNames) -> Path:
    """Rename a bad part for inspection, replacing an earlier one; return where it is now.

    Raises:
        StorageError: It can not be renamed.
    """
    with storage_errors("keep aside", names.part):
        names.part.replace(names.bad)
    return names.bad


def mismatch_error(request: TransferRequest, actual: str, aside: Path) -> IntegrityError:
    """Return the error for content that failed its check twice."""
    digest = request.digest
    label = "git blob id" if digest is not None and digest.kind is DigestKind.GIT_BLOB else "SHA-256"
    expected = digest.hex if digest is not None else "?"
    return IntegrityError(
        f"{request.destination.name} is not what was promised: expected {label} {expected}, got {actual}",
        hint=f"the server sends wrong bytes, or the metadata is stale; what came is kept as {aside}",
    )


def close_part(part: PartFile, journal: Journal, header: Header | None, extents: list[Extent]) -> None:
    """Make what has arrived resumable and close; what the disk refuses now is fetched again by the next run."""
    try:
        if header is not None and extents:
            with _logged():
                checkpoint(part, journal, header, extents)
        if not (journal.extents and journal.path.exists()):
            # Nothing of it can be gone on with: it would only take up what was reserved.
            with _logged():
                part.remove()
            journal.remove()
    finally:
        part.close()
        journal.close()


@contextmanager
def _logged() -> Iterator[None]:
    try:
        yield
    except StorageError as error:
        _log.info("%s", error)
