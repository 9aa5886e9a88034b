"""Renames that do not overwrite what they were not told about. Owns the one system call Python lacks."""

# Links are handled as text: pathlib would hide which of its calls follow them.
# ruff: noqa: PTH104, PTH108

from __future__ import annotations

import contextlib
import ctypes
import errno
import functools
import os
import sys
from collections.abc import Callable
from pathlib import Path

_AT_FDCWD = -100
_NOREPLACE = 1
_EXCHANGE = 2
_UNSUPPORTED = frozenset({errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP, errno.EPERM})


def publish(temporary: str, target: str) -> None:
    """Give a finished file its final name, if nothing has that name.

    Args:
        temporary: A regular file in the folder of ``target``.
        target: Absolute path.

    Raises:
        FileExistsError: Something stands at ``target``; it is untouched.
        OSError: The file system refuses.
    """
    if _renameat2(temporary, target, _NOREPLACE):
        return
    try:
        os.link(temporary, target)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links: the last look comes a moment before the rename
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, "exists", target) from None
        os.rename(temporary, target)
        return
    os.unlink(temporary)


def displace(new: str, target: str, aside: str) -> str:
    """Put ``new`` at ``target`` and keep what stood there; return where it is now.

    Where the system can exchange two names the target is never without a file, and what comes out is
    exactly what stood there at that moment.

    Args:
        new: What shall stand at ``target``, in the same folder.
        target: Something that exists.
        aside: A free name in the same folder, for systems that can not exchange.

    Raises:
        OSError: The file system refuses; ``target`` is as it was.
    """
    if _renameat2(new, target, _EXCHANGE):
        return new
    os.rename(target, aside)
    try:
        os.rename(new, target)
    except OSError:
        os.rename(aside, target)
        raise
    return aside


def sync_folder(folder: str | Path) -> None:
    """Make the names in a folder survive a power cut, where the system can."""
    if os.name != "posix":
        return
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _renameat2(old: str, new: str, flags: int) -> bool:
    """Call Linux's ``renameat2`` (man page rename(2)); return False where it is not to be had."""
    call = _system_call()
    if call is None:
        return False
    if call(_AT_FDCWD, os.fsencode(old), _AT_FDCWD, os.fsencode(new), flags) == 0:
        return True
    code = ctypes.get_errno()
    if code in _UNSUPPORTED:
        return False
    raise OSError(code, os.strerror(code), new)


@functools.cache
def _system_call() -> Callable[..., int] | None:
    if not sys.platform.startswith("linux"):
        return None
    with contextlib.suppress(OSError, AttributeError):
        function = ctypes.CDLL(None, use_errno=True).renameat2
        function.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint]
        function.restype = ctypes.c_int
        return function
    return None
