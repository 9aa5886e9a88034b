"""Putting a link where Wan2GP looks, without ever harming a file.

Owns every rule about what may be linked to what: the source is proven and unchanged, the target is inside
the folders we may write to, what stands there is nothing, a broken link, or proven to be the same bytes.
"""

# Links are handled as text: pathlib would hide which of its calls follow them.
# ruff: noqa: PTH102, PTH106, PTH112, PTH120

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from wangp_downloader.cancel import CancelToken
from wangp_downloader.errors import LinkError, StorageError
from wangp_downloader.events import Emit, ignore
from wangp_downloader.files import Evidence, TargetKind, Wanted
from wangp_downloader.journal import Before, BeforeKind, Change, Journal, JournalAction
from wangp_downloader.library.hashes import HashIndex
from wangp_downloader.library.hashing import stamp_of
from wangp_downloader.library.placing import LinkMode, Piece, map_os_error, place_new, place_over
from wangp_downloader.library.stamp import Stamp
from wangp_downloader.library.targets import Standing, look
from wangp_downloader.paths import OUTSIDE_HINT

__all__ = ["LinkContext", "LinkMode", "PlacedLink", "check_root", "place_link"]


@dataclass(frozen=True, slots=True)
class LinkContext:
    """What making links needs to know besides the link itself; one for a whole run.

    Attributes:
        roots: Folders below which links may be made (checkpoint paths, lora root). They may themselves
            be, or lie behind, symbolic links; a link below them that leads out of all of them is refused.
        hashes: The memory of hashes, to prove the source.
        journal: Where changes are written down, or None for none.
        cancel: Stops hashing and copying.
        emit: Told of the progress of hashing and copying.
    """

    roots: tuple[Path, ...]
    hashes: HashIndex
    journal: Journal | None = None
    cancel: CancelToken = field(default_factory=CancelToken)
    emit: Emit = ignore


@dataclass(frozen=True, slots=True)
class PlacedLink:
    """What stands at a target now.

    Attributes:
        target: The target.
        source: The source.
        mode: How they are tied, if ``made``.
        made: False if the target had the wanted bytes already and nothing was changed.
        before: What stood there.
        bytes_copied: Bytes written, for copies.
        entry: Id of the journal's entry, or None.
    """

    target: str
    source: str
    mode: LinkMode
    made: bool
    before: Before = field(default_factory=Before)
    bytes_copied: int = 0
    entry: str | None = None


@dataclass(frozen=True, slots=True)
class _Job:
    """One link being made."""

    source: str
    target: str
    mode: LinkMode
    wanted: Wanted
    evidence: Evidence
    replace_proven: bool
    context: LinkContext


def place_link(  # noqa: PLR0913 - what, where and how; the rest is in the context
    source: Path,
    target: Path,
    *,
    mode: LinkMode,
    wanted: Wanted,
    context: LinkContext,
    evidence: Evidence = Evidence.COMPUTED,
    replace_proven: bool = False,
) -> PlacedLink:
    """Make the content at ``source`` appear at ``target``.

    Nothing is done if the target is the source already, under whatever name (a link made before, a hard
    link, a linked folder), or a link to another file with the wanted bytes. A broken link is repaired. No
    other mode than the one asked for is used: where it is not possible the error says what is.

    Args:
        source: Absolute path of the content; a symbolic link will hold exactly this text.
        target: Absolute path; never resolved.
        mode: Symbolic link, hard link, reflink or verified copy.
        wanted: What the bytes must be.
        context: Roots, hashes, journal, cancel token and event sink.
        evidence: How the source is known. COMPUTED: its remembered hash is looked up, and computed again
            if the file changed since. RECORDED and NAMED: its size must agree and no computed hash may
            contradict. GUESSED is refused.
        replace_proven: Whether a real file at the target may be replaced if its hash, and that of the
            source, are computed and are both the wanted one.

    Raises:
        LinkError: It is not possible, or would harm a file; nothing was changed. ``hint`` says what to do.
        IntegrityError: A copy's bytes were not the wanted ones; nothing was changed.
        StorageError: The disk refuses, or a file can not be read; nothing was changed.
        DatabaseError: The memory of hashes can not be read.
        CancelledError: The user asked to stop; nothing was changed.
    """
    for path, what in ((source, "source"), (target, "target")):
        if not path.is_absolute() or ".." in path.parts:
            raise LinkError(f"refused the {what} {path}: it is not a plain absolute path")
    job = _Job(str(source), str(target), mode, wanted, evidence, replace_proven, context)
    stamp = _source_stamp(job)
    standing = look(job.target)
    if _has_wanted(job, stamp, standing):
        return PlacedLink(job.target, job.source, mode, made=False)
    before = _may_go(job, standing)
    check_root(job.target, job.context.roots)
    proven = _prove(job, stamp, real_file=before.kind is BeforeKind.FILE)
    return _place(job, proven, standing, before)


