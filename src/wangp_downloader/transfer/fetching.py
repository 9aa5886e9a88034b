"""What to fetch next of one file, and what to do when a fetch ends: the half of its life that the network sees.

Owns the decisions; knows no libcurl (the loop does the fetching). Everything here runs in the loop's thread.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping

from wangp_downloader.errors import DownloaderError, RateLimitedError, StorageError, TransferError
from wangp_downloader.paths import redact_url
from wangp_downloader.transfer.answer import Meaning, Verdict
from wangp_downloader.transfer.books import Books
from wangp_downloader.transfer.fetch import Context, Fetch, State
from wangp_downloader.transfer.recovery import Recovery
from wangp_downloader.transfer.redirect import Origin
from wangp_downloader.transfer.report import Report
from wangp_downloader.transfer.request import SMALL_FILE, TransferRequest
from wangp_downloader.transfer.source import Source, broken, stall_error
from wangp_downloader.transfer.spans import UNKNOWN_END, Lease
from wangp_downloader.transfer.transport import LeaseSink
from wangp_downloader.units import format_size

_CRAWLS_S = 10.0


class Fetching(ABC):
    """The fetching of one file; :class:`FileTransfer` adds its beginning and its end.

    Attributes:
        request: What is asked for.
        report: Where it is told what happens.
        state: Where the file is.
        paused: True while the person wants it to rest.
        fetches: What is being fetched for it now.
        not_before: Monotonic time before which nothing new is asked.
        books: What is on the disk of it, None before it is open.
        source: Where its bytes come from.
    """

    def __init__(self, request: TransferRequest, report: Report, context: Context) -> None:
        self.request = request
        self.report = report
        self.state = State.QUEUED
        self.paused = False
        self.fetches: list[Fetch] = []
        self.not_before = 0.0
        self.books: Books | None = None
        self.source = Source(request)
        self._context = context
        self._recovery = Recovery(context.options)
        self._settling: Callable[[], None] | None = None

    # -- what the other half does

    @abstractmethod
    def fail(self, error: DownloaderError) -> None:
        """End with an error, keeping what has arrived."""

    @abstractmethod
    def _start_over(self) -> None:
        """Forget what has arrived and begin from zero."""

    @abstractmethod
    def _maybe_check(self) -> None:
        """Check the file if it is whole and nothing is going on."""

    # -- what the loop asks

    @property
    def size(self) -> int | None:
        """Bytes of the whole file, None until known."""
        return self.books.size if self.books is not None else self.request.size

    @property
    def has_room(self) -> bool:
        """False while its disk is behind."""
        return self.books is None or self.books.intake.has_room()

    @property
    def complete(self) -> bool:
        """True if all its bytes have come, and only the disk and the check are left."""
        return self.books is not None and self.books.ledger.complete

    @property
    def small(self) -> bool:
        """True if one request is enough for it."""
        return self.size is not None and self.size <= SMALL_FILE

    @property
    def troubled(self) -> bool:
        """True if it has failed since it last made progress."""
        return self._recovery.failures > 0

    def resting(self, now: float) -> bool:
        """Return whether nothing is fetched for it since something went wrong, or a server wants it to wait."""
        if self.state is not State.ACTIVE or self.paused or self.fetches or self.complete:
            return False
        return self.troubled or now < self.not_before

    def take(self, now: float, most: int, expected: int) -> Fetch | None:
        """Give out the next range to fetch, None if there is none now.

        Args:
            now: Monotonic seconds.
            most: Connections that this file may have now.
            expected: Connections that it may come to have: a range leaves something for them.
        """
        if self.state is not State.ACTIVE or self.paused or self._settling or now < self.not_before:
            return None
        books = self.books
        if books is None or books.clearing or books.ledger.complete or len(self.fetches) >= most:
            return None
        # Until the first answer nobody knows where the file is or whether ranges work: one asks for all.
        source = self.source
        if self.fetches and (source.one_stream or books.size is None):
            return None
        if not source.resolved and not all(fetch.brings_content for fetch in self.fetches):
            return None
        lease = self._lease(books, expected, now)
        if lease is None:
            return None
        lease.epoch = self._recovery.epoch
        sink = LeaseSink(books.intake, lease)
        fetch = Fetch(lease, sink, source.url, now, not source.one_stream, source.fresh)
        self.fetches.append(fetch)
        return fetch

    def _lease(self, books: Books, expected: int, now: float) -> Lease | None:
        if (self.source.one_stream or books.size is None) and books.ledger.here.total:
            # Nobody can say what comes after what is here: a stream begins at zero.
            count, name = format_size(books.ledger.here.total), self.request.destination.name
            self.report.notice(f"the server can not go on with {name}: its {count} are fetched again")
            self._start_over()
            return None
        if self.source.one_stream:
            return books.ledger.lease(UNKNOWN_END)
        speed = self.report.bytes_per_s / max(1, len(self.fetches))
        fetches = self.fetches
        if self.small:
            # One request is enough for it, unless that crawls.
            fetches = [fetch for fetch in fetches if now - fetch.began > _CRAWLS_S]
        return books.lease(expected, speed, [fetch.sink for fetch in fetches])

    # -- what the loop tells

    def head(self, fetch: Fetch, status: int, headers: Mapping[str, str]) -> bool:
        """Judge an answer's head; return whether its body is wanted."""
        books = self.books
        if books is None or self._settling:
            return False
        try:
            fetch.verdict = self.source.judge(fetch, books, status, headers)
        except DownloaderError as error:
            fetch.verdict = Verdict(Meaning.FAIL, error=error)
        return fetch.verdict.meaning is Meaning.BODY

    def ended(self, fetch: Fetch, error: DownloaderError | None) -> str | None:
        """Take note that a fetch ended; return the URL to go on with if it was redirected.

        Args:
            fetch: Which one.
            error: What libcurl said, None if the answer ended in order.
        """
        fetch.sink.flush()
        verdict, books = fetch.verdict, self.books
        if verdict is not None and verdict.meaning is Meaning.REDIRECT:
            try:
                return self.source.redirected(fetch, self.size)
            except TransferError as refusal:
                self._release(fetch)
                self.trouble(fetch, refusal, overload=False)
        elif books is not None:
            self._release(fetch)
            self._settle_fetch(fetch, verdict, error, books)
        return None

    def _settle_fetch(
        self, fetch: Fetch, verdict: Verdict | None, error: DownloaderError | None, books: Books
    ) -> None:
        if books.intake.failure is not None:
            self.fail(books.intake.failure)
        elif self._settling or self.state is not State.ACTIVE:
            return
        elif verdict is None:
            self.trouble(fetch, error or broken(fetch, "no answer"))
        elif verdict.meaning is Meaning.BODY:
            self._body_ended(fetch, error, books)
        else:
            self._refused(fetch, verdict)

    def _body_ended(self, fetch: Fetch, error: DownloaderError | None, books: Books) -> None:
        lease = fetch.lease
        if lease.remaining <= 0:
            pass
        elif error is None and lease.end == UNKNOWN_END:
            try:
                books.learn(lease.position, books.etag, told=False)
            except DownloaderError as refusal:
                self.fail(refusal)
                return
        else:
            self.trouble(fetch, error or broken(fetch, "the answer ended too early"))
        self._maybe_check()

    def _refused(self, fetch: Fetch, verdict: Verdict) -> None:
        if fetch.lease.epoch < self._recovery.epoch:
            return  # of the same trouble that was judged already: one moment is one doubt
        error = verdict.error or TransferError(f"{redact_url(fetch.url)}: refused")
        match verdict.meaning:
            case Meaning.RETRY:
                self.trouble(fetch, error)
            case Meaning.RESOLVE_AGAIN:
                if self.source.expired(fetch):
                    self.trouble(fetch, error, overload=False)
            case Meaning.ONE_STREAM if not self.source.one_stream and self.source.gives_ranges():
                self.source.forget_address()
                self.trouble(fetch, error)
            case Meaning.ONE_STREAM if not self.source.one_stream:
                self.report.notice(f"{error.message}: it is fetched as one stream, from the beginning")
                self.source.one_stream = True
                self._start_over()
            case Meaning.ONE_STREAM:
                self.trouble(fetch, error)
            case Meaning.CHANGED if self._learnt(error) and self._recovery.may_repair():
                self.report.notice(f"{error.message}: starting afresh")
                self._start_over()
            case Meaning.CHANGED if self._recovery.may_doubt():
                # One sick answer among good ones: asked for again, by another connection, before it is believed.
                self.source.fresh = True
                self.source.forget_address()
                self.trouble(fetch, TransferError(error.message, retryable=True))
            case _:
                self.trouble(fetch, error, overload=False)

    def _learnt(self, error: DownloaderError) -> bool:
        """Return whether what changed was learnt from the server itself, not promised by the metadata."""
        return error.retryable or self.request.size is None

    # -- trouble

    def trouble(self, fetch: Fetch, error: DownloaderError, *, overload: bool = True) -> None:
        """Note that a fetch failed: wait and try again, or give up.

        Args:
            fetch: Which one; it is released already.
            error: What went wrong.
            overload: True if fewer connections may help.
        """
        if fetch.lease.epoch < self._recovery.epoch:
            return  # of the same trouble that was counted already
        if isinstance(error, StorageError) or not (error.retryable or self._recovery.may_ask_again()):
            self.fail(error)
            return
        now, network, first = self._context.clock(), self._context.network, not self._recovery.failures
        wait_s = self._recovery.wait_after(error, now, slow=fetch.slow_to_fail)
        if wait_s is None:
            self.fail(error)
            return
        # One file that fails again and again says nothing of the others' way.
        if overload and (first or isinstance(error, RateLimitedError)):
            network.distress()
        if isinstance(error, RateLimitedError) and error.retry_after_s is not None:
            network.hold(Origin.of(fetch.url), wait_s)
        # A broken stream may come from a stale address or a sick server behind it: ask for another.
        if fetch.slow_to_fail or not (first and error.retryable):
            self.source.forget_address()
        self.not_before = now + wait_s
        self.report.retrying(error.message, wait_s)

    def refused(self, fetch: Fetch, error: TransferError) -> None:
        """Note that a fetch could not even be asked for."""
        self._release(fetch)
        self.fail(error)

    def stalled(self, fetch: Fetch) -> None:
        """Note that nothing, or next to nothing, has come for too long; the fetch is stopped already."""
        fetch.slow_to_fail = True
        fetch.sink.flush()
        self._release(fetch)
        self.trouble(fetch, stall_error(fetch, self._context.options.stall_timeout_s))

    def postpone(self, fetch: Fetch, until: float) -> None:
        """Ask for a fetch's range later; nobody is to blame."""
        self._release(fetch)
        self.not_before = max(self.not_before, until)

    def restart(self, fetch: Fetch) -> None:
        """End a fetch so that its rest is asked for anew, on another connection; nobody is to blame."""
        if self.source.one_stream:
            return
        self._context.network.stop(fetch)
        fetch.sink.flush()
        self._release(fetch)

    def progressed(self, count: int) -> None:
        """Take note of new bytes."""
        self.report.fetched += count
        here = self.books.ledger.here.total if self.books is not None else count
        self._recovery.progressed(count, here)
        if self._recovery.failures == 0:
            self.source.works()

    def stop_fetches(self) -> None:
        """End all fetches, keeping what they brought."""
        for fetch in list(self.fetches):
            self._context.network.stop(fetch)
            fetch.sink.flush()
            self._release(fetch)

    def _release(self, fetch: Fetch) -> None:
        if self.books is not None:
            self.books.ledger.release(fetch.lease)
        if fetch in self.fetches:
            self.fetches.remove(fetch)
