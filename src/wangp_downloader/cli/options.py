"""Options that every verb takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from wangp_downloader.cli.shared import Shared, load, open_session

__all__ = ["Shared", "load", "open_session", "shared_options", "with_shared"]

Command = TypeVar("Command", bound=Callable[..., Any])

_SHARED = (
    click.option("--limit", metavar="KB/s", help="Bandwidth limit over all downloads (1 KB = 1024 bytes)."),
    click.option("--no-limit", is_flag=True, help="No bandwidth limit, whatever the configuration says."),
    click.option("--hub-dir", metavar="DIR", help="Your local model hub."),
    click.option("--wan2gp-dir", metavar="DIR", help="The Wan2GP folder."),
    click.option("--config-file", metavar="FILE", help="The configuration file."),
    click.option("--offline", is_flag=True, help="Use what is known; ask no server."),
)


def shared_options(command: Command) -> Command:
    """Add the shared options to a command."""
    for option in reversed(_SHARED):
        command = option(command)
    return command


_NAMES = ("limit", "no_limit", "hub_dir", "wan2gp_dir", "config_file", "offline")


def with_shared(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the shared options to a verb; it gets them as its first argument, a :class:`Shared`.

    The verb's return value becomes the exit code.
    """

    @click.pass_context
    def wrapped(ctx: click.Context, /, *args: Any, **options: Any) -> None:
        own = Shared.from_options({name: options.pop(name) for name in _NAMES})
        code = command(own.over(ctx.obj if isinstance(ctx.obj, Shared) else None), *args, **options)
        ctx.exit(code or 0)

    wrapped.__doc__ = command.__doc__
    wrapped.__name__ = getattr(command, "__name__", "command")
    wrapped.__click_params__ = list(getattr(command, "__click_params__", []))  # type: ignore[attr-defined]
    return shared_options(wrapped)


def run_alone(ctx: click.Context, verb: click.Command, options: dict[str, Any]) -> None:
    """Run ``verb`` for a group that was called without one, with the group's shared options and ``--json``.

    Where there is a verb it gets the shared ones; ``--json`` belongs behind it.
    """
    as_json = options.pop("as_json")
    ctx.obj = Shared.from_options(options).over(ctx.obj if isinstance(ctx.obj, Shared) else None)
    if ctx.invoked_subcommand is None:
        ctx.invoke(verb, as_json=as_json)
    elif as_json:
        raise click.UsageError(f"--json goes behind {ctx.invoked_subcommand}")
