"""What a verb was told by the shared options, and how that becomes a session. Imports no click: see ``__main__``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wangp_downloader.cli.diagnostics import note, warn
from wangp_downloader.errors import UsageError

if TYPE_CHECKING:
    from wangp_downloader.session import Session
    from wangp_downloader.settings import LoadedSettings


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
        """Build from the parameters that ``options.shared_options`` adds to a verb.

        Raises:
            UsageError: An option is empty, or two exclude each other.
        """
        if options.get("no_limit") and options.get("limit") is not None:
            raise UsageError("--limit and --no-limit exclude each other")
        for name in ("limit", "hub_dir", "wan2gp_dir", "config_file"):
            if options.get(name) == "":
                raise UsageError(f"--{name.replace('_', '-')} needs a value, is empty")
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
