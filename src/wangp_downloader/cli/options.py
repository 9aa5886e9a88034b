"""Options that every verb takes, and how they become a session."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from wangp_downloader.cli.diagnostics import note, warn

if TYPE_CHECKING:
    from wangp_downloader.session import Session
    from wangp_downloader.settings import LoadedSettings

Command = TypeVar("Command", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Shared:
    """What the shared options said.

    Attributes:
        values: Configuration key → raw value from the command line.
        config_file: ``--config-file``.
        offline: ``--offline``.
    """

    values: Mapping[str, Any] = field(default_factory=dict)
    config_file: Path | None = None
    offline: bool = False

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> Shared:
        """Build from click's parameters of :func:`shared_options`."""
        if options.get("no_limit") and options.get("limit") is not None:
            raise click.UsageError("--limit and --no-limit exclude each other")
        values = {
            "bandwidth_limit_kb": 0 if options.get("no_limit") else options.get("limit"),
            "hub_directory": options.get("hub_dir"),
            "wan2gp_directory": options.get("wan2gp_dir"),
        }
        config_file = options.get("config_file")
        return cls(
            {key: value for key, value in values.items() if value is not None},
            Path(config_file) if config_file else None,
            bool(options.get("offline")),
        )

    def over(self, other: Shared | None) -> Shared:
        """Return these options on top of those given before the verb."""
        if other is None:
            return self
        return replace(
            self,
            values={**other.values, **self.values},
            config_file=self.config_file or other.config_file,
            offline=self.offline or other.offline,
        )


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


def load(shared: Shared, *, first_run: bool = True) -> LoadedSettings:
    """Put the settings together, and write the configuration file on the first run.

    Args:
        shared: The shared options.
        first_run: False to write nothing.

    Raises:
        SettingsError: A file, key or value is wrong.
    """
    from wangp_downloader.settings import load_settings

    loaded = load_settings(shared.values, config_file=shared.config_file, offline=shared.offline)
    for text in loaded.notes:
        warn(text)
    if first_run and not loaded.exists:
        _write_first(loaded)
    return loaded


def _write_first(loaded: LoadedSettings) -> None:
    from wangp_downloader.errors import SettingsError
    from wangp_downloader.settings.write import write_first

    try:
        path = write_first(loaded)
    except SettingsError as error:
        # A read-only home is no reason not to work.
        warn(f"{error.message}; going on without a configuration file")
        return
    source = f", carried over from {loaded.carried_over}" if loaded.carried_over else ""
    note(f"wrote {path}{source}")


@contextmanager
def open_session(shared: Shared) -> Iterator[Session]:
    """Open a session for a verb, and close it."""
    from wangp_downloader.cli.progress import print_notice
    from wangp_downloader.session import Session

    session = Session.open(load(shared), emit=print_notice)
    try:
        yield session
    finally:
        session.close()
