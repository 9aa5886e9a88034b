"""Links: made twice, made through aliases, made in a race; no file is ever harmed."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from wangp_downloader import renames
from wangp_downloader.cancel import CancelToken
from wangp_downloader.errors import CancelledError, IntegrityError, LinkError, StorageError
from wangp_downloader.files import Digest, DigestKind, Evidence, Wanted
from wangp_downloader.journal import Before, BeforeKind, Journal, JournalAction, JournalState
from wangp_downloader.library import placing
from wangp_downloader.library.hashes import HashIndex
from wangp_downloader.library.hashing import stamp_of
from wangp_downloader.library.link import LinkContext, LinkMode, PlacedLink, place_link

CONTENT = b"weights of great value" * 3000
OTHER = bytes(reversed(CONTENT))
NO_COW = [LinkMode.SYMLINK, LinkMode.HARDLINK, LinkMode.COPY]


def wanted_for(content: bytes) -> Wanted:
    return Wanted(Digest(DigestKind.SHA256, hashlib.sha256(content).hexdigest()), len(content))


class Place:
    """A hub with one file, and a Wan2GP to link it into."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.source = folder / "hub" / "abc" / "model.safetensors"
        self.source.parent.mkdir(parents=True)
        self.source.write_bytes(CONTENT)
        self.root = folder / "Wan2GP" / "ckpts"
        self.root.mkdir(parents=True)
        self.target = self.root / "model.safetensors"
        self.hashes = HashIndex(folder / "state" / "library.db")
        self.journal = Journal(folder / "state" / "journal.jsonl", "link")
        self.cancel = CancelToken()

    def link(
        self,
        mode: LinkMode = LinkMode.SYMLINK,
        *,
        source: Path | None = None,
        target: Path | None = None,
        evidence: Evidence = Evidence.COMPUTED,
        replace_proven: bool = False,
    ) -> PlacedLink:
        context = LinkContext((self.root,), self.hashes, self.journal, self.cancel)
        return place_link(
            source or self.source,
            target or self.target,
            mode=mode,
            wanted=wanted_for(CONTENT),
            context=context,
            evidence=evidence,
            replace_proven=replace_proven,
        )

    def assert_nothing_harmed(self) -> None:
        assert self.source.read_bytes() == CONTENT
        assert not self.source.is_symlink()
        assert list(self.folder.rglob(".wangp-*")) == []


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path)
    yield made
    made.assert_nothing_harmed()
    made.hashes.close()
    made.journal.close()


@pytest.mark.parametrize("mode", NO_COW)
def test_making_the_same_link_twice_leaves_the_source_intact(place: Place, mode: LinkMode) -> None:
    first = place.link(mode)
    if mode is LinkMode.COPY:  # a copy is a file of its own: the second time it is simply not touched
        with pytest.raises(LinkError, match="real file"):
            place.link(mode)
    else:
        assert place.link(mode).made is False
    assert first.made
    assert place.target.read_bytes() == CONTENT
    assert place.target.is_symlink() is (mode is LinkMode.SYMLINK)


@pytest.mark.parametrize("replace", [False, True])
@pytest.mark.parametrize("mode", NO_COW)
def test_linking_a_file_to_itself_does_nothing(place: Place, mode: LinkMode, replace: bool) -> None:
    place.source.replace(place.target)
    place.source.symlink_to(place.target)
    for source in (place.target, place.source):
        assert place.link(mode, source=source, replace_proven=replace).made is False
    assert place.target.read_bytes() == CONTENT
    assert not place.target.is_symlink()
    place.source.unlink()
    place.target.replace(place.source)


def alias_by_linked_folder(place: Place) -> Path:
    (place.root / "sub").symlink_to(place.source.parent)
    return place.root / "sub" / place.source.name


def alias_by_linked_parent(place: Place) -> Path:
    (place.folder / "again").symlink_to(place.folder / "hub")
    (place.root / "sub").symlink_to(place.folder / "again")
    return place.root / "sub" / "abc" / place.source.name


def alias_by_hard_link(place: Place) -> Path:
    os.link(place.source, place.target)
    return place.target


