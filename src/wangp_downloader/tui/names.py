"""How files are called on the screen: by their name, with the folder where the name alone says too little. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable

from wangp_downloader.paths import printable

_GENERIC = (".json", ".txt", ".model", ".yaml")
"""Ends of names such as ``config.json``, which many folders have."""
_TOP = "ckpts"


def base_name(target: str) -> str:
    """Return the file's own name."""
    return printable(target.rpartition("/")[2])


def shared_names(targets: Iterable[str]) -> frozenset[str]:
    """Return the names that several files have."""
    counts = Counter(target.rpartition("/")[2] for target in targets)
    return frozenset(name for name, count in counts.items() if count > 1)


def shown_name(target: str, shared: Collection[str] = ()) -> str:
    """Return the name to show, with its folder where others have the same name or might.

    Args:
        target: The plan's target.
        shared: Names that several files have.
    """
    folder, _, name = target.rpartition("/")
    folder = folder.rpartition("/")[2]
    if folder in ("", _TOP) or not (name in shared or name.endswith(_GENERIC)):
        return printable(name)
    return printable(f"{folder}/{name}")
