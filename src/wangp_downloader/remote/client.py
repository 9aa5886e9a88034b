"""The remote room's front door: what is known of files, and asking for what is not.

Owns no questions and no store: see ``asking.py`` and ``cache.py``. Importing this imports no HTTP library.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable
from contextlib import suppress
from urllib.parse import quote

from wangp_downloader.cancel import CancelToken
from wangp_downloader.errors import (
    DatabaseError,
    DownloaderError,
    NotFoundError,
    OfflineError,
    UnsafePathError,
)
from wangp_downloader.events import Emit, Level, Notice, ignore
from wangp_downloader.files import RemoteAnswer, RemoteFile, RemoteFolder
from wangp_downloader.paths import safe_relative
from wangp_downloader.remote.asking import Round, group
from wangp_downloader.remote.cache import MetadataCache
from wangp_downloader.remote.knowledge import OFFLINE_HINT, Knowledge
from wangp_downloader.remote.options import DEFAULT_ENDPOINT, RemoteOptions
from wangp_downloader.remote.records import RevisionKey, revision_key

DAY_S = 86_400.0


class RemoteClient:
    """Answers for remote files from the cache, and asks their hosts for the rest.

    Args:
        cache: Where answers are kept.
        options: Endpoint, token, whether to ask at all.
    """

    def __init__(self, cache: MetadataCache, options: RemoteOptions) -> None:
        self._cache = cache
        self._options = options

    def lookup(
        self,
        files: Collection[RemoteFile],
        *,
        max_age_s: float = DAY_S,
        cancel: CancelToken,
        emit: Emit = ignore,
    ) -> dict[RemoteFile, RemoteAnswer]:
        """Answer for files, asking for what is unknown or too old, a few repos at once.

        Blocks. A host that can not answer costs the files on it: their answers say why, or are stale.

        Args:
            files: What is wanted.
            max_age_s: Seconds for which the answer "this branch is that commit" is good; 0 asks again.
            cancel: Ends it within a fraction of a second, also while a request hangs.
            emit: Told of each repo that answered, and of failures.

        Returns:
            An answer for every file.

        Raises:
            CancelledError: ``cancel`` was called; what was learnt until then is kept.
        """
        known = self._known(files, max_age_s, emit)
        if not self._options.offline:
            Round(self._cache, self._options, known, cancel, emit).ask_files(files)
        return known.answers(files, offline=self._options.offline)

    def cached(self, files: Collection[RemoteFile]) -> dict[RemoteFile, RemoteAnswer]:
        """Answer for files from the cache alone; never touches a network.

        An answer older than a day is marked stale; a file that was never asked about is UNKNOWN.
        """
        return self._known(files, DAY_S, ignore).answers(files)

    def list_folder(
        self,
        folder: RemoteFolder,
        *,
        max_age_s: float = DAY_S,
        cancel: CancelToken,
        emit: Emit = ignore,
    ) -> list[RemoteFile]:
        """Return all files below a folder of a repo, in order of path; their metadata is then known too.

        Blocks, unless the folder was listed before for a commit that is still fresh.

        Args:
            folder: Repo, revision, path; the path ``""`` is the whole repo.
            max_age_s: As in :meth:`lookup`.
            cancel: Ends it within a fraction of a second.
            emit: Told of unsafe names, which are left out, and of a stale listing that is used.

        Raises:
            NotFoundError: No such repo, revision or folder.
            RemoteError: Or another of its subclasses: it can not be listed now, and never was before.
            CancelledError: ``cancel`` was called.
        """
        key = (folder.repo, folder.revision)
        known = Knowledge(self._options.endpoint, self._options.token is not None, time.time() - max_age_s)
        before = self._listed_before(known, key, folder.path)
        if self._options.offline or (before is not None and known.is_fresh(key)):
            return _remote_files(folder, before, emit, OfflineError(_never_listed(folder), hint=OFFLINE_HINT))
        Round(self._cache, self._options, known, cancel, emit).ask_folder(folder)
        error = known.errors.get(key)
        paths = known.paths_below(key, folder.path) if error is None else before
        if error is not None and not error.retryable:
            raise error
        return _remote_files(folder, paths, emit, error or NotFoundError(_no_folder(folder)))

    def download_url(self, file: RemoteFile) -> str:
        """Return where to fetch a file: at the configured endpoint, pinned to the commit that is known.

        Pinned, so that the bytes are those that the metadata describes. A file on another host keeps its URL.
        """
        if file.repo is None:
            return file.url
        repo, revision = key = revision_key(file.repo, file.revision)
        with suppress(DatabaseError):
            record = self._cache.revision(self._options.endpoint, key)
            if record is not None and record.commit is not None:
                repo = record.now_called or repo
                found = self._cache.files({record.row: [file.path]})[record.row].get(file.path)
                revision = record.commit if found is not None and found.size is not None else revision
        return resolve_url(self._options.endpoint, repo, revision, file.path)

    def _known(self, files: Iterable[RemoteFile], max_age_s: float, emit: Emit) -> Knowledge:
        known = Knowledge(self._options.endpoint, self._options.token is not None, time.time() - max_age_s)
        try:
            known.revisions = self._cache.revisions(self._options.endpoint)
            self._recall(files, known)
        except DatabaseError as error:
            emit(Notice(Level.WARNING, f"{error.message}; {error.hint}"))
        return known

    def _recall(self, files: Iterable[RemoteFile], known: Knowledge) -> None:
        paths, urls = group(files)
        wanted: dict[int, set[str]] = {}
        rows = {key: record.row for key, record in known.revisions.items() if record.row and key in paths}
        # Two revisions may be the same commit: what is known of it then answers for both.
        for key, row in rows.items():
            wanted.setdefault(row, set()).update(paths[key])
        found = self._cache.files(wanted) if wanted else {}
        known.files = {key: dict(found[row]) for key, row in rows.items()}
        known.plain = self._cache.plain(urls) if urls else {}

    def _listed_before(self, known: Knowledge, key: RevisionKey, folder: str) -> list[str] | None:
        with suppress(DatabaseError):
            record = self._cache.revision(self._options.endpoint, key)
            if record is not None:
                known.revisions[key] = record
                listing = self._cache.listing(record.row, folder)
                return None if listing is None else list(listing)
        return None


def resolve_url(endpoint: str, repo: str, revision: str, path: str) -> str:
    """Return the URL of a file of a repo, as ``huggingface_hub.hf_hub_url`` builds it."""
    return f"{endpoint}/{repo}/resolve/{quote(revision, safe='')}/{quote(path)}"


def hub_file(repo: str, path: str, revision: str = "main") -> RemoteFile:
    """Return a file of a repo, with the URL at the Hub's own address, as Wan2GP writes it.

    A mirror's endpoint comes in only when the file is fetched (:meth:`RemoteClient.download_url`).
    """
    return RemoteFile(resolve_url(DEFAULT_ENDPOINT, repo, revision, path), repo, revision, path)


def _remote_files(
    folder: RemoteFolder, paths: Collection[str] | None, emit: Emit, otherwise: DownloaderError
) -> list[RemoteFile]:
    if not paths:
        raise otherwise
    files = []
    for path in sorted(paths):
        try:
            safe_relative(path)
        except UnsafePathError as error:
            emit(Notice(Level.WARNING, f"{folder.repo}: {error.message}"))
            continue
        files.append(hub_file(folder.repo, path, folder.revision))
    return files


def _never_listed(folder: RemoteFolder) -> str:
    return f"the files of {folder.repo}/{folder.path} are not known from earlier"


def _no_folder(folder: RemoteFolder) -> str:
    return f"{folder.repo} has no folder {folder.path!r} at revision {folder.revision!r}"
