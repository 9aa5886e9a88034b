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
from wangp_downloader.errors import SettingsError

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
        """Return this process's own.

        Raises:
            SettingsError: The home folder is not known, or the current one is gone.
        """
        try:
            return cls(Path.home(), Path.cwd(), os.environ)
        except RuntimeError as error:
            raise SettingsError(
                "the home folder is not known: HOME is not set, and the system knows none for this user",
                hint="set HOME to a folder of yours",
            ) from error
        except OSError as error:
            raise SettingsError(
                f"the current folder can not be used: {error.strerror}", hint="go to another one"
            ) from error


def config_path(around: Surroundings, explicit: Path | None = None) -> Path:
    """Return the configuration file: the explicit one, ``./config.yaml`` if there is one, else the user's.

    Raises:
        SettingsError: The explicit one is in the home folder of a user who is not there.
    """
    if explicit is not None:
        return around.here / _expanded(explicit, "--config-file")
    local = around.here / "config.yaml"
    if local.is_file() or (around.here / "config.json").is_file():
        return local
    return _user_folder("config", around) / "config.yaml"


def state_folder(around: Surroundings) -> Path:
    """Return our own folder: ``WANGP_STATE_DIR``, else the platform's place for state.

    Raises:
        SettingsError: The variable names the home folder of a user who is not there.
    """
    explicit = around.environ.get("WANGP_STATE_DIR")
    if not explicit:
        return _user_folder("state", around)
    return around.here / _expanded(Path(explicit), "environment variable WANGP_STATE_DIR")


def _expanded(path: Path, where: str) -> Path:
    try:
        return path.expanduser()
    except RuntimeError as error:
        raise SettingsError(f"{where}: {path} is in the home folder of a user who is not there") from error


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
