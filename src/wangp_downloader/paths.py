r"""Names that came from outside, and how they are made safe.

Owns the one check that every path from a definition, a URL, a listing or another program's database goes
through before it is joined to a folder. Does no I/O.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from pathlib import PurePosixPath, PureWindowsPath
from urllib.parse import unquote, urlsplit, urlunsplit

from wangp_downloader.errors import UnsafePathError

MAX_NAME_BYTES = 255
"""Longest file name that common file systems take (ext4, APFS, NTFS count 255 units)."""
MAX_PATH_LENGTH = 1024

_WINDOWS_DEVICES = frozenset(
    ["con", "prn", "aux", "nul", *(f"com{n}" for n in range(1, 10)), *(f"lpt{n}" for n in range(1, 10))]
)


@lru_cache(maxsize=8192)
def safe_relative(name: str) -> str:
    r"""Return a relative path that can not leave the folder it is joined to.

    Refused: empty, absolute (POSIX or Windows), drive letters, ``..`` in either notation, NUL and other
    control characters, Windows device names and streams, names longer than file systems take.
    ``\`` is read as ``/``, as Wan2GP does (``shared/utils/files_locator.py``); ``.`` parts fall away.

    Args:
        name: A path from outside, such as ``sub/model.safetensors``.

    Returns:
        The same path with ``/`` only.

    Raises:
        UnsafePathError: It could lead elsewhere; the message names it, shortened.
    """
    problem = _problem_with(name)
    if problem is not None:
        raise UnsafePathError(f"refused the path {shorten(name)!r}: {problem}")
    return "/".join(part for part in name.replace("\\", "/").split("/") if part not in ("", "."))


def _problem_with(name: str) -> str | None:
    if len(name) > MAX_PATH_LENGTH:
        return f"it is {len(name):,} characters long"
    if any(unicodedata.category(char) in {"Cc", "Cs"} for char in name):
        return "it holds a control character"
    windows, posix = PureWindowsPath(name), PurePosixPath(name)
    if windows.drive or windows.root or posix.root:
        return "it is absolute or names a drive"
    parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".")]
    if not parts:
        return "it is empty"
    return next((problem for part in parts if (problem := _problem_with_part(part))), None)


def _problem_with_part(part: str) -> str | None:
    if part == "..":
        return "it leads out of its folder"
    if ":" in part:
        return "it holds a colon"
    if part.split(".", maxsplit=1)[0].strip().lower() in _WINDOWS_DEVICES:
        return f"{part!r} is a device name on Windows"
    if len(part.encode()) > MAX_NAME_BYTES:
        return f"a part of it is longer than {MAX_NAME_BYTES} bytes"
    return None


def shorten(text: str, limit: int = 120) -> str:
    """Return ``text`` cut in the middle to at most ``limit`` characters, for messages."""
    if len(text) <= limit:
        return text
    half = (limit - 1) // 2
    return f"{text[:half]}…{text[-half:]}"


OUTSIDE_HINT = "if that folder is meant, name it in Wan2GP's checkpoint paths or lora root"


def printable(text: str) -> str:
    """Return ``text`` without what could steer a terminal: escape sequences, bells, reversed writing.

    Line breaks stay; each character that is not to be shown becomes ``\N{REPLACEMENT CHARACTER}``.
    """
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() or char == "\n" else "\N{REPLACEMENT CHARACTER}" for char in text
    )


def printable_line(text: str) -> str:
    """Return ``text`` as :func:`printable` does, on one line: for a row of a table, or a file's name in a line."""
    return printable(text).replace("\n", "\N{REPLACEMENT CHARACTER}")


def redact_url(url: str) -> str:
    """Return ``url`` without user, password, query and fragment: safe to show and to log. Never raises."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return shorten(url.partition("?")[0].rpartition("@")[2], 300)
    host = parts.netloc.rpartition("@")[2]
    return shorten(urlunsplit((parts.scheme, host, parts.path, "", "")), 300)


_ADDRESS = re.compile(r"(?:https?|file)://\S+?[:,]?(?=\s|$)\s*")


def without_address(message: str, name: str = "") -> str:
    """Return an error message without the URLs in it and the file's name before it, for places with little room."""
    for start in (f"{name} ", f"{name}: ") if name else ():
        message = message.removeprefix(start)
    return _ADDRESS.sub("", message) or message


def url_basename(url: str) -> str:
    """Return what ``os.path.basename`` gives for a URL: all after the last slash, query included.

    That is how Wan2GP names the file it fetches (``files_locator.extract_alternate_path``).
    """
    return url.rpartition("/")[2]


_RESOLVE = re.compile(
    r"^https?://(?:www\.)?(?:huggingface\.co|hf\.co)/"
    r"(?P<repo>[\w.-]+/[\w.-]+)/(?:resolve|blob|raw)/(?P<revision>[^/]+)/(?P<path>[^?#|]+)"
)


def parse_hub_url(url: str) -> tuple[str, str, str] | None:
    """Split a Hugging Face file URL.

    Args:
        url: Such as ``https://huggingface.co/org/name/resolve/main/sub/file.safetensors``.

    Returns:
        ``(repo, revision, path)`` with percent-escapes decoded, or None if it is no such URL.
    """
    match = _RESOLVE.match(url)
    if match is None:
        return None
    return match["repo"], unquote(match["revision"]), unquote(match["path"])
