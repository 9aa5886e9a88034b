from __future__ import annotations

import http.client
import json
import subprocess
import sys
import threading
from email.message import Message
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import pytest

from wangp_downloader.demo.hub import Generated, LoopbackHub


class Reply:
    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status = response.status
        self.headers: Message = response.headers
        self.body = response.read()

    def json(self) -> object:
        return json.loads(self.body)


def fetch(
    url: str, method: str = "GET", headers: dict[str, str] | None = None, body: bytes | None = None
) -> Reply:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=10)
    try:
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        connection.request(method, target, body, headers or {})
        return Reply(connection.getresponse())
    finally:
        connection.close()


@pytest.fixture
def filled(hub: LoopbackHub) -> LoopbackHub:
    hub.add_file("org/name", "sub/big.safetensors", bytes(range(256)) * 4)
    hub.add_file("org/name", "config.json", b"{}", lfs=False)
    return hub


def test_an_lfs_file_is_redirected_to_the_cdn_with_its_identity(filled: LoopbackHub) -> None:
    reply = fetch(f"{filled.endpoint}/org/name/resolve/main/sub/big.safetensors", "HEAD")
    content = filled.content("org/name", "sub/big.safetensors")
    assert reply.status == 302
    assert reply.headers["X-Linked-Size"] == "1024"
    assert reply.headers["X-Linked-ETag"] == f'"{content.sha256}"'
    assert reply.headers["X-Repo-Commit"] == filled.commit("org/name")
    assert reply.headers["Location"].startswith(f"{filled.cdn_url}/")
    assert fetch(reply.headers["Location"]).body == bytes(range(256)) * 4


def test_a_small_file_comes_directly_with_its_blob_id(filled: LoopbackHub) -> None:
    reply = fetch(f"{filled.endpoint}/org/name/resolve/main/config.json")
    assert (reply.status, reply.body) == (200, b"{}")
    assert reply.headers["ETag"] == f'"{filled.content("org/name", "config.json").blob_id}"'


def test_a_mirror_without_a_cdn_serves_everything_itself(filled: LoopbackHub) -> None:
    filled.uses_cdn = False
    url = f"{filled.endpoint}/org/name/resolve/main/sub/big.safetensors"
    assert fetch(url, headers={"Range": "bytes=1-2"}).body == b"\x01\x02"


@pytest.mark.parametrize(
    ("wanted", "status", "body", "content_range"),
    [
        (None, 200, b"0123456789", None),
        ("bytes=0-0", 206, b"0", "bytes 0-0/10"),
        ("bytes=3-", 206, b"3456789", "bytes 3-9/10"),
        ("bytes=8-99", 206, b"89", "bytes 8-9/10"),
        ("bytes=-3", 206, b"789", "bytes 7-9/10"),
        ("bytes=-99", 206, b"0123456789", "bytes 0-9/10"),
        ("bytes=10-", 416, b"", "bytes */10"),
        ("bytes=-0", 416, b"", "bytes */10"),
        ("bytes=1-2,4-5", 200, b"0123456789", None),
        ("lines=1-2", 200, b"0123456789", None),
    ],
)
def test_ranges(
    hub: LoopbackHub, wanted: str | None, status: int, body: bytes, content_range: str | None
) -> None:
    url = hub.add_plain("/file.bin", b"0123456789")
    reply = fetch(url, headers={"Range": wanted} if wanted else {})
    assert (reply.status, reply.body, reply.headers["Content-Range"]) == (status, body, content_range)
    head = fetch(url, "HEAD", {"Range": wanted} if wanted else {})
    assert (head.status, head.body) == (status, b"")


@pytest.mark.parametrize(("etag", "status"), [("right", 206), ("wrong", 200)])
def test_if_range(hub: LoopbackHub, etag: str, status: int) -> None:
    url = hub.add_plain("/file.bin", b"0123456789")
    value = fetch(url, "HEAD").headers["ETag"] if etag == "right" else '"other"'
    assert fetch(url, headers={"Range": "bytes=5-", "If-Range": value}).status == status


def test_signed_urls_expire_and_can_not_be_made_up(filled: LoopbackHub) -> None:
    resolve = f"{filled.endpoint}/org/name/resolve/main/sub/big.safetensors"
    good = fetch(resolve, "HEAD").headers["Location"]
    assert fetch(good.replace("Signature=", "Signature=0")).status == 403
    filled.signer.ttl_s = -1
    late = fetch(fetch(resolve, "HEAD").headers["Location"])
    assert late.status == 403
    assert b"<Code>AccessDenied</Code>" in late.body
    assert fetch(good).status == 200


@pytest.mark.parametrize("form", ["form", "json"])
def test_paths_info_answers_for_many_paths_and_leaves_out_the_missing(filled: LoopbackHub, form: str) -> None:
    paths = ["sub/big.safetensors", "config.json", "nope", "sub"]
    if form == "form":
        body, kind = (
            urlencode({"paths": paths, "expand": False}, doseq=True),
            "application/x-www-form-urlencoded",
        )
    else:
        body, kind = json.dumps({"paths": paths}), "application/json"
    url = f"{filled.endpoint}/api/models/org/name/paths-info/main"
    entries = fetch(url, "POST", {"Content-Type": kind}, body.encode()).json()
    big, small = (filled.content("org/name", path) for path in paths[:2])
    assert isinstance(entries, list)
    assert [entry["path"] for entry in entries] == [paths[0], paths[1], "sub"]
    assert entries[0]["lfs"]["oid"] == big.sha256
    assert (entries[1]["oid"], entries[1].get("lfs")) == (small.blob_id, None)
    assert entries[2]["type"] == "directory"


