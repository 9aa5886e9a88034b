"""The words before and after a run or a refresh, and what the engine's sentences mean to the screen. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from wangp_downloader.errors import CancelledError, DownloaderError
from wangp_downloader.files import DiskNeed, PlannedFile
from wangp_downloader.tui.front import ERROR, INFO, WARNING, Question
from wangp_downloader.tui.messages import RunEnded
from wangp_downloader.units import format_size, plural

if TYPE_CHECKING:
    from wangp_downloader.snapshot import Snapshot, Totals


def looked_again(before: Mapping[str, PlannedFile], now: Mapping[str, PlannedFile]) -> str:
    """Return what a refresh changed."""
    changed = sum(before.get(key) != now.get(key) for key in before.keys() | now.keys())
    return f"looked again: {plural(changed, 'file')} changed" if changed else "looked again: nothing changed"


def too_little(needs: Iterable[DiskNeed]) -> Question:
    """Return what to ask before a run that these disks have no room for."""
    lines = [
        f"{need.path}: needs {format_size(need.needed)}, has {format_size(need.free)} free, "
        f"{format_size(need.missing)} too little."
        for need in needs
    ]
    text = "\n".join(lines) + "\n\nWhat does not fit will fail; what arrived stays."
    return Question("Too little disk space", text, "Start all the same", "Do not start")


def sentence(error: DownloaderError) -> str:
    """Return what happened and what to do about it."""
    return f"{error.message}{f' · {error.hint}' if error.hint else ''}"


def summary(message: RunEnded, snapshot: Snapshot) -> tuple[str, str]:
    """Return what to say of a run that is over, and how much it matters."""
    totals = snapshot.totals
    if message.error is not None and not isinstance(message.error, CancelledError):
        return sentence(message.error), ERROR
    words = ", ".join(_outcomes(totals))
    if message.error is not None:
        done = f"{totals.finished:,} of {plural(totals.files, 'file')} done"
        failed = f", {totals.failed:,} failed" if totals.failed else ""
        fetched = f", {format_size(totals.fetched)} fetched" if totals.fetched else ""
        return f"stopped: {done}{failed}{fetched}; what arrived is kept", WARNING
    if totals.failed:
        return f"{totals.failed:,} failed{f', {words}' if words else ''}: R tries again, L shows why", ERROR
    cancelled = totals.files - totals.finished
    if cancelled:
        return f"{f'{words}, ' if words else ''}{cancelled:,} cancelled: what arrived is kept", INFO
    return f"all done: {words or 'nothing to do'}", INFO


def _outcomes(totals: Totals) -> list[str]:
    words = []
    if totals.linked:
        words.append(f"{totals.linked:,} linked ({format_size(totals.linked_bytes)} saved)")
    if totals.downloaded:
        words.append(f"{totals.downloaded:,} downloaded ({format_size(totals.fetched)})")
    if totals.kept:
        words.append(f"{totals.kept:,} already there")
    return words
