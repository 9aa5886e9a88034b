"""Everything known at one moment about some files, and the answers that follow from it. No I/O."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from wangp_downloader.errors import DownloaderError, GatedError, NotFoundError, OfflineError
from wangp_downloader.files import RemoteAnswer, RemoteFile, RemoteState
from wangp_downloader.paths import shorten
from wangp_downloader.remote.cache import PlainRecord
from wangp_downloader.remote.foreign import Asked, gated_error
from wangp_downloader.remote.records import (
    Access,
    FileRecord,
    Problem,
    RepoReport,
    RevisionKey,
    RevisionRecord,
    is_commit,
    revision_key,
)

_UNKNOWN = RemoteAnswer(RemoteState.UNKNOWN)
OFFLINE_HINT = "run once without --offline (and without HF_HUB_OFFLINE)"
_OFFLINE = RemoteAnswer(
    RemoteState.OFFLINE,
    problem="not known from earlier, and the network is not to be used",
    hint=OFFLINE_HINT,
)
_GONE = frozenset({RemoteState.GATED, RemoteState.MISSING})


@dataclass(slots=True)
class Knowledge:
    """What is known, from the cache and from answers that just came.

    Attributes:
        endpoint: The Hub's URL, for hints.
        has_token: Whether we have a token.
        oldest: Answers about a branch that were given before this Unix time are stale.
        revisions: What is known of revisions.
        files: What is known of files, by path, of the commit that ``revisions`` names.
        plain: What is known of URLs on other hosts.
        errors: Why a revision, or a URL, could not be asked about now.
    """

    endpoint: str
    has_token: bool
    oldest: float
    revisions: dict[RevisionKey, RevisionRecord] = field(default_factory=dict)
    files: dict[RevisionKey, dict[str, FileRecord]] = field(default_factory=dict)
    plain: dict[str, PlainRecord] = field(default_factory=dict)
    errors: dict[RevisionKey | str, DownloaderError] = field(default_factory=dict)

    def is_fresh(self, key: RevisionKey) -> bool:
        """Return whether a revision's commit is known and need not be asked for."""
        record = self.revisions.get(key)
        if record is None or record.commit is None or record.problem is not None:
            return False
        return is_commit(key[1]) or record.checked_at >= self.oldest

    def learn(self, report: RepoReport) -> None:
        """Take in the answer to a question."""
        before = self.revisions.get(report.key)
        if before is not None and before.commit != report.revision.commit:
            self.files.pop(report.key, None)
        self.revisions[report.key] = report.revision
        self.files.setdefault(report.key, {}).update(report.files)

    def paths_below(self, key: RevisionKey, folder: str) -> list[str]:
        """Return the known paths of existing files below a folder of a revision."""
        prefix = f"{folder}/" if folder else ""
        files = self.files.get(key, {})
        return [path for path, file in files.items() if file.size is not None and path.startswith(prefix)]

    def answers(
        self, files: Collection[RemoteFile], *, offline: bool = False
    ) -> dict[RemoteFile, RemoteAnswer]:
        """Return what there is to say about files.

        Args:
            files: On a Hub or on other hosts.
            offline: True if nothing was asked because the user does not want it.
        """
        views: dict[RevisionKey, _View] = {}
        answers = {}
        for file in files:
            if file.repo is None:
                answers[file] = self._plain_answer(file.url, offline=offline)
                continue
            key = revision_key(file.repo, file.revision)
            view = views.get(key)
            if view is None:
                view = views[key] = self._view(key, offline=offline)
            answers[file] = view.answer(file.path)
        return answers

    def _view(self, key: RevisionKey, *, offline: bool) -> _View:
        record = self.revisions.get(key)
        problem = _problem_of(self.errors.get(key)) or (record.problem if record else None)
        access = record.access if record else Access.OPEN
        refused = access is Access.REFUSED or (access is Access.GRANTED and not self.has_token)
        asked = Asked(
            (record.now_called if record else None) or key[0], self.endpoint, key[1], self.has_token
        )
        commit = record.commit if record else None
        return _View(
            key,
            self.files.get(key, {}),
            commit,
            not self.is_fresh(key),
            gated_error(asked) if refused else None,
            problem,
            offline,
        )

    def _plain_answer(self, url: str, *, offline: bool) -> RemoteAnswer:
        record = self.plain.get(url)
        problem = _problem_of(self.errors.get(url)) or (record.problem if record else None)
        if record is not None and record.problem is None and not (problem and problem.state in _GONE):
            return RemoteAnswer(RemoteState.KNOWN, record.size, stale=record.checked_at < self.oldest)
        return _without(problem, None, None, offline=offline)


@dataclass(frozen=True, slots=True)
class _View:
    """All that answers for the files of one revision have in common."""

    key: RevisionKey
    files: Mapping[str, FileRecord]
    commit: str | None
    stale: bool
    gated: GatedError | None
    problem: Problem | None
    offline: bool

    def answer(self, path: str) -> RemoteAnswer:
        found = self.files.get(path)
        if found is None or (self.problem is not None and self.problem.state in _GONE):
            return _without(self.problem, self.commit, found, offline=self.offline)
        if found.size is None:
            repo, revision = self.key
            text = f"{repo} has no file {shorten(path)!r} at revision {shorten(revision)!r}"
            return RemoteAnswer(RemoteState.MISSING, commit=self.commit, stale=self.stale, problem=text)
        if self.gated is None:
            return RemoteAnswer(RemoteState.KNOWN, found.size, found.digest, self.commit, self.stale)
        state, text, hint = RemoteState.GATED, self.gated.message, self.gated.hint
        return RemoteAnswer(state, found.size, found.digest, self.commit, self.stale, text, hint)


def _without(
    problem: Problem | None, commit: str | None, found: FileRecord | None, *, offline: bool
) -> RemoteAnswer:
    if problem is None:
        return _OFFLINE if offline else _UNKNOWN
    # What was known before still identifies the file: it may be on this machine, though not to be had there.
    size, digest = (found.size, found.digest) if found else (None, None)
    return RemoteAnswer(problem.state, size, digest, commit, problem=problem.text, hint=problem.hint)


def problem_from(error: DownloaderError) -> Problem:
    """Return the state of files that an error stands for."""
    return Problem(state_of(error), error.message, error.hint)


def _problem_of(error: DownloaderError | None) -> Problem | None:
    return problem_from(error) if error is not None else None


_STATES: Mapping[type[DownloaderError], RemoteState] = {
    GatedError: RemoteState.GATED,
    NotFoundError: RemoteState.MISSING,
    OfflineError: RemoteState.OFFLINE,
}


def state_of(error: DownloaderError) -> RemoteState:
    """Return the state of a file that could not be asked about because of ``error``."""
    return next((state for kind, state in _STATES.items() if isinstance(error, kind)), RemoteState.FAILED)
