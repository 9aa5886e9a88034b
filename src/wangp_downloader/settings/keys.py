"""The table of configuration keys: names, types, defaults, words for people. Pure.

One table drives reading, checking, ``config show``, ``config set``, the written file and the set-up form.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from wangp_downloader.settings.schedule import Schedule, parse_schedule

DEFAULT_ENDPOINT = "https://huggingface.co"
STORE_KINDS = ("folder", "hub", "hf-cache", "invokeai", "comfyui")


@dataclass(frozen=True, slots=True)
class StoreSetting:
    """One more place to look for files.

    Attributes:
        kind: One of ``STORE_KINDS``.
        path: Absolute folder.
    """

    kind: str
    path: Path


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings, checked; each attribute is the key of the same name in ``docs/configuration.md``.

    Paths are absolute; None where nothing is set and nothing was found. ``bandwidth_limit_kb`` is in KB/s,
    1 KB = 1024 bytes, 0 for no limit, or a share of the line as text (``"80%"``).
    """

    wan2gp_directory: Path | None = None
    wan2gp_python: Path | None = None
    hub_directory: Path | None = None
    bandwidth_limit_kb: float | str = 0
    bandwidth_schedule: Schedule | None = None
    invokeai_db: Path | None = None
    invokeai_models_dir: Path | None = None
    stores: tuple[StoreSetting, ...] = ()
    link: str = "symlink"
    new_files: str = "ckpts"
    verify: str = "once"
    connections: int = 8
    endpoint: str = DEFAULT_ENDPOINT

    @property
    def limit_bytes_per_s(self) -> float | None:
        """The fixed bandwidth limit in bytes per second, None for no limit or one that is a share."""
        limit = self.bandwidth_limit_kb
        return None if isinstance(limit, str) else limit * 1024 or None

    @property
    def limit_share(self) -> float | None:
        """The part of the measured line that may be used, 0 to 1, or None."""
        limit = self.bandwidth_limit_kb
        return float(limit.removesuffix("%")) / 100 if isinstance(limit, str) else None


Parser = Callable[[Any, Path], Any]
"""Takes a raw value and the folder that relative paths start at; raises ValueError saying what was expected."""


@dataclass(frozen=True, slots=True)
class Key:
    """One configuration key.

    Attributes:
        name: As in the file and in :class:`Settings`.
        parse: Checks and converts a raw value.
        expected: What the value may be, for messages.
        help: One or two lines for the written file and the form.
        environment: Variables that set it, strongest first.
        example: A value for the written file where none is known.
    """

    name: str
    parse: Parser
    expected: str
    help: str
    environment: tuple[str, ...]
    example: str


def _path(value: Any, base: Path) -> Path | None:
    if value is None or value == "":
        return None
    if not isinstance(value, str | os.PathLike):
        raise ValueError
    text = os.path.expandvars(str(value))
    if "\0" in text:
        raise ValueError
    return Path(os.path.normpath(base / Path(text).expanduser()))


def _choice(*allowed: str) -> Parser:
    def parse(value: Any, _: Path) -> str:
        if value not in allowed:
            raise ValueError
        return str(value)

    return parse


def _number(value: Any) -> float:
    if isinstance(value, bool):
        raise ValueError
    if isinstance(value, str):
        value = value.strip()
        if not value.isascii() or "_" in value:  # float() takes 1_000 and the digits of other scripts
            raise ValueError
    number = float(value)
    return int(number) if number.is_integer() else number


def _limit(value: Any, _: Path) -> float | str:
    if value is None or value == "":
        return 0
    if isinstance(value, str) and value.strip().endswith("%"):
        share = _number(value.strip().removesuffix("%"))
        if not 0 < share <= 100:
            raise ValueError
        return f"{share}%"
    try:
        number = _number(value)
    except (TypeError, OverflowError) as error:
        raise ValueError from error
    if not 0 <= number < 1e12:
        raise ValueError
    return number


def _schedule(value: Any, _: Path) -> Schedule | None:
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise ValueError
    return parse_schedule(value)


def _connections(value: Any, _: Path) -> int:
    try:
        number = _number(value)
    except (TypeError, OverflowError) as error:
        raise ValueError from error
    if not isinstance(number, int) or not 1 <= number <= 64:
        raise ValueError
    return number


