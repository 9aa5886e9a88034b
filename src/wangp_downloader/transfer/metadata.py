"""The ``.metadata`` file by which huggingface_hub knows that a file in a ``local_dir`` is current."""

from __future__ import annotations

import time
from pathlib import Path

from wangp_downloader.errors import UnsafePathError
from wangp_downloader.paths import safe_relative
from wangp_downloader.transfer.request import TransferRequest


def write_metadata(request: TransferRequest) -> str | None:
    """Write the file where the request names folder, path and commit; return why that failed, or None.

    Three lines: commit, etag (SHA-256 or git blob id), time as a float; valid while the file's mtime is
    not later than that time (huggingface_hub, ``_local_folder.py``). Never raises: the download itself
    has succeeded, and without this file it is only hashed once more.
    """
    if request.local_dir is None or request.path_in_repo is None or request.commit is None:
        return None
    if request.digest is None:
        return None
    try:
        relative = safe_relative(request.path_in_repo)
        if request.destination != request.local_dir / relative:
            return None
        path = request.local_dir / ".cache" / "huggingface" / "download" / f"{relative}.metadata"
        path.parent.mkdir(parents=True, exist_ok=True)
        _ignore_folder(request.local_dir / ".cache" / "huggingface")
        fresh = path.with_name(f"{path.name}.new")
        fresh.write_text(f"{request.commit}\n{request.digest.hex}\n{time.time()}\n", encoding="utf-8")
        fresh.replace(path)
    except (OSError, UnsafePathError) as error:
        return f"could not note for huggingface_hub that {request.destination} is current: {error}"
    return None


def _ignore_folder(folder: Path) -> None:
    ignore = folder / ".gitignore"
    if not ignore.exists():
        ignore.write_text("*\n", encoding="utf-8")
