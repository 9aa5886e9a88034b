"""A verified download over loopback from nginx, plain and TLS, side by side with hf, aria2c and curl.

``BENCH_GIB`` (2) and ``BENCH_ROUNDS`` (3) change size and rounds. Needs nginx and openssl; tools that are
missing are left out and named. The contestants alternate, so that a busy machine is busy for all of them.

Whole processes are measured, from start to exit. Ours imports the engine and fetches one file whose size and hash are
known, as aria2c does; `hf download` also asks for the metadata (one request) and does not check the bytes.
Start-up counts for all: about 0.1 s of ours, and much more of hf's, so that small sizes favour us.

A virtual machine gives memory that is free for some seconds back to its host, and to touch it again takes longer than
to fetch it: before each contestant a scratch file of the same size is written and removed.
"""

from __future__ import annotations

import hashlib
import os
import resource
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from socket import create_connection, create_server

from benchmarks._transfer import FETCH, temporary_folder
from wangp_downloader.units import GIB, MIB

_CONFIG = """
worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log; daemon off;
events {{ worker_connections 256; }}
http {{
  access_log off; sendfile on; tcp_nopush on; keepalive_requests 100000;
  client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
  uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
  server {{
    listen 127.0.0.1:{plain};
    listen 127.0.0.1:{tls} ssl;
    ssl_certificate {folder}/cert.pem; ssl_certificate_key {folder}/key.pem;
    location /org/name/resolve/main/ {{
      alias {folder}/www/; etag off;
      add_header X-Repo-Commit 0123456789012345678901234567890123456789;
      add_header ETag '"{sha256}"'; add_header X-Linked-Size {size};
    }}
  }}
}}
"""


@dataclass(frozen=True)
class Site:
    """What is served."""

    folder: Path
    plain: int
    tls: int
    size: int
    sha256: str

    def url(self, scheme: str) -> str:
        """Return the address of the file."""
        port = self.plain if scheme == "http" else self.tls
        return f"{scheme}://127.0.0.1:{port}/org/name/resolve/main/model.bin"


def _free_port() -> int:
    with create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


@contextmanager
def _site(folder: Path, size: int) -> Iterator[Site]:
    folder.chmod(0o755)  # nginx reads as another user
    (folder / "www").mkdir()
    digest = hashlib.sha256()
    with (folder / "www" / "model.bin").open("wb") as file:
        for _ in range(size // MIB):
            block = os.urandom(MIB)
            digest.update(block)
            file.write(block)
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1",
         "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", folder / "key.pem", "-out", folder / "cert.pem"],
        check=True, capture_output=True,
    )  # fmt: skip
    site = Site(folder, _free_port(), _free_port(), size, digest.hexdigest())
    (folder / "nginx.conf").write_text(
        _CONFIG.format(folder=folder, plain=site.plain, tls=site.tls, size=site.size, sha256=site.sha256)
    )
    server = subprocess.Popen(["nginx", "-c", str(folder / "nginx.conf")], stderr=subprocess.DEVNULL)
    try:
        _wait_for(site.tls)
        yield site
    finally:
        server.terminate()
        server.wait()


def _wait_for(port: int) -> None:
    for _ in range(500):
        try:
            create_connection(("127.0.0.1", port)).close()
        except OSError:
            time.sleep(0.01)
        else:
            return


def _ours(site: Site, scheme: str, to: Path) -> None:
    import json

    job = {
        "files": [{"url": site.url(scheme), "to": str(to / "model.bin"), "size": site.size, "sha256": site.sha256}],
        "options": {"ca_file": str(site.folder / "cert.pem"), **json.loads(os.environ.get("BENCH_OPTIONS", "{}"))},
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", FETCH], input=json.dumps(job), text=True, capture_output=True, check=True
    )
    result = json.loads(done.stdout)
    assert result["verified"], result


