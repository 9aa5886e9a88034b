"""The local model hub: ``{hub}/{hash}/{file}``, or any tree. Owns the rule by which names are believed."""

# Thousands of paths go through here: plain strings, half the time of pathlib.
# ruff: noqa: PTH100, PTH208

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from wangp_downloader.cancel import CancelToken
from wangp_downloader.events import Emit
from wangp_downloader.files import Digest, DigestKind
from wangp_downloader.library.scan import FoundFile, TreeScan
from wangp_downloader.library.stores.base import Candidate, Likeness, as_candidate
from wangp_downloader.library.wanted import WantedIndex

_SHA256 = re.compile(r"[0-9a-f]{64}")
_MODEL_SUFFIXES = (".safetensors", ".gguf", ".bin", ".pth", ".pt", ".ckpt", ".onnx", ".sft")


class HubStore:
    """The hub directory.

    Nobody wrote down which hash names a hub's folders. So a name of 64 hexadecimal digits is a claim: it
    is believed where the folder holds exactly one model file, and only after the computed SHA-256 of some
    file of this hub agreed with its folder's name (:attr:`Candidate.trust_group`). Otherwise files are
    hashed like in any folder.

    Args:
        root: The hub directory.
    """

    name = "hub"

    def __init__(self, root: Path) -> None:
        self.root = root

    def candidates(self, wanted: WantedIndex, *, cancel: CancelToken, emit: Emit) -> Iterator[Candidate]:
        """Yield the files of a wanted size; see :class:`Store`."""
        scan = TreeScan(self.name, wanted.sizes, cancel, emit)
        top = os.path.abspath(self.root)
        for found in scan.files([top]):
            yield self._candidate(top, found, wanted)
        scan.finish()

    def _candidate(self, top: str, found: FoundFile, wanted: WantedIndex) -> Candidate:
        plain = as_candidate(found, wanted)
        folder, name = os.path.split(found.path)
        parent, claimed = os.path.split(folder)
        if found.is_link or parent != top or not _SHA256.fullmatch(claimed.lower()):
            return plain
        if not _is_only_model(folder, name):
            return plain
        digest = Digest(DigestKind.SHA256, claimed.lower())
        likeness = Likeness.URL if wanted.by_digest(digest) else plain.likeness
        return Candidate(found.path, found.stamp, digest=digest, trust_group=top, likeness=likeness)


def _is_only_model(folder: str, name: str) -> bool:
    try:
        models = [other for other in os.listdir(folder) if other.lower().endswith(_MODEL_SUFFIXES)]
    except OSError:
        return False
    return models in ([name], [])
