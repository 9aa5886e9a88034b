"""What stands at a target, and how we know."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from wangp_downloader.cancel import CancelToken
from wangp_downloader.files import Digest, DigestKind, Evidence, TargetKind, TargetState, Wanted
from wangp_downloader.library.hashes import HashIndex
from wangp_downloader.library.hashing import stamp_of
from wangp_downloader.library.library import Library
from wangp_downloader.library.sidecars import Sidecars

CONTENT, TWIN = b"weights" * 100, b"WEIGHTS" * 100
WANTED = Wanted(Digest(DigestKind.SHA256, hashlib.sha256(CONTENT).hexdigest()), len(CONTENT))


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    hashes = HashIndex(tmp_path / "library.db")
    yield Library([], hashes)
    hashes.close()


@pytest.fixture
def target(tmp_path: Path) -> Path:
    (tmp_path / "ckpts").mkdir()
    return tmp_path / "ckpts" / "x.safetensors"


def inspect(
    library: Library,
    target: Path,
    wanted: Wanted | None = WANTED,
    *,
    hashing: bool = True,
    trust: bool = False,
) -> TargetState:
    return library.inspect(target, wanted, hashing=hashing, trust=trust, cancel=CancelToken())


def make_absent(target: Path) -> None:
    assert not target.exists()


def make_below_a_file(target: Path) -> None:
    target.parent.rmdir()
    target.parent.write_bytes(b"")


def make_file(target: Path) -> None:
    target.write_bytes(CONTENT)


def make_link(target: Path) -> None:
    (target.parent / "real").write_bytes(CONTENT)
    target.symlink_to("real")


def make_broken(target: Path) -> None:
    target.symlink_to("gone")


def make_loop(target: Path) -> None:
    target.symlink_to(target)


def make_folder(target: Path) -> None:
    target.mkdir()


def make_link_to_folder(target: Path) -> None:
    target.symlink_to(".")


def make_pipe(target: Path) -> None:
    os.mkfifo(target)


@pytest.mark.parametrize(
    ("make", "kind", "link_to"),
    [
        (make_absent, TargetKind.ABSENT, None),
        (make_below_a_file, TargetKind.ABSENT, None),
        (make_file, TargetKind.FILE, None),
        (make_link, TargetKind.LINK, "real"),
        (make_broken, TargetKind.BROKEN_LINK, "gone"),
        (make_folder, TargetKind.OTHER, None),
        (make_link_to_folder, TargetKind.OTHER, "."),
        (make_pipe, TargetKind.OTHER, None),
    ],
)
def test_kinds(
    library: Library, target: Path, make: Callable[[Path], None], kind: TargetKind, link_to: str | None
) -> None:
    make(target)
    state = inspect(library, target)
    readable = kind in (TargetKind.FILE, TargetKind.LINK)
    assert (state.path, state.kind, state.link_to) == (str(target), kind, link_to)
    assert state.size == (len(CONTENT) if readable else None)
    assert state.matches is (True if readable else None)


def test_a_link_to_itself_is_broken(library: Library, target: Path) -> None:
    make_loop(target)
    assert inspect(library, target).kind is TargetKind.BROKEN_LINK


def test_a_name_that_can_not_be_is_other(library: Library, target: Path) -> None:
    assert inspect(library, Path(f"{target}\0")).kind is TargetKind.OTHER
    assert inspect(library, target.with_name("n" * 300)).kind is TargetKind.OTHER


@pytest.mark.parametrize(
    ("content", "hashing", "trust", "matches", "evidence"),
    [
        (CONTENT, True, False, True, Evidence.COMPUTED),
        (TWIN, True, False, False, Evidence.COMPUTED),
        (CONTENT, False, False, None, None),
        (TWIN, False, False, None, None),
        (TWIN, True, True, True, Evidence.GUESSED),
        (CONTENT + b"!", True, True, False, None),
        (CONTENT + b"!", False, False, False, None),
        (b"", True, True, False, None),
    ],
)
def test_verdicts(
    library: Library,
    target: Path,
    content: bytes,
    hashing: bool,
    trust: bool,
    matches: bool | None,
    evidence: Evidence | None,
) -> None:
    target.write_bytes(content)
    state = inspect(library, target, hashing=hashing, trust=trust)
    assert (state.matches, state.evidence) == (matches, evidence)


def test_a_remembered_hash_beats_trust(library: Library, target: Path) -> None:
    target.write_bytes(TWIN)
    inspect(library, target)
    state = inspect(library, target, hashing=False, trust=True)
    assert (state.matches, state.evidence) == (False, Evidence.COMPUTED)


def test_nothing_wanted_is_nothing_known(library: Library, target: Path) -> None:
    make_file(target)
    state = inspect(library, target, None)
    assert (state.kind, state.matches) == (TargetKind.FILE, None)


def test_a_link_to_a_named_blob_needs_no_reading(library: Library, target: Path, tmp_path: Path) -> None:
    blob = tmp_path / "hub" / "models--o--n" / "blobs" / WANTED.digest.hex
    blob.parent.mkdir(parents=True)
    blob.write_bytes(CONTENT)
    target.symlink_to(os.path.relpath(blob, target.parent))
    assert inspect(library, target, hashing=False).evidence is Evidence.NAMED
    blob.write_bytes(CONTENT[:-1])
    assert inspect(library, target, hashing=False).matches is False


def test_small_git_files_are_compared_by_blob_id(library: Library, target: Path) -> None:
    target.write_bytes(b"hello\n")
    blob = Wanted(Digest(DigestKind.GIT_BLOB, "ce013625030ba8dba906f756967f9e9ca394464a"), 6)
    assert inspect(library, target, blob).evidence is Evidence.COMPUTED
    assert inspect(library, target, blob, hashing=False).evidence is Evidence.COMPUTED


def test_many_at_once_keep_their_order(library: Library, target: Path) -> None:
    make_file(target)
    paths = [target, target.with_name("absent"), target, target.parent]
    states = library.inspect_many([(path, WANTED) for path in paths], cancel=CancelToken())
    assert [state.kind for state in states] == [
        TargetKind.FILE,
        TargetKind.ABSENT,
        TargetKind.FILE,
        TargetKind.OTHER,
    ]


class TestSidecars:
    """The records of huggingface_hub beside its files."""

    def record(self, folder: Path, path: str, *, etag: str = WANTED.digest.hex, age_s: float = 0) -> Path:
        record = folder / ".cache" / "huggingface" / "download" / f"{path}.metadata"
        record.parent.mkdir(parents=True, exist_ok=True)
        record.write_text(f"{'c' * 40}\n{etag}\n{time.time() - age_s}\n")
        return record

    def test_a_valid_record_needs_no_reading(self, library: Library, target: Path) -> None:
        make_file(target)
        self.record(target.parent, target.name)
        assert inspect(library, target, hashing=False).evidence is Evidence.RECORDED

    def test_files_in_sub_folders(self, library: Library, target: Path) -> None:
        deep = target.parent / "a" / "b" / "x.safetensors"
        deep.parent.mkdir(parents=True)
        make_file(deep)
        self.record(target.parent, "a/b/x.safetensors")
        assert inspect(library, deep, hashing=False).evidence is Evidence.RECORDED

    @pytest.mark.parametrize("etag", ["0" * 64, "", "c" * 40, "not a hash", WANTED.digest.hex.upper()])
    def test_other_etags_say_nothing(self, library: Library, target: Path, etag: str) -> None:
        make_file(target)
        self.record(target.parent, target.name, etag=etag)
        assert inspect(library, target, hashing=False).matches is None

    def test_a_file_younger_than_its_record(self, library: Library, target: Path) -> None:
        make_file(target)
        self.record(target.parent, target.name, age_s=60)
        assert inspect(library, target, hashing=False).matches is None

    def test_a_file_swapped_in_with_an_old_mtime(self, library: Library, target: Path) -> None:
        """Two models of one architecture have one size, and ``mv`` keeps the mtime."""
        self.record(target.parent, target.name, age_s=60)
        target.write_bytes(TWIN)
        os.utime(target, (1, 1))
        assert inspect(library, target, hashing=False).matches is None

    @pytest.mark.parametrize("content", [b"", b"one\ntwo", b"\xff\n\xff\n1", b"c\n" + b"a" * 64 + b"\nnan\n"])
    def test_damaged_records(self, target: Path, content: bytes) -> None:
        make_file(target)
        self.record(target.parent, target.name).write_bytes(content)
        assert Sidecars().recorded(str(target), stamp_of(str(target))) is None
