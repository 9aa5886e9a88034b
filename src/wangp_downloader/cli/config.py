"""``wangp-dl config``: show, find, write and change the settings."""

from __future__ import annotations

from typing import Any

import click

from wangp_downloader.cli.diagnostics import note
from wangp_downloader.cli.options import Shared, load, run_alone, shared_options, with_shared
from wangp_downloader.cli.output import print_json, print_line, print_rich, styled
from wangp_downloader.errors import SettingsError


@click.group("config", invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="As `config show --json`.")
@shared_options
@click.pass_context
def command(ctx: click.Context, /, **options: Any) -> None:
    """Show or change the settings; alone it shows them."""
    run_alone(ctx, show, options)


_as_json = click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")


@command.command("show")
@_as_json
@with_shared
def show(shared: Shared, as_json: bool) -> int:
    """Show each value and where it comes from."""
    from wangp_downloader.settings import KEYS
    from wangp_downloader.settings.write import plain

    loaded = load(shared)
    values = {name: plain(getattr(loaded.settings, name)) for name in KEYS}
    origins = {
        name: {"from": loaded.origins[name].value, "detail": loaded.details.get(name) or None}
        for name in KEYS
    }
    if as_json:
        rows = {name: {"value": values[name], **origins[name]} for name in KEYS}
        print_json({"path": str(loaded.path), "state_dir": str(loaded.state_dir), "values": rows})
        return 0
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("key", "value", "from"):
        table.add_column(heading, overflow="fold")
    for name in KEYS:
        detail = origins[name]["detail"]
        source = f"{origins[name]['from']}" + (f" ({detail})" if detail else "")
        table.add_row(name, styled(_shown(values[name])), styled(source))
    print_rich(table)
    print_line(f"\nfile: {loaded.path}\nstate: {loaded.state_dir}")
    return 0


def _shown(value: Any) -> str:
    return "" if value is None or value == [] else str(value)


@command.command("path")
@_as_json
@with_shared
def path(shared: Shared, as_json: bool) -> int:
    """Print the configuration file's path."""
    loaded = load(shared, first_run=False)
    if as_json:
        print_json({"path": str(loaded.path), "exists": loaded.exists})
    else:
        print_line(str(loaded.path))
    return 0


@command.command("init")
@click.option("--force", is_flag=True, help="Write it anew, also over an existing file.")
@_as_json
@with_shared
def init(shared: Shared, force: bool, as_json: bool) -> int:
    """Write the configuration file, with comments and what was found on this machine."""
    from wangp_downloader.settings.write import write_first

    loaded = load(shared, first_run=False)
    if loaded.exists and not force:
        raise SettingsError(
            f"{loaded.path} is there already",
            hint="change single values with config set, or write it anew with --force",
        )
    written = write_first(loaded)
    if as_json:
        print_json({"path": str(written)})
    else:
        note(f"wrote {written}")
    return 0


@command.command("set")
@click.argument("key")
@click.argument("value")
@_as_json
@with_shared
def set_value(shared: Shared, key: str, value: str, as_json: bool) -> int:
    """Set KEY to VALUE in the configuration file; its comments stay. An empty VALUE removes the key."""
    from wangp_downloader.places import Surroundings, config_path
    from wangp_downloader.settings.write import plain, set_key

    file = config_path(Surroundings.of_process(), shared.config_file)
    if not file.exists():
        load(shared)  # the first run: what is detected is not lost by setting one key
    checked = set_key(file, key, value)
    if as_json:
        print_json({"path": str(file), "key": key, "value": plain(checked)})
    else:
        note(f"{key}: {_shown(plain(checked)) or '(not set)'} in {file}")
    return 0
