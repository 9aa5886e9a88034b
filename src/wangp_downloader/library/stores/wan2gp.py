"""Wan2GP's own folders, as a source: a lora that two folders need is linked from the first to the second."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from wangp_downloader.cancel import CancelToken
from wangp_downloader.events import Emit
from wangp_downloader.files import Evidence
from wangp_downloader.library.scan import SKIPPED_FOLDERS, FoundFile, TreeScan
from wangp_downloader.library.sidecars import Sidecars
from wangp_downloader.library.stores.base import Candidate, as_candidate
from wangp_downloader.library.wanted import WantedIndex

_NO_MODELS = SKIPPED_FOLDERS | {"env", "venv", "outputs", "docs", "assets", "icons", "_temp"}


class Wan2gpStore:
    """The checkpoint and lora folders of a Wan2GP.

    Records that huggingface_hub left there (:mod:`wangp_downloader.library.sidecars`) are evidence.

    Args:
        root: The Wan2GP directory, for its name.
        folders: The folders that may hold models, absolute; nested ones are read once.
    """

    name = "wan2gp"

    def __init__(self, root: Path, folders: Sequence[Path]) -> None:
        self.root = root
        self._folders = [str(folder) for folder in folders]

    def candidates(self, wanted: WantedIndex, *, cancel: CancelToken, emit: Emit) -> Iterator[Candidate]:
        """Yield the files of a wanted size; see :class:`Store`. Folders not made yet are no problem."""
        sidecars = Sidecars()
        scan = TreeScan(self.name, wanted.sizes, cancel, emit)
        for found in scan.files([folder for folder in self._folders if Path(folder).is_dir()], _NO_MODELS):
            yield _candidate(found, sidecars, wanted)
        scan.finish()


def _candidate(found: FoundFile, sidecars: Sidecars, wanted: WantedIndex) -> Candidate:
    plain = as_candidate(found, wanted)
    digest = None if found.is_link else sidecars.recorded(found.path, found.stamp)
    item = None if digest is None else wanted.by_digest(digest)
    if item is None or item.size != found.stamp.size:
        return plain
    return Candidate(found.path, found.stamp, Evidence.RECORDED, digest, likeness=plain.likeness)
