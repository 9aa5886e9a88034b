"""Every error that this program raises on purpose.

Owns the tree below; a class says *what* failed, its attributes say *what to do*. Foreign exceptions are
mapped to these in one table at each boundary (``remote/``, ``transfer/``, ``database.py``, ``settings.py``).

    DownloaderError
    ├── UsageError              the command line asks for something that is not there
    ├── SettingsError           a configuration file, key or value
    ├── CatalogError            Wan2GP's own definitions
    │   └── UnsafePathError     a name that leads outside where it may lead
    ├── RemoteError             what the Hugging Face Hub (or another host) answered
    │   ├── GatedError          a licence must be accepted, or a token given
    │   ├── NotFoundError       repo, revision or file is not there
    │   ├── OfflineError        the network is down or not allowed
    │   └── RateLimitedError    asked too often; says when to come back
    ├── TransferError           bytes did not arrive
    ├── IntegrityError          bytes arrived, but are not those that were asked for
    ├── LinkError               a link could not be made
    ├── StorageError            the disk: full, read-only, permission
    ├── DatabaseError           our own SQLite files
    └── CancelledError          the user said stop
"""

from __future__ import annotations


class DownloaderError(Exception):
    """Root of all errors raised on purpose.

    Args:
        message: What happened, to which file or value.
        hint: What the person can do about it, one sentence, or None.

    Attributes:
        retryable: True if the same attempt may succeed later without anyone changing anything.
        retry_after_s: Seconds that the other side asked us to wait, or None.
        exit_code: The process's exit code if this error ends it.
    """

    retryable: bool = False
    retry_after_s: float | None = None
    exit_code: int = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(DownloaderError):
    """The request names something that does not exist: a model, a pattern, a variant."""

    exit_code = 2


class SettingsError(DownloaderError):
    """A configuration file, key, value, environment variable or option is wrong."""

    exit_code = 2


class CatalogError(DownloaderError):
    """A model definition can not be read or makes no sense."""


class UnsafePathError(CatalogError):
    """A name from outside (definition, URL, database) leads out of the folders it may lead to."""


class RemoteError(DownloaderError):
    """The remote service answered with something that is not the file or its metadata."""


class GatedError(RemoteError):
    """The repo is gated: its licence must be accepted on its page and a token must be given."""


class NotFoundError(RemoteError):
    """The repo, the revision or the file does not exist on the remote service."""


class OfflineError(RemoteError):
    """The remote service can not be reached, or the user asked us not to."""

    retryable = True


class RateLimitedError(RemoteError):
    """The remote service asked us to slow down."""

    retryable = True

    def __init__(self, message: str, *, retry_after_s: float | None = None, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.retry_after_s = retry_after_s


class TransferError(DownloaderError):
    """A download broke; ``retryable`` says whether trying again can help."""

    def __init__(
        self,
        message: str,
        *,
        retryable: bool = False,
        retry_after_s: float | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.retryable = retryable
        self.retry_after_s = retry_after_s


class IntegrityError(DownloaderError):
    """The bytes that arrived are not those that the remote metadata promised."""


class LinkError(DownloaderError):
    """A link could not be made, or making it would harm a file."""


class StorageError(DownloaderError):
    """The disk refuses: full, quota, read-only, no permission. Never retried."""


class DatabaseError(DownloaderError):
    """One of our own SQLite files can not be used."""


class CancelledError(DownloaderError):
    """The user asked to stop; what arrived so far is kept for the next time."""

    exit_code = 130

    def __init__(self, message: str = "stopped by the user", *, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
