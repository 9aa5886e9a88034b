"""The two listeners of the loopback Hub: sockets, threads, what a fault does to an answer, pacing.

Owns how an answer goes out. What the answer is comes from the ``respond`` function it is given.
"""

from __future__ import annotations

import select
import socket
import socketserver
import struct
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from urllib.parse import unquote, urlsplit

from wangp_downloader.demo.faults import Fault, FaultKind
from wangp_downloader.demo.hub_content import Content
from wangp_downloader.demo.hub_pacing import Pacer
from wangp_downloader.demo.hub_wire import Answer, Line, Request


class Listener(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """One port; a thread a connection, all joined at the end."""

    allow_reuse_address = True
    request_queue_size = 256
    daemon_threads = False
    block_on_close = True

    def __init__(self, name: str, line: Line, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.name = name
        self.line = line
        self.port: int = self.server_address[1]
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self.serve_forever, args=(0.02,), name=f"hub-{name}")
        self._thread.start()

    def stop(self) -> None:
        """Refuse new connections, end the open ones, join all threads."""
        self.shutdown()
        self._thread.join()
        self.drop_connections()
        self.server_close()

    def drop_connections(self) -> None:
        """End all open connections; clients see them closed."""
        with self._lock:
            for connection in self._open:
                _quietly(connection.shutdown, socket.SHUT_RDWR)

    def process_request(
        self, request: socket.socket | tuple[bytes, socket.socket], client_address: object
    ) -> None:
        """Start the connection's thread, remembering its socket."""
        if isinstance(request, socket.socket):
            with self._lock:
                self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: socket.socket | tuple[bytes, socket.socket]) -> None:
        """Close the connection and forget it."""
        if isinstance(request, socket.socket):
            with self._lock:
                self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: object, client_address: object) -> None:
        """Keep an exception of the Hub itself; a client that went away is none."""
        error = sys.exception()
        if error is not None and not isinstance(error, OSError):
            self.line.crashes.append(error)


def _quietly(action: Callable[..., object], *args: object) -> None:
    try:
        action(*args)
    except OSError:
        pass


class _Ended(Exception):
    """The connection ends here, as a fault wants it."""


