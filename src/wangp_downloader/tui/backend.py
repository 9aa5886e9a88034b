"""The engine as the main screen uses it: every call returns at once, answers come as messages.

Owns the session object and the order of work: open, plan from caches, refresh, prepare, run. Nothing of it
touches a widget.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from textual.message import Message

from wangp_downloader.cancel import CancelToken
from wangp_downloader.errors import CancelledError, CatalogError, DownloaderError, SettingsError
from wangp_downloader.files import Action, Plan
from wangp_downloader.tui.lane import Job, Lane
from wangp_downloader.tui.messages import (
    DiskMeasured,
    EngineOpened,
    EngineRefused,
    PlanArrived,
    PlanPrepared,
    RefreshEnded,
    RunEnded,
)

if TYPE_CHECKING:
    from wangp_downloader.events import Emit
    from wangp_downloader.tui.engine import Engine

log = logging.getLogger(__name__)

ACTIONS = frozenset({Action.LINK, Action.DOWNLOAD})


class Backend:
    """The lane, and what is put on it.

    Args:
        factory: Opens the session; called in the lane.
        emit: Gets the engine's events.
        post: Gets the answers; safe from any thread.
        wake: Called whenever work is put on the lane, from the caller's thread.
        free_bytes: Free bytes on the disk of a folder; may block.
        log_path: Where the details of unexpected errors are written.
    """

    def __init__(
        self,
        factory: Callable[[], Engine],
        *,
        emit: Emit,
        post: Callable[[Message], object],
        wake: Callable[[], None],
        free_bytes: Callable[[str], int | None],
        log_path: Path,
    ) -> None:
        self._free_bytes = free_bytes
        self._log_path = log_path
        self._factory = factory
        self._wake = wake
        self._emit = emit
        self._post = post
        self._lane = Lane()
        self._refreshing: CancelToken | None = None
        self._running: CancelToken | None = None
        self.engine: Engine | None = None

    @property
    def idle(self) -> bool:
        """True if the lane is empty."""
        return self._lane.idle

    # Planning

    def open(self) -> None:
        """Open the session and plan from caches; answered by ``EngineOpened`` and ``PlanArrived``."""
        self._lane.submit(self._open)
        self._wake()

    def reopen(self, factory: Callable[[], Engine]) -> None:
        """Start again with another session, after the settings changed."""
        self._lane.cancel_all()
        self._factory = factory
        self.open()

    def refresh(self) -> None:
        """Look again at disk and Hub: the metadata first, then what must be hashed."""
        self.stop_refresh()
        self._refreshing = self._submit(self._refresh, RefreshEnded)

    def stop_refresh(self) -> None:
        """Cut the refresh short."""
        if self._refreshing is not None:
            self._refreshing.cancel()

    def reset_cache(self) -> None:
        """Forget remote metadata, show what is left, and ask again."""
        self.stop_refresh()
        self._refreshing = self._submit(self._reset, RefreshEnded)

    def replan(self) -> None:
        """Plan again from caches: the disk has changed."""
        self._submit(self._plan, RefreshEnded)

    # Running

    def prepare(self, targets: Iterable[str]) -> None:
        """Plan a selection exactly; answered by ``PlanPrepared`` or ``RunEnded``."""
        wanted = frozenset(targets)
        self.stop_refresh()

        def job(token: CancelToken) -> None:
            from wangp_downloader.planner import Request  # noqa: PLC0415 - start-up

            plan = self._session.plan(Request(targets=wanted), cancel=token, emit=self._emit)
            token.raise_if_cancelled()
            self._post(PlanPrepared(plan))

        self._running = self._submit(job, lambda error: RunEnded(None, error))

    def run(self, plan: Plan) -> None:
        """Carry out a prepared plan; answered by ``RunEnded``."""

        def job(token: CancelToken) -> None:
            report = self._session.run(plan, actions=ACTIONS, cancel=token, emit=self._emit)
            self._post(RunEnded(report, CancelledError() if token.cancelled else None))

        self._running = self._submit(job, lambda error: RunEnded(None, error))

    def stop_run(self) -> None:
        """Ask the run to stop; the parts stay."""
        if self._running is not None:
            self._running.cancel()

    # The end, the disk

    def stop(self) -> None:
        """Ask everything to stop, without waiting; the session is closed after that."""
        self._lane.cancel_all()
        self._lane.submit(self._close)

    def wait_idle(self, timeout_s: float) -> bool:
        """Block until all has stopped, at most ``timeout_s`` seconds; return whether it has."""
        return self._lane.wait_idle(timeout_s)

    def measure_disk(self, folder: str) -> None:
        """Ask for the free space where ``folder`` is or will be; a network disk may take its time."""
        threading.Thread(target=self._measure, args=(folder,), name="disk-space", daemon=True).start()

    # In the lane

    @property
    def _session(self) -> Engine:
        if self.engine is None:
            raise DownloaderError("the engine is not open yet", hint="wait until the table is loaded")
        return self.engine

    def _submit(self, job: Job, failed: Callable[[DownloaderError], Message]) -> CancelToken:
        def guarded(token: CancelToken) -> None:
            try:
                token.raise_if_cancelled()
                job(token)
            except DownloaderError as error:
                self._post(failed(error))
            except Exception as error:
                log.exception("unexpected error in the engine's lane")
                self._post(failed(self._unexpected(error)))

        token = self._lane.submit(guarded)
        self._wake()
        return token

    def _open(self, token: CancelToken) -> None:
        try:
            if self.engine is not None:
                self.engine.close()
            self.engine = self._factory()
            self._post(EngineOpened(self.engine))
            self._plan(token)
        except CancelledError:
            return
        except (SettingsError, CatalogError) as error:
            self._post(EngineRefused(error))
        except DownloaderError as error:
            self._post(RefreshEnded(error))
        except Exception as error:
            log.exception("the engine can not be opened, or can not plan")
            self._post(RefreshEnded(self._unexpected(error)))

    def _close(self, token: CancelToken) -> None:
        session, self.engine = self.engine, None
        if session is not None:
            session.close()

    def _plan(self, token: CancelToken, *, network: bool = False, hashing: bool = False) -> None:
        from wangp_downloader.planner import Request  # noqa: PLC0415 - start-up

        session = self._session
        request = Request(optional=True)  # profiles and configurations stand among the variants
        plan = session.plan(request, network=network, hashing=hashing, cancel=token, emit=self._emit)
        token.raise_if_cancelled()
        parts = {part.target: part.bytes_done for part in session.unfinished()}
        self._post(PlanArrived(plan, session.models(), parts))

    def _refresh(self, token: CancelToken) -> None:
        self._plan(token, network=True)
        self._plan(token, network=True, hashing=True)
        self._post(RefreshEnded())

    def _reset(self, token: CancelToken) -> None:
        self._session.reset_cache()
        self._plan(token)
        self._refresh(token)

    def _measure(self, folder: str) -> None:
        self._post(DiskMeasured(folder, self._free_bytes(folder)))

    def _unexpected(self, error: Exception) -> DownloaderError:
        words = f"unexpected {type(error).__name__}: {error}"
        return DownloaderError(words, hint=f"{self._log_path} has the details")
