"""A lock file that one process holds while it fetches a file. Released by the system when a process dies."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from pathlib import Path

_UNSUPPORTED = frozenset(
    code
    for name in ("ENOLCK", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EINVAL")
    if (code := getattr(errno, name, None)) is not None
)


class FileLock:
    """An exclusive lock by a file of its own; also excludes other holders in this process.

    Args:
        path: The lock file; made when needed, removed at release. Where the file system knows no locks, all
            hold it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd = -1

    @property
    def held(self) -> bool:
        """True while we hold it."""
        return self._fd >= 0

    def acquire(self) -> bool:
        """Try to take the lock without waiting; return whether we hold it now.

        Raises:
            OSError: The lock file can not be made.
        """
        if self.path.is_symlink():
            self.path.unlink()  # somebody's trap, or mistake: what it points to is not ours
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)
        fd = os.open(self.path, flags, 0o666)
        try:
            taken = self._lock(fd) and self._still_there(fd)
        except BaseException:
            os.close(fd)
            raise
        if not taken:
            os.close(fd)
            return False
        self._fd = fd
        return True

    def release(self) -> None:
        """Let go and remove the file; may be called twice."""
        fd, self._fd = self._fd, -1
        if fd < 0:
            return
        # Removed while still held: who waits on the old file sees that it is gone and makes a new one.
        if os.name == "posix":
            with contextlib.suppress(OSError):
                self.path.unlink()
        os.close(fd)
        if os.name != "posix":
            with contextlib.suppress(OSError):
                self.path.unlink()

    def _lock(self, fd: int) -> bool:
        try:
            _lock_exclusively(fd)
        except (BlockingIOError, PermissionError):
            return False
        except OSError as error:
            if error.errno not in _UNSUPPORTED:
                raise
        return True

    def _still_there(self, fd: int) -> bool:
        try:
            return os.path.samestat(os.fstat(fd), os.stat(self.path))  # noqa: PTH116 - as os.fstat
        except FileNotFoundError:
            return False


def is_held(path: Path) -> bool:
    """Return whether somebody holds the lock of this file; takes it for a moment to find out."""
    if not path.exists():
        return False
    lock = FileLock(path)
    try:
        if not lock.acquire():
            return True
    except PermissionError:
        return _is_held_by_another_user(path)
    except OSError:
        return False
    lock.release()
    return False


def _is_held_by_another_user(path: Path) -> bool:
    try:
        fd = os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
    except OSError:
        return False
    try:
        _lock_exclusively(fd)
    except OSError as error:
        return error.errno not in _UNSUPPORTED
    finally:
        os.close(fd)
    return False


if sys.platform == "win32":
    import msvcrt

    def _lock_exclusively(fd: int) -> None:
        msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _lock_exclusively(fd: int) -> None:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