def _hf(site: Site, scheme: str, to: Path) -> None:
    tool = Path(sys.executable).with_name("hf")
    environment = {
        **os.environ,
        "HF_ENDPOINT": site.url(scheme).partition("/org/")[0],
        "HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_HOME": str(to / "home"), "SSL_CERT_FILE": str(site.folder / "cert.pem"),
        "REQUESTS_CA_BUNDLE": str(site.folder / "cert.pem"),
    }  # fmt: skip
    command = [str(tool), "download", "org/name", "model.bin", "--local-dir", str(to)]
    subprocess.run(command, env=environment, check=True, capture_output=True)


def _aria2c(site: Site, scheme: str, to: Path) -> None:
    command = [
        "aria2c", "-q", "-x8", "-s8", "--checksum", f"sha-256={site.sha256}", "--file-allocation=none",
        f"--ca-certificate={site.folder / 'cert.pem'}", "-d", str(to), "-o", "model.bin", site.url(scheme),
    ]  # fmt: skip
    subprocess.run(command, check=True)


def _curl(site: Site, scheme: str, to: Path) -> None:
    path = to / "model.bin"
    subprocess.run(
        ["curl", "-sf", "--cacert", site.folder / "cert.pem", "-o", path, site.url(scheme)], check=True
    )
    done = subprocess.run(["openssl", "dgst", "-sha256", path], check=True, capture_output=True, text=True)
    assert site.sha256 in done.stdout


_CONTESTANTS: dict[str, tuple[Callable[[Site, str, Path], None], str | None]] = {
    "wangp-dl": (_ours, None),
    "curl + sha256": (_curl, "curl"),
    "aria2c -x8 --checksum": (_aria2c, "aria2c"),
    "hf download": (_hf, None),
}


def _measure(run: Callable[[], None]) -> tuple[float, float]:
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    run()
    seconds, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _touch_memory(path: Path, size: int) -> None:
    block = bytes(MIB)
    with path.open("wb") as file:
        for _ in range(size // MIB):
            file.write(block)
    path.unlink()


def main() -> None:
    missing = [tool for tool in ("nginx", "openssl") if shutil.which(tool) is None]
    if missing:
        sys.stdout.write(f"skipped: {' and '.join(missing)} not installed\n")
        return
    size = int(float(os.environ.get("BENCH_GIB", "2")) * GIB)
    rounds = int(os.environ.get("BENCH_ROUNDS", "3"))
    with temporary_folder() as folder, _site(folder, size) as site:
        for scheme in ("http", "https"):
            _compare(site, scheme, rounds)


def _compare(site: Site, scheme: str, rounds: int) -> None:
    present = {}
    for name, (run, tool) in _CONTESTANTS.items():
        if tool is not None and shutil.which(tool) is None:
            sys.stdout.write(f"{name} is left out: {tool} is not installed\n")
        else:
            present[name] = run
    figures: dict[str, list[tuple[float, float]]] = {name: [] for name in present}
    order = list(present)
    # The first round is not counted: it fills caches.
    for number in range(rounds + 1):
        for name in order[number % len(order) :] + order[: number % len(order)]:
            run, to = present[name], site.folder / "to"
            to.mkdir()
            _touch_memory(to / "scratch", site.size)
            figure = _measure(lambda run=run, to=to: run(site, scheme, to))  # type: ignore[misc]
            shutil.rmtree(to)
            if number:
                figures[name].append(figure)
    ours = {i: statistics.median(figure[i] for figure in figures["wangp-dl"]) for i in (0, 1)}
    gigabytes = site.size / GIB
    for name, all_figures in figures.items():
        seconds, cpu = (statistics.median(figure[i] for figure in all_figures) for i in (0, 1))
        sys.stdout.write(
            f"{scheme:5} {name:22} {seconds:6.2f} s (ours is {seconds / ours[0]:4.2f}x as fast)"
            f"  {cpu / gigabytes:5.2f} CPU s/GB (ours needs {ours[1] / cpu:4.2f}x)\n"
        )
    sys.stdout.flush()
