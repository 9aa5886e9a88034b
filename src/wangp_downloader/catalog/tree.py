"""The user's Wan2GP folder: is it one, which version, and which rules that version follows.

Reads only. What the rules mean is in :mod:`wangp_downloader.catalog.variants`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from wangp_downloader.errors import CatalogError, SettingsError

_VERSION = re.compile(r"^\s*WanGP_version\s*=\s*[\"']([^\"']{1,40})[\"']", re.MULTILINE)


class Era(IntEnum):
    """How a tree picks among variants; each value names the first day it applies to.

    Source: the history of ``get_model_filename`` in Wan2GP's ``wgp.py``.
    """

    FIRST = 20250713
    """int8 or fp8 by name, bf16 is every name without ``quanto``, no falling back."""
    TOKENS = 20260107
    """int8 takes int8 and fp8 names in list order; all else takes the first of the list."""
    ORDERED = 20260111
    """int8 prefers int8 and falls back to fp8, fp8 the reverse; all else takes the first."""


@dataclass(frozen=True, slots=True)
class Tree:
    """A Wan2GP folder.

    Attributes:
        root: Absolute path.
        version: ``WanGP_version`` of its ``wgp.py``, or None where that is not there.
        era: Which selection rule applies; the newest if the folder holds no program.
        has_program: True if ``wgp.py`` is there, so that its handlers can be asked.
        default_checkpoints: ``checkpoints_paths`` where the user's settings name none.
        loras_in_checkpoints: True for versions of July 2025, which fetch a definition's loras to ``ckpts``.
    """

    root: Path
    version: str | None
    era: Era
    has_program: bool
    default_checkpoints: tuple[str, ...] = ("ckpts", ".")
    loras_in_checkpoints: bool = False


def open_tree(root: Path) -> Tree:
    """Look at a Wan2GP folder.

    Args:
        root: The folder that holds ``defaults/``.

    Returns:
        What was found there.

    Raises:
        CatalogError: It is no Wan2GP folder: neither ``defaults/`` nor ``wgp.py`` is there.
    """
    program = root / "wgp.py"
    has_program = program.is_file()
    if not has_program and not (root / "defaults").is_dir() and not (root / "finetunes").is_dir():
        raise _wrong_folder(root)
    source = _read_program(program) if has_program else None
    if source is None:
        return Tree(root, None, Era.ORDERED, has_program=False)
    match = _VERSION.search(source)
    return Tree(
        root,
        match[1] if match else None,
        _era_of(source),
        has_program=True,
        default_checkpoints=("ckpts", ".") if "checkpoints_paths" in source else ("ckpts",),
        loras_in_checkpoints=_loras_in_checkpoints(source),
    )


def _wrong_folder(root: Path) -> CatalogError:
    error = CatalogError(
        f"{root} is no Wan2GP folder: it has neither defaults/ nor wgp.py",
        hint="set the right one with: wangp-dl config set wan2gp_directory DIR",
    )
    # What is wrong is the configuration that names this folder, no definition.
    error.exit_code = SettingsError.exit_code
    return error


def _read_program(program: Path) -> str | None:
    try:
        return program.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None


def _era_of(source: str) -> Era:
    if "quant_order" in source:
        return Era.ORDERED
    if "quant_tokens" in source:
        return Era.TOKENS
    return Era.FIRST


def _loras_in_checkpoints(source: str) -> bool:
    _, found, rest = source.partition("\ndef download_models(")
    body = rest.partition("\ndef ")[0]
    return bool(found) and "loras" in body and "lora_dir" not in body
