"""ComfyUI's model folders. Owns the reading of ``extra_model_paths.yaml`` (``utils/extra_config.py``)."""

# Thousands of paths go through here: plain strings, half the time of pathlib.
# ruff: noqa: PTH111

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from wangp_downloader.cancel import CancelToken
from wangp_downloader.events import Emit
from wangp_downloader.library.stores.base import Candidate
from wangp_downloader.library.stores.folder import FolderStore
from wangp_downloader.library.stores.yaml_files import read_yaml
from wangp_downloader.library.wanted import WantedIndex

_NOT_CATEGORIES = frozenset({"base_path", "is_default", "custom_nodes"})


class ComfyStore:
    """The ``models`` folder of one ComfyUI and the folders its extra paths name.

    Args:
        root: ComfyUI's folder; a folder without ``models`` in it is walked itself.
    """

    name = "comfyui"

    def __init__(self, root: Path) -> None:
        self.root = root

    def candidates(self, wanted: WantedIndex, *, cancel: CancelToken, emit: Emit) -> Iterator[Candidate]:
        """Yield the files of a wanted size; see :class:`Store`."""
        models = self.root / "models"
        first = models if models.is_dir() else self.root
        store = FolderStore(first, self.name, more=extra_folders(self.root))
        yield from store.candidates(wanted, cancel=cancel, emit=emit)


def extra_folders(root: Path) -> list[Path]:
    """Return the existing folders that ``extra_model_paths.yaml`` names, absolute, each once."""
    found: dict[Path, None] = {}
    for section in read_yaml(root / "extra_model_paths.yaml").values():
        if isinstance(section, dict):
            found |= dict.fromkeys(_section_folders(root, section))
    return [folder for folder in found if _is_folder(folder)]


def _section_folders(root: Path, section: dict[Any, Any]) -> Iterator[Path]:
    base = root / _expanded(section.get("base_path"))
    for key, value in section.items():
        if key not in _NOT_CATEGORIES and isinstance(value, str):
            for line in value.splitlines():
                if line.strip() and "\0" not in line:
                    yield base / _expanded(line.strip())


def _expanded(text: object) -> str:
    return os.path.expandvars(os.path.expanduser(text)) if isinstance(text, str) else ""


def _is_folder(folder: Path) -> bool:
    try:
        return folder.is_dir()
    except (OSError, ValueError):
        return False
