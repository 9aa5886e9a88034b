"""How a link comes to stand at a path: atomic system calls, none that overwrites. Decides nothing."""

# Links are handled as text: pathlib would hide which of its calls follow them.
# ruff: noqa: PTH105, PTH108, PTH118, PTH120, PTH123, PTH211

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from wangp_downloader.cancel import CancelToken
from wangp_downloader.errors import DownloaderError, IntegrityError, LinkError, StorageError
from wangp_downloader.events import Emit
from wangp_downloader.files import Digest
from wangp_downloader.library.hashing import HashMeter, buffers, new_hasher, reading
from wangp_downloader.library.targets import Standing, look
from wangp_downloader.renames import displace, publish, sync_folder

_FICLONE = 0x40049409
"""Linux ``ioctl_ficlone(2)``: let a file share all blocks of another."""
_WINDOWS_NO_PRIVILEGE = 1314
_NEW_FILE_FLAGS = (
    os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
)


class LinkMode(StrEnum):
    """How a target gets the content of a source: the values of ``link`` in the settings."""

    SYMLINK = "symlink"
    """A name that leads to the source; works across file systems; broken if the source moves."""
    HARDLINK = "hardlink"
    """A second name of the same file: the bytes stay until both are removed; same file system only."""
    REFLINK = "reflink"
    """A file of its own that shares the blocks (btrfs, XFS, …); same file system only."""
    COPY = "copy"
    """A file of its own, hashed while it is copied; takes its full size."""


@dataclass(frozen=True, slots=True)
class Piece:
    """What is to be placed.

    Attributes:
        source: Absolute path of the content, as a symbolic link shall name it.
        target: Absolute path.
        mode: How.
        digest: What a copy must hash to.
        cancel: Stops a copy.
        emit: Told of a copy's progress.
    """

    source: str
    target: str
    mode: LinkMode
    digest: Digest
    cancel: CancelToken
    emit: Emit


def temporary_name(target: str) -> str:
    """Return a free hidden name beside ``target``, short whatever the target's name; scans leave it out."""
    return os.path.join(os.path.dirname(target), f".wangp-{secrets.token_hex(6)}.tmp")


def place_new(piece: Piece) -> None:
    """Place where nothing stands.

    Raises:
        FileExistsError: Something stands there by now; it is untouched.
        LinkError: This file system or system can not do that.
        StorageError: The disk is full, read-only or not ours.
        IntegrityError: A copy's bytes are not the wanted ones; nothing is placed.
        CancelledError: The user asked to stop; nothing is placed.
    """
    with _mapped_errors(piece):
        if piece.mode in (LinkMode.SYMLINK, LinkMode.HARDLINK):
            _make(piece, piece.target)
        else:
            with _temporary(piece.target) as temporary:
                _make(piece, temporary)
                publish(temporary, piece.target)
        sync_folder(os.path.dirname(piece.target))


def place_over(piece: Piece, standing: Standing, accept: Callable[[], bool]) -> None:
    """Place where something stands that may go, and take it away only when all is well.

    What stood there is moved aside, not removed, until the new link is seen to lead to the source; in any
    other case it is moved back. That holds even if target and source are one folder under two names.

    Args:
        piece: What to place.
        standing: What was seen at the target.
        accept: Asked when the new link is in place: does it lead to the right file?

    Raises:
        LinkError: The target changed meanwhile, or is the source under another name; all is as it was.
        StorageError, IntegrityError, CancelledError: As :func:`place_new`.
    """
    with _mapped_errors(piece):
        old = _displaced(piece.target, lambda name: _make(piece, name))
        try:
            unchanged = _is_same(look(old), standing)
            accepted = unchanged and accept()
        except BaseException:
            os.replace(old, piece.target)
            raise
        if not accepted:
            os.replace(old, piece.target)
            why = "the new link does not lead to the source" if unchanged else "it changed meanwhile"
            raise LinkError(f"{piece.target} was left as it was: {why}")
        os.unlink(old)
        sync_folder(os.path.dirname(piece.target))


def place_text(text: str, target: str, standing: Standing) -> None:
    """Put back a symbolic link with this text, over what stands at ``target``.

    Raises:
        OSError: The file system refuses; the target is as it was.
        LinkError: The target changed meanwhile.
    """
    old = _displaced(target, lambda name: os.symlink(text, name))
    if not _is_same(look(old), standing):
        os.replace(old, target)
        raise LinkError(f"{target} was left as it was: it changed meanwhile")
    os.unlink(old)


def _displaced(target: str, make: Callable[[str], None]) -> str:
    """Make something new under a hidden name, put it at ``target``; return where the old thing is now."""
    temporary = temporary_name(target)
    try:
        make(temporary)
        return displace(temporary, target, temporary_name(target))
    except Exception:
        # Not for KeyboardInterrupt: that may come when the hidden name already holds the old thing.
        _remove(temporary)
        raise


def _make(piece: Piece, path: str) -> None:
    match piece.mode:
        case LinkMode.SYMLINK:
            os.symlink(piece.source, path)
        case LinkMode.HARDLINK:
            os.link(os.path.realpath(piece.source), path)
        case LinkMode.REFLINK:
            _reflink(piece.source, path)
        case LinkMode.COPY:
            _copy(piece, path)


