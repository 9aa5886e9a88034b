"""What the loopback Hub and its CDN answer for files: resolve, redirects, signatures, ranges.

Protocol: RFC 9110 section 14 (ranges) and section 13.1.5 (``If-Range``); the Hub's headers as
``huggingface_hub`` reads them (``file_download.py``, ``get_hf_file_metadata``).
"""

from __future__ import annotations

import hashlib
import hmac
import re
import time
from dataclasses import dataclass, field
from urllib.parse import quote

from wangp_downloader.demo.hub_content import Content
from wangp_downloader.demo.hub_repos import Commit
from wangp_downloader.demo.hub_wire import Answer, Request

_SECRET = b"loopback"
_RANGE = re.compile(r"bytes=(\d*)-(\d*)$")
_DENIED = (
    b'<?xml version="1.0" encoding="UTF-8"?>'
    b"<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>"
)


@dataclass(slots=True)
class Signer:
    """Signs CDN paths for a while.

    Attributes:
        ttl_s: How long a signature is good for, in seconds.
        revoked: Signatures that are refused although their time has not come.
    """

    ttl_s: float = 3600.0
    revoked: set[str] = field(default_factory=set)
    _serial: int = 0

    def sign(self, path: str) -> str:
        """Return the query string that opens ``path``; each call gives another one."""
        self._serial += 1
        expires = f"{time.time() + self.ttl_s:.3f}.{self._serial}"
        return f"Expires={expires}&Signature={self._signature(path, expires)}"

    def opens(self, request: Request) -> bool:
        """Return whether the request carries a good signature."""
        query = request.query
        expires, signature = query.get("Expires", [""])[0], query.get("Signature", [""])[0]
        if signature in self.revoked or not hmac.compare_digest(
            signature, self._signature(request.path, expires)
        ):
            return False
        return time.time() < float(expires.rpartition(".")[0])

    def revoke(self, request: Request) -> None:
        """Refuse this request's signature from now on."""
        self.revoked.add(request.query.get("Signature", [""])[0])

    def _signature(self, path: str, expires: str) -> str:
        return hmac.new(_SECRET, f"{path}\n{expires}".encode(), hashlib.sha256).hexdigest()


def denied() -> Answer:
    """Return what a CDN says to an expired or wrong signature."""
    return Answer(403, {"Content-Type": "application/xml"}, _DENIED)


def serve(content: Content, request: Request, headers: dict[str, str] | None = None) -> Answer:
    """Answer with the content, or the range of it that was asked for (RFC 9110 section 14)."""
    etag = f'"{content.etag}"'
    base = {
        "ETag": etag,
        "Accept-Ranges": "bytes",
        "Content-Type": "application/octet-stream",
        **(headers or {}),
    }
    condition = request.headers.get("if-range")
    wanted = _RANGE.match(request.range.replace(" ", "")) if request.range else None
    # A range that can not be read, or several of them, may be answered with everything (section 14.2).
    if wanted is None or wanted.groups() == ("", "") or (condition is not None and condition != etag):
        return Answer(200, base, content, 0, content.size)
    start, end = _span(wanted[1], wanted[2], content.size)
    if start >= content.size or end < start:
        return Answer(416, {**base, "Content-Range": f"bytes */{content.size}"})
    base["Content-Range"] = f"bytes {start}-{end}/{content.size}"
    return Answer(206, base, content, start, end - start + 1)


def _span(first: str, last: str, size: int) -> tuple[int, int]:
    if not first:
        return max(0, size - int(last)), (size - 1 if int(last) else -1)
    return int(first), min(int(last), size - 1) if last else size - 1


def resolve(commit: Commit, content: Content, request: Request, cdn_url: str | None) -> Answer:
    """Answer a resolve URL: directly if ``cdn_url`` is None, else by redirect to it."""
    headers = {"X-Repo-Commit": commit.sha}
    if cdn_url is None:
        return serve(content, request, headers)
    headers |= {
        "Location": cdn_url,
        "X-Linked-Size": str(content.size),
        "X-Linked-ETag": f'"{content.sha256}"',
        "ETag": f'"{content.sha256}"',
        "Accept-Ranges": "bytes",
        "Content-Type": "text/plain; charset=utf-8",
    }
    return Answer(302, headers, f"Found. Redirecting to {cdn_url}".encode())


def cdn_path(repo: str, commit: Commit, path: str) -> str:
    """Return the (decoded) path under which the CDN serves a file of a commit."""
    return f"/repos/{repo}/{commit.sha}/{path}"


def quoted(path: str) -> str:
    """Escape a decoded path for a URL."""
    return quote(path)
