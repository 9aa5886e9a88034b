"""Which file is next: order, priorities, and how many files are open at once. Pure, but for the files' calls."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice

from wangp_downloader.transfer.fetch import State
from wangp_downloader.transfer.filetransfer import FileTransfer

_LOOK_AHEAD = 200
_MOST_RESTING = 3
_STARTED = frozenset({State.OPENING, State.ACTIVE})


class Queue:
    """All files of a run.

    Args:
        files: In the order given by the caller.
        files_at_once: Large files in progress at once.

    Attributes:
        all: Every file, in the caller's order.
        open: Those that have begun and have not ended.
    """

    def __init__(self, files: Iterable[FileTransfer], files_at_once: int) -> None:
        self.all = list(files)
        self.open: list[FileTransfer] = []
        self._files_at_once = files_at_once
        self._waiting = sorted(self.all, key=lambda file: -file.request.priority)

    @property
    def finished(self) -> bool:
        """True if nothing waits and nothing is open."""
        return not self.open and not self._waiting

    def prioritize(self, key: str) -> None:
        """Let a file be the next one that begins, and the first to get connections."""
        for files in (self._waiting, self.open):
            files.sort(key=lambda file: file.request.key != key)

    def sweep(self) -> list[FileTransfer]:
        """Take the files that ended out of the lists; return them."""
        ended = [file for file in self.open if file.state is State.DONE]
        if ended:
            self.open = [file for file in self.open if file.state is not State.DONE]
        return ended

    def sweep_waiting(self) -> list[FileTransfer]:
        """Take the files that were cancelled before their turn out of the list; return them."""
        ended = [file for file in self._waiting if file.state is State.DONE]
        if ended:
            self._waiting = [file for file in self._waiting if file.state is not State.DONE]
        return ended

    def admit(self, now: float, connections: int, held: Callable[[FileTransfer], bool]) -> None:
        """Begin as many files as make sense: few large ones, small ones enough to keep connections busy.

        Args:
            now: Monotonic seconds.
            connections: Those that may be open now.
            held: True for files whose server wants nothing to be asked now.
        """
        if not self._waiting:
            return
        # Who has failed, or waits, leaves its place, unless many do: then it is the line, not the file.
        resting = {file for file in self.open if file.resting(now)}
        many = len(resting) > _MOST_RESTING * max(1, self._files_at_once)
        busy = [
            file
            for file in self.open
            if (many if file in resting else self._counts(file, now) and not held(file))
        ]
        large = sum(not file.small for file in busy)
        small = len(busy) - large
        # What a disk that hangs holds up leaves its place to others, but not to more of that disk.
        hanging = {file.request.destination.parent for file in self.open if file.held_up}
        if sum(file.complete and not file.held_up for file in self.open) >= 2 * connections:
            return
        at_once = min(self._files_at_once, connections)
        ready = (
            file
            for file in self._waiting
            if not file.paused and file.request.destination.parent not in hanging
        )
        for file in list(islice(ready, _LOOK_AHEAD)):
            if large >= at_once and small >= 2 * connections:
                return
            if held(file) or (small >= 2 * connections if file.small else large >= at_once):
                continue
            self._waiting.remove(file)
            self.open.append(file)
            file.open()
            if file.small:
                small += 1
            else:
                large += 1

    @staticmethod
    def _counts(file: FileTransfer, now: float) -> bool:
        """Return whether a file takes a place: not if it rests, waits for others or its disk, or has all its bytes."""
        if file.paused or file.state not in _STARTED or file.not_before - now > 1.0 or file.held_up:
            return False
        return not file.complete
