"""Which stores are looked through: those of the settings, then those found on the machine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from wangp_downloader.library.stores.base import Store, StoreKind
from wangp_downloader.library.stores.detect import StoreSpec, detect_stores, open_store
from wangp_downloader.places import Surroundings
from wangp_downloader.settings import Settings

_PREFERENCE = tuple(
    StoreKind(name) for name in ("hub", "folder", "hf-cache", "comfyui", "invokeai", "wan2gp")
)
"""Where a link is best made to: what the user keeps for this very purpose first, what an application may move last."""


def build_stores(
    settings: Settings, wan2gp: Path, write_roots: Sequence[Path], around: Surroundings
) -> list[Store]:
    """Return the stores, most preferred first, each place once.

    Args:
        settings: The user's settings.
        wan2gp: The Wan2GP folder.
        write_roots: Its checkpoint and lora folders: a file that is needed twice is linked, not fetched twice.
        around: Home folder and environment, where applications are looked for.
    """
    specs = [StoreSpec(StoreKind(item.kind), item.path) for item in settings.stores]
    if settings.hub_directory is not None:
        specs.append(StoreSpec(StoreKind.HUB, settings.hub_directory))
    specs += _invokeai(settings)
    detected = detect_stores(around.environ, around.home)
    named = {spec.kind for spec in specs}
    specs += [spec for spec in detected if spec.kind is not StoreKind.INVOKEAI or spec.kind not in named]
    specs.append(StoreSpec(StoreKind.WAN2GP, wan2gp, folders=tuple(_without_tree(write_roots, wan2gp))))
    unique = {(spec.kind, spec.path): spec for spec in specs}
    ordered = sorted(unique.values(), key=lambda spec: _PREFERENCE.index(spec.kind))
    return [open_store(spec) for spec in ordered]


def _invokeai(settings: Settings) -> list[StoreSpec]:
    database, models = settings.invokeai_db, settings.invokeai_models_dir
    if database is not None:
        return [StoreSpec(StoreKind.INVOKEAI, database.parent.parent, database=database, models=models)]
    if models is not None:
        return [StoreSpec(StoreKind.INVOKEAI, models.parent, models=models)]
    return []


def _without_tree(roots: Sequence[Path], wan2gp: Path) -> list[Path]:
    # "." is one of Wan2GP's checkpoint paths: walking the whole tree (its venv too) would find nothing more.
    return [root for root in roots if root != wan2gp]
