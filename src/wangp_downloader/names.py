"""How files are called on a screen: with their folder where the name says too little, cut so that they differ. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable

from rich.cells import cell_len, set_cell_size

from wangp_downloader.paths import printable

_GENERIC = (".json", ".txt", ".model", ".yaml")
"""Ends of names such as ``config.json``, which many folders have."""
_TOP = "ckpts"
_LEAST_HEAD = 4
_SUFFIX = ".safetensors"
_PRECISION = re.compile(r"[_-]quanto[_-](?:m?(?:bf|fp)16[_-])?(?=int8|fp8)")
_NOISE = re.compile(r"(?<=[_-])(?:high|low)(?![a-z])|(?:High|Low)(?=Noise|[_-])", re.ASCII)


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


def crop_end(text: str, width: int) -> str:
    """Return ``text`` cut at the end to at most ``width`` cells, with an ellipsis if it was cut."""
    if text.isascii():
        return text if len(text) <= width else text[: max(0, width - 1)] + "…"[:width]
    if cell_len(text) <= width:
        return text
    return set_cell_size(text, max(0, width - 1)).rstrip() + "…"[:width]


def crop_middle(text: str, width: int) -> str:
    """Return ``text`` cut in the middle: the ends of file names tell the variants apart."""
    if len(text) <= width and (text.isascii() or cell_len(text) <= width):
        return text
    if not text.isascii() or width < 8:
        return crop_end(text, width)
    tail = (width - 1) * 3 // 5
    return f"{text[: width - 1 - tail]}…{text[-tail:]}"


def crop_name(name: str, width: int) -> str:
    """Return a file name in at most ``width`` cells, with what tells it from its neighbours.

    What most names have in common goes first: the suffix, then the words before ``int8``; what is cut after that
    is not the noise that a file is for.
    """
    if len(name) <= width and (name.isascii() or cell_len(name) <= width):
        return name
    name = name.removesuffix(_SUFFIX)
    if len(name) > width:
        name = _PRECISION.sub("…", name)
    noise = _NOISE.search(name)
    if len(name) <= width or noise is None or not name.replace("…", "").isascii():
        return crop_middle(name, width) if name.isascii() else _crop_parts(name, width)
    tail = name[noise.start() :]
    room = width - 2 - min(len(tail), width * 2 // 3)
    if room < _LEAST_HEAD:
        return crop_end(name, width)
    return f"{name[:room]}…{_crop_parts(tail, width - room - 1)}"


def _crop_parts(text: str, width: int) -> str:
    """Return ``text`` cut in the middle; an ellipsis that it has already becomes part of the cut."""
    if cell_len(text) <= width:
        return text
    if not text.replace("…", "").isascii() or width < _LEAST_HEAD:
        return crop_end(text, width)
    tail = (width - 1) // 2
    return f"{text[: width - 1 - tail].rstrip('…')}…{text[-tail:].lstrip('…')}"
