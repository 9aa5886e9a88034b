"""Where a redirect may lead, and who gets the token. Pure functions.

libcurl's own following is off: it would be one option away from sending the token elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote, urljoin, urlsplit, urlunsplit

from wangp_downloader.errors import TransferError
from wangp_downloader.paths import redact_url

MOST_HOPS = 10
_PORTS = {"http": 80, "https": 443}
_STAYS = "%/:=&?~#+!$,;'@()*[]"
"""What is not escaped in a path or query: it has a meaning there, or is an escape already."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Scheme, host and port: the unit that a token belongs to (RFC 6454)."""

    scheme: str
    host: str
    port: int

    @classmethod
    def of(cls, url: str) -> Origin:
        """Return the origin of an http(s) URL.

        Raises:
            TransferError: It is no http(s) URL, or makes no sense as one.
        """
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError as error:
            raise TransferError(f"can not understand the address {_shown(url)}: {error}") from None
        scheme = parts.scheme.lower()
        if scheme not in _PORTS:
            raise TransferError(f"refused the address {_shown(url)}: it is neither http nor https")
        if not host:
            raise TransferError(f"refused the address {_shown(url)}: it names no host")
        return cls(scheme, host.lower(), port or _PORTS[scheme])


def next_url(current: str, location: str) -> str:
    """Return the URL that a redirect leads to.

    Args:
        current: The URL that answered with the redirect.
        location: Its ``Location`` header; may be relative (RFC 9110, section 10.2.2).

    Raises:
        TransferError: It leads to another scheme, or from https to http. Not retryable.
    """
    came_from = Origin.of(current)
    try:
        target = urljoin(current, _as_utf8(location).strip())
    except ValueError:
        raise TransferError(f"{_shown(current)} redirects to an address that makes no sense") from None
    try:
        origin = Origin.of(target)
    except TransferError as error:
        raise TransferError(f"{_shown(current)} redirects astray: {error.message}") from None
    if came_from.scheme == "https" and origin.scheme != "https":
        raise TransferError(f"{_shown(current)} redirects from https to plain http: refused")
    return _without_credentials(target)


def _without_credentials(url: str) -> str:
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return escaped(urlunsplit((parts.scheme, host, parts.path or "/", parts.query, "")))


def escaped(url: str) -> str:
    """Return an http(s) URL with everything in path and query percent-encoded that a request line can not hold."""
    parts = urlsplit(url)
    path, query = quote(parts.path, safe=_STAYS), quote(parts.query, safe=_STAYS)
    return urlunsplit((parts.scheme, parts.netloc, path, query, ""))


def _as_utf8(value: str) -> str:
    """Return a header's value, which arrives as Latin-1, as the UTF-8 that most servers mean."""
    try:
        return value.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return value


def _shown(url: str) -> str:
    try:
        return redact_url(url)
    except ValueError:
        return "(unreadable address)"
