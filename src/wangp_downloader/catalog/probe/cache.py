"""The last answer, kept in the state folder, and whether it still holds.

An answer depends on files of the tree, on a few of the user's settings, on the definitions and on the
Python that ran it. All of that is looked at before an old answer is believed: some hundred ``stat`` calls, no
file of the tree is read. The form on the disk is in ``docs/probe.md``.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from wangp_downloader.catalog.probe.request import ProbeRequest
from wangp_downloader.catalog.probe.result import ProbeResult

_AFTER_TIME_OUT_S = 3600.0
FORMAT = 1
"""Raised whenever the probe would answer differently for the same tree."""


class _Entry(msgspec.Struct, frozen=True):
    """The file's content; ``result`` stays undecoded until the rest has been found to hold."""

    format: int
    asked: str
    files: dict[str, tuple[int, int] | None]
    settings: dict[str, str]
    good_until: float | None
    result: msgspec.Raw


@dataclass(frozen=True, slots=True)
class Terms:
    """What an answer depends on.

    Attributes:
        files: Files and folders of the tree, relative, with ``/``; also such that were not there.
        settings: Keys of ``wgp_config.json`` that were looked at.
        began_ns: When the asking began (``time.time_ns``).
        out_of_time: True if something took too long: then it is asked again before long.
    """

    files: frozenset[str]
    settings: frozenset[str]
    began_ns: int
    out_of_time: bool = False


class ProbeCache:
    """One file a tree, in the state folder.

    Args:
        state_dir: Our state folder; made when something is stored.
        tree: The Wan2GP folder, absolute.
    """

    def __init__(self, state_dir: Path, tree: Path) -> None:
        name = hashlib.sha256(os.fsencode(tree)).hexdigest()[:16]
        self._tree = tree
        self.path = state_dir / "probe" / f"{name}.json"

    def load(self, request: ProbeRequest) -> ProbeResult | None:
        """Return the stored answer if everything it depends on is unchanged, else None."""
        try:
            entry = msgspec.json.decode(self.path.read_bytes(), type=_Entry)
            if entry.format != FORMAT or entry.asked != _fingerprint(request):
                return None
            if entry.good_until is not None and time.time() > entry.good_until:
                return None
            if any(_setting(request.config, key) != value for key, value in entry.settings.items()):
                return None
            root = str(self._tree)
            if any(_stat(f"{root}/{name}") != stat for name, stat in entry.files.items()):
                return None
            return msgspec.json.decode(entry.result, type=ProbeResult)
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None

    def store(self, request: ProbeRequest, result: ProbeResult, terms: Terms) -> None:
        """Keep an answer, unless a file that it depends on changed after the asking began.

        Raises:
            OSError: It can not be written.
        """
        files = {name: _stat(f"{self._tree}/{name}") for name in sorted(terms.files)}
        now = time.time_ns()
        if any(found is not None and terms.began_ns <= found[1] <= now for found in files.values()):
            return
        entry = _Entry(
            format=FORMAT,
            asked=_fingerprint(request),
            files=files,
            settings={key: _setting(request.config, key) for key in sorted(terms.settings)},
            good_until=time.time() + _AFTER_TIME_OUT_S if terms.out_of_time else None,
            result=msgspec.Raw(msgspec.json.encode(result)),
        )
        self.path.parent.mkdir(parents=True, exist_ok=True)
        part = self.path.with_name(f".{self.path.name}.{os.getpid()}.part")
        try:
            part.write_bytes(msgspec.json.encode(entry))
            part.replace(self.path)
        finally:
            part.unlink(missing_ok=True)


def _fingerprint(request: ProbeRequest) -> str:
    asked = (
        str(request.tree),
        request.definitions,
        request.originals,
        [str(request.python), *_stat_text(request.python)] if request.python else sys.version,
        request.enabled_plugins,
    )
    try:
        text = msgspec.json.encode(asked, order="sorted")
    except UnicodeEncodeError:
        # Half a surrogate pair, from an escape in a JSON file: the standard library writes the escape again.
        text = json.dumps(asked, sort_keys=True, default=dict).encode()
    return hashlib.sha256(text).hexdigest()


def _setting(config: Mapping[str, Any], key: str) -> str:
    return json.dumps(config[key], sort_keys=True) if key in config else ""


def _stat(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)  # noqa: PTH116 - hundreds of calls at every start
    except OSError:
        return None
    # A folder's size and mtime change whenever something appears in it: only that it is there counts.
    return (-1, 0) if stat.S_ISDIR(found.st_mode) else (found.st_size, found.st_mtime_ns)


def _stat_text(python: Path) -> list[str]:
    return [str(_stat(str(python)))]
