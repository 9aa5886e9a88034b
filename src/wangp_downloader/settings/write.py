"""Writes ``config.yaml``: whole on the first run, one key at a time later, comments kept."""

from __future__ import annotations

import contextlib
import io
import os
import stat
import tempfile
from pathlib import Path
from typing import Any

from wangp_downloader.errors import SettingsError
from wangp_downloader.settings.keys import KEYS, Key, Settings, StoreSetting
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
        text: Its new value; a list as YAML (``[{kind: hub, path: /x}]``); empty removes the key.

    Returns:
        The checked value.

    Raises:
        SettingsError: Unknown key, wrong value, a file that is not YAML or can not be written.
    """
    if name not in KEYS:
        raise unknown_key(name, "config set")
    value, checked = _given(KEYS[name], text, path.parent)
    if not path.exists():
        write_settings(path, {})
    before = read_yaml(path)  # a clear message if it is broken, before anything is changed
    after = {key: old for key, old in before.items() if key != name}
    if value is not None:
        after[name] = value
    original = path.read_text(encoding="utf-8")
    for edit in (_edit_lines, _edit_tree):
        edited = edit(original, name, value)
        if edited is not None and _holds(edited, after):
            _replace(path, edited)
            return checked
    raise SettingsError(f"{path}: {name} can not be changed without touching the rest", hint="edit the file")


def _given(key: Key, text: str, base: Path) -> tuple[Any, Any]:
    """Return a value as it goes into the file, and checked."""
    where = f"config set {key.name}"
    default = getattr(Settings(), key.name)
    if not text.strip():
        return None, default
    if not isinstance(default, tuple):
        # Taken as it is: a folder may be called "123" or "a: b".
        checked = parse_value(key, text, base, where)
        return checked if isinstance(checked, int | float) else text, checked
    value = _from_yaml(key.name, text)
    return value, default if value is None else parse_value(key, value, base, where)


def _from_yaml(name: str, text: str) -> Any:
    from ruamel.yaml import YAML  # noqa: PLC0415
    from ruamel.yaml.error import YAMLError  # noqa: PLC0415

    try:
        return YAML(typ="safe").load(text)
    except YAMLError as error:
        raise SettingsError(f"config set {name}: {text!r} is not YAML", hint="put it in quotes") from error


def _holds(text: str, values: dict[str, Any]) -> bool:
    from ruamel.yaml import YAML  # noqa: PLC0415
    from ruamel.yaml.error import YAMLError  # noqa: PLC0415

    try:
        return bool((YAML(typ="safe").load(text) or {}) == values)
    except YAMLError:
        return False


def _edit_tree(original: str, name: str, value: Any) -> str | None:
    """Change the parsed document and write it anew: keeps a comment beside the value, not always those below."""
    from ruamel.yaml import YAML  # noqa: PLC0415

    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 4096
    document = yaml.load(original)
    if document is None:
        return None
    if value is None:
        document.pop(name, None)
    else:
        document[name] = value
    stream = io.StringIO()
    yaml.dump(document, stream)
    return stream.getvalue()


def _edit_lines(original: str, name: str, value: Any) -> str | None:
    """Change only the key's own lines; None where that would lose a comment beside the value, or can not be done."""
    from ruamel.yaml import YAML  # noqa: PLC0415

    root = YAML().compose(original)
    if root is not None and root.flow_style:
        return None
    lines = original.splitlines(keepends=True)
    new = [] if value is None else [_dump({name: value})]
    for key_node, value_node in root.value if root is not None else ():
        if key_node.value == name:
            first, last = key_node.start_mark.line, _last_line(value_node)
            if value is not None and first == last and not isinstance(value, list):
                return None
            return "".join([*lines[:first], *new, *lines[last + 1 :]])
    for index, line in enumerate(lines):
        if new and line.startswith(f"# {name}:"):
            return "".join([*lines[:index], *new, *lines[index + 1 :]])
    return "".join([original.rstrip("\n"), "\n", *new])


def _last_line(node: Any) -> int:
    """Return the number of the last line that a YAML node takes; comments below it are not its own."""
    if isinstance(node.value, list) and node.value and not node.flow_style:
        return max(_last_line(item[1] if isinstance(item, tuple) else item) for item in node.value)
    end = node.end_mark
    return int(end.line - 1 if end.column == 0 and end.line > node.start_mark.line else end.line)


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
    """Put a new file in the place of the old one, or of what a link there leads to; mode and owner stay."""
    temporary = None
    try:
        path = Path(os.path.realpath(path))
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", text=True)
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
        if path.exists():
            _take_after(path.stat(), temporary)
        Path(temporary).replace(path)
    except OSError as error:
        if temporary is not None:
            with contextlib.suppress(OSError):
                Path(temporary).unlink()
        raise SettingsError(f"{path}: can not be written: {error.strerror}") from error


def _take_after(old: os.stat_result, path: str) -> None:
    """Give a file the owner, where the system lets us, and the mode of another."""
    if hasattr(os, "chown"):
        with contextlib.suppress(OSError):
            os.chown(path, old.st_uid, old.st_gid)
    Path(path).chmod(stat.S_IMODE(old.st_mode))
