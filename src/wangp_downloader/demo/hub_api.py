"""What the loopback Hub's API says about repos, in the shapes that ``huggingface_hub.HfApi`` reads."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qs, quote, urlencode

from wangp_downloader.demo.hub_content import Content
from wangp_downloader.demo.hub_repos import Commit, Repo
from wangp_downloader.demo.hub_wire import Answer, Request


def as_json(value: object, status: int = 200, headers: dict[str, str] | None = None) -> Answer:
    """Return a JSON answer."""
    body = json.dumps(value, separators=(",", ":")).encode()
    return Answer(status, {"Content-Type": "application/json; charset=utf-8", **(headers or {})}, body)


def failure(status: int, code: str | None, message: str) -> Answer:
    """Return an error as the Hub gives it: ``X-Error-Code``, ``X-Error-Message`` and a JSON body."""
    headers = {"X-Error-Message": message} | ({"X-Error-Code": code} if code else {})
    return as_json({"error": message}, status, headers)


def whoami(request: Request) -> Answer:
    """Answer ``/api/whoami-v2``."""
    if request.token is None:
        return failure(401, None, "Invalid username or password.")
    return as_json(
        {"type": "user", "id": "1", "name": "tester", "fullname": "Tester", "orgs": [], "auth": {}}
    )


def refusal(repo: Repo | None, name: str, token: str | None, *, content: bool) -> Answer | None:
    """Return why this repo may not be read with this token, or None if it may.

    Args:
        repo: The repo, None if there is none of this name.
        name: The name asked for.
        token: The token that came with the request.
        content: True if a file is asked for, False if it is metadata.
    """
    if repo is None or (repo.private and token != repo.gate_token):
        message = "Repository not found" if token else "Invalid username or password."
        return failure(404 if token else 401, "RepoNotFound", message)
    if repo.disabled:
        return failure(403, "DisabledRepo", "Access to this resource is disabled.")
    if repo.gate_token is None or token == repo.gate_token or not (content or repo.hidden):
        return None
    if token is None:
        message = f"Access to model {name} is restricted. You must be authenticated to access it."
        return failure(401, "GatedRepo", message)
    return failure(
        403, "GatedRepo", f"Access to model {name} is restricted and you are not in the authorized list."
    )


def model_info(repo: Repo, commit: Commit, request: Request, *, blobs: bool) -> Answer:
    """Answer ``/api/models/{repo}[/revision/{revision}]``, with sizes and hashes if ``blobs``."""
    info: dict[str, Any] = {
        "_id": commit.sha[:24],
        "id": repo.name,
        "modelId": repo.name,
        "sha": commit.sha,
        "private": repo.private,
        "gated": "manual" if repo.gate_token and not repo.private else False,
        "disabled": repo.disabled,
        "tags": [],
        "downloads": 0,
        "likes": 0,
    }
    expand = request.query.get("expand")
    if expand:
        return as_json({key: info[key] for key in ("_id", "id", *expand) if key in info})
    info["siblings"] = [_sibling(path, commit.files[path], blobs=blobs) for path in sorted(commit.files)]
    return as_json(info)


def _sibling(path: str, content: Content, *, blobs: bool) -> dict[str, Any]:
    sibling: dict[str, Any] = {"rfilename": path}
    if blobs:
        sibling |= {"size": content.size, "blobId": content.blob_id}
        if content.lfs:
            pointer_size = len(content.pointer)
            sibling["lfs"] = {"sha256": content.sha256, "size": content.size, "pointerSize": pointer_size}
    return sibling


def paths_info(commit: Commit, request: Request) -> Answer:
    """Answer ``POST …/paths-info/{revision}``; the body is a form (``paths`` repeated) or JSON."""
    if "json" in request.headers.get("content-type", ""):
        wanted = json.loads(request.body).get("paths", [])
    else:
        wanted = parse_qs(request.body.decode()).get("paths", [])
    entries = []
    for path in [wanted] if isinstance(wanted, str) else wanted:
        if path in commit.files:
            entries.append(_file_entry(path, commit.files[path]))
        elif any(name.startswith(f"{path}/") for name in commit.files):
            entries.append(_folder_entry(path))
    return as_json(entries)


def tree(commit: Commit, folder: str, request: Request, *, page_size: int, endpoint: str) -> Answer:
    """Answer ``…/tree/{revision}[/folder]``, page by page, the next one named by a ``Link`` header."""
    query = request.query
    recursive = query.get("recursive", ["false"])[0].lower() == "true"
    entries = _tree_entries(commit, folder, recursive=recursive)
    if folder and not entries:
        return failure(404, "EntryNotFound", f"{folder} does not exist on this revision")
    start = int(query.get("cursor", ["0"])[0])
    page, headers = entries[start : start + page_size], {}
    if start + page_size < len(entries):
        rest = {key: values[0] for key, values in query.items()} | {"cursor": str(start + page_size)}
        headers["Link"] = f'<{endpoint}{quote(request.path)}?{urlencode(rest)}>; rel="next"'
    return as_json(page, headers=headers)


def _tree_entries(commit: Commit, folder: str, *, recursive: bool) -> list[dict[str, Any]]:
    prefix = f"{folder}/" if folder else ""
    entries: dict[str, dict[str, Any]] = {}
    for path in sorted(name for name in commit.files if name.startswith(prefix)):
        parents = list(_parents(path, prefix))
        for parent in parents if recursive else parents[:1]:
            entries.setdefault(parent, _folder_entry(parent))
        if recursive or not parents:
            entries[path] = _file_entry(path, commit.files[path])
    return list(entries.values())


def _parents(path: str, prefix: str) -> Iterable[str]:
    parts = path[len(prefix) :].split("/")[:-1]
    return (prefix + "/".join(parts[: depth + 1]) for depth in range(len(parts)))


def _file_entry(path: str, content: Content) -> dict[str, Any]:
    entry: dict[str, Any] = {"type": "file", "path": path, "size": content.size, "oid": content.blob_id}
    if content.lfs:
        pointer_size = len(content.pointer)
        entry["lfs"] = {"oid": content.sha256, "size": content.size, "pointerSize": pointer_size}
    return entry


def _folder_entry(path: str) -> dict[str, Any]:
    oid = hashlib.sha1(path.encode(), usedforsecurity=False).hexdigest()
    return {"type": "directory", "path": path, "size": 0, "oid": oid}
