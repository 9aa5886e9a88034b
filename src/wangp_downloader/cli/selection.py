"""The options with which ``plan``, ``download``, ``link`` … say which files are meant."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import click

from wangp_downloader.cli.options import Shared
from wangp_downloader.planner import Request


@dataclass(frozen=True, slots=True)
class Selection:
    """What the selection options said; click's parameters of the same names."""

    models: tuple[str, ...] = ()
    every: bool = False
    patterns: tuple[str, ...] = ()
    variant: str | None = None
    groups: tuple[str, ...] = ()

    def request(self, *, all_by_default: bool) -> Request:
        """Turn the options into a request.

        Args:
            all_by_default: True if no model at all means all of them.

        Raises:
            click.UsageError: Both or neither of MODELS and ``--all``, or an empty text.
        """
        if self.models and self.every:
            raise click.UsageError("give models or --all, not both")
        if not self.models and not self.every and not all_by_default:
            raise click.UsageError("name a model, or use --all (wangp-dl list shows the models)")
        if not all((*self.patterns, *self.groups)) or self.variant == "":
            raise click.UsageError("--file, --variant and --with need a text")
        models = tuple(dict.fromkeys(self.models)) or None
        return Request(models, self.patterns, self.variant, groups=self.groups)


_OPTIONS = (
    click.argument("models", nargs=-1, metavar="[MODEL]..."),
    click.option("--all", "every", is_flag=True, help="All models."),
    click.option(
        "--file", "patterns", multiple=True, metavar="PATTERN", help="Only files whose name contains PATTERN."
    ),
    click.option(
        "--variant",
        metavar="NAME",
        help="Instead of the variants Wan2GP's settings pick: those whose name contains NAME, or all.",
    ),
    click.option(
        "--with",
        "groups",
        multiple=True,
        metavar="NAME",
        help="Also the accelerator profiles and configurations whose name contains NAME.",
    ),
)
_NAMES = ("models", "every", "patterns", "variant", "groups")


def selection_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add MODELS, ``--all``, ``--file``, ``--variant`` and ``--with`` to a verb.

    The verb gets them as its second argument, a :class:`Selection`, after the shared options.
    """

    @functools.wraps(command)
    def wrapped(shared: Shared, /, **options: Any) -> Any:
        selection = Selection(**{name: options.pop(name) for name in _NAMES})
        return command(shared, selection, **options)

    for option in reversed(_OPTIONS):
        wrapped = option(wrapped)
    return wrapped
