"""The one table that maps what ``huggingface_hub`` and its HTTP library raise to our errors.

Classes are named, not imported: the package takes 0.4 s to import, and its HTTP library is ``httpx`` in
version 1 and ``httpx2`` in version 2. A test goes through every exception that those packages document.
Sources: ``huggingface_hub/errors.py`` and ``utils/_http.py``, httpx ``_exceptions.py``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Protocol

from wangp_downloader.errors import (
    DownloaderError,
    GatedError,
    NotFoundError,
    OfflineError,
    RateLimitedError,
    RemoteError,
)
from wangp_downloader.http_waits import wait_asked
from wangp_downloader.paths import shorten


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked about, for messages.

    Attributes:
        what: Repo id, or host name.
        endpoint: The Hub's URL, for links.
        revision: Branch, tag or commit.
        has_token: True if a token was sent along.
    """

    what: str
    endpoint: str = ""
    revision: str = "main"
    has_token: bool = False


class TransientError(RemoteError):
    """The server is in trouble; the same request may work in a moment."""

    retryable = True

    def __init__(self, message: str, *, retry_after_s: float | None = None, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.retry_after_s = retry_after_s


class UnreachableError(OfflineError):
    """Not even a connection came about: no network, no such host, nobody listens, no way through a proxy."""


class Kind(Enum):
    """What a foreign exception means to us."""

    GATED = auto()
    NO_REPO = auto()
    NO_REVISION = auto()
    NO_FILE = auto()
    DISABLED = auto()
    BY_STATUS = auto()
    """Look at the HTTP status of the answer."""
    OFFLINE = auto()
    UNREACHABLE = auto()
    NONSENSE = auto()
    """The answer, or our own request, breaks the protocol."""
    BAD_NAME = auto()
    BAD_TOKEN = auto()
    NOT_OURS = auto()
    """Raised by parts of the package that this program does not call."""


_NOT_CALLED = (
    "CacheNotFound CorruptedCacheException CachedRepoTreeNotFoundError DeviceCodeError "
    "InferenceTimeoutError InferenceEndpointError InferenceEndpointTimeoutError SafetensorsParsingError "
    "NotASafetensorsRepoError TextGenerationError ValidationError GenerationError OverloadedError "
    "IncompleteGenerationError UnknownError HfUriError DryRunError BucketBatchError DDUFError "
    "DDUFCorruptedFileError DDUFExportError DDUFInvalidEntryNameError StrictDataclassError "
    "StrictDataclassDefinitionError StrictDataclassFieldValidationError "
    "StrictDataclassClassValidationError XetDownloadError XetError XetAuthorizationError "
    "XetRefreshTokenError FileDuplicationError CLIError ConfirmationError CLIExtensionInstallError "
    "SandboxError SandboxCommandError IncompleteSnapshotError LocalEntryNotFoundError FileMetadataError "
    "RevisionResolutionError JobNotFoundError BucketNotFoundError CookieConflict StreamError "
    "StreamConsumed StreamClosed ResponseNotRead RequestNotRead"
).split()

TABLE: Mapping[str, Kind] = {
    # huggingface_hub.errors
    "GatedRepoError": Kind.GATED,
    "RepositoryNotFoundError": Kind.NO_REPO,
    "RevisionNotFoundError": Kind.NO_REVISION,
    "RemoteEntryNotFoundError": Kind.NO_FILE,
    "EntryNotFoundError": Kind.NO_FILE,
    "DisabledRepoError": Kind.DISABLED,
    "BadRequestError": Kind.BY_STATUS,
    "HfHubHTTPError": Kind.BY_STATUS,
    "OfflineModeIsEnabled": Kind.OFFLINE,
    "HFValidationError": Kind.BAD_NAME,
    "LocalTokenNotFoundError": Kind.BAD_TOKEN,
    "OIDCError": Kind.BAD_TOKEN,
    # httpx
    "HTTPStatusError": Kind.BY_STATUS,
    "ConnectError": Kind.UNREACHABLE,
    "ConnectTimeout": Kind.UNREACHABLE,
    "ProxyError": Kind.UNREACHABLE,
    "TimeoutException": Kind.OFFLINE,
    "NetworkError": Kind.OFFLINE,
    "RemoteProtocolError": Kind.OFFLINE,
    "LocalProtocolError": Kind.BAD_TOKEN,
    "UnsupportedProtocol": Kind.NONSENSE,
    "TooManyRedirects": Kind.NONSENSE,
    "DecodingError": Kind.NONSENSE,
    "InvalidURL": Kind.NONSENSE,
    "HTTPError": Kind.OFFLINE,
    # reading an answer that is not what the API documents
    "JSONDecodeError": Kind.NONSENSE,
    "LookupError": Kind.NONSENSE,
    "TypeError": Kind.NONSENSE,
    "AttributeError": Kind.NONSENSE,
    "ValueError": Kind.NONSENSE,
    "RecursionError": Kind.NONSENSE,
    "OSError": Kind.OFFLINE,
    **dict.fromkeys(_NOT_CALLED, Kind.NOT_OURS),
}
"""Class name → meaning. The first name in an exception's method resolution order decides."""


def kind_of(error: type[BaseException]) -> Kind | None:
    """Return what an exception class means, by itself or by its nearest base, or None if nothing is known."""
    return next((TABLE[base.__name__] for base in error.__mro__ if base.__name__ in TABLE), None)


def translate(error: BaseException, asked: Asked) -> DownloaderError:
    """Return our error for a foreign one; one of ours is returned as it is.

    Args:
        error: What was raised.
        asked: What we had asked about.
    """
    if isinstance(error, DownloaderError):
        return error
    kind = kind_of(type(error))
    if kind is None or kind is Kind.NOT_OURS:
        return RemoteError(f"asking about {asked.what} failed: {_reason(error)}")
    return _MAKERS[kind](error, asked)


def page_hint(asked: Asked) -> str:
    """Return what a person does about a gated repo."""
    page = f"{asked.endpoint}/{asked.what}"
    if asked.has_token:
        return f"accept the licence on {page} with the account that the token belongs to, then try again"
    return f"accept the licence on {page}, then give a token: run `hf auth login` or set HF_TOKEN"


def gated_error(asked: Asked) -> GatedError:
    """Return the error for a repo whose licence has to be accepted."""
    suffix = ", and the token that is set has no access to it" if asked.has_token else ""
    return GatedError(f"{asked.what} is gated{suffix}", hint=page_hint(asked))


def _no_repo(error: BaseException, asked: Asked) -> DownloaderError:
    if asked.has_token:
        text = f"{asked.what} does not exist at {asked.endpoint}, or is private and not open to the token"
        return NotFoundError(text, hint=f"look at {asked.endpoint}/{asked.what}")
    hint = "if it is private, give a token: run `hf auth login` or set HF_TOKEN"
    return NotFoundError(f"{asked.what} does not exist at {asked.endpoint}, or is private", hint=hint)


def _no_revision(error: BaseException, asked: Asked) -> DownloaderError:
    return NotFoundError(f"{asked.what} has no revision {shorten(asked.revision)!r}")


def _no_file(error: BaseException, asked: Asked) -> DownloaderError:
    return NotFoundError(f"{asked.what} has no such file or folder at revision {shorten(asked.revision)!r}")


def _disabled(error: BaseException, asked: Asked) -> DownloaderError:
    return NotFoundError(f"{asked.what} was disabled by the Hub", hint=f"see {asked.endpoint}/{asked.what}")


def _offline(error: BaseException, asked: Asked) -> DownloaderError:
    return OfflineError(
        f"no answer about {asked.what}: {_reason(error)}",
        hint="try again later, or use --offline to work with what is known",
    )


def _unreachable(error: BaseException, asked: Asked) -> DownloaderError:
    reason = _reason(error)
    hint = "check the network, the proxy settings and the endpoint; --offline works with what is known"
    if "CERTIFICATE" in reason.upper():
        hint = "if a proxy re-signs the traffic, set SSL_CERT_FILE to its certificate"
    return UnreachableError(f"can not reach {asked.endpoint or asked.what}: {reason}", hint=hint)


def _nonsense(error: BaseException, asked: Asked) -> DownloaderError:
    return RemoteError(
        f"the answer about {asked.what} makes no sense: {_reason(error)}",
        hint=f"check that {asked.endpoint} is a Hugging Face Hub or a mirror of it",
    )


def _bad_name(error: BaseException, asked: Asked) -> DownloaderError:
    return NotFoundError(f"{shorten(asked.what)!r} can not be the name of a repo")


def _bad_token(error: BaseException, asked: Asked) -> DownloaderError:
    # The message of the HTTP library may quote the header, and with it the token.
    return RemoteError(
        f"the request about {asked.what} can not be made: the access token is unusable",
        hint="give another one: run `hf auth login` or set HF_TOKEN",
    )


def _by_status(error: BaseException, asked: Asked) -> DownloaderError:
    response = getattr(error, "response", None)
    status = int(getattr(response, "status_code", 0))
    return error_for_status(status, lowercase(getattr(response, "headers", {})), asked)


class Headers(Protocol):
    """Headers as any HTTP library has them."""

    def items(self) -> Iterable[tuple[str, str]]:
        """Return names and values."""


def lowercase(headers: Headers) -> dict[str, str]:
    """Return headers with lowercase names: they are not case-sensitive (RFC 9110 section 5.1)."""
    return {name.lower(): value for name, value in headers.items()}


def error_for_status(status: int, headers: Mapping[str, str], asked: Asked) -> DownloaderError:
    """Return our error for an HTTP status of 400 or more.

    Args:
        status: The HTTP status.
        headers: The answer's headers, names in lowercase.
        asked: What we had asked about.
    """
    if status == 401 and "credentials" in headers.get("x-error-message", ""):
        return GatedError(
            f"{asked.endpoint or asked.what} refuses the access token",
            hint="give a valid one: run `hf auth login` or set HF_TOKEN",
        )
    if status in (401, 403) and not asked.endpoint:
        return GatedError(
            f"{asked.what} refuses access", hint="its site may want a login, or a token in the URL"
        )
    if status == 403:
        return _forbidden(headers, asked)
    if status in (401, 404, 410):
        return (
            _no_repo(ValueError(), asked)
            if asked.endpoint
            else NotFoundError(f"{asked.what} has no such file")
        )
    if status == 429:
        return _rate_limited(headers, asked)
    if status in (408, 425) or status >= 500:
        wait_s = wait_asked(headers)
        when = "later" if wait_s is None else f"in {wait_s:.0f} seconds"
        return TransientError(
            f"{asked.endpoint or asked.what} answered {status}",
            retry_after_s=wait_s,
            hint=f"try again {when}",
        )
    return RemoteError(f"asked about {asked.what}, {asked.endpoint or 'the host'} answered {status}")


def _forbidden(headers: Mapping[str, str], asked: Asked) -> DownloaderError:
    """Return what a 403 to a question of the Hub's API means: only the Hub itself knows of licences."""
    if headers.get("x-error-code") == "GatedRepo":
        return gated_error(asked)
    if said := " ".join(headers.get("x-error-message", "").split()):
        return GatedError(
            f"{asked.endpoint} refuses access to {asked.what}: {shorten(said, 200)}",
            hint="look at what the token may do, or give another one: run `hf auth login` or set HF_TOKEN",
        )
    return RemoteError(
        f"access to {asked.what} is refused by {asked.endpoint}, or by a proxy or firewall in between (403)",
        hint="open the address in a browser on this machine; --offline works with what is known",
    )


def _rate_limited(headers: Mapping[str, str], asked: Asked) -> RateLimitedError:
    wait_s = wait_asked(headers)
    when = "in a few minutes" if wait_s is None else f"in {wait_s:.0f} seconds"
    token_hint = (
        ""
        if asked.has_token or not asked.endpoint
        else "; with a token (`hf auth login`) the limits are higher"
    )
    return RateLimitedError(
        f"{asked.endpoint or asked.what} asks us to slow down: too many requests",
        retry_after_s=wait_s,
        hint=f"try again {when}{token_hint}",
    )


def _reason(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return shorten(re.sub(r"\?[^\s'\"]*", "", text) or type(error).__name__, 200)


_MAKERS: Mapping[Kind, Callable[[BaseException, Asked], DownloaderError]] = {
    Kind.GATED: lambda error, asked: gated_error(asked),
    Kind.NO_REPO: _no_repo,
    Kind.NO_REVISION: _no_revision,
    Kind.NO_FILE: _no_file,
    Kind.DISABLED: _disabled,
    Kind.BY_STATUS: _by_status,
    Kind.OFFLINE: _offline,
    Kind.UNREACHABLE: _unreachable,
    Kind.NONSENSE: _nonsense,
    Kind.BAD_NAME: _bad_name,
    Kind.BAD_TOKEN: _bad_token,
}
