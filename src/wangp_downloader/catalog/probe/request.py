"""What is asked: one value that says everything the answer depends on, besides the tree's own files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Limits:
    """How long the separate process may take, seconds.

    Attributes:
        total_s: For everything, restarts after a bad handler included.
        silent_s: Without a word: one handler's import and answers.
    """

    total_s: float = 20.0
    silent_s: float = 5.0


@dataclass(frozen=True, slots=True)
class ProbeRequest:
    """One question to one tree.

    Attributes:
        tree: The Wan2GP folder, absolute.
        definitions: Id → the merged ``model`` object of its JSON files.
        originals: Id → the ``model`` object of the first file, for definitions that a later file changes:
            Wan2GP asks ``query_model_def`` with the first one only.
        config: The user's ``wgp_config.json``.
        python: The interpreter that runs Wan2GP's code, or None for ours.
        limits: Time limits.
    """

    tree: Path
    definitions: Mapping[str, Mapping[str, Any]]
    config: Mapping[str, Any] = field(default_factory=dict)
    originals: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    python: Path | None = None
    limits: Limits = field(default_factory=Limits)

    @property
    def enabled_plugins(self) -> tuple[str, ...]:
        """Plugins that the user's settings switch on."""
        value = self.config.get("enabled_plugins")
        return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()

    def architecture(self, model_id: str) -> str:
        """Return the architecture whose handler is asked: the definition's, or its id."""
        value = self.definitions[model_id].get("architecture")
        return value if isinstance(value, str) and value else model_id

    def original(self, model_id: str) -> Mapping[str, Any]:
        """Return what ``query_model_def`` is asked with."""
        return self.originals.get(model_id, self.definitions[model_id])
