"""One round of questions: which have to be asked, asking them a few at once, keeping what they bring.

Owns freshness. Imports ``hub_api`` (and with it ``huggingface_hub``) only when a Hub has to be asked.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from wangp_downloader.cancel import CancelToken
from wangp_downloader.errors import DatabaseError, DownloaderError, OfflineError
from wangp_downloader.events import Emit, Level, MetadataProgress, Notice, Topic
from wangp_downloader.files import RemoteFile, RemoteFolder, RemoteState
from wangp_downloader.remote.cache import MetadataCache, PlainRecord
from wangp_downloader.remote.knowledge import Knowledge, problem_from
from wangp_downloader.remote.options import RemoteOptions
from wangp_downloader.remote.plain import plain_size
from wangp_downloader.remote.pool import Breaker, run_all
from wangp_downloader.remote.questions import Question, ask
from wangp_downloader.remote.records import (
    Access,
    Problem,
    RepoReport,
    RevisionKey,
    RevisionRecord,
    revision_key,
)
from wangp_downloader.remote.retrying import Retrying
from wangp_downloader.units import plural

if TYPE_CHECKING:  # importing it at run time costs 0.4 s
    from wangp_downloader.remote.hub_api import HubApi

MISSING_FRESH_S = 600.0
"""So long "there is no such repo" is believed without asking again; someone may be about to mend it."""
_LASTING = frozenset({RemoteState.GATED, RemoteState.MISSING})


@dataclass(frozen=True, slots=True)
class _Job:
    """One thing to ask: a revision of a repo, or a URL on another host."""

    subject: RevisionKey | str
    name: str
    run: Callable[[], RepoReport | PlainRecord]


@dataclass(slots=True)
class Round:
    """Asks what ``known`` lacks and puts the answers into it and into the cache.

    Attributes:
        cache: Where answers are kept.
        options: Endpoint, token, timeouts.
        known: What is known; grows, and gets the errors of what could not be asked.
        cancel: Ends it within a fraction of a second.
        emit: Told of progress and failures.
    """

    cache: MetadataCache
    options: RemoteOptions
    known: Knowledge
    cancel: CancelToken
    emit: Emit
    _now: float = field(default_factory=time.time)
    _api: HubApi | None = None
    _hosts: dict[str, Retrying] = field(default_factory=dict)
    _failures: list[tuple[RevisionKey | str, DownloaderError]] = field(default_factory=list)
    _can_keep: bool = True

    def ask_files(self, files: Collection[RemoteFile]) -> None:
        """Ask about files of which something is unknown or too old.

        Raises:
            CancelledError: The user asked to stop; what was learnt until then is kept.
        """
        wanted, urls = group(files)
        jobs = [self._repo_job(key, paths) for key, paths in wanted.items() if self._must_ask(key, paths)]
        self._run(jobs + [self._plain_job(url) for url in urls if self._must_ask_url(url)])

    def ask_folder(self, folder: RemoteFolder) -> None:
        """Ask for all files below a folder.

        Raises:
            CancelledError: The user asked to stop.
        """
        self._run([self._repo_job((folder.repo, folder.revision), set(), folder.path)])

    def _must_ask(self, key: RevisionKey, paths: set[str]) -> bool:
        record = self.known.revisions.get(key)
        if not self.known.is_fresh(key):
            return record is None or not self._believe(record.problem, record.checked_at, record.with_token)
        if not paths <= self.known.files.get(key, {}).keys():
            return True
        # The licence may have been accepted since.
        return record is not None and record.access is Access.REFUSED and self.options.token is not None

    def _must_ask_url(self, url: str) -> bool:
        record = self.known.plain.get(url)
        if record is None:
            return True
        if record.problem is not None:
            return not self._believe(record.problem, record.checked_at, with_token=False)
        return record.checked_at < self.known.oldest

    def _believe(self, problem: Problem | None, checked_at: float, with_token: bool) -> bool:
        """Return whether a refusal from before still stands, as far as one can tell without asking."""
        has_token = self.options.token is not None
        if problem is None or (has_token and not with_token):
            return False
        if problem.state is RemoteState.GATED:
            # Without a token nothing can change; with one, the licence may have been accepted just now.
            return not has_token and checked_at >= self.known.oldest
        return checked_at >= max(self.known.oldest, self._now - MISSING_FRESH_S)

    def _repo_job(self, key: RevisionKey, paths: set[str], folder: str | None = None) -> _Job:
        question = Question(
            key=key,
            wanted=frozenset(paths),
            unknown=frozenset(paths - self.known.files.get(key, {}).keys()),
            known=self.known.revisions.get(key),
            fresh=self.known.is_fresh(key),
            now=self._now,
            has_token=self.options.token is not None,
            folder=folder,
        )
        return _Job(key, key[0], lambda: ask(self._hub(), question))

    def _plain_job(self, url: str) -> _Job:
        host = _host(url)
        retrying = self._hosts.setdefault(host, Retrying(self.options, Breaker(), self.cancel))
        attempt = partial(plain_size, url, self.options.timeout_s)
        return _Job(url, host, lambda: PlainRecord(retrying.ask(attempt), time.time()))

    def _hub(self) -> HubApi:
        if self._api is None:
            raise AssertionError("no Hub was to be asked")
        return self._api

    def _open_hub(self) -> None:
        from wangp_downloader.remote.hub_api import HubApi  # noqa: PLC0415 - slow to import

        self._api = HubApi(self.options, Breaker(), self.cancel)

    def _run(self, jobs: list[_Job]) -> None:
        if any(isinstance(job.subject, tuple) for job in jobs):
            self._open_hub()
        rounds = run_all([job.run for job in jobs], self.options.workers, self.cancel)
        for done, ended in enumerate(rounds, start=1):
            job = jobs[ended.number]
            if ended.value is not None:
                self._learn(job.subject, ended.value)
            elif ended.error is not None:
                self._note_failure(job.subject, ended.error)
            self.emit(MetadataProgress(job.name, done, len(jobs)))
        self._report_failures()

    def _learn(self, subject: RevisionKey | str, value: RepoReport | PlainRecord) -> None:
        if isinstance(value, RepoReport):
            before = self.known.revisions.get(value.key)
            new_name = value.revision.now_called
            if new_name is not None and (before is None or before.now_called != new_name):
                self.emit(Notice(Level.INFO, f"the repo {value.key[0]} is now called {new_name}"))
            self.known.learn(value)
            self._keep(lambda: self.cache.store(self.options.endpoint, value))
        elif isinstance(subject, str):
            self.known.plain[subject] = value
            self._keep(lambda: self.cache.store_plain({subject: value}))

    def _note_failure(self, subject: RevisionKey | str, error: DownloaderError) -> None:
        self.known.errors[subject] = error
        problem = problem_from(error)
        if problem.state not in _LASTING:
            self._failures.append((subject, error))
        elif isinstance(subject, str):
            refused = PlainRecord(None, self._now, problem)
            self._keep(lambda: self.cache.store_plain({subject: refused}))
        else:
            before = self.known.revisions.get(subject) or RevisionRecord(None, self._now)
            with_token = self.options.token is not None
            record = replace(before, checked_at=self._now, problem=problem, with_token=with_token)
            report = RepoReport(subject, record)
            self._keep(lambda: self.cache.store(self.options.endpoint, report))

    def _keep(self, store: Callable[[], None]) -> None:
        if not self._can_keep:
            return
        try:
            store()
        except DatabaseError as error:
            # The answer is there; not remembering it costs only a question next time.
            self._can_keep = False
            self.emit(Notice(Level.WARNING, error.message))

    def _report_failures(self) -> None:
        alike: dict[tuple[type[DownloaderError], bool], list[DownloaderError]] = {}
        for subject, error in self._failures:
            alike.setdefault((type(error), isinstance(subject, tuple)), []).append(error)
        for (kind, of_hub), errors in alike.items():
            others = len(errors) - 1
            many = plural(others, "repo") if of_hub else plural(others, "address", "addresses")
            more = f" (and {many} more)" if others else ""
            topic = Topic.HUB_SILENT if of_hub and issubclass(kind, OfflineError) else None
            self.emit(Notice(Level.WARNING, f"{errors[0].message}{more}", topic=topic))


def group(files: Iterable[RemoteFile]) -> tuple[dict[RevisionKey, set[str]], list[str]]:
    """Return the paths wanted of each revision, and the URLs on other hosts."""
    paths: dict[RevisionKey, set[str]] = {}
    urls: dict[str, None] = {}
    for file in files:
        if file.repo is None:
            urls[file.url] = None
        else:
            paths.setdefault(revision_key(file.repo, file.revision), set()).add(file.path)
    return paths, list(urls)


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or "?"
    except ValueError:
        return "?"