def _source_stamp(job: _Job) -> Stamp:
    source = look(job.source)
    if source.stamp is None:
        raise LinkError(
            f"can not link {job.target} to {job.source}: there is no readable file",
            hint="scan again: the file was moved or removed",
        )
    if source.stamp.size != job.wanted.size:
        raise LinkError(
            f"can not link {job.target} to {job.source}: "
            f"it has {source.stamp.size:,} bytes, not {job.wanted.size:,}",
            hint="scan again: the file was replaced",
        )
    return source.stamp


def _has_wanted(job: _Job, source: Stamp, standing: Standing) -> bool:
    """True if the target is the source, or a link to another file with the wanted bytes."""
    if standing.stamp is None:
        return False
    if standing.stamp.file == source.file:
        return True
    if standing.kind is not TargetKind.LINK or standing.stamp.size != job.wanted.size:
        return False
    context, kind = job.context, job.wanted.digest.kind
    found = context.hashes.hashed(job.target, kind, cancel=context.cancel, emit=context.emit)
    return found.digest == job.wanted.digest


def _may_go(job: _Job, standing: Standing) -> Before:
    """Return what stands at the target if it may give way.

    Raises:
        LinkError: It may not.
    """
    match standing.kind:
        case TargetKind.ABSENT:
            return Before()
        case TargetKind.BROKEN_LINK:
            return Before(BeforeKind.LINK, link_to=standing.link_to)
        case TargetKind.LINK:
            raise LinkError(
                f"{job.target} is a link to other content ({standing.link_to})",
                hint="remove the link if it is not wanted, then try again",
            )
        case TargetKind.OTHER:
            raise LinkError(f"{job.target} can not be linked: {standing.problem or 'it is no file'}")
        case TargetKind.FILE:
            return _file_may_go(job, standing)


def _file_may_go(job: _Job, standing: Standing) -> Before:
    size = standing.stamp.size if standing.stamp is not None else None
    if not job.replace_proven:
        raise LinkError(f"{job.target} is a real file; it is not replaced")
    context, kind = job.context, job.wanted.digest.kind
    found = context.hashes.hashed(job.target, kind, cancel=context.cancel, emit=context.emit)
    if found.digest != job.wanted.digest:
        raise LinkError(f"{job.target} holds other bytes than {job.source}; it is not replaced")
    return Before(BeforeKind.FILE, size=size)


def _prove(job: _Job, stamp: Stamp, *, real_file: bool) -> Stamp:
    """Return the state of the source in which it is proven to hold the wanted bytes."""
    context, digest = job.context, job.wanted.digest
    if job.evidence is Evidence.GUESSED:
        raise LinkError(f"{job.source} is not proven to be what {job.target} needs; nothing was linked")
    if job.evidence is Evidence.COMPUTED or real_file:
        hashed = context.hashes.hashed(job.source, digest.kind, cancel=context.cancel, emit=context.emit)
        found, stamp = hashed.digest, hashed.stamp
    else:
        found = context.hashes.known({job.source: stamp}, digest.kind).get(job.source, digest)
    if found != digest:
        raise LinkError(
            f"{job.source} does not hold the bytes that {job.target} needs",
            hint="scan again: the file was replaced, or is damaged",
        )
    return stamp


def check_root(target: str, roots: Iterable[Path]) -> None:
    """Refuse a target whose folder, with all links followed, is outside all roots.

    Args:
        target: Absolute path; need not exist.
        roots: Folders below which may be written; they may themselves lie behind links.

    Raises:
        LinkError: It leads outside.
    """
    folder = folder_outside(os.path.dirname(target), roots)
    if folder is not None:
        raise LinkError(
            f"refused to write {target}: its folder is {folder}, outside the Wan2GP folders",
            hint=OUTSIDE_HINT,
        )


