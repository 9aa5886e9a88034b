"""The last plan, kept so that the table can be painted before anything else is loaded.

Owns one file beside ``ui.json``. It is a picture to look at, never a ground for action: whatever is done
starts from a fresh plan of the engine.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from wangp_downloader.files import Plan
from wangp_downloader.reading import read_small

if TYPE_CHECKING:
    from wangp_downloader.tui.engine import ModelInfo

VERSION = 4
_MAX_BYTES = 256 * 1024**2


@dataclass(frozen=True, slots=True)
class KnownModel:
    """A model as the last start knew it; see :class:`wangp_downloader.tui.engine.ModelInfo`."""

    id: str
    name: str
    family: str
    certain: bool


@dataclass(frozen=True, slots=True)
class CachedPlan:
    """A plan and the models it speaks of.

    Attributes:
        version: Form of the file.
        mark: Names the settings that it was made with.
        plan: The plan.
        models: All models.
    """

    version: int
    mark: str
    plan: Plan
    models: tuple[KnownModel, ...]


def load_plan(path: Path, mark: str) -> CachedPlan | None:
    """Return the last plan made with the same settings, or None where there is none that can be read."""
    try:
        cached = msgspec.msgpack.decode(read_small(path, _MAX_BYTES), type=CachedPlan)
    except (OSError, msgspec.MsgspecError, ValueError, RecursionError):
        return None
    return cached if cached.version == VERSION and cached.mark == mark else None


def save_plan(path: Path, mark: str, plan: Plan, models: Sequence[ModelInfo]) -> None:
    """Write the file whole or not at all; a disk that refuses only costs the quick start."""
    import tempfile  # noqa: PLC0415 - start-up

    known = tuple(KnownModel(model.id, model.name, model.family, model.certain) for model in models)
    data = msgspec.msgpack.encode(CachedPlan(VERSION, mark, plan, known))
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        Path(temporary).replace(path)
