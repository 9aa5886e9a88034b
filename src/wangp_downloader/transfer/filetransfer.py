"""The life of one file from request to result: opening, being asked things, checking, closing.

Owns the decisions about one file. Knows no libcurl (the loop does the fetching) and opens no file
itself (:class:`Books` does). Everything here runs in the loop's thread.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from wangp_downloader.errors import CancelledError, DownloaderError, IntegrityError, TransferError
from wangp_downloader.transfer import work
from wangp_downloader.transfer.books import Books
from wangp_downloader.transfer.fetch import Context, State
from wangp_downloader.transfer.fetching import Fetching
from wangp_downloader.transfer.opening import Opening
from wangp_downloader.transfer.report import Report
from wangp_downloader.transfer.request import TransferRequest, TransferResult
from wangp_downloader.units import format_size


class FileTransfer(Fetching):
    """One file on its way.

    Attributes:
        held_up: True while its disk has taken nothing for a while.
        result: The end, once ``state`` is DONE.
    """

    def __init__(self, request: TransferRequest, report: Report, context: Context) -> None:
        super().__init__(request, report, context)
        self.held_up = False
        self.result: TransferResult | None = None
        self._opening = Opening(request, report, context)
        self._error: DownloaderError | None = None

    def open(self) -> None:
        """Begin: get hold of the part file, in a worker thread."""
        self.state = State.OPENING
        self._opening.begin(self._opened, self._not_opened, lambda: self._error is not None)

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
        idle = not (self.fetches or books.ledger.complete)
        if books.ledger.complete and books.hashing:
            self.report.verifying(books.hashed, books.size or 0, now)
        elif idle and (self.paused or now < self.not_before):
            self.report.resting(now, None if self.paused else self.not_before - now)
        else:
            self.report.progress(books.ledger.here.total, len(self.fetches), now)

    def pulse(self, now: float) -> None:
        """Make what has arrived safe, if that is due; called in every turn of the loop."""
        if self.books is not None and self.state is State.ACTIVE and not self._settling:
            every_s = self._context.options.checkpoint_s
            self.books.checkpoint([fetch.sink for fetch in self.fetches], now, every_s)

    def _opened(self, opened: work.Opened | work.InPlace | None) -> None:
        if opened is None:
            self._wait_for_other()
            return
        if isinstance(opened, work.InPlace):
            self._conclude(self._in_place(opened))
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
            self._leave(books, self._in_place(found))
        elif self._error is None:
            self._mismatched(found, books)
        self._step()

    def _in_place(self, found: work.InPlace) -> TransferResult:
        fetched = self.report.fetched
        return TransferResult(self.request.key, None, found.verified, found.reason, fetched, kept=found.kept)

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
