"""``wangp-dl demo``: everything on a small made-up Wan2GP, with no network."""

from __future__ import annotations

import time
from typing import Any

import click

from wangp_downloader.cli.diagnostics import cancel_on_signals
from wangp_downloader.cli.document import report_document
from wangp_downloader.cli.options import Shared, with_shared
from wangp_downloader.cli.output import print_json, print_line
from wangp_downloader.cli.progress import print_notice, watching
from wangp_downloader.errors import DownloaderError
from wangp_downloader.files import Action, Outcome
from wangp_downloader.planner import Request


@click.command("demo")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")
@with_shared
def command(_shared: Shared, as_json: bool) -> int:
    """Make a small Wan2GP, a local hub and a Hub on loopback; plan, link and download; clean up."""
    from wangp_downloader.cli.tables import print_plan, print_report
    from wangp_downloader.demo.world import demo_world
    from wangp_downloader.session import Session

    say = _silent if as_json else print_line
    with demo_world() as world, cancel_on_signals() as cancel:
        session = Session.open(world.loaded, emit=print_notice)
        try:
            say(
                f"A made-up world in {world.folder}: a Wan2GP with 3 models, a local hub, and a Hub on loopback.\n"
            )
            say(
                "1. The plan: keep what is in place, link what is elsewhere on the machine, download the rest.\n"
            )
            with watching(quiet=as_json) as emit:
                plan = session.plan(Request(), cancel=cancel, emit=emit)
            catalog = session.catalog()
            if not as_json:
                print_plan(catalog, plan)
            say("\n2. Doing it: the links first, then the downloads, each file checked by its SHA-256.\n")
            started = time.monotonic()
            with watching(quiet=as_json) as emit:
                actions = frozenset({Action.LINK, Action.DOWNLOAD})
                report = session.run(plan, actions=actions, cancel=cancel, emit=emit)
            if not as_json:
                print_report(report, time.monotonic() - started)
            say("\n3. Again: there is nothing left to do.\n")
            again = session.plan(Request(), cancel=cancel)
            left = [file for file in again.files if file.selected and file.action is not Action.KEEP]
            say(
                f"{sum(file.action is Action.KEEP for file in again.files)} files in place, {len(left)} left to do."
            )
        finally:
            session.close()
    done = {result.outcome for result in report.results}
    if left or not {Outcome.KEPT, Outcome.LINKED, Outcome.DOWNLOADED} <= done:
        raise DownloaderError("the demo did not end as it should", hint="please report this")
    if as_json:
        print_json(report_document(catalog, plan, report.results))
    say("\nEverything was removed again. The same on your own Wan2GP: wangp-dl plan")
    return 0


def _silent(_text: str = "", /) -> Any:
    """Say nothing: standard output belongs to the JSON document."""
