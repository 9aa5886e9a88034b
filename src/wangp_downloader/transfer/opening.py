"""Getting hold of one file's part, which another process may have.

Owns the lock. The disk work runs in a worker thread, everything else in the loop's thread.
"""

from __future__ import annotations

from collections.abc import Callable

from wangp_downloader.errors import DownloaderError, TransferError
from wangp_downloader.events import Level
from wangp_downloader.transfer import work
from wangp_downloader.transfer.fetch import Context
from wangp_downloader.transfer.lock import FileLock
from wangp_downloader.transfer.names import PartNames
from wangp_downloader.transfer.redirect import Origin
from wangp_downloader.transfer.report import Report
from wangp_downloader.transfer.request import TransferRequest

_LOCK_POLL_S = 0.3


class Opening:
    """Opens the part of one file, and lets others have it again.

    Args:
        request: What is asked for.
        report: Told while another process has it.
        context: Threads, clock, space.
    """

    def __init__(self, request: TransferRequest, report: Report, context: Context) -> None:
        self._request, self._report, self._context = request, report, context
        self._lock = FileLock(PartNames.beside(request.destination).lock)
        self._told = False

    def begin(
        self,
        then: Callable[[work.Opened | work.InPlace | None], None],
        failed: Callable[[DownloaderError], None],
        cancelled: work.Cancelled,
    ) -> None:
        """Open the part.

        Args:
            then: Given the part; or how the file is in place already; or None while another process has it.
            failed: Given the error where it can not be had.
            cancelled: Returns True once nobody wants it any more; from any thread.
        """
        request, lock, room = self._request, self._lock, self._context.room
        try:
            Origin.of(request.url)
        except TransferError as error:
            failed(error)
            return
        self._context.workers.submit(lambda: work.open_part(request, lock, room, cancelled), then, failed)

    def wait(self) -> float:
        """Tell that another process has it; return the monotonic time at which to try again."""
        if not self._told:
            self._told = True
            self._report.locked()
            name = self._request.destination.name
            self._report.notice(f"another instance is fetching {name}: waiting for it", Level.INFO)
        return self._context.clock() + _LOCK_POLL_S

    def release(self) -> None:
        """Let others have it."""
        self._lock.release()
