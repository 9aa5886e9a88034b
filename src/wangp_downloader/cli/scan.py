"""``wangp-dl scan``: look through the stores for files that Wan2GP could use."""

from __future__ import annotations

import click

from wangp_downloader.cli.diagnostics import cancel_on_signals, warn
from wangp_downloader.cli.options import Shared, open_session, with_shared
from wangp_downloader.cli.output import print_json, print_line, print_rich
from wangp_downloader.cli.progress import watching
from wangp_downloader.units import format_size, plural


@click.command("scan")
@click.option("--quick", is_flag=True, help="Read no file: show what agrees in size alone, too.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")
@with_shared
def command(shared: Shared, quick: bool, as_json: bool) -> int:
    """Look through all stores for the files that any of Wan2GP's models could use, proven by SHA-256."""
    with open_session(shared) as session, cancel_on_signals() as cancel:
        with watching(quiet=as_json) as emit:
            found = session.scan(hashing=not quick, cancel=cancel, emit=emit)
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
    from rich.table import Table
    from rich.text import Text

    print_line("looked in: " + ", ".join(f"{name} ({path})" for name, path in stores))
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("store", "size", "how", "file", "is"):
        table.add_column(heading, overflow="fold")
    for row in found.rows:
        cells = (row.copy.store, format_size(row.size), row.copy.evidence.value, row.copy.path, row.target)
        table.add_row(*(Text(cell) for cell in cells))
    if found.rows:
        print_rich(table)
    print_line(f"{plural(len(found.rows), 'usable file')}")
    return 0
