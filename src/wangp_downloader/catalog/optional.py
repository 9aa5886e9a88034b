"""Files that a model can use but does not need: accelerator profiles and selectable configurations.

Source: ``_get_builtin_lset_groups`` of Wan2GP's ``wgp.py`` for profiles, ``shared/config_groups.py`` for
configurations. Each profile or configuration is a *group* that a person can ask for by name; none is ever
required.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from wangp_downloader.catalog.knowledge import Knowledge, ModelKnowledge
from wangp_downloader.catalog.requirements import RequirementRules
from wangp_downloader.errors import UnsafePathError
from wangp_downloader.files import Requirement
from wangp_downloader.paths import safe_relative, shorten
from wangp_downloader.reading import read_small

CONFIG_KEYS = ("system_configs", "system_configs2", "system_configs3", "configs")
_PROFILE_KEYS = ("profiles_dir", "preset_profiles_dir")
MAX_PROFILE_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class OptionalFiles:
    """Rows of all groups, and what could not be read, for people."""

    requirements: tuple[Requirement, ...]
    warnings: tuple[str, ...]


def read_optional(roots: Iterable[Path], knowledge: Knowledge, rules: RequirementRules) -> OptionalFiles:
    """Return the files of all profiles and configurations of all models.

    Args:
        roots: The ``profiles`` folders: the tree's own, and those of plugins.
        knowledge: All models.
        rules: Wan2GP's rules with the tree's settings.
    """
    warnings: list[str] = []
    profiles = _Profiles(tuple(roots), warnings)
    rows: list[Requirement] = []
    for model in knowledge.models.values():
        rows += _of_profiles(model, profiles, rules)
        rows += _of_configs(model, knowledge, rules)
    return OptionalFiles(tuple(dict.fromkeys(rows)), tuple(warnings))


def _of_profiles(
    model: ModelKnowledge, profiles: _Profiles, rules: RequirementRules
) -> Iterator[Requirement]:
    for key in _PROFILE_KEYS:
        for folder in _texts(model.fields.get(key)):
            for name, loras in profiles.in_folder(folder).items():
                group = f"{folder}/{name}"
                yield from rules.loras_of_profile(model, group, loras)


def _of_configs(
    model: ModelKnowledge, knowledge: Knowledge, rules: RequirementRules
) -> Iterator[Requirement]:
    choices = {key: _configs(model, key, knowledge) for key in CONFIG_KEYS}
    if not any(choices.values()):
        return
    base = {(row.target, row.remote) for row in rules.of_model(model).requirements if row.required}
    for key, configs in choices.items():
        for name, fields in configs:
            changed = replace(model, fields={**model.fields, **fields}, gaps=())
            components = model.config_files.get(f"{key}/{name}")
            if components is not None:
                changed = replace(changed, components=components)
            for row in rules.of_model(changed).requirements:
                if row.required and (row.target, row.remote) not in base:
                    group = f"{key}/{name}"
                    yield replace(row, required=False, group=group, origin=f"{group} of {model.id}")


def _configs(model: ModelKnowledge, key: str, knowledge: Knowledge) -> list[tuple[str, Mapping[str, Any]]]:
    value: Any = model.fields.get(key)
    if isinstance(value, str):
        value = knowledge.fields.get(value, {}).get(key)
    if not isinstance(value, dict):
        return []
    # Names that begin with an underscore describe the group itself (`_name`, `_default_label`).
    return [
        (name, fields)
        for name, fields in value.items()
        if isinstance(fields, dict) and not name.startswith("_")
    ]


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        value = [value]
    return [text for text in value if isinstance(text, str) and text] if isinstance(value, list) else []


class _Profiles:
    """Profile files by folder, each folder read once."""

    def __init__(self, roots: tuple[Path, ...], warnings: list[str]) -> None:
        self._roots = roots
        self._warnings = warnings
        self._read: dict[str, dict[str, list[str]]] = {}

    def in_folder(self, folder: str) -> dict[str, list[str]]:
        """Return profile name → lora URLs; profiles without any are left out."""
        if folder not in self._read:
            self._read[folder] = self._read_folder(folder)
        return self._read[folder]

    def _read_folder(self, folder: str) -> dict[str, list[str]]:
        try:
            safe = safe_relative(folder)
        except UnsafePathError as error:
            self._warnings.append(f"profiles: {error.message}")
            return {}
        found: dict[str, list[str]] = {}
        for root in self._roots:
            for path in sorted((root / safe).glob("*.json")):
                loras = self._loras(path)
                if loras:
                    found.setdefault(path.stem, loras)
        return found

    def _loras(self, path: Path) -> list[str]:
        try:
            document = json.loads(read_small(path, MAX_PROFILE_BYTES).decode("utf-8"))
            loras = document.get("activated_loras", []) if isinstance(document, dict) else []
        except (OSError, ValueError, RecursionError) as error:
            why = error.strerror if isinstance(error, OSError) else shorten(str(error))
            self._warnings.append(f"{path}: this profile is left out: {why}")
            return []
        return [text for text in _texts(loras) if text.startswith(("http:", "https:"))]
