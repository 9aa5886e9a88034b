"""What the transfer benchmarks share: fetching in a process of its own, and a server that counts."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FETCH = """
import json, resource, sys, time
from pathlib import Path
from wangp_downloader.cancel import CancelToken
from wangp_downloader.files import Digest, DigestKind
from wangp_downloader.transfer import TransferEngine, TransferOptions, TransferRequest
job = json.load(sys.stdin)
requests = [TransferRequest(f["url"], f["url"], Path(f["to"]), f["size"],
    Digest(DigestKind.SHA256, f["sha256"]) if f["sha256"] else None) for f in job["files"]]
def peak():
    # Not ru_maxrss: that of the process which started this one counts there.
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))
idle = peak()
began = time.monotonic()
options = {**job["options"]}
if options.get("ca_file"):
    options["ca_file"] = Path(options["ca_file"])
results = TransferEngine(TransferOptions(**options)).run(requests, cancel=CancelToken())
used = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps({"seconds": time.monotonic() - began, "cpu": used.ru_utime + used.ru_stime,
    "memory": peak() - idle, "fetched": sum(r.bytes_fetched for r in results),
    "errors": [str(r.error) for r in results if r.error], "verified": all(r.verified for r in results)}))
"""
"""A program that fetches what it is told on stdin; ``memory`` is what it took over an idle one."""


def start_fetch(files: list[dict[str, object]], **options: object) -> subprocess.Popen[str]:
    """Start the program; its result comes on stdout."""
    process = subprocess.Popen(
        [sys.executable, "-c", FETCH], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    process.stdin.write(json.dumps({"files": files, "options": options}))
    process.stdin.close()
    process.stdin = None
    return process


def fetch(files: list[dict[str, object]], **options: object) -> dict[str, float]:
    """Fetch and return what the program measured."""
    process = start_fetch(files, **options)
    output, _ = process.communicate()
    result: dict[str, float] = json.loads(output)
    assert not result["errors"], result["errors"]
    return result


class CountingServer:
    """Serves endless zeros of any length by range; writes down when it sent how much."""

    def __init__(self, size: int, host: str = "127.0.0.1", send_buffer: int | None = 32 * 1024) -> None:
        self.size = size
        # A small one: what send() has returned for is nearly on the wire.
        self._send_buffer = send_buffer
        self.log: list[tuple[float, int]] = []
        self._socket = socket.create_server((host, 0), backlog=64)
        self.port: int = self._socket.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            connection, _ = self._socket.accept()
            if self._send_buffer is not None:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self._send_buffer)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            with connection, connection.makefile("rb") as lines:
                while lines.readline():
                    start, end = self._read_range(lines)
                    head = (
                        f"HTTP/1.1 206 Partial Content\r\nContent-Length: {end - start}\r\n"
                        f"Content-Range: bytes {start}-{end - 1}/{self.size}\r\n\r\n"
                    )
                    connection.sendall(head.encode())
                    self._send(connection, end - start)
        except OSError:
            pass

    def _read_range(self, lines: Iterator[bytes]) -> tuple[int, int]:
        start, end = 0, self.size
        for line in lines:
            if not line.strip():
                break
            name, _, value = line.decode().partition(":")
            if name.lower() == "range":
                first, last = value.strip().removeprefix("bytes=").split("-")
                start, end = int(first), int(last) + 1
        return start, end

    def _send(self, connection: socket.socket, left: int) -> None:
        block = memoryview(bytes(16 * 1024))
        while left:
            count = connection.send(block[:left])
            self.log.append((time.monotonic(), count))
            left -= count


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """Give an empty folder on tmpfs where there is one."""
    import shutil
    import tempfile

    base = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    folder = Path(tempfile.mkdtemp(prefix="bench-", dir=base))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
