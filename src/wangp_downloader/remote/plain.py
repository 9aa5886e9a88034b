"""The size of a file on a host that is no Hub, from its headers. Never fetches a body, never sends a token.

Such URLs may carry secrets in their query string: messages name them only through ``redact_url``.
"""

from __future__ import annotations

import http.client
import re
import ssl
import urllib.error
import urllib.request
from contextlib import closing
from email.message import Message
from functools import lru_cache, partial
from typing import IO
from urllib.parse import urlsplit

from wangp_downloader.errors import DownloaderError, NotFoundError, OfflineError, RemoteError
from wangp_downloader.paths import redact_url
from wangp_downloader.remote.certificates import chosen_context
from wangp_downloader.remote.foreign import Asked, UnreachableError, error_for_status, lowercase, translate
from wangp_downloader.remote.pool import within

_CONTENT_RANGE = re.compile(r"bytes\s+\d+-\d+/(\d+)")
_HEADERS = {"User-Agent": "wangp-downloader", "Accept": "*/*", "Accept-Encoding": "identity"}
_MOST_SILENCES = 3
# Hosts that sign URLs for GET alone, or know no HEAD, answer it with one of these.
_HEAD_REFUSED = frozenset({400, 401, 403, 404, 405, 406, 408})
_WEB_PAGES = frozenset({"text/html", "application/xhtml+xml"})
_NAMES_OF_WEB_PAGES = (".html", ".htm", ".xhtml")


class WebPageError(RemoteError):
    """A web page came instead of the file: a login, or the welcome of a hotel's network."""


class Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects to http(s) only, never from https to http, and keeps the method."""

    max_redirections = 10

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: Message,
        newurl: str,
    ) -> urllib.request.Request | None:
        """Return the request that follows ``req``, as the base class asks for.

        Raises:
            RemoteError: The address is not one to go to.
        """
        scheme = urlsplit(newurl).scheme
        if scheme not in ("http", "https") or (req.type == "https" and scheme == "http"):
            fp.close()
            raise RemoteError(f"{_shown(req.full_url)} redirects to {_shown(newurl)}: refused")
        return urllib.request.Request(newurl, headers=dict(req.headers), method=req.get_method())


def plain_size(url: str, timeout_s: float) -> int | None:
    """Ask a host for the size of a file; blocks for one or two requests. Proxies of the environment are used.

    Args:
        url: An ``http`` or ``https`` URL.
        timeout_s: Longest silence of the host, in seconds.

    Returns:
        Bytes, or None if the host does not say.

    Raises:
        NotFoundError: There is no such file.
        GatedError: The host wants a login.
        RateLimitedError: Asked too often.
        OfflineError: The host can not be reached.
        WebPageError: It answers with a web page instead of the file.
        RemoteError: Anything else.
    """
    asked = Asked(_shown(url))
    for method in ("HEAD", "GET"):
        try:
            size = within(_MOST_SILENCES * timeout_s, partial(_ask, url, method, timeout_s))
        except urllib.error.HTTPError as error:
            with closing(error):
                if method == "HEAD" and (error.code in _HEAD_REFUSED or error.code >= 500):
                    continue
                raise _refusal(error, asked) from None
        except Exception as error:  # noqa: BLE001 - the table decides what it means
            failure = _translate(error, asked)
            if method == "HEAD" and _is_of_head_alone(failure):
                continue
            raise failure from None
        if size is not None:
            return size
    return None


def _ask(url: str, method: str, timeout_s: float) -> int | None:
    if urlsplit(url).scheme not in ("http", "https"):
        raise RemoteError(f"{_shown(url)} is no http or https URL: refused")
    headers = _HEADERS if method == "HEAD" else {**_HEADERS, "Range": "bytes=0-0"}
    opener = urllib.request.build_opener(Redirects(), urllib.request.HTTPSHandler(context=_ssl_context()))
    request = urllib.request.Request(url, headers=headers, method=method)
    # Closed unread: after a 200 to a range request the whole file would follow.
    with opener.open(request, timeout=timeout_s) as answer:
        if _is_web_page(answer.headers) and not urlsplit(url).path.lower().endswith(_NAMES_OF_WEB_PAGES):
            raise WebPageError(
                f"{_shown(url)} answers with a web page instead of the file",
                hint="its site may want a login, or a token in the URL; so may the network that this machine is in",
            )
        return _content_length(answer.headers) if answer.status != 206 else _range_total(answer.headers)


def _is_of_head_alone(failure: DownloaderError) -> bool:
    """Return whether a GET may work where a HEAD failed so: some hosts, or what is before them, know no HEAD."""
    if isinstance(failure, OfflineError):
        return not isinstance(failure, UnreachableError)
    return isinstance(failure, WebPageError)


def _is_web_page(headers: Message) -> bool:
    # Download scripts that name no type get that of pages from their server; they name an attachment.
    return headers.get_content_type() in _WEB_PAGES and headers.get_content_disposition() != "attachment"


def _content_length(headers: Message) -> int | None:
    text = (headers.get("Content-Length") or "").strip()
    return int(text) if re.fullmatch(r"[0-9]{1,18}", text) else None


def _range_total(headers: Message) -> int | None:
    match = _CONTENT_RANGE.fullmatch((headers.get("Content-Range") or "").strip())
    return int(match[1]) if match else None


def _refusal(error: urllib.error.HTTPError, asked: Asked) -> DownloaderError:
    if 300 <= error.code < 400:
        # The base class gives up on a loop, and on addresses that are neither http nor ftp.
        return RemoteError(f"{asked.what} redirects in a circle, or to an address that is refused")
    return error_for_status(error.code, lowercase(error.headers), asked)


def _translate(error: BaseException, asked: Asked) -> DownloaderError:
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(reason, DownloaderError):
        return reason
    if isinstance(error, urllib.error.URLError) and not isinstance(reason, TimeoutError):
        hint = "check the network and the proxy settings"
        return UnreachableError(f"can not reach {asked.what}: {reason}", hint=hint)
    if isinstance(reason, UnicodeError | http.client.InvalidURL | ValueError):
        return NotFoundError(f"{asked.what} is no usable URL")
    return translate(reason if isinstance(reason, BaseException) else error, asked)


def _shown(url: str) -> str:
    try:
        return redact_url(url)
    except ValueError:
        return "a URL that can not be read"


def _ssl_context() -> ssl.SSLContext:
    return chosen_context() or _default_context()


@lru_cache(maxsize=1)
def _default_context() -> ssl.SSLContext:
    return ssl.create_default_context()
