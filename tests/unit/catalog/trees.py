"""Small Wan2GP-shaped trees for tests."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from wangp_downloader.catalog.catalog import Catalog, ProbeOptions, read_catalog
from wangp_downloader.files import Requirement

HUB = "https://huggingface.co/org/name/resolve/main"


def make_tree(
    root: Path,
    models: Mapping[str, Mapping[str, Any]],
    *,
    finetunes: Mapping[str, Mapping[str, Any]] | None = None,
    config: Mapping[str, Any] | None = None,
) -> Path:
    """Write definitions (id → ``model`` object) below ``root`` and return it."""
    for folder, definitions in (("defaults", models), ("finetunes", finetunes or {})):
        (root / folder).mkdir(parents=True, exist_ok=True)
        for name, model in definitions.items():
            (root / folder / f"{name}.json").write_text(json.dumps({"model": model}), encoding="utf-8")
    if config is not None:
        (root / "wgp_config.json").write_text(json.dumps(config), encoding="utf-8")
    return root


def read(root: Path) -> Catalog:
    return read_catalog(root, ProbeOptions(root / "state"))


def rows(catalog: Catalog, model: str) -> list[Requirement]:
    return [row for row in catalog.requirements if row.model == model]


def required(catalog: Catalog, model: str) -> list[str]:
    return [row.target for row in rows(catalog, model) if row.required]
