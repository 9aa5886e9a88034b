"""Any tree of files: a NAS, another program's models, a backup disk. Knows no layout."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from wangp_downloader.cancel import CancelToken
from wangp_downloader.events import Emit
from wangp_downloader.library.scan import TreeScan
from wangp_downloader.library.stores.base import Candidate, as_candidate
from wangp_downloader.library.wanted import WantedIndex


class FolderStore:
    """All files below a folder.

    Args:
        root: The folder.
        name: What people call it; ``folder:<root>`` if not given.
        more: Further folders that belong to it.
    """

    def __init__(self, root: Path, name: str | None = None, more: Sequence[Path] = ()) -> None:
        self.root = root
        self.name = name or f"folder:{root}"
        self._roots = [str(root), *map(str, more)]

    def candidates(self, wanted: WantedIndex, *, cancel: CancelToken, emit: Emit) -> Iterator[Candidate]:
        """Yield the files of a wanted size; see :class:`Store`."""
        scan = TreeScan(self.name, wanted.sizes, cancel, emit)
        for found in scan.files(self._roots):
            yield as_candidate(found, wanted)
        scan.finish()
