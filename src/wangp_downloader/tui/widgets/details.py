"""The details pane: why a file is needed, where it comes from, what else could take its place."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from textwrap import wrap

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.widgets import Static

from wangp_downloader.files import SHARED_MODEL, PlannedFile
from wangp_downloader.paths import printable, redact_url
from wangp_downloader.tui.engine import ModelInfo
from wangp_downloader.tui.models import ModelRow
from wangp_downloader.tui.painting import action_words
from wangp_downloader.tui.rows import Row
from wangp_downloader.tui.widgets.pane import Pane
from wangp_downloader.units import format_size, plural

_MANY = 12
_HEADING = 12


class DetailsPane(Pane, VerticalScroll, can_focus=True):
    """A pane that can be scrolled and whose text can be selected."""

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._describe: Callable[[int], Text] = lambda _: Text()
        self._text = Static("", id="details-text", markup=False)

    def compose(self) -> ComposeResult:
        """Lay out the one text."""
        yield self._text

    def show(self, describe: Callable[[int], Text]) -> None:
        """Show the text that ``describe`` makes for a width, from its top; made again when that changes."""
        self._describe = describe
        self._draw()
        self.scroll_home(animate=False)

    def on_resize(self) -> None:
        """Wrap the text anew."""
        self._draw()

    def _draw(self) -> None:
        # The scrollbar is always there: the width does not depend on how much there is to say.
        width = self.scrollable_content_region.width
        if width:
            self._text.update(self._describe(width))


def describe_file(
    row: Row, partner: Row | None, others: Sequence[Row], infos: Mapping[str, ModelInfo], width: int
) -> Text:
    """Return everything known of a file.

    Args:
        row: The file.
        partner: Its high/low noise partner.
        others: Files that could take its place.
        infos: Models by id.
        width: Cells of a line.
    """
    file = row.file
    sheet = _Sheet(width)
    sheet.title(row.name, f"{row.status.glyph} {row.status.word}, {format_size(row.size)}")
    problem = row.transfer.problem if row.transfer is not None else None
    if problem:
        sheet.fact("Problem", problem)
    sheet.fact("Action", action_words(row))
    sheet.fact("To do", (row.transfer.hint if problem and row.transfer else file.hint) or "")
    sheet.fact("Needed by", _needed_by(row, infos))
    sheet.fact("Named in", *file.origins[:_MANY])
    sheet.fact("Used as", ", ".join(role.value for role in file.roles))
    sheet.fact("Picked", _picked(file))
    sheet.fact("Part of", ", ".join(file.groups[:_MANY]))
    sheet.fact("Goes with", partner.name if partner is not None else "")
    sheet.space()
    sheet.fact("Destination", file.target)
    sheet.fact("Links to", file.link_to or "")
    if file.source is not None:
        sheet.fact("Copy", f"{file.source.path} ({file.source.evidence.value})")
    sheet.fact("Remote", redact_url(file.remote.url) if file.remote is not None else "")
    if file.digest is not None:
        sheet.fact(file.digest.kind.value.upper(), file.digest.hex)
    sheet.fact("Here", f"{format_size(row.part_bytes)} from an earlier attempt" if row.part_bytes else "")
    if others:
        sheet.space()
        sheet.fact("Variants", *(_variant(other) for other in others[:_MANY]))
    return sheet.text


def _picked(file: PlannedFile) -> str:
    if file.required:
        return "by your settings"
    return "no: optional" if file.groups else "no: your settings pick another variant"


def _needed_by(row: Row, infos: Mapping[str, ModelInfo]) -> str:
    if SHARED_MODEL in row.file.models:
        return "every model"
    names = [infos[model].name if model in infos else model for model in row.file.models]
    more = f" and {len(names) - _MANY} more" if len(names) > _MANY else ""
    return ", ".join(names[:_MANY]) + more


def _variant(row: Row) -> str:
    picked = ", picked" if row.file.required else ""
    return f"{row.status.glyph} {row.name} ({format_size(row.size)}, {row.status.word}{picked})"


def describe_model(row: ModelRow, width: int) -> Text:
    """Return everything known of a model, ``width`` cells wide."""
    sheet = _Sheet(width)
    sheet.title(row.name, f"{row.readiness.glyph} {row.readiness.word}")
    sheet.fact("Family", row.family)
    sheet.fact("Config", row.id)
    sheet.fact("Needed", format_size(row.needed) + (" and files of unknown size" if row.unknown else ""))
    sheet.fact("In place", f"{row.files_here} of {plural(len(row.rows), 'file')}")
    sheet.space()
    sheet.fact("Files", *(_variant(file).replace(", picked", "") for file in row.rows))
    return sheet.text


class _Sheet:
    """Lines with a heading at the left and wrapped text beside it."""

    def __init__(self, width: int) -> None:
        self.text = Text(no_wrap=True)
        self._width = max(10, width - _HEADING)

    def title(self, name: str, status: str) -> None:
        for line in wrap(printable(name), self._width + _HEADING):
            self.text.append(f"{line}\n", "bold")
        self.text.append(f"{status}\n\n")

    def space(self) -> None:
        self.text.append("\n")

    def fact(self, heading: str, *values: str) -> None:
        """Add one heading with its values, each on lines of its own; nothing where all are empty."""
        for value in values:
            # Hashes and URLs have no spaces to break at.
            for line in wrap(printable(value), self._width, break_on_hyphens=False):
                self.text.append(f"{heading:<{_HEADING}}", "dim")
                self.text.append(f"{line}\n")
                heading = ""
