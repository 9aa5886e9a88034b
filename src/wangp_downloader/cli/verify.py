"""``wangp-dl verify``: compare what is in place with what was published."""

from __future__ import annotations

import click

from wangp_downloader.cli.diagnostics import cancel_on_signals, warn
from wangp_downloader.cli.document import file_part, wan2gp_part
from wangp_downloader.cli.options import Shared, open_session, with_shared
from wangp_downloader.cli.output import print_json, print_line
from wangp_downloader.cli.progress import watching
from wangp_downloader.cli.selection import Selection, selection_options
from wangp_downloader.files import Action, PlannedFile
from wangp_downloader.units import format_size, plural


@click.command("verify")
@click.option("--again", is_flag=True, help="Read every file again, also those hashed before.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")
@with_shared
@selection_options
def command(shared: Shared, selection: Selection, again: bool, as_json: bool) -> int:
    """Hash the files of MODELS (all by default) that are in place, and compare them with what was published.

    Ends with 1 if a file differs.
    """
    request = selection.request(all_by_default=True)
    with open_session(shared) as session, cancel_on_signals() as cancel:
        with watching(quiet=as_json) as emit:
            if again:
                session.forget_hashes(session.plan(request, hashing=False, cancel=cancel, emit=emit))
            plan = session.plan(request, rehash=True, cancel=cancel, emit=emit)
        catalog = session.catalog(ask=False)
    here = [file for file in plan.files if file.action in (Action.KEEP, Action.CONFLICT)]
    if as_json:
        print_json({"wan2gp": wan2gp_part(catalog), "files": [_part(file) for file in here]})
    else:
        for text in plan.warnings:
            warn(text)
        _print(here)
    return 1 if any(file.action is Action.CONFLICT for file in here) else 0


def _part(file: PlannedFile) -> dict[str, object]:
    return {**file_part(file), "verified": file.compared}


def _print(files: list[PlannedFile]) -> None:
    verified = [file for file in files if file.compared]
    size = sum(file.size or 0 for file in verified)
    print_line(f"{plural(len(verified), 'file')} verified ({format_size(size)})")
    for file in files:
        if not file.compared:
            style = "red" if file.action is Action.CONFLICT else "yellow"
            print_line(f"{file.target}: {file.reason}", style)
