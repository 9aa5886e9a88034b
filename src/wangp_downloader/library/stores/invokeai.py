"""InvokeAI's model library. Owns the reading of ``invokeai.db`` and ``invokeai.yaml``; never writes there.

Facts: ``config_default.py`` (``models_dir``, ``db_dir``), the migrations of table ``models`` (``config`` is
JSON with ``path`` relative to the models folder or absolute, ``source`` a URL or ``org/name:variant::path``).
Its hashes are mostly BLAKE3: they are no proof here.
"""

# Thousands of paths go through here: plain strings, half the time of pathlib.
# ruff: noqa: PTH100, PTH114, PTH116

from __future__ import annotations

import json
import os
import sqlite3
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wangp_downloader.cancel import CancelToken
from wangp_downloader.errors import DatabaseError
from wangp_downloader.events import Emit, Level, Notice
from wangp_downloader.library.scan import FoundFile, TreeScan
from wangp_downloader.library.stamp import Stamp
from wangp_downloader.library.stores.base import Candidate, Likeness, as_candidate, name_likeness
from wangp_downloader.library.stores.foreign_db import read_database
from wangp_downloader.library.stores.yaml_files import read_yaml
from wangp_downloader.library.wanted import WantedIndex

_TABLES = ("models", "model_config")
_FIELDS = ("path", "source", "name")


@dataclass(frozen=True, slots=True)
class InvokeModel:
    """One row of InvokeAI's table of models; all of it is what InvokeAI believes, not what is on the disk.

    Attributes:
        path: Relative to the models folder, or absolute; a file or a folder.
        source: Where it came from: a URL, a repo id with variant and path, or a path.
    """

    path: str
    source: str


@dataclass(frozen=True, slots=True)
class InvokeLocations:
    """Where an InvokeAI keeps things.

    Attributes:
        database: ``invokeai.db``.
        models: The models folder.
    """

    database: Path
    models: Path


class InvokeStore:
    """The models of one InvokeAI.

    Files that its database ties to a wanted URL or repo come first, then those with a wanted name, then the
    others of a wanted size; which of them holds the wanted bytes is for the hash to say. Without a readable
    database the models folder is walked like any folder.

    Args:
        root: InvokeAI's folder.
        locations: Where its database and models are, if the settings say; else ``invokeai.yaml`` is asked.
    """

    name = "invokeai"

    def __init__(self, root: Path, locations: InvokeLocations | None = None) -> None:
        self.root = root
        self._locations = locations

    def candidates(self, wanted: WantedIndex, *, cancel: CancelToken, emit: Emit) -> Iterator[Candidate]:
        """Yield the files of a wanted size, those the database knows first; see :class:`Store`."""
        places = self._locations or locate(self.root)
        for model in self._models(places.database, emit):
            cancel.raise_if_cancelled()
            yield from self._of_model(model, places.models, wanted, cancel)
        scan = TreeScan(self.name, wanted.sizes, cancel, emit)
        for found in scan.files([str(places.models)]):
            yield as_candidate(found, wanted)
        scan.finish()

    def _models(self, database: Path, emit: Emit) -> list[InvokeModel]:
        try:
            return read_database(database, read_models)
        except DatabaseError as error:
            text = f"{self.name}: {error.message}; its models folder is searched instead"
            emit(Notice(Level.WARNING, text))
            return []

    def _of_model(
        self, model: InvokeModel, models: Path, wanted: WantedIndex, cancel: CancelToken
    ) -> Iterator[Candidate]:
        path = os.path.abspath(models / model.path)
        try:
            status = os.stat(path)
        except (OSError, ValueError):  # a row may outlive its file
            return
        sources = {item.digest for item in wanted.by_source(model.source)}
        quiet = TreeScan(self.name, wanted.sizes, cancel, lambda _: None)
        found_files: Iterator[FoundFile] = iter(())
        if stat.S_ISDIR(status.st_mode):
            found_files = quiet.files([path])
        elif stat.S_ISREG(status.st_mode) and status.st_size in wanted.sizes:
            found_files = iter([FoundFile(path, Stamp.of(status), os.path.islink(path))])
        exact = "://" in model.source or "::" in model.source
        for found in found_files:
            like = name_likeness(path, found.stamp.size, wanted)
            if any(item.digest in sources for item in wanted.by_size(found.stamp.size)):
                like = Likeness.URL if exact else Likeness.REPO
            yield Candidate(found.path, found.stamp, likeness=like, is_link=found.is_link)


def read_models(connection: sqlite3.Connection) -> list[InvokeModel]:
    """Return the models in an InvokeAI database, of any schema seen so far; odd rows are left out.

    Raises:
        sqlite3.Error: It is no such database.
    """
    tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    table = next((name for name in _TABLES if name in tables), None)
    if table is None:
        raise sqlite3.DatabaseError("it holds no table of models")
    # Generated columns are hidden from table_info.
    columns = {row["name"] for row in connection.execute(f"PRAGMA table_xinfo({table})")}
    chosen = [name for name in ("config", *_FIELDS) if name in columns]
    if not {"config", "path"} & set(chosen):
        raise sqlite3.DatabaseError(f"its table {table} has neither config nor path")
    rows = connection.execute(f"SELECT {', '.join(chosen)} FROM {table}")
    return [model for row in rows if (model := _model_of(dict(row))) is not None]


def locate(root: Path) -> InvokeLocations:
    """Return where an InvokeAI keeps its database and models, by its ``invokeai.yaml`` or its defaults."""
    settings = read_yaml(root / "invokeai.yaml")
    flat: dict[str, Any] = {}
    for key in ("InvokeAI", "Paths"):  # the nested form of version 3
        inner = settings.get(key)
        for name, value in inner.items() if isinstance(inner, dict) else ():
            flat |= value if isinstance(value, dict) else {name: value}
    flat |= settings
    models, databases = (
        Path(value).expanduser() if isinstance(value := flat.get(key), str) and value else Path(default)
        for key, default in (("models_dir", "models"), ("db_dir", "databases"))
    )
    return InvokeLocations(root / databases / "invokeai.db", root / models)


def _model_of(row: dict[str, Any]) -> InvokeModel | None:
    config: object = {}
    try:
        config = json.loads(row.get("config") or "{}")
    except (ValueError, TypeError, RecursionError):
        config = {}
    fields = config if isinstance(config, dict) else {}
    path, source = (row.get(key) or fields.get(key) for key in ("path", "source"))
    if not isinstance(path, str) or not path or "\0" in path:
        return None
    return InvokeModel(path, source if isinstance(source, str) else "")
