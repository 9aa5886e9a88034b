"""Finds Wan2GP and InvokeAI in their usual places. Cheap: looks at a few dozen paths, walks nothing."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

_NAMES = ("Wan2GP", "wan2gp", "WanGP", "Wan2GP-main")


@dataclass(frozen=True, slots=True)
class Detected:
    """What was found, by configuration key; only keys with something found are there."""

    values: Mapping[str, Path]


def detect(home: Path, here: Path, environ: Mapping[str, str]) -> Detected:
    """Look in the usual places.

    Args:
        home: The user's home folder.
        here: The current folder.
        environ: Environment variables (``PINOKIO_HOME``, ``INVOKEAI_ROOT``, ``APPDATA``).
    """
    found: dict[str, Path] = {}
    wan2gp = next((path for path in _wan2gp_candidates(home, here, environ) if is_wan2gp(path)), None)
    if wan2gp is not None:
        found["wan2gp_directory"] = wan2gp
    for root in _invokeai_candidates(home, environ):
        if (root / "databases" / "invokeai.db").is_file():
            found["invokeai_db"] = root / "databases" / "invokeai.db"
            if (root / "models").is_dir():
                found["invokeai_models_dir"] = root / "models"
            break
    return Detected(found)


def is_wan2gp(path: Path) -> bool:
    """Return whether a folder is a Wan2GP installation: it holds ``wgp.py`` and ``defaults/`` or ``models/``."""
    try:
        return (path / "wgp.py").is_file() and ((path / "defaults").is_dir() or (path / "models").is_dir())
    except OSError:
        return False


def _wan2gp_candidates(home: Path, here: Path, environ: Mapping[str, str]) -> Iterator[Path]:
    ours = Path(__file__).resolve().parents[3]  # the checkout, where the program runs from one
    for base in (here, here.parent, ours.parent, home, home / "Documents", Path("/workspace"), Path("/root")):
        yield base
        yield from (base / name for name in _NAMES)
    yield from _pinokio(home, environ)
    yield from _stability_matrix(home, environ)


def _pinokio(home: Path, environ: Mapping[str, str]) -> Iterator[Path]:
    # Pinokio clones into api/<app>.git and Wan2GP's launcher into its folder "app".
    for root in (environ.get("PINOKIO_HOME"), home / "pinokio", Path("C:/pinokio")):
        if root:
            for folder in _subfolders(Path(root) / "api"):
                yield from (folder, folder / "app")


def _stability_matrix(home: Path, environ: Mapping[str, str]) -> Iterator[Path]:
    config = Path(environ.get("APPDATA") or environ.get("XDG_CONFIG_HOME") or home / ".config")
    for data in (config / "StabilityMatrix", home / "StabilityMatrix" / "Data"):
        library = data
        try:
            text = (data / "library.json").read_text(encoding="utf-8")
            library = Path(json.loads(text)["LibraryPath"])
        except (OSError, ValueError, KeyError, TypeError):
            library = data
        yield from _subfolders(library / "Packages")


def _invokeai_candidates(home: Path, environ: Mapping[str, str]) -> Iterator[Path]:
    root = environ.get("INVOKEAI_ROOT")
    if root:
        yield Path(root)
    yield from (home / "invokeai", home / "InvokeAI")


def _subfolders(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            return sorted(Path(entry.path) for entry in entries if entry.is_dir())
    except OSError:
        return []
