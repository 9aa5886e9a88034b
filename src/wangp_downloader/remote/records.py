"""What has been learnt: values that go between the network side and the cache. No I/O."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from wangp_downloader.errors import RemoteError
from wangp_downloader.files import Digest, DigestKind, RemoteState
from wangp_downloader.paths import shorten

_MOST_BYTES = 2**63 - 1
"""No file system, and no column of the cache, holds more."""
_COMMIT = re.compile(r"[0-9a-f]{40}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


def is_commit(revision: str) -> bool:
    """Return whether a revision is a commit id, which never points elsewhere."""
    return _COMMIT.fullmatch(revision) is not None


@dataclass(frozen=True, slots=True)
class FileRecord:
    """A file of one commit; ``size`` None means that the commit has no such file.

    Attributes:
        size: Bytes.
        digest: SHA-256 of an LFS file, git blob id of any other.
    """

    size: int | None
    digest: Digest | None = None


MISSING_FILE = FileRecord(None)


def file_record(path: str, size: object, sha256: object, blob_id: object) -> FileRecord:
    """Check what a server says about a file.

    Args:
        path: For the message.
        size: Bytes.
        sha256: LFS object id, or None for a file that git itself holds.
        blob_id: Git object id.

    Raises:
        RemoteError: The size or the SHA-256 can not be one.
    """
    if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= _MOST_BYTES:
        raise RemoteError(f"the Hub gives {shorten(path)!r} the size {size!r:.40}")
    if sha256 is not None:
        text = str(sha256).lower()
        if not _SHA256.fullmatch(text):
            raise RemoteError(f"the Hub gives {shorten(path)!r} the SHA-256 {shorten(text)!r}")
        return FileRecord(size, Digest(DigestKind.SHA256, text))
    blob = str(blob_id).lower()
    return FileRecord(size, Digest(DigestKind.GIT_BLOB, blob) if _COMMIT.fullmatch(blob) else None)


class Access(StrEnum):
    """Whether the files of a repo may be fetched."""

    OPEN = "open"
    GRANTED = "granted"
    """Gated, and the token that was given opens it."""
    REFUSED = "refused"
    """Gated, and there was no token, or it does not open it."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Why nothing can be known of a revision, as told by the Hub."""

    state: RemoteState
    text: str
    hint: str | None = None


@dataclass(frozen=True, slots=True)
class RevisionRecord:
    """What a revision of a repo was, when we last asked.

    Attributes:
        commit: Commit id, or None if there was a problem.
        checked_at: Unix time in seconds; for a revision that is itself a commit it does not matter.
        access: Whether its files may be fetched.
        now_called: The repo's present name, if it was renamed.
        problem: Why there is no commit.
        with_token: Whether a token was sent when it was asked.
        row: Key of the commit in the cache, 0 if it is not stored.
    """

    commit: str | None
    checked_at: float
    access: Access = Access.OPEN
    now_called: str | None = None
    problem: Problem | None = None
    with_token: bool = False
    row: int = 0


RevisionKey = tuple[str, str]
"""``(repo, revision)``."""


def revision_key(repo: str, revision: str | None) -> RevisionKey:
    """Return the key of a revision; without one the default branch is meant."""
    return repo, revision or "main"


@dataclass(frozen=True, slots=True)
class RepoReport:
    """What one question about one revision of a repo brought.

    Attributes:
        key: Which revision.
        revision: Its state now.
        files: Files of the commit, by path; missing ones too.
        folders: Folders of the commit whose listing in ``files`` is complete; ``""`` is the whole repo.
    """

    key: RevisionKey
    revision: RevisionRecord
    files: Mapping[str, FileRecord] = field(default_factory=dict)
    folders: frozenset[str] = frozenset()
