"""Records that huggingface_hub leaves beside files it downloaded into a folder. Reads them, never writes.

Facts: huggingface_hub ``_local_folder.py``: ``{local_dir}/.cache/huggingface/download/{path}.metadata`` has
three lines: commit, etag (the SHA-256 of an LFS file, the git blob id of a small one), time in seconds.
"""

# Thousands of paths go through here: plain strings, half the time of pathlib.
# ruff: noqa: PTH112, PTH118, PTH120, PTH123

from __future__ import annotations

import os
import re

from wangp_downloader.files import Digest, DigestKind
from wangp_downloader.library.stamp import Stamp

_RECORDS = os.path.join(".cache", "huggingface", "download")
_MAX_DEPTH = 8
_MAX_BYTES = 4096
_ETAG = re.compile(r"[0-9a-f]{64}|[0-9a-f]{40}")
_SLACK_NS = 1_000_000_000
"""huggingface_hub allows every file to be a second younger than its record. Here only those on file systems that
keep whole seconds are: elsewhere it would let a file pass that was overwritten right after it was fetched."""


class Sidecars:
    """The records for the files of some folders; remembers which folders have any.

    One object serves one pass over the disk: it does not notice records folders that appear later.
    """

    def __init__(self) -> None:
        self._has_records: dict[str, bool] = {}

    def recorded(self, path: str, stamp: Stamp) -> Digest | None:
        """Return the hash that was recorded for a file, if the record can still be true.

        The file must not have changed since the record was written, neither its content (mtime) nor the
        file that stands under the name (ctime: a file moved or copied here later keeps its mtime). The
        caller must also compare its size with the wanted one.

        Args:
            path: Absolute path of the file.
            stamp: Its state.
        """
        folder = os.path.dirname(path)
        for _ in range(_MAX_DEPTH):
            if self._records_in(folder):
                record = os.path.join(folder, _RECORDS, os.path.relpath(path, folder) + ".metadata")
                return _valid(record, stamp)
            parent = os.path.dirname(folder)
            if parent == folder:
                break
            folder = parent
        return None

    def _records_in(self, folder: str) -> bool:
        known = self._has_records.get(folder)
        if known is None:
            known = self._has_records[folder] = os.path.isdir(os.path.join(folder, _RECORDS))
        return known


def _valid(record: str, stamp: Stamp) -> Digest | None:
    try:
        with open(record, encoding="ascii") as file:
            _, etag, written = (line.strip() for line in file.read(_MAX_BYTES).split("\n")[:3])
        written_ns = int(float(written) * 1_000_000_000)
    except (OSError, ValueError, OverflowError):
        return None
    changed_ns = max(stamp.mtime_ns, stamp.ctime_ns if os.name == "posix" else 0)
    slack_ns = _SLACK_NS if changed_ns % _SLACK_NS == 0 else 0
    if not _ETAG.fullmatch(etag) or changed_ns - slack_ns > written_ns:
        return None
    return Digest(DigestKind.SHA256 if len(etag) == 64 else DigestKind.GIT_BLOB, etag)