def _reflink(source: str, path: str) -> None:
    if not sys.platform.startswith("linux"):
        raise OSError(errno.EOPNOTSUPP, "reflinks are made on Linux only")
    import fcntl  # noqa: PLC0415 - not on Windows

    with reading(source) as (origin, _):
        copy = os.open(path, _NEW_FILE_FLAGS, 0o666)
        try:
            fcntl.ioctl(copy, _FICLONE, origin)
            os.fsync(copy)
        finally:
            os.close(copy)


def _copy(piece: Piece, path: str) -> None:
    with reading(piece.source) as (origin, stamp):
        hasher = new_hasher(piece.digest.kind, stamp.size)
        meter = HashMeter(piece.target, stamp.size, piece.emit)
        copy = os.open(path, _NEW_FILE_FLAGS, 0o666)
        with open(copy, "wb", buffering=0) as file:
            done = 0
            for data in buffers(origin, piece.source, piece.cancel):
                hasher.update(data)
                _write_all(file.fileno(), data)
                done += len(data)
                meter.advanced(done)
            os.fsync(file.fileno())
    if hasher.hexdigest() != piece.digest.hex:
        raise IntegrityError(
            f"{piece.source} does not hold the wanted bytes (found by copying it)",
            hint="the file is damaged or was replaced; nothing was placed",
        )
    meter.finished()


def _write_all(descriptor: int, data: memoryview) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


_COPY_PREFIX = ".wangp-copy-"
"""Only ever names what is made anew: never the place of a file that was moved aside."""
_ABANDONED_S = 3600.0
"""A copy that has not grown for so long belongs to a program that was killed."""


@contextlib.contextmanager
def _temporary(target: str) -> Iterator[str]:
    """Give a free name beside the target; whatever has that name at the end is removed."""
    folder = os.path.dirname(target)
    _remove_abandoned(folder)
    name = os.path.join(folder, f"{_COPY_PREFIX}{secrets.token_hex(6)}.tmp")
    try:
        yield name
    finally:
        _remove(name)


def _remove_abandoned(folder: str) -> None:
    """Remove the half copies that killed programs left in a folder."""
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(_COPY_PREFIX) and entry.is_file(follow_symlinks=False):
                if time.time() - entry.stat(follow_symlinks=False).st_mtime > _ABANDONED_S:
                    _remove(entry.path)


def _remove(name: str) -> None:
    with contextlib.suppress(OSError):
        os.unlink(name)


def _is_same(now: Standing, before: Standing) -> bool:
    """True if both looks saw the same thing: same inode, and for a link the same text."""
    if now.own is None or before.own is None or now.link_to != before.link_to:
        return False
    one, other = now.own, before.own
    return (one.st_dev, one.st_ino, one.st_size, one.st_mtime_ns) == (
        other.st_dev, other.st_ino, other.st_size, other.st_mtime_ns
    )  # fmt: skip


@contextlib.contextmanager
def _mapped_errors(piece: Piece) -> Iterator[None]:
    try:
        yield
    except (FileExistsError, DownloaderError):
        raise
    except OSError as error:
        raise map_os_error(error, piece.mode, piece.source, piece.target) from error


_DISK: dict[int, tuple[str, str]] = {
    errno.ENOSPC: ("the disk is full", "free some space, or link instead of copying"),
    errno.EROFS: ("the file system is read-only", "make it writable, or choose another folder"),
    errno.EACCES: ("permission denied", "give your user the right to write there"),
    errno.EIO: ("the disk reports an error", "check the disk"),
}
if hasattr(errno, "EDQUOT"):
    _DISK[errno.EDQUOT] = ("your disk quota is used up", "free some space, or link instead of copying")

_OTHER_FILE_SYSTEM = "set `link: symlink` or `link: copy`"
_LINKING: dict[int, tuple[str, str]] = {
    errno.EXDEV: ("source and target are on different file systems", _OTHER_FILE_SYSTEM),
    errno.EOPNOTSUPP: ("this file system can not do that", _OTHER_FILE_SYSTEM),
    errno.ENOTTY: ("this file system can not do that", _OTHER_FILE_SYSTEM),
    errno.EINVAL: ("this file system can not do that", _OTHER_FILE_SYSTEM),
    errno.EPERM: ("this file system or system does not allow it", "set `link: copy`, or own the source file"),
    errno.EMLINK: ("the source has too many names already", "set `link: symlink`"),
}


def map_os_error(error: OSError, mode: LinkMode, source: str, target: str) -> DownloaderError:
    """Return our error for what the system said when a link was made.

    Args:
        error: What it said.
        mode: What was tried.
        source: Where the content is.
        target: Where the link should be.
    """
    what = f"can not make a {mode.value} at {target} to {source}"
    if getattr(error, "winerror", None) == _WINDOWS_NO_PRIVILEGE:
        return LinkError(
            f"{what}: Windows does not let you make symbolic links",
            hint="switch on Developer Mode in Windows' settings, or set `link: hardlink` or `link: copy`",
        )
    code = error.errno or 0
    if code in _DISK:
        reason, hint = _DISK[code]
        return StorageError(f"{what}: {reason}", hint=hint)
    reason, hint = _LINKING.get(code, (error.strerror or str(error), ""))
    return LinkError(f"{what}: {reason}", hint=hint or None)