def _endpoint(value: Any, _: Path) -> str:
    if value is None or value == "":
        return DEFAULT_ENDPOINT
    if not isinstance(value, str):
        raise ValueError
    parts = urlsplit(value.strip())
    if parts.port == 0:  # any other that is none is refused by asking for it
        raise ValueError
    if not value.strip().isprintable() or " " in value.strip():
        raise ValueError
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise ValueError
    return value.strip().rstrip("/")


def _stores(value: Any, base: Path) -> tuple[StoreSetting, ...]:
    if value is None:
        return ()
    if isinstance(value, str):
        value = [item for item in value.split(os.pathsep) if item]
    if not isinstance(value, list):
        raise ValueError
    return tuple(_store(item, base) for item in value)


def _store(item: Any, base: Path) -> StoreSetting:
    kind: Any = "folder"
    if isinstance(item, Mapping):
        if not set(item) <= {"kind", "path"}:
            raise ValueError
        kind, item = item.get("kind", "folder"), item.get("path")
    path = _path(item, base)
    if path is None or kind not in STORE_KINDS:
        raise ValueError
    return StoreSetting(kind, path)


def _key(name: str, parse: Parser, expected: str, help_text: str, example: str, *more: str) -> Key:
    return Key(name, parse, expected, help_text, (f"WANGP_{name.upper()}", *more), example)


_FOLDER = "a folder's path"
KEYS: Mapping[str, Key] = {
    key.name: key
    for key in (
        _key(
            "wan2gp_directory",
            _path,
            _FOLDER,
            "The Wan2GP folder (it holds wgp.py and defaults/).",
            "~/Wan2GP",
        ),
        _key(
            "wan2gp_python",
            _path,
            "a Python program's path",
            "The Python that runs Wan2GP's handlers when they are asked what they need.\n"
            "Empty: the one that runs this program; it needs none of Wan2GP's packages.",
            "~/Wan2GP/.venv/bin/python",
        ),
        _key(
            "hub_directory",
            _path,
            _FOLDER,
            "Your local model hub: files found here are linked, not downloaded again.",
            "/data/model-hub",
        ),
        _key(
            "bandwidth_limit_kb",
            _limit,
            "a number of KB/s, 0 for no limit, or a share of the line such as 80%",
            "Download limit in KB/s (1 KB = 1024 bytes) over all downloads together; 0: no limit.\n"
            "Or a share of the line, which is measured for some seconds now and again: 80%.",
            "0",
        ),
        _key(
            "bandwidth_schedule",
            _schedule,
            "a timetable such as '08:00,512k 19:00,10M 23:00,off', no hour of a day twice",
            "Other limits at other hours: [WEEKDAY-]HH:MM,LIMIT ... with k, M or off; each holds until the next.\n"
            "A limit on the command line or in the environment wins over it.",
            "Mon-08:00,512k Fri-19:00,off",
        ),
        _key(
            "invokeai_db",
            _path,
            "a file's path",
            "InvokeAI's database (databases/invokeai.db). It is only ever read.",
            "~/invokeai/databases/invokeai.db",
        ),
        _key(
            "invokeai_models_dir",
            _path,
            _FOLDER,
            "InvokeAI's models folder, if it is not beside that database.",
            "~/invokeai/models",
        ),
        _key(
            "stores",
            _stores,
            f"a list of {{kind: {' | '.join(STORE_KINDS)}, path: FOLDER}}",
            "More places to look for files.",
            "[{kind: comfyui, path: ~/ComfyUI}, {kind: folder, path: /mnt/nas/models}]",
        ),
        _key(
            "link",
            _choice("symlink", "hardlink", "reflink", "copy"),
            "symlink, hardlink, reflink or copy",
            "How a file that is already on this machine is put in place: symlink, hardlink, reflink or copy.",
            "symlink",
        ),
        _key(
            "new_files",
            _choice("ckpts", "hub"),
            "ckpts or hub",
            "Where downloads go: ckpts (straight to Wan2GP's folders) or hub (to hub_directory, then linked).",
            "ckpts",
        ),
        _key(
            "verify",
            _choice("once", "trust"),
            "once or trust",
            "Files that are in place, or are to be linked: once (hash each one time)\n"
            "or trust (size, name or record are enough).",
            "once",
        ),
        _key(
            "connections",
            _connections,
            "a whole number from 1 to 64",
            "Connections in use at once, over all downloads together.",
            "8",
        ),
        _key(
            "endpoint",
            _endpoint,
            "an http(s) address",
            "The Hugging Face Hub, or a mirror of it.",
            DEFAULT_ENDPOINT,
            "HF_ENDPOINT",
        ),
    )
}
"""Every key, in the order of the written file."""
