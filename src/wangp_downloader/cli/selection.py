"""The options with which ``plan``, ``download``, ``link`` … say which files are meant."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import click

from wangp_downloader.planner import Request

Command = TypeVar("Command", bound=Callable[..., object])


def selection_options(command: Command) -> Command:
    """Add MODELS, ``--all``, ``--file`` and ``--variant`` to a verb."""
    for option in reversed(
        (
            click.argument("models", nargs=-1, metavar="[MODEL]..."),
            click.option("--all", "every", is_flag=True, help="All models."),
            click.option(
                "--file",
                "patterns",
                multiple=True,
                metavar="PATTERN",
                help="Only files whose name contains PATTERN.",
            ),
            click.option(
                "--variant",
                metavar="NAME",
                help="Instead of the variants Wan2GP's settings pick: those whose name contains NAME, or all.",
            ),
        )
    ):
        command = option(command)
    return command


def make_request(
    models: tuple[str, ...],
    every: bool,
    patterns: tuple[str, ...],
    variant: str | None,
    *,
    all_by_default: bool,
) -> Request:
    """Turn the options into a request.

    Args:
        models: Ids; may be empty.
        every: ``--all``.
        patterns: ``--file``.
        variant: ``--variant``.
        all_by_default: True if no model at all means all of them.

    Raises:
        click.UsageError: Both or neither of MODELS and ``--all``.
    """
    if models and every:
        raise click.UsageError("give models or --all, not both")
    if not models and not every and not all_by_default:
        raise click.UsageError("name a model, or use --all (wangp-dl list shows the models)")
    if any(not pattern for pattern in patterns) or variant == "":
        raise click.UsageError("--file and --variant need a text")
    return Request(tuple(dict.fromkeys(models)) or None, patterns, variant)
