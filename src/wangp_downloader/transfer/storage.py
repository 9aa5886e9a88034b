"""The disk under a transfer: the part file, space, syncing, putting a file in place.

The only module of the room that creates, renames or deletes at a destination. Maps ``OSError`` to
:class:`StorageError` in one table.
"""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import stat
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from wangp_downloader import renames
from wangp_downloader.errors import StorageError, TransferError
from wangp_downloader.units import MIB, format_size

_HINTS = {
    errno.ENOSPC: "make room on that disk and start again; what has arrived is kept",
    errno.EDQUOT: "your disk quota is used up: make room and start again; what has arrived is kept",
    errno.EROFS: "the file system is read-only: choose another folder or mount it writable",
    errno.EACCES: "check who owns the folder and its permissions",
    errno.EPERM: "check who owns the folder and its permissions",
    errno.ENOENT: "the folder was removed or renamed meanwhile: start again",
    errno.EFBIG: "the file system does not take files of this size (FAT32 ends at 4 GB)",
    errno.EIO: "the disk reports errors: check it before anything else",
    errno.EISDIR: "something that this program did not make has this name: move it away and start again",
}
_PREALLOCATE_FROM = 4 * MIB
_KEEP_FREE = 16 * MIB
_UNWATCHED = ("nfs", "cifs", "smb", "fuse", "9p", "ceph", "afs", "vfat", "msdos", "exfat", "ntfs", "hfs")
"""File systems that would send what is not sent yet before they tell a time of change, or tell it in seconds."""
_NOT_RESERVED = frozenset({"tmpfs", "vfat", "msdos"})
"""File systems on which reserving space writes to it."""


@contextmanager
def storage_errors(doing: str, path: Path) -> Iterator[None]:
    """Turn ``OSError`` into :class:`StorageError` that names the file.

    Args:
        doing: What was tried, as in "can not <doing> <path>".
        path: The file or folder.
    """
    try:
        yield
    except OSError as error:
        raise storage_error(doing, path, error) from error


def storage_error(doing: str, path: Path, error: OSError) -> StorageError:
    """Return the error for a failed system call; never retried, whatever the reason."""
    reason = "disk full" if error.errno == errno.ENOSPC else (error.strerror or str(error))
    return StorageError(f"can not {doing} {path}: {reason}", hint=_HINTS.get(error.errno or 0))


class PartFile:
    """An open part file: written by one thread, synced and read by others.

    Args:
        path: The file, created if it is not there.

    Attributes:
        disturbed: True once something else may have written to it: its time of change was not ours, or tells nothing.

    Raises:
        StorageError: It can not be opened.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._unsynced = False
        with storage_errors("write", path):
            flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
            self._fd = os.open(path, flags | getattr(os, "O_NOFOLLOW", 0), 0o666)
            if not stat.S_ISREG(os.fstat(self._fd).st_mode):
                self.close()
                raise OSError(errno.EISDIR, "it is no regular file", str(path))
            self._identity = self._stat()
            self._changed_ns = os.fstat(self._fd).st_mtime_ns
        self._file_system = _file_system(self._fd)
        self._watched = not self._file_system.startswith(_UNWATCHED)
        self.disturbed = not self._watched

    @property
    def length(self) -> int:
        """Bytes of the file, holes and preallocated space included."""
        return os.fstat(self._fd).st_size

    def write(self, offset: int, chunks: Sequence[bytes | memoryview]) -> None:
        """Write ``chunks`` one after the other from ``offset`` on; raises the bare ``OSError``."""
        self.look()
        written = _write_chunks(self._fd, chunks, offset)
        total = sum(map(len, chunks))
        if written < total:
            # A short write is the kernel's way to say that the next one will fail: let it say why.
            rest = memoryview(b"".join(chunks))[written:]
            while rest:
                count = _write_chunks(self._fd, [rest], offset + total - len(rest))
                rest = rest[count:]
        if self._watched:
            self._changed_ns = os.fstat(self._fd).st_mtime_ns

    def look(self) -> None:
        """Notice whether something else has written to the file since we did, where that costs nothing."""
        if self._watched and os.fstat(self._fd).st_mtime_ns != self._changed_ns:
            self.disturbed = True

    @property
    def device(self) -> int:
        """The number of the file system that it is on."""
        return self._identity[0]

    def missing(self, size: int) -> int:
        """Return how much of ``size`` bytes the file does not occupy yet; 0 once it is closed, by any thread."""
        try:
            found = os.fstat(self._fd)
        except OSError:
            return 0
        blocks: int | None = getattr(found, "st_blocks", None)
        return max(0, size - (found.st_size if blocks is None else blocks * 512))

    def reserve(self, size: int) -> None:
        """Reserve ``size`` bytes where that is cheap, so that a full disk shows early and the file is in one piece.

        Raises:
            StorageError: There is too little space.
        """
        if size >= _PREALLOCATE_FROM and self._file_system not in _NOT_RESERVED:
            with storage_errors("reserve space for", self.path):
                _fallocate(self._fd, size)
                self._changed_ns = os.fstat(self._fd).st_mtime_ns

    def truncate(self, size: int) -> None:
        """Cut or extend to ``size`` bytes."""
        with storage_errors("resize", self.path):
            os.ftruncate(self._fd, size)
            self._changed_ns = os.fstat(self._fd).st_mtime_ns

    def sync_data(self) -> None:
        """Bring what was written to the disk; may block for long.

        Raises:
            StorageError: The disk refused, now or earlier, or the file is no longer at its path.
        """
        with storage_errors("write", self.path):
            # A system tells only once that it could not write back, and then takes the bytes for written.
            if self._unsynced:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            try:
                getattr(os, "fdatasync", os.fsync)(self._fd)
            except OSError:
                self._unsynced = True
                raise
            found = self.path.stat()
            if (found.st_dev, found.st_ino) != self._identity:
                raise FileNotFoundError(errno.ENOENT, "it was replaced by another file meanwhile")

    def remove(self) -> None:
        """Delete the file, unless another one stands at its path by now."""
        with storage_errors("remove", self.path):
            found = self.path.lstat()
            if (found.st_dev, found.st_ino) == self._identity:
                self.path.unlink()

    def close(self) -> None:
        """Close the file; may be called twice."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def _stat(self) -> tuple[int, int]:
        found = os.fstat(self._fd)
        return (found.st_dev, found.st_ino)


