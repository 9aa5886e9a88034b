"""What an HTTP answer means for the range that was asked for: one table, pure functions.

Sources: RFC 9110 (ranges: section 14, statuses: section 15) and, for the Hub's own headers,
``huggingface_hub``'s ``utils/_http.py`` (``hf_raise_for_status``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from wangp_downloader.errors import (
    DownloaderError,
    GatedError,
    NotFoundError,
    RateLimitedError,
    RemoteError,
    TransferError,
)
from wangp_downloader.http_waits import wait_asked
from wangp_downloader.transfer.headers import differs, lacks, parse_content_range, parse_length

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_RETRYABLE = frozenset({408, 425, 429, *range(500, 600)} - {501, 505})
_PAGE_HINT = "the site may want a login or a token"
_MAYBE_EXPIRED = frozenset({400, 401, 403, 404, 410})


class Meaning(StrEnum):
    """What to do with an answer."""

    BODY = "body"
    """The body is what was asked for: take it."""
    REDIRECT = "redirect"
    RESOLVE_AGAIN = "resolve again"
    """A signed URL that has expired: ask the origin for another."""
    ONE_STREAM = "one stream"
    """The server does not do ranges: fetch the whole file by one request, from zero."""
    CHANGED = "changed"
    """It is another content than the one that was begun."""
    RETRY = "retry"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Asked:
    """The request that an answer belongs to.

    Attributes:
        url: Where it went, redacted.
        start: First byte asked for.
        end: Byte after the last one asked for, or None where no range was asked for.
        size: Bytes of the whole file if known.
        at_origin: True if it went to the request's own URL, not to what that redirected to.
        with_token: True if a token was sent.
        etag: Validator of the answers so far, where there is no digest to rely on; else None.
        provable: True if a digest will tell whether the content is the right one.
    """

    url: str
    start: int
    end: int | None
    size: int | None
    at_origin: bool = True
    with_token: bool = False
    etag: str | None = None
    provable: bool = True


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an answer means.

    Attributes:
        meaning: What to do.
        total: Bytes of the whole file, as far as the answer says.
        end: Byte after the last one that the body brings, if the answer says so.
        error: The reason, for RETRY, FAIL, CHANGED, RESOLVE_AGAIN and ONE_STREAM.
        location: Where to go, for REDIRECT.
    """

    meaning: Meaning
    total: int | None = None
    end: int | None = None
    error: DownloaderError | None = None
    location: str | None = None


def judge(status: int, headers: Mapping[str, str], asked: Asked) -> Verdict:
    """Return what an answer means.

    Args:
        status: HTTP status, not 1xx.
        headers: Names in lowercase.
        asked: What it answers.
    """
    if status in _REDIRECTS:
        location = headers.get("location")
        if not location:
            return _fail(f"{asked.url} redirects ({status}) to nowhere")
        return Verdict(Meaning.REDIRECT, location=location)
    if status in {200, 206}:
        encoding = headers.get("content-encoding", "identity").strip().lower()
        if encoding not in {"", "identity"}:
            return _fail(f"{asked.url} sent the file {encoding}-encoded, although that was ruled out")
        return _whole(headers, asked) if status == 200 else _part(headers, asked)
    if status == 416:
        return _unsatisfiable(headers, asked)
    # A refusal in the Hub's own words is one, also after a redirect to a renamed repo.
    if status in _MAYBE_EXPIRED and not asked.at_origin and "x-error-code" not in headers:
        error = TransferError(f"{asked.url} answered {status}", retryable=True)
        return Verdict(Meaning.RESOLVE_AGAIN, error=error)
    if status in _RETRYABLE:
        return Verdict(Meaning.RETRY, error=_busy(status, headers, asked))
    return Verdict(Meaning.FAIL, error=_refusal(status, headers, asked))


def _fail(message: str, hint: str | None = None) -> Verdict:
    return Verdict(Meaning.FAIL, error=TransferError(message, hint=hint))


def _changed(asked: Asked, total: int) -> Verdict:
    return Verdict(
        Meaning.CHANGED,
        total=total,
        error=TransferError(
            f"{asked.url} has {total:,} bytes now, {asked.size or 0:,} were expected: the content has changed",
            hint="refresh the metadata (`wangp-dl cache reset`) and plan again",
        ),
    )


def _other_version(headers: Mapping[str, str], asked: Asked) -> Verdict | None:
    if not differs(asked.etag, headers):
        return None
    error = TransferError(f"{asked.url} was replaced while it was being fetched", retryable=True)
    return Verdict(Meaning.CHANGED, error=error)


