"""What people read: the plan, the report, the list of models, as text and tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Literal

from rich.table import Table
from rich.text import Text

from wangp_downloader.cli.output import console, print_line, print_rich, styled
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
    """A model's readiness and sizes in bytes, over its required files and the shared set.

    ``unsized`` counts the files that are not in place and whose size is not known.
    """

    readiness: Readiness
    files: int
    present: int
    size: int
    size_present: int
    unsized: int = 0

    @property
    def size_missing(self) -> int:
        """Bytes that are not in place yet."""
        return self.size - self.size_present

    @property
    def still_needs(self) -> str:
        """What is not in place yet, for people; empty if nothing."""
        if self.files == self.present:
            return ""
        if not self.unsized:
            return format_size(self.size_missing)
        return f"{format_size(self.size_missing)} + ?" if self.size_missing else "?"


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
        _bytes(files),
        _bytes(present),
        sum(file.size is None for file in files if file.action is not Action.KEEP),
    )


def print_plan(catalog: Catalog, plan: Plan) -> None:
    """Print a plan: files that something would be done about, then models, totals and disks."""
    _print_due([file for file in plan.files if file.selected and file.action is not Action.KEEP])
    states = model_states(catalog, plan)
    named = {model for file in plan.files for model in file.models}
    _print_model_lines({model: state for model, state in states.items() if model in named})
    print_totals(plan)


_LONG_LIST = 40
"""A longer list of equal rows is cut on a terminal, to the largest files."""
_CUT_LIST = 20


def _print_due(files: Iterable[PlannedFile]) -> None:
    """Print files under what is to be done about them and why, so that a reason is said once."""
    groups: dict[tuple[Action, str, str | None], list[PlannedFile]] = {}
    for file in files:
        groups.setdefault((file.action, file.reason, file.hint), []).append(file)
    order = list(Action)
    for (action, reason, hint), rows in sorted(groups.items(), key=lambda item: order.index(item[0][0])):
        heading = styled(action.value, f"{_STYLES[action]} bold")
        heading.append(f"  {plural(len(rows), 'file')}, {_size_of(rows)}  ", "bold")
        heading.append_text(styled(reason))
        print_rich(heading)
        if hint:
            print_line(f"  {hint}")
        _print_rows(rows)
        print_line()


def _print_rows(rows: list[PlannedFile]) -> None:
    shown = rows
    if len(rows) > _LONG_LIST and console().is_terminal:
        shown = sorted(rows, key=lambda file: -(file.size or 0))[:_CUT_LIST]
    for file in shown:
        print_line(f"{format_size(file.size):>9}  {file.target}")
        if file.source is not None:
            print_line(f"{'←':>9}  {file.source.path}", "dim")
    left = len(rows) - len(shown)
    if left:
        size = format_size(_bytes(rows) - _bytes(shown))
        print_line(
            f"{'…':>9}  and {left:,} smaller ones, {size} (all of them: pipe this into a file or less)"
        )


def _size_of(files: Iterable[PlannedFile]) -> str:
    files = list(files)
    unknown = sum(file.size is None for file in files)
    if unknown == len(files):
        return "size unknown"
    return format_size(_bytes(files)) + (f" (+ {plural(unknown, 'file')} of unknown size)" if unknown else "")


_NAMED_MODELS = 12


def _print_model_lines(states: Mapping[str, ModelState]) -> None:
    groups: dict[Readiness, list[str]] = {}
    for model, state in states.items():
        needs = f" (needs {state.still_needs})" if state.still_needs else ""
        groups.setdefault(state.readiness, []).append(f"{model}{needs}")
    for readiness in Readiness:
        models = groups.get(readiness, [])
        if models:
            label = "not all files known" if readiness is Readiness.UNKNOWN else readiness.value
            more = len(models) - _NAMED_MODELS
            shown = ", ".join(models[:_NAMED_MODELS]) + (f" and {more:,} more" if more > 0 else "")
            line = Text(f"{plural(len(models), 'model')} {label}: ", "bold")
            line.append_text(styled(shown, "default not bold"))
            print_rich(line)


def print_totals(plan: Plan) -> None:
    """Print files and bytes by action, and the room on each disk."""
    print_line()
    for action in Action:
        files = [file for file in plan.files if file.selected and file.action is action]
        if files:
            line = Text(f"{action.value:>9}", _STYLES[action])
            line.append(f"  {plural(len(files), 'file'):>10}  {_size_of(files):>8}", "default")
            print_rich(line)
    for need in plan.disk:
        verdict = f"{format_size(need.missing)} too little" if need.missing else "enough"
        text = f"{need.path}: {format_size(need.needed)} needed, {format_size(need.free)} free: {verdict}"
        print_line(text, "red bold" if need.missing else "")


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
            print_line(f"unverified: {result.file.target}: {result.error or 'no hash is known'}", "yellow")
    failed: dict[tuple[str | None, str | None], list[str]] = {}
    for result in report.failed:
        failed.setdefault((result.error, result.hint), []).append(result.file.target)
    for (error, hint), targets in failed.items():
        what = targets[0] if len(targets) == 1 else plural(len(targets), "file")
        print_line(f"failed: {what}: {error}", "red")
        if hint:
            print_line(f"  {hint}")
        for target in targets if len(targets) > 1 else ():
            print_line(f"  {target}")


_COLUMNS = (("family", 110), ("of", 96), ("name", 70))
"""What the list of models leaves out where the terminal has fewer columns."""


def print_models(catalog: Catalog, states: Mapping[str, ModelState]) -> None:
    """Print the list of models, with what the terminal's width has room for."""
    left_out = {name for name, width in _COLUMNS if console().width < width}
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("model", overflow="fold", min_width=20)
    table.add_column("state", no_wrap=True, min_width=7)
    table.add_column("still needs", justify="right", no_wrap=True, min_width=11)
    for heading in ("of", "family", "name"):
        if heading not in left_out:
            justify: Literal["left", "right"] = "right" if heading == "of" else "left"
            table.add_column(heading, overflow="ellipsis", no_wrap=True, justify=justify)
    for model in catalog.models.values():
        state = states[model.id]
        label = "files?" if state.readiness is Readiness.UNKNOWN else state.readiness.value
        of = format_size(state.size) if state.size or not state.unsized else "?"
        more = {"of": of, "family": model.family, "name": model.name.replace("\n", " ")}
        table.add_row(
            styled(model.id, "" if model.visible else "dim"),
            styled(label, _COLOURS.get(state.readiness, "")),
            state.still_needs,
            *(styled(text) for heading, text in more.items() if heading not in left_out),
        )
    print_rich(table)


_COLOURS = {Readiness.READY: "green", Readiness.PARTIAL: "yellow", Readiness.UNKNOWN: "cyan"}
