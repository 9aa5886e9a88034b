"""A line of its own delay and rate to a server in another network namespace: what loopback can not show.

Two tun devices, joined by a process that holds every packet back. Linux, as root, with ``ip`` of iproute2.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import select
import shutil
import socket
import struct
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from benchmarks._transfer import CountingServer

_TUNSETIFF, _IFF_TUN, _IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
_CLONE_NEWNET = 0x40000000
_OURS, _THEIRS = "10.99.7.1", "10.99.7.2"
_PACKET_BYTES = 2048


class Line:
    """The far end of a line.

    Attributes:
        url: Of a file on its server.
        log: When the server sent how much: monotonic seconds, bytes.
    """

    def __init__(self, port: int) -> None:
        self.url = f"http://{_THEIRS}:{port}/"
        self.log: list[tuple[float, int]] = []


def why_not() -> str | None:
    """Return why there can be no such line here, None if there can."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "needs Linux and root"
    if not Path("/dev/net/tun").exists() or shutil.which("ip") is None:
        return "needs /dev/net/tun and ip"
    return None


@contextmanager
def line(round_trip_s: float, bytes_per_s: float, size: int) -> Iterator[Line]:
    """Give a line, with a queue of 0.2 s in front of it, to a server of ``size`` bytes."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks._line", str(round_trip_s), str(bytes_per_s), str(size)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        found = Line(int(process.stdout.readline()))
        threading.Thread(target=_read_log, args=(process.stdout, found.log), daemon=True).start()
        yield found
    finally:
        process.terminate()
        process.wait()


def _read_log(lines: Iterator[str], log: list[tuple[float, int]]) -> None:
    for text in lines:
        at, count = json.loads(text)
        log.append((at, count))


# -- the process in between


def _serve(round_trip_s: float, bytes_per_s: float, size: int) -> None:
    near = _device("wangp0", _OURS)
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    if os.fork() == 0:
        ours.close()
        os.close(near)
        _far_end(theirs, size)
    theirs.close()
    _, (far,), _, _ = socket.recv_fds(ours, 1, 1)
    _carry((near, far), round_trip_s / 2, bytes_per_s)


def _far_end(back: socket.socket, size: int) -> None:
    if ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWNET) != 0:
        os._exit(1)
    socket.send_fds(back, [b"x"], [_device("wangp1", _THEIRS)])
    server = CountingServer(size, _THEIRS, send_buffer=None)
    print(server.port, flush=True)
    told = 0
    while os.getppid() != 1:
        time.sleep(0.02)
        new, told = server.log[told:], len(server.log)
        if new:
            print(json.dumps([new[-1][0], sum(count for _, count in new)]), flush=True)
    os._exit(0)


def _device(name: str, address: str) -> int:
    descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(descriptor, _TUNSETIFF, struct.pack("16sH", name.encode(), _IFF_TUN | _IFF_NO_PI))
    for words in (["addr", "add", f"{address}/30", "dev", name], ["link", "set", name, "up"]):
        subprocess.run(["ip", *words], check=True)
    return descriptor


def _carry(ends: tuple[int, int], delay_s: float, bytes_per_s: float) -> None:
    """Carry packets for ever, each direction with its own queue."""
    waiting: dict[int, deque[tuple[float, bytes]]] = {end: deque() for end in ends}
    free_at = dict.fromkeys(ends, 0.0)
    while True:
        now = time.monotonic()
        dues = [queue[0][0] for queue in waiting.values() if queue]
        timeout = max(0.0, min(dues, default=now + 1.0) - now)
        for end in select.select(ends, (), (), timeout)[0]:
            _take(end, waiting[end], free_at, bytes_per_s, delay_s)
        now = time.monotonic()
        for end, other in (ends, ends[::-1]):
            while waiting[end] and waiting[end][0][0] <= now:
                with suppress(OSError):
                    os.write(other, waiting[end].popleft()[1])


def _take(
    end: int, queue: deque[tuple[float, bytes]], free_at: dict[int, float], bytes_per_s: float, delay_s: float
) -> None:
    now = time.monotonic()
    with suppress(BlockingIOError):
        for _ in range(64):
            packet = os.read(end, _PACKET_BYTES)
            begins = max(now, free_at[end])
            if begins - now < 0.2:  # else the queue is full
                free_at[end] = begins + len(packet) / bytes_per_s
                queue.append((free_at[end] + delay_s, packet))


if __name__ == "__main__":
    _serve(float(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]))
