"""What stands in each cell of the file and the model table. Pure: rows in, text and tones out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from wangp_downloader.files import Action, Outcome
from wangp_downloader.names import base_name, crop_end, crop_middle, crop_name
from wangp_downloader.paths import printable_line, without_address
from wangp_downloader.tui.columns import Column, Part, bar
from wangp_downloader.tui.model import source_text
from wangp_downloader.tui.models import ModelRow, Readiness
from wangp_downloader.tui.rows import Row, Status, short_reason
from wangp_downloader.units import format_duration, format_size, format_speed

if TYPE_CHECKING:
    from wangp_downloader.snapshot import Transfer

_STATUS = Column("status", "Status", 13, 15, 3, comfort=15)
FILE_COLUMNS = (
    Column("mark", "✓", 1, 1, 1),
    Column("config", "Config", 12, 30, 4, comfort=14),
    Column("file", "Model file", 18, 60, 0, comfort=38),
    Column("size", "Size", 7, 7, 2, right=True),
    Column("source", "Source", 12, 24, 8),
    _STATUS,
    Column("target", "Destination", 11, 40, 7),
)
_RUN_STATUS = Column("status", "Status", 16, 30, 3, comfort=24, grow=70)
_FAILED_STATUS = Column("status", "Status", 16, 30, 3, comfort=20)
MODEL_COLUMNS = (
    Column("mark", "✓", 1, 1, 1),
    Column("name", "Model", 20, 44, 0, comfort=52),
    Column("family", "Family", 10, 20, 5),
    Column("state", "Ready", 9, 12, 2),
    Column("files", "Files", 7, 9, 4, right=True),
    Column("needed", "Needed", 8, 10, 3, right=True),
    Column("id", "Config", 12, 36, 6),
)

_TONES = {
    Status.FAILED: "bad",
    Status.CONFLICT: "bad",
    Status.DOWNLOADING: "active",
    Status.VERIFYING: "active",
    Status.RETRYING: "warning",
    Status.PAUSED: "warning",
    Status.QUEUED: "active",
    Status.HASHING: "active",
    Status.LINKABLE: "good",
    Status.MISSING: "",
    Status.BLOCKED: "warning",
    Status.DONE: "good",
    Status.LINKED: "muted",
    Status.PRESENT: "muted",
}
_READY_TONES = {
    Readiness.READY: "good",
    Readiness.UNKNOWN: "warning",
    Readiness.PARTIAL: "active",
    Readiness.MISSING: "",
    Readiness.BLOCKED: "warning",
}
_WIDE_STATUS = 26
_BAR_STATUS = 20
_REASON = 60
_REASONED = frozenset({Status.FAILED, Status.CONFLICT, Status.RETRYING, Status.LINKABLE, Status.BLOCKED})
"""Statuses that give a reason beside their word."""


def tone_class(tone: str) -> str:
    """Return the component class of a tone, empty for the row's own style."""
    return f"tone--{tone}" if tone else ""


def paint_file(row: Row, column: str, width: int) -> Sequence[Part]:
    """Return one cell of the file table."""
    match column:
        case "mark":
            return [_mark(row)]
        case "config":
            return _config(row, width)
        case "file":
            tone = "" if row.file.required else "tone--muted"
            return [(crop_name(row.name, width), tone)]
        case "size":
            return [(format_size(row.size), "")]
        case "source":
            return [(_source(row, width), "tone--muted")]
        case "status":
            return paint_status(row, width)
        case _:
            return [(crop_end(_folder(row), width), "tone--muted")]


def _folder(row: Row) -> str:
    return printable_line(row.file.target.rpartition("/")[0] or ".") + "/"


