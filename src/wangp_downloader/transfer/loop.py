"""The loop: one libcurl multi handle that moves the bytes of all files of a run.

Owns connections, the clock and the order of things within a turn of the loop. What to fetch is decided by
:class:`FileTransfer`, whose turn it is by :class:`Queue`.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import pycurl

from wangp_downloader.cancel import CancelToken
from wangp_downloader.errors import CancelledError, TransferError
from wangp_downloader.events import Emit
from wangp_downloader.transfer.blocks import BufferPool, block_bytes
from wangp_downloader.transfer.certs import find_trust
from wangp_downloader.transfer.fetch import Context, Fetch, State
from wangp_downloader.transfer.filetransfer import FileTransfer
from wangp_downloader.transfer.governor import Governor
from wangp_downloader.transfer.http import HttpConnection, HttpRequest, HttpSettings
from wangp_downloader.transfer.limiter import TokenBucket
from wangp_downloader.transfer.pace import Pace
from wangp_downloader.transfer.queue import Queue
from wangp_downloader.transfer.redirect import Origin
from wangp_downloader.transfer.report import Report
from wangp_downloader.transfer.request import TransferOptions, TransferRequest, TransferResult
from wangp_downloader.transfer.shared_limit import SharedLimit
from wangp_downloader.transfer.storage import Room
from wangp_downloader.transfer.workers import Workers
from wangp_downloader.units import KIB

_TURN_S = 0.025
_TICK_S = 0.05
_CANCEL_S = 0.6
_CLOSE_S = 0.2
_LATE_S = 5.0
_SLEPT_S = 10.0
_LINGER_S = 1.0
_TRICKLE_BYTES_PER_S = 512
_NAMES_DOUBTED_S = 60.0
_NOT_RESOLVED = frozenset({pycurl.E_COULDNT_RESOLVE_HOST, pycurl.E_COULDNT_RESOLVE_PROXY})
_POLITE_BYTES_PER_S = 512 * KIB


@dataclass(slots=True, eq=False)
class _Running:
    """A connection at work for a file."""

    connection: HttpConnection
    file: FileTransfer
    fetch: Fetch
    alive_at: float
    seen: int = 0
    window_at: float = 0.0
    window_bytes: int = 0


class TransferLoop:
    """One run of the engine.

    Args:
        requests: What is asked for.
        options: How to work.
        limit: Returns the limit of the moment in bytes a second, or None.
        commands: Calls posted by other threads, run in the loop's thread.
        emit: Told what happens.
    """

    def __init__(
        self,
        requests: Sequence[TransferRequest],
        options: TransferOptions,
        limit: Callable[[], float | None],
        commands: deque[Callable[[Queue], None]],
        emit: Emit,
    ) -> None:
        self._options = options
        self._limit, self._commands = limit, commands
        self._clock = time.monotonic
        now = self._clock()
        self._bucket = TokenBucket(None, self._clock)
        self._shared = SharedLimit(options.state_dir)
        self._governor = Governor(max(1, options.connections))
        self._pace = Pace(self._governor.most)
        self._waited_s = 0.0
        self._workers = Workers()
        self._holds: dict[Origin, float] = {}
        self._multi: Any = pycurl.CurlMulti()
        # One stream a TCP connection, also over HTTP/2: several connections are what fills a line.
        self._multi.setopt(pycurl.M_PIPELINING, 0)
        self._multi.setopt(pycurl.M_MAXCONNECTS, 2 * self._governor.most)
        self._share: Any = pycurl.CurlShare()
        self._share.setopt(pycurl.SH_SHARE, pycurl.LOCK_DATA_SSL_SESSION)
        self._share.setopt(pycurl.SH_SHARE, pycurl.LOCK_DATA_DNS)
        pool = BufferPool(block_bytes(self._governor.most))
        self._settings = HttpSettings(
            find_trust(options.ca_file), options.user_agent, options.connect_timeout_s, pool.buffer_bytes // 2
        )
        self._idle: list[HttpConnection] = []
        self._running: dict[Fetch, _Running] = {}
        self._paused: deque[_Running] = deque()
        self._ticked = now
        self._counted = 0
        self._begun_under: float | None = None
        # TCP connections from before have kernel buffers for another limit, or may be dead without a word.
        self._renewed_at: float | None = None
        self._unresolved_at = -math.inf
        context = Context(options, self._bucket, pool, Room(), self._workers, self, self._clock)
        self._queue = Queue(
            [FileTransfer(request, Report(request.key, emit, now), context) for request in requests],
            max(1, options.files_at_once),
        )

    def run(self, cancel: CancelToken, done: Callable[[TransferResult], None]) -> list[TransferResult]:
        """Work until every file has ended, or ``cancel`` is set; return a result a request.

        Args:
            cancel: Stops it.
            done: Given each result as soon as it is there.
        """
        self._done = done
        for file in self._queue.all:
            file.report.queued(file.size)
        self._shared.join()
        try:
            while not self._queue.finished and not cancel.cancelled:
                if not self._turn() and not self._queue.finished:
                    self._rest()
            if cancel.cancelled:
                self._stop_all()
        finally:
            self._close()
        return [self._result(file) for file in self._queue.all]

    # -- what files ask (the Network protocol)

    def stop(self, fetch: Fetch) -> None:
        """End a fetch now, without calling ``ended``."""
        running = self._running.pop(fetch, None)
        if running is not None:
            self._detach(running)

    def distress(self) -> None:
        """Use fewer connections for a while."""
        self._governor.distress(self._clock())

    def hold(self, origin: Origin, seconds: float) -> None:
        """Ask nothing of an origin for so long."""
        self._holds[origin] = max(self._holds.get(origin, 0.0), self._clock() + seconds)

    # -- one turn

    def _turn(self) -> bool:
        """Do everything once; return whether a connection became free, so that the next turn is due."""
        now = self._clock()
        self._obey(now)
        self._workers.deliver()
        self._sweep()
        allowed = self._allowed()
        self._queue.admit(now, allowed, lambda file: self._held(file, now))
        self._assign(now, allowed)
        self._release_paused()
        ended = self._perform()
        for file in self._queue.open:
            file.pulse(now)
        if now - self._ticked >= _TICK_S:
            self._tick(now)
        return ended

    def _sweep(self, *, waiting: bool = False) -> None:
        """Hand out the results that are there; with ``waiting`` also of files that were stopped before their turn."""
        ended = self._queue.sweep()
        for file in ended + self._queue.sweep_waiting() if waiting else ended:
            self._done(self._result(file))

    def _obey(self, now: float) -> None:
        while self._commands:
            self._commands.popleft()(self._queue)
            self._sweep(waiting=True)
        limit = self._shared.share(self._limit(), now)
        if limit != self._bucket.rate:
            self._bucket.set_rate(limit)
            self._resize_buffers(limit)

    def _allowed(self) -> int:
        limit = self._bucket.rate
        if limit is None:
            return min(self._governor.allowed, self._pace.useful)
        # Under a low limit more connections, and more files, only wait for each other.
        return min(self._governor.allowed, max(1, int(limit // _POLITE_BYTES_PER_S)))

    def _assign(self, now: float, allowed: int) -> None:
        # Those that wait for a disk leave their place to others.
        held_up = sum(running.file.held_up for running in self._running.values())
        while len(self._running) - held_up < allowed:
            ready = [file for file in self._queue.open if self._may_ask(file, now)]
            # One that has failed gets one connection to prove itself, and more only after the others.
            ready.sort(key=lambda file: (file.troubled and bool(file.fetches), len(file.fetches)))
            if not any(self._take(file, now, allowed) for file in ready):
                return

    def _take(self, file: FileTransfer, now: float, allowed: int) -> Fetch | None:
        of_file = self._options.connections_per_file
        expected = allowed
        if self._bucket.rate is None and self._governor.allowed > 1:
            # Files share the connections; two at least, so that a slow one can be helped.
            large = sum(not file.small for file in self._queue.open)
            expected = max(2, self._governor.allowed // max(1, large))
        fetch = file.take(now, min(allowed, of_file), min(expected, of_file))
        if fetch is not None:
            connection = self._idle.pop() if self._idle else HttpConnection(self._settings, self._share)
            self._start(_Running(connection, file, fetch, now))
        return fetch

    def _may_ask(self, file: FileTransfer, now: float) -> bool:
        return file.state is State.ACTIVE and file.has_room and not self._held(file, now)

    def _held(self, file: FileTransfer, now: float) -> bool:
        """Return whether the server that a file would be asked of wants to be left alone."""
        return now < self._held_until(file.source.url)

    def _held_until(self, url: str) -> float:
        """Return the time before which nothing is to be asked of the server of ``url``."""
        if not self._holds:
            return 0.0
        try:
            return self._holds.get(Origin.of(url), 0.0)
        except TransferError:
            return 0.0  # the address makes no sense: its file fails by itself

    def _start(self, running: _Running) -> None:
        try:
            self._prepare(running)
        except TransferError as error:
            self._idle.append(running.connection)
            running.file.refused(running.fetch, error)
            return
        running.connection.handle.running = running
        self._running[running.fetch] = running
        self._multi.add_handle(running.connection.handle)

    def _prepare(self, running: _Running) -> None:
        fetch, file = running.fetch, running.file
        lease = fetch.lease
        fetch.asked_end = lease.end if fetch.ranged and lease.end > lease.start else None
        request = HttpRequest(
            url=fetch.url,
            start=lease.start,
            end=fetch.asked_end,
            token=file.source.token_for(fetch.url),
            bytes_per_s=self._rate_of(file),
            oldest_s=None if self._renewed_at is None else self._clock() - self._renewed_at,
            fresh=fetch.fresh,
            # It costs a third more of the loop's time, which matters only where that is the limit.
            http2=not self._pace.strained,
            ask_names=self._clock() - self._unresolved_at < _NAMES_DOUBTED_S,
        )
        running.alive_at = running.window_at = self._clock()
        running.window_bytes = fetch.sink.taken

        def on_head(status: int, headers: dict[str, str]) -> bool:
            self._pace.answered(self._clock() - running.alive_at)
            return file.head(fetch, status, headers)

        running.connection.prepare(request, fetch.sink, on_head)

    def _rate_of(self, file: FileTransfer) -> float | None:
        """Return what a limit leaves for one connection of a file; the only one that a file can have gets all of it."""
        limit = self._bucket.rate
        if limit is None or file.source.one_stream:
            return limit
        return limit / max(1, self._allowed())

    def _release_paused(self) -> None:
        for _ in range(len(self._paused)):
            if not self._bucket.open():
                return
            running = self._paused.popleft()
            if not running.file.has_room:
                self._paused.append(running)
            elif running.fetch in self._running and running.connection.paused:
                code = running.connection.unpause()
                if code:
                    self._ended(running, code, "")
                    continue
                running.alive_at = self._clock()
                if running.connection.paused:
                    self._paused.append(running)

    def _perform(self) -> bool:
        while self._multi.perform()[0] == pycurl.E_CALL_MULTI_PERFORM:
            pass
        left, ended = 1, False
        while left:
            left, good, bad = self._multi.info_read()
            ended = ended or bool(good or bad)
            for handle in good:
                self._ended(handle.running, 0, "")
            for handle, code, detail in bad:
                self._ended(handle.running, code, detail)
        waiting = set(map(id, self._paused))
        for running in self._running.values():
            if running.connection.paused and id(running) not in waiting:
                self._paused.append(running)
        return ended

    def _ended(self, running: _Running | None, code: int, detail: str) -> None:
        # One that ended may have stopped others whose end is in the same batch of messages.
        if running is None or self._running.get(running.fetch) is not running:
            return
        error = running.connection.error(code, detail) if code else None
        if code in _NOT_RESOLVED:
            self._unresolved_at = self._clock()
        running.fetch.slow_to_fail = code == pycurl.E_OPERATION_TIMEDOUT
        target = running.file.ended(running.fetch, error)
        if target is not None and self._running.pop(running.fetch, None) is not None:
            self._unplug(running)
            self._follow(running, target)
        elif self._running.pop(running.fetch, None) is not None:
            self._detach(running)

    def _follow(self, running: _Running, url: str) -> None:
        """Go on at ``url`` with a fetch that was redirected there, unless that server wants to be left alone."""
        held_until = self._held_until(url)
        if self._clock() < held_until:
            self._idle.append(running.connection)
            running.file.postpone(running.fetch, held_until)
        else:
            self._start(running)

    def _detach(self, running: _Running) -> None:
        self._unplug(running)
        self._idle.append(running.connection)

    def _unplug(self, running: _Running) -> None:
        self._multi.remove_handle(running.connection.handle)
        running.connection.handle.running = None

    # -- from time to time

    def _tick(self, now: float) -> None:
        slept = now - self._ticked > _SLEPT_S
        if self._bucket.rate is None and len(self._paused) < len(self._running):
            # Else the limit or a disk sets the pace.
            self._pace.tick(self._waited_s, now - self._ticked)
        self._waited_s = 0.0
        self._ticked = now
        for running in list(self._running.values()):
            self._watch(running, now, slept=slept)
        for file in list(self._queue.open):
            file.tick(now)
        received = sum(file.report.fetched for file in self._queue.open)
        saturated = len(self._running) >= self._governor.allowed and self._bucket.rate is None
        self._governor.tick(max(0, received - self._counted), now, saturated=saturated)
        self._counted = received
        self._holds = {origin: until for origin, until in self._holds.items() if until > now}

    def _watch(self, running: _Running, now: float, *, slept: bool) -> None:
        """End a connection that brings nothing: stalled, or open though all its bytes are here."""
        if self._bucket.rate is not None and running.file.source.one_stream:
            running.connection.widen(self._bucket.rate)
        taken = running.fetch.sink.taken
        if running.connection.paused or slept:
            running.alive_at = running.window_at = now
            running.window_bytes = taken
        elif taken + running.connection.heard != running.seen:
            running.seen, running.alive_at = taken + running.connection.heard, now
        silent = now - running.alive_at
        if silent > _LINGER_S and running.fetch.needs_no_more:
            self._ended(running, 0, "")
        elif silent > self._options.stall_timeout_s or self._trickles(running, taken, now):
            self._renewed_at = now
            self.stop(running.fetch)
            running.file.stalled(running.fetch)

    def _trickles(self, running: _Running, taken: int, now: float) -> bool:
        """Return whether so little comes that it is no better than nothing, and no limit of ours is the reason."""
        window_s = now - running.window_at
        if window_s < self._options.stall_timeout_s:
            return False
        least = _TRICKLE_BYTES_PER_S * window_s
        got, running.window_at, running.window_bytes = taken - running.window_bytes, now, taken
        rate = self._rate_of(running.file)
        return got < least and (rate is None or rate > 4 * _TRICKLE_BYTES_PER_S)

    def _resize_buffers(self, limit: float | None) -> None:
        """Tell connections what a limit leaves for each; those begun under a very other one begin anew."""
        wanted = None if limit is None else limit / max(1, self._allowed())
        before = self._begun_under
        if before is not None and wanted is not None and 0.5 <= wanted / before <= 2.0:
            return
        self._begun_under = wanted
        for running in list(self._running.values()):
            if running.fetch.verdict is not None:
                running.file.restart(running.fetch)
        if self._running or self._idle:
            self._renewed_at = self._clock()

    def _rest(self) -> None:
        began = self._clock()
        self._wait()
        if len(self._paused) < len(self._running):
            self._waited_s += self._clock() - began

    def _wait(self) -> None:
        if not self._running:
            self._workers.wait(_TURN_S)
            return
        timeout = _TURN_S
        if self._paused:
            timeout = min(timeout, max(0.001, self._bucket.wait_s()))
        if len(self._paused) == len(self._running):
            self._workers.wait(timeout)
            return
        if self._workers.pending:
            timeout = min(timeout, 0.01)
        if self._multi.select(timeout) == -1:
            self._workers.wait(min(timeout, 0.005))

    # -- the end

    def _stop_all(self) -> None:
        for file in self._queue.all:
            file.cancel()
        self._sweep(waiting=True)
        until = self._clock() + _CANCEL_S
        while not self._queue.finished and self._clock() < until:
            self._workers.deliver()
            self._sweep()
            for file in self._queue.open:
                file.tick(self._clock())
            self._workers.wait(0.01)

    def _close(self) -> None:
        self._shared.leave()
        for file in self._queue.all:
            file.cancel()
        for fetch in list(self._running):
            self.stop(fetch)
        self._sweep(waiting=True)
        # libcurl waits there for a name server that it has asked.
        closing = threading.Thread(target=self._close_libcurl, name="transfer-close", daemon=True)
        closing.start()
        closing.join(_CLOSE_S)
        if self._queue.finished:
            self._workers.close()
        else:
            # A disk that takes long to sync must not hold up who said stop; parts and locks are let go later.
            for file in self._queue.open:
                file.report.mute()
            # Not a daemon: the process waits for it a little, but not for a disk that hangs.
            late = partial(self._settle, self._clock() + _LATE_S)
            threading.Thread(target=late, name="transfer-late").start()

    def _close_libcurl(self) -> None:
        for connection in self._idle:
            connection.close()
        self._multi.close()
        self._share.close()

    def _settle(self, until: float = math.inf) -> None:
        """Let go of parts and locks as the disk allows; what is not done in time goes on in a daemon thread."""
        while not self._queue.finished and self._clock() < until:
            self._workers.wait(_TURN_S)
            self._workers.deliver()
            for file in self._queue.open:
                file.tick(self._clock())
            self._queue.sweep()
        if self._queue.finished:
            self._workers.close()
        else:
            threading.Thread(target=self._settle, name="transfer-late", daemon=True).start()

    @staticmethod
    def _result(file: FileTransfer) -> TransferResult:
        if file.result is not None:
            return file.result
        return TransferResult(file.request.key, CancelledError(), False, None, file.report.fetched)
