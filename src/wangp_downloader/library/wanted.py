"""What is looked for, arranged so that a store can ask cheaply. Pure: no I/O."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from dataclasses import replace
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from wangp_downloader.files import Digest, DigestKind, Wanted

_HUB_HOSTS = frozenset({"huggingface.co", "www.huggingface.co", "hf.co", "www.hf.co"})
_HUB = "huggingface.co"
_HUB_FILE = re.compile(r"^/(?P<repo>[^/]+/[^/]+)/(?:resolve|blob|raw)/[^/]+/(?P<path>.+)$")
_REPO_SOURCE = re.compile(r"^(?P<repo>[\w.-]+/[\w.-]+)(?::(?P<variant>\w*))?(?:::(?P<path>.+))?$")
_NOT_CONTENT = frozenset({"download", "token", "api_key", "apikey", "access_token", "sig", "signature"})


class WantedIndex:
    """The wanted contents by size, digest, name and URL.

    Only content with a SHA-256 is found by size: small git files are not worth a link, and are offered by
    the stores that name files by their blob id alone. Empty files are never wanted.

    Args:
        wanted: What is looked for; entries of one digest are merged.
    """

    def __init__(self, wanted: Iterable[Wanted]) -> None:
        self._by_digest: dict[Digest, Wanted] = {}
        for item in wanted:
            if item.size > 0:
                known = self._by_digest.get(item.digest)
                self._by_digest[item.digest] = item if known is None else _merge(known, item)
        self._by_size: dict[int, list[Wanted]] = {}
        self._names: set[tuple[int, str]] = set()
        for item in self._by_digest.values():
            if item.digest.kind is DigestKind.SHA256:
                self._by_size.setdefault(item.size, []).append(item)
                self._names.update((item.size, name.lower()) for name in item.names)
        self.sizes: frozenset[int] = frozenset(self._by_size)

    def __len__(self) -> int:
        return len(self._by_digest)

    @property
    def all(self) -> tuple[Wanted, ...]:
        """All wanted contents, each digest once, in the order given."""
        return tuple(self._by_digest.values())

    def by_size(self, size: int) -> tuple[Wanted, ...]:
        """Return the wanted contents of ``size`` bytes."""
        return tuple(self._by_size.get(size, ()))

    def by_digest(self, digest: Digest) -> Wanted | None:
        """Return the wanted content with this digest."""
        return self._by_digest.get(digest)

    def by_hex(self, digits: str) -> Wanted | None:
        """Return the wanted content whose SHA-256 (64 digits) or git blob id (40) is ``digits``."""
        kind = {64: DigestKind.SHA256, 40: DigestKind.GIT_BLOB}.get(len(digits))
        return None if kind is None else self._by_digest.get(Digest(kind, digits.lower()))

    def is_named(self, size: int, name: str) -> bool:
        """True if a wanted content of ``size`` bytes goes by this file name, in either case."""
        return (size, name.lower()) in self._names

    def by_url(self, url: str) -> tuple[Wanted, ...]:
        """Return the wanted contents that can be fetched from ``url``, in whatever form it is written."""
        return tuple(self._by_origin.get(normalise_url(url), ()))

    def by_source(self, source: str) -> tuple[Wanted, ...]:
        """Return the wanted contents that another program's note of origin points to.

        Args:
            source: A URL, or ``org/name``, ``org/name:variant``, ``org/name:variant::path/in/repo`` as
                InvokeAI writes it (``model_source.py``). A repo alone points to all its files.
        """
        match = _REPO_SOURCE.match(source)
        if match is None:
            return self.by_url(source)
        repo = f"{_HUB}/{match['repo']}".lower()
        if match["path"]:
            return tuple(self._by_origin.get(f"{_HUB}/{match['repo']}/{match['path'].strip('/')}", ()))
        return tuple(self._by_origin.get(repo, ()))

    @functools.cached_property
    def _by_origin(self) -> dict[str, list[Wanted]]:
        """By normalised URL and by repo; made at the first question, as few stores ask."""
        found: dict[str, list[Wanted]] = {}
        for item in self._by_digest.values():
            if item.digest.kind is DigestKind.SHA256:
                urls = {normalise_url(url) for url in item.urls}
                for key in sorted(urls | {repo for url in urls if (repo := _repo_of(url))}):
                    found.setdefault(key, []).append(item)
        return found


def normalise_url(url: str) -> str:
    """Return a key that is equal for the URLs of one file.

    For the Hub: ``huggingface.co/org/name/path``, whatever the host's alias, the scheme, the revision, the
    kind of link (``resolve``, ``blob``, ``raw``), the escapes and the query. For other hosts: lower-case
    host, path, and the query without what does not choose the content. Never raises.

    Args:
        url: Any text.
    """
    try:
        parts = urlsplit(url.strip())
        host = (parts.hostname or "").lower()
        query = parse_qsl(parts.query)
    except ValueError:
        return url.strip()
    if not host:
        return url.strip()
    if host in _HUB_HOSTS:
        match = _HUB_FILE.match(parts.path)  # before unquoting: a revision may hold an escaped slash
        path = f"/{match['repo']}/{match['path']}" if match else parts.path
        return f"{_HUB}{unquote(path)}"
    kept = sorted(pair for pair in query if pair[0].lower() not in _NOT_CONTENT)
    return f"{host}{unquote(parts.path)}" + (f"?{urlencode(kept, errors='replace')}" if kept else "")


def _repo_of(key: str) -> str | None:
    host, *parts = key.split("/")
    return "/".join((host, *parts[:2])).lower() if host == _HUB and len(parts) > 2 else None


def _merge(one: Wanted, other: Wanted) -> Wanted:
    return replace(one, names=one.names | other.names, urls=one.urls | other.urls)
