"""``wangp-dl list``: the models Wan2GP defines, and how ready each is."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from wangp_downloader.cli.diagnostics import cancel_on_signals, note, warn
from wangp_downloader.cli.document import wan2gp_part
from wangp_downloader.cli.options import Shared, open_session, with_shared
from wangp_downloader.cli.output import print_json
from wangp_downloader.cli.progress import watching
from wangp_downloader.planner import Request

if TYPE_CHECKING:
    from wangp_downloader.catalog.catalog import Catalog, ModelInfo
    from wangp_downloader.cli.tables import ModelState


@click.command("list")
@click.argument("words", nargs=-1, metavar="[WORD]...")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")
@with_shared
def command(shared: Shared, words: tuple[str, ...], as_json: bool) -> int:
    """List the models whose id, name or family contains all WORDs, with what each still needs."""
    return list_models(shared, words, as_json=as_json)


def list_models(shared: Shared, words: tuple[str, ...], *, as_json: bool) -> int:
    """Print the list; return the exit code."""
    from wangp_downloader.cli.tables import model_states, print_models

    with open_session(shared) as session, cancel_on_signals() as cancel:
        with watching(quiet=as_json) as emit:
            plan = session.plan(Request(), hashing=False, cancel=cancel, emit=emit)
        catalog = session.catalog(ask=False)
        states = model_states(catalog, plan)
        meant = {model.id: model for model in catalog.models.values() if _matches(model, words)}
        for text in plan.warnings:
            warn(text)
        if as_json:
            print_json(_document(catalog, meant, states))
        elif meant:
            print_models(replace(catalog, models=meant), states)
        else:
            note(f"no model's id, name or family contains {' and '.join(map(repr, words))}")
    return 0


def _matches(model: ModelInfo, words: tuple[str, ...]) -> bool:
    text = f"{model.id} {model.name} {model.family} {model.architecture}".lower()
    return all(word.lower() in text for word in words)


def _document(catalog: Catalog, meant: dict[str, ModelInfo], states: dict[str, ModelState]) -> dict[str, Any]:
    return {
        "wan2gp": wan2gp_part(catalog),
        "models": [_model(model, states[model.id]) for model in meant.values()],
        "handlers": [
            {
                "handler": item.path,
                "status": item.status.value,
                "why": item.error,
                "families": list(item.families),
            }
            for item in catalog.handlers
        ],
    }


def _model(model: ModelInfo, state: ModelState) -> dict[str, Any]:
    return {
        "id": model.id,
        "name": model.name,
        "family": model.family,
        "architecture": model.architecture,
        "visible": model.visible,
        "definition": list(model.files),
        "state": state.readiness.value,
        "files": state.files,
        "files_present": state.present,
        "size": state.size,
        "size_missing": state.size_missing,
        "components": model.knowledge.value,
        "problems": list(model.problems),
    }
