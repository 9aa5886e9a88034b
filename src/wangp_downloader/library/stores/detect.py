"""Which stores this machine has, and how one is opened from the settings' words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from wangp_downloader.library.stores.base import Store, StoreKind
from wangp_downloader.library.stores.comfyui import ComfyStore
from wangp_downloader.library.stores.folder import FolderStore
from wangp_downloader.library.stores.hf_cache import HfCacheStore, cache_root
from wangp_downloader.library.stores.hub import HubStore
from wangp_downloader.library.stores.invokeai import InvokeLocations, InvokeStore, locate
from wangp_downloader.library.stores.wan2gp import Wan2gpStore

_COMFY_PLACES = (
    "ComfyUI",
    "comfyui",
    "Documents/ComfyUI",
    "comfy/ComfyUI",
    "ComfyUI_windows_portable/ComfyUI",
    "pinokio/api/comfy.git/app",
    "pinokio/api/comfyui.git/app",
    "StabilityMatrix/Packages/ComfyUI",
    ".local/share/StabilityMatrix/Packages/ComfyUI",
)
_INVOKE_PLACES = ("invokeai", "InvokeAI", ".invokeai", "pinokio/api/invoke.git/app", "pinokio/api/invoke.git")


@dataclass(frozen=True, slots=True)
class StoreSpec:
    """A store as the settings or the detection name it.

    Attributes:
        kind: Which application.
        path: Its main folder.
        database: InvokeAI's database, where it is not at its usual place.
        models: InvokeAI's models folder, where it is not at its usual place.
        folders: The checkpoint and lora folders of a Wan2GP; ``path`` alone if empty.
    """

    kind: StoreKind
    path: Path
    database: Path | None = None
    models: Path | None = None
    folders: tuple[Path, ...] = ()


def open_store(spec: StoreSpec) -> Store:
    """Return the store for a spec. Looks at no file yet, except ``invokeai.yaml``."""
    match spec.kind:
        case StoreKind.HUB:
            return HubStore(spec.path)
        case StoreKind.HF_CACHE:
            return HfCacheStore(spec.path)
        case StoreKind.INVOKEAI:
            return InvokeStore(spec.path, _invoke_locations(spec))
        case StoreKind.COMFYUI:
            return ComfyStore(spec.path)
        case StoreKind.FOLDER:
            return FolderStore(spec.path)
        case StoreKind.WAN2GP:
            return Wan2gpStore(spec.path, spec.folders or (spec.path,))


def detect_stores(environ: Mapping[str, str], home: Path) -> list[StoreSpec]:
    """Return the stores found in the usual places. Looks at a dozen paths, lists no folder.

    Args:
        environ: The environment (``HF_HOME``, ``INVOKEAI_ROOT``, …).
        home: The user's home folder.
    """
    return list(_detected(environ, home))


def _detected(environ: Mapping[str, str], home: Path) -> Iterator[StoreSpec]:
    cache = cache_root(environ, home)
    if _is_folder(cache):
        yield StoreSpec(StoreKind.HF_CACHE, cache)
    roots = [Path(environ["INVOKEAI_ROOT"]).expanduser()] if environ.get("INVOKEAI_ROOT") else []
    roots += [home / place for place in _INVOKE_PLACES]
    invoke = next((root for root in roots if _is_invoke(root)), None)
    if invoke is not None:
        yield StoreSpec(StoreKind.INVOKEAI, invoke)
    for folder in _distinct(home / place for place in _COMFY_PLACES):
        if _is_folder(folder / "models"):
            yield StoreSpec(StoreKind.COMFYUI, folder)


def _invoke_locations(spec: StoreSpec) -> InvokeLocations | None:
    if spec.database is None and spec.models is None:
        return None
    usual = locate(spec.path)
    return InvokeLocations(spec.database or usual.database, spec.models or usual.models)


def _is_invoke(root: Path) -> bool:
    return _is_folder(root) and (_is_folder(root / "databases") or _is_file(root / "invokeai.yaml"))


def _distinct(folders: Iterable[Path]) -> Iterator[Path]:
    """Leave out second names of one folder (file systems that ignore case, links)."""
    seen: set[tuple[int, int]] = set()
    for folder in folders:
        try:
            status = folder.stat()
        except (OSError, ValueError):
            continue
        if (status.st_dev, status.st_ino) not in seen:
            seen.add((status.st_dev, status.st_ino))
            yield folder


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False
