"""Wan2GP's model definitions: the JSON files of ``defaults/``, of plugins and of ``finetunes/``.

Owns reading and merging them, by Wan2GP's rules (``refresh_model_defs`` and ``init_model_def`` of ``wgp.py``).
A broken file costs that file and a warning.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wangp_downloader.catalog.tree import Tree
from wangp_downloader.errors import CatalogError
from wangp_downloader.paths import safe_relative, shorten
from wangp_downloader.reading import read_small

MAX_DEFINITION_BYTES = 16 * 1024 * 1024
"""The largest real one has 9 KB; anything above this is no definition."""


@dataclass(frozen=True, slots=True)
class Definition:
    """One model that Wan2GP defines.

    Attributes:
        id: The file's stem.
        layers: The ``model`` objects of the files that define it, in order; later ones win key by key.
        files: Those files, relative to the Wan2GP folder where they are inside it.
    """

    id: str
    layers: tuple[Mapping[str, Any], ...]
    files: tuple[str, ...]

    @property
    def fields(self) -> dict[str, Any]:
        """The layers merged: what the JSON files say, without what the handlers add."""
        merged: dict[str, Any] = {}
        for layer in self.layers:
            merged.update(layer)
        return merged


@dataclass(slots=True)
class DefinitionReading:
    """All definitions by id, in Wan2GP's order, and what could not be read."""

    definitions: dict[str, Definition] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


def read_definitions(tree: Tree, enabled_plugins: Iterable[str] = ()) -> DefinitionReading:
    """Read every definition of a tree.

    Args:
        tree: The Wan2GP folder.
        enabled_plugins: Names of plugin folders that the user's settings switch on.

    Returns:
        Definitions and warnings; never raises for what a file holds.
    """
    reading = DefinitionReading()
    for path in _definition_files(tree, enabled_plugins, reading.warnings):
        shown = _relative(path, tree.root)
        try:
            layer = _read_layer(path)
        except CatalogError as error:
            reading.warnings.append(f"{shown}: {error.message}; this definition is left out")
            continue
        before = reading.definitions.get(path.stem)
        layers, files = (before.layers, before.files) if before else ((), ())
        reading.definitions[path.stem] = Definition(path.stem, (*layers, layer), (*files, shown))
    return reading


def _relative(path: Path, root: Path) -> str:
    inside = f"{root}{os.sep}"
    text = str(path)
    return text[len(inside) :].replace(os.sep, "/") if text.startswith(inside) else text


def _definition_files(tree: Tree, plugins: Iterable[str], warnings: list[str]) -> Iterator[Path]:
    # Wan2GP sorts all paths as text: a plugin's are absolute and come first, so that a core definition of the
    # same id overrides it; finetunes come last.
    for plugin in plugin_folders(tree, plugins, warnings):
        yield from _json_files(plugin.defaults, warnings)
    for name in ("defaults", "finetunes"):
        yield from _json_files(tree.root / name, warnings)


def _json_files(folder: Path, warnings: list[str]) -> list[Path]:
    try:
        return sorted(
            path for path in folder.iterdir() if path.suffix == ".json" and not path.name.startswith(".")
        )
    except FileNotFoundError:
        return []
    except OSError as error:
        warnings.append(f"{folder}: can not be listed: {error.strerror}")
        return []


@dataclass(frozen=True, slots=True)
class PluginFolders:
    """Where an enabled plugin keeps its definitions and its accelerator profiles."""

    defaults: Path
    profiles: Path


def plugin_folders(tree: Tree, enabled: Iterable[str], warnings: list[str]) -> list[PluginFolders]:
    """Return the folders of enabled plugins that bring models, sorted by path.

    A plugin is a folder in ``plugins/``; its ``plugin_info.json`` names ``model_handlers``, ``defaults`` and
    ``profiles``, and without one of them Wan2GP leaves it out (``shared/utils/plugins.py``).
    """
    found = []
    for name in enabled:
        if not isinstance(name, str) or not name or "/" in name or "\\" in name or name.startswith("."):
            warnings.append(f"enabled_plugins: {shorten(repr(name))} is no plugin folder's name")
            continue
        folder = tree.root / "plugins" / name
        try:
            found += _plugin_folders_of(folder)
        except CatalogError as error:
            warnings.append(f"plugins/{name}/plugin_info.json: {error.message}; its models are left out")
    return sorted(found, key=lambda plugin: plugin.defaults)


def _plugin_folders_of(folder: Path) -> list[PluginFolders]:
    if not (folder / "plugin_info.json").is_file():
        return []
    info = _read_json(folder / "plugin_info.json")
    if not isinstance(info, dict) or not info.get("model_handlers"):
        return []
    names = [info.get(key) for key in ("defaults", "profiles")]
    defaults, profiles = (
        folder / safe_relative(name) if isinstance(name, str) and name else None for name in names
    )
    return [PluginFolders(defaults, profiles)] if defaults and profiles else []


def _read_layer(path: Path) -> Mapping[str, Any]:
    document = _read_json(path)
    if not isinstance(document, dict):
        raise CatalogError("it holds no JSON object")
    model = document.get("model")
    if not isinstance(model, dict):
        raise CatalogError("it has no 'model' object")
    return model


def _read_json(path: Path) -> Any:
    try:
        return json.loads(read_small(path, MAX_DEFINITION_BYTES).decode("utf-8"))
    except UnicodeDecodeError as error:
        raise CatalogError(f"it is not UTF-8 (byte {error.start:,})") from error
    except RecursionError as error:
        raise CatalogError("it is nested too deeply") from error
    except ValueError as error:
        raise CatalogError(f"it is not JSON: {shorten(str(error))}") from error
    except OSError as error:
        raise CatalogError(f"it can not be read: {error.strerror}") from error
