"""Puts the settings together from command line, environment, file and detection."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from wangp_downloader.errors import SettingsError
from wangp_downloader.paths import shorten
from wangp_downloader.places import Surroundings, config_path, old_config_path, state_folder
from wangp_downloader.reading import read_small
from wangp_downloader.settings.detect import detect
from wangp_downloader.settings.keys import KEYS, Key, Settings

MAX_CONFIG_BYTES = 1024 * 1024


class Origin(StrEnum):
    """Where a value comes from, strongest first."""

    COMMAND_LINE = "command line"
    ENVIRONMENT = "environment"
    FILE = "file"
    DETECTED = "detected"
    DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class LoadedSettings:
    """Settings and where each came from.

    Attributes:
        settings: The values.
        origins: Key → where its value comes from.
        details: Key → the variable's name or the file's path, where there is one.
        path: The configuration file, read or to be written.
        exists: Whether that file was there.
        state_dir: Our own folder for databases, journals and logs.
        offline: True if the network must not be used (``HF_HUB_OFFLINE`` or ``--offline``).
        carried_over: The old ``config.json`` that values were taken from, or None.
        notes: What the person should know about this, e.g. keys of the old file that mean nothing any more.
        around: The surroundings they were read in.
    """

    settings: Settings
    origins: Mapping[str, Origin]
    details: Mapping[str, str]
    path: Path
    exists: bool
    state_dir: Path
    around: Surroundings
    offline: bool = False
    carried_over: Path | None = None
    notes: tuple[str, ...] = ()


def load_settings(
    command_line: Mapping[str, Any] | None = None,
    *,
    config_file: Path | None = None,
    offline: bool = False,
    around: Surroundings | None = None,
) -> LoadedSettings:
    """Put the settings together.

    Args:
        command_line: Key → raw value given as an option.
        config_file: ``--config-file``, or None to look in the usual places.
        offline: ``--offline``.
        around: Where to look; this process's own by default.

    Raises:
        SettingsError: A file can not be read, a key is unknown, a value is wrong, or ``config_file`` is in no folder.
    """
    around = around or Surroundings.of_process()
    path = config_path(around, config_file)
    if config_file is not None:
        _check_folder_of(path)
    old = None if path.is_file() else old_config_path(path, around)
    from_file, notes = _file_values(path, old)
    detected = detect(around.home, around.here, around.environ).values
    layers = [
        (Origin.COMMAND_LINE, command_line or {}, "", around.here),
        (Origin.ENVIRONMENT, _environment(around.environ), "", around.here),
        (Origin.FILE, from_file, str(old or path), (old or path).parent),
        (Origin.DETECTED, detected, "", around.here),
    ]
    values: dict[str, Any] = {}
    origins: dict[str, Origin] = dict.fromkeys(KEYS, Origin.DEFAULT)
    details: dict[str, str] = {}
    for origin, raw, detail, base in reversed(layers):
        for name, value in raw.items():
            values[name] = parse_value(KEYS[name], value, base, _where(origin, name, detail, around.environ))
            origins[name] = origin
            details[name] = _variable(KEYS[name], around.environ) if origin is Origin.ENVIRONMENT else detail
    return LoadedSettings(
        settings=Settings(**values),
        origins=origins,
        details=details,
        path=path,
        exists=path.is_file(),
        state_dir=state_folder(around),
        around=around,
        offline=offline or is_true(around.environ.get("HF_HUB_OFFLINE", "")),
        carried_over=old,
        notes=(*notes, *_misspelt(around.environ)),
    )


_OTHER_VARIABLES = ("WANGP_STATE_DIR",)


def _misspelt(environ: Mapping[str, str]) -> list[str]:
    """Return a note for each variable that looks like one of ours and is none."""
    ours = [*(key.environment[0] for key in KEYS.values()), *_OTHER_VARIABLES]
    notes = []
    for name in sorted(environ):
        near = difflib.get_close_matches(name, ours, n=1, cutoff=0.8) if name.startswith("WANGP_") else []
        if near and name not in ours:
            notes.append(f"the environment variable {shorten(name)} means nothing; did you mean {near[0]}?")
    return notes


def _check_folder_of(path: Path) -> None:
    # A file that is not there is written on the first run, but a typo makes no folder.
    if not path.parent.is_dir():
        hint = "--config-file makes a file, but no folder for it"
        raise SettingsError(f"{path}: there is no such folder", hint=hint)


def is_true(text: str) -> bool:
    """Return whether a variable's text means yes, as huggingface_hub reads it."""
    return text.strip().upper() in {"1", "ON", "YES", "TRUE"}


