"""References between definitions: a string where a list could stand is the id of another definition.

Source: ``get_model_recursive_prop`` and ``get_model_filename`` of Wan2GP's ``wgp.py``. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from wangp_downloader.errors import CatalogError
from wangp_downloader.paths import shorten

MAX_DEPTH = 10
"""Wan2GP calls more than ten steps a circular reference."""

Definitions = Mapping[str, Mapping[str, Any]]
"""Definition id → the merged fields of its ``model`` object."""


def resolve_list(definitions: Definitions, model: str, key: str, *, lenient: bool = False) -> list[Any]:
    """Return the list that ``key`` of a definition stands for, following references.

    Args:
        definitions: All definitions.
        model: Id of the definition to start at.
        key: Such as ``URLs``; the same key is used in each definition on the way.
        lenient: True if an unknown id gives an empty list, as for ``URLs``; otherwise it is an error.

    Returns:
        The list; empty if the key is absent. Items are not checked here.

    Raises:
        CatalogError: Unknown id, a circle, or a value that is neither list nor id.
    """
    current, seen = model, [model]
    while True:
        definition = definitions.get(current)
        if definition is None:
            if lenient:
                return []
            raise CatalogError(f"{key} refers to {shorten(current)!r}, which is no model")
        value = definition.get(key)
        if value is None:
            return []
        if not isinstance(value, str):
            return _as_list(value, key)
        if value in seen or len(seen) > MAX_DEPTH:
            raise CatalogError(
                f"{key} refers to itself: {' → '.join(shorten(name, 40) for name in [*seen, value])}"
            )
        current = value
        seen.append(value)


def owner(definitions: Definitions, model: str, key: str) -> str:
    """Return the id of the definition whose own list ``key`` of ``model`` ends at (the model itself if none)."""
    current = model
    for _ in range(MAX_DEPTH + 1):
        value = definitions.get(current, {}).get(key)
        if not isinstance(value, str) or value not in definitions:
            return current
        current = value
    return model


def _as_list(value: Any, key: str) -> list[Any]:
    if isinstance(value, list):
        return value
    raise CatalogError(f"{key} should be a list of URLs or the id of a model, is {shorten(repr(value))}")


def urls_only(items: Sequence[Any], key: str) -> list[str]:
    """Return the items if all are strings.

    Raises:
        CatalogError: One is something else.
    """
    for item in items:
        if not isinstance(item, str):
            raise CatalogError(f"{key} should hold URLs, holds {shorten(repr(item))}")
    return list(items)


def module_variants(definitions: Definitions, item: Any) -> list[str] | dict[str, list[str]]:
    """Return what one entry of ``modules`` stands for.

    Args:
        definitions: All definitions.
        item: A list of variants; the id of a definition whose ``modules`` holds exactly one entry; ``id#sub``;
            or ``{"URLs": […], "URLs2": […]}``.

    Returns:
        A list of variants, or the mapping with both lists.

    Raises:
        CatalogError: The entry makes no sense; Wan2GP would stop here too.
    """
    seen: list[str] = []
    while isinstance(item, str):
        if item in seen or len(seen) > MAX_DEPTH:
            raise CatalogError(
                f"modules refers to itself: {' → '.join(shorten(name, 40) for name in [*seen, item])}"
            )
        seen.append(item)
        item = _referred_module(definitions, item)
    if isinstance(item, list):
        return urls_only(item, "modules")
    if isinstance(item, dict) and "URLs" in item and "URLs2" in item:
        return {key: urls_only(_listed(item[key]), f"modules {key}") for key in ("URLs", "URLs2")}
    raise CatalogError(f"modules holds {shorten(repr(item))}; expected variants, an id, or URLs with URLs2")


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _referred_module(definitions: Definitions, reference: str) -> Any:
    model, _, sub = reference.partition("#")
    value = definitions[model].get("modules") if model in definitions else None
    if value is None:
        raise CatalogError(f"modules refers to {shorten(model)!r}, which has none")
    if isinstance(value, str):
        return value if not sub else f"{value}#{sub}"
    if sub:
        if isinstance(value, dict) and sub in value:
            return value[sub]
        raise CatalogError(f"modules refers to {shorten(reference)!r}, which is not there")
    if isinstance(value, list) and len(value) == 1:
        return value[0]
    raise CatalogError(f"modules refers to {shorten(model)!r}, which should have exactly one module")
