"""The Hugging Face cache. Owns its layout: ``models--{org}--{name}/blobs/{sha256}`` and its newer forms.

Facts: huggingface_hub ``constants.py`` (roots), ``file_download.py`` (a blob is named by its etag: SHA-256
of LFS and Xet files, git blob id of small ones), ``utils/_shared_blobs.py`` (a blob may be a relative link
into ``{cache}/blobs/{2 hex}/{xet hash}``).
"""

# Thousands of paths go through here: plain strings, half the time of pathlib.
# ruff: noqa: PTH100, PTH112, PTH115, PTH118, PTH119, PTH120, PTH208

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from wangp_downloader.cancel import CancelToken
from wangp_downloader.events import Emit, Level, Notice, ScanProgress
from wangp_downloader.files import Digest, DigestKind, Evidence, Wanted
from wangp_downloader.library.scan import TreeScan
from wangp_downloader.library.stamp import Stamp
from wangp_downloader.library.stores.base import Candidate, Likeness, as_candidate
from wangp_downloader.library.wanted import WantedIndex

_REPO_FOLDERS = ("models--", "datasets--", "spaces--")
_BLOB_NAME = re.compile(r"[0-9a-f]{64}|[0-9a-f]{40}")


class HfCacheStore:
    """One Hugging Face cache folder.

    A blob's name is its hash, by a writer that checks sizes only: the size is required to agree. The path
    offered is ``blobs/{hash}``, which the cache itself keeps, never the shared file behind it, which the
    cache removes when it knows of no link.

    Args:
        root: The folder with ``models--…`` in it.
    """

    name = "hf-cache"

    def __init__(self, root: Path) -> None:
        self.root = root

    def candidates(self, wanted: WantedIndex, *, cancel: CancelToken, emit: Emit) -> Iterator[Candidate]:
        """Yield wanted blobs by their names, then real files in snapshots by size; see :class:`Store`."""
        repos = self._repos(emit)
        count = 0
        for repo in repos:
            cancel.raise_if_cancelled()
            for name in _names(os.path.join(repo, "blobs")):
                count += 1
                item = wanted.by_hex(name) if _BLOB_NAME.fullmatch(name) else None
                candidate = item and blob_candidate(os.path.join(repo, "blobs", name), item)
                if candidate:
                    yield candidate
        emit(ScanProgress(self.name, count))
        yield from self._snapshots(repos, wanted, cancel, emit)

    def _repos(self, emit: Emit) -> list[str]:
        try:
            with os.scandir(self.root) as entries:
                folders = [entry.path for entry in entries if entry.name.startswith(_REPO_FOLDERS)]
        except OSError as error:
            emit(Notice(Level.WARNING, f"{self.name}: can not read {self.root} ({error.strerror})"))
            return []
        return sorted(os.path.abspath(folder) for folder in folders)

    def _snapshots(
        self, repos: list[str], wanted: WantedIndex, cancel: CancelToken, emit: Emit
    ) -> Iterator[Candidate]:
        """Where links are not possible (Windows) a snapshot holds the real file and there is no blob."""
        scan = TreeScan(self.name, wanted.sizes, cancel, emit)
        folders = [os.path.join(repo, "snapshots") for repo in repos]
        for found in scan.files([folder for folder in folders if os.path.isdir(folder)]):
            if not found.is_link:
                yield as_candidate(found, wanted)
        scan.finish()


def blob_candidate(path: str, item: Wanted) -> Candidate | None:
    """Return the candidate for ``blobs/{hash}``, or None if there is no whole regular file behind it.

    Args:
        path: A regular file, or a link that leads to one in one step.
        item: The wanted content that the name stands for.
    """
    try:
        status = os.lstat(path)
        if stat.S_ISLNK(status.st_mode):
            status = os.lstat(os.path.join(os.path.dirname(path), os.readlink(path)))
    except (OSError, ValueError):
        return None
    if not stat.S_ISREG(status.st_mode) or status.st_size != item.size:
        return None
    return Candidate(path, Stamp.of(status), Evidence.NAMED, item.digest, likeness=Likeness.URL)


def named_digest(path: str) -> Digest | None:
    """Return the hash that a path in a Hugging Face cache is named by, or None.

    Args:
        path: Such as ``…/models--org--name/blobs/{64 hex}``; nothing is looked up.
    """
    folder, name = os.path.split(path)
    repo = os.path.basename(os.path.dirname(folder))
    if os.path.basename(folder) != "blobs" or not repo.startswith(_REPO_FOLDERS):
        return None
    if not _BLOB_NAME.fullmatch(name):
        return None
    return Digest(DigestKind.SHA256 if len(name) == 64 else DigestKind.GIT_BLOB, name)


def cache_root(environ: Mapping[str, str], home: Path) -> Path:
    """Return where the Hugging Face cache is, by the rules of huggingface_hub's ``constants.py``."""
    for key in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        if environ.get(key):
            return _expanded(environ[key], home)
    if environ.get("HF_HOME"):
        return _expanded(environ["HF_HOME"], home) / "hub"
    base = _expanded(environ.get("XDG_CACHE_HOME") or "~/.cache", home)
    return base / "huggingface" / "hub"


def _expanded(text: str, home: Path) -> Path:
    expanded = os.path.expandvars(text)
    return home / expanded[2:] if expanded.startswith("~/") else home if expanded == "~" else Path(expanded)


def _names(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []
