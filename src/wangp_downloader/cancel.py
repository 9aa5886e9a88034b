"""The cancel token: how a face tells the engine to stop. Knows nothing of signals or keys."""

from __future__ import annotations

import threading

from wangp_downloader.errors import CancelledError


class CancelToken:
    """A one-way switch that any thread may set and any thread may look at."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def cancel(self) -> None:
        """Ask everyone who holds this token to stop at the next safe point."""
        self._event.set()

    @property
    def cancelled(self) -> bool:
        """True once ``cancel`` was called."""
        return self._event.is_set()

    def raise_if_cancelled(self) -> None:
        """Raise if someone asked to stop.

        Raises:
            CancelledError: ``cancel`` was called.
        """
        if self._event.is_set():
            raise CancelledError

    def wait(self, timeout_s: float) -> bool:
        """Sleep up to ``timeout_s`` seconds, less if cancelled meanwhile; return whether cancelled."""
        return self._event.wait(timeout_s)
