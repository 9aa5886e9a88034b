"""The words of the one-line bars, and what the panes show. Pure: a desk in, text and tones out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rich.text import Text

from wangp_downloader.tui.asked import OFFLINE_WORDS
from wangp_downloader.tui.columns import Part
from wangp_downloader.tui.commands import COMMANDS
from wangp_downloader.tui.desk import Desk, RunState
from wangp_downloader.tui.front import ERROR, INFO, WARNING
from wangp_downloader.tui.model import SelectionTotals
from wangp_downloader.tui.models import ModelRow
from wangp_downloader.tui.rows import Row, Status
from wangp_downloader.units import format_duration, format_size, format_speed, plural

if TYPE_CHECKING:
    from wangp_downloader.snapshot import Snapshot

_LEVEL_TONES = {INFO: "", WARNING: "tone--warning", ERROR: "tone--bad"}
_UNREACHABLE = "! offline: F5 tries again"
Keys = list[tuple[str, str, str, bool]]
Halves = tuple[list[Part], list[Part]]


def header(desk: Desk) -> Halves:
    """Return the title with the Wan2GP folder, and how much is missing."""
    folder = _home(desk.root)
    left: list[Part] = [
        ("WanGP Downloader", "tone--strong"),
        (f"  {folder}" if folder else "", "tone--muted"),
    ]
    rows = [row for row in desk.files.rows if row.file.required]
    if not rows:
        return left, []
    missing = [row for row in rows if row.status not in (Status.PRESENT, Status.LINKED, Status.DONE)]
    needed = sum(row.bytes_to_fetch for row in missing)
    size = f", {format_size(needed)}" if needed else ""
    counts = f"{plural(len(desk.infos), 'model')} · {plural(len(rows), 'file')}"
    return left, [(counts, "tone--muted"), (f" · {len(missing):,} missing{size}", "")]


def view(desk: Desk) -> list[Part]:
    """Return what of the table is shown."""
    settings = desk.files.settings
    if desk.models_shown:
        shown, total, what = len(desk.models.view), len(desk.models.rows), "models"
        kind = "all" if settings.show_all else "not ready"
    else:
        shown, total, what = len(desk.files.view), len(desk.files.rows), "files"
        kind = "all" if settings.show_all else "missing"
        kind += " + variants" if settings.variants else ""
    return [
        (f"{kind} ", "tone--muted"),
        (f"{shown:,}", "tone--strong"),
        (f" of {total:,} {what}", "tone--muted"),
    ]


def banner(desk: Desk) -> list[Part]:
    """Return the offer to go on with interrupted downloads, or nothing."""
    keys = desk.parts_offered
    if not keys:
        return []
    sizes = [desk.files.by_key[key].size for key in keys]
    known = [size for size in sizes if size]
    amount = format_size(sum(desk.parts[key] for key in keys))
    if len(known) == len(sizes):
        amount += f" of {format_size(sum(known))}"
    text = f" continues {plural(len(keys), 'interrupted download')} · {amount} here"
    return [("c", "tone--strong"), (text, "")]


def selection(desk: Desk) -> Halves:
    """Return what the selection amounts to, and the free space."""
    totals = desk.files.totals()
    free = f"{format_size(desk.free)} free" if desk.free is not None else ""
    if not totals.files:
        words = "nothing selected: Enter selects the row, a all rows shown"
        return [("○ ", "tone--muted"), (words, "tone--muted")], [(free, "tone--muted")]
    left: list[Part] = [(f"✓ {totals.files:,} selected", "tone--mark"), (_amounts(totals), "")]
    missing = totals.download_bytes - desk.free if desk.free is not None else 0
    if missing > 0:
        return left, [(f"! {format_size(missing)} too little: {free}", "tone--bad")]
    return left, [(free, "tone--muted")]


def _amounts(totals: SelectionTotals) -> str:
    words = ""
    if totals.downloads:
        unknown = f" + {totals.unknown_sizes} of unknown size" if totals.unknown_sizes else ""
        words += f" · download {format_size(totals.download_bytes)}{unknown}"
    if totals.links:
        words += f" · link {totals.links:,} (saves {format_size(totals.link_bytes)})"
    return words


def status(desk: Desk, said: str, level: str) -> Halves:
    """Return the last message, and what goes on."""
    left: list[Part] = [(said or "ready", _LEVEL_TONES[level] if said else "tone--muted")]
    activity = _activity(desk)
    if not desk.no_network:
        return left, activity
    if activity[0][0] in _IDLE_STARTS:
        return left, [(OFFLINE_WORDS, "tone--warning")]
    return left, [*activity, (f"  {OFFLINE_WORDS}", "tone--warning")]


_IDLE_STARTS = ("limit ", _UNREACHABLE)
"""How the right of the status line begins where the one word offline says more."""


def _activity(desk: Desk) -> list[Part]:
    totals = desk.snapshot.totals if desk.run is RunState.RUNNING else None
    if totals is not None and totals.files:
        word = "paused" if desk.paused else format_speed(totals.bytes_per_s)
        eta = format_duration(totals.eta_s)
        return [
            (f"↓ {totals.finished}/{totals.files} ", "tone--active"),
            (f"{word} ETA {eta} limit {desk.limit_text}", ""),
        ]
    working = "" if desk.quiet else _working(desk.snapshot)
    if working:
        return [("⟳ ", "tone--active"), (working, "tone--muted")]
    if desk.active:
        return [(desk.run.value, "tone--active")]
    if desk.problem:
        return [("! ", "tone--warning"), (desk.problem, "tone--warning")]
    if desk.offline and not desk.refreshing:
        return [(_UNREACHABLE, "tone--warning")]
    if desk.refreshing:
        return [("⟳ ", "tone--active"), ("looking at disk and Hub", "tone--muted")]
    if desk.warnings:
        return [(f"! {plural(len(desk.warnings), 'warning')}: L", "tone--warning")]
    return [("limit ", "tone--muted"), (desk.limit_text, "tone--muted")]


def _working(snapshot: Snapshot) -> str:
    if snapshot.hashing:
        done = sum(each.done for each in snapshot.hashing.values())
        size = sum(each.size for each in snapshot.hashing.values())
        name = next(iter(snapshot.hashing)).rpartition("/")[2]
        return f"hashing {name} {100 * done // size if size else 0}%"
    if snapshot.scanning:
        store, files = list(snapshot.scanning.items())[-1]
        return f"scanning {store}: {plural(files, 'file')}"
    if snapshot.metadata is not None:
        return f"asking the Hub: {snapshot.metadata.done} of {plural(snapshot.metadata.total, 'repo')}"
    return ""


def keys(desk: Desk, *, filtering: bool, enabled: dict[str, bool]) -> Keys:
    """Return the keys for the foot of the screen, most useful first.

    Args:
        desk: Knows what goes on.
        filtering: Whether the filter has the focus: letters are text then.
        enabled: Whether an action can be used now.
    """
    if filtering:
        return [
            ("Enter", "To the table", "leave_filter", True),
            ("↑↓", "Move", "", True),
            ("!word", "Leaves out", "", True),
            ("^u", "Clear", "", True),
            ("^p", "Palette", "app.command_palette", True),
        ]
    shown = sorted((command for command in COMMANDS if command.footer), key=lambda command: command.footer)
    toggle = "Select model" if desk.models_shown else "Select"
    bar: Keys = [("Enter", toggle, "toggle_current", True)]
    if desk.active:
        bar += [("Esc", "Abort", "back", True), ("p", "Resume" if desk.paused else "Pause", "pause", True)]
        bar += [("+ -", "Limit", "faster", True)]
    for command in shown:
        label = "Files" if command.action == "model_view" and desk.models_shown else command.label
        key = command.shown.split()[0]
        bar.append((key, label, command.action, enabled.get(command.action, True)))
    bar.append(("^p", "Palette", "app.command_palette", True))
    return bar


def run_word(desk: Desk) -> str:
    """Return the run's state as the downloads pane shows it."""
    if desk.run is RunState.IDLE:
        totals = None if desk.quiet else desk.snapshot.totals
        if totals is None or not totals.files:
            return "idle"
        return "done" if totals.finished + totals.failed == totals.files else "stopped"
    return "paused" if desk.paused and desk.run is RunState.RUNNING else desk.run.value


def details(desk: Desk, current: object, width: int) -> Text:
    """Return the text of the details pane for the row under the cursor, ``width`` cells wide."""
    from wangp_downloader.tui.widgets.details import describe_file, describe_model  # noqa: PLC0415 - start-up

    if isinstance(current, ModelRow):
        return describe_model(current, width)
    if isinstance(current, Row):
        choices = set(current.file.choices)
        others = [
            row for row in desk.files.rows if row is not current and choices.intersection(row.file.choices)
        ]
        others.sort(key=lambda row: row.name)
        return describe_file(current, desk.files.partner(current), others, desk.infos, width)
    return Text("no row")


def _home(folder: str) -> str:
    try:
        home = str(Path.home())
    except RuntimeError:
        return folder
    return f"~{folder[len(home) :]}" if folder == home or folder.startswith(f"{home}/") else folder
