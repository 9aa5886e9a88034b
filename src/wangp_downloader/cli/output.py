"""Owns standard output: JSON documents, tables and lines. Nothing else writes there.

Names come from other people's files: what is printed for people goes through :func:`styled` or
:func:`print_line`, so that no control sequence of theirs reaches the terminal.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO

from wangp_downloader.errors import DownloaderError
from wangp_downloader.paths import printable

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.text import Text


def print_json(document: Mapping[str, Any]) -> None:
    """Print one JSON document, and nothing else."""
    with _printing() as out:
        plain = (out.encoding or "").lower().replace("-", "") != "utf8"
        text = json.dumps(document, ensure_ascii=plain, indent=1)
        # A lone surrogate (a file name that is no UTF-8) must not break the document.
        out.write(text.encode("utf-8", "backslashreplace").decode("utf-8") + "\n")
        out.flush()


def print_json_line(document: Mapping[str, Any]) -> None:
    """Print one JSON object on a line of its own, at once."""
    with _printing() as out:
        out.write(json.dumps(document, ensure_ascii=True) + "\n")
        out.flush()


def console() -> Console:
    """Return a console on standard output; colours only where they are wanted (``NO_COLOR``)."""
    from rich.console import Console

    on_terminal = _stdout().isatty()
    wide = {} if on_terminal else {"width": 200}
    return Console(highlight=False, markup=False, soft_wrap=not on_terminal, **wide)  # type: ignore[arg-type]


def print_rich(renderable: RenderableType) -> None:
    """Print something that rich can draw."""
    with _printing():
        console().print(renderable)


def styled(text: str, style: str = "") -> Text:
    """Return text for a table or a line, with no control sequence in it."""
    from rich.text import Text

    return Text(printable(text), style)


def print_line(text: str = "", style: str = "") -> None:
    """Print one line of text; a terminal wraps it, nothing is cut."""
    with _printing():
        console().print(styled(text, style), soft_wrap=True)


@contextmanager
def _printing() -> Iterator[TextIO]:
    """Give standard output, and say in one sentence why it takes nothing.

    Raises:
        DownloaderError: It is closed, or its disk is full.
        BrokenPipeError: Its reader has gone, and needs no sentence.
    """
    try:
        yield _stdout()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise unwritable(error) from error


def _stdout() -> TextIO:
    if sys.stdout is None:  # closed before the program began
        raise DownloaderError("standard output is closed")
    return sys.stdout


def unwritable(error: OSError) -> DownloaderError:
    """Return what is said where standard output failed; nothing goes there any more, not even at interpreter exit."""
    silence()
    return DownloaderError(f"standard output can not be written: {error.strerror}")


def silence() -> None:
    """Let everything that is still printed go nowhere."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
