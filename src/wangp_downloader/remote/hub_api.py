"""The questions that this program asks a Hub, one method a question, through ``huggingface_hub.HfApi``.

Imports ``huggingface_hub`` (0.4 s), so it is itself imported only when there is something to ask. Owns the
translation of what comes back; stores nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar
from urllib.parse import quote

from huggingface_hub import HfApi, get_session
from huggingface_hub.utils import (  # type: ignore[attr-defined] # documented, but not in their __all__
    build_hf_headers,
    validate_repo_id,
)

from wangp_downloader.cancel import CancelToken
from wangp_downloader.errors import GatedError, RemoteError
from wangp_downloader.remote.foreign import Asked, translate
from wangp_downloader.remote.hub_http import Call, calling
from wangp_downloader.remote.options import RemoteOptions
from wangp_downloader.remote.pool import Breaker
from wangp_downloader.remote.records import MISSING_FILE, FileRecord, file_record
from wangp_downloader.remote.retrying import Retrying

PATHS_PER_REQUEST = 500
"""So many paths are asked for in one request; the Hub takes at least a thousand."""

_LIBRARY = "wangp-downloader"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Head:
    """What a revision is now.

    Attributes:
        commit: Commit id.
        name: The repo's present name.
        gated: True if a licence has to be accepted before its files may be fetched.
        files: All files of the commit, if they were asked for and the server gave them with sizes.
        complete: True if ``files`` is all of them.
    """

    commit: str
    name: str
    gated: bool
    files: Mapping[str, FileRecord] = field(default_factory=dict)
    complete: bool = False


class HubApi:
    """Asks one endpoint; safe to use from several threads. Every method blocks, for its timeouts and retries.

    Args:
        options: Endpoint, token, timeouts.
        breaker: Told of each answer and failure; when it trips, questions fail at once.
        cancel: Ends the waits between attempts.
    """

    def __init__(self, options: RemoteOptions, breaker: Breaker, cancel: CancelToken) -> None:
        self._options = options
        self._breaker = breaker
        self._retrying = Retrying(options, breaker, cancel)
        # `False` keeps the package from looking for a token by itself: only the one we were given is used.
        self._api = HfApi(endpoint=options.endpoint, token=options.token or False, library_name=_LIBRARY)

    def head(self, repo: str, revision: str, *, files: bool) -> Head:
        """Ask which commit a revision is, with all its files if ``files`` (one request).

        Raises:
            RemoteError: Or one of its subclasses.
        """
        # Not `HfApi.model_info`: that wants fields which small mirrors do not give, where the commit is enough.
        params = {"blobs": "true"} if files else {"expand": ["sha", "gated"]}
        asked = self._asked(repo, revision)
        return self._call(asked, lambda: _head(repo, self._get_revision(repo, revision, params), files=files))

    def _get_revision(self, repo: str, revision: str, params: Mapping[str, Any]) -> Mapping[str, Any]:
        validate_repo_id(repo)
        options = self._options
        headers = build_hf_headers(token=options.token or False, library_name=_LIBRARY)
        url = f"{options.endpoint}/api/models/{repo}/revision/{quote(revision, safe='')}"
        info = get_session().get(url, params=params, headers=headers).json()
        if not isinstance(info, dict):
            raise TypeError(f"a list or a word instead of an object: {info!r:.40}")
        return info

    def files(self, repo: str, commit: str, paths: Collection[str]) -> dict[str, FileRecord]:
        """Ask about some files of a commit (one request for each 500 paths).

        Raises:
            RemoteError: Or one of its subclasses.
        """
        asked, wanted = self._asked(repo, commit), sorted(paths)
        found: dict[str, FileRecord] = dict.fromkeys(wanted, MISSING_FILE)
        for start in range(0, len(wanted), PATHS_PER_REQUEST):
            some = wanted[start : start + PATHS_PER_REQUEST]
            records = self._call(asked, partial(self._some_files, repo, commit, some))
            found |= {path: record for path, record in records.items() if path in found}
        return found

    def _some_files(self, repo: str, commit: str, paths: list[str]) -> dict[str, FileRecord]:
        return _records(self._api.get_paths_info(repo, paths, revision=commit))

    def folder(self, repo: str, commit: str, path: str) -> dict[str, FileRecord]:
        """Ask for all files below a folder of a commit (one request for each 1,000 of them).

        Raises:
            NotFoundError: There is no such folder.
            RemoteError: Or one of its subclasses.
        """
        records = self._call(
            self._asked(repo, commit),
            lambda: _records(self._api.list_repo_tree(repo, path or None, recursive=True, revision=commit)),
        )
        prefix = f"{path}/" if path else ""
        return {name: record for name, record in records.items() if name.startswith(prefix)}

    def may_read(self, repo: str) -> bool:
        """Ask whether our token opens a gated repo (one request)."""
        try:
            self._call(self._asked(repo, "main"), lambda: self._api.auth_check(repo))
        except GatedError:
            return False
        except RemoteError as error:
            if error.retryable:
                raise
            # A mirror that does not know this question has not said no: the download will tell.
            return True
        return True

    def _asked(self, repo: str, revision: str) -> Asked:
        return Asked(repo, self._options.endpoint, revision, has_token=self._options.token is not None)

    def _call(self, asked: Asked, request: Callable[[], T]) -> T:
        """Return what ``request`` makes of the answer; it reads it too, so that nonsense is told as such."""
        return self._retrying.ask(partial(self._attempt, asked, request))

    def _attempt(self, asked: Asked, request: Callable[[], T]) -> T:
        tripped = self._breaker.tripped
        if tripped is not None:
            raise tripped
        try:
            with calling(Call(asked, self._options.timeout_s)):
                return request()
        except Exception as foreign:
            raise translate(foreign, asked) from foreign


def _head(repo: str, info: Mapping[str, Any], *, files: bool) -> Head:
    commit = info.get("sha")
    if not isinstance(commit, str) or not commit:
        raise RemoteError(f"the answer about {repo} names no commit")
    records = _siblings(info.get("siblings")) if files else None
    name = _text(info.get("id") or info.get("modelId") or repo)
    return Head(commit, name, bool(info.get("gated")), records or {}, complete=records is not None)


def _records(entries: Iterable[Any]) -> dict[str, FileRecord]:
    # Folders come between the files; they have no blob id.
    return dict(_record(_text(entry.path), entry) for entry in entries if hasattr(entry, "blob_id"))


def _siblings(siblings: Any) -> dict[str, FileRecord] | None:
    """Return all files of a commit, or None unless the server gave size and blob id of every one."""
    entries = siblings if isinstance(siblings, list) else []
    if not entries or not all(entry.get("size") is not None and entry.get("blobId") for entry in entries):
        return None
    return dict(_sibling(_text(entry["rfilename"]), entry) for entry in entries)


def _sibling(path: str, entry: Mapping[str, Any]) -> tuple[str, FileRecord]:
    sha256 = (entry.get("lfs") or {}).get("sha256")
    return path, file_record(path, entry["size"], sha256, entry["blobId"])


def _record(path: str, entry: Any) -> tuple[str, FileRecord]:
    return path, file_record(path, entry.size, entry.lfs.sha256 if entry.lfs else None, entry.blob_id)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"a name is no text: {value!r:.40}")
    return value
