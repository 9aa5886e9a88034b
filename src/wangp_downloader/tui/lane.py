"""The engine's lane: one daemon thread that does one thing at a time for the TUI.

Owns threading and cancelling. A daemon thread never delays the end of the process, which Textual's own
thread workers do; the engine keeps what is half done in a state that the next start can use.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable

from wangp_downloader.cancel import CancelToken

log = logging.getLogger(__name__)

Job = Callable[[CancelToken], None]


class Lane:
    """Jobs in the order of their arrival, each with a token of its own."""

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[tuple[Job, CancelToken]] = queue.SimpleQueue()
        self._waiting: list[CancelToken] = []
        self._lock = threading.Lock()
        self._idle = threading.Event()
        self._idle.set()
        self._thread: threading.Thread | None = None

    def submit(self, job: Job) -> CancelToken:
        """Do ``job`` after those before it; return the token that stops it. The job must not raise."""
        token = CancelToken()
        with self._lock:
            self._waiting.append(token)
            self._idle.clear()
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="engine-lane", daemon=True)
                self._thread.start()
        self._jobs.put((job, token))
        return token

    def cancel_all(self) -> None:
        """Ask the present job and those that wait to stop."""
        with self._lock:
            for token in self._waiting:
                token.cancel()

    @property
    def idle(self) -> bool:
        """True if nothing is being done."""
        return self._idle.is_set()

    def wait_idle(self, timeout_s: float) -> bool:
        """Block until nothing is being done, at most ``timeout_s`` seconds; return whether that is so."""
        return self._idle.wait(timeout_s)

    def _work(self) -> None:
        while True:
            job, token = self._jobs.get()
            try:
                job(token)
            except Exception:  # the lane's edge: the next job is not to suffer
                log.exception("a job of the engine's lane failed")
            finally:
                with self._lock:
                    self._waiting.remove(token)
                    if not self._waiting:
                        self._idle.set()
