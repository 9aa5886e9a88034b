"""The memory of hashes: true as long as the file is, and no longer."""

from __future__ import annotations

import hashlib
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from wangp_downloader.cancel import CancelToken
from wangp_downloader.errors import CancelledError, StorageError
from wangp_downloader.events import Event, HashProgress, Level, Notice
from wangp_downloader.files import Digest, DigestKind
from wangp_downloader.library import hashes as hashes_module
from wangp_downloader.library import hashing
from wangp_downloader.library.hashes import HashedFile, HashIndex
from wangp_downloader.library.hashing import hash_file, stamp_of
from wangp_downloader.library.stamp import Stamp

CONTENT = b"weights" * 5000


@pytest.fixture
def index(tmp_path: Path) -> Iterator[HashIndex]:
    opened = HashIndex(tmp_path / "library.db")
    yield opened
    opened.close()


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.safetensors"
    path.write_bytes(CONTENT)
    return path


def digest_of(content: bytes) -> Digest:
    return Digest(DigestKind.SHA256, hashlib.sha256(content).hexdigest())


def known(index: HashIndex, path: Path) -> Digest | None:
    return index.known({str(path): stamp_of(str(path))}).get(str(path))


def test_hashes_once_and_remembers(index: HashIndex, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert index.digest(model, cancel=CancelToken()) == digest_of(CONTENT)
    monkeypatch.setattr(hashes_module, "hash_file", None)
    assert index.digest(model, cancel=CancelToken()) == digest_of(CONTENT)
    assert index.count() == 1


def test_git_blob_id_is_gits_own(index: HashIndex, model: Path) -> None:
    given = index.digest(model, DigestKind.GIT_BLOB, cancel=CancelToken())
    # `printf 'hello\n' | git hash-object --stdin`, as every git book prints it.
    model.write_bytes(b"hello\n")
    assert index.digest(model, DigestKind.GIT_BLOB, cancel=CancelToken()) == Digest(
        DigestKind.GIT_BLOB, "ce013625030ba8dba906f756967f9e9ca394464a"
    )
    assert given.hex == hashlib.sha1(b"blob 35000\0" + CONTENT).hexdigest()


def test_both_kinds_of_one_file_are_kept_together(index: HashIndex, model: Path) -> None:
    for kind in DigestKind:
        index.digest(model, kind, cancel=CancelToken())
    assert index.count() == 1
    for kind in DigestKind:
        assert index.known({str(model): stamp_of(str(model))}, kind)


def test_survives_reopening(tmp_path: Path, model: Path) -> None:
    first = HashIndex(tmp_path / "library.db")
    first.digest(model, cancel=CancelToken())
    first.close()
    second = HashIndex(tmp_path / "library.db")
    assert known(second, model) == digest_of(CONTENT)
    second.close()


def test_a_hard_link_is_known_under_its_other_name(index: HashIndex, model: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    os.link(model, other)
    index.digest(model, cancel=CancelToken())
    assert known(index, other) == digest_of(CONTENT)


def change_content(path: Path) -> None:
    path.write_bytes(CONTENT[::-1])


def change_content_keeping_mtime(path: Path) -> None:
    before = path.stat()
    path.write_bytes(CONTENT[::-1])
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def replace_by_another_file(path: Path) -> None:
    before = path.stat()
    other = path.with_name("new")
    other.write_bytes(CONTENT[::-1])
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.replace(path)


@pytest.mark.parametrize("change", [change_content, change_content_keeping_mtime, replace_by_another_file])
def test_a_changed_file_is_hashed_again(
    index: HashIndex, model: Path, change: Callable[[Path], None]
) -> None:
    index.digest(model, cancel=CancelToken())
    change(model)
    assert known(index, model) is None
    assert index.digest(model, cancel=CancelToken()) == digest_of(CONTENT[::-1])
    assert index.count() == 1


@pytest.mark.parametrize("field", ["inode", "size", "mtime_ns", "ctime_ns"])
def test_each_part_of_the_stamp_counts(index: HashIndex, model: Path, field: str) -> None:
    index.digest(model, cancel=CancelToken())
    stamp = stamp_of(str(model))
    changed = stamp._replace(**{field: getattr(stamp, field) + 1})
    assert index.known({str(model): changed}) == {}


def test_a_new_device_number_is_accepted_for_the_same_path_only(index: HashIndex, model: Path) -> None:
    index.digest(model, cancel=CancelToken())
    remounted = stamp_of(str(model))._replace(device=987654321)
    assert index.known({str(model): remounted}) == {str(model): digest_of(CONTENT)}
    assert index.known({"/another/path": remounted}) == {}


def test_our_own_hard_link_does_not_cost_a_hash(index: HashIndex, model: Path, tmp_path: Path) -> None:
    index.digest(model, cancel=CancelToken())
    before = stamp_of(str(model))
    os.utime(model, ns=(1, before.mtime_ns))  # changes ctime, as making a link does
    os.link(model, tmp_path / "second")
    assert known(index, model) is None
    index.relinked(str(model), before)
    assert known(index, model) == known(index, tmp_path / "second") == digest_of(CONTENT)


def test_relinked_does_not_bless_changed_content(index: HashIndex, model: Path) -> None:
    index.digest(model, cancel=CancelToken())
    before = stamp_of(str(model))
    change_content(model)
    index.relinked(str(model), before)
    assert known(index, model) is None


def test_remember_takes_over_a_download(index: HashIndex, model: Path, tmp_path: Path) -> None:
    index.remember(model, digest_of(CONTENT), len(CONTENT))
    assert known(index, model) == digest_of(CONTENT)
    index.remember(model, digest_of(b"x"), 1)
    assert known(index, model) == digest_of(CONTENT)
    index.remember(tmp_path / "absent", digest_of(b"x"), 1)
    index.forget([str(model), str(tmp_path / "absent")])
    assert known(index, model) is None


def test_a_thousand_files_are_one_query(index: HashIndex, tmp_path: Path) -> None:
    files = {f"/models/{number}": Stamp(1, number, 10, 5, 5) for number in range(1000)}
    for path, stamp in files.items():
        if stamp.inode % 2:
            index.store(path, HashedFile(digest_of(path.encode()), stamp))
    found = index.known(files)
    assert found == {path: digest_of(path.encode()) for path, stamp in files.items() if stamp.inode % 2}


def test_names_that_are_no_unicode(index: HashIndex, tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"\xff\xfe.bin")
    path.write_bytes(CONTENT)
    index.digest(path, cancel=CancelToken())
    assert known(index, path) == digest_of(CONTENT)


def test_inodes_beyond_sqlites_integers(index: HashIndex) -> None:
    stamp = Stamp(2**64 - 1, 2**127, 1, 2, 3)
    index.store("/x", HashedFile(digest_of(b"x"), stamp))
    assert index.known({"/x": stamp}) == {"/x": digest_of(b"x")}


def test_a_file_that_changes_once_while_read_is_read_again(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = iter([CONTENT[::-1]])

    def change_once() -> None:
        for content in changes:
            model.write_bytes(content)

    _act_after_reading(monkeypatch, change_once)
    hashed = hash_file(str(model), DigestKind.SHA256, cancel=CancelToken())
    assert hashed.digest == digest_of(CONTENT[::-1])
    assert hashed.stamp == stamp_of(str(model))


def test_a_file_that_never_rests_is_an_error(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter(range(10, 100))
    _act_after_reading(monkeypatch, lambda: os.utime(model, ns=(1, next(ticks))))
    with pytest.raises(StorageError, match="changes while it is read"):
        hash_file(str(model), DigestKind.SHA256, cancel=CancelToken())


def test_progress_is_told_and_hashing_stops_between_buffers(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hashing, "BUFFER_BYTES", 1000)
    monkeypatch.setattr(hashing, "PROGRESS_INTERVAL_S", 0.0)
    events: list[Event] = []
    cancel = CancelToken()

    def watch(event: Event) -> None:
        events.append(event)
        if len(events) == 3:
            cancel.cancel()

    with pytest.raises(CancelledError):
        hash_file(str(model), DigestKind.SHA256, cancel=cancel, emit=watch)
    assert events == [HashProgress(str(model), done, len(CONTENT)) for done in (1000, 2000, 3000)]


def test_the_end_is_told_once(model: Path) -> None:
    events: list[Event] = []
    hash_file(str(model), DigestKind.SHA256, cancel=CancelToken(), emit=events.append)
    assert events[-1] == HashProgress(str(model), len(CONTENT), len(CONTENT), finished=True)


@pytest.mark.parametrize("make", ["absent", "folder", "pipe", "broken", "loop", "nul"])
def test_what_is_no_file_is_a_clear_error(tmp_path: Path, make: str) -> None:
    path = tmp_path / make
    if make == "folder":
        path.mkdir()
    elif make == "pipe":
        os.mkfifo(path)
    elif make in ("broken", "loop"):
        path.symlink_to(path if make == "loop" else tmp_path / "nowhere")
    name = f"{path}\0" if make == "nul" else str(path)
    with pytest.raises(StorageError, match="can not read"):
        hash_file(name, DigestKind.SHA256, cancel=CancelToken())


def test_a_memory_that_can_not_be_written_is_a_notice(tmp_path: Path, model: Path) -> None:
    events: list[Event] = []
    index = HashIndex(tmp_path / "library.db", events.append)
    with index._database.writing() as connection:
        connection.execute("DROP TABLE hashes")
    index.store(str(model), HashedFile(digest_of(CONTENT), stamp_of(str(model))))
    assert [type(event) for event in events] == [Notice]
    assert isinstance(events[0], Notice)
    assert events[0].level is Level.WARNING
    index.close()


def test_several_threads_at_once(index: HashIndex, tmp_path: Path) -> None:
    paths = [tmp_path / f"file{number}" for number in range(8)]
    for path in paths:
        path.write_bytes(path.name.encode())
    threads = [
        threading.Thread(target=index.digest, args=(path,), kwargs={"cancel": CancelToken()})
        for path in paths
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert index.count() == len(paths)


def test_agrees_with_sha256sum(index: HashIndex, model: Path) -> None:
    try:
        printed = subprocess.run(["sha256sum", model], capture_output=True, text=True, check=True).stdout
    except FileNotFoundError:
        pytest.skip("sha256sum is not installed")
    assert index.digest(model, cancel=CancelToken()).hex == printed.split()[0]


def _act_after_reading(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    real = hashing.buffers

    def reading(descriptor: int, path: str, cancel: CancelToken) -> Iterator[memoryview]:
        yield from real(descriptor, path, cancel)
        act()

    monkeypatch.setattr(hashing, "buffers", reading)
