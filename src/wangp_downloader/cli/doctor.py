"""``wangp-dl doctor``: check the installation and say what is wrong, and what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from wangp_downloader import __version__
from wangp_downloader.cli.diagnostics import cancel_on_signals
from wangp_downloader.cli.options import Shared, open_session, with_shared
from wangp_downloader.cli.output import print_json, print_line, print_rich, styled

if TYPE_CHECKING:
    from wangp_downloader.health import Finding

_MARKS = {"ok": ("✓", "green"), "warning": ("!", "yellow"), "error": ("✗", "red")}


@click.command("doctor")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")
@with_shared
def command(shared: Shared, as_json: bool) -> int:
    """Check settings, folders, stores, Wan2GP's handlers, the Hub and the disk. Ends with 1 if something is broken."""
    from wangp_downloader.health import examine

    with open_session(shared) as session, cancel_on_signals() as cancel:
        findings = examine(session, cancel)
    if as_json:
        rows = [
            {"what": item.what, "level": item.level, "text": item.text, "hint": item.hint}
            for item in findings
        ]
        print_json({"version": __version__, "findings": rows})
    else:
        for item in findings:
            _print(item)
    return 1 if any(item.level == "error" for item in findings) else 0


def _print(item: Finding) -> None:
    mark, style = _MARKS[item.level]
    line = styled(f"{mark} ", style)
    line.append(f"{item.what}: ", "bold")
    line.append_text(styled(item.text, "default"))
    print_rich(line)
    if item.hint:
        print_line(f"    {item.hint}", "dim")
