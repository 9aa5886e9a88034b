"""What the text of a tree's ``wgp.py`` and its neighbours says, without running anything.

Owns the list of handlers, the version and the rules that this version follows; every rule is recognised by a
name that Wan2GP's source holds since the rule exists. Reads only.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wangp_downloader.catalog.probe.result import LoraLayout, TreeRules, VariantRule

_VERSION = re.compile(r"^\s*WanGP_version\s*=\s*[\"']([^\"']{1,40})[\"']", re.MULTILINE)
_HANDLERS = re.compile(r"^family_handlers\s*=\s*(\[[^\]]*\])", re.MULTILINE)
_CHECKPOINTS = re.compile(r"^default_checkpoints_paths\s*=\s*(\[[^\]]*\])", re.MULTILINE)
_MODULE_PATH = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
NO_HANDLERS = "wgp"
"""Takes a handler's place where ``wgp.py`` itself holds all lists (before August 2025)."""
_MAX_SOURCE_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class TreeSource:
    """What was found in a tree's source.

    Attributes:
        root: The tree, absolute.
        version: ``WanGP_version``, or None.
        handlers: Module paths in Wan2GP's order, plugins' last.
        plugin_of: Module path → plugin id, for handlers that a plugin brings.
        roots: Folders that handlers are imported from.
        rules: The rules of this version.
        lora_folders: Folders below the tree that an old ``get_lora_dir`` looks for, relative.
    """

    root: Path
    version: str | None
    handlers: tuple[str, ...]
    plugin_of: Mapping[str, str]
    roots: tuple[Path, ...]
    rules: TreeRules
    lora_folders: tuple[str, ...]


def read_source(tree: Path, enabled_plugins: Iterable[object] = ()) -> TreeSource | None:
    """Read the source of a tree.

    Args:
        tree: The Wan2GP folder.
        enabled_plugins: ``enabled_plugins`` of the user's ``wgp_config.json``.

    Returns:
        What was found, or None if there is no ``wgp.py``.
    """
    text = _read(tree / "wgp.py")
    if text is None:
        return None
    locator = _read(tree / "shared" / "utils" / "files_locator.py") or ""
    rules = _rules_of(text, locator)
    handlers = _literal_list(_HANDLERS, text)
    if handlers is None:
        handlers = _scan_handlers(tree) or ([NO_HANDLERS] if "def download_models" in text else [])
    plugin_of = _plugin_handlers(tree, enabled_plugins) if rules.plugins else {}
    version = _VERSION.search(text)
    return TreeSource(
        root=tree,
        version=version[1] if version else None,
        handlers=tuple(dict.fromkeys([*handlers, *plugin_of])),
        plugin_of=plugin_of,
        roots=(tree, tree / "plugins") if plugin_of else (tree,),
        rules=rules,
        lora_folders=_lora_folders(tree) if rules.loras is LoraLayout.FLAT else (),
    )


def module_file(roots: Iterable[Path], module: str) -> Path | None:
    """Return the source file of a module path, or None if it is not there."""
    inside = Path(*module.split("."))
    for root in roots:
        for candidate in (root / inside.with_suffix(".py"), root / inside / "__init__.py"):
            if candidate.is_file():
                return candidate
    return None


def _read(path: Path) -> str | None:
    try:
        if path.stat().st_size > _MAX_SOURCE_BYTES:
            return None
        return path.read_text(encoding="utf-8-sig", errors="replace")
    except OSError:
        return None


def _literal_list(pattern: re.Pattern[str], text: str) -> list[str] | None:
    match = pattern.search(text)
    if match is None:
        return None
    try:
        value = ast.literal_eval(match[1])
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None
    return [item for item in value if isinstance(item, str)]


def _scan_handlers(tree: Path) -> list[str]:
    # A tree whose list can not be read: take every module that is named like a handler.
    found = sorted((tree / "models").glob("**/*_handler.py"))
    return [".".join(path.relative_to(tree).with_suffix("").parts) for path in found[:200]]


def _rules_of(wgp: str, locator: str) -> TreeRules:
    checkpoints = _literal_list(_CHECKPOINTS, locator)
    return TreeRules(
        variant=_variant_rule(wgp),
        placement="extract_alternate_path" in locator,
        lora_dir_placement="%lora_dir" in locator,
        checkpoints=tuple(checkpoints) if checkpoints else ("ckpts",),
        checkpoints_configurable="checkpoints_paths" in wgp,
        loras=_lora_layout(wgp),
        text_encoder_urls="text_encoder_URLs" in wgp,
        vae_urls="VAE_URLs" in wgp,
        dtype_key='model_def.get("dtype"' in wgp,
        configs="model_config_groups" in wgp,
        module_source="module_source" in wgp,
        plugins="plugin_model_extensions" in wgp,
    )


def _variant_rule(wgp: str) -> VariantRule:
    body = _function(wgp, "get_model_filename")
    if "quant_order" in body:
        return VariantRule.ORDERED
    if "quant_tokens" in body and "quanto" not in body:
        return VariantRule.TOKENS
    return VariantRule.QUANTO if '"quanto" not in' in body else VariantRule.UNKNOWN


def _lora_layout(wgp: str) -> LoraLayout:
    body = _function(wgp, "get_lora_dir")
    if "get_dir(" in body:
        return LoraLayout.ROOT if "lora_root" in body else LoraLayout.FAMILY
    return LoraLayout.FLAT if body else LoraLayout.ROOT


def _function(source: str, name: str) -> str:
    match = re.search(rf"^def {name}\(.*?(?=^[^\s#)]|\Z)", source, re.DOTALL | re.MULTILINE)
    return match[0] if match else ""


def _lora_folders(tree: Path) -> tuple[str, ...]:
    found = [path for path in (*tree.glob("loras*"), *tree.glob("loras*/*")) if path.is_dir()]
    return tuple(sorted(path.relative_to(tree).as_posix() for path in found))


def _plugin_handlers(tree: Path, enabled: Iterable[object]) -> dict[str, str]:
    """Return handlers of enabled plugins, as Wan2GP's ``discover_plugin_model_extensions`` finds them."""
    found: dict[str, str] = {}
    for name in sorted({item for item in enabled if isinstance(item, str)}):
        folder = tree / "plugins" / name
        if not _MODULE_PATH.fullmatch(name) or not _is_plugin(folder):
            continue
        for handler in _handlers_named_by(folder / "plugin_info.json"):
            relative = handler.startswith(".")
            module = handler.replace("\\", "/").removesuffix(".py").lstrip("./").strip("/").replace("/", ".")
            path = f"{name}.{module}" if relative else module
            if _MODULE_PATH.fullmatch(path):
                found.setdefault(path, name)
    return found


def _is_plugin(folder: Path) -> bool:
    return (folder / "__init__.py").is_file() or (folder / "plugin.py").is_file()


def _handlers_named_by(info: Path) -> list[str]:
    try:
        value: Any = json.loads(_read(info) or "null")
    except (ValueError, RecursionError):
        return []
    if not isinstance(value, dict) or not value.get("defaults") or not value.get("profiles"):
        return []
    named = value.get("model_handlers")
    items = [named] if isinstance(named, str) else named if isinstance(named, list) else []
    return [item.strip() for item in items if isinstance(item, str) and item.strip()]
