"""What the TUI remembers between two starts: the view, the theme, the selection.

Owns ``ui.json`` and its form. A file that can not be read is ignored: it only costs the remembered view.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from wangp_downloader.reading import read_small

VERSION = 1
_MAX_BYTES = 16 * 1024**2


@dataclass(frozen=True, slots=True)
class UiState:
    """Everything that is remembered.

    Attributes:
        text: The filter.
        show_all: Whether files in place are shown.
        variants: Whether variants that are not required are shown.
        sort: Column to sort by, or empty.
        descending: Largest first.
        models: Whether the model view is shown.
        details: Whether the details pane is open.
        theme: Name of the theme.
        selection: Targets of the picked rows.
        cursor: Target of the row under the cursor, or empty.
        line: Line of the screen that it was on.
    """

    text: str = ""
    show_all: bool = False
    variants: bool = False
    sort: str = ""
    descending: bool = False
    models: bool = False
    details: bool = False
    theme: str = ""
    selection: tuple[str, ...] = ()
    cursor: str = ""
    line: int = 0


def load_state(path: Path) -> UiState:
    """Return what is remembered, or the defaults where the file is absent, broken or of another version."""
    try:
        data = json.loads(read_small(path, _MAX_BYTES))
    except (OSError, ValueError, RecursionError):
        return UiState()
    if not isinstance(data, dict) or data.get("version") != VERSION:
        return UiState()
    return UiState(**_checked(data))


def _checked(data: Mapping[str, Any]) -> dict[str, Any]:
    """Keep the entries whose type is right."""
    defaults = UiState()
    checked: dict[str, Any] = {}
    for field in fields(UiState):
        value = data.get(field.name)
        if isinstance(value, list):
            value = tuple(item for item in value if isinstance(item, str))
        if type(value) is type(getattr(defaults, field.name)):
            checked[field.name] = value
    return checked


def save_state(path: Path, state: UiState) -> None:
    """Write the file whole or not at all.

    Raises:
        OSError: The folder can not be written.
    """
    import tempfile  # noqa: PLC0415 - start-up

    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"version": VERSION} | asdict(state), ensure_ascii=False, indent=1)
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", errors="surrogatepass") as file:
            file.write(text)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
