from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from wangp_downloader.demo import faults
from wangp_downloader.demo.faults import Match
from wangp_downloader.demo.hub import LoopbackHub
from wangp_downloader.events import MetadataProgress
from wangp_downloader.files import DigestKind, RemoteAnswer, RemoteFile, RemoteState
from wangp_downloader.remote import hub_api
from wangp_downloader.remote.client import hub_file

if TYPE_CHECKING:
    from tests.unit.remote.conftest import MakeRoom, Room

BIG = hub_file("org/name", "sub/big.safetensors")
SMALL = hub_file("org/name", "config.json")


@pytest.fixture(autouse=True)
def filled(hub: LoopbackHub) -> None:
    hub.add_file("org/name", "sub/big.safetensors", b"weights")
    hub.add_file("org/name", "config.json", b"{}", lfs=False)


@pytest.mark.parametrize("answers_blobs", [True, False])
def test_size_digest_and_commit_of_each_file(hub: LoopbackHub, room: Room, answers_blobs: bool) -> None:
    hub.answers_blobs = answers_blobs
    big, small = room.lookup(BIG, SMALL)
    assert (big.state, big.size, big.stale) == (RemoteState.KNOWN, 7, False)
    assert big.digest is not None
    assert big.digest.hex == hashlib.sha256(b"weights").hexdigest()
    assert small.digest is not None
    assert small.digest.kind is DigestKind.GIT_BLOB
    assert small.digest.hex == hashlib.sha1(b"blob 2\0{}").hexdigest()
    assert big.commit == small.commit == hub.commit("org/name")


def test_a_repo_never_seen_costs_one_request_whatever_the_number_of_files(
    hub: LoopbackHub, room: Room
) -> None:
    room.lookup(BIG, SMALL)
    assert [request.method for request in hub.requests] == ["GET"]
    assert room.events == [MetadataProgress("org/name", 1, 1)]


def test_a_server_that_gives_names_only_costs_one_paths_info_request_pinned_to_the_commit(
    hub: LoopbackHub, room: Room
) -> None:
    hub.answers_blobs = False
    room.lookup(BIG, SMALL)
    paths = [request.path for request in hub.requests]
    assert len(paths) == 2
    assert paths[1] == f"/api/models/org/name/paths-info/{hub.commit('org/name')}"


@pytest.mark.parametrize(
    "siblings",
    ["", ',"siblings":[{"rfilename":"config.json","size":2}]', ',"siblings":[{"rfilename":"x","size":null}]'],
)
def test_a_mirror_that_says_little_is_enough(hub: LoopbackHub, room: Room, siblings: str) -> None:
    body = f'{{"sha":"{hub.commit("org/name")}"{siblings}}}'.encode()
    hub.faults.add(faults.answer(200, body=body, match=Match(path="/revision/", times=None)))
    big, small = room.lookup(BIG, SMALL)
    assert (big.size, small.size) == (7, 2)
    assert big.digest is not None
    assert small.digest is not None


def test_many_paths_are_asked_in_chunks(
    hub: LoopbackHub, room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_api, "PATHS_PER_REQUEST", 2)
    hub.answers_blobs = False
    files = [hub_file("org/many", f"{index}.bin") for index in range(5)]
    for file in files:
        hub.add_file("org/many", file.path, b"x")
    assert all(answer.state is RemoteState.KNOWN for answer in room.lookup(*files))
    assert len(hub.requests_to("paths-info")) == 3


def test_what_is_known_and_fresh_is_not_asked_again_in_another_run(
    hub: LoopbackHub, make_room: MakeRoom
) -> None:
    first = make_room().lookup(BIG, SMALL)
    hub.forget_requests()
    again = make_room()
    assert again.lookup(BIG, SMALL) == first
    assert list(again.client.cached([BIG, SMALL]).values()) == first
    assert hub.requests == []
    assert again.events == []


def test_a_stale_revision_costs_one_request_if_the_commit_is_the_same(hub: LoopbackHub, room: Room) -> None:
    before = room.lookup(BIG, SMALL)
    hub.forget_requests()
    assert room.lookup(BIG, SMALL, max_age_s=0) == before
    (request,) = hub.requests
    assert request.query.get("expand") == ["sha", "gated"]


def test_a_changed_commit_is_asked_about_again_and_for_all_files_alike(hub: LoopbackHub, room: Room) -> None:
    room.lookup(BIG, SMALL)
    hub.replace_file("org/name", "sub/big.safetensors", b"other weights")
    assert room.lookup(BIG, SMALL)[0].size == 7
    big, small = room.lookup(BIG, SMALL, max_age_s=0)
    assert (big.size, big.commit) == (13, hub.commit("org/name"))
    assert small.commit == big.commit


def test_a_new_file_of_a_fresh_commit_is_asked_of_that_commit(hub: LoopbackHub, room: Room) -> None:
    hub.answers_blobs = False
    (small,) = room.lookup(SMALL)
    hub.replace_file("org/name", "sub/big.safetensors", b"other weights")
    (big,) = room.lookup(BIG)
    assert (big.size, big.commit) == (7, small.commit)