def _whole(headers: Mapping[str, str], asked: Asked) -> Verdict:
    total = parse_length(headers.get("content-length"))
    if asked.size is not None and _is_page(headers) and not (asked.provable and total == asked.size):
        return _page(asked)
    if total is not None and asked.size is not None and total != asked.size:
        return _changed(asked, total)
    if asked.size is None and _is_page(headers):
        return _fail(f"{asked.url} answered with a web page, not a file", _PAGE_HINT)
    other = _other_version(headers, asked)
    if other is not None:
        return other
    if asked.start > 0:
        error = TransferError(f"{asked.url} does not serve ranges", retryable=True)
        return Verdict(Meaning.ONE_STREAM, total=total, error=error)
    return Verdict(Meaning.BODY, total=total, end=total)


def _page(asked: Asked) -> Verdict:
    # A network that wants a login answers for everybody; it may be given one meanwhile.
    error = TransferError(
        f"{asked.url} answered with a web page, not the file", retryable=True, hint=_PAGE_HINT
    )
    return Verdict(Meaning.RETRY, error=error)


def _is_page(headers: Mapping[str, str]) -> bool:
    # Download scripts that name no type get that of pages from their server; they name an attachment.
    attached = headers.get("content-disposition", "").lower().startswith("attachment")
    return headers.get("content-type", "").lower().startswith("text/html") and not attached


def _part(headers: Mapping[str, str], asked: Asked) -> Verdict:
    if _is_page(headers) and not asked.provable:
        return _page(asked)
    given = parse_content_range(headers.get("content-range"))
    if given is None or given.start is None or given.end is None or asked.end is None:
        said = headers.get("content-range", "no Content-Range")
        error = TransferError(
            f"{asked.url} answered a range without saying which ({said[:80]})", retryable=True
        )
        return Verdict(Meaning.ONE_STREAM, error=error)
    if given.total is not None and asked.size is not None and given.total != asked.size:
        return _changed(asked, given.total)
    if given.start != asked.start:
        error = TransferError(
            f"{asked.url} answered bytes {given.start}-{given.end - 1},"
            f" {asked.start}-{asked.end - 1} were asked for",
            retryable=True,
        )
        return Verdict(Meaning.RETRY, error=error)
    if given.total is None and asked.size is None:
        error = TransferError(f"{asked.url} does not say how long the file is", retryable=True)
        return Verdict(Meaning.ONE_STREAM, error=error)
    if lacks(asked.etag, headers):
        error = TransferError(f"{asked.url} does not say any more which version it sends", retryable=True)
        return Verdict(Meaning.ONE_STREAM, error=error)
    # One that runs on is taken up to the end that was asked for.
    end = min(given.end, asked.end)
    return _other_version(headers, asked) or Verdict(Meaning.BODY, total=given.total, end=end)


def _unsatisfiable(headers: Mapping[str, str], asked: Asked) -> Verdict:
    given = parse_content_range(headers.get("content-range"))
    total = given.total if given else None
    if total is not None and asked.size is not None and total != asked.size:
        return _changed(asked, total)
    # An empty file has no range that could be asked for: ask without one.
    error = TransferError(f"{asked.url} refused the range from byte {asked.start} on", retryable=True)
    return Verdict(Meaning.ONE_STREAM, total=total, error=error)


def _busy(status: int, headers: Mapping[str, str], asked: Asked) -> DownloaderError:
    wait_s = wait_asked(headers)
    if status == 429:
        return RateLimitedError(f"{asked.url}: too many requests (429)", retry_after_s=wait_s)
    return TransferError(f"{asked.url} answered {status}", retryable=True, retry_after_s=wait_s)


def _refusal(status: int, headers: Mapping[str, str], asked: Asked) -> DownloaderError:
    code = headers.get("x-error-code", "")
    detail = headers.get("x-error-message", "")[:200]
    said = f"{asked.url} answered {status}" + (f" ({code or detail})" if code or detail else "")
    page = asked.url.partition("/resolve/")[0]
    if status == 403 and not code:
        hub = "/resolve/" in asked.url
        licence = (
            f"if {page} asks to accept a licence, do so and give a token (`hf auth login` or HF_TOKEN); "
        )
        return GatedError(
            f"{said}: access is refused",
            hint=f"{licence}else a firewall or proxy on the way refuses it" if hub else _PAGE_HINT,
        )
    if code == "GatedRepo":
        return GatedError(
            f"{said}: access to it must be granted first",
            hint=f"accept the licence on {page}, then give a token (`hf auth login` or HF_TOKEN)",
        )
    if code in {"RepoNotFound", "RevisionNotFound", "EntryNotFound"} and asked.with_token:
        return NotFoundError(f"{said}: it is not there, or not for this token")
    if status == 401:
        return GatedError(
            f"{said}: it does not exist, or is only for people who are logged in",
            hint=f"check the name on {page}, or give a token (`hf auth login` or HF_TOKEN)",
        )
    if status in {404, 410} or code in {"RevisionNotFound", "EntryNotFound"}:
        return NotFoundError(f"{said}: it is not there")
    if status == 407:
        return TransferError(
            f"{said}: the proxy wants a login", hint="put user and password into HTTPS_PROXY"
        )
    return RemoteError(said)
