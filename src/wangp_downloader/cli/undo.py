"""``wangp-dl undo``: take back what this program put in place."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from wangp_downloader.cli.diagnostics import cancel_on_signals, note
from wangp_downloader.cli.options import Shared, open_session, with_shared
from wangp_downloader.cli.output import print_json, print_line
from wangp_downloader.paths import printable_line
from wangp_downloader.units import plural

if TYPE_CHECKING:
    from wangp_downloader.journal import Entry
    from wangp_downloader.library.undo import Undone


@click.command("undo")
@click.option("--all", "every", is_flag=True, help="All runs, not only the last.")
@click.option("--downloads", is_flag=True, help="Remove downloaded files too, if they are unchanged.")
@click.option("--dry-run", is_flag=True, help="Show what would be taken back and stop.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")
@with_shared
def command(shared: Shared, every: bool, downloads: bool, dry_run: bool, as_json: bool) -> int:
    """Take back the links of the last run that made any; what has changed since stays."""
    with open_session(shared) as session, cancel_on_signals() as cancel:
        entries = session.undoable(every=every)
        if dry_run:
            _show_entries(entries, downloads=downloads, as_json=as_json)
            return 0
        results = session.undo(entries, downloads=downloads, cancel=cancel)
    _show_results(results, downloads=downloads, as_json=as_json)
    kept = [result for result in results if not result.done and result.entry.change.action.value == "link"]
    return 1 if kept else 0


def _describe(entry: Entry) -> dict[str, Any]:
    change = entry.change
    return {
        "time": entry.time,
        "verb": entry.verb,
        "action": change.action.value,
        "target": change.target,
        "source": change.source,
    }


def _show_entries(entries: list[Entry], *, downloads: bool, as_json: bool) -> None:
    kept = [] if downloads else [entry for entry in entries if entry.change.action.value == "download"]
    shown = [entry for entry in entries if entry not in kept and not _holds_one(entry, kept)]
    if as_json:
        print_json({"entries": [_describe(entry) for entry in shown]})
    else:
        for entry in shown:
            when = time.strftime("%Y-%m-%d %H:%M", time.localtime(entry.time))
            print_line(f"{when}  {entry.change.action.value:8}  {printable_line(entry.change.target)}")
    _note_rest(len(kept), any_left=bool(entries))


def _holds_one(folder: Entry, kept: list[Entry]) -> bool:
    """Return whether an entry made the folder that a file which stays is in."""
    if folder.change.action.value != "mkdir":
        return False
    return any(Path(folder.change.target) in Path(entry.change.target).parents for entry in kept)


def _note_rest(kept: int, *, any_left: bool) -> None:
    if kept:
        note(f"{plural(kept, 'downloaded file')} kept (to remove them too: wangp-dl undo --downloads)")
    if not any_left:
        note("there is nothing to take back")


def _show_results(results: list[Undone], *, downloads: bool, as_json: bool) -> None:
    if as_json:
        rows = [{**_describe(item.entry), "undone": item.done, "reason": item.reason} for item in results]
        print_json({"entries": rows})
        return
    kept = 0
    for item in results:
        change = item.entry.change
        if item.done:
            print_line(f"taken back: {printable_line(change.target)}")
        elif change.action.value == "download" and not downloads:
            kept += 1
        elif change.action.value != "mkdir":  # a folder that is not empty stays, and nobody asks why
            print_line(f"left: {printable_line(change.target)}: {item.reason}")
    _note_rest(kept, any_left=bool(results))
