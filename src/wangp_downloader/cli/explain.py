"""``wangp-dl explain``: why a file is needed, where Wan2GP looks for it, what else could fill its place."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import click

from wangp_downloader.cli.diagnostics import cancel_on_signals, warn
from wangp_downloader.cli.document import file_part, wan2gp_part
from wangp_downloader.cli.options import Shared, open_session, with_shared
from wangp_downloader.cli.output import print_json, print_line
from wangp_downloader.cli.progress import watching
from wangp_downloader.errors import UsageError
from wangp_downloader.files import Plan, PlannedFile, Requirement, Role
from wangp_downloader.planner import Request
from wangp_downloader.units import format_size, plural

if TYPE_CHECKING:
    from wangp_downloader.catalog.catalog import Catalog


@click.command("explain")
@click.argument("name", metavar="FILE|MODEL")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")
@with_shared
def command(shared: Shared, name: str, as_json: bool) -> int:
    """Say why each file of MODEL, or each file whose name contains FILE, is needed."""
    with open_session(shared) as session, cancel_on_signals() as cancel:
        with watching(quiet=as_json) as emit:
            plan = session.plan(Request(optional=True), hashing=False, cancel=cancel, emit=emit)
        catalog = session.catalog(ask=False)
    reasons = _reasons(catalog, name)
    files = [file for file in plan.files if file.target in reasons]
    if not files:
        raise UsageError(
            f"neither a model nor a file is called {name[:80]!r}", hint="wangp-dl list shows the models"
        )
    for text in catalog.models[name].problems if name in catalog.models else ():
        warn(text)
    explained = [_explain(catalog, file, reasons[file.target], plan) for file in files]
    if as_json:
        print_json({"wan2gp": wan2gp_part(catalog), "files": explained})
        return 0
    for entry in explained:
        _print(entry)
    return 0


def _reasons(catalog: Catalog, name: str) -> dict[str, list[Requirement]]:
    """Return the requirements behind each target that is meant."""
    everything = (*catalog.requirements, *catalog.optional().requirements)
    by_target: dict[str, list[Requirement]] = {}
    for row in everything:
        by_target.setdefault(row.target, []).append(row)
    if name in catalog.models:
        meant = {row.target for row in everything if row.model == name}
    else:
        meant = {target for target in by_target if name.lower() in target.lower()}
    return {target: rows for target, rows in by_target.items() if target in meant}


def _explain(catalog: Catalog, file: PlannedFile, needs: Sequence[Requirement], plan: Plan) -> dict[str, Any]:
    first = needs[0]
    return {
        **file_part(file),
        "needed_by": [
            {
                "model": need.model,
                "role": need.role.value,
                "from": need.origin,
                "group": need.group or None,
                "required": need.required,
                "setting": _setting(catalog, need),
            }
            for need in needs
        ],
        "searched_at": list(
            dict.fromkeys([first.target, *(place for need in needs for place in need.also_at)])
        ),
        "alternatives": [
            {"target": other.target, "size": other.size, "required": other.required}
            for other in plan.files
            if other.target != file.target and set(other.choices) & set(file.choices)
        ],
    }


_QUANTIZED = frozenset([Role.TRANSFORMER, Role.TRANSFORMER2, Role.MODULE])


def _setting(catalog: Catalog, need: Requirement) -> str | None:
    """Return the Wan2GP setting that picks among the variants of this place, if there are several."""
    variants = sum(row.choice == need.choice and row.model == need.model for row in catalog.requirements)
    if variants < 2:
        return None
    settings = catalog.settings
    if need.role in _QUANTIZED:
        return (
            f"transformer_quantization: {settings.transformer_quantization or 'bf16'}, "
            f"data type {settings.transformer_dtype}"
        )
    return f"text_encoder_quantization: {settings.text_encoder_quantization}"


def _print(entry: dict[str, Any]) -> None:
    print_line(f"{entry['target']}  ({format_size(entry['size'])}, {entry['action']})", "bold")
    print_line(f"  {entry['reason']}")
    for need in _grouped(entry["needed_by"]):
        print_line(f"  {need}")
    print_line(f"  Wan2GP looks at: {', '.join(entry['searched_at'])}")
    for other in entry["alternatives"]:
        chosen = " (the one in use)" if other["required"] else ""
        print_line(f"  instead of it: {other['target']} ({format_size(other['size'])}){chosen}")
    if entry["pair"]:
        print_line(f"  used together with: {entry['pair']}")
    print_line()


def _grouped(needs: Iterable[dict[str, Any]]) -> list[str]:
    lines: dict[tuple[str, str, bool, str | None], list[str]] = {}
    for need in needs:
        key = (need["role"], need["from"].partition(" of ")[0], need["required"], need["setting"])
        lines.setdefault(key, []).append(need["model"])
    texts = []
    for (role, source, required, setting), models in lines.items():
        who = ", ".join(models[:6]) + (
            f" and {plural(len(models) - 6, 'more', 'more')}" if len(models) > 6 else ""
        )
        verdict = "required" if required else "could be used"
        texts.append(f"{verdict} as {role} by {who}: {source}" + (f" [{setting}]" if setting else ""))
    return texts