def test_the_tree_comes_in_pages(hub: LoopbackHub) -> None:
    for index in range(5):
        hub.add_file("org/name", f"a/b/{index}.bin", b"x")
    hub.page_size = 3
    seen: list[str] = []
    url = f"{hub.endpoint}/api/models/org/name/tree/main/a?recursive=true"
    while url:
        reply = fetch(url)
        page = reply.json()
        assert isinstance(page, list)
        assert len(page) <= 3
        seen += [entry["path"] for entry in page]
        url = (reply.headers["Link"] or "").partition(">")[0].removeprefix("<")
    assert seen == ["a/b", *(f"a/b/{index}.bin" for index in range(5))]


@pytest.mark.parametrize(
    ("path", "token", "status", "code"),
    [
        ("org/nope/resolve/main/x", None, 401, "RepoNotFound"),
        ("org/nope/resolve/main/x", "t", 404, "RepoNotFound"),
        ("api/models/org/nope", None, 401, "RepoNotFound"),
        ("org/name/resolve/nope/config.json", None, 404, "RevisionNotFound"),
        ("api/models/org/name/revision/nope", None, 404, "RevisionNotFound"),
        ("org/name/resolve/main/nope", None, 404, "EntryNotFound"),
        ("org/gated/resolve/main/x.bin", None, 401, "GatedRepo"),
        ("org/gated/resolve/main/x.bin", "wrong", 403, "GatedRepo"),
        ("org/gated/resolve/main/x.bin", "right", 302, None),
        ("api/models/org/gated", None, 200, None),
        ("api/models/org/gated/auth-check", None, 401, "GatedRepo"),
        ("api/models/org/gated/auth-check", "right", 200, None),
        ("org/private/resolve/main/x.bin", None, 401, "RepoNotFound"),
        ("org/private/resolve/main/x.bin", "right", 302, None),
        ("org/disabled/resolve/main/x.bin", None, 403, "DisabledRepo"),
        ("api/whoami-v2", None, 401, None),
        ("api/whoami-v2", "t", 200, None),
        ("favicon.ico", None, 404, None),
    ],
)
def test_refusals(filled: LoopbackHub, path: str, token: str | None, status: int, code: str | None) -> None:
    for name in ("gated", "private", "disabled"):
        filled.add_file(f"org/{name}", "x.bin", b"x")
    filled.gate("org/gated", "right")
    filled.make_private("org/private", "right")
    filled.disable("org/disabled")
    reply = fetch(f"{filled.endpoint}/{path}", headers={"Authorization": f"Bearer {token}"} if token else {})
    assert (reply.status, reply.headers["X-Error-Code"]) == (status, code)
    assert (reply.headers["X-Error-Message"] is None) == (status < 400)


def test_a_renamed_repo_redirects_relatively_and_keeps_the_query(filled: LoopbackHub) -> None:
    filled.rename("org/name", "other/new")
    reply = fetch(f"{filled.endpoint}/org/name/resolve/main/config.json?download=true", "HEAD")
    assert (reply.status, reply.headers["Location"]) == (
        307,
        "/other/new/resolve/main/config.json?download=true",
    )
    assert fetch(filled.endpoint + reply.headers["Location"]).body == b"{}"
    assert fetch(f"{filled.endpoint}/api/models/org/name/revision/main").status == 307


def test_a_commit_never_changes_once_it_was_seen(hub: LoopbackHub) -> None:
    hub.add_file("org/name", "x.bin", b"old")
    hub.add_file("org/name", "y.bin", b"too")
    first = hub.commit("org/name")
    hub.replace_file("org/name", "x.bin", b"new")
    second = hub.commit("org/name")
    hub.remove("org/name", "y.bin")
    assert len({first, second, hub.commit("org/name")}) == 3
    assert hub.content("org/name", "x.bin", first).sha256 != hub.content("org/name", "x.bin").sha256
    assert fetch(f"{hub.endpoint}/org/name/resolve/main/y.bin").status == 404
    assert fetch(f"{hub.endpoint}/org/name/resolve/{second}/y.bin").status == 302


def test_the_log_tells_what_was_sent_to_whom(filled: LoopbackHub) -> None:
    url = f"{filled.endpoint}/org/name/resolve/main/config.json"
    fetch(url, headers={"Authorization": "Bearer hf_x", "Range": "bytes=1-"})
    (request,) = filled.requests_to("config.json", listener="hub", method="GET")
    assert (request.token, request.range, request.status, request.bytes_sent) == ("hf_x", "bytes=1-", 206, 1)
    filled.forget_requests()
    assert filled.bytes_sent() == 0


def test_a_folder_can_be_served_by_hand(tmp_path: Path) -> None:
    file = tmp_path / "org" / "name" / "sub" / "x.safetensors"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"weights")
    command = [sys.executable, "-m", "wangp_downloader.demo.hub", "--dir", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            assert process.stdout is not None
            endpoint = process.stdout.readline().strip()
            reply = fetch(f"{endpoint}/org/name/resolve/main/sub/x.safetensors")
            assert fetch(reply.headers["Location"]).body == b"weights"
        finally:
            process.terminate()


def test_closing_leaves_no_thread_and_ends_idle_connections() -> None:
    before = set(threading.enumerate())
    with LoopbackHub() as hub:
        url = hub.add_plain("/x", Generated(10**9))
        parts = urlsplit(url)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=10)
        connection.request("GET", "/x")
        response = connection.getresponse()
        assert response.read(10) == Generated(10).read()
    response.close()
    connection.close()
    assert set(threading.enumerate()) == before
