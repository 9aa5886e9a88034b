"""Taking back what the journal records: links that are still ours, and nothing else.

Owns the rules by which something we placed may be removed. The last copy of any content is never removed.
"""

# Links are handled as text: pathlib would hide which of its calls follow them.
# ruff: noqa: PTH106, PTH108

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from wangp_downloader.cancel import CancelToken
from wangp_downloader.errors import CancelledError, DownloaderError
from wangp_downloader.events import Emit, ignore
from wangp_downloader.files import TargetKind
from wangp_downloader.journal import BeforeKind, Change, Entry, Journal, JournalAction, JournalState
from wangp_downloader.library.hashes import HashIndex
from wangp_downloader.library.placing import LinkMode, Piece, place_over, place_text
from wangp_downloader.library.targets import Standing, look

_PLACED = frozenset({JournalAction.LINK, JournalAction.DOWNLOAD, JournalAction.MKDIR})


@dataclass(frozen=True, slots=True)
class UndoContext:
    """What undoing needs.

    Attributes:
        journal: Where it is written down.
        hashes: The memory of hashes, kept true where hard links are removed; None if there is none.
        downloads: Whether downloaded files are removed too.
        cancel: Looked at before each entry.
        emit: Told of the progress of copies.
    """

    journal: Journal
    hashes: HashIndex | None
    downloads: bool
    cancel: CancelToken
    emit: Emit = ignore


@dataclass(frozen=True, slots=True)
class Undone:
    """What became of one entry.

    Attributes:
        entry: The entry.
        done: True if it was taken back.
        reason: Why not, for people, where it was not.
    """

    entry: Entry
    done: bool
    reason: str | None = None


def undoable(entries: Sequence[Entry], *, run: str | None = None) -> list[Entry]:
    """Return the changes that were made and not taken back yet, newest first.

    Args:
        entries: As :meth:`Journal.entries` gives them.
        run: Only those of this run; None for all.
    """
    taken_back = {entry.change.source for entry in entries if entry.change.action is JournalAction.UNDO}
    return [
        entry
        for entry in reversed(entries)
        if entry.change.action in _PLACED
        and entry.state is not JournalState.FAILED
        and entry.id not in taken_back
        and (run is None or entry.run == run)
    ]


def last_run(entries: Sequence[Entry]) -> str | None:
    """Return the id of the newest run with something left to take back, or None."""
    left = undoable(entries)
    return left[0].run if left else None


def undo(entries: Collection[Entry], context: UndoContext) -> list[Undone]:
    """Take back changes, in the order given; what is no longer as we left it stays.

    A symbolic link is removed if it still has the text we wrote, a hard link if the source still is the
    same file, a copy or reflink if it is unchanged and the source still exists. Where a broken link or a
    file stood before, it is put back (a file as a verified copy of the source). Folders we made are
    removed if empty.

    Args:
        entries: Newest first, as :func:`undoable` gives them.
        context: Journal, hashes, options.

    Raises:
        CancelledError: The user asked to stop; what was taken back is in the journal.
        StorageError: The journal can not be written.
    """
    results = []
    for entry in entries:
        context.cancel.raise_if_cancelled()
        try:
            reason = _undo_one(entry, context)
        except CancelledError:
            raise
        except DownloaderError as error:
            reason = error.message
        except OSError as error:
            reason = error.strerror or str(error)
        if reason is None:
            context.journal.record(Change(JournalAction.UNDO, entry.change.target, entry.id))
        results.append(Undone(entry, reason is None, reason))
    return results


def _undo_one(entry: Entry, context: UndoContext) -> str | None:
    """Take one entry back; return why not, or None."""
    change = entry.change
    match change.action:
        case JournalAction.MKDIR:
            os.rmdir(change.target)
            return None
        case JournalAction.DOWNLOAD:
            return _undo_download(entry, context)
        case JournalAction.LINK:
            return _undo_link(entry, context)
        case _:
            return f"a {change.action.value} can not be taken back"


def _undo_download(entry: Entry, context: UndoContext) -> str | None:
    if not context.downloads:
        return "downloaded files are kept unless asked for"
    if not _is_as_left(entry, look(entry.change.target)):
        return "it is not there any more, or has changed"
    os.unlink(entry.change.target)
    return None


def _undo_link(entry: Entry, context: UndoContext) -> str | None:
    change = entry.change
    standing = look(change.target)
    reason = _why_not_ours(entry, standing)
    if reason is not None:
        return reason
    source = look(change.source or "")
    match change.before.kind:
        case BeforeKind.ABSENT:
            os.unlink(change.target)
        case BeforeKind.LINK:
            place_text(change.before.link_to or "", change.target, standing)
        case BeforeKind.FILE:
            return _restore_file(change, standing, context)
    if change.mode == LinkMode.HARDLINK and source.stamp is not None and context.hashes is not None:
        context.hashes.relinked(source.path, source.stamp)
    return None


def _why_not_ours(entry: Entry, standing: Standing) -> str | None:
    change = entry.change
    if standing.kind is TargetKind.ABSENT:
        return "it is not there any more"
    if change.mode == LinkMode.SYMLINK:
        return None if standing.link_to == change.source else "it is not our link any more"
    source = look(change.source or "")
    if source.stamp is None:
        return "its source is gone: this is the last copy"
    if standing.kind is not TargetKind.FILE or standing.stamp is None:
        return "it is not our file any more"
    if change.mode == LinkMode.HARDLINK:
        # Two names of one folder would also look like this; then there is one directory entry, one name.
        several = standing.own is not None and standing.own.st_nlink > 1
        return None if several and standing.stamp.file == source.stamp.file else "it is not our link any more"
    unchanged = _is_as_left(entry, standing) and source.stamp.size == standing.stamp.size
    other_file = source.stamp.file != standing.stamp.file
    return None if unchanged and other_file else "it or its source has changed"


def _is_as_left(entry: Entry, standing: Standing) -> bool:
    if standing.own is None or entry.after is None or not stat.S_ISREG(standing.own.st_mode):
        return False
    own = standing.own
    return (own.st_dev, own.st_ino, own.st_size, own.st_mtime_ns) == entry.after


def _restore_file(change: Change, standing: Standing, context: UndoContext) -> str | None:
    """Give the target a file of its own again, as it had before it was replaced by a link."""
    if change.mode in (LinkMode.COPY, LinkMode.REFLINK):
        return None  # it is one
    if change.source is None or change.digest is None:
        return "the journal does not say what it held"
    piece = Piece(change.source, change.target, LinkMode.COPY, change.digest, context.cancel, context.emit)
    place_over(piece, standing, lambda: look(change.target).kind is TargetKind.FILE)
    return None
