"""The command ``wangp-dl``: its verbs, the options it has had since the first version, the way out.

Verbs are imported when they are called, so that ``--help`` costs nothing but click.
"""

from __future__ import annotations

import importlib
import io
import os
import sys
from collections.abc import Sequence
from functools import partial
from typing import Any

import click

from wangp_downloader import __version__
from wangp_downloader.cli.options import Shared, shared_options

_VERBS = {
    "list": ("list_models", "Show the models Wan2GP defines, and which are ready."),
    "plan": ("plan", "Show what models need, what is here, and what would be done."),
    "download": ("download", "Link what is on this machine, download the rest."),
    "link": ("link", "Link what is on this machine; download nothing."),
    "explain": ("explain", "Say why a file is needed, or what a model is made of."),
    "scan": ("scan", "Look through the stores for files that Wan2GP could use."),
    "verify": ("verify", "Compare what is in place with what was published."),
    "undo": ("undo", "Take back what this program put in place."),
    "doctor": ("doctor", "Check the installation and say what is wrong."),
    "cache": ("cache", "Show or reset what is remembered of the Hub."),
    "config": ("config", "Show or change the settings."),
    "demo": ("demo", "Show everything on a small made-up Wan2GP, with no network."),
}


class VerbGroup(click.Group):
    """A click group whose verbs are modules, imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the verbs in the order of ``--help``."""
        return list(_VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a verb's module and return its command."""
        if cmd_name not in _VERBS:
            return None
        module = importlib.import_module(f"wangp_downloader.cli.{_VERBS[cmd_name][0]}")
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Name the nearest verbs where there is no such one."""
        if args and args[0] not in _VERBS:
            import difflib

            near = difflib.get_close_matches(args[0], _VERBS, n=2)
            hint = f" Did you mean {' or '.join(near)}?" if near else f" The verbs are: {', '.join(_VERBS)}."
            ctx.fail(f"No such verb '{args[0][:60]}'.{hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the verbs' one-line helps without importing them."""
        with formatter.section("Verbs"):
            formatter.write_dl([(name, text) for name, (_, text) in _VERBS.items()])


@click.group(
    cls=VerbGroup,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Without a verb the interactive program opens. Exit codes: 0 done, 1 some file failed, "
    "2 wrong usage or configuration, 130 interrupted.",
)
@shared_options
@click.option("--cli", "legacy_cli", is_flag=True, help="Download without the interactive program.")
@click.option("--config", "legacy_model", metavar="MODEL", help="With --cli: the model.")
@click.option("--file", "legacy_pattern", metavar="PATTERN", help="With --cli: part of the files' names.")
@click.version_option(__version__, prog_name="wangp-dl")
@click.pass_context
def main(
    ctx: click.Context,
    /,
    legacy_cli: bool,
    legacy_model: str | None,
    legacy_pattern: str | None,
    **shared: Any,
) -> None:
    """Know what Wan2GP needs, link what this machine has, download the rest."""
    ctx.obj = Shared.from_options(shared)
    if ctx.invoked_subcommand is not None:
        if legacy_cli or legacy_model or legacy_pattern:
            raise click.UsageError(
                "--cli, --config and --file (before a verb) belong to the form without a verb"
            )
        return
    if legacy_cli:
        _download_legacy(ctx, legacy_model, legacy_pattern)
        return
    if legacy_model or legacy_pattern:
        raise click.UsageError(
            "--config and --file need --cli (or use: wangp-dl download MODEL --file PATTERN)"
        )
    from wangp_downloader.cli.interactive import open_tui

    ctx.exit(open_tui(ctx.obj))


def _download_legacy(ctx: click.Context, model: str | None, pattern: str | None) -> None:
    if not model:
        raise click.UsageError("--cli needs --config MODEL")
    from wangp_downloader.cli.download import DownloadOrder, download
    from wangp_downloader.cli.selection import Selection

    selection = Selection((model,), patterns=(pattern,) if pattern else ())
    order = DownloadOrder(selection, assume_yes=True)
    ctx.exit(download(ctx.obj, order))


def run(argv: Sequence[str]) -> int:
    """Run the program.

    Args:
        argv: The arguments, without the program's name.

    Returns:
        The exit code.
    """
    from wangp_downloader.cli.diagnostics import guarded, sigterm_interrupts

    _prepare_streams()
    work = partial(main.main, args=list(argv), prog_name="wangp-dl", standalone_mode=False)
    with sigterm_interrupts():
        return guarded(work, as_json="--json" in argv)


def _prepare_streams() -> None:
    if sys.stdin is None:  # closed, as a service may start us: nobody answers, nobody listens
        sys.stdin = open(os.devnull, encoding="utf-8")  # noqa: PTH123 - open until the end
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123 - likewise
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # Where the terminal knows no check mark, a question mark is better than a crash.
            stream.reconfigure(errors="replace")


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
