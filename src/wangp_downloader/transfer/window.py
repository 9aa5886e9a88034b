"""The TCP receive window of a connection with a limit: what the other side may send before we have read it.

Kept to what the limit needs over one round trip, so that the sender is held back evenly and does not come in bursts.
Set once the connection is up: a receive buffer that is small from the start rules out window scaling (RFC 7323), and
with it every larger window for as long as the connection lives. Sources: tcp(7), Linux's ``tcp_select_initial_window``.
"""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cache, partial
from pathlib import Path

from wangp_downloader.units import KIB

_SEGMENT_BYTES = 1440
_SLACK_S = 0.02
_USUAL_TRIP_S = 0.1
_SPARE = 2.0
_SMALLEST = 8 * KIB
_LARGEST = 16 * 1024 * KIB
_RMEM_MAX = Path("/proc/sys/net/core/rmem_max")
_LEAST_RMEM_MAX = 64 * KIB
_RTT_OFFSET = 68  # of tcpi_rtt, in microseconds, in struct tcp_info of linux/tcp.h


class NewSockets:
    """The sockets that were made for one request, until one of them is connected."""

    def __init__(self) -> None:
        self._began: dict[int, float] = {}

    def add(self, descriptor: int) -> None:
        """Note a socket that is about to connect."""
        self._began[descriptor] = time.monotonic()
        _borrow(descriptor, _small_segments)

    def connected(self, local_port: int, bytes_per_s: float) -> None:
        """Give the one bound to ``local_port`` a window for ``bytes_per_s``; does nothing if none of them is."""
        began, self._began = self._began, {}
        for descriptor, at in began.items():
            passed_s = time.monotonic() - at
            _borrow(descriptor, partial(_fit, bytes_per_s=bytes_per_s, trip_s=passed_s, port=local_port))


def widen(descriptor: int, bytes_per_s: float) -> None:
    """Give a socket that is in use a window for ``bytes_per_s``."""
    _borrow(descriptor, partial(_fit, bytes_per_s=bytes_per_s, trip_s=_USUAL_TRIP_S))


def window_bytes(bytes_per_s: float, round_trip_s: float) -> int:
    """Return a window that lets a rate through and holds little more."""
    size = int(bytes_per_s * (_SPARE * round_trip_s + _SLACK_S))
    return max(_SMALLEST, min(_LARGEST, size))


def set_window(opened: socket.socket, size: int) -> None:
    """Set the receive window of a connected socket, as far as the system lets us."""
    clamp = getattr(socket, "TCP_WINDOW_CLAMP", None)
    if clamp is not None:
        # Linux keeps to the window that the buffer of before allowed.
        opened.setsockopt(socket.IPPROTO_TCP, clamp, size)
    if clamp is None or size <= _largest_buffer():
        # A larger one would be cut there without a word, and could grow no more: Linux then finds the size itself.
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)


def _fit(opened: socket.socket, bytes_per_s: float, trip_s: float, port: int | None = None) -> None:
    """Give a socket, if it is the one at ``port``, its window; ``trip_s`` counts where the system knows no better."""
    if port is None or opened.getsockname()[1] == port:
        set_window(opened, window_bytes(bytes_per_s, _round_trip_s(opened, trip_s)))


@cache
def _largest_buffer() -> int:
    """Return the largest receive buffer that Linux gives a program."""
    try:
        return int(_RMEM_MAX.read_text())
    except (OSError, ValueError):
        return _LEAST_RMEM_MAX


def _round_trip_s(opened: socket.socket, otherwise: float) -> float:
    """Return what the system has measured; where it does not say, the time that connecting took, with TLS."""
    info = getattr(socket, "TCP_INFO", None)
    if info is not None:
        with suppress(OSError, struct.error):
            known = opened.getsockopt(socket.IPPROTO_TCP, info, _RTT_OFFSET + 4)
            return float(struct.unpack_from("I", known, _RTT_OFFSET)[0]) / 1e6
    return otherwise


def _small_segments(opened: socket.socket) -> None:
    # The window opens in steps of a segment, which may be 64 KB on loopback and jumbo links.
    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, _SEGMENT_BYTES)


def _borrow(descriptor: int, use: Callable[[socket.socket], None]) -> None:
    """Use libcurl's socket; what a system does not know is left out: the limit holds all the same, less smoothly."""
    with suppress(OSError, AttributeError, IndexError):
        opened = socket.socket(fileno=descriptor)
        try:
            use(opened)
        finally:
            opened.detach()
