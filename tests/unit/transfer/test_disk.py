"""Journal, lock, follower, publishing, left-over parts, shared limit, certificates."""

from __future__ import annotations

import errno
import hashlib
import os
import sys
import zlib
from itertools import pairwise
from pathlib import Path

import pycurl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wangp_downloader import renames
from wangp_downloader.cancel import CancelToken
from wangp_downloader.errors import StorageError, TransferError
from wangp_downloader.files import Digest, DigestKind
from wangp_downloader.transfer.certs import find_trust
from wangp_downloader.transfer.checksums import Extent
from wangp_downloader.transfer.containers import contradiction
from wangp_downloader.transfer.curl_errors import TABLE, curl_error
from wangp_downloader.transfer.follower import Follower
from wangp_downloader.transfer.journal import Header, Journal, disjoint
from wangp_downloader.transfer.lock import FileLock, is_held
from wangp_downloader.transfer.names import PartNames
from wangp_downloader.transfer.parts import PartKind, list_parts, remove_part
from wangp_downloader.transfer.request import TransferRequest
from wangp_downloader.transfer.resumable import Resumable, resumable_parts
from wangp_downloader.transfer.shared_limit import SharedLimit
from wangp_downloader.transfer.storage import PartFile, publish

HEADER = Header(url="https://x/f", digest="sha256:00", size=1000)
_EXTENTS = st.lists(st.builds(Extent, st.integers(0, 900), st.integers(0, 200), st.integers(0, 2**32 - 1)))


@given(_EXTENTS)
def test_disjoint_extents_are_in_order_and_inside(extents: list[Extent]) -> None:
    kept = disjoint(extents, 1000)
    assert set(kept) <= set(extents)
    assert all(first.end <= second.start for first, second in pairwise(kept))
    assert all(0 <= extent.start and extent.end <= 1000 and extent.length > 0 for extent in kept)


