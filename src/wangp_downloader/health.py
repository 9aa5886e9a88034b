"""Looks the installation over: what works, what does not, what to do about it. Changes nothing."""

from __future__ import annotations

import os
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from wangp_downloader.cancel import CancelToken
from wangp_downloader.errors import DownloaderError
from wangp_downloader.files import RemoteState
from wangp_downloader.session import Session
from wangp_downloader.units import format_size, plural

Level = Literal["ok", "warning", "error"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        what: The thing.
        level: How it is.
        text: What was found.
        hint: What to do about it, where it is not well.
    """

    what: str
    level: Level
    text: str
    hint: str | None = None


def examine(session: Session, cancel: CancelToken) -> list[Finding]:
    """Look at everything; a check that fails is a finding of its own.

    Args:
        session: An open session.
        cancel: Stops it between two checks.
    """
    findings: list[Finding] = []
    for name, check in _CHECKS.items():
        cancel.raise_if_cancelled()
        try:
            findings.extend(check(session))
        except DownloaderError as error:
            findings.append(Finding(name, "error", error.message, error.hint))
        except OSError as error:
            findings.append(Finding(name, "error", str(error)))
    return findings


def _program(_: Session) -> Iterator[Finding]:
    import pycurl  # noqa: PLC0415 - start-up

    python = ".".join(map(str, sys.version_info[:3]))
    yield Finding("program", "ok", f"Python {python}, {pycurl.version}, SQLite {sqlite3.sqlite_version}")


def _settings(session: Session) -> Iterator[Finding]:
    loaded = session.loaded
    yield Finding("settings", "ok", f"{loaded.path}" if loaded.exists else f"{loaded.path} (not written yet)")
    with tempfile.NamedTemporaryFile(dir=_made(loaded.state_dir)):
        pass
    yield Finding("state folder", "ok", str(loaded.state_dir))


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _wan2gp(session: Session) -> Iterator[Finding]:
    catalog = session.catalog()
    version = catalog.tree.version or "unknown version"
    yield Finding("Wan2GP", "ok", f"{catalog.tree.root} ({version}), {plural(len(catalog.models), 'model')}")
    if not catalog.complete:
        hint = "point wan2gp_directory to a whole Wan2GP, not to its definitions alone"
        yield Finding("handlers", "warning", "there are none to ask: components are unknown", hint)
    bad = [item for item in catalog.handlers if item.status.value != "asked"]
    if catalog.handlers and not bad:
        yield Finding("handlers", "ok", f"all {len(catalog.handlers)} answered")
    for item in bad:
        yield Finding("handlers", "warning", f"{item.path} ({item.status.value}): {item.error}")
    for text in catalog.warnings[:20]:
        yield Finding("catalog", "warning", text)


def _folders(session: Session) -> Iterator[Finding]:
    # Downloads go to the first checkpoint folder; in the others Wan2GP, and this program, only look.
    others = session.catalog(ask=False).settings.checkpoints_paths[1:]
    only_looked_in = {Path(os.path.normpath(session.root / name)) for name in others}
    for root in session.write_roots():
        yield _folder(root, only_looked_in=root in only_looked_in)
    if session.settings.link == "symlink":
        yield _symlinks(session.loaded.state_dir)


def _folder(root: Path, *, only_looked_in: bool) -> Finding:
    is_there = root.is_dir()
    state = f"{format_size(shutil.disk_usage(root).free)} free" if is_there else "made when it is needed"
    # Where it is not there yet, the nearest folder above it decides.
    nearest = next((folder for folder in (root, *root.parents) if folder.is_dir()), root)
    if os.access(nearest, os.W_OK | os.X_OK):
        return Finding("folder", "ok", f"{root}, {state}")
    if only_looked_in:
        return Finding("folder", "ok", f"{root}, {state}, read only: nothing is put there")
    hint = (
        f"give yourself the right to write to {nearest}, or let checkpoints_paths begin with another folder"
    )
    return Finding("folder", "error", f"{root} can not be written to", hint)


def _symlinks(folder: Path) -> Finding:
    with tempfile.TemporaryDirectory(dir=folder) as name:
        try:
            (Path(name) / "link").symlink_to("target")
        except OSError as error:
            hint = "on Windows switch on Developer Mode, or set link to hardlink or copy"
            return Finding("symbolic links", "error", f"can not be made: {error.strerror}", hint)
    return Finding("symbolic links", "ok", "can be made")


def _stores(session: Session) -> Iterator[Finding]:
    for store in session.library.stores:
        there = store.root.is_dir()
        text = f"{store.root}" if there else f"{store.root} is not there"
        yield Finding(f"store {store.name}", "ok" if there else "warning", text)


def _hub(session: Session) -> Iterator[Finding]:
    token = "a token is set" if session.token else "no token (needed for gated repos only)"
    if session.loaded.offline:
        yield Finding("Hub", "warning", f"{session.settings.endpoint} is not asked: offline; {token}")
        return
    sample = next(
        (row.remote for row in session.catalog().requirements if row.remote and row.remote.repo), None
    )
    if sample is None:
        return
    answer = session.remote.lookup([sample], max_age_s=0, cancel=CancelToken())[sample]
    reached = answer.state in (RemoteState.KNOWN, RemoteState.MISSING, RemoteState.GATED) and not answer.stale
    text = (
        f"{session.settings.endpoint} answers; {token}" if reached else answer.problem or "it does not answer"
    )
    yield Finding("Hub", "ok" if reached else "error", text, None if reached else answer.hint)


_CHECKS: dict[str, Callable[[Session], Iterator[Finding]]] = {
    "program": _program,
    "settings": _settings,
    "Wan2GP": _wan2gp,
    "folders": _folders,
    "stores": _stores,
    "Hub": _hub,
}
