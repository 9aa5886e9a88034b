"""``wangp-dl link``: link what is on this machine, download nothing."""

from __future__ import annotations

from dataclasses import replace

import click

from wangp_downloader.cli.download import DownloadOrder, download
from wangp_downloader.cli.options import Shared, with_shared
from wangp_downloader.cli.selection import Selection, selection_options
from wangp_downloader.files import Action


@click.command("link")
@click.option("--dry-run", is_flag=True, help="Show the plan and stop.")
@click.option("--yes", "-y", "assume_yes", is_flag=True, help="Ask nothing.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")
@with_shared
@selection_options
def command(
    shared: Shared,
    selection: Selection,
    dry_run: bool,
    assume_yes: bool,
    as_json: bool,
) -> int:
    """Link what MODELS need and this machine holds elsewhere; download nothing."""
    everything = replace(selection, every=selection.every or not selection.models)
    actions = frozenset({Action.LINK})
    return download(shared, DownloadOrder(everything, dry_run, assume_yes, as_json, actions=actions))