def _variable(key: Key, environ: Mapping[str, str]) -> str:
    return next((name for name in key.environment if environ.get(name)), "")


def _environment(environ: Mapping[str, str]) -> dict[str, str]:
    found = {key.name: _variable(key, environ) for key in KEYS.values()}
    return {name: environ[variable] for name, variable in found.items() if variable}


def _where(origin: Origin, name: str, detail: str, environ: Mapping[str, str]) -> str:
    if origin is Origin.ENVIRONMENT:
        return f"environment variable {_variable(KEYS[name], environ)}"
    return f"{detail}: {name}" if detail else f"{origin.value}: {name}"


def parse_value(key: Key, value: Any, base: Path, where: str) -> Any:
    """Check and convert one raw value.

    Args:
        key: Which key it is for.
        value: As it stands in the file, variable or option.
        base: The folder that relative paths start at.
        where: For the message: file and key, or the variable.

    Raises:
        SettingsError: It is not what the key expects.
    """
    try:
        return key.parse(value, base)
    except (ValueError, TypeError, OverflowError, RuntimeError) as error:  # the last: ~ of no user
        raise SettingsError(
            f"{where}: expected {key.expected}, found {shorten(repr(value))}",
            hint=f"for example: {key.name}: {key.example}",
        ) from error


def _file_values(path: Path, old: Path | None) -> tuple[dict[str, Any], list[str]]:
    if old is not None:
        values = read_yaml(old)
        unknown = sorted(str(name) for name in values if name not in KEYS)
        notes = [f"{old}: left out what means nothing any more: {', '.join(unknown)}"] if unknown else []
        return {name: value for name, value in values.items() if name in KEYS}, notes
    if not path.exists():
        return {}, []
    values = read_yaml(path)
    for name in values:
        if name not in KEYS:
            raise unknown_key(str(name), str(path))
    return {name: value for name, value in values.items() if value is not None}, []


def unknown_key(name: str, where: str) -> SettingsError:
    """Return the error for a key that does not exist, with the nearest one that does."""
    near = difflib.get_close_matches(name, KEYS, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]}?" if near else f"the keys are: {', '.join(KEYS)}"
    return SettingsError(f"{where}: unknown key {shorten(name)!r}", hint=hint)


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML (or JSON) file that holds a mapping; an empty file is an empty mapping.

    Raises:
        SettingsError: It can not be read or holds something else.
    """
    from ruamel.yaml import YAML  # noqa: PLC0415 - not needed where there is no file
    from ruamel.yaml.error import YAMLError  # noqa: PLC0415

    try:
        value = YAML(typ="safe").load(read_small(path, MAX_CONFIG_BYTES).decode("utf-8"))
    except OSError as error:
        raise SettingsError(f"{path}: can not be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path}: is not UTF-8 (byte {error.start:,})") from error
    except (YAMLError, ValueError, RecursionError) as error:
        language = "JSON" if path.suffix == ".json" else "YAML"
        raise SettingsError(f"{path}: is not {language}: {shorten(_one_line(error), 300)}") from error
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise SettingsError(f"{path}: expected 'key: value' lines, found {shorten(repr(value))}")
    return value


def _one_line(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error)
    return f"line {mark.line + 1}: {problem}" if mark is not None else " ".join(str(problem).split())
