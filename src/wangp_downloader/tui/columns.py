"""Columns: which fit into a width, and text padded to a cell. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len, set_cell_size

GAP = 2
"""Cells between two columns."""

Part = tuple[str, str]
"""Some text and its tone: the name of a component style, or empty for the row's own."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table.

    Attributes:
        key: What the painter and the sorter know it by.
        title: Its heading.
        minimum: Fewest cells that are of use.
        ideal: Cells that show everything; never given more while another column still wants some.
        rank: Order in which columns get room; the highest is dropped first.
        comfort: Cells that it should have before columns that say less are shown at all.
        right: True for numbers.
        words: Cells that its longest words take; given before the optional columns have their ideal.
        grow: Cells up to which it takes what nobody else wants.
    """

    key: str
    title: str
    minimum: int
    ideal: int
    rank: int
    right: bool = False
    comfort: int = 0
    grow: int = 0
    words: int = 0


OPTIONAL = 5
"""Columns from this rank on are shown only where the others are comfortable."""


def fit(columns: Sequence[Column], width: int) -> list[tuple[Column, int]]:
    """Return the columns that fit into ``width`` cells, in their order, each with its own width.

    Columns are dropped from the highest rank on until the minima fit, the optional ones until the others
    are comfortable. What is left over makes the columns comfortable by rank, then gives them their ideal (before the
    optional ones, what the longest words take), then goes to those that grow, and the rest to the last, so that the
    others stand together.
    """
    kept = sorted(columns, key=lambda column: column.rank)
    while kept[-1].rank >= OPTIONAL and _comfortable(kept) > width:
        kept.pop()
    while len(kept) > 1 and _needed(kept) > width:
        kept.pop()
    kept = [column for column in columns if column in kept]
    widths = {column.key: column.minimum for column in kept}
    spare = max(0, width - _needed(kept))
    by_rank = sorted(kept, key=lambda column: column.rank)
    comfort = {column.key: min(column.comfort, column.ideal) for column in kept}
    ideal = {column.key: column.ideal for column in kept}
    first = {column.key: column.ideal if column.rank < OPTIONAL else 0 for column in kept}
    words = {column.key: column.words for column in kept}
    grow = {column.key: column.grow for column in kept}
    for wishes in (comfort, first, words, ideal, grow):
        for column in by_rank:
            extra = min(spare, max(0, wishes[column.key] - widths[column.key]))
            widths[column.key] += extra
            spare -= extra
    widths[kept[-1].key] += spare
    return [(column, widths[column.key]) for column in kept]


def _needed(columns: Sequence[Column]) -> int:
    return sum(column.minimum for column in columns) + GAP * (len(columns) - 1)


def _comfortable(columns: Sequence[Column]) -> int:
    wishes = (max(column.minimum, min(column.comfort, column.ideal)) for column in columns)
    return sum(wishes) + GAP * (len(columns) - 1)


def pad(text: str, width: int, right: bool = False) -> str:
    """Return ``text`` in exactly ``width`` cells."""
    if text.isascii():
        return text[:width].rjust(width) if right else text[:width].ljust(width)
    length = cell_len(text)
    if length > width:
        return set_cell_size(text, width)
    return " " * (width - length) + text if right else text + " " * (width - length)


def bar(fraction: float, width: int) -> tuple[str, str]:
    """Return the filled and the empty part of a bar of ``width`` cells, in eighths of a cell."""
    eighths = round(max(0.0, min(1.0, fraction)) * width * 8)
    full, rest = divmod(eighths, 8)
    filled = "█" * full + ("▏▎▍▌▋▊▉"[rest - 1] if rest else "")
    return filled, "░" * (width - len(filled))


def graph(values: Sequence[float], width: int) -> str:
    """Return the last ``width`` values as a line of block characters, scaled to their maximum."""
    shown = list(values)[-width:]
    top = max(shown, default=0.0)
    if top <= 0:
        return "▁" * len(shown)
    return "".join("▁▂▃▄▅▆▇█"[min(7, int(value / top * 7.99))] for value in shown)
