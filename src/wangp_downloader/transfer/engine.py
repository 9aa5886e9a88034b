"""The transfer engine as others see it. Importing it is cheap; libcurl is loaded by the first run."""

from __future__ import annotations

import contextlib
import sys
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from wangp_downloader.cancel import CancelToken
from wangp_downloader.events import Emit, ignore
from wangp_downloader.transfer.request import TransferOptions, TransferRequest, TransferResult

if TYPE_CHECKING:
    from wangp_downloader.transfer.filetransfer import FileTransfer
    from wangp_downloader.transfer.queue import Queue


_DESCRIPTORS = 4096


def _ignore_result(result: TransferResult) -> None:
    pass


def _allow_descriptors() -> None:
    """Raise the soft limit of open files, which is 256 on macOS: connections, parts and journals need more."""
    if sys.platform == "win32":
        return
    import resource  # noqa: PLC0415 - Windows has none

    with contextlib.suppress(OSError, ValueError):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = _DESCRIPTORS if hard == resource.RLIM_INFINITY else min(_DESCRIPTORS, hard)
        if soft != resource.RLIM_INFINITY and soft < wanted:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


class TransferEngine:
    """Fetches files: many connections, verified, resumable, within a limit.

    One run at a time; all methods but ``run`` may be called from any thread and return at once. What is asked for
    before a run counts for it, what was asked for during one is forgotten at its end.

    Args:
        options: How to work.
    """

    def __init__(self, options: TransferOptions | None = None) -> None:
        self.options = options or TransferOptions()
        self._limit: float | None = None
        self.set_limit(self.options.limit_bytes_per_s)
        self._commands: deque[Callable[[Queue], None]] = deque()

    def run(
        self,
        requests: Sequence[TransferRequest],
        *,
        cancel: CancelToken,
        emit: Emit = ignore,
        done: Callable[[TransferResult], None] = _ignore_result,
    ) -> list[TransferResult]:
        """Fetch all files; blocks until each has ended.

        One file's failure never stops the others. When ``cancel`` is set it returns within a second: what
        has arrived stays as a part that the next run goes on with, and the results of files that were not
        finished carry a ``CancelledError``.

        Args:
            requests: What to fetch; keys must differ.
            cancel: Stops the run.
            emit: Told what happens, from this thread.
            done: Given each result as soon as it is there, from this thread, so that no kill can lose it. Must
                not raise; bytes wait while it works.

        Returns:
            One result a request, in the order of the requests. No error of a single file is raised.
        """
        from wangp_downloader.transfer.loop import TransferLoop  # noqa: PLC0415 - loads libcurl

        _allow_descriptors()
        loop = TransferLoop(requests, self.options, lambda: self._limit, self._commands, emit)
        try:
            return loop.run(cancel, done)
        finally:
            self._commands.clear()

    @property
    def limit(self) -> float | None:
        """The limit in content bytes a second over all transfers, None for none."""
        return self._limit

    def set_limit(self, bytes_per_s: float | None) -> None:
        """Change the limit, also while running; 0 or less and None mean no limit."""
        self._limit = bytes_per_s if bytes_per_s is not None and bytes_per_s > 0 else None

    def pause(self, key: str | None = None) -> None:
        """Let one file rest, or all (None); they keep their parts."""
        self._command(key, lambda file: file.pause())

    def resume(self, key: str | None = None) -> None:
        """Let one paused file go on, or all (None)."""
        self._command(key, lambda file: file.resume())

    def cancel(self, key: str) -> None:
        """Stop one file for this run; its part stays."""
        self._command(key, lambda file: file.cancel())

    def prioritize(self, key: str) -> None:
        """Let one file be the next to begin and the first to get connections."""
        self._commands.append(lambda queue: queue.prioritize(key))

    def _command(self, key: str | None, action: Callable[[FileTransfer], None]) -> None:
        def command(queue: Queue) -> None:
            for file in queue.all:
                if key is None or file.request.key == key:
                    action(file)

        self._commands.append(command)
