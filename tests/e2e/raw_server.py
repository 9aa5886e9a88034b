"""A server of scripted bytes: for answers that no proper HTTP server would give."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

Answer = Callable[["Conversation"], None]


class Conversation:
    """One request, and the socket to answer it on."""

    def __init__(self, connection: socket.socket, head: str) -> None:
        self.connection = connection
        self.head = head
        found = re.search(r"^range: bytes=(\d+)-(\d+)", head, re.IGNORECASE | re.MULTILINE)
        self.range = (int(found[1]), int(found[2]) + 1) if found else None

    def send(self, data: bytes) -> None:
        self.connection.sendall(data)

    def part(
        self, content: bytes, *, head: str = "", total: int | None = None, bytes_per_s: int | None = None
    ) -> None:
        """Answer properly: 206 for a range, 200 without one."""
        start, end = self.range or (0, len(content))
        status = "206 Partial Content" if self.range else "200 OK"
        place = f"Content-Range: bytes {start}-{end - 1}/{total or len(content)}\r\n" if self.range else ""
        self.send(
            f"HTTP/1.1 {status}\r\n{place}{head}Content-Length: {end - start}\r\n\r\n".encode("latin-1")
        )
        while bytes_per_s is not None and start < end:
            self.send(content[start : min(end, start + bytes_per_s // 20)])
            start += bytes_per_s // 20
            time.sleep(0.05)
        self.send(content[start:end])

    def close(self) -> None:
        self.connection.shutdown(socket.SHUT_RDWR)


class RawServer:
    """Answers the requests in the order of their arrival by a function; counts them and the bytes sent."""

    def __init__(self, answer: Answer) -> None:
        self.requests: list[Conversation] = []
        self._answer = answer
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._closed = False
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while not self._closed:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        try:
            with connection, connection.makefile("rb") as lines:
                while head := _read_head(lines):
                    conversation = Conversation(connection, head)
                    self.requests.append(conversation)
                    self._answer(conversation)
        except OSError:
            pass

    def close(self) -> None:
        self._closed = True
        self._socket.close()
        for conversation in self.requests:
            with suppress(OSError):
                conversation.close()


def _read_head(lines: Iterator[bytes]) -> str:
    head = b""
    for line in lines:
        head += line
        if not line.strip():
            break
    return head.decode("latin-1")


@contextmanager
def serving(answer: Answer) -> Iterator[RawServer]:
    server = RawServer(answer)
    try:
        yield server
    finally:
        server.close()
