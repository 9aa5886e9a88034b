"""The life of one file from request to result: what to fetch next, what to do when something ends.

Owns the decisions about one file. Knows no libcurl (the loop does the fetching) and opens no file
itself (:class:`Books` does). Everything here runs in the loop's thread.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from wangp_downloader.errors import CancelledError, DownloaderError, IntegrityError, TransferError
from wangp_downloader.paths import redact_url
from wangp_downloader.transfer import work
from wangp_downloader.transfer.answer import Meaning, Verdict
from wangp_downloader.transfer.books import Books
from wangp_downloader.transfer.fetch import Context, Fetch, State
from wangp_downloader.transfer.opening import Opening
from wangp_downloader.transfer.recovery import Recovery
from wangp_downloader.transfer.redirect import Origin
from wangp_downloader.transfer.report import Report
from wangp_downloader.transfer.request import SMALL_FILE, TransferRequest, TransferResult
from wangp_downloader.transfer.source import Source, broken, stall_error
from wangp_downloader.transfer.spans import UNKNOWN_END, Lease
from wangp_downloader.transfer.transport import LeaseSink
from wangp_downloader.units import format_size

_CRAWLS_S = 10.0


class FileTransfer:
    """One file on its way.

    Attributes:
        request: What is asked for.
        state: Where it is.
        paused: True while the person wants it to rest.
        fetches: What is being fetched for it now.
        not_before: Monotonic time before which nothing new is asked.
        held_up: True while its disk has taken nothing for a while.
        result: The end, once ``state`` is DONE.
        source: Where its bytes come from.
    """

    def __init__(self, request: TransferRequest, report: Report, context: Context) -> None:
        self.request = request
        self.report = report
        self.state = State.QUEUED
        self.paused = False
        self.fetches: list[Fetch] = []
        self.not_before = 0.0
        self.result: TransferResult | None = None
        self.books: Books | None = None
        self._context = context
        self._recovery = Recovery(context.options)
        self._opening = Opening(request, report, context)
        self.held_up = False
        self._error: DownloaderError | None = None
        self.source = Source(request)
        self._settling: Callable[[], None] | None = None

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

    def open(self) -> None:
        """Begin: get hold of the part file, in a worker thread."""
        self.state = State.OPENING
        self._opening.begin(self._opened, self._not_opened, lambda: self._error is not None)

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
        if self.fetches and (not source.resolved or source.one_stream or books.size is None):
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
                self.fail(refusal)
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
        error = verdict.error or TransferError(f"{redact_url(fetch.url)}: refused")
        match verdict.meaning:
            case Meaning.RETRY:
                self.trouble(fetch, error)
            case Meaning.RESOLVE_AGAIN:
                if self.source.expired(fetch):
                    self.trouble(fetch, error)
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
                self.fail(error)

    def _learnt(self, error: DownloaderError) -> bool:
        """Return whether what changed was learnt from the server itself, not promised by the metadata."""
        return error.retryable or self.request.size is None

    # -- trouble

    def trouble(self, fetch: Fetch, error: DownloaderError) -> None:
        """Note that a fetch failed: wait and try again, or give up."""
        if not error.retryable:
            self.fail(error)
            return
        if fetch.lease.epoch < self._recovery.epoch:
            return  # of the same trouble that was counted already
        now, network = self._context.clock(), self._context.network
        wait_s = self._recovery.wait_after(error, now, slow=fetch.slow_to_fail)
        if wait_s is None:
            self.fail(error)
            return
        network.distress()
        if error.retry_after_s is not None:
            network.hold(Origin.of(fetch.url), wait_s)
        # A broken stream may come from a stale address or a sick server behind it: ask for another.
        if self._recovery.failures > 1 and not self.fetches:
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

    # -- what the person asks

    def pause(self) -> None:
        """Rest, keeping the part."""
        if not self.paused and self.state is not State.DONE:
            self.paused = True
            self.stop_fetches()
            self.report.paused()

    def resume(self) -> None:
        """Go on."""
        if self.paused:
            self.paused = False
            if self.state is State.QUEUED:
                self.report.queued(self.size)
            elif self.state is State.LOCKED:
                self.report.locked()

    def cancel(self) -> None:
        """Stop for good in this run; the part stays."""
        self.fail(CancelledError())

    def fail(self, error: DownloaderError) -> None:
        """End with an error, keeping what has arrived."""
        if self.state in {State.CLOSING, State.DONE} or self._error is not None:
            return
        self._error = error
        self.stop_fetches()
        if self.state is not State.OPENING:
            self._settle(self._close)

    # -- from time to time

    def tick(self, now: float) -> None:
        """Do what is due: checkpoints, progress, waiting jobs."""
        if self.state is State.LOCKED and now >= self.not_before and not self.paused:
            self.open()
        books = self.books
        if books is None or self.state is not State.ACTIVE:
            return
        if books.intake.has_room():
            for fetch in self.fetches:
                fetch.sink.flush()
        self.held_up = books.held_up(now)
        if books.intake.failure is not None:
            self.fail(books.intake.failure)
        books.follow()
        self._tell(books, now)
        self._maybe_check()
        self._step()

    def _tell(self, books: Books, now: float) -> None:
        if books.ledger.complete and books.hashing:
            self.report.verifying(books.hashed, books.size or 0, now)
        elif self.fetches or books.ledger.complete:
            self.report.progress(books.ledger.here.total, len(self.fetches), now)
        elif self.paused:
            self.report.resting(now)
        elif now < self.not_before:
            self.report.resting(now, self.not_before - now)
        else:
            self.report.progress(books.ledger.here.total, 0, now)

    def pulse(self, now: float) -> None:
        """Make what has arrived safe, if that is due; called in every turn of the loop."""
        if self.books is not None and self.state is State.ACTIVE and not self._settling:
            every_s = self._context.options.checkpoint_s
            self.books.checkpoint([fetch.sink for fetch in self.fetches], now, every_s)

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

    def _opened(self, opened: work.Opened | work.InPlace | None) -> None:
        if opened is None:
            self._wait_for_other()
            return
        if isinstance(opened, work.InPlace):
            self._conclude(
                TransferResult(self.request.key, None, opened.verified, opened.reason, 0, kept=True)
            )
            return
        context = self._context
        books = Books(self.request, opened, context.bucket, context.workers, self.progressed, context.pool)
        books.on_failure = self.fail
        books.on_lost = partial(self._lost, books)
        books.on_quiet = self._maybe_check
        self.books = books
        self.state = State.ACTIVE
        for text in opened.notices:
            self.report.notice(text)
        self._begun(books)
        if self._error is not None:
            self._settle(self._close)
        else:
            self._maybe_check()

    def _begun(self, books: Books) -> None:
        self.report.started(books.size, books.ledger.here.total)
        if self.paused:
            self.report.paused()

    def _lost(self, books: Books, count: int) -> None:
        self.report.notice(f"{format_size(count)} of the part changed on the disk: fetched again")
        self._begun(books)

    def _not_opened(self, error: DownloaderError) -> None:
        self._error = self._error or error
        self._conclude_error()

    def _wait_for_other(self) -> None:
        if self._error is not None:
            self._conclude_error()
            return
        self.state = State.LOCKED
        self.not_before = self._opening.wait()

    # -- changes that need quiet: no fetch, no job

    def _settle(self, action: Callable[[], None]) -> None:
        self._settling = action
        self.stop_fetches()
        self._step()

    def _step(self) -> None:
        if self._settling is not None and not (self.books and self.books.busy):
            action, self._settling = self._settling, None
            action()

    def _maybe_check(self) -> None:
        books = self.books
        if books is None or self._settling or self._error or self.fetches:
            return
        if self.state is State.ACTIVE and books.ledger.complete:
            books.follow()
            if not books.busy and not books.hashing:
                books.check(self._checked, lambda: self._error is not None)

    def _start_over(self) -> None:
        """Forget what has arrived and begin from zero."""
        books = self.books
        if books is not None and not self._settling:
            self._settle(books.clear)
            self.report.started(self.request.size, 0)

    def _checked(self, found: work.InPlace | work.Mismatch | None) -> None:
        books = self.books
        if books is None or found is None:
            return
        if isinstance(found, work.InPlace):
            for text in found.notices:
                self.report.notice(text)
            self._error = None
            result = TransferResult(self.request.key, None, found.verified, found.reason, self.report.fetched)
            self._leave(books, result)
        elif self._error is None:
            self._mismatched(found, books)
        self._step()

    def _mismatched(self, found: work.Mismatch, books: Books) -> None:
        name = self.request.destination.name
        if found.changed and self._recovery.may_repair():
            count = sum(extent.length for extent in found.changed)
            self.report.notice(f"{name}: {format_size(count)} changed on the disk: fetched again")
            books.drop(found.changed)
            self._begun(books)
        elif self._recovery.may_refetch():
            self.source.fresh = True
            self.source.forget_address()
            self.report.retrying(
                f"{name} does not match its hash: fetching it once more, from new connections", 0
            )
            self._start_over()
        else:
            books.keep_aside(lambda aside: self._refuse(found.actual, Path(str(aside))))

    def _refuse(self, actual: str, aside: Path) -> None:
        self._error = work.mismatch_error(self.request, actual, aside)
        if self.books is not None:
            self._leave(self.books, None)

    def _close(self) -> None:
        if self.books is None:
            self._conclude_error()
            return
        self.state = State.CLOSING
        self.books.close(remove=isinstance(self._error, IntegrityError), then=self._conclude_error)

    def _leave(self, books: Books, result: TransferResult | None) -> None:
        """Close without leaving a part: the file is in place, or kept aside."""
        self.state, self._settling = State.CLOSING, None
        then = self._conclude_error if result is None else partial(self._conclude, result)
        books.close(remove=True, then=then)

    def _conclude_error(self) -> None:
        error = self._error or TransferError("stopped for an unknown reason")
        self._conclude(TransferResult(self.request.key, error, False, None, self.report.fetched))

    def _conclude(self, result: TransferResult) -> None:
        self._opening.release()
        self.state = State.DONE
        self.result = result
        self.report.finished(result, stopped=isinstance(result.error, CancelledError))
