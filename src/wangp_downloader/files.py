"""The value types that all rooms share: what is wanted, what is known of it, where it is, what to do.

Everything here is frozen and knows no room: no I/O, no HTTP, no SQL. Paths that came from outside stay
``str`` until :mod:`wangp_downloader.paths` has made them safe.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

SHARED_MODEL = "*"
"""The model id of rows that every model needs (Wan2GP's shared set)."""


class Role(StrEnum):
    """What Wan2GP uses a file for."""

    TRANSFORMER = "transformer"
    TRANSFORMER2 = "transformer2"
    MODULE = "module"
    TEXT_ENCODER = "text_encoder"
    VAE = "vae"
    LORA = "lora"
    PRELOAD = "preload"
    COMPONENT = "component"
    SHARED = "shared"


class Evidence(StrEnum):
    """How the content of a path is known, strongest first."""

    COMPUTED = "computed"
    """We hashed it, and its stat has not changed since."""
    RECORDED = "recorded"
    """Another program recorded the hash, and size and mtime agree with the record."""
    NAMED = "named"
    """The path itself carries the SHA-256, and the size agrees."""
    GUESSED = "guessed"
    """Only name and size agree. Never enough to link."""


class Action(StrEnum):
    """What the plan does about one file."""

    KEEP = "keep"
    LINK = "link"
    DOWNLOAD = "download"
    BLOCKED = "blocked"
    CONFLICT = "conflict"


class Outcome(StrEnum):
    """What became of one file."""

    KEPT = "kept"
    LINKED = "linked"
    DOWNLOADED = "downloaded"
    FAILED = "failed"
    SKIPPED = "skipped"


class DigestKind(StrEnum):
    """Which hash a digest is."""

    SHA256 = "sha256"
    """Of the content: LFS and Xet files."""
    GIT_BLOB = "git-sha1"
    """SHA-1 of ``"blob <size>\\0" + content``: small git files."""


@dataclass(frozen=True, slots=True)
class Digest:
    """The identity of a file's content.

    Attributes:
        kind: Which hash.
        hex: Lowercase hexadecimal, 64 characters for SHA-256, 40 for a git blob id.
    """

    kind: DigestKind
    hex: str

    def __str__(self) -> str:
        return f"{self.kind.value}:{self.hex}"


@dataclass(frozen=True, slots=True, order=True)
class RemoteFile:
    """A file on a remote service, named but not yet asked about.

    Attributes:
        url: The URL as Wan2GP names it, without a ``|folder`` suffix. May hold secrets in its query
            string if it is not a Hub URL: show it only through :func:`wangp_downloader.paths.redact_url`.
        repo: ``org/name`` on the Hub, or None for any other host.
        revision: Branch, tag or commit, or None for any other host.
        path: Path inside the repo, with ``/``; for other hosts the last part of the URL's path.
    """

    url: str
    repo: str | None
    revision: str | None
    path: str

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition("/")[2]


class RemoteState(StrEnum):
    """What the remote service has told us about a file."""

    KNOWN = "known"
    UNKNOWN = "unknown"
    """Never asked, or asked and not answered yet."""
    GATED = "gated"
    MISSING = "missing"
    OFFLINE = "offline"
    """Not known from earlier, and the service can not be asked now."""
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class RemoteAnswer:
    """Metadata of one remote file, or why there is none.

    Attributes:
        state: Whether the rest is filled in.
        size: Bytes, or None if unknown.
        digest: SHA-256 (LFS) or git blob id; None where the service gives no hash.
        commit: The commit that the revision pointed to when we asked (Hub only).
        stale: True if older than asked for, because the service could not be reached.
        problem: Why the file can not be had, one sentence, for states other than KNOWN.
        hint: What the person can do about it.
    """

    state: RemoteState
    size: int | None = None
    digest: Digest | None = None
    commit: str | None = None
    stale: bool = False
    problem: str | None = None
    hint: str | None = None


@dataclass(frozen=True, slots=True)
class RemoteFolder:
    """All files below one folder of a repo, to be listed by the remote room.

    Attributes:
        repo: ``org/name``.
        revision: Branch, tag or commit.
        path: Folder inside the repo, no slash at the end.
    """

    repo: str
    revision: str
    path: str


@dataclass(frozen=True, slots=True)
class Requirement:
    """One file that one model makes Wan2GP open.

    Attributes:
        model: Definition id, or ``SHARED_MODEL``.
        role: What Wan2GP uses it for.
        remote: Where it can be fetched; None if the definition names a local path, which is never fetched.
        target: Where it belongs: relative to the Wan2GP directory with ``/``, or absolute if the user's
            checkpoint path is.
        also_at: Other places, same form as ``target``, where Wan2GP would find it, in its search order.
        required: True if Wan2GP's current settings pick this file.
        choice: Which choice this file is a variant of: equal for all files that could fill the same place.
        pair: Target of the file used together with this one (high noise ↔ low noise), or None.
        origin: Where the need comes from, for people (``URLs of t2v_2_2``).
        folder: The folder whose listing gives the files, for a component named by folder; ``remote`` is
            then None and ``target`` is the folder.
        group: Name of the optional group (accelerator profile, configuration) it belongs to, or empty.
    """

    model: str
    role: Role
    remote: RemoteFile | None
    target: str
    also_at: tuple[str, ...] = ()
    required: bool = True
    choice: str = ""
    pair: str | None = None
    origin: str = ""
    folder: RemoteFolder | None = None
    group: str = ""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Content looked for on this machine.

    Attributes:
        digest: What its bytes must hash to.
        size: Bytes.
        names: File names it goes by, to order candidates.
        urls: URLs it can be fetched from, to find other programs' records of it.
    """

    digest: Digest
    size: int
    names: frozenset[str] = frozenset()
    urls: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class LocalCopy:
    """A file on this machine that holds wanted content.

    Attributes:
        store: Name of the store it is in (``hub``, ``hf-cache``, ``invokeai``, …).
        path: Absolute path.
        evidence: How the content is known.
    """

    store: str
    path: str
    evidence: Evidence


class TargetKind(StrEnum):
    """What stands at a path where Wan2GP would look."""

    ABSENT = "absent"
    FILE = "file"
    LINK = "link"
    """A symbolic link that leads to a regular file."""
    BROKEN_LINK = "broken_link"
    OTHER = "other"
    """A folder, a device, a link to a folder."""


@dataclass(frozen=True, slots=True)
class TargetState:
    """What stands at one path, and what is known of its content.

    Attributes:
        path: Absolute path.
        kind: What it is.
        size: Bytes of the file, behind the link if it is one.
        matches: True if its content is the wanted content, False if it is proven to differ (size or
            hash), None if that is not known.
        evidence: How we know, where ``matches`` is True.
        link_to: Where a link leads, as written in the link.
    """

    path: str
    kind: TargetKind
    size: int | None = None
    matches: bool | None = None
    evidence: Evidence | None = None
    link_to: str | None = None


@dataclass(frozen=True, slots=True)
class PlannedFile:
    """One row of the plan: a file, once, for all models that need it.

    Attributes:
        target: As in :class:`Requirement`.
        path: Where Wan2GP finds the file, or would: in the same form as ``target``.
        remote: Where it can be fetched, or None for a local-only file.
        size: Bytes, or None if unknown.
        digest: Content identity, or None if unknown.
        models: Ids of the models; those that require it if ``required``, else those it is a variant for.
        roles: What they use it for.
        required: True if Wan2GP's current settings pick this file for one of ``models``.
        selected: True if the request asks for it: required, or asked for by variant or pattern.
        pair: Target of its high/low noise partner, or None.
        action: What to do.
        reason: Why, for people.
        hint: What the person can do about a blocked file or a conflict.
        source: The local copy to link to, where ``action`` is LINK.
        origins: Where the need comes from, for people.
        choices: The choices that it is a variant of.
        link_to: Where the link at ``path`` leads, if a link stands there.
        blocked: What the remote service says of it, where that is why ``action`` is BLOCKED.
        compared: True if its hash was computed, now or before from the same bytes, and is the published one.
    """

    target: str
    path: str
    remote: RemoteFile | None
    size: int | None
    digest: Digest | None
    models: tuple[str, ...]
    roles: tuple[Role, ...]
    required: bool
    selected: bool
    pair: str | None
    action: Action
    reason: str
    hint: str | None = None
    source: LocalCopy | None = None
    origins: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    link_to: str | None = None
    blocked: RemoteState | None = None
    compared: bool = False


@dataclass(frozen=True, slots=True)
class FileResult:
    """What became of one planned file.

    Attributes:
        file: The row of the plan.
        outcome: What happened.
        error: What went wrong, where ``outcome`` is FAILED; otherwise why it was skipped, or None.
        hint: What the person can do about it.
        verified: True if the bytes were compared with the remote digest.
        bytes_fetched: Bytes that came over the network for it, this time.
    """

    file: PlannedFile
    outcome: Outcome
    error: str | None = None
    hint: str | None = None
    verified: bool = False
    bytes_fetched: int = 0


@dataclass(frozen=True, slots=True)
class DiskNeed:
    """Space that a plan needs on one file system.

    Attributes:
        path: A folder on that file system, for people.
        needed: Bytes still to be written.
        free: Bytes free for us.
    """

    path: str
    needed: int
    free: int

    @property
    def missing(self) -> int:
        """Bytes too few, 0 if it fits."""
        return max(0, self.needed - self.free)


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do, a row a file, in the order of the catalog.

    Attributes:
        files: The rows.
        disk: Space needed by the selected downloads, one entry a file system.
        warnings: What the person should know: broken definitions, unknown components, stale metadata.
    """

    files: tuple[PlannedFile, ...]
    disk: tuple[DiskNeed, ...] = ()
    warnings: tuple[str, ...] = field(default=())
