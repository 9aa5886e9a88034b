"""The walk: every file of a wanted size, each folder once, nothing else."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wangp_downloader.cancel import CancelToken
from wangp_downloader.errors import CancelledError
from wangp_downloader.events import Event, Notice, ScanProgress
from wangp_downloader.library import scan as scan_module
from wangp_downloader.library.hashing import stamp_of
from wangp_downloader.library.scan import TreeScan, is_unfinished


def scan(*roots: Path, sizes: set[int]) -> tuple[list[str], list[Event]]:
    events: list[Event] = []
    walk = TreeScan("test", sizes, CancelToken(), events.append)
    found = [file.path for file in walk.files([str(root) for root in roots])]
    walk.finish()
    return found, events


@given(st.lists(st.tuples(st.lists(st.sampled_from("abc"), max_size=3), st.integers(0, 4)), max_size=12))
def test_finds_what_find_finds(
    tmp_path_factory: pytest.TempPathFactory, files: list[tuple[list[str], int]]
) -> None:
    root = tmp_path_factory.mktemp("tree")
    for number, (folders, size) in enumerate(files):
        folder = root.joinpath(*folders)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"file{number}").write_bytes(b"x" * size)
    expected = {str(path) for path in root.rglob("file*") if path.stat().st_size in (2, 3)}
    found, events = scan(root, sizes={2, 3})
    assert len(found) == len(set(found))
    assert set(found) == expected
    assert events == [ScanProgress("test", len(files), finished=True)]


def test_without_descriptors_it_finds_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "x").write_bytes(b"xx")
    (tmp_path / "up").symlink_to(tmp_path)
    monkeypatch.setattr(scan_module, "_BY_DESCRIPTOR", False)
    assert scan(tmp_path, sizes={2})[0] == [str(tmp_path / "sub" / "x")]


def test_linked_folders_are_entered_once(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    root.mkdir()
    outside.mkdir()
    (outside / "x").write_bytes(b"xx")
    for name in ("one", "two"):
        (root / name).symlink_to(outside)
    (outside / "back").symlink_to(root)
    found, _ = scan(root, root, tmp_path, sizes={2})
    assert len(found) == 1


def test_linked_files_are_found_and_marked(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "real").write_bytes(b"xx")
    (root / "hop").symlink_to(tmp_path / "real")
    (root / "link").symlink_to("hop")
    walk = TreeScan("test", {2}, CancelToken(), lambda _: None)
    found = list(walk.files([str(root)]))
    assert {(file.path, file.is_link) for file in found} == {
        (str(root / "hop"), True),
        (str(root / "link"), True),
    }
    assert {file.stamp for file in found} == {stamp_of(str(tmp_path / "real"))}


@pytest.mark.parametrize(
    ("name", "unfinished"),
    [
        (".model.safetensors.part", True),
        ("model.safetensors.incomplete", True),
        ("abc.INCOMPLETE", True),
        (".wangp-0123.tmp", True),
        ("downloading_model.part", True),
        ("model.safetensors.aria2", True),
        ("model.safetensors", False),
        ("gauss_mask", False),
        ("part", False),
    ],
)
def test_unfinished_downloads_are_left_out(tmp_path: Path, name: str, unfinished: bool) -> None:
    assert is_unfinished(name) is unfinished
    (tmp_path / name).write_bytes(b"xx")
    assert bool(scan(tmp_path, sizes={2})[0]) is not unfinished


@pytest.mark.parametrize("name", [".git", "__pycache__", ".locks", "site-packages"])
def test_folders_without_models_are_not_entered(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    (tmp_path / name / "x").write_bytes(b"xx")
    assert scan(tmp_path, sizes={2})[0] == []
    assert scan(tmp_path / name, sizes={2})[0] == [str(tmp_path / name / "x")]


def test_what_can_not_be_read_is_one_notice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a", "b", "c", "good"):
        (tmp_path / name).mkdir()
    (tmp_path / "good" / "x").write_bytes(b"xx")
    real = os.open

    def refuse(path: str, flags: int) -> int:
        if path[-1] in "abc":
            raise PermissionError(13, "Permission denied")
        return real(path, flags)

    monkeypatch.setattr(os, "open", refuse)
    found, events = scan(tmp_path, sizes={2})
    assert found == [str(tmp_path / "good" / "x")]
    (notice,) = [event for event in events if isinstance(event, Notice)]
    assert "Permission denied" in notice.text
    assert "2 more" in notice.text


def test_stops_between_folders(tmp_path: Path) -> None:
    cancel = CancelToken()
    (tmp_path / "x").write_bytes(b"xx")
    (tmp_path / "sub").mkdir()
    walk = TreeScan("test", {2}, cancel, lambda _: None).files([str(tmp_path)])
    next(walk)
    cancel.cancel()
    with pytest.raises(CancelledError):
        next(walk)


def test_very_deep_trees(tmp_path: Path) -> None:
    folder = tmp_path
    for _ in range(200):
        folder /= "d"
    folder.mkdir(parents=True)
    (folder / "x").write_bytes(b"xx")
    assert scan(tmp_path, sizes={2})[0] == [str(folder / "x")]
