"""Finding copies: the cheapest evidence first, no file read that need not be."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from wangp_downloader.cancel import CancelToken
from wangp_downloader.events import Event, HashProgress, Notice
from wangp_downloader.files import Digest, DigestKind, Evidence, LocalCopy, Wanted
from wangp_downloader.library.hashes import HashIndex
from wangp_downloader.library.library import Library
from wangp_downloader.library.stores.base import Store
from wangp_downloader.library.stores.folder import FolderStore
from wangp_downloader.library.stores.hf_cache import HfCacheStore
from wangp_downloader.library.stores.hub import HubStore
from wangp_downloader.library.stores.wan2gp import Wan2gpStore

SMALL, LARGE, TWIN = b"small" * 10, b"large" * 100, b"LARGE" * 100


def sha256(content: bytes) -> Digest:
    return Digest(DigestKind.SHA256, hashlib.sha256(content).hexdigest())


def wanted(content: bytes, *names: str) -> Wanted:
    return Wanted(sha256(content), len(content), frozenset(names))


def put(path: Path, content: bytes) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return str(path)


class Finder:
    """A library whose reading of files is watched."""

    def __init__(self, folder: Path) -> None:
        self.hashes = HashIndex(folder / "state" / "library.db")
        self.events: list[Event] = []

    def find(
        self,
        stores: list[Store],
        *items: Wanted,
        hashing: bool = True,
        exclude: tuple[Path, ...] = (),
    ) -> dict[Digest, tuple[LocalCopy, ...]]:
        self.events.clear()
        library = Library(stores, self.hashes)
        return library.find(
            items, hashing=hashing, exclude=exclude, cancel=CancelToken(), emit=self.events.append
        )

    @property
    def read(self) -> list[str]:
        """Files read to the end by the last search."""
        return [event.path for event in self.events if isinstance(event, HashProgress) and event.finished]


@pytest.fixture
def finder(tmp_path: Path) -> Iterator[Finder]:
    made = Finder(tmp_path)
    yield made
    made.hashes.close()


def hub_file(hub: Path, content: bytes, *, named: bytes | None = None, name: str = "m.safetensors") -> str:
    return put(hub / sha256(content if named is None else named).hex / name, content)


class TestHubNames:
    """Names in a hub are believed once a hash agreed, and never after one disagreed."""

    def test_one_agreement_spares_the_others(self, finder: Finder, tmp_path: Path) -> None:
        small, large = hub_file(tmp_path / "hub", SMALL), hub_file(tmp_path / "hub", LARGE)
        found = finder.find([HubStore(tmp_path / "hub")], wanted(SMALL), wanted(LARGE))
        assert finder.read == [small]
        assert found[sha256(SMALL)] == (LocalCopy("hub", small, Evidence.COMPUTED),)
        assert found[sha256(LARGE)] == (LocalCopy("hub", large, Evidence.NAMED),)

    def test_the_agreement_is_remembered(self, finder: Finder, tmp_path: Path) -> None:
        hub_file(tmp_path / "hub", SMALL)
        hub_file(tmp_path / "hub", LARGE)
        stores: list[Store] = [HubStore(tmp_path / "hub")]
        finder.find(stores, wanted(SMALL))
        found = finder.find(stores, wanted(SMALL), wanted(LARGE), hashing=False)
        assert finder.read == []
        assert found[sha256(LARGE)][0].evidence is Evidence.NAMED

    def test_without_any_agreement_nothing_is_believed(self, finder: Finder, tmp_path: Path) -> None:
        hub_file(tmp_path / "hub", LARGE)
        found = finder.find([HubStore(tmp_path / "hub")], wanted(LARGE), hashing=False)
        assert found[sha256(LARGE)][0].evidence is Evidence.GUESSED

    def test_a_lie_makes_every_name_worthless(self, finder: Finder, tmp_path: Path) -> None:
        lie = hub_file(tmp_path / "hub", b"SMALL" * 10, named=SMALL)
        large = hub_file(tmp_path / "hub", TWIN, named=LARGE)
        assert finder.find([HubStore(tmp_path / "hub")], wanted(SMALL), wanted(LARGE)) == {}
        assert finder.read == [lie, large]

    def test_two_models_in_one_folder_are_no_name(self, finder: Finder, tmp_path: Path) -> None:
        hub_file(tmp_path / "hub", SMALL)
        large = hub_file(tmp_path / "hub", LARGE)
        put(Path(large).with_name("other.safetensors"), b"other")
        finder.find([HubStore(tmp_path / "hub")], wanted(SMALL), wanted(LARGE))
        assert large in finder.read

    def test_a_trusted_name_of_other_content_is_not_read(self, finder: Finder, tmp_path: Path) -> None:
        hub_file(tmp_path / "hub", SMALL)
        twin = hub_file(tmp_path / "hub", TWIN)
        assert sha256(LARGE) not in finder.find([HubStore(tmp_path / "hub")], wanted(SMALL), wanted(LARGE))
        assert twin not in finder.read


def test_reading_stops_when_all_of_a_size_is_found(finder: Finder, tmp_path: Path) -> None:
    good = put(tmp_path / "a" / "wanted.safetensors", LARGE)
    for number in range(5):
        put(tmp_path / "a" / f"{number}.safetensors", LARGE)
    found = finder.find([FolderStore(tmp_path / "a")], wanted(LARGE, "wanted.safetensors"))
    assert finder.read == [good]
    assert [copy.path for copy in found[sha256(LARGE)]] == [good]


def test_two_contents_of_one_size(finder: Finder, tmp_path: Path) -> None:
    one, other = put(tmp_path / "a" / "x", LARGE), put(tmp_path / "a" / "y", TWIN)
    put(tmp_path / "a" / "z", LARGE.swapcase()[:-1] + b"!")
    found = finder.find([FolderStore(tmp_path / "a")], wanted(LARGE, "y"), wanted(TWIN, "x"))
    assert found[sha256(LARGE)][0].path == one
    assert found[sha256(TWIN)][0].path == other


def test_one_file_in_several_stores_is_read_once(finder: Finder, tmp_path: Path) -> None:
    real = put(tmp_path / "a" / "x", LARGE)
    (tmp_path / "b").mkdir()
    os.link(real, tmp_path / "b" / "hard")
    (tmp_path / "b" / "soft").symlink_to(real)
    stores: list[Store] = [FolderStore(tmp_path / "b"), FolderStore(tmp_path / "a"), FolderStore(tmp_path)]
    (copy,) = finder.find(stores, wanted(LARGE))[sha256(LARGE)]
    assert len(finder.read) == 1
    assert copy.path == str(tmp_path / "b" / "hard")


def test_a_file_seen_only_through_links_is_offered_as_itself(finder: Finder, tmp_path: Path) -> None:
    real = put(tmp_path / "outside" / "x", LARGE)
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "hop").symlink_to(real)
    (tmp_path / "a" / "link").symlink_to("hop")
    put(tmp_path / "outside" / "y.incomplete", LARGE)
    (tmp_path / "a" / "y").symlink_to(tmp_path / "outside" / "y.incomplete")
    store = FolderStore(tmp_path / "a")
    (copy,) = finder.find([store], wanted(LARGE))[sha256(LARGE)]
    assert copy.path == real
    assert finder.find([store], wanted(LARGE), exclude=(Path(real),)) == {}


def test_order_is_evidence_then_store(finder: Finder, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    named = put(cache / "models--o--n" / "blobs" / sha256(LARGE).hex, LARGE)
    first, second = put(tmp_path / "1" / "x", LARGE), put(tmp_path / "2" / "x", LARGE)
    for path in (first, second):
        finder.hashes.digest(Path(path), cancel=CancelToken())
    stores: list[Store] = [HfCacheStore(cache), FolderStore(tmp_path / "2"), FolderStore(tmp_path / "1")]
    copies = finder.find(stores, wanted(LARGE))[sha256(LARGE)]
    assert [(copy.path, copy.evidence) for copy in copies] == [
        (second, Evidence.COMPUTED),
        (first, Evidence.COMPUTED),
        (named, Evidence.NAMED),
    ]


def test_a_blob_known_to_be_rotten_is_not_offered(finder: Finder, tmp_path: Path) -> None:
    rotten = put(tmp_path / "models--o--n" / "blobs" / sha256(LARGE).hex, TWIN)
    finder.hashes.digest(Path(rotten), cancel=CancelToken())
    assert finder.find([HfCacheStore(tmp_path)], wanted(LARGE)) == {}


def test_small_git_files_come_from_the_cache_only(finder: Finder, tmp_path: Path) -> None:
    content = b'{"config": 1}'
    blob = Digest(DigestKind.GIT_BLOB, hashlib.sha1(b"blob 13\0" + content).hexdigest())
    item = Wanted(blob, len(content), frozenset({"config.json"}))
    put(tmp_path / "folder" / "config.json", content)
    named = put(tmp_path / "cache" / "models--o--n" / "blobs" / blob.hex, content)
    stores: list[Store] = [FolderStore(tmp_path / "folder"), HfCacheStore(tmp_path / "cache")]
    assert finder.find(stores, item) == {blob: (LocalCopy("hf-cache", named, Evidence.NAMED),)}
    assert finder.read == []


def test_excluded_paths_are_not_offered_but_their_other_names_are(finder: Finder, tmp_path: Path) -> None:
    first = put(tmp_path / "loras" / "one" / "x", LARGE)
    other = tmp_path / "loras" / "two" / "x"
    other.parent.mkdir()
    os.link(first, other)
    store = Wan2gpStore(tmp_path, [tmp_path / "loras"])
    (copy,) = finder.find([store], wanted(LARGE), exclude=(Path(first),))[sha256(LARGE)]
    assert copy.path == str(other)


def test_a_file_that_can_not_be_read_costs_only_itself(
    finder: Finder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path / "a" / "bad", LARGE)
    good = put(tmp_path / "a" / "good", LARGE)
    real = os.open

    def refuse(path: str, *rest: int) -> int:
        if path.endswith("bad"):
            raise PermissionError(13, "Permission denied")
        return real(path, *rest)

    monkeypatch.setattr(os, "open", refuse)
    (copy,) = finder.find([FolderStore(tmp_path / "a")], wanted(LARGE))[sha256(LARGE)]
    assert copy.path == good
    assert any(isinstance(event, Notice) and "Permission denied" in event.text for event in finder.events)


def test_nothing_wanted_looks_at_nothing(finder: Finder, tmp_path: Path) -> None:
    assert finder.find([FolderStore(tmp_path / "missing")]) == {}
    assert finder.events == []


def test_empty_files_are_never_wanted(finder: Finder, tmp_path: Path) -> None:
    put(tmp_path / "a" / "x", b"")
    assert finder.find([FolderStore(tmp_path / "a")], wanted(b"")) == {}
