"""What the user has set in Wan2GP itself: ``wgp_config.json``, read and never written.

Source of names and defaults: Wan2GP's ``wgp.py`` (``server_config``). A missing file means all defaults; a
wrong value costs that value and a warning, because Wan2GP itself may still start with it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wangp_downloader.catalog.tree import Tree
from wangp_downloader.paths import shorten
from wangp_downloader.reading import read_small

CONFIG_NAME = "wgp_config.json"
MAX_CONFIG_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Wan2GPSettings:
    """The settings that decide which files Wan2GP opens, and where.

    Attributes:
        transformer_quantization: ``int8``, ``fp8``, ``bf16`` or empty (as bf16).
        transformer_dtype: ``bf16`` or ``fp16``, after the policy and the GPU were looked at.
        text_encoder_quantization: ``int8`` or ``bf16``.
        checkpoints_paths: Where files are searched, in order; new files go to the first. As the user wrote
            them: relative to the Wan2GP folder, or absolute.
        loras_root: The folder of all lora folders, likewise.
        raw: The whole file, for what handlers may ask.
    """

    transformer_quantization: str = "int8"
    transformer_dtype: str = "bf16"
    text_encoder_quantization: str = "int8"
    checkpoints_paths: tuple[str, ...] = ("ckpts", ".")
    loras_root: str = "loras"
    raw: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SettingsReading:
    """Settings and what was wrong with the file, for people."""

    settings: Wan2GPSettings
    warnings: tuple[str, ...]


def read_wan2gp_settings(tree: Tree, gpu_has_bf16: Callable[[], bool]) -> SettingsReading:
    """Read ``wgp_config.json`` of a tree.

    Args:
        tree: The Wan2GP folder.
        gpu_has_bf16: Says whether the GPU's compute capability is 8 or more; asked only where the user's
            policy is empty, because it then decides the data type.

    Returns:
        The settings, with defaults for what is missing or wrong, and warnings.
    """
    warnings: list[str] = []
    raw = _read_json_object(tree.root / CONFIG_NAME, warnings)
    if not isinstance(raw.get("enabled_plugins", []), list):
        warnings.append(f"{CONFIG_NAME}: enabled_plugins should be a list of folders; none is assumed")
    policy = _text(raw, "transformer_dtype_policy", "", warnings)
    dtype = "fp16" if policy == "fp16" or (not policy and not gpu_has_bf16()) else "bf16"
    settings = Wan2GPSettings(
        transformer_quantization=_text(raw, "transformer_quantization", "int8", warnings),
        transformer_dtype=dtype,
        text_encoder_quantization=_text(raw, "text_encoder_quantization", "int8", warnings),
        checkpoints_paths=_folders(raw, tree.default_checkpoints, warnings),
        loras_root=_text(raw, "loras_root", "loras", warnings).strip() or "loras",
        raw=raw,
    )
    return SettingsReading(settings, tuple(warnings))


def _read_json_object(path: Path, warnings: list[str]) -> dict[str, Any]:
    try:
        value = json.loads(read_small(path, MAX_CONFIG_BYTES).decode("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        why = error.strerror if isinstance(error, OSError) else shorten(str(error))
        warnings.append(f"{path}: can not be read, Wan2GP's defaults are assumed: {why}")
        return {}
    if isinstance(value, dict):
        return value
    warnings.append(f"{path}: holds no settings (a JSON object), Wan2GP's defaults are assumed")
    return {}


def _text(raw: Mapping[str, Any], key: str, default: str, warnings: list[str]) -> str:
    value = raw.get(key, default)
    if isinstance(value, str):
        return value
    warnings.append(f"{CONFIG_NAME}: {key} should be text, is {shorten(repr(value))}; {default!r} is assumed")
    return default


def _folders(raw: Mapping[str, Any], default: tuple[str, ...], warnings: list[str]) -> tuple[str, ...]:
    value = raw.get("checkpoints_paths", list(default))
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        warnings.append(f"{CONFIG_NAME}: checkpoints_paths should be a list of folders; {default} is assumed")
        return default
    folders = tuple(item.strip() for item in value if item.strip() and "\0" not in item)
    return folders or default
