"""What every store must do, whatever application it belongs to."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from wangp_downloader.cancel import CancelToken
from wangp_downloader.errors import CancelledError
from wangp_downloader.events import Event, Notice, ScanProgress
from wangp_downloader.files import Digest, DigestKind, Evidence, LocalCopy, Wanted
from wangp_downloader.library.hashes import HashIndex
from wangp_downloader.library.library import Library
from wangp_downloader.library.stores.base import Store
from wangp_downloader.library.stores.comfyui import ComfyStore
from wangp_downloader.library.stores.folder import FolderStore
from wangp_downloader.library.stores.hf_cache import HfCacheStore
from wangp_downloader.library.stores.hub import HubStore
from wangp_downloader.library.stores.invokeai import InvokeStore
from wangp_downloader.library.stores.wan2gp import Wan2gpStore

CONTENT = b"the wanted weights" * 1000
OTHER = b"some other weights" * 1000
NAME = "model_bf16.safetensors"
URL = f"https://huggingface.co/org/name/resolve/main/sub/{NAME}"

Fill = Callable[[Path, str, bytes], None]


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def put(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def fill_hub(root: Path, name: str, content: bytes) -> None:
    put(root / sha256(content) / name, content)


def fill_tree(root: Path, name: str, content: bytes) -> None:
    put(root / "some" / "where" / name, content)


def fill_cache(root: Path, name: str, content: bytes) -> None:
    repo = root / "models--org--name"
    put(repo / "blobs" / sha256(content), content)
    snapshot = repo / "snapshots" / ("c" * 40) / "sub"
    snapshot.mkdir(parents=True)
    (snapshot / name).symlink_to(Path("../../../blobs") / sha256(content))


def fill_shared_cache(root: Path, name: str, content: bytes) -> None:
    xet = hashlib.blake2s(content).hexdigest()
    put(root / "blobs" / xet[:2] / xet, content)
    put(root / "blobs" / ".huggingface-shared-blobs", b"1\n")
    blobs = root / "models--org--name" / "blobs"
    blobs.mkdir(parents=True)
    (blobs / sha256(content)).symlink_to(Path("../../blobs") / xet[:2] / xet)


def fill_cache_without_links(root: Path, name: str, content: bytes) -> None:
    put(root / "models--org--name" / "snapshots" / ("c" * 40) / "sub" / name, content)


def fill_invokeai(root: Path, name: str, content: bytes) -> None:
    put(root / "models" / "0a1b" / name, content)
    database = root / "databases" / "invokeai.db"
    database.parent.mkdir(parents=True, exist_ok=True)
    config = {"path": f"0a1b/{name}", "source": URL, "hash": "blake3:00", "name": name}
    with contextlib.closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("CREATE TABLE IF NOT EXISTS models (id TEXT, config TEXT)")
        connection.execute("INSERT INTO models VALUES ('1', ?)", (json.dumps(config),))


def fill_invokeai_without_database(root: Path, name: str, content: bytes) -> None:
    put(root / "models" / "0a1b" / name, content)


def fill_comfyui(root: Path, name: str, content: bytes) -> None:
    put(root / "models" / "diffusion_models" / name, content)


def fill_comfyui_extra(root: Path, name: str, content: bytes) -> None:
    (root / "models").mkdir(parents=True, exist_ok=True)
    put(root / "elsewhere" / "loras" / name, content)
    text = "a:\n  base_path: elsewhere\n  is_default: true\n  loras: |\n    loras\n    missing\n"
    (root / "extra_model_paths.yaml").write_text(text)


def fill_wan2gp(root: Path, name: str, content: bytes) -> None:
    put(root / "ckpts" / name, content)


def fill_wan2gp_recorded(root: Path, name: str, content: bytes) -> None:
    put(root / "ckpts" / name, content)
    record = f"{'c' * 40}\n{sha256(content)}\n{time.time() + 1}\n"
    put(root / "ckpts" / ".cache/huggingface/download" / f"{name}.metadata", record.encode())


def wan2gp(root: Path) -> Store:
    return Wan2gpStore(root, (root / "ckpts", root / "loras", root))


CASES: dict[str, tuple[Callable[[Path], Store], Fill, Evidence]] = {
    "hub": (HubStore, fill_hub, Evidence.COMPUTED),
    "hub-tree": (HubStore, fill_tree, Evidence.COMPUTED),
    "hf-cache": (HfCacheStore, fill_cache, Evidence.NAMED),
    "hf-cache-shared": (HfCacheStore, fill_shared_cache, Evidence.NAMED),
    "hf-cache-no-links": (HfCacheStore, fill_cache_without_links, Evidence.COMPUTED),
    "invokeai": (InvokeStore, fill_invokeai, Evidence.COMPUTED),
    "invokeai-no-db": (InvokeStore, fill_invokeai_without_database, Evidence.COMPUTED),
    "comfyui": (ComfyStore, fill_comfyui, Evidence.COMPUTED),
    "comfyui-extra": (ComfyStore, fill_comfyui_extra, Evidence.COMPUTED),
    "folder": (FolderStore, fill_tree, Evidence.COMPUTED),
    "wan2gp": (wan2gp, fill_wan2gp, Evidence.COMPUTED),
    "wan2gp-recorded": (wan2gp, fill_wan2gp_recorded, Evidence.RECORDED),
}
WANTED = Wanted(Digest(DigestKind.SHA256, sha256(CONTENT)), len(CONTENT), frozenset({NAME}), frozenset({URL}))


class Bench:
    """One store of one kind, and a library over it."""

    def __init__(self, case: str, folder: Path) -> None:
        make, self.fill, self.evidence = CASES[case]
        self.root = folder / "store"
        self.store = make(self.root)
        self.hashes = HashIndex(folder / "state" / "library.db")
        self.library = Library([self.store], self.hashes)
        self.events: list[Event] = []

    def find(self, *wanted: Wanted, hashing: bool = True) -> dict[Digest, tuple[LocalCopy, ...]]:
        return self.library.find(
            wanted or (WANTED,), hashing=hashing, cancel=CancelToken(), emit=self.events.append
        )

    @property
    def notices(self) -> list[str]:
        return [event.text for event in self.events if isinstance(event, Notice)]


@pytest.fixture(params=CASES)
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    made = Bench(request.param, tmp_path)
    yield made
    made.hashes.close()


def test_finds_the_right_bytes_and_says_how_it_knows(bench: Bench) -> None:
    bench.fill(bench.root, NAME, CONTENT)
    (copy,) = bench.find()[WANTED.digest]
    assert Path(copy.path).is_absolute()
    assert Path(copy.path).read_bytes() == CONTENT
    assert (copy.store, copy.evidence) == (bench.store.name, bench.evidence)
    assert any(isinstance(event, ScanProgress) for event in bench.events)


def test_equal_name_and_size_with_other_bytes_is_not_found(bench: Bench) -> None:
    assert len(OTHER) == len(CONTENT)
    bench.fill(bench.root, NAME, OTHER)
    assert bench.find() == {}


def test_without_hashing_only_what_is_vouched_for_is_more_than_a_guess(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.fill(bench.root, NAME, CONTENT)
    monkeypatch.setattr(os, "open", _no_reading(os.open))
    (copy,) = bench.find(hashing=False)[WANTED.digest]
    expected = bench.evidence if bench.evidence is not Evidence.COMPUTED else Evidence.GUESSED
    assert copy.evidence is expected


def test_no_file_of_another_size_is_opened(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.fill(bench.root, NAME, CONTENT + b"!")
    monkeypatch.setattr(os, "open", _no_reading(os.open))
    assert bench.find() == {}


def test_missing_root_is_no_error(bench: Bench) -> None:
    assert bench.find() == {}
    assert len(bench.notices) <= 2


def test_a_file_removed_since_the_last_look_is_not_offered(bench: Bench) -> None:
    bench.fill(bench.root, NAME, CONTENT)
    (copy,) = bench.find()[WANTED.digest]
    Path(copy.path).unlink()
    assert bench.find() == {}


def test_nothing_is_read_twice(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.fill(bench.root, NAME, CONTENT)
    first = bench.find()
    monkeypatch.setattr(os, "open", _no_reading(os.open))
    assert bench.find() == first


def test_nothing_is_written(bench: Bench) -> None:
    bench.fill(bench.root, NAME, CONTENT)
    before = _listing(bench.root)
    bench.find()
    assert _listing(bench.root) == before


def test_hostile_entries_are_survived(bench: Bench) -> None:
    bench.fill(bench.root, NAME, CONTENT)
    for folder in [bench.root, *(path for path in bench.root.rglob("*") if path.is_dir())]:
        _make_hostile(folder)
    (copy,) = bench.find()[WANTED.digest]
    assert Path(copy.path).read_bytes() == CONTENT


def test_stops_when_cancelled(bench: Bench) -> None:
    bench.fill(bench.root, NAME, CONTENT)
    cancel = CancelToken()
    cancel.cancel()
    with pytest.raises(CancelledError):
        bench.library.find([WANTED], cancel=cancel)


def _make_hostile(folder: Path) -> None:
    (folder / "broken").symlink_to("/nowhere/at all")
    (folder / "itself").symlink_to("itself")
    (folder / "up").symlink_to(".")
    (folder / "zero").symlink_to("/dev/zero")
    (folder / ("n" * 250)).mkdir()
    put(folder / "line\nbreak", OTHER)
    put(folder / f"{NAME}.incomplete", OTHER)
    for odd in (b"\xff\xfe.safetensors", b"-rf", b"~", b"$(x)", b"%s"):
        with contextlib.suppress(OSError):
            (folder / os.fsdecode(odd)).write_bytes(OTHER)
    os.mkfifo(folder / "pipe")
    os.mkfifo(folder / ("f" * 64))
    (folder / ("e" * 64)).mkdir()


def _listing(root: Path) -> list[tuple[str, int, int]]:
    paths = [root, *sorted(root.rglob("*"))]
    return [(str(path), path.lstat().st_mtime_ns, path.lstat().st_size) for path in paths]


def _no_reading(real: Callable[..., int]) -> Callable[..., int]:
    def only_folders(path: str, flags: int, *rest: int) -> int:
        assert flags & os.O_DIRECTORY, f"{path} was opened"
        return real(path, flags, *rest)

    return only_folders
