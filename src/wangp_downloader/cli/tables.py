"""What people read: the plan, the report, the list of models, as text and tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from wangp_downloader.cli.output import print_line, print_rich
from wangp_downloader.files import SHARED_MODEL, Action, Outcome, Plan, PlannedFile
from wangp_downloader.units import format_duration, format_size, format_speed, plural

if TYPE_CHECKING:
    from wangp_downloader.catalog.catalog import Catalog, ModelInfo
    from wangp_downloader.runner import Report

_STYLES = {
    Action.KEEP: "green",
    Action.LINK: "cyan",
    Action.DOWNLOAD: "yellow",
    Action.BLOCKED: "red",
    Action.CONFLICT: "red bold",
}


class Readiness(StrEnum):
    """How much of a model is in place."""

    READY = "ready"
    PARTIAL = "partial"
    MISSING = "missing"
    UNKNOWN = "unknown"
    """All known files are in place, but not every file it needs is known."""


@dataclass(frozen=True, slots=True)
class ModelState:
    """A model's readiness and sizes in bytes, over its required files and the shared set."""

    readiness: Readiness
    files: int
    present: int
    size: int
    size_present: int

    @property
    def size_missing(self) -> int:
        """Bytes that are not in place yet."""
        return self.size - self.size_present


def model_states(catalog: Catalog, plan: Plan) -> dict[str, ModelState]:
    """Return each model's state, from a plan over all that it names."""
    by_model: dict[str, list[PlannedFile]] = {model: [] for model in catalog.models}
    shared = [file for file in plan.files if SHARED_MODEL in file.models]
    for file in plan.files:
        if file.required:
            for model in file.models:
                by_model.setdefault(model, []).append(file)
    return {
        model: _state([*files, *shared], catalog.models[model])
        for model, files in by_model.items()
        if model in catalog.models
    }


def _state(files: list[PlannedFile], model: ModelInfo) -> ModelState:
    present = [file for file in files if file.action is Action.KEEP]
    if len(present) == len(files):
        readiness = Readiness.READY if model.certain else Readiness.UNKNOWN
    else:
        readiness = Readiness.PARTIAL if present else Readiness.MISSING
    return ModelState(
        readiness,
        len(files),
        len(present),
        sum(file.size or 0 for file in files),
        sum(file.size or 0 for file in present),
    )


def print_plan(catalog: Catalog, plan: Plan) -> None:
    """Print a plan: files that something would be done about, then models, totals and disks."""
    due = [file for file in plan.files if file.selected and file.action is not Action.KEEP]
    if due:
        print_rich(_file_table(due))
    states = model_states(catalog, plan)
    named = {model for file in plan.files for model in file.models}
    print_rich(_model_lines({model: state for model, state in states.items() if model in named}))
    print_totals(plan)


def _file_table(files: Iterable[PlannedFile]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("action")
    table.add_column("size", justify="right", no_wrap=True)
    table.add_column("file", overflow="fold", ratio=3)
    table.add_column("why", overflow="fold", ratio=2)
    for file in files:
        why = file.reason if file.hint is None else f"{file.reason}. {file.hint}"
        table.add_row(
            Text(file.action.value, _STYLES[file.action]),
            format_size(file.size),
            Text(file.target),
            Text(why),
        )
    return table


def _model_lines(states: Mapping[str, ModelState]) -> Text:
    groups: dict[Readiness, list[str]] = {}
    for model, state in states.items():
        groups.setdefault(state.readiness, []).append(model)
    text = Text()
    for readiness in Readiness:
        models = groups.get(readiness, [])
        if models:
            label = "not all files known" if readiness is Readiness.UNKNOWN else readiness.value
            shown = ", ".join(models[:12]) + (f" and {len(models) - 12} more" if len(models) > 12 else "")
            text.append(f"\n{plural(len(models), 'model')} {label}: ", "bold")
            text.append(shown)
    return text


def print_totals(plan: Plan) -> None:
    """Print files and bytes by action, and the room on each disk."""
    print_line()
    for action in Action:
        files = [file for file in plan.files if file.selected and file.action is action]
        if files:
            unknown = sum(file.size is None for file in files)
            more = f" (+ {plural(unknown, 'file')} of unknown size)" if unknown else ""
            line = Text(f"{action.value:>9}", _STYLES[action])
            line.append(
                f"  {plural(len(files), 'file'):>10}  {format_size(_bytes(files)):>8}{more}", "default"
            )
            print_rich(line)
    for need in plan.disk:
        verdict = f"{format_size(need.missing)} too little" if need.missing else "enough"
        print_rich(
            Text(
                f"{need.path}: {format_size(need.needed)} needed, {format_size(need.free)} free: {verdict}",
                "red bold" if need.missing else "",
            )
        )


def describe_totals(plan: Plan, actions: Iterable[Action]) -> str:
    """Return one sentence about what would be done, for the question."""
    parts = []
    for action in sorted(actions):
        files = [file for file in plan.files if file.selected and file.action is action]
        if files:
            parts.append(f"{action.value} {plural(len(files), 'file')} ({format_size(_bytes(files))})")
    free = "; ".join(f"{format_size(need.free)} free on {need.path}" for need in plan.disk)
    return ", ".join(parts) + (f"; {free}" if free else "")


def _bytes(files: Iterable[PlannedFile]) -> int:
    return sum(file.size or 0 for file in files)


def print_report(report: Report, seconds: float) -> None:
    """Print what a run did, and what failed with what to do about it."""
    counts = {outcome: [r for r in report.results if r.outcome is outcome] for outcome in Outcome}
    parts = [
        f"{len(results)} {outcome.value}"
        for outcome, results in counts.items()
        if results and outcome is not Outcome.SKIPPED
    ]
    print_line(", ".join(parts) or "nothing to do")
    if report.bytes_linked:
        print_line(f"{format_size(report.bytes_linked)} linked instead of downloaded")
    if report.bytes_fetched:
        speed = format_speed(report.bytes_fetched / max(seconds, 0.001))
        print_line(f"{format_size(report.bytes_fetched)} downloaded in {format_duration(seconds)} ({speed})")
    for result in counts[Outcome.DOWNLOADED]:
        if not result.verified:
            print_rich(
                Text(f"unverified: {result.file.target}: {result.error or 'no hash is known'}", "yellow")
            )
    for result in report.failed:
        print_rich(Text(f"failed: {result.file.target}: {result.error}", "red"))
        if result.hint:
            print_line(f"  {result.hint}")


def print_models(catalog: Catalog, states: Mapping[str, ModelState]) -> None:
    """Print the list of models."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("model", no_wrap=True)
    table.add_column("state")
    table.add_column("still needs", justify="right", no_wrap=True)
    table.add_column("of", justify="right", no_wrap=True)
    table.add_column("family", no_wrap=True)
    table.add_column("name", overflow="ellipsis", no_wrap=True)
    colours = {Readiness.READY: "green", Readiness.PARTIAL: "yellow", Readiness.UNKNOWN: "cyan"}
    for model in catalog.models.values():
        state = states[model.id]
        label = "files?" if state.readiness is Readiness.UNKNOWN else state.readiness.value
        table.add_row(
            Text(model.id, "" if model.visible else "dim"),
            Text(label, colours.get(state.readiness, "")),
            format_size(state.size_missing) if state.size_missing else "",
            format_size(state.size),
            model.family,
            Text(model.name),
        )
    print_rich(table)
