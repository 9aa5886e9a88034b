"""``wangp-dl scan``: look through the stores for files that Wan2GP could use."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from wangp_downloader.cli.diagnostics import cancel_on_signals, warn
from wangp_downloader.cli.options import Shared, open_session, with_shared
from wangp_downloader.cli.output import print_json, print_line
from wangp_downloader.cli.progress import watching
from wangp_downloader.files import Evidence
from wangp_downloader.paths import printable_line
from wangp_downloader.units import format_size, plural

if TYPE_CHECKING:
    from wangp_downloader.planning import UsableFile


@click.command("scan")
@click.option("--quick", is_flag=True, help="Read no file: show what agrees in size alone, too.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")
@with_shared
def command(shared: Shared, quick: bool, as_json: bool) -> int:
    """Look through all stores for the files that any of Wan2GP's models could use, proven by SHA-256."""
    with open_session(shared) as session, cancel_on_signals() as cancel:
        with watching(quiet=as_json) as emit:
            found = session.scan(hashing=not quick, cancel=cancel, emit=emit)
        root = session.root
        stores = [(store.name, str(store.root)) for store in session.library.stores]
    for text in found.warnings:
        warn(text)
    if as_json:
        rows = [
            {"target": row.target, "size": row.size, "store": row.copy.store, "path": row.copy.path,
             "evidence": row.copy.evidence.value}
            for row in found.rows
        ]  # fmt: skip
        print_json({"stores": [{"name": name, "path": path} for name, path in stores], "found": rows})
        return 0
    for name, path in stores:
        print_line(f"looked in {name}: {path}")
    _print(found.rows, root)
    return 0


def _print(rows: Iterable[UsableFile], root: Path) -> None:
    in_place = 0
    elsewhere: dict[str, list[UsableFile]] = {}
    for row in rows:
        if Path(row.copy.path) == root / row.target:
            in_place += 1
        else:
            elsewhere.setdefault(row.copy.store, []).append(row)
    for store, usable in elsewhere.items():
        print_line(f"\n{store}: {plural(len(usable), 'usable file')}", "bold")
        for row in usable:
            how = "" if row.copy.evidence is Evidence.COMPUTED else f" ({row.copy.evidence.value})"
            print_line(f"{format_size(row.size):>9}  {printable_line(str(row.copy.path))}{how}")
            print_line(f"{'=':>9}  {printable_line(row.target)}", "dim")
    usable_count = sum(len(usable) for usable in elsewhere.values())
    print_line(f"\n{plural(usable_count, 'usable file')} elsewhere, {plural(in_place, 'file')} in place")