def file_columns(rows: Sequence[Row], *, running: bool) -> list[Column]:
    """Return the columns of the file table, as wide as these rows want them.

    Args:
        rows: The rows that are shown.
        running: True while there are bars to draw: the status is wide then, else only what its words need.
    """
    failed = any(row.status is Status.FAILED for row in rows)
    status = _RUN_STATUS if running else _FAILED_STATUS if failed else _STATUS
    reason = max((len(_status_words(row, _REASON)) + 2 for row in rows if row.status in _REASONED), default=0)
    status = replace(status, words=min(reason, _REASON))
    widths, names = file_widths(rows), max((len(row.name) for row in rows), default=0)
    columns = []
    for column in FILE_COLUMNS:
        if column.key == "status":
            columns.append(status)
        else:
            wish = max(column.minimum, widths.get(column.key, column.ideal))
            columns.append(replace(column, ideal=wish, grow=names if column.key == "file" else 0))
    return columns


def _source(row: Row, width: int) -> str:
    text = source_text(row)
    # The end of a repo's name says more than the name of its owner.
    return text if len(text) <= width else crop_end(text.rpartition("/")[2], width)


def _mark(row: Row) -> Part:
    if row.selected:
        return ("✓", "tone--mark")
    return ("·", "tone--track") if row.obtainable else (" ", "")


def _config(row: Row, width: int) -> Sequence[Part]:
    if not row.more:
        return [(crop_end(row.config, width), "")]
    more = f" +{row.more}"
    label = crop_end(row.config, width - len(more))
    return [(label, ""), (more, "tone--muted")]


def paint_status(row: Row, width: int) -> list[Part]:
    """Return the status cell: a glyph and a word, or a bar with numbers where there is progress."""
    tone = tone_class(_TONES[row.status])
    fraction = _fraction(row)
    if fraction is not None:
        return _progress(row, fraction, width, tone)
    return [(crop_end(f"{row.status.glyph} {printable_line(_status_words(row, width - 2))}", width), tone)]


def _fraction(row: Row) -> float | None:
    if row.status is Status.HASHING:
        return row.hashed
    if row.status in (Status.DOWNLOADING, Status.VERIFYING) and row.transfer is not None:
        return row.transfer.fraction
    return None


def _progress(row: Row, fraction: float, width: int, tone: str) -> list[Part]:
    percent = f"{int(fraction * 100):3}%"
    if width < _BAR_STATUS:
        words = _numbers(row, _WIDE_STATUS)[:10].rstrip()
        return [(crop_end(f"{row.status.glyph}{percent}{words}", width), tone)]
    numbers = _numbers(row, width)
    cells = max(4, width - 2 - len(percent) - len(numbers) - (1 if numbers else 0))
    filled, empty = bar(fraction, cells)
    text = crop_end(f"{percent}{numbers}", width - 2 - cells)
    return [(f"{row.status.glyph} ", tone), (filled, tone), (empty, "tone--track"), (text, tone)]


def _numbers(row: Row, width: int) -> str:
    transfer = row.transfer
    if row.status is not Status.DOWNLOADING or transfer is None:
        return f" {row.status.word}"
    if width < _WIDE_STATUS:
        words = _short_duration(transfer.eta_s) if transfer.bytes_per_s > 0 else speed_words(transfer).strip()
        return f" {words:>5}"
    return f" {speed_words(transfer)} {_short_duration(transfer.eta_s):>6}"


def speed_words(transfer: Transfer) -> str:
    """Return a transfer's speed in nine cells, or why it has none."""
    if transfer.bytes_per_s > 0:
        return f"{format_speed(transfer.bytes_per_s):>9}"
    return "  stalled" if transfer.connections else "  waiting"


def _short_duration(seconds: float | None) -> str:
    return format_duration(seconds).replace(" s", "s")


def _status_words(row: Row, width: int) -> str:
    transfer, file = row.transfer, row.file
    match row.status:
        case Status.FAILED:
            problem = transfer.problem if transfer is not None else None
            return f"failed: {without_address(problem or 'no reason given', base_name(row.key))}"
        case Status.RETRYING if transfer is not None:
            return f"again in {transfer.wait_s:.0f} s: {without_address(transfer.problem or '', base_name(row.key))}"
        case Status.LINKABLE if file.source is not None:
            words = f"linkable: {file.source.store}"
            return words if len(words) <= width else row.status.word
        case Status.BLOCKED:
            return short_reason(file)
        case Status.CONFLICT:
            words = f"{row.status.word}: {file.reason}" if file.reason else row.status.word
            return words if len(words) <= width or width > _WIDE_STATUS else row.status.word
        case Status.DONE:
            return _done_words(row)
        case Status.MISSING if row.part_bytes and file.size:
            return _fitting(width, "missing, ", f"{row.part_bytes * 100 // file.size}% here")
        case _:
            return _transfer_words(row, width)


