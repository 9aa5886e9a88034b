"""The repos of the loopback Hub: commits, branches, gates, renames. Knows no HTTP."""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass, field

from wangp_downloader.demo.hub_content import Content


@dataclass(slots=True)
class Commit:
    """One state of a repo; ``seen`` once a client was told of it, after which it never changes."""

    sha: str
    files: dict[str, Content]
    seen: bool = False


@dataclass(slots=True)
class Repo:
    """One repo.

    Attributes:
        name: ``org/name``.
        commits: All commits by id.
        branches: Branch name → commit id.
        gate_token: The token that opens it, or None if it is open.
        hidden: True if a gated repo refuses its metadata too (else only its files).
        private: True if it looks like a missing repo without the token.
        disabled: True if the Hub has taken it down.
    """

    name: str
    commits: dict[str, Commit] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    gate_token: str | None = None
    hidden: bool = False
    private: bool = False
    disabled: bool = False

    def find(self, revision: str) -> Commit | None:
        """Return the commit that a branch name or commit id means, marking it as seen."""
        commit = self.commits.get(self.branches.get(revision, revision))
        if commit is not None:
            commit.seen = True
        return commit

    def put(self, path: str, content: Content | None, branch: str, *, fresh: bool) -> None:
        """Set (or, with None, remove) a file; in a new commit if ``fresh`` or if clients know the head."""
        head = self.commits.get(self.branches.get(branch, ""))
        if head is None or head.seen or fresh:
            head = self._new_commit(branch, dict(head.files) if head else {})
        if content is None:
            head.files.pop(path, None)
        else:
            head.files[path] = content

    def _new_commit(self, branch: str, files: dict[str, Content]) -> Commit:
        seed = f"{self.name}\0{branch}\0{len(self.commits)}".encode()
        commit = Commit(hashlib.sha1(seed, usedforsecurity=False).hexdigest(), files)
        self.commits[commit.sha] = commit
        self.branches[branch] = commit.sha
        return commit


class Repos:
    """All repos of one Hub; thread-safe."""

    def __init__(self) -> None:
        self._repos: dict[str, Repo] = {}
        self._renames: dict[str, str] = {}
        self._lock = threading.RLock()

    def get(self, name: str) -> Repo | None:
        """Return the repo of this name, or None."""
        with self._lock:
            return self._repos.get(name)

    def require(self, name: str) -> Repo:
        """Return the repo of this name, made empty if it is new."""
        with self._lock:
            return self._repos.setdefault(name, Repo(name))

    def names(self) -> list[str]:
        """Return all names."""
        with self._lock:
            return sorted(self._repos)

    def put(
        self, name: str, path: str, content: Content | None, *, branch: str = "main", fresh: bool = False
    ) -> None:
        """Set or remove a file; see :meth:`Repo.put`."""
        with self._lock:
            self.require(name).put(path, content, branch, fresh=fresh)

    def find(self, name: str, revision: str) -> Commit | None:
        """Return the commit that a revision of a repo means, or None."""
        with self._lock:
            repo = self._repos.get(name)
            return repo.find(revision) if repo else None

    def rename(self, old: str, new: str) -> None:
        """Give a repo another name; the old one redirects."""
        with self._lock:
            repo = self._repos.pop(old)
            repo.name = new
            self._repos[new] = repo
            self._renames[old] = new

    def renamed(self, name: str) -> str | None:
        """Return the name that ``name`` redirects to, or None."""
        with self._lock:
            return None if name in self._repos else self._renames.get(name)

    def remove(self, name: str) -> None:
        """Delete a repo."""
        with self._lock:
            self._repos.pop(name, None)
