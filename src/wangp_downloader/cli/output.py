"""Owns standard output: JSON documents, tables and lines. Nothing else writes there.

Names come from other people's files: what is printed for people goes through :func:`styled` or
:func:`print_line`, so that no control sequence of theirs reaches the terminal.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from wangp_downloader.paths import printable

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.text import Text


def print_json(document: Mapping[str, Any]) -> None:
    """Print one JSON document, and nothing else."""
    plain = (sys.stdout.encoding or "").lower().replace("-", "") != "utf8"
    text = json.dumps(document, ensure_ascii=plain, indent=1)
    # A lone surrogate (a file name that is no UTF-8) must not break the document.
    sys.stdout.write(text.encode("utf-8", "backslashreplace").decode("utf-8") + "\n")
    sys.stdout.flush()


def print_json_line(document: Mapping[str, Any]) -> None:
    """Print one JSON object on a line of its own, at once."""
    sys.stdout.write(json.dumps(document, ensure_ascii=True) + "\n")
    sys.stdout.flush()


def console() -> Console:
    """Return a console on standard output; colours only where they are wanted (``NO_COLOR``)."""
    from rich.console import Console

    wide = {} if sys.stdout.isatty() else {"width": 200}
    return Console(highlight=False, markup=False, soft_wrap=not sys.stdout.isatty(), **wide)  # type: ignore[arg-type]


def print_rich(renderable: RenderableType) -> None:
    """Print something that rich can draw."""
    console().print(renderable)


def styled(text: str, style: str = "") -> Text:
    """Return text for a table or a line, with no control sequence in it."""
    from rich.text import Text

    return Text(printable(text), style)


def print_line(text: str = "", style: str = "") -> None:
    """Print one line of text; a terminal wraps it, nothing is cut."""
    console().print(styled(text, style), soft_wrap=True)
