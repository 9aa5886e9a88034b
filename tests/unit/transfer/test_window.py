from __future__ import annotations

import socket
import sys
from collections.abc import Iterator

import pytest

from wangp_downloader.transfer import window
from wangp_downloader.transfer.window import NewSockets, window_bytes
from wangp_downloader.units import KIB, MIB

Pair = tuple[NewSockets, socket.socket]
linux = pytest.mark.skipif(sys.platform != "linux", reason="asks Linux what the window is")


@pytest.fixture
def connected() -> Iterator[Pair]:
    """A connection made as libcurl makes it: noted before it connects."""
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as client:
        sockets = NewSockets()
        sockets.add(client.fileno())
        client.connect(server.getsockname())
        accepted, _ = server.accept()
        with accepted:
            yield sockets, client


def _clamp(client: socket.socket) -> int:
    return client.getsockopt(socket.IPPROTO_TCP, socket.TCP_WINDOW_CLAMP)


@linux
def test_a_long_way_gets_the_window_that_its_rate_needs(
    connected: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    sockets, client = connected
    monkeypatch.setattr(window, "_round_trip_s", lambda opened, otherwise: 0.15)
    sockets.connected(client.getsockname()[1], 10 * MIB)
    needed = int(10 * MIB * 0.15)
    assert _clamp(client) >= needed
    scaling = client.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)[6] >> 4
    assert (0xFFFF << scaling) >= needed  # else no window could be told that is so large


@linux
def test_a_short_way_gets_a_small_one(connected: Pair) -> None:
    sockets, client = connected
    sockets.connected(client.getsockname()[1], 500 * KIB)
    assert _clamp(client) < 32 * KIB


@linux
def test_only_the_socket_that_is_in_use_is_touched(connected: Pair) -> None:
    sockets, client = connected
    before = _clamp(client)
    sockets.connected(1, 500 * KIB)
    assert _clamp(client) == before


def test_a_socket_that_is_gone_does_no_harm() -> None:
    sockets, gone = NewSockets(), socket.socket()
    descriptor = gone.fileno()
    gone.close()
    sockets.add(descriptor)
    sockets.connected(80, 1e6)


@pytest.mark.parametrize(("rate", "round_trip_s"), [(0.0, 0.0), (1e12, 10.0), (1e6, 0.1)])
def test_windows_are_bounded_and_hold_a_round_trip(rate: float, round_trip_s: float) -> None:
    size = window_bytes(rate, round_trip_s)
    assert 8 * KIB <= size <= 16 * MIB
    assert size >= min(rate * round_trip_s, 16 * MIB)
