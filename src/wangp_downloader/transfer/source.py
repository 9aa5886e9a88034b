"""Where the bytes of one file come from: the address of the moment, redirects, ranges or one stream.

Owns what is known of the server. Decides nothing about retries and does no I/O.
"""

from __future__ import annotations

from collections.abc import Mapping

from wangp_downloader.errors import TransferError
from wangp_downloader.paths import redact_url
from wangp_downloader.transfer.answer import Asked, Meaning, Verdict, judge
from wangp_downloader.transfer.books import Books
from wangp_downloader.transfer.fetch import Fetch
from wangp_downloader.transfer.headers import validator
from wangp_downloader.transfer.redirect import MOST_HOPS, Origin, next_url
from wangp_downloader.transfer.request import TransferRequest
from wangp_downloader.units import format_duration

_PAGES = frozenset({".html", ".htm"})
_MOST_DOUBTS = 3
"""Answers without a usable range, one after the other, until a server that gave some is no longer asked for any."""


class Source:
    """What is known of the server of one file.

    Args:
        request: What is asked for.

    Attributes:
        resolved: True once it is known where the bytes are.
        one_stream: True if the server does not do ranges: the whole file comes by one request.
        fresh: True if new TCP connections are wanted, after wrong bytes.
    """

    def __init__(self, request: TransferRequest) -> None:
        self.one_stream = False
        self.fresh = False
        self._request = request
        self._url: str | None = None
        self._expired = 0
        self._range_doubts: int | None = None

    @property
    def resolved(self) -> bool:
        """True once it is known where the bytes are."""
        return self._url is not None

    @property
    def url(self) -> str:
        """Where the next range is to be asked for."""
        return self._url or self._request.url

    def token_for(self, url: str) -> str | None:
        """Return the token if ``url`` is at the origin that it belongs to."""
        token = self._request.token
        return token if token and Origin.of(url) == Origin.of(self._request.url) else None

    def forget_address(self) -> None:
        """Ask the origin again next time."""
        self._url = None

    def expired(self, fetch: Fetch) -> bool:
        """Note that an address was refused; return whether that has happened before without progress."""
        if fetch.url != self._url and self._url is not None:
            return False  # somebody has asked for a new address meanwhile
        self._url = None
        self._expired += 1
        return self._expired > 1

    def gives_ranges(self) -> bool:
        """Return whether an answer without a usable range is to be taken for a mistake: there were good ones before."""
        if self._range_doubts is None or self._range_doubts >= _MOST_DOUBTS:
            return False
        self._range_doubts += 1
        return True

    def works(self) -> None:
        """Note that bytes arrive."""
        self._expired = 0

    def judge(self, fetch: Fetch, books: Books, status: int, headers: Mapping[str, str]) -> Verdict:
        """Return what an answer means; for a body, its range and what it tells are noted.

        Raises:
            StorageError: The answer tells a size that the disk has no room for.
        """
        asked = Asked(
            url=redact_url(fetch.url),
            start=fetch.lease.start,
            end=fetch.asked_end,
            size=books.size,
            at_origin=fetch.hops == 0 and fetch.url == self._request.url,
            with_token=self.token_for(fetch.url) is not None,
            etag=books.etag if self._request.digest is None else None,
            provable=self._request.digest is not None or self._request.destination.suffix in _PAGES,
        )
        verdict = judge(status, headers, asked)
        if verdict.meaning is Meaning.BODY:
            return self._accept(fetch, verdict, books, headers)
        return verdict

    def _accept(self, fetch: Fetch, verdict: Verdict, books: Books, headers: Mapping[str, str]) -> Verdict:
        if books.size is None and verdict.total is not None:
            books.learn(verdict.total, validator(headers))
        elif books.etag is None:
            if self._request.digest is None and books.ledger.here.total and validator(headers) is not None:
                # What is here may be of another version: there is nothing to compare it with.
                error = TransferError(
                    f"{redact_url(fetch.url)} says only now which version it sends", retryable=True
                )
                return Verdict(Meaning.CHANGED, error=error)
            books.etag = validator(headers)
        lease = fetch.lease
        end = verdict.end if verdict.end is not None else books.ledger.end
        if fetch.asked_end is None:
            lease.end = end
        elif end > fetch.asked_end:
            # 200 from byte 0 on, more than was asked for: the whole file, if nothing else is under way.
            if len(books.ledger.leases) > 1 or books.ledger.here.total:
                error = TransferError(f"{redact_url(fetch.url)} does not serve ranges", retryable=True)
                return Verdict(Meaning.ONE_STREAM, error=error)
            self.one_stream = True
            lease.end = end
        else:
            self._range_doubts = 0
            # The lease may have become shorter since it was asked for.
            lease.end = min(lease.end, end)
        self._url = fetch.url
        return verdict

    def redirected(self, fetch: Fetch, size: int | None) -> str:
        """Send a fetch to where its answer redirects; return the URL.

        Raises:
            TransferError: The redirect is refused, or there were too many.
        """
        if fetch.hops >= MOST_HOPS:
            raise TransferError(f"{redact_url(self._request.url)} redirects more than {MOST_HOPS} times")
        location = fetch.verdict.location if fetch.verdict is not None else None
        fetch.url = next_url(fetch.url, location or "")
        fetch.hops += 1
        fetch.verdict = None
        if size is not None and Origin.of(fetch.url) != Origin.of(self._request.url):
            # A CDN, most likely: others need not wait for its first answer.
            self._url = fetch.url
        return fetch.url


def broken(fetch: Fetch, what: str) -> TransferError:
    """Return the error for a fetch that did not bring what it was to bring, to be tried again."""
    return TransferError(f"{redact_url(fetch.url)}: {what}", retryable=True)


def stall_error(fetch: Fetch, seconds: float) -> TransferError:
    """Return the error for a fetch that brought nothing, or next to nothing, for so long."""
    return broken(fetch, f"{'hardly anything' if fetch.sink.taken else 'nothing'} came for {seconds:.0f} s")


def again_hint(asked_s: float | None) -> str:
    """Return when to start again, for a file that is given up."""
    when = f"in {format_duration(asked_s)}, as the server asks" if asked_s else "later"
    return f"start again {when}: it goes on where it was"
