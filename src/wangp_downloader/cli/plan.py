"""``wangp-dl plan``: what models need, what is here, what would be done. Changes nothing."""

from __future__ import annotations

import click

from wangp_downloader.cli.diagnostics import cancel_on_signals, warn
from wangp_downloader.cli.document import plan_document
from wangp_downloader.cli.options import Shared, open_session, with_shared
from wangp_downloader.cli.output import print_json
from wangp_downloader.cli.progress import watching
from wangp_downloader.cli.selection import Selection, selection_options


@click.command("plan")
@click.option("--quick", is_flag=True, help="Read no file: take size for proof until it matters.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")
@with_shared
@selection_options
def command(
    shared: Shared,
    selection: Selection,
    quick: bool,
    as_json: bool,
) -> int:
    """Show what MODELS need (all of them by default), what is on this machine, and what would be done."""
    request = selection.request(all_by_default=True)
    with open_session(shared) as session, cancel_on_signals() as cancel:
        with watching(quiet=as_json) as emit:
            plan = session.plan(request, hashing=not quick, cancel=cancel, emit=emit)
        catalog = session.catalog(ask=False)
        for text in plan.warnings:
            warn(text)
        if as_json:
            print_json(plan_document(catalog, plan))
        else:
            from wangp_downloader.cli.tables import print_plan

            print_plan(catalog, plan)
    return 0
