"""A Hugging Face Hub on loopback: two ports, one for the Hub and one for its CDN, with faults on demand.

Serves the tests, the benchmarks and the demo; the real ``hf download`` works against it. Owns routing and
the calls by which a test fills it. ``python -m wangp_downloader.demo.hub --dir DIR`` serves a folder whose
layout is ``DIR/org/name/path``.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from urllib.parse import unquote, urlsplit

from wangp_downloader.demo import hub_api, hub_files
from wangp_downloader.demo.faults import FaultTable
from wangp_downloader.demo.hub_content import Content, Generated, Source, content_from
from wangp_downloader.demo.hub_pacing import Shape
from wangp_downloader.demo.hub_repos import Commit, Repo, Repos
from wangp_downloader.demo.hub_server import Listener
from wangp_downloader.demo.hub_wire import Answer, Line, Request

__all__ = ["Generated", "LoopbackHub", "Request", "Shape"]

_SMALL_FILE_BYTES = 1024 * 1024
_SMALL_FILE_NAMES = (".json", ".txt", ".md", ".yaml", ".yml", ".py")


class LoopbackHub:
    """A Hub and its CDN on 127.0.0.1, running from construction to ``close`` (or as a context manager).

    Args:
        port: The Hub's port, 0 for any free one; the CDN always takes a free one.

    Attributes:
        faults: What goes wrong, see ``faults.py``.
        signer: Signs CDN URLs; ``signer.ttl_s`` is their life in seconds.
        page_size: Entries in one page of a tree.
        answers_blobs: False makes ``?blobs=true`` be ignored, as by a simple mirror.
        uses_cdn: False makes LFS files be answered directly, as by a mirror without a CDN.
    """

    def __init__(self, port: int = 0) -> None:
        self.signer = hub_files.Signer()
        self.page_size = 1000
        self.answers_blobs = True
        self.uses_cdn = True
        self._repos = Repos()
        self._plain: dict[str, Content] = {}
        self._redirects: dict[str, str] = {}
        self._line = Line(self._respond, self.signer.revoke)
        self._hub = Listener("hub", self._line, port)
        self._cdn = Listener("cdn", self._line)
        self._closed = False

    def __enter__(self) -> LoopbackHub:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        if error is None and self._line.crashes:
            raise self._line.crashes[0]

    def close(self) -> None:
        """End all connections and threads; may be called twice."""
        if not self._closed:
            self._closed = True
            self._line.closing.set()
            self._hub.stop()
            self._cdn.stop()

    # -- where it is, what it saw

    @property
    def endpoint(self) -> str:
        """The Hub's URL, as for ``HF_ENDPOINT``."""
        return f"http://127.0.0.1:{self._hub.port}"

    @property
    def cdn_url(self) -> str:
        """The CDN's URL, which also serves the plain files."""
        return f"http://127.0.0.1:{self._cdn.port}"

    @property
    def faults(self) -> FaultTable:
        """What goes wrong."""
        return self._line.faults

    @property
    def requests(self) -> list[Request]:
        """All requests so far, in order of arrival (a copy)."""
        return list(self._line.log)

    def requests_to(
        self, path: str = "", *, listener: str | None = None, method: str | None = None
    ) -> list[Request]:
        """Return the requests whose decoded path contains ``path``."""
        return [
            request
            for request in self.requests
            if path in request.path
            and listener in (None, request.listener)
            and method in (None, request.method)
        ]

    def wait_for_request(self, path: str = "", *, count: int = 1, timeout_s: float = 10.0) -> bool:
        """Block until ``count`` requests whose path contains ``path`` have come; False after the timeout."""
        return self._line.wait_for(path, count, timeout_s)

    def forget_requests(self) -> None:
        """Empty the log."""
        self._line.log.clear()

    def bytes_sent(self, path: str = "", *, listener: str | None = None) -> int:
        """Return the bytes of bodies sent for requests whose path contains ``path``."""
        return sum(request.bytes_sent for request in self.requests_to(path, listener=listener))

    def commit(self, repo: str, revision: str = "main") -> str:
        """Return the commit id that a revision means now (clients count as having seen it)."""
        return self._commit(repo, revision).sha

    def content(self, repo: str, path: str, revision: str = "main") -> Content:
        """Return a served file: ``size``, ``sha256``, ``blob_id``."""
        return self._commit(repo, revision).files[path]

    # -- filling it

    def add_file(
        self, repo: str, path: str, content: Source | str, lfs: bool = True, revision: str = "main"
    ) -> Content:
        """Serve a file.

        Args:
            repo: ``org/name``, made if it is new.
            path: Path in the repo.
            content: Bytes, a file's path, or :class:`Generated`.
            lfs: True for a file served by the CDN and known by SHA-256, False for a small git file.
            revision: Branch; a new commit is made only if a client was told of the current one.

        Returns:
            The served content, with its hashes.
        """
        served = content_from(content, lfs=lfs)
        self._repos.put(repo, path, served, branch=revision)
        return served

    def replace_file(
        self, repo: str, path: str, content: Source | str, lfs: bool = True, revision: str = "main"
    ) -> Content:
        """Serve other content under the same path, in a new commit; the old commit keeps the old one."""
        served = content_from(content, lfs=lfs)
        self._repos.put(repo, path, served, branch=revision, fresh=True)
        return served

    def remove(self, repo: str, path: str | None = None, revision: str = "main") -> None:
        """Remove a file in a new commit, or the whole repo if ``path`` is None."""
        if path is None:
            self._repos.remove(repo)
        else:
            self._repos.put(repo, path, None, branch=revision, fresh=True)

    def gate(self, repo: str, token: str, *, hidden: bool = False) -> None:
        """Let only ``token`` fetch the repo's files; ``hidden`` refuses its metadata too."""
        found = self._repos.require(repo)
        found.gate_token, found.hidden = token, hidden

    def make_private(self, repo: str, token: str) -> None:
        """Make the repo look like a missing one to anyone without ``token``."""
        found = self._repos.require(repo)
        found.gate_token, found.private = token, True

    def disable(self, repo: str) -> None:
        """Take the repo down as the Hub's moderators do."""
        self._repos.require(repo).disabled = True

    def rename(self, old: str, new: str) -> None:
        """Rename a repo; the old name redirects (307, relative)."""
        self._repos.rename(old, new)

    def corrupt(self, repo: str, path: str, offset: int = 0, revision: str = "main") -> None:
        """Serve the byte at ``offset`` inverted, while metadata stays that of the true content."""
        self._commit(repo, revision).files[path].corrupt.add(offset)

    def heal(self, repo: str, path: str, revision: str = "main") -> None:
        """Undo ``corrupt``."""
        self._commit(repo, revision).files[path].corrupt.clear()

    def add_plain(self, path: str, content: Source | str) -> str:
        """Serve a file at ``cdn_url + path`` without any Hub protocol; return its URL."""
        self._plain[path] = content_from(content, lfs=True)
        return self.cdn_url + hub_files.quoted(path)

    def add_redirect(self, path: str, location: str) -> str:
        """Redirect ``cdn_url + path`` to ``location`` (absolute or relative); return its URL."""
        self._redirects[path] = location
        return self.cdn_url + hub_files.quoted(path)

    def serve_folder(self, folder: Path) -> int:
        """Serve ``folder/org/name/path``; return the number of files."""
        count = 0
        for org_name, path, file in _files_of(folder):
            small = file.stat().st_size < _SMALL_FILE_BYTES and file.suffix in _SMALL_FILE_NAMES
            self.add_file(org_name, path, file, lfs=not small)
            count += 1
        return count

    def shape(
        self,
        *,
        latency_s: float = 0.0,
        connection_bytes_per_s: float | None = None,
        total_bytes_per_s: float | None = None,
    ) -> None:
        """Make the link slow: see :class:`Shape`. Without arguments: fast again."""
        self._line.set_shape(Shape(latency_s, connection_bytes_per_s, total_bytes_per_s))

    def drop_connections(self) -> None:
        """End all open connections at once, as a router that restarts."""
        self._hub.drop_connections()
        self._cdn.drop_connections()

    # -- routing

    def _commit(self, repo: str, revision: str) -> Commit:
        commit = self._repos.find(repo, revision)
        if commit is None:
            raise KeyError(f"{repo}@{revision}")
        return commit

    def _respond(self, request: Request) -> Answer:
        if request.listener == "cdn":
            return self._respond_cdn(request)
        if request.path == "/api/whoami-v2":
            return hub_api.whoami(request)
        parts = [unquote(part) for part in urlsplit(request.target).path.strip("/").split("/")]
        if parts[:2] == ["api", "models"] and len(parts) >= 4:
            return self._respond_api(request, f"{parts[2]}/{parts[3]}", parts[4:])
        if len(parts) >= 5 and parts[2] == "resolve":
            return self._respond_resolve(request, f"{parts[0]}/{parts[1]}", parts[3], "/".join(parts[4:]))
        return hub_api.failure(404, None, "Not Found")

    def _open(self, request: Request, name: str, *, content: bool) -> Repo | Answer:
        renamed = self._repos.renamed(name)
        if renamed is not None:
            return Answer(307, {"Location": request.target.replace(f"/{name}", f"/{renamed}", 1)})
        repo = self._repos.get(name)
        refused = hub_api.refusal(repo, name, request.token, content=content)
        if refused is not None or repo is None:
            return refused or hub_api.failure(404, "RepoNotFound", "Repository not found")
        return repo

    def _respond_api(self, request: Request, name: str, rest: list[str]) -> Answer:
        verb = rest[0] if rest else "revision"
        repo = self._open(request, name, content=verb == "auth-check")
        if isinstance(repo, Answer):
            return repo
        if verb == "auth-check":
            return hub_api.as_json({})
        revision = rest[1] if len(rest) > 1 else "main"
        commit = self._repos.find(name, revision)
        if commit is None:
            return hub_api.failure(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        return self._describe(request, repo, commit, verb, "/".join(rest[2:]))

    def _describe(self, request: Request, repo: Repo, commit: Commit, verb: str, folder: str) -> Answer:
        if verb == "revision":
            blobs = self.answers_blobs and request.query.get("blobs", [""])[0].lower() == "true"
            return hub_api.model_info(repo, commit, request, blobs=blobs)
        if verb == "paths-info" and request.method == "POST":
            return hub_api.paths_info(commit, request)
        if verb == "tree":
            return hub_api.tree(commit, folder, request, page_size=self.page_size, endpoint=self.endpoint)
        return hub_api.failure(404, None, "Not Found")

    def _respond_resolve(self, request: Request, name: str, revision: str, path: str) -> Answer:
        repo = self._open(request, name, content=True)
        if isinstance(repo, Answer):
            return repo
        commit = self._repos.find(name, revision)
        if commit is None:
            return hub_api.failure(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        content = commit.files.get(path)
        if content is None:
            return hub_api.failure(404, "EntryNotFound", "Entry not found")
        if not (content.lfs and self.uses_cdn):
            return hub_files.resolve(commit, content, request, None)
        cdn_path = hub_files.cdn_path(repo.name, commit, path)
        url = f"{self.cdn_url}{hub_files.quoted(cdn_path)}?{self.signer.sign(cdn_path)}"
        return hub_files.resolve(commit, content, request, url)

    def _respond_cdn(self, request: Request) -> Answer:
        if request.path in self._redirects:
            return Answer(302, {"Location": self._redirects[request.path]})
        if request.path in self._plain:
            return hub_files.serve(self._plain[request.path], request)
        if not request.path.startswith("/repos/"):
            return Answer(404, {"Content-Type": "text/plain"}, b"not found")
        if not self.signer.opens(request):
            return hub_files.denied()
        org, name, revision, path = request.path.removeprefix("/repos/").split("/", 3)
        commit = self._repos.find(f"{org}/{name}", revision)
        if commit is None or path not in commit.files:
            return Answer(404, {"Content-Type": "text/plain"}, b"not found")
        return hub_files.serve(commit.files[path], request)


def _files_of(folder: Path) -> Iterator[tuple[str, str, Path]]:
    for file in sorted(folder.rglob("*")):
        parts = file.relative_to(folder).parts
        if file.is_file() and len(parts) >= 3:
            yield "/".join(parts[:2]), "/".join(parts[2:]), file


def main(argv: list[str] | None = None) -> int:
    """Serve a folder until interrupted; print the endpoint on stdout."""
    parser = argparse.ArgumentParser(prog="python -m wangp_downloader.demo.hub", description=main.__doc__)
    parser.add_argument("--dir", type=Path, required=True, help="folder with org/name/path inside")
    parser.add_argument("--port", type=int, default=0, help="port of the Hub, 0 for any")
    options = parser.parse_args(argv)
    with LoopbackHub(port=options.port) as hub:
        count = hub.serve_folder(options.dir)
        sys.stdout.write(f"{hub.endpoint}\n")
        sys.stdout.flush()
        sys.stderr.write(
            f"{count} files; CDN at {hub.cdn_url}; HF_ENDPOINT={hub.endpoint}; stop with Ctrl-C\n"
        )
        with contextlib.suppress(KeyboardInterrupt):
            threading.Event().wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
