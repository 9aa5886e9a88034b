"""libcurl's error codes as this program's errors: one table (https://curl.se/libcurl/c/libcurl-errors.html)."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import pycurl

from wangp_downloader.errors import DownloaderError, OfflineError, StorageError, TransferError

# Without a name in pycurl.
_WEIRD_SERVER_REPLY = 8
_HTTP2_STREAM = 92
_PROXY = 97
_TOO_LARGE = 100
_CONNECT = re.compile(r"CONNECT tunnel failed, response (\d{3})")
_CA_HINT = "behind a company proxy, SSL_CERT_FILE must name its certificate"
_NET_HINT = "check the network, a VPN and the proxy settings"


def _retry(message: str, hint: str | None = None) -> DownloaderError:
    return TransferError(message, retryable=True, hint=hint)


def _never(message: str, hint: str | None = None) -> DownloaderError:
    return TransferError(message, hint=hint)


def _offline(message: str, hint: str | None = None) -> DownloaderError:
    return OfflineError(message, hint=hint or _NET_HINT)


@dataclass(frozen=True, slots=True)
class _Row:
    make: Callable[[str, str | None], DownloaderError]
    what: str
    hint: str | None = None


TABLE: dict[int, _Row] = {
    # Also for a status line of another protocol; addresses were looked at before.
    pycurl.E_UNSUPPORTED_PROTOCOL: _Row(_retry, "the server does not speak HTTP"),
    pycurl.E_URL_MALFORMAT: _Row(_never, "the address makes no sense"),
    pycurl.E_COULDNT_RESOLVE_PROXY: _Row(_offline, "the proxy's name can not be resolved"),
    pycurl.E_COULDNT_RESOLVE_HOST: _Row(_offline, "the host's name can not be resolved (DNS)"),
    pycurl.E_COULDNT_CONNECT: _Row(_offline, "the connection was refused or is not possible"),
    _WEIRD_SERVER_REPLY: _Row(_retry, "the server does not speak HTTP"),
    pycurl.E_HTTP2: _Row(_retry, "HTTP/2 protocol error"),
    pycurl.E_PARTIAL_FILE: _Row(_retry, "the connection ended before all bytes were there"),
    pycurl.E_OPERATION_TIMEDOUT: _Row(_offline, "no answer in time"),
    pycurl.E_SSL_CONNECT_ERROR: _Row(_retry, "the TLS handshake failed", _CA_HINT),
    pycurl.E_BAD_DOWNLOAD_RESUME: _Row(_retry, "the server does not resume"),
    pycurl.E_GOT_NOTHING: _Row(_retry, "the server closed the connection without an answer"),
    pycurl.E_SEND_ERROR: _Row(_retry, "the connection broke while sending"),
    pycurl.E_RECV_ERROR: _Row(_retry, "the connection was reset"),
    pycurl.E_PEER_FAILED_VERIFICATION: _Row(_never, "the server's certificate is not trusted", _CA_HINT),
    pycurl.E_SSL_CACERT_BADFILE: _Row(
        _never, "the certificate bundle can not be read", "check SSL_CERT_FILE and REQUESTS_CA_BUNDLE"
    ),
    pycurl.E_SSL_CERTPROBLEM: _Row(_never, "a local certificate can not be used"),
    pycurl.E_SSL_CIPHER: _Row(_never, "no common TLS cipher"),
    pycurl.E_BAD_CONTENT_ENCODING: _Row(_never, "the content is encoded in an unknown way"),
    _HTTP2_STREAM: _Row(_retry, "HTTP/2 stream error"),
    _PROXY: _Row(_retry, "the proxy refused", "check HTTPS_PROXY and NO_PROXY"),
    _TOO_LARGE: _Row(_retry, "the answer's headers are too large"),
    pycurl.E_WRITE_ERROR: _Row(_retry, "the answer was cut off"),
    pycurl.E_OUT_OF_MEMORY: _Row(lambda text, hint: StorageError(text, hint=hint), "out of memory"),
}


def _proxy_error(status: int, url: str) -> DownloaderError:
    """Return the error for a proxy that answered a CONNECT with something else than a connection."""
    if status == 407:
        return _never(f"{url}: the proxy wants a login (407)", "put user and password into HTTPS_PROXY")
    text, hint = f"{url}: the proxy refused ({status})", "check HTTPS_PROXY and NO_PROXY"
    return _retry(text, hint) if status >= 500 or status == 429 else _never(text, hint)


def curl_error(code: int, detail: str, url: str) -> DownloaderError:
    """Return the error for a failed transfer.

    Args:
        code: libcurl's ``CURLcode``.
        detail: libcurl's own sentence; may name host and port, never a query.
        url: Redacted URL.
    """
    refused = _CONNECT.search(detail)
    if refused is not None:
        return _proxy_error(int(refused[1]), url)
    row = TABLE.get(code)
    if row is None:
        return _retry(f"{url}: {detail or f'libcurl error {code}'}")
    return row.make(
        f"{url}: {row.what}" + (f" ({detail})" if detail and "://" not in detail else ""), row.hint
    )