def test_journal_round_trip(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j")
    journal.begin(HEADER)
    first, second = Extent(0, 10, 1), Extent(10, 5, 2)
    journal.append([first])
    journal.append([second])
    journal.forget([first])
    journal.append([Extent(20, 5, 3)])
    journal.close()
    again = Journal(tmp_path / "j")
    again.load()
    assert again.header == HEADER
    assert again.extents == [second, Extent(20, 5, 3)]


@given(st.binary(max_size=200))
def test_any_file_can_be_read_as_a_journal(data: bytes) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "j"
        path.write_bytes(data)
        journal = Journal(path)
        journal.load()
        assert journal.header is None or journal.header.url is not None


def test_claims_after_a_torn_line_count(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j")
    journal.begin(HEADER)
    journal.append([Extent(0, 10, 1)])
    journal.append([Extent(10, 10, 2)])
    journal.close()
    (tmp_path / "j").write_bytes((tmp_path / "j").read_bytes()[:-4])  # the power failed
    for start in (20, 30):
        journal = Journal(tmp_path / "j")
        journal.load()
        journal.append([Extent(start, 10, 3)])
        journal.close()
    journal = Journal(tmp_path / "j")
    journal.load()
    assert [extent.start for extent in journal.extents] == [0, 20, 30]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
def test_pipes_in_place_of_our_files_hang_nothing(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "j")
    journal = Journal(tmp_path / "j")
    journal.load()
    assert journal.header is None
    with pytest.raises(StorageError, match="no regular file"):
        PartFile(tmp_path / "j")


def test_lock_excludes_and_is_removed(tmp_path: Path) -> None:
    first, second = FileLock(tmp_path / "l"), FileLock(tmp_path / "l")
    assert first.acquire()
    assert not second.acquire()
    first.release()
    assert not (tmp_path / "l").exists()
    assert second.acquire()
    second.release()


def _follow(path: Path, claimed: list[Extent]) -> tuple[Follower, list[Extent]]:
    lost: list[Extent] = []
    size = path.stat().st_size
    part = PartFile(path)
    follower = Follower(part, size, hashlib.sha256(), claimed, lost.append, lambda: None)
    follower.drain()
    part.close()
    return follower, lost


def test_follower_checks_what_an_earlier_run_claimed(tmp_path: Path) -> None:
    data = os.urandom(100_000)
    path = tmp_path / "f"
    path.write_bytes(data)
    good = [Extent(s, 10_000, zlib.crc32(data[s : s + 10_000])) for s in (0, 40_000, 90_000)]
    follower, lost = _follow(path, good)
    assert lost == []
    assert follower.hexdigest() == hashlib.sha256(data).hexdigest()
    bad = Extent(40_000, 10_000, 1)
    follower, lost = _follow(path, [good[0], bad])
    assert lost == [bad]
    assert follower.hashed == 40_000
    follower.recovered(len(data))
    follower.drain()
    assert follower.hexdigest() == hashlib.sha256(data).hexdigest()


def test_publishing_never_replaces(tmp_path: Path) -> None:
    part, destination = tmp_path / "p", tmp_path / "d"
    part.write_text("new")
    destination.write_text("old")
    with pytest.raises(TransferError, match="appeared"):
        publish(part, destination)
    assert destination.read_text() == "old"
    destination.unlink()
    publish(part, destination)
    assert destination.read_text() == "new"
    assert not part.exists()


def test_publishing_without_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(renames, "_system_call", lambda: None)
    monkeypatch.setattr(os, "link", refuse)
    test_publishing_never_replaces(tmp_path)


@pytest.mark.skipif(sys.platform != "linux", reason="renameat2 is Linux's")
def test_publishing_is_one_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process killed in between leaves either the part or the file, never both."""
    monkeypatch.delattr(os, "link")
    monkeypatch.delattr(Path, "unlink")
    (tmp_path / "p").write_text("new")
    publish(tmp_path / "p", tmp_path / "d")
    assert [path.name for path in tmp_path.iterdir()] == ["d"]


def test_part_that_was_replaced_is_noticed(tmp_path: Path) -> None:
    part = PartFile(tmp_path / "p")
    part.write(3, [b"ab", b"cd"])
    part.sync_data()
    assert (tmp_path / "p").read_bytes() == b"\0\0\0abcd"
    (tmp_path / "p").unlink()
    with pytest.raises(StorageError):
        part.sync_data()
    part.close()


def test_names_fit_the_file_system(tmp_path: Path) -> None:
    names = PartNames.beside(tmp_path / ("ü" * 120 + ".safetensors"))
    for path in (names.part, names.journal, names.lock, names.bad):
        assert len(path.name.encode()) <= 255
        path.touch()
    other = PartNames.beside(tmp_path / ("ü" * 120 + "x.safetensors"))
    assert other.part != names.part


def test_left_overs_are_listed_and_removed(tmp_path: Path) -> None:
    names = PartNames.beside(tmp_path / "ckpts" / "model.bin")
    names.part.parent.mkdir()
    names.part.write_bytes(b"x" * 50)
    journal = Journal(names.journal)
    journal.begin(HEADER)
    journal.append([Extent(0, 30, 1)])
    journal.close()
    etag = "0" * 64
    theirs = (f".cache/huggingface/download/x.{etag}.12345678.incomplete", "a.safetensors.incomplete")
    orphans = (".gone.bin.part.lock", ".gone.bin.part.json.new")
    for name in (*theirs, "_temp12.5/b.safetensors", "normal.safetensors", ".bad.bin.bad", *orphans):
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_bytes(b"" if name in orphans else b"y")
    found = {left.path.name: left for left in list_parts([tmp_path, tmp_path / "no"], cancel=CancelToken())}
    assert {name: left.kind for name, left in found.items()} == {
        ".model.bin.part": PartKind.OURS,
        ".gone.bin.part.lock": PartKind.OURS,
        f"x.{etag}.12345678.incomplete": PartKind.HUB,
        "a.safetensors.incomplete": PartKind.HUB,
        "b.safetensors": PartKind.WAN2GP,
        ".bad.bin.bad": PartKind.BAD,
    }
    ours = found[".model.bin.part"]
    assert (ours.done, ours.size, ours.in_use, ours.url) == (30, 1000, False, "https://x/f")
    lock = FileLock(names.lock)
    assert lock.acquire()
    assert remove_part(ours) == 0
    assert names.part.exists()
    lock.release()
    assert remove_part(ours) > 0
    assert not names.journal.exists()
    remove_part(found[".gone.bin.part.lock"])
    assert not list(tmp_path.glob(".gone*"))


def test_what_only_looks_like_a_left_over_is_the_users_own(tmp_path: Path) -> None:
    for name in (
        "_templates/my_lora.safetensors",
        "_temporal/x.safetensors",
        "_temp/y.safetensors",
        "thesis.incomplete",
        ".notes.part",
        ".mine.bad",
        ".x.part.json",
        ".x.part.lock",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"mine")
    assert list_parts([tmp_path], cancel=CancelToken()) == []


def test_instances_share_the_limit(tmp_path: Path) -> None:
    first, second = SharedLimit(tmp_path), SharedLimit(tmp_path)
    first.join()
    assert first.share(100.0, 0.0) == 100.0
    second.join()
    assert first.share(100.0, 1.0) == 50.0
    assert second.share(100.0, 1.0) == 50.0
    assert first.share(None, 2.0) is None
    second.leave()
    assert first.share(100.0, 3.0) == 100.0
    first.leave()
    assert SharedLimit(None).share(7.0, 0.0) == 7.0


def test_a_part_that_another_thread_closes_meanwhile_needs_no_space(tmp_path: Path) -> None:
    part = PartFile(tmp_path / "x.part")
    assert part.missing(1000) == 1000
    os.close(part._fd)
    assert part.missing(1000) == 0


def test_a_lock_of_another_user_is_seen_though_its_file_can_not_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = FileLock(tmp_path / "x.lock")
    assert theirs.acquire()

    def refuse(lock: FileLock) -> bool:
        raise PermissionError(errno.EACCES, "not yours")

    monkeypatch.setattr(FileLock, "acquire", refuse)
    assert is_held(theirs.path)
    theirs.release()
    theirs.path.touch()
    assert not is_held(theirs.path)


def test_trust_follows_the_environment(tmp_path: Path) -> None:
    bundle = tmp_path / "ca.pem"
    assert find_trust(None, {"SSL_CERT_FILE": str(bundle)}).file == str(bundle)
    assert find_trust(None, {"REQUESTS_CA_BUNDLE": str(tmp_path)}).folder == str(tmp_path)
    assert find_trust(bundle, {"SSL_CERT_FILE": "x"}).file == str(bundle)


def test_gguf_header(tmp_path: Path) -> None:
    path = tmp_path / "f"
    for data, good in (
        (b"GGUF" + (3).to_bytes(4, "little") + bytes(16), True),
        (b"GGUF" + (99).to_bytes(4, "little") + bytes(16), False),
        (b"<html>", False),
        (b"GGUF" + (3).to_bytes(4, "little") + (10**9).to_bytes(8, "little") + bytes(8), False),
    ):
        path.write_bytes(data)
        assert (contradiction(path, "x.gguf") is None) == good
    assert contradiction(path, "x.bin") is None


def test_every_network_error_of_libcurl_has_a_row() -> None:
    names = (
        "E_COULDNT_RESOLVE_PROXY E_COULDNT_RESOLVE_HOST E_COULDNT_CONNECT E_PARTIAL_FILE E_GOT_NOTHING"
        " E_OPERATION_TIMEDOUT E_SSL_CONNECT_ERROR E_SEND_ERROR E_RECV_ERROR E_PEER_FAILED_VERIFICATION"
        " E_SSL_CACERT_BADFILE E_HTTP2 E_WRITE_ERROR E_URL_MALFORMAT E_UNSUPPORTED_PROTOCOL"
    )
    for name in names.split():
        code = getattr(pycurl, name)
        assert code in TABLE
        assert "https://x" in curl_error(code, "detail", "https://x").message
    assert curl_error(9999, "", "https://x").retryable


def test_part_that_another_process_fetches_is_not_left_over(tmp_path: Path) -> None:
    names = PartNames.beside(tmp_path / "m.bin")
    names.part.write_bytes(bytes(1000))
    journal = Journal(names.journal)
    journal.begin(HEADER)
    journal.append([Extent(0, 10, 1)])
    journal.close()
    lock = FileLock(names.lock)
    assert lock.acquire()
    assert resumable_parts({names.destination: None})[names.destination].in_use
    lock.release()
    held = names.part.stat().st_blocks * 512
    other = Digest(DigestKind.SHA256, "11" * 32)
    assert resumable_parts({names.destination: None}) == {
        names.destination: Resumable(10, 1000, held, in_use=False)
    }
    assert resumable_parts({names.destination: other}) == {
        names.destination: Resumable(0, None, held, in_use=False)
    }
    assert not names.lock.exists()


def test_a_part_that_nothing_vouches_for_is_not_gone_on_with(tmp_path: Path) -> None:
    request = TransferRequest("x", "https://x/f", tmp_path / "f", 1000, None)
    assert Header(url="https://x/f", digest=None, size=1000, etag=None).change_since(request) is not None
    assert Header(url="https://x/f", digest=None, size=1000, etag='"1"').change_since(request) is None
