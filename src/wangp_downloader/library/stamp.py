"""The identity of a file's state: what must not have changed for a computed hash to be still true."""

from __future__ import annotations

import os
from typing import NamedTuple


class Stamp(NamedTuple):
    """What ``stat`` says of a regular file's identity and last change.

    Attributes:
        device: ``st_dev``.
        inode: ``st_ino``.
        size: Bytes.
        mtime_ns: Last change of the content, nanoseconds since the epoch.
        ctime_ns: Last change of the inode (content, links, owner), nanoseconds since the epoch. It can not
            be set back by a program, so a file replaced under an old mtime is noticed.
    """

    device: int
    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int

    @classmethod
    def of(cls, status: os.stat_result) -> Stamp:
        """Take the stamp from a ``stat`` result."""
        return cls(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)

    @property
    def file(self) -> tuple[int, int]:
        """``(device, inode)``: equal for all names of one file."""
        return self.device, self.inode

    def same_content(self, other: Stamp) -> bool:
        """True if all but ctime agree: what stays true when a link to the file is made or removed."""
        return self[:4] == other[:4]
