"""Reads small files that other people wrote, so that no pipe, device or huge file can hang the program.

Owns opening and measuring; what the bytes mean is the caller's business.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO


def open_regular(path: Path) -> BinaryIO:
    """Open a regular file for reading; never waits for a pipe's writer.

    Args:
        path: The file, or a symbolic link to it.

    Raises:
        OSError: It can not be opened or is no regular file; ``strerror`` says which.
    """
    # Without O_NONBLOCK the mere opening of a named pipe would wait for its writer.
    flags = (
        os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
    )
    descriptor = os.open(path, flags)
    try:
        require_regular(descriptor, path)
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def require_regular(descriptor: int, path: Path) -> None:
    """Refuse what is open under ``descriptor`` if it is a folder, pipe or device.

    Raises:
        OSError: It is no regular file; ``strerror`` says what it is.
    """
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        what = "Is a directory" if stat.S_ISDIR(mode) else "Is no regular file"
        raise OSError(errno.EINVAL, what, str(path))


def read_small(path: Path, max_bytes: int) -> bytes:
    """Return a regular file's content.

    Args:
        path: The file, or a symbolic link to it.
        max_bytes: More than this is refused unread.

    Raises:
        OSError: It can not be read, is no regular file, or is too large; ``strerror`` says which.
    """
    with open_regular(path) as file:
        content = file.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise OSError(errno.EFBIG, f"Is larger than {max_bytes // 1024**2} MB", str(path))
    return content
