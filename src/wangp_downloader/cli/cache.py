"""``wangp-dl cache``: what is remembered of the Hub, and left-over parts."""

from __future__ import annotations

import time

import click

from wangp_downloader.cli.diagnostics import note
from wangp_downloader.cli.options import Shared, open_session, with_shared
from wangp_downloader.cli.output import print_json, print_line
from wangp_downloader.units import format_duration, format_size, plural


@click.group("cache")
def command() -> None:
    """Show or reset what is remembered of the Hub."""


@command.command("info")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")
@with_shared
def info(shared: Shared, as_json: bool) -> int:
    """Say what the metadata cache holds."""
    with open_session(shared) as session:
        found = session.cache_info()
    if as_json:
        print_json(
            {
                "path": str(found.path),
                "size": found.size_bytes,
                "repos": found.repos,
                "files": found.files,
                "oldest": found.oldest,
                "newest": found.newest,
            }
        )
        return 0
    print_line(f"{found.path} ({format_size(found.size_bytes)})")
    print_line(f"{plural(found.files, 'file')} of {plural(found.repos, 'repo')}")
    if found.newest is not None:
        print_line(f"last asked {format_duration(max(0, time.time() - found.newest))} ago")
    return 0


@command.command("reset")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")
@with_shared
def reset(shared: Shared, as_json: bool) -> int:
    """Forget all remote metadata; it is asked for anew when it is needed."""
    with open_session(shared) as session:
        before = session.cache_info()
        session.reset_cache()
    if as_json:
        print_json({"path": str(before.path), "forgotten": {"repos": before.repos, "files": before.files}})
    else:
        note(f"forgot {plural(before.files, 'file')} of {plural(before.repos, 'repo')}")
    return 0