def test_a_revision_that_is_a_commit_never_goes_stale(hub: LoopbackHub, room: Room) -> None:
    file = hub_file("org/name", "config.json", hub.commit("org/name"))
    assert room.lookup(file, max_age_s=0)[0].state is RemoteState.KNOWN
    assert len(hub.requests) == 1
    assert room.lookup(file, max_age_s=0)[0].stale is False
    assert len(hub.requests) == 1


def test_a_missing_file_is_remembered_for_its_commit(hub: LoopbackHub, room: Room) -> None:
    nope = hub_file("org/name", "nope.bin")
    (answer,) = room.lookup(nope)
    assert answer.state is RemoteState.MISSING
    assert answer.problem == "org/name has no file 'nope.bin' at revision 'main'"
    hub.forget_requests()
    assert room.lookup(nope) == [answer]
    assert hub.requests == []
    hub.replace_file("org/name", "nope.bin", b"here now")
    assert room.lookup(nope, max_age_s=0)[0].size == 8


def test_two_revisions_of_one_commit_share_what_is_known(hub: LoopbackHub, room: Room) -> None:
    commit = hub.commit("org/name")
    main, pinned = room.lookup(SMALL, hub_file("org/name", "config.json", commit))
    assert (main.digest, main.commit) == (pinned.digest, pinned.commit)


def test_odd_names_survive_the_way_there_and_back(hub: LoopbackHub, room: Room) -> None:
    for path in ("a b/ü+&=#?.bin", "quo'te\".bin", "100%.bin"):
        hub.add_file("org/odd.name_1-2", path, path.encode(), revision="a/branch")
        (answer,) = room.lookup(hub_file("org/odd.name_1-2", path, "a/branch"), max_age_s=0)
        assert answer.size == len(path.encode()), path


def test_nothing_is_asked_twice_for_one_file_named_twice(hub: LoopbackHub, room: Room) -> None:
    other = RemoteFile("https://hf.co/org/name/resolve/main/config.json", "org/name", "main", "config.json")
    assert room.lookup(SMALL, other)[0] == room.lookup(other)[0]
    assert len(hub.requests) == 1


def test_no_files_no_questions(hub: LoopbackHub, room: Room) -> None:
    assert room.lookup() == []
    assert hub.requests == []


def test_unknown_files_are_unknown_to_the_cache(room: Room) -> None:
    assert room.client.cached([BIG]) == {BIG: RemoteAnswer(RemoteState.UNKNOWN)}


def test_the_download_url_is_at_the_endpoint_and_pinned_when_the_commit_is_known(
    hub: LoopbackHub, room: Room
) -> None:
    odd = hub_file("org/name", "a b/ü.bin", "refs/pr/1")
    assert room.client.download_url(BIG) == f"{hub.endpoint}/org/name/resolve/main/sub/big.safetensors"
    assert room.client.download_url(odd) == f"{hub.endpoint}/org/name/resolve/refs%2Fpr%2F1/a%20b/%C3%BC.bin"
    room.lookup(BIG, hub_file("org/name", "nope.bin"))
    pinned = f"{hub.endpoint}/org/name/resolve/{hub.commit('org/name')}/sub/big.safetensors"
    assert room.client.download_url(BIG) == pinned
    assert room.client.download_url(hub_file("org/name", "nope.bin")).endswith("/main/nope.bin")
    plain = RemoteFile("https://host.example/x?token=1", None, None, "x")
    assert room.client.download_url(plain) == plain.url


def test_the_endpoint_is_part_of_what_is_known(hub: LoopbackHub, make_room: MakeRoom) -> None:
    make_room().lookup(BIG)
    with LoopbackHub() as mirror:
        mirror.add_file("org/name", "sub/big.safetensors", b"mirrored")
        room = make_room(endpoint=f"{mirror.endpoint}/")
        assert room.client.cached([BIG])[BIG].state is RemoteState.UNKNOWN
        assert room.lookup(BIG)[0].size == 8


def test_neither_token_nor_files_of_the_user_are_touched(
    hub: LoopbackHub, room: Room, isolated_environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_not_given_to_us")
    room.lookup(BIG)
    room.list_folder("org/name", "sub", max_age_s=0)
    assert not any(request.authorized for request in hub.requests)
    assert {request.path.split("/")[2] for request in hub.requests} == {"models"}
    assert list(isolated_environment.rglob("*")) == []


def test_what_needs_no_network_imports_no_huggingface_hub(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib\n"
        "from wangp_downloader.remote.client import RemoteClient\n"
        "from wangp_downloader.remote.cache import MetadataCache\n"
        "from wangp_downloader.remote.options import RemoteOptions\n"
        "from wangp_downloader.remote.token import read_token\n"
        "from wangp_downloader.cancel import CancelToken\n"
        "from wangp_downloader.files import RemoteFile\n"
        "cache = MetadataCache(pathlib.Path(sys.argv[1]))\n"
        "client = RemoteClient(cache, RemoteOptions(offline=True, token=read_token()))\n"
        "client.cached([RemoteFile('u', 'o/n', 'main', 'p')])\n"
        "client.lookup([RemoteFile('u', 'o/n', 'main', 'p')], cancel=CancelToken())\n"
        "cache.close()\n"
        "assert not {'huggingface_hub', 'httpx', 'httpx2', 'pycurl'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "c.db")], check=True)
