"""``wangp-dl cache``: what is remembered of the Hub, and left-over parts."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

import click

from wangp_downloader.cli.diagnostics import cancel_on_signals, note
from wangp_downloader.cli.options import Shared, open_session, run_alone, shared_options, with_shared
from wangp_downloader.cli.output import print_json, print_line
from wangp_downloader.paths import printable_line
from wangp_downloader.units import format_duration, format_size, plural

if TYPE_CHECKING:
    from wangp_downloader.transfer.parts import LeftOver


@click.group("cache", invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="As `cache info --json`.")
@shared_options
@click.pass_context
def command(ctx: click.Context, /, **options: Any) -> None:
    """Show or reset what is remembered of the Hub; alone it shows it."""
    run_alone(ctx, info, options)


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


@command.command("parts")
@click.option("--remove", is_flag=True, help="Remove them; those in use stay.")
@click.option("--yes", "-y", "assume_yes", is_flag=True, help="Ask nothing.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")
@with_shared
def parts(shared: Shared, remove: bool, assume_yes: bool, as_json: bool) -> int:
    """List what unfinished downloads left behind: this program's, the Hub client's and Wan2GP's own."""
    with open_session(shared) as session, cancel_on_signals() as cancel:
        found = session.parts(cancel=cancel)
    freed = _remove(found, assume_yes) if remove and found else None
    if as_json:
        rows = [
            {"path": str(left.path), "kind": left.kind.value, "done": left.done, "size": left.size,
             "age_s": round(left.age_s), "in_use": left.in_use, "url": left.url}
            for left in found
        ]  # fmt: skip
        print_json({"parts": rows, "freed": freed})
        return 0
    for left in found:
        use = ", in use" if left.in_use else ""
        size = f"{format_size(left.done)} of {format_size(left.size)}"
        print_line(
            f"{printable_line(str(left.path))}  ({left.kind.value}, {size}, {format_duration(left.age_s)} old{use})"
        )
    if freed is not None:
        note(f"freed {format_size(freed)}")
    elif not found:
        note("there are none")
    return 0


def _remove(found: list[LeftOver], assume_yes: bool) -> int:
    from wangp_downloader.transfer.parts import remove_part

    question = f"Remove {plural(len(found), 'part')} ({format_size(sum(left.done for left in found))})?"
    asks = sys.stdin.isatty() and sys.stderr.isatty() and not assume_yes
    if asks and not click.confirm(question, default=False, err=True):
        return 0
    return sum(remove_part(left) for left in found)