class _Handler(BaseHTTPRequestHandler):
    """One connection: parse, log, let the Hub answer, send."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Listener
    connection: socket.socket

    def do_GET(self) -> None:
        self._serve()

    def do_HEAD(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def log_message(self, format: str, *args: object) -> None:
        """Print nothing."""

    def version_string(self) -> str:
        """Return the ``Server`` header."""
        return "loopback-hub"

    def _serve(self) -> None:
        line = self.server.line
        request = self._read_request()
        line.note(request)
        faults = line.faults.take(request.listener, request.method, request.path)
        try:
            self._wait(line.shape.latency_s)
            self._answer(request, faults)
        except (_Ended, OSError):
            self.close_connection = True

    def _read_request(self) -> Request:
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = self.rfile.read(int(headers.get("content-length", 0)))
        path = unquote(urlsplit(self.path).path)
        listener = self.server
        return Request(listener.name, listener.port, self.command, self.path, path, headers, body)

    def _answer(self, request: Request, faults: list[Fault]) -> None:
        answer: Answer | None = None
        for fault in faults:
            answer = self._before(request, fault) or answer
        if answer is None:
            answer = self.server.line.respond(request)
        after = {fault.kind: fault for fault in faults}
        self._bend(answer, after)
        self._send_head(request, answer, after)
        if request.method != "HEAD":
            self._send_body(request, answer, after)

    def _before(self, request: Request, fault: Fault) -> Answer | None:
        match fault.kind:
            case FaultKind.HANG_UP:
                raise _Ended
            case FaultKind.DELAY:
                self._stay_silent(fault.seconds)
            case FaultKind.EXPIRE_SIGNATURE:
                self.server.line.revoke(request)
            case FaultKind.IGNORE_RANGE:
                self._hide_range(request)
            case FaultKind.ANSWER:
                headers = dict(fault.headers)
                if headers.get("Location") == "":
                    headers["Location"] = request.target
                return Answer(fault.status, headers, fault.body)
        return None

    @staticmethod
    def _hide_range(request: Request) -> None:
        value = request.headers.pop("range", None)
        if value is not None:
            request.headers["x-ignored-range"] = value

    @staticmethod
    def _bend(answer: Answer, faults: dict[FaultKind, Fault]) -> None:
        fault = faults.get(FaultKind.WRONG_CONTENT_RANGE)
        if fault is not None and answer.status == 206 and isinstance(answer.body, Content):
            answer.start = max(0, answer.start + fault.shift)
            answer.length = min(answer.length, answer.body.size - answer.start)
            last = answer.start + answer.length - 1
            answer.headers["Content-Range"] = f"bytes {answer.start}-{last}/{answer.body.size}"

    def _send_head(self, request: Request, answer: Answer, faults: dict[FaultKind, Fault]) -> None:
        wrong = faults.get(FaultKind.WRONG_LENGTH)
        request.status = answer.status
        self.send_response(answer.status, _phrase(answer.status))
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if "Content-Length" not in answer.headers:
            self.send_header("Content-Length", str(max(0, answer.length + (wrong.shift if wrong else 0))))
        if wrong is not None:
            self.close_connection = True
        self.end_headers()

    def _send_body(self, request: Request, answer: Answer, faults: dict[FaultKind, Fault]) -> None:
        cut = next((faults[kind] for kind in _CUTS if kind in faults), None)
        pacers = self._pacers(faults.get(FaultKind.SLOW))
        if cut is None and not pacers and self._send_from_disk(request, answer):
            return
        left = answer.length if cut is None else min(cut.after_bytes, answer.length)
        for chunk in _split(answer.chunks(), pacers):
            if left <= 0:
                break
            self._send_chunk(request, chunk[:left], pacers)
            left -= len(chunk)
        if cut is not None:
            self._cut(cut)

    def _send_chunk(self, request: Request, chunk: memoryview, pacers: list[Pacer]) -> None:
        self._wait(max((pacer.reserve(len(chunk)) for pacer in pacers), default=0.0))
        request.bytes_sent += len(chunk)
        self.connection.sendall(chunk)

    def _send_from_disk(self, request: Request, answer: Answer) -> bool:
        path = answer.body.disk_path if isinstance(answer.body, Content) else None
        if path is None or answer.length == 0:
            return False
        request.bytes_sent += answer.length
        with path.open("rb") as file:
            self.connection.sendfile(file, answer.start, answer.length)
        return True

    def _pacers(self, slow: Fault | None) -> list[Pacer]:
        line = self.server.line
        rates = [line.shape.connection_bytes_per_s, slow.bytes_per_s if slow else None]
        return [Pacer(rate) for rate in rates if rate] + ([line.total] if line.total else [])

    def _cut(self, fault: Fault) -> None:
        if fault.kind is FaultKind.STALL:
            self._stay_silent(fault.seconds)
        if fault.kind is FaultKind.RESET:
            # A linger time of zero makes close() send RST, what a crashed peer or a router does.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
        raise _Ended

    def _stay_silent(self, seconds: float | None) -> None:
        """Wait, but not longer than the client stays."""
        waited = 0.0
        while seconds is None or waited < seconds:
            step = 0.02 if seconds is None else min(0.02, seconds - waited)
            if self.server.line.closing.wait(step) or _peer_is_gone(self.connection):
                raise _Ended
            waited += step

    def _wait(self, seconds: float) -> None:
        if seconds > 0 and self.server.line.closing.wait(seconds):
            raise _Ended


_CUTS = (FaultKind.RESET, FaultKind.STALL, FaultKind.TRUNCATE)


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"


def _split(chunks: Iterable[memoryview], pacers: list[Pacer]) -> Iterator[memoryview]:
    if not pacers:
        yield from chunks
        return
    limit = min(pacer.chunk_bytes() for pacer in pacers)
    for chunk in chunks:
        for offset in range(0, len(chunk), limit):
            yield chunk[offset : offset + limit]


def _peer_is_gone(connection: socket.socket) -> bool:
    try:
        readable, _, _ = select.select([connection], [], [], 0)
        return bool(readable) and connection.recv(1, socket.MSG_PEEK) == b""
    except OSError:
        return True
