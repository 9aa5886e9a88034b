"""What goes over the wire of the loopback Hub, as values: a request, an answer, and the line they share.

Owns the request log, the faults and the shape of the link. Opens no socket.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

from wangp_downloader.demo.faults import FaultTable
from wangp_downloader.demo.hub_content import Content
from wangp_downloader.demo.hub_pacing import Pacer, Shape


@dataclass(slots=True)
class Request:
    """One request, as received; also the entry in the log (``status`` and ``bytes_sent`` come last).

    Attributes:
        listener: ``hub`` or ``cdn``.
        port: The port it came to.
        method: ``GET``, ``HEAD``, ``POST``.
        target: The request target as sent: path and query, escaped.
        path: The decoded path without query.
        headers: Names in lowercase.
        body: Of a POST.
        status: What was answered, 0 if nothing was.
        bytes_sent: Bytes of body sent so far.
    """

    listener: str
    port: int
    method: str
    target: str
    path: str
    headers: dict[str, str]
    body: bytes = b""
    status: int = 0
    bytes_sent: int = 0

    @property
    def authorized(self) -> bool:
        """True if an ``Authorization`` header came with it."""
        return "authorization" in self.headers

    @property
    def token(self) -> str | None:
        """The bearer token that came with it."""
        kind, _, value = self.headers.get("authorization", "").partition(" ")
        return value.strip() if kind.lower() == "bearer" else None

    @property
    def range(self) -> str | None:
        """The ``Range`` header."""
        return self.headers.get("range")

    @property
    def query(self) -> dict[str, list[str]]:
        """The query's parameters."""
        return parse_qs(urlsplit(self.target).query, keep_blank_values=True)


@dataclass(slots=True)
class Answer:
    """What to send.

    Attributes:
        status: HTTP status.
        headers: Without ``Content-Length``, which the body gives.
        body: Bytes, or content of which ``length`` bytes from ``start`` are sent.
    """

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | Content = b""
    start: int = 0
    length: int = 0

    def __post_init__(self) -> None:
        if isinstance(self.body, bytes):
            self.length = len(self.body)

    def chunks(self) -> Iterable[memoryview]:
        """Yield the body."""
        if isinstance(self.body, Content):
            return self.body.chunks(self.start, self.length)
        return [memoryview(self.body)]


Respond = Callable[[Request], Answer]


@dataclass(slots=True)
class Line:
    """What both listeners share: the log, the faults, the shape of the link, the end.

    Attributes:
        log: All requests, in order of arrival.
        faults: What goes wrong.
        closing: Set when the Hub shuts down: whoever waits stops.
        crashes: Exceptions of the Hub itself; a test's Hub raises the first at its end.
    """

    respond: Respond
    revoke: Callable[[Request], None]
    log: list[Request] = field(default_factory=list)
    faults: FaultTable = field(default_factory=FaultTable)
    closing: threading.Event = field(default_factory=threading.Event)
    crashes: list[BaseException] = field(default_factory=list)
    shape: Shape = field(default_factory=Shape)
    total: Pacer | None = None
    _arrived: threading.Condition = field(default_factory=threading.Condition)

    def note(self, request: Request) -> None:
        """Put a request into the log and wake who waits for it."""
        with self._arrived:
            self.log.append(request)
            self._arrived.notify_all()

    def wait_for(self, path: str, count: int, timeout_s: float) -> bool:
        """Wait until so many requests for ``path`` have come; return whether they have."""
        with self._arrived:
            return self._arrived.wait_for(
                lambda: sum(path in request.path for request in self.log) >= count, timeout_s
            )

    def set_shape(self, shape: Shape) -> None:
        """Change the link, from the next chunk on for the total, from the next request on otherwise."""
        self.shape = shape
        self.total = Pacer(shape.total_bytes_per_s) if shape.total_bytes_per_s else None