def folder_outside(folder: str, roots: Iterable[Path]) -> str | None:
    """Return where a folder really is, if that is outside all roots, else None."""
    folder = os.path.realpath(folder)
    for root in roots:
        real = os.path.realpath(root)
        if folder == real or folder.startswith(real.rstrip(os.sep) + os.sep):
            return None
    return folder


def _place(job: _Job, proven: Stamp, standing: Standing, before: Before) -> PlacedLink:
    folders: list[str] = []
    try:
        _make_folders(job, folders)
        check_root(job.target, job.context.roots)  # a folder made by someone else meanwhile may be a link
        if not stamp_of(job.source).same_content(proven):
            raise LinkError(f"{job.source} changed while {job.target} was being linked", hint="scan again")
        made, entry = _recorded(job, folders, before, lambda: _act(job, proven, standing))
    except BaseException:
        for folder in reversed(folders):
            with contextlib.suppress(OSError):
                os.rmdir(folder)
        raise
    copied = job.wanted.size if job.mode is LinkMode.COPY and made else 0
    return PlacedLink(job.target, job.source, job.mode, made, before, copied, entry)


def _recorded(
    job: _Job, folders: list[str], before: Before, act: Callable[[], bool]
) -> tuple[bool, str | None]:
    """Announce the change in the journal, make it, and note how it ended; return whether it was made."""
    journal = job.context.journal
    if journal is None:
        return act(), None
    for folder in folders:
        journal.record(Change(JournalAction.MKDIR, folder))
    change = Change(JournalAction.LINK, job.target, job.source, job.mode.value, job.wanted.digest, before)
    entry = journal.begin(change)
    made = False
    try:
        made = act()
    finally:
        journal.finish(entry, done=made, after=os.lstat(job.target) if made else None)
    return made, entry if made else None


def _act(job: _Job, proven: Stamp, standing: Standing) -> bool:
    """Make the link; return False if someone else made the same link meanwhile."""
    context = job.context
    piece = Piece(job.source, job.target, job.mode, job.wanted.digest, context.cancel, context.emit)
    if standing.kind is not TargetKind.ABSENT:
        place_over(piece, standing, lambda: _leads_right(job, proven))
    else:
        try:
            place_new(piece)
        except FileExistsError as error:
            if _has_wanted(job, proven, look(job.target)):
                return False
            raise LinkError(f"{job.target} appeared meanwhile; it was left as it is") from error
    _remember(job, proven)
    return True


def _remember(job: _Job, proven: Stamp) -> None:
    """Spare the next run a hash: of the source whose ctime a hard link changed, of a target of its own."""
    hashes, digest = job.context.hashes, job.wanted.digest
    if job.mode is LinkMode.HARDLINK:
        hashes.relinked(job.source, proven)
    computed = job.evidence is Evidence.COMPUTED
    unchanged_clone = job.mode is LinkMode.REFLINK and computed and stamp_of(job.source) == proven
    if job.mode is LinkMode.COPY or unchanged_clone:
        hashes.remember(Path(job.target), digest, job.wanted.size)


def _leads_right(job: _Job, proven: Stamp) -> bool:
    """True if the source is still there and the target now gives its content."""
    source, target = look(job.source).stamp, look(job.target).stamp
    if source is None or target is None or not source.same_content(proven):
        return False
    own_file = job.mode in (LinkMode.COPY, LinkMode.REFLINK)
    return target.size == proven.size if own_file else target.file == proven.file


def _make_folders(job: _Job, made: list[str]) -> None:
    """Make the target's missing parents; add those made to ``made``, outermost first."""
    missing = []
    folder = os.path.dirname(job.target)
    while not os.path.lexists(folder):
        missing.append(folder)
        folder = os.path.dirname(folder)
    for name in reversed(missing):
        try:
            os.mkdir(name)
        except FileExistsError:
            continue
        except OSError as error:
            raise map_os_error(error, job.mode, job.source, job.target) from error
        made.append(name)
    if not os.path.isdir(os.path.dirname(job.target)):
        raise StorageError(f"can not make {job.target}: {folder} is not a folder")