if hasattr(os, "pwritev"):

    def _write_chunks(fd: int, chunks: Sequence[bytes | memoryview], offset: int) -> int:
        return os.pwritev(fd, chunks, offset)

elif hasattr(os, "pwrite"):

    def _write_chunks(fd: int, chunks: Sequence[bytes | memoryview], offset: int) -> int:
        return os.pwrite(fd, b"".join(chunks), offset)

else:

    def _write_chunks(fd: int, chunks: Sequence[bytes | memoryview], offset: int) -> int:
        # One thread writes, the readers have descriptors of their own: the position is ours.
        os.lseek(fd, offset, os.SEEK_SET)
        return os.write(fd, b"".join(chunks))


class Room:
    """The space that the open files of a run will still take: what is promised to one is not there for another."""

    def __init__(self) -> None:
        self._sizes: dict[PartFile, int] = {}
        self._lock = threading.Lock()

    def claim(self, part: PartFile, size: int) -> None:
        """Promise a part the space for ``size`` bytes in all; from any thread.

        Raises:
            StorageError: There is too little.
        """
        folder = part.path.parent
        with self._lock, storage_errors("use the folder", folder):
            free = shutil.disk_usage(folder).free
            needed, spare = part.missing(size), min(_KEEP_FREE, size)
            others = (each for each in self._sizes.items() if each[0] is not part)
            promised = sum(other.missing(whole) for other, whole in others if other.device == part.device)
            if needed and needed + promised + spare > free:
                theirs = f", {format_size(promised)} of them for files on their way" if promised else ""
                raise StorageError(
                    f"disk full: {folder} needs {format_size(needed)} more and {format_size(spare)} to spare, "
                    f"{format_size(free)} are free{theirs}",
                    hint="make room on that disk and start again",
                )
            self._sizes[part] = size

    def leave(self, part: PartFile) -> None:
        """Promise a part nothing any more."""
        with self._lock:
            self._sizes.pop(part, None)


def allocated(path: Path) -> int:
    """Return the bytes that a file occupies on its disk; raises the bare ``OSError``."""
    found = path.lstat()
    blocks: int | None = getattr(found, "st_blocks", None)
    return found.st_size if blocks is None else blocks * 512


def _fallocate(fd: int, size: int) -> None:
    """Reserve blocks by fallocate(2) itself: the C library's posix_fallocate writes zeros where it can't."""
    if sys.platform != "linux":
        return
    try:
        fallocate = ctypes.CDLL(None, use_errno=True).fallocate64
    except (OSError, AttributeError):
        return
    if fallocate(fd, 0, ctypes.c_int64(0), ctypes.c_int64(size)) != 0:
        code = ctypes.get_errno()
        if code in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
            raise OSError(code, os.strerror(code))


def _file_system(fd: int) -> str:
    """Return the type of the file system that a file is on, as Linux names it; empty where that is not known."""
    device = os.fstat(fd).st_dev
    number = f"{os.major(device)}:{os.minor(device)}" if hasattr(os, "major") else ""
    try:
        lines = Path("/proc/self/mountinfo").read_text(errors="replace").splitlines()
    except OSError:
        return ""
    # "36 35 98:0 /root /mnt options - type source options", proc_pid_mountinfo(5)
    for line in lines:
        before, _, after = line.partition(" - ")
        if after and before.split()[2] == number:
            return after.split()[0]
    return ""


def publish(part: Path, destination: Path) -> None:
    """Give a verified, synced part file its final name, never replacing anything but a broken link.

    Raises:
        TransferError: Something stands at ``destination``.
        StorageError: The folder is gone, read-only or full.
    """
    try:
        if destination.is_symlink() and not destination.exists():
            part.replace(destination)  # a broken link holds nothing that could be lost
        else:
            renames.publish(str(part), str(destination))
    except FileExistsError:
        raise TransferError(
            f"something else appeared at {destination} while it was being fetched; it was not touched",
            hint=f"move it away and start again; what was fetched is in {part}",
        ) from None
    except OSError as error:
        raise storage_error("put in place", destination, error) from error
    renames.sync_folder(destination.parent)
