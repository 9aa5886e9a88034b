"""Undo: takes back what is still ours, and never the last copy."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from wangp_downloader.cancel import CancelToken
from wangp_downloader.errors import CancelledError
from wangp_downloader.files import Digest, DigestKind, Wanted
from wangp_downloader.journal import Change, Journal, JournalAction
from wangp_downloader.library.hashes import HashIndex
from wangp_downloader.library.hashing import stamp_of
from wangp_downloader.library.link import LinkContext, LinkMode, place_link
from wangp_downloader.library.undo import UndoContext, Undone, last_run, undo, undoable

CONTENT = b"weights" * 1000
WANTED = Wanted(Digest(DigestKind.SHA256, hashlib.sha256(CONTENT).hexdigest()), len(CONTENT))
MODES = [LinkMode.SYMLINK, LinkMode.HARDLINK, LinkMode.COPY]


class Place:
    """A source, a root, a journal."""

    def __init__(self, folder: Path) -> None:
        self.source = folder / "hub" / "x"
        self.source.parent.mkdir()
        self.source.write_bytes(CONTENT)
        self.root = folder / "ckpts"
        self.root.mkdir()
        self.target = self.root / "x"
        self.hashes = HashIndex(folder / "state" / "library.db")
        self.journal = Journal(folder / "state" / "journal.jsonl", "link")

    def link(self, mode: LinkMode, *, target: Path | None = None, replace: bool = False) -> None:
        context = LinkContext((self.root,), self.hashes, self.journal)
        place_link(
            self.source,
            target or self.target,
            mode=mode,
            wanted=WANTED,
            context=context,
            replace_proven=replace,
        )

    def undo(self, *, downloads: bool = False, cancel: CancelToken | None = None) -> list[Undone]:
        context = UndoContext(self.journal, self.hashes, downloads, cancel or CancelToken())
        return undo(undoable(self.journal.entries()), context)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path)
    yield made
    assert list(tmp_path.rglob(".wangp-*")) == []
    made.hashes.close()
    made.journal.close()


@pytest.mark.parametrize("mode", MODES)
def test_takes_back_a_link_and_the_folders_made_for_it(place: Place, mode: LinkMode) -> None:
    place.link(mode, target=place.root / "a" / "b" / "x")
    results = place.undo()
    assert [result.done for result in results] == [True, True, True]
    assert list(place.root.iterdir()) == []
    assert place.source.read_bytes() == CONTENT
    assert undoable(place.journal.entries()) == []
    assert place.undo() == []


@pytest.mark.parametrize("mode", MODES)
def test_puts_a_broken_link_back(place: Place, mode: LinkMode) -> None:
    place.target.symlink_to("../gone/away")
    place.link(mode)
    assert place.undo()[0].done
    assert str(place.target.readlink()) == "../gone/away"


@pytest.mark.parametrize("mode", [LinkMode.SYMLINK, LinkMode.HARDLINK])
def test_gives_a_replaced_file_its_own_bytes_again(place: Place, mode: LinkMode) -> None:
    place.target.write_bytes(CONTENT)
    place.link(mode, replace=True)
    assert place.undo()[0].done
    assert not place.target.is_symlink()
    assert not place.target.samefile(place.source)
    assert place.target.read_bytes() == CONTENT


@pytest.mark.parametrize("mode", MODES)
def test_what_is_no_longer_ours_stays(place: Place, mode: LinkMode) -> None:
    place.link(mode)
    place.target.unlink()
    place.target.write_bytes(b"the user's own")
    (result,) = place.undo()
    assert not result.done
    assert result.reason
    assert place.target.read_bytes() == b"the user's own"


@pytest.mark.parametrize("mode", [LinkMode.HARDLINK, LinkMode.COPY])
def test_the_last_copy_stays(place: Place, mode: LinkMode) -> None:
    place.link(mode)
    place.source.unlink()
    (result,) = place.undo()
    assert (result.done, result.reason) == (False, "its source is gone: this is the last copy")
    assert place.target.read_bytes() == CONTENT


def test_a_changed_copy_stays(place: Place) -> None:
    place.link(LinkMode.COPY)
    place.target.write_bytes(CONTENT[::-1])
    assert not place.undo()[0].done
    assert place.target.read_bytes() == CONTENT[::-1]


def test_a_link_to_elsewhere_stays(place: Place) -> None:
    place.link(LinkMode.SYMLINK)
    place.target.unlink()
    place.target.symlink_to("/somewhere/else")
    assert not place.undo()[0].done
    assert place.target.is_symlink()


def test_a_link_already_gone_is_said(place: Place) -> None:
    place.link(LinkMode.SYMLINK)
    place.target.unlink()
    assert place.undo()[0].reason == "it is not there any more"


def test_a_folder_in_use_stays(place: Place) -> None:
    place.link(LinkMode.SYMLINK, target=place.root / "a" / "x")
    (place.root / "a" / "other").write_bytes(b"")
    assert [result.done for result in place.undo()] == [True, False]
    assert (place.root / "a" / "other").exists()


def test_removing_a_hard_link_does_not_cost_a_hash(place: Place) -> None:
    place.link(LinkMode.HARDLINK)
    place.undo()
    assert place.hashes.known({str(place.source): stamp_of(str(place.source))})


@pytest.mark.parametrize("asked", [True, False])
def test_downloads_stay_unless_asked_for(place: Place, asked: bool) -> None:
    place.target.write_bytes(CONTENT)
    change = Change(JournalAction.DOWNLOAD, str(place.target), "https://example.org/x")
    place.journal.record(change, after=place.target.lstat())
    assert place.undo(downloads=asked)[0].done is asked
    assert place.target.exists() is not asked


def test_an_announced_link_that_never_came_is_harmless(place: Place) -> None:
    place.journal.begin(Change(JournalAction.LINK, str(place.target), str(place.source), "symlink"))
    assert place.undo()[0].reason == "it is not there any more"


def test_an_announced_link_whose_end_was_lost_is_taken_back(place: Place) -> None:
    place.journal.begin(Change(JournalAction.LINK, str(place.target), str(place.source), "symlink"))
    place.target.symlink_to(place.source)
    assert place.undo()[0].done
    assert not place.target.is_symlink()


def test_runs_are_told_apart(place: Place) -> None:
    place.link(LinkMode.SYMLINK)
    first = place.journal.run
    place.journal.close()
    place.journal = Journal(place.journal.path, "link")
    place.link(LinkMode.SYMLINK, target=place.root / "y")
    entries = place.journal.entries()
    assert last_run(entries) == place.journal.run
    assert [entry.change.target for entry in undoable(entries, run=first)] == [str(place.target)]
    assert len(undoable(entries)) == 2


def test_stops_when_cancelled(place: Place) -> None:
    place.link(LinkMode.SYMLINK)
    cancel = CancelToken()
    cancel.cancel()
    with pytest.raises(CancelledError):
        place.undo(cancel=cancel)
    assert place.target.is_symlink()
