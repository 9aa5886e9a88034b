"""Parts that were left over: ours, to go on with or to remove; Wan2GP's own, to know of and to remove.

Only files that look exactly like what this program, huggingface_hub or Wan2GP leaves behind are ever listed, and
only listed ones can be removed: these folders also hold what is the user's own.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from wangp_downloader.cancel import CancelToken
from wangp_downloader.transfer.journal import Journal, disjoint
from wangp_downloader.transfer.lock import FileLock, is_held
from wangp_downloader.transfer.names import BAD_SUFFIX, JOURNAL_SUFFIX, LOCK_SUFFIX, PART_SUFFIX
from wangp_downloader.transfer.storage import allocated, storage_errors

_HUB_SUFFIX = ".incomplete"
_NEW_SUFFIX = ".new"
_WAN2GP_TEMPORARY = re.compile(r"_temp\d+(\.\d+)?")
"""Wan2GP's ``shared/utils/download.py`` puts the time behind it."""
_UNDER_WAY_S = 600.0
_HUB_FOLDER = (".cache", "huggingface")
_HUB_NAME = re.compile(r"(?:^[0-9a-f]{40,64}|\.[0-9a-f]{4,64})(\.[0-9a-f]{8})?\.incomplete$")
"""The etag, a SHA-256 or git blob id, behind a name or alone (huggingface_hub, ``_local_folder.py``)."""
_MODEL_SUFFIXES = frozenset(
    ".safetensors .sft .gguf .bin .pt .pth .ckpt .onnx .npz .json .txt .model .yaml .yml .tiktoken".split()
)


class PartKind(StrEnum):
    """Whose left-over it is."""

    OURS = "part"
    """Can be gone on with."""
    BAD = "bad"
    """Content that failed its check, kept for inspection."""
    HUB = "incomplete"
    """Left by huggingface_hub, on its own or inside Wan2GP; nobody goes on with it."""
    WAN2GP = "temporary"
    """In a ``_temp…`` folder of Wan2GP."""


@dataclass(frozen=True, slots=True)
class LeftOver:
    """One left-over file.

    Attributes:
        path: Absolute path.
        kind: Whose it is.
        done: Bytes that have arrived, as far as is known.
        size: Bytes of the whole file, None if unknown.
        age_s: Seconds since it last changed.
        in_use: True while a process fetches it; of other programs' files while they are so new that one may.
        url: Where it comes from, without secrets, if known.
    """

    path: Path
    kind: PartKind
    done: int
    size: int | None
    age_s: float
    in_use: bool = False
    url: str | None = None


def list_parts(roots: Iterable[Path], *, cancel: CancelToken) -> list[LeftOver]:
    """Return what was left over below some folders, oldest first; symbolic links are not followed.

    Args:
        roots: Folders; missing and unreadable ones are passed over.
        cancel: Stops the walk.

    Raises:
        CancelledError: ``cancel`` was set.
    """
    found = {left.path: left for root in roots for left in _walk(root, cancel)}
    return sorted(found.values(), key=lambda left: -left.age_s)


def remove_part(left: LeftOver) -> int:
    """Delete a left-over and what belongs to it; return the bytes freed, 0 if it is in use or gone.

    Raises:
        StorageError: It can not be deleted.
    """
    lock = FileLock(_beside(left.path, LOCK_SUFFIX)) if left.kind is PartKind.OURS else None
    with storage_errors("remove", left.path):
        if (lock is not None and not lock.acquire()) or _may_be_under_way(left.path, left.kind):
            return 0
        try:
            freed = allocated(left.path) if os.path.lexists(left.path) else 0
            left.path.unlink(missing_ok=True)
            if lock is not None:
                for suffix in (PART_SUFFIX, JOURNAL_SUFFIX, JOURNAL_SUFFIX + _NEW_SUFFIX):
                    _beside(left.path, suffix).unlink(missing_ok=True)
        finally:
            if lock is not None:
                lock.release()
    return freed


def _walk(root: Path, cancel: CancelToken) -> Iterator[LeftOver]:
    for folder, _, names in os.walk(root):
        cancel.raise_if_cancelled()
        # Only below the root: a Wan2GP that itself lives in ``_temp1/`` is no left-over.
        inside = Path(folder).relative_to(root).parts
        seen: set[Path] = set()
        for name in sorted(names, key=len):
            path = Path(folder) / name
            part = _beside(path, PART_SUFFIX)
            with suppress(OSError):
                kind = None if part in seen else _kind_of(path, inside)
                if kind is not None:
                    seen.add(part)
                    yield _look_at(path, kind)


def _kind_of(path: Path, inside: Sequence[str]) -> PartKind | None:
    name = path.name
    if name.startswith("."):
        if _is_ours(path):
            return PartKind.OURS
        if name.endswith(BAD_SUFFIX) and _is_model(name.removesuffix(BAD_SUFFIX)):
            return PartKind.BAD
    temporary = any(_WAN2GP_TEMPORARY.fullmatch(part) for part in inside)
    if name.endswith(_HUB_SUFFIX):
        hub = tuple(inside[:2]) == _HUB_FOLDER or _HUB_NAME.search(name) is not None
        return PartKind.HUB if hub or temporary or _is_model(name.removesuffix(_HUB_SUFFIX)) else None
    return PartKind.WAN2GP if temporary else None


def _is_ours(path: Path) -> bool:
    """Return whether a file is a part of ours, or what is left of one without its part."""
    name = path.name
    if name.endswith(PART_SUFFIX):
        kin = (_beside(path, JOURNAL_SUFFIX), _beside(path, LOCK_SUFFIX))
        return _is_model(name.removesuffix(PART_SUFFIX)) or any(each.exists() for each in kin)
    if name.endswith((JOURNAL_SUFFIX, JOURNAL_SUFFIX + _NEW_SUFFIX)):
        journal = Journal(path)
        journal.load()
        return journal.header is not None
    return name.endswith(LOCK_SUFFIX) and path.stat().st_size == 0


def _is_model(name: str) -> bool:
    return Path(name).suffix.lower() in _MODEL_SUFFIXES


def _look_at(path: Path, kind: PartKind) -> LeftOver:
    stat = path.lstat()
    age_s = max(0.0, time.time() - stat.st_mtime)
    if kind is not PartKind.OURS:
        return LeftOver(path, kind, stat.st_size, None, age_s, in_use=_may_be_under_way(path, kind))
    journal = Journal(_beside(path, JOURNAL_SUFFIX))
    journal.load()
    header = journal.header
    done = sum(extent.length for extent in disjoint(journal.extents, header.size)) if header else 0
    return LeftOver(
        path,
        kind,
        done,
        header.size if header else None,
        age_s,
        is_held(_beside(path, LOCK_SUFFIX)),
        header.url if header else None,
    )


def _may_be_under_way(path: Path, kind: PartKind) -> bool:
    """Return whether another program's file changed so lately that it may still write to it: it holds no lock."""
    with suppress(OSError):
        return (
            kind in {PartKind.HUB, PartKind.WAN2GP}
            and abs(time.time() - path.lstat().st_mtime) < _UNDER_WAY_S
        )
    return False


def _beside(path: Path, suffix: str) -> Path:
    """Return a file of the same download: ``path`` is its part, journal or lock."""
    stem = path.name
    for ending in (PART_SUFFIX, JOURNAL_SUFFIX, JOURNAL_SUFFIX + _NEW_SUFFIX, LOCK_SUFFIX):
        stem = stem.removesuffix(ending)
    return path.with_name(stem + suffix)
