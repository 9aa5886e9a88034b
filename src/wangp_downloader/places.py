"""Where our own files are: configuration and state. Looks at paths, reads nothing.

Apart from the settings, which take longer to load than the first frame of the interactive program may take.
"""

from __future__ import annotations

import os
import sys
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wangp_downloader import __version__

APP_NAME = "wangp-downloader"
_PLATFORM: str = sys.platform
_PREFIXES = ("WANGP_", "HF_", "HUGGINGFACE_", "XDG_", "INVOKEAI_", "PINOKIO_", "APPDATA")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What settings are read from, besides the command line; a value so that tests can make one."""

    home: Path
    here: Path
    environ: Mapping[str, str]

    @classmethod
    def of_process(cls) -> Surroundings:
        """Return this process's own."""
        return cls(Path.home(), Path.cwd(), os.environ)


def config_path(around: Surroundings, explicit: Path | None = None) -> Path:
    """Return the configuration file: the explicit one, ``./config.yaml`` if there is one, else the user's."""
    if explicit is not None:
        return around.here / explicit.expanduser()
    local = around.here / "config.yaml"
    if local.is_file() or (around.here / "config.json").is_file():
        return local
    return _user_folder("config", around) / "config.yaml"


def state_folder(around: Surroundings) -> Path:
    """Return our own folder: ``WANGP_STATE_DIR``, else the platform's place for state."""
    explicit = around.environ.get("WANGP_STATE_DIR")
    return around.here / Path(explicit).expanduser() if explicit else _user_folder("state", around)


def _user_folder(kind: str, around: Surroundings) -> Path:
    # On Linux the two XDG variables are all there is to it: platformdirs is only asked elsewhere.
    if _PLATFORM.startswith("linux"):
        variable, default = {
            "config": ("XDG_CONFIG_HOME", ".config"),
            "state": ("XDG_STATE_HOME", ".local/state"),
        }[kind]
        base = around.environ.get(variable, "")
        return (Path(base) if Path(base).is_absolute() else around.home / default) / APP_NAME
    import platformdirs  # noqa: PLC0415

    find = platformdirs.user_config_path if kind == "config" else platformdirs.user_state_path
    return find(APP_NAME, appauthor=False)


def old_config_path(path: Path, around: Surroundings) -> Path | None:
    """Return the first version's ``config.json`` where there is one beside ``path`` or in the current folder."""
    for candidate in (path.with_name("config.json"), around.here / "config.json"):
        if candidate.is_file():
            return candidate
    return None


def settings_mark(
    values: Mapping[str, Any], config_file: Path | None, around: Surroundings, *, offline: bool = False
) -> str:
    """Return a text that stays the same while nothing changes that a person can set.

    What is detected may change all the same: a picture painted on its strength may be old, and nothing but a picture
    is to be.

    Args:
        values: Key → raw value given as an option.
        config_file: ``--config-file``, or None.
        around: Home, current folder and environment.
        offline: ``--offline``.
    """
    path = config_path(around, config_file)
    files = [
        (str(each), _stat(each))
        for each in (path, path.with_name("config.json"), around.here / "config.json")
    ]
    environ = sorted(item for item in around.environ.items() if item[0].startswith(_PREFIXES))
    parts = (__version__, sorted(values.items()), files, environ, str(around.home), str(around.here), offline)
    # A checksum, since variables may hold what nobody should find in a file.
    return f"{zlib.crc32(repr(parts).encode('utf-8', 'surrogatepass')):08x}"


def _stat(path: Path) -> tuple[int, int] | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size
