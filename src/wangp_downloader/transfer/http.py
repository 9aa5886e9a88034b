"""One HTTP connection's work: a libcurl easy handle that fetches one range into a sink.

Owns the options that libcurl gets. Redirects are never followed here, and what an answer means is decided
by who asked (``on_head``). Knows no files and no retries.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pycurl

from wangp_downloader.errors import DownloaderError, TransferError
from wangp_downloader.paths import redact_url
from wangp_downloader.transfer.certs import Trust
from wangp_downloader.transfer.curl_errors import curl_error
from wangp_downloader.transfer.headers import parse_status_line
from wangp_downloader.transfer.redirect import escaped
from wangp_downloader.transfer.transport import Sink, Taken
from wangp_downloader.transfer.window import NewSockets, widen
from wangp_downloader.units import KIB

_ALL, _LATER = Taken.ALL, Taken.LATER  # looked up for every 16 KB
_log = logging.getLogger(__name__)
_REFUSED_BODY_BYTES = 64 * KIB
_SMALL_BUFFER = 16 * KIB
_SMALLEST_BUFFER = 8 * KIB
_BUFFER_S = 0.016
_MOST_HEADERS = 2000
# Without a name in pycurl: CURLSSLOPT_NATIVE_CA and CURLOPT_SUPPRESS_CONNECT_HEADERS of curl/curl.h.
_NATIVE_CA = 1 << 4
_SUPPRESS_CONNECT_HEADERS = 265

OnHead = Callable[[int, dict[str, str]], bool]
"""Told status and headers (names in lowercase); returns whether the body is wanted."""


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """What all connections have in common.

    Attributes:
        trust: Certificates.
        user_agent: Of the program.
        connect_timeout_s: For TCP and TLS.
        buffer_bytes: What libcurl may receive at once, and holds for a connection that is paused.
    """

    trust: Trust
    user_agent: str
    connect_timeout_s: float
    buffer_bytes: int


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """One GET.

    Attributes:
        url: Where to; not shown anywhere.
        start: First byte.
        end: Byte after the last, None for the whole file without ``Range``.
        token: For the ``Authorization`` header, or None.
        bytes_per_s: What a limit leaves for this connection, None for no limit. The sender then
            gets a small window, so that it is held back too and does not come in bursts.
        fresh: True to open a new TCP connection.
        oldest_s: Age up to which an open TCP connection may be used again, None for any.
        http2: True to use HTTP/2 where the server offers it.
        ask_names: True to ask the name server again: what is remembered may be that it did not answer.
    """

    url: str
    start: int
    end: int | None
    token: str | None = field(default=None, repr=False)
    bytes_per_s: float | None = None
    fresh: bool = False
    oldest_s: float | None = None
    http2: bool = True
    ask_names: bool = False


class HttpConnection:
    """An easy handle, used for one request after the other.

    Attributes:
        handle: libcurl's handle.
        paused: True while the sink would not take more.
        heard: Header lines so far, to see whether the other side is alive.
        broken: A mistake of ours that ended the request.
    """

    def __init__(self, settings: HttpSettings, share: Any) -> None:
        self.handle: Any = pycurl.Curl()
        # Survives every reset of the handle.
        self.handle.setopt(pycurl.SHARE, share)
        self.paused = False
        self.heard = 0
        self.broken: TransferError | None = None
        self._settings = settings
        self._url = ""
        self._status = 0
        self._headers: dict[str, str] = {}
        self._on_head: OnHead = _refuse
        self._sink: Sink | None = None
        self._take: Callable[[bytes], Taken] | None = None
        self._refused = 0
        self._rate: float | None = None
        self._sockets = NewSockets()

    def prepare(self, request: HttpRequest, sink: Sink, on_head: OnHead) -> None:
        """Set the handle up for a request; adding it to a multi handle starts it.

        Raises:
            TransferError: It can not be asked for like this.
        """
        try:
            self._prepare(request, sink, on_head)
        except (pycurl.error, ValueError, TypeError) as error:
            raise TransferError(f"{redact_url(request.url)} can not be asked for: {error}") from error

    def _prepare(self, request: HttpRequest, sink: Sink, on_head: OnHead) -> None:
        self._url = redact_url(request.url)
        self._sink, self._on_head = sink, on_head
        self._status, self._refused, self.heard = 0, 0, 0
        self._take, self.paused = None, False
        self.broken = None
        handle = self.handle
        handle.reset()
        # Everything goes to libcurl as bytes: text would have to be ASCII.
        handle.setopt(pycurl.URL, escaped(request.url).encode())
        handle.setopt(pycurl.WRITEFUNCTION, self._body)
        handle.setopt(pycurl.HEADERFUNCTION, self._header)
        handle.setopt(pycurl.HTTPHEADER, _headers(request))
        if request.end is not None:
            handle.setopt(pycurl.RANGE, f"{request.start}-{request.end - 1}")
        # In whole seconds, of which 0 would mean any age.
        age_s = None if request.oldest_s is None else int(request.oldest_s)
        if request.fresh or age_s == 0:
            handle.setopt(pycurl.FRESH_CONNECT, 1)
        elif age_s is not None:
            handle.setopt(pycurl.MAXLIFETIME_CONN, age_s)
        if request.ask_names:
            handle.setopt(pycurl.DNS_CACHE_TIMEOUT, 0)
        limited = request.bytes_per_s is not None
        handle.setopt(pycurl.BUFFERSIZE, self._buffer_bytes(request.bytes_per_s))
        # HTTP/2's own windows would take megabytes that the limit has not granted.
        http2 = request.http2 and not limited
        version = pycurl.CURL_HTTP_VERSION_2TLS if http2 else pycurl.CURL_HTTP_VERSION_1_1
        handle.setopt(pycurl.HTTP_VERSION, version)
        self._rate, self._sockets = request.bytes_per_s, NewSockets()
        if limited:
            handle.setopt(pycurl.SOCKOPTFUNCTION, self._socket_made)
            handle.setopt(pycurl.PREREQFUNCTION, self._connected)
        self._common(handle)
        _proxy_as_everywhere(handle, request.url)

    def _buffer_bytes(self, bytes_per_s: float | None) -> int:
        """Return what libcurl may receive at once: under a limit so little that it comes evenly."""
        if bytes_per_s is None:
            return self._settings.buffer_bytes
        return max(_SMALLEST_BUFFER, min(_SMALL_BUFFER, int(bytes_per_s * _BUFFER_S)))

    def _common(self, handle: Any) -> None:
        handle.setopt(pycurl.NOSIGNAL, 1)
        handle.setopt(pycurl.FOLLOWLOCATION, 0)
        handle.setopt(pycurl.PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS)
        handle.setopt(_SUPPRESS_CONNECT_HEADERS, 1)
        handle.setopt(pycurl.USERAGENT, self._settings.user_agent)
        handle.setopt(pycurl.CONNECTTIMEOUT_MS, int(self._settings.connect_timeout_s * 1000))
        handle.setopt(pycurl.TCP_KEEPALIVE, 1)
        trust = self._settings.trust
        if trust.file is not None:
            handle.setopt(pycurl.CAINFO, os.fsencode(trust.file))
        elif trust.folder is not None:
            handle.setopt(pycurl.CAPATH, os.fsencode(trust.folder))
        elif sys.platform in {"win32", "darwin"}:
            handle.setopt(pycurl.SSL_OPTIONS, _NATIVE_CA)

    def unpause(self) -> int:
        """Offer the sink what it would not take; may pause again at once.

        Returns:
            0, or libcurl's error code where the sink wants no more: the request then has ended.
        """
        self.paused = False
        try:
            self.handle.pause(pycurl.PAUSE_CONT)
        except pycurl.error as error:
            return int(error.args[0])
        return 0

    def widen(self, bytes_per_s: float) -> None:
        """Let more come than was meant at the beginning."""
        if self._rate is not None and bytes_per_s > self._rate and self._take is not None:
            self._rate = bytes_per_s
            widen(self.handle.getinfo(pycurl.ACTIVESOCKET), bytes_per_s)

    def error(self, code: int, detail: str) -> DownloaderError:
        """Return what libcurl's error code means."""
        return self.broken or curl_error(code, detail, self._url)

    def close(self) -> None:
        """Free the handle."""
        self._sink = self._take = None
        self._on_head = _refuse
        self.handle.close()

    def _socket_made(self, descriptor: int, purpose: int) -> int:
        self._sockets.add(descriptor)
        ok: int = pycurl.SOCKOPT_OK
        return ok

    def _connected(self, remote: str, local: str, remote_port: int, local_port: int) -> int:
        if self._rate is not None:
            self._sockets.connected(local_port, self._rate)
        ok: int = pycurl.PREREQFUNC_OK
        return ok

    def _header(self, line: bytes) -> int | None:
        try:
            self._read_header(line)
        except Exception as error:  # noqa: BLE001 - libcurl could only print it and go on
            _log.exception("judging an answer broke")
            self.broken = TransferError(f"internal error: {error!r}")
            return -1
        return None

    def _read_header(self, line: bytes) -> None:
        self.heard += 1
        status = parse_status_line(line) if line.startswith(b"HTTP/") else None
        if status is not None:
            self._status, self._headers = status, {}
        elif line.strip():
            name, colon, value = line.decode("latin-1").partition(":")
            if colon and len(self._headers) < _MOST_HEADERS:
                self._headers[name.strip().lower()] = value.strip()
        elif self._status >= 200:
            wanted = self._on_head(self._status, self._headers)
            self._take = self._sink.write if wanted and self._sink is not None else None

    def _body(self, data: bytes) -> int | None:
        take = self._take
        if take is None:
            # A short explanation is read to its end, so that the connection can be used again.
            self._refused += len(data)
            return None if self._refused <= _REFUSED_BODY_BYTES else -1
        taken = take(data)
        if taken is _ALL:
            return None
        if taken is _LATER:
            self.paused = True
            pause: int = pycurl.WRITEFUNC_PAUSE
            return pause
        return -1


def _refuse(status: int, headers: dict[str, str]) -> bool:
    return False


def _headers(request: HttpRequest) -> list[bytes]:
    headers = ["Accept: */*", "Accept-Encoding: identity"]
    if request.token is not None:
        if not request.token.isprintable():
            raise TransferError("the token holds characters that can not be sent", hint="check HF_TOKEN")
        headers.append(f"Authorization: Bearer {request.token}")
    return [header.encode() for header in headers]


def _proxy_as_everywhere(handle: Any, url: str) -> None:
    """Let ``HTTP_PROXY`` count as in other programs: libcurl reads only the lowercase form of that one."""
    if url.startswith("http://") and not os.environ.get("http_proxy"):
        proxy = os.environ.get("HTTP_PROXY")
        if proxy:
            handle.setopt(pycurl.PROXY, proxy.encode())
