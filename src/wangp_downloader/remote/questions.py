"""What has to be asked to answer for one revision of one repo, in as few requests as possible.

Owns the order of the questions. Knows neither HTTP nor the cache: it is told what is known.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from wangp_downloader.remote.records import (
    Access,
    FileRecord,
    RepoReport,
    RevisionKey,
    RevisionRecord,
    is_commit,
)

if TYPE_CHECKING:  # importing it at run time costs 0.4 s
    from wangp_downloader.remote.hub_api import Head, HubApi


@dataclass(frozen=True, slots=True)
class Question:
    """One revision that something is to be learnt about.

    Attributes:
        key: Repo and revision.
        wanted: Paths of interest.
        unknown: Those of them that are not known of the commit that ``known`` names.
        known: What is known, or None.
        fresh: True if ``known`` is young enough, so that only what is unknown is asked.
        folder: A folder to be listed, or None.
        now: Unix time in seconds, noted with the answer.
        has_token: True if the question is asked with a token.
    """

    key: RevisionKey
    wanted: frozenset[str]
    unknown: frozenset[str]
    known: RevisionRecord | None
    fresh: bool
    now: float
    has_token: bool
    folder: str | None = None


def ask(api: HubApi, question: Question) -> RepoReport:
    """Ask what is missing; blocks for one to three requests.

    A commit that is fresh, or that is itself the revision, is not asked for again. A stale one is, alone;
    only if it has changed are the wanted files asked for again. Of a repo never seen, the first request
    brings the commit and all its files, where the server can do that.

    Raises:
        RemoteError: Or one of its subclasses.
        CancelledError: The user asked to stop.
    """
    repo, revision = question.key
    known = question.known
    pinned = _pinned_commit(question)
    head = None if pinned else api.head(repo, revision, files=known is None or known.commit is None)
    commit = pinned or (head.commit if head else "")
    name = head.name if head else (known.now_called if known else None) or repo
    files, folders = _learn_files(api, question, name, commit, head)
    record = RevisionRecord(
        commit,
        question.now if head or known is None else known.checked_at,
        _access(api, question, name, head),
        name if name.casefold() != repo.casefold() else None,
        with_token=question.has_token,
    )
    return RepoReport(question.key, record, files, folders)


def _pinned_commit(question: Question) -> str | None:
    if question.known is not None and question.known.commit is not None and question.fresh:
        return question.known.commit
    return question.key[1] if is_commit(question.key[1]) else None


def _learn_files(
    api: HubApi, question: Question, name: str, commit: str, head: Head | None
) -> tuple[dict[str, FileRecord], frozenset[str]]:
    known = question.known
    unchanged = known is not None and known.commit == commit
    files = dict(head.files) if head else {}
    folders = frozenset({""}) if head and head.complete else frozenset()
    unknown = (question.unknown if unchanged else question.wanted) - files.keys()
    if unknown:
        files |= api.files(name, commit, unknown)
    if question.folder is not None and not folders:
        files |= api.folder(name, commit, question.folder)
        folders = frozenset({question.folder})
    return files, folders


def _access(api: HubApi, question: Question, name: str, head: Head | None) -> Access:
    before = question.known.access if question.known else Access.OPEN
    gated = head.gated if head else before is not Access.OPEN
    if not gated:
        return Access.OPEN
    if not question.has_token:
        return Access.REFUSED
    if before is Access.GRANTED and head is None:
        return Access.GRANTED
    return Access.GRANTED if api.may_read(name) else Access.REFUSED
