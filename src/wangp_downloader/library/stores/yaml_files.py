"""Reading other programs' small YAML files. Whatever is wrong with one, it then says nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

_MAX_BYTES = 1024**2


def read_yaml(path: Path) -> dict[str, Any]:
    """Return a YAML file's top-level mapping; empty if there is none, or it can not be read.

    Args:
        path: The file; larger than 1 MB is not read.
    """
    try:
        if path.stat().st_size > _MAX_BYTES:
            return {}
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, ValueError):
        return {}
    from ruamel.yaml import YAML  # noqa: PLC0415 - start-up: only where such a file exists
    from ruamel.yaml.error import YAMLError  # noqa: PLC0415 - as above

    try:
        content = YAML(typ="safe", pure=True).load(text)
    except (YAMLError, ValueError, RecursionError, TypeError, AttributeError):
        return {}
    return content if isinstance(content, dict) else {}
