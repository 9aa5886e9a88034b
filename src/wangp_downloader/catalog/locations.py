"""Where Wan2GP looks for a file: targets and the other places it searches.

Source: ``shared/utils/files_locator.py``, ``shared/utils/download.py`` and ``download_models`` of Wan2GP.
Knows folders only as names, and one question about the disk: does this folder exist?
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePath

from wangp_downloader.errors import CatalogError
from wangp_downloader.files import RemoteFile
from wangp_downloader.paths import parse_hub_url, redact_url, safe_relative, shorten, url_basename

LORA_PLACEHOLDER = "%lora_dir"
MAX_URL_LENGTH = 4096


@dataclass(frozen=True, slots=True)
class Place:
    """Where one file belongs, and where else it counts as present, both as in ``files.Requirement``."""

    target: str
    also_at: tuple[str, ...] = ()


class Locator:
    """Answers where files belong, for one tree and its settings.

    Args:
        root: The Wan2GP folder: relative paths start there.
        checkpoints_paths: As in the user's settings, not empty.
        folder_exists: Told an absolute path, says whether a folder is there.
    """

    def __init__(
        self,
        root: Path,
        checkpoints_paths: tuple[str, ...],
        folder_exists: Callable[[Path], bool] = Path.is_dir,
    ) -> None:
        self._root = root
        self._checkpoints = tuple(as_posix(path) for path in checkpoints_paths)
        self._folder_exists = folder_exists
        self._chosen_root: dict[str, str] = {}
        self._places: dict[tuple[str, str, bool], Place] = {}

    def checkpoint(self, relative: str) -> Place:
        """Place a file below the first checkpoint path, found below any of them."""
        return self._place(self._checkpoints[0], [relative])

    def in_folder(self, folder: str, relative: str, *, found_bare: bool = False) -> Place:
        """Place a file in a folder below a checkpoint path.

        The folder is used where it already exists, in the order of the checkpoint paths; otherwise it is made
        below the first (``get_smart_download_root``).

        Args:
            folder: Relative to a checkpoint path; empty for none.
            relative: The file's path inside it.
            found_bare: True if Wan2GP also takes the file without the folder, as for text encoders.
        """
        key = (folder, relative, found_bare)
        if key not in self._places:  # the same components are needed by many models
            self._places[key] = self._in_folder(folder, relative, found_bare)
        return self._places[key]

    def _in_folder(self, folder: str, relative: str, found_bare: bool) -> Place:
        if not folder:
            return self.checkpoint(relative)
        if _is_absolute(folder):
            return Place(join(folder, relative))
        names = [join(folder, relative), *([relative] if found_bare else [])]
        return self._place(self._root_with(folder), names)

    def in_lora_folder(self, folder: str, relative: str) -> Place:
        """Place a file in a lora folder (relative to the Wan2GP folder, or absolute)."""
        return Place(join(as_posix(folder), relative))

    def _place(self, root: str, names: list[str]) -> Place:
        target = join(root, names[0])
        everywhere = [join(path, name) for name in names for path in self._checkpoints]
        return Place(target, tuple(dict.fromkeys(path for path in everywhere if path != target)))

    def _root_with(self, folder: str) -> str:
        if folder not in self._chosen_root:
            self._chosen_root[folder] = next(
                (path for path in self._checkpoints if self._folder_exists(self._root / path / folder)),
                self._checkpoints[0],
            )
        return self._chosen_root[folder]


def as_posix(path: str) -> str:
    """Return a path of the user's settings with ``/``, and without ``.`` parts."""
    return posixpath.normpath(PurePath(path).as_posix())


def join(folder: str, relative: str) -> str:
    """Join two paths with ``/``; a folder ``.`` falls away."""
    if folder in ("", "."):
        return relative
    return relative if relative.startswith("/") else f"{folder.rstrip('/')}/{relative}"


def _is_absolute(path: str) -> bool:
    return os.path.isabs(path)  # noqa: PTH117 - thousands of times, and pathlib is slow at it


@dataclass(frozen=True, slots=True)
class Source:
    """A definition's URL or local path, taken apart and made safe.

    Attributes:
        remote: The remote file, or None for a local path.
        relative: The file's path below its checkpoint or lora folder; absolute for an absolute local path.
        in_lora_folder: True if ``|%lora_dir`` asks for the lora folder.
    """

    remote: RemoteFile | None
    relative: str
    in_lora_folder: bool = False


@lru_cache(maxsize=8192)  # most URLs stand in several definitions
def parse_source(text: str, *, lora_folder_allowed: bool = False) -> Source:
    """Take a URL (``url|folder``) or local path of a definition apart.

    Args:
        text: As it stands in the definition.
        lora_folder_allowed: True for ``preload_URLs`` and ``VAE_URLs``, which may use ``|%lora_dir``.

    Raises:
        CatalogError: It names no file, or leads outside; the message names it, shortened and without secrets.
    """
    if not text.startswith("http"):
        return Source(None, _local_path(text))
    if len(text) > MAX_URL_LENGTH:
        raise CatalogError(f"refused the URL {shorten(text)!r}: it is {len(text):,} characters long")
    url, *folders = text.split("|")
    if len(folders) > 1:
        raise CatalogError(f"refused the URL {redact_url(url)}: more than one | in it")
    remote = remote_file(url)
    name = safe_relative(url_basename(url))
    if not folders:
        return Source(remote, name)
    if folders[0] == LORA_PLACEHOLDER:
        if not lora_folder_allowed:
            raise CatalogError(f"refused the URL {redact_url(url)}: {LORA_PLACEHOLDER} means nothing here")
        return Source(remote, name, in_lora_folder=True)
    return Source(remote, join(safe_relative(folders[0]), name))


def _local_path(text: str) -> str:
    if not text or "\0" in text or "|" in text or "://" in text:
        raise CatalogError(f"refused {shorten(text)!r}: neither an http(s) URL nor a local path")
    if _is_absolute(text) and ".." not in PurePath(text).parts:
        # A finetune may name a file of the user's own; it is looked at and never written.
        return as_posix(text)
    return safe_relative(text)


def remote_file(url: str) -> RemoteFile:
    """Return the remote file a URL names.

    Raises:
        CatalogError: It is no http(s) URL with a host and a file name.
    """
    scheme, separator, rest = url.partition("://")
    host, _, path = rest.partition("/")
    name = path.partition("?")[0].partition("#")[0].rpartition("/")[2]
    if not separator or scheme not in {"http", "https"} or not host or not name:
        raise CatalogError(f"refused the URL {redact_url(url)}: it names no file")
    parsed = parse_hub_url(url)
    if parsed is None:
        return RemoteFile(url, None, None, name)
    repo, revision, path_in_repo = parsed
    return RemoteFile(url, repo, revision, safe_relative(path_in_repo))
