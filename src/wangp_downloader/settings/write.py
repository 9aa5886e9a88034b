"""Writes ``config.yaml``: whole on the first run, one key at a time later, comments kept."""

from __future__ import annotations

import contextlib
import io
import os
import tempfile
from pathlib import Path
from typing import Any

from wangp_downloader.errors import SettingsError
from wangp_downloader.settings.keys import KEYS, Settings, StoreSetting
from wangp_downloader.settings.load import LoadedSettings, Origin, parse_value, read_yaml, unknown_key
from wangp_downloader.settings.schedule import Schedule

_HEAD = """\
# WanGP Smart Model Downloader: settings.
# Command line beats environment (WANGP_..., HF_ENDPOINT) beats this file beats what is found by itself.
# Show all values and where they come from: wangp-dl config show
"""


def write_first(loaded: LoadedSettings) -> Path:
    """Write the configuration file with comments, and the values of the old file or those detected.

    Args:
        loaded: What was put together; values from the command line and the environment stay out of the file.

    Returns:
        The file's path.

    Raises:
        SettingsError: It can not be written.
    """
    return write_settings(
        loaded.path,
        {
            name: getattr(loaded.settings, name)
            for name, origin in loaded.origins.items()
            if origin in (Origin.FILE, Origin.DETECTED)
        },
    )


def write_settings(path: Path, values: dict[str, Any]) -> Path:
    """Write a whole configuration file.

    Args:
        path: The file; what stood there is replaced.
        values: Key → checked value, as in :class:`Settings`; other keys are written as comments.
    """
    lines = [_HEAD]
    for key in KEYS.values():
        lines += [f"# {line}" for line in key.help.splitlines()]
        value = values.get(key.name)
        default = getattr(Settings(), key.name)
        if value is None or value == default:
            lines.append(f"# {key.name}: {key.example}\n")
        else:
            lines.append(_dump({key.name: plain(value)}))
    _replace(path, "\n".join(lines))
    return path


def set_key(path: Path, name: str, text: str) -> Any:
    """Change one key of the file, keeping everything else, comments too.

    Args:
        path: The configuration file; made if it is not there.
        name: A key.
        text: Its new value as YAML (``80``, ``~/models``, ``[a, b]``); empty removes the key.

    Returns:
        The checked value.

    Raises:
        SettingsError: Unknown key, wrong value, a file that is not YAML or can not be written.
    """
    if name not in KEYS:
        raise unknown_key(name, "config set")
    from ruamel.yaml import YAML  # noqa: PLC0415
    from ruamel.yaml.error import YAMLError  # noqa: PLC0415

    try:
        value = YAML(typ="safe").load(text) if text.strip() else None
    except YAMLError as error:
        raise SettingsError(f"config set {name}: {text!r} is not YAML", hint="put it in quotes") from error
    default = getattr(Settings(), name)
    checked = default if value is None else parse_value(KEYS[name], value, path.parent, f"config set {name}")
    if not path.exists():
        write_settings(path, {})
    read_yaml(path)  # a clear message if it is broken, before anything is changed
    original = path.read_text(encoding="utf-8")
    _replace(path, _with_key(original, name, value))
    return checked


def _with_key(original: str, name: str, value: Any) -> str:
    from ruamel.yaml import YAML  # noqa: PLC0415

    uncommented = _uncomment(original, name, value)
    if uncommented is not None:
        return uncommented
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 4096
    document = yaml.load(original)
    if document is None:
        return original.rstrip("\n") + ("\n" + _dump({name: value}) if value is not None else "\n")
    if value is None:
        document.pop(name, None)
    else:
        document[name] = value
    stream = io.StringIO()
    yaml.dump(document, stream)
    return stream.getvalue()


def _uncomment(original: str, name: str, value: Any) -> str | None:
    """Put the value where the written file holds its commented example, if the key is not set yet."""
    lines = original.splitlines(keepends=True)
    if value is None or any(line.startswith(f"{name}:") for line in lines):
        return None
    for index, line in enumerate(lines):
        if line.startswith(f"# {name}:"):
            lines[index] = _dump({name: value})
            return "".join(lines)
    return original.rstrip("\n") + "\n" + _dump({name: value})


def plain(value: Any) -> Any:
    """Return a checked value as YAML and JSON know it."""
    if isinstance(value, Path | Schedule):
        return str(value)
    if isinstance(value, StoreSetting):
        return {"kind": value.kind, "path": str(value.path)}
    if isinstance(value, tuple):
        return [plain(item) for item in value]
    return value


def _dump(values: dict[str, Any]) -> str:
    from ruamel.yaml import YAML  # noqa: PLC0415

    yaml = YAML()
    yaml.default_flow_style = False
    yaml.width = 4096
    stream = io.StringIO()
    yaml.dump(values, stream)
    return stream.getvalue()


def _replace(path: Path, text: str) -> None:
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", text=True)
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
        Path(temporary).replace(path)
    except OSError as error:
        if temporary is not None:
            with contextlib.suppress(OSError):
                Path(temporary).unlink()
        raise SettingsError(f"{path}: can not be written: {error.strerror}") from error