def _fitting(width: int, start: str, words: str) -> str:
    """Return ``words`` after ``start`` where both fit, else alone."""
    return start + words if len(start) + len(words) <= width else words


def _transfer_words(row: Row, width: int) -> str:
    transfer = row.transfer
    if transfer is not None and row.status is Status.DOWNLOADING:
        return f"{format_size(transfer.done)} {format_speed(transfer.bytes_per_s)}"
    if row.status is Status.QUEUED and transfer is not None and transfer.problem:
        return transfer.problem if len(transfer.problem) <= width else "another instance"
    if transfer is not None and row.status is Status.PAUSED and transfer.fraction is not None:
        return f"paused at {int(transfer.fraction * 100)}%"
    return row.status.word


def _done_words(row: Row) -> str:
    transfer = row.transfer
    if transfer is None or transfer.outcome is None:
        return "done"
    checked = transfer.verified or transfer.outcome is not Outcome.DOWNLOADED
    return transfer.outcome.value + ("" if checked else ", unverified")


def paint_model(row: ModelRow, column: str, width: int) -> Sequence[Part]:
    """Return one cell of the model table."""
    match column:
        case "mark":
            return [("✓", "tone--mark") if row.picked else (" ", "")]
        case "name":
            return [(crop_middle(row.name, width), "")]
        case "family":
            return [(crop_end(row.family, width), "tone--muted")]
        case "state":
            text = f"{row.readiness.glyph} {row.readiness.word}"
            return [(crop_end(text, width), tone_class(_READY_TONES[row.readiness]))]
        case "files":
            return [(f"{row.files_here}/{len(row.rows)}", "tone--muted")]
        case "needed":
            return [(_needed(row), "")]
        case _:
            return [(crop_middle(printable_line(row.id), width), "tone--muted")]


def _needed(row: ModelRow) -> str:
    if row.readiness is Readiness.READY:
        return "·"
    if row.readiness is Readiness.UNKNOWN:
        return "?"
    if not row.needed and not row.unknown:
        return "links only" if any(file.obtainable for file in row.rows) else "·"
    if not row.needed:
        return "?"
    return format_size(row.needed) + ("+" if row.unknown else "")


def file_widths(rows: Iterable[Row]) -> dict[str, int]:
    """Return the widest text of each column whose width depends on the rows."""
    widths = {"config": 6, "file": 10, "source": 6, "target": 11}
    for row in rows:
        more = len(str(row.more)) + 2 if row.more else 0
        widths["config"] = max(widths["config"], len(row.config) + more)
        widths["file"] = max(widths["file"], len(row.name.removesuffix(".safetensors")))
        widths["source"] = max(widths["source"], len(source_text(row)))
        widths["target"] = max(widths["target"], row.file.target.rfind("/") + 1)
    return {key: min(width, 36 if key in ("config", "source") else 72) for key, width in widths.items()}


def model_widths(rows: Iterable[ModelRow]) -> dict[str, int]:
    """Return the widest text of each column of the model table."""
    widths = {"name": 5, "family": 6, "id": 6}
    for row in rows:
        widths["name"] = max(widths["name"], len(row.name))
        widths["family"] = max(widths["family"], len(row.family))
        widths["id"] = max(widths["id"], len(row.id))
    return {key: min(width, 60) for key, width in widths.items()}


def action_words(row: Row) -> str:
    """Return what the plan would do about a file, as a sentence."""
    match row.file.action:
        case Action.KEEP:
            return "in place" + (f", a link to {row.file.link_to}" if row.file.link_to else "")
        case Action.LINK if row.file.source is not None:
            return f"link to {row.file.source.store}: {row.file.source.path}"
        case Action.DOWNLOAD:
            return f"download {format_size(row.bytes_to_fetch)}"
        case _:
            return row.file.reason
