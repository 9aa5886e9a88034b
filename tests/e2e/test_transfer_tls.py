"""TLS and proxies: who is trusted, what the proxy is told."""

from __future__ import annotations

import hashlib
import http.server
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from wangp_downloader.cancel import CancelToken
from wangp_downloader.errors import TransferError
from wangp_downloader.events import Event, FileRetrying
from wangp_downloader.files import Digest, DigestKind
from wangp_downloader.transfer import TransferEngine, TransferOptions, TransferRequest, TransferResult

CONTENT = b"model" * 50_000
QUICK = TransferOptions(backoff_base_s=0.01, backoff_cap_s=0.02, max_attempts=3, give_up_after_s=0)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("openssl") is None:
        pytest.skip("openssl, which makes the certificate, is not installed")
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"),
            *("-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")),
        ],
        check=True,
        capture_output=True,
    )
    return folder / "cert.pem"


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path == "/down":
            self.send_response(302)
            self.send_header("Location", "http://127.0.0.1:9/x")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(CONTENT)

    def log_message(self, format: str, *args: object) -> None:
        pass


class _Server(http.server.ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """A client that does not trust us goes away in the middle of the handshake."""


@contextmanager
def _running(server: http.server.ThreadingHTTPServer) -> Iterator[int]:
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def port(certificate: Path) -> Iterator[int]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, certificate.with_name("key.pem"))
    server = _Server(("127.0.0.1", 0), _Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    with _running(server) as number:
        yield number


def _fetch(url: str, folder: Path, events: list[Event]) -> TransferResult:
    digest = Digest(DigestKind.SHA256, hashlib.sha256(CONTENT).hexdigest())
    request = TransferRequest("key", url, folder / "file", len(CONTENT), digest, token="hf_secret")
    [result] = TransferEngine(QUICK).run([request], cancel=CancelToken(), emit=events.append)
    return result


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"])
def test_the_environment_says_whom_to_trust(
    variable: str, port: int, certificate: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, str(certificate))
    assert _fetch(f"https://127.0.0.1:{port}/f", tmp_path, []).verified


def test_an_unknown_certificate_is_refused_at_once(port: int, tmp_path: Path) -> None:
    events: list[Event] = []
    result = _fetch(f"https://127.0.0.1:{port}/f", tmp_path, events)
    assert isinstance(result.error, TransferError)
    assert "not trusted" in result.error.message
    assert "SSL_CERT_FILE" in (result.error.hint or "")
    assert not any(isinstance(event, FileRetrying) for event in events)


def test_https_never_leads_to_http(
    port: int, certificate: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    result = _fetch(f"https://127.0.0.1:{port}/down", tmp_path, [])
    assert result.error is not None
    assert "from https to plain http" in result.error.message


class _Proxy(http.server.BaseHTTPRequestHandler):
    seen: list[str]

    def do_CONNECT(self) -> None:
        self.seen.append(f"{self.requestline}\n{self.headers}")
        host, _, number = self.path.partition(":")
        with socket.create_connection((host, int(number))) as there:
            self.send_response(200, "Connection established")
            self.send_header("X-Noise", "1")
            self.end_headers()
            back = threading.Thread(target=_pump, args=(there, self.connection))
            back.start()
            _pump(self.connection, there)
            back.join()
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        pass


def _pump(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


def test_a_tunnel_is_used_and_sees_no_token(
    port: int, certificate: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    handler = type("Proxy", (_Proxy,), {"seen": seen})
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with _running(_Server(("127.0.0.1", 0), handler)) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy}")
        assert _fetch(f"https://127.0.0.1:{port}/f", tmp_path, []).verified
    assert len(seen) == 1
    assert "hf_secret" not in seen[0]