def alias_by_relative_link(place: Place) -> Path:
    place.target.symlink_to("../../hub/abc/model.safetensors")
    return place.target


def alias_by_chain_of_links(place: Place) -> Path:
    (place.root / "one").symlink_to(place.source)
    place.target.symlink_to("one")
    return place.target


@pytest.mark.parametrize("replace", [False, True])
@pytest.mark.parametrize("mode", list(LinkMode))
@pytest.mark.parametrize(
    "alias",
    [
        alias_by_linked_folder,
        alias_by_linked_parent,
        alias_by_hard_link,
        alias_by_relative_link,
        alias_by_chain_of_links,
    ],
)
def test_a_target_that_is_the_source_under_another_name_is_left(
    place: Place, alias: Callable[[Place], Path], mode: LinkMode, replace: bool
) -> None:
    target = alias(place)
    before = os.lstat(target)
    assert place.link(mode, target=target, replace_proven=replace).made is False
    assert os.lstat(target) == before


@pytest.mark.parametrize("mode", [LinkMode.SYMLINK, LinkMode.COPY])
@pytest.mark.parametrize("exchange", [True, False])
def test_a_folder_doubled_under_another_device_number_is_put_back(
    place: Place, mode: LinkMode, exchange: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with one NFS export mounted twice: the stat differs, the file is the same."""
    if not exchange:
        monkeypatch.setattr(renames, "_system_call", lambda: None)
    (place.root / "sub").symlink_to(place.source.parent)
    double = place.root / "sub" / place.source.name
    monkeypatch.setattr("wangp_downloader.library.link._has_wanted", lambda *_: False)
    monkeypatch.setattr("wangp_downloader.library.link.check_root", lambda *_: None)
    with pytest.raises(LinkError, match="left as it was"):
        place.link(mode, target=double, replace_proven=True)


def test_the_link_says_exactly_what_was_asked_for(place: Place) -> None:
    placed = place.link()
    assert str(place.target.readlink()) == str(place.source)
    assert placed == PlacedLink(
        str(place.target), str(place.source), LinkMode.SYMLINK, made=True, entry=placed.entry
    )


def test_hard_link_is_one_file_and_not_hashed_again(place: Place) -> None:
    place.link(LinkMode.HARDLINK)
    assert place.target.stat().st_ino == place.source.stat().st_ino
    stamps = {str(path): stamp_of(str(path)) for path in (place.source, place.target)}
    assert set(place.hashes.known(stamps)) == set(stamps)


def test_hard_link_to_a_link_names_the_file_behind_it(place: Place) -> None:
    link = place.folder / "blob"
    link.symlink_to(place.source)
    place.link(LinkMode.HARDLINK, source=link)
    assert not place.target.is_symlink()
    assert place.target.samefile(place.source)


def test_a_copy_is_verified_and_known_afterwards(place: Place) -> None:
    placed = place.link(LinkMode.COPY)
    assert placed.bytes_copied == len(CONTENT)
    assert place.target.read_bytes() == CONTENT
    assert not place.target.samefile(place.source)
    assert place.hashes.known({str(place.target): stamp_of(str(place.target))})


def test_a_copy_of_wrong_bytes_never_appears(place: Place) -> None:
    bad = place.folder / "bad"
    bad.write_bytes(OTHER)
    with pytest.raises(IntegrityError):
        place.link(LinkMode.COPY, source=bad, evidence=Evidence.NAMED)
    assert not place.target.exists()


def test_parents_are_made_and_recorded(place: Place) -> None:
    target = place.root / "a" / "b" / "model.safetensors"
    place.link(target=target)
    assert target.read_bytes() == CONTENT
    made = [entry.change for entry in place.journal.entries()]
    assert [(change.action, change.target) for change in made] == [
        (JournalAction.MKDIR, str(place.root / "a")),
        (JournalAction.MKDIR, str(place.root / "a" / "b")),
        (JournalAction.LINK, str(target)),
    ]


def test_a_broken_link_is_repaired_and_recorded(place: Place) -> None:
    place.target.symlink_to("/gone/away")
    placed = place.link()
    assert placed.before == Before(BeforeKind.LINK, link_to="/gone/away")
    assert place.target.read_bytes() == CONTENT
    (entry,) = place.journal.entries()
    assert (entry.state, entry.change.before) == (JournalState.DONE, placed.before)
    assert entry.id == placed.entry


@pytest.mark.parametrize("exchange", [True, False])
@pytest.mark.parametrize("mode", NO_COW)
def test_a_link_to_itself_is_a_broken_link(
    place: Place, mode: LinkMode, exchange: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not exchange:
        monkeypatch.setattr(renames, "_system_call", lambda: None)
    place.target.symlink_to(place.target)
    assert place.link(mode).made
    assert place.target.read_bytes() == CONTENT


def test_a_link_to_other_content_is_a_conflict(place: Place) -> None:
    for other in (OTHER, b"short"):
        (place.folder / "other").write_bytes(other)
        place.target.unlink(missing_ok=True)
        place.target.symlink_to(place.folder / "other")
        with pytest.raises(LinkError, match="link to other content"):
            place.link(replace_proven=True)
        assert place.target.read_bytes() == other


def test_a_link_to_another_file_with_the_same_bytes_is_kept(place: Place) -> None:
    (place.folder / "twin").write_bytes(CONTENT)
    place.target.symlink_to(place.folder / "twin")
    assert place.link().made is False
    assert str(place.target.readlink()) == str(place.folder / "twin")


@pytest.mark.parametrize("content", [CONTENT, OTHER, b""])
def test_a_real_file_is_not_replaced_unasked(place: Place, content: bytes) -> None:
    place.target.write_bytes(content)
    with pytest.raises(LinkError, match="real file"):
        place.link()
    assert place.target.read_bytes() == content


@pytest.mark.parametrize("exchange", [True, False])
@pytest.mark.parametrize("mode", [LinkMode.SYMLINK, LinkMode.HARDLINK])
def test_a_proven_double_is_replaced_when_asked(
    place: Place, mode: LinkMode, exchange: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not exchange:
        monkeypatch.setattr(renames, "_system_call", lambda: None)
    place.target.write_bytes(CONTENT)
    placed = place.link(mode, replace_proven=True)
    assert placed.before == Before(BeforeKind.FILE, size=len(CONTENT))
    assert place.target.samefile(place.source)


def test_a_real_file_with_other_bytes_is_not_replaced_even_when_asked(place: Place) -> None:
    place.target.write_bytes(OTHER)
    with pytest.raises(LinkError, match="holds other bytes"):
        place.link(replace_proven=True)
    assert place.target.read_bytes() == OTHER


def test_replacing_needs_a_computed_hash_of_the_source_too(place: Place) -> None:
    place.target.write_bytes(CONTENT)
    claimed = place.folder / "claimed"
    claimed.write_bytes(OTHER)
    with pytest.raises(LinkError, match="does not hold the bytes"):
        place.link(source=claimed, evidence=Evidence.NAMED, replace_proven=True)
    assert place.target.read_bytes() == CONTENT


def test_folders_and_devices_at_the_target_are_refused(place: Place) -> None:
    place.target.mkdir()
    with pytest.raises(LinkError, match="it is no file"):
        place.link()
    place.target.rmdir()
    os.mkfifo(place.target)
    with pytest.raises(LinkError, match="it is no file"):
        place.link()


class TestSource:
    """The source is what was proven, or nothing happens."""

    def test_gone(self, place: Place) -> None:
        with pytest.raises(LinkError, match="no readable file"):
            place.link(source=place.folder / "gone")

    def test_other_size(self, place: Place) -> None:
        (place.folder / "short").write_bytes(b"short")
        with pytest.raises(LinkError, match="5 bytes"):
            place.link(source=place.folder / "short")

    def test_other_bytes(self, place: Place) -> None:
        (place.folder / "other").write_bytes(OTHER)
        with pytest.raises(LinkError, match="does not hold the bytes"):
            place.link(source=place.folder / "other")
        assert not place.target.is_symlink()

    def test_a_name_contradicted_by_a_computed_hash(self, place: Place) -> None:
        rotten = place.folder / "rotten"
        rotten.write_bytes(OTHER)
        place.hashes.digest(rotten, cancel=CancelToken())
        with pytest.raises(LinkError, match="does not hold the bytes"):
            place.link(source=rotten, evidence=Evidence.NAMED)

    def test_guesses_are_refused(self, place: Place) -> None:
        with pytest.raises(LinkError, match="not proven"):
            place.link(evidence=Evidence.GUESSED)

    def test_changed_in_the_last_moment(self, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
        source = place.folder / "restless"
        source.write_bytes(CONTENT)
        real = os.mkdir

        def change_then_make(path: str, *rest: int) -> None:
            source.write_bytes(OTHER)
            real(path, *rest)

        monkeypatch.setattr(os, "mkdir", change_then_make)
        with pytest.raises(LinkError, match="changed while"):
            place.link(source=source, target=place.root / "new" / "x")
        assert not (place.root / "new").exists()

    @pytest.mark.parametrize("bad", ["relative/path", "/tmp/../etc/passwd"])
    def test_paths_that_are_not_plain(self, place: Place, bad: str) -> None:
        with pytest.raises(LinkError, match="plain absolute path"):
            place.link(source=Path(bad))
        with pytest.raises(LinkError, match="plain absolute path"):
            place.link(target=Path(bad))


class TestRoots:
    """Nothing is written outside the folders that were given."""

    def test_outside(self, place: Place) -> None:
        with pytest.raises(LinkError, match="outside the Wan2GP folders"):
            place.link(target=place.folder / "elsewhere" / "x")
        assert not (place.folder / "elsewhere").exists()

    def test_a_root_whose_name_starts_alike(self, place: Place) -> None:
        with pytest.raises(LinkError, match="outside"):
            place.link(target=place.folder / "Wan2GP" / "ckpts2" / "x")

    def test_a_linked_folder_that_leads_out(self, place: Place) -> None:
        (place.folder / "private").mkdir()
        (place.root / "sub").symlink_to(place.folder / "private")
        with pytest.raises(LinkError, match="outside"):
            place.link(target=place.root / "sub" / "x")
        with pytest.raises(LinkError, match="outside"):
            place.link(target=place.root / "sub" / "deep" / "x")
        assert list((place.folder / "private").iterdir()) == []

    def test_a_root_that_is_itself_a_link(self, place: Place) -> None:
        real = place.folder / "big disk"
        place.root.rename(real)
        place.root.symlink_to(real)
        assert place.link().made
        assert (real / place.target.name).read_bytes() == CONTENT

    def test_a_parent_that_is_a_file(self, place: Place) -> None:
        (place.root / "file").write_bytes(b"")
        with pytest.raises((LinkError, StorageError)):
            place.link(target=place.root / "file" / "sub" / "x")


class TestRaces:
    """Something appears at the target between the look and the act."""

    @pytest.mark.parametrize("mode", NO_COW)
    def test_a_real_file_appears(self, place: Place, mode: LinkMode, monkeypatch: pytest.MonkeyPatch) -> None:
        _before_act(monkeypatch, lambda: place.target.write_bytes(OTHER))
        with pytest.raises(LinkError, match="appeared meanwhile"):
            place.link(mode)
        assert place.target.read_bytes() == OTHER

    def test_the_same_link_appears(self, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
        _before_act(monkeypatch, lambda: place.target.symlink_to(place.source))
        assert place.link().made is False

    @pytest.mark.parametrize("exchange", [True, False])
    def test_a_broken_link_becomes_a_file(
        self, place: Place, exchange: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        if not exchange:
            monkeypatch.setattr(renames, "_system_call", lambda: None)
        place.target.symlink_to("/gone")

        def heal() -> None:
            place.target.unlink()
            place.target.write_bytes(OTHER)

        _before_act(monkeypatch, heal)
        with pytest.raises(LinkError, match="changed meanwhile"):
            place.link()
        assert place.target.read_bytes() == OTHER
        assert not place.target.is_symlink()
        (entry,) = place.journal.entries()
        assert entry.state is JournalState.FAILED


class TestErrors:
    """What the system refuses is said with a way out, and leaves nothing behind."""

    def test_disk_full_while_copying(self, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
        def full(descriptor: int, data: memoryview) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(placing, "_write_all", full)
        with pytest.raises(StorageError, match="disk is full") as caught:
            place.link(LinkMode.COPY, target=place.root / "new" / "x")
        assert caught.value.hint is not None
        assert list(place.root.iterdir()) == []

    def test_hard_link_to_another_file_system(self, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*_: object) -> None:
            raise OSError(errno.EXDEV, "Invalid cross-device link")

        monkeypatch.setattr(os, "link", refuse)
        with pytest.raises(LinkError, match="different file systems") as caught:
            place.link(LinkMode.HARDLINK)
        assert "symlink" in (caught.value.hint or "")
        assert not place.target.exists()

    def test_reflink_where_blocks_can_not_be_shared(
        self, place: Place, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(*_: object) -> None:
            raise OSError(errno.EOPNOTSUPP, "Operation not supported")

        monkeypatch.setattr(fcntl, "ioctl", refuse)
        with pytest.raises(LinkError, match="can not do that") as caught:
            place.link(LinkMode.REFLINK)
        assert "copy" in (caught.value.hint or "")
        assert not place.target.exists()

    def test_reflink_where_they_can(self, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
        def clone(copy: int, request: int, origin: int) -> None:
            assert request == 0x40049409
            os.write(copy, os.pread(origin, len(CONTENT), 0))

        monkeypatch.setattr(fcntl, "ioctl", clone)
        assert place.link(LinkMode.REFLINK).made
        assert place.target.read_bytes() == CONTENT
        assert place.hashes.known({str(place.target): stamp_of(str(place.target))})

    def test_windows_without_the_right_to_link(self) -> None:
        error = OSError(errno.EINVAL, "A required privilege is not held by the client")
        error.winerror = 1314  # type: ignore[attr-defined] # Windows' own
        mapped = placing.map_os_error(error, LinkMode.SYMLINK, "C:/a", "C:/b")
        assert isinstance(mapped, LinkError)
        assert "Developer Mode" in (mapped.hint or "")

    @pytest.mark.parametrize("code", [errno.EROFS, errno.EACCES, errno.EDQUOT, errno.EIO])
    def test_the_disk_refuses(self, code: int) -> None:
        mapped = placing.map_os_error(OSError(code, "no"), LinkMode.COPY, "/a", "/b")
        assert isinstance(mapped, StorageError)
        assert mapped.hint

    def test_a_name_too_long(self, place: Place) -> None:
        with pytest.raises(LinkError, match="File name too long"):
            place.link(target=place.root / ("n" * 300))

    def test_the_longest_name_can_be_repaired(self, place: Place) -> None:
        target = place.root / ("n" * 255)
        target.symlink_to("/gone")
        assert place.link(target=target).made

    def test_cancelled_copy_leaves_nothing(self, place: Place) -> None:
        place.hashes.digest(place.source, cancel=CancelToken())
        place.cancel.cancel()
        with pytest.raises(CancelledError):
            place.link(LinkMode.COPY)
        assert list(place.root.iterdir()) == []

    def test_no_journal_no_change(self, place: Place) -> None:
        place.journal = Journal(place.source / "not a folder" / "journal.jsonl")
        with pytest.raises(StorageError, match="journal"):
            place.link(target=place.root / "new" / "x")
        assert list(place.root.iterdir()) == []


def test_publish_where_neither_rename_nor_link_is_safe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, "no hard links here")

    monkeypatch.setattr(renames, "_system_call", lambda: None)
    monkeypatch.setattr(os, "link", refuse)
    (tmp_path / "new").write_bytes(b"new")
    renames.publish(str(tmp_path / "new"), str(tmp_path / "target"))
    assert (tmp_path / "target").read_bytes() == b"new"
    (tmp_path / "new").write_bytes(b"newer")
    with pytest.raises(FileExistsError):
        renames.publish(str(tmp_path / "new"), str(tmp_path / "target"))
    assert (tmp_path / "target").read_bytes() == b"new"


def _before_act(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    """Let ``act`` happen after the journal's announcement, right before the link is made."""
    real = Journal.begin

    def begin(self: Journal, *args: object) -> str:
        act()
        return real(self, *args)  # type: ignore[arg-type] # passed through

    monkeypatch.setattr(Journal, "begin", begin)
