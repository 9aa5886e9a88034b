"""What is kept, and when it is no longer believed."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.unit.probe.trees import MadeTree, make_tree
from wangp_downloader.cancel import CancelToken
from wangp_downloader.catalog.probe import process, runner
from wangp_downloader.catalog.probe.api import cached_handlers, read_handlers
from wangp_downloader.catalog.probe.cache import ProbeCache
from wangp_downloader.catalog.probe.request import Limits
from wangp_downloader.catalog.probe.result import Status
from wangp_downloader.events import Event, Notice


@pytest.fixture
def tree(tmp_path: Path) -> MadeTree:
    return make_tree(tmp_path / "tree")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grow by one for each process that is started."""
    starts: list[int] = []
    start = process.ProbeProcess

    def counting(*args: Any) -> Any:
        starts.append(1)
        return start(*args)

    monkeypatch.setattr(runner, "ProbeProcess", counting)
    return starts


def test_the_second_time_nothing_runs(tree: MadeTree, tmp_path: Path, asked: list[int]) -> None:
    state = tmp_path / "state"
    assert cached_handlers(tree.root, tree.definitions, {}, state) is None

    first = tree.read(state)
    second = tree.read(state)

    assert len(asked) == 1
    assert second == first
    assert cached_handlers(tree.root, tree.definitions, {}, state) == first
    assert "models/good/names.py" in first.depends_on
    assert "wgp.py" in first.depends_on


def _touch(name: str) -> Callable[[MadeTree], None]:
    def change(tree: MadeTree) -> None:
        os.utime(tree.root / name, ns=(10**18 + 1, 10**18 + 1))

    return change


def _define(tree: MadeTree) -> None:
    tree.definitions["good"]["URLs"] = []


def _remove(tree: MadeTree) -> None:
    (tree.root / "models/good/names.py").unlink()


@pytest.mark.parametrize(
    "change",
    [
        _touch("wgp.py"),
        _touch("models/good/good_handler.py"),
        _touch("models/good/names.py"),
        _define,
        _remove,
    ],
    ids=["wgp.py", "handler", "imported module", "definition", "module removed"],
)
def test_a_change_asks_again(
    tree: MadeTree, tmp_path: Path, asked: list[int], change: Callable[[MadeTree], None]
) -> None:
    tree.read(tmp_path)
    change(tree)

    assert cached_handlers(tree.root, tree.definitions, {}, tmp_path) is None
    tree.read(tmp_path)

    assert len(asked) == 2


def test_only_settings_that_were_looked_at_count(tree: MadeTree, tmp_path: Path, asked: list[int]) -> None:
    tree.read(tmp_path, {"depth_variant": "large", "last_model": "a"})
    tree.read(tmp_path, {"depth_variant": "large", "last_model": "b"})
    assert len(asked) == 1

    changed = tree.read(tmp_path, {"depth_variant": "small"})

    assert len(asked) == 2
    assert changed.shared[0].files == ("depth_small.pth",)


def test_a_file_that_changes_meanwhile_is_not_believed(
    tree: MadeTree, tmp_path: Path, asked: list[int]
) -> None:
    # As if a git pull ran at the same moment: its time is after the asking began.
    handler = tree.root / "models/good/good_handler.py"
    source = handler.read_text()
    real = runner.ask

    def change_then_ask(*args: Any, **kwargs: Any) -> Any:
        handler.write_text(source)
        return real(*args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runner, "ask", change_then_ask)
        tree.read(tmp_path)

    assert cached_handlers(tree.root, tree.definitions, {}, tmp_path) is None


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[]", b'{"format": 1}', b"[" * 100_000])
def test_a_broken_file_is_as_good_as_none(tree: MadeTree, tmp_path: Path, content: bytes) -> None:
    tree.read(tmp_path)
    ProbeCache(tmp_path, tree.root).path.write_bytes(content)

    assert cached_handlers(tree.root, tree.definitions, {}, tmp_path) is None
    assert tree.read(tmp_path).status is Status.ASKED


def test_an_unwritable_state_folder_costs_only_the_keeping(tree: MadeTree, tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.write_text("a file in its place")
    events: list[Event] = []

    result = read_handlers(tree.root, tree.definitions, {}, state, cancel=CancelToken(), emit=events.append)

    assert result.status is Status.ASKED
    assert any(isinstance(one, Notice) and "can not be kept" in one.text for one in events)


def test_what_took_too_long_is_asked_again_before_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = make_tree(tmp_path / "tree", {"bad": "while True: pass\n"})
    limits = Limits(total_s=10.0, silent_s=0.5)
    read_handlers(tree.root, tree.definitions, {}, tmp_path, limits=limits, cancel=CancelToken())
    assert cached_handlers(tree.root, tree.definitions, {}, tmp_path) is not None

    monkeypatch.setattr("wangp_downloader.catalog.probe.cache.time.time", lambda: 4e9)

    assert cached_handlers(tree.root, tree.definitions, {}, tmp_path) is None


def test_half_a_surrogate_pair_does_no_harm(tree: MadeTree, tmp_path: Path) -> None:
    tree.definitions["good"]["name"] = "\ud800"

    result = tree.read(tmp_path)

    assert result.answers["tuned"].status is Status.ASKED
    assert cached_handlers(tree.root, tree.definitions, {}, tmp_path) is not None
