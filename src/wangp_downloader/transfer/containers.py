"""Do a model file's own header and its length agree? The only check there is where nobody knows a hash."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

_MOST_HEADER_BYTES = 100_000_000
_GGUF_VERSIONS = frozenset({1, 2, 3})


def contradiction(path: Path, name: str) -> str | None:
    """Return how a file's header contradicts its length or its name, or None.

    Args:
        path: The file to read; only its header is read.
        name: The name it will have; decides what it should be.
    """
    suffix = Path(name).suffix.lower()
    if suffix == ".safetensors":
        return _safetensors(path)
    if suffix == ".gguf":
        return _gguf(path)
    return None


def _safetensors(path: Path) -> str | None:
    """Check the layout: 8 bytes of header length, JSON, tensors (safetensors README, "Format")."""
    size = path.stat().st_size
    with path.open("rb") as file:
        prefix = file.read(8)
        if len(prefix) < 8:
            return "it is too short for a safetensors file"
        (length,) = struct.unpack("<Q", prefix)
        if length > min(_MOST_HEADER_BYTES, size - 8):
            return "its safetensors header is longer than the file: it is cut off or something else"
        try:
            header = json.loads(file.read(length))
            end = _end_of_tensors(header)
        except (ValueError, TypeError, AttributeError, KeyError, RecursionError):
            return "its safetensors header can not be read"
    expected = 8 + length + end
    if expected != size:
        return f"its safetensors header announces {expected:,} bytes, it has {size:,}"
    return None


def _end_of_tensors(header: dict[str, Any]) -> int:
    ends = [int(entry["data_offsets"][1]) for key, entry in header.items() if key != "__metadata__"]
    return max(ends, default=0)


def _gguf(path: Path) -> str | None:
    """Check magic and version (ggml's docs/gguf.md); its tensor sizes need tables of every block type."""
    with path.open("rb") as file:
        prefix = file.read(24)
    if len(prefix) < 24 or prefix[:4] != b"GGUF":
        return "it does not begin as a GGUF file does"
    version = struct.unpack("<I", prefix[4:8])[0]
    if version not in _GGUF_VERSIONS:
        return f"its GGUF version {version} is unknown"
    tensors = struct.unpack("<Q", prefix[8:16])[0]
    if tensors * 24 > path.stat().st_size:
        return "its GGUF header announces more tensors than fit into the file"
    return None
