"""``wangp-dl download``: link what is on this machine, download the rest."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import click

from wangp_downloader.cancel import CancelToken
from wangp_downloader.cli.diagnostics import cancel_on_signals, note, warn
from wangp_downloader.cli.document import plan_document, report_document
from wangp_downloader.cli.options import Shared, open_session, with_shared
from wangp_downloader.cli.output import print_json, print_json_line
from wangp_downloader.cli.progress import json_lines, watching
from wangp_downloader.cli.selection import Selection, selection_options
from wangp_downloader.errors import CancelledError
from wangp_downloader.events import Emit
from wangp_downloader.files import Action, Plan
from wangp_downloader.planner import Request
from wangp_downloader.session import Session

LINK_AND_DOWNLOAD = frozenset({Action.LINK, Action.DOWNLOAD})


@dataclass(frozen=True, slots=True)
class DownloadOrder:
    """What ``download`` or ``link`` was asked to do."""

    selection: Selection
    dry_run: bool = False
    assume_yes: bool = False
    as_json: bool = False
    as_events: bool = False
    actions: frozenset[Action] = LINK_AND_DOWNLOAD
    resume: bool = False


@click.command("download")
@click.option(
    "--resume", is_flag=True, help="Go on with what earlier runs were asked for and did not get done."
)
@click.option("--dry-run", is_flag=True, help="Show the plan and stop.")
@click.option("--yes", "-y", "assume_yes", is_flag=True, help="Ask nothing.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")
@click.option("--events", "as_events", is_flag=True, help="One JSON object a line as things happen.")
@with_shared
@selection_options
def command(
    shared: Shared,
    selection: Selection,
    resume: bool,
    dry_run: bool,
    assume_yes: bool,
    as_json: bool,
    as_events: bool,
) -> int:
    """Bring in what MODELS need: link what is on this machine, download the rest, verified."""
    if as_json and as_events:
        raise click.UsageError("--json and --events exclude each other")
    if resume and selection != Selection():
        raise click.UsageError(
            "--resume goes on with what earlier runs were asked for: "
            "no MODEL, --all, --file, --variant or --with goes with it"
        )
    order = DownloadOrder(selection, dry_run, assume_yes, as_json, as_events, resume=resume)
    return download(shared, order)


def download(shared: Shared, order: DownloadOrder) -> int:
    """Carry an order out, with progress and a summary; return the exit code."""
    request = None if order.resume else order.selection.request(all_by_default=False)
    with open_session(shared) as session, cancel_on_signals() as cancel:
        if request is None:
            request = Request(targets=session.left_undone(), optional=True)
            if not request.targets:
                return _nothing_to_do(session, order, "nothing was left undone")
        with _sink(order) as emit:
            plan = session.plan(request, cancel=cancel, emit=emit)
        for text in plan.warnings:
            warn(text)
        gone = (request.targets or frozenset()) - {file.target for file in plan.files}
        if gone:
            warn(f"Wan2GP no longer names {', '.join(sorted(gone))}: left out")
        if order.dry_run:
            _show_plan(session, order, plan)
            return 0
        if not _confirmed(order, plan):
            return _nothing_to_do(session, order, "nothing was done")
        return _run(session, order, plan, cancel)


def _nothing_to_do(session: Session, order: DownloadOrder, why: str) -> int:
    note(why)
    if order.as_json:
        print_json(report_document(session.catalog(ask=False), Plan(()), ()))
    return 0


def _run(session: Session, order: DownloadOrder, plan: Plan, cancel: CancelToken) -> int:
    started = time.monotonic()
    try:
        with _sink(order) as emit:
            report = session.run(plan, actions=order.actions, cancel=cancel, emit=emit)
    except CancelledError as error:
        raise CancelledError("stopped; what arrived is kept, the same command goes on from there") from error
    if order.as_json:
        print_json(report_document(session.catalog(ask=False), plan, report.results))
    elif not order.as_events:
        from wangp_downloader.cli.tables import print_report

        print_report(report, time.monotonic() - started)
    return report.exit_code


@contextmanager
def _sink(order: DownloadOrder) -> Iterator[Emit]:
    if order.as_events:
        yield json_lines()
        return
    with watching(quiet=order.as_json and not sys.stderr.isatty()) as emit:
        yield emit


def _show_plan(session: Session, order: DownloadOrder, plan: Plan) -> None:
    catalog = session.catalog(ask=False)
    if order.as_events:
        print_json_line({"event": "plan", **plan_document(catalog, plan)})
        return
    if order.as_json:
        print_json(plan_document(catalog, plan))
        return
    from wangp_downloader.cli.tables import print_plan

    print_plan(catalog, plan)


def _confirmed(order: DownloadOrder, plan: Plan) -> bool:
    """Ask before bytes are moved, but only a person at a terminal."""
    due = [file for file in plan.files if file.selected and file.action in order.actions]
    if order.assume_yes or not due or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return True
    from wangp_downloader.cli.tables import describe_totals

    note(describe_totals(plan, order.actions))
    return click.confirm("Go on?", default=True, err=True)
