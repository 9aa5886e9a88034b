"""The program killed at any moment, started again, ends with the right bytes and never shows wrong ones."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import BASE, World
from tests.unit.catalog.trees import make_tree
from wangp_downloader.demo import faults
from wangp_downloader.demo.faults import Match
from wangp_downloader.demo.hub_content import Generated
from wangp_downloader.units import format_size

SIZE = 24 * 1024 * 1024
KILLS = 10


def start(world: World, *arguments: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "wangp_downloader", *arguments]
    return subprocess.Popen(command, cwd=world.root, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


@pytest.fixture
def big(world: World) -> dict[str, str]:
    """Two generated files and their hashes, by target."""
    names = ["big_high_int8.safetensors", "big_low_int8.safetensors"]
    high, low = ([f"{BASE}/{name}"] for name in names)
    make_tree(world.tree, {"big": {"architecture": "t2v_2_2", "URLs": high, "URLs2": low}})
    contents = [
        world.hub.add_file("org/name", name, Generated(SIZE, seed)) for seed, name in enumerate(names)
    ]
    return {f"ckpts/{name}": content.sha256 for name, content in zip(names, contents, strict=True)}


def finished(world: World, hashes: dict[str, str]) -> dict[str, bool]:
    """For each target that is there: whether it is whole and right."""
    paths = {target: world.tree / target for target in hashes}
    return {
        target: hashlib.sha256(path.read_bytes()).hexdigest() == hashes[target]
        for target, path in paths.items()
        if path.exists()
    }


def test_killed_ten_times_it_still_ends_right(world: World, big: dict[str, str]) -> None:
    chance = random.Random(7)
    for _ in range(KILLS):
        process = start(world, "download", "big", "--limit", "8000")
        assert process.stderr is not None
        deadline = time.monotonic() + chance.uniform(0.1, 1.2)
        with process.stderr:
            while process.poll() is None and time.monotonic() < deadline:
                # The clock of the kill, not a wait for something to happen.
                time.sleep(0.01)
            process.kill()
            process.wait()
        assert all(finished(world, big).values())
    result = world.run("download", "big", "--json")
    assert result.code == 0
    assert finished(world, big) == dict.fromkeys(big, True)
    assert not [path for path in (world.tree / "ckpts").iterdir() if ".part" in path.name]
    received = world.hub.bytes_sent("big_", listener="cdn")
    assert received < 2 * SIZE * 2.5


@pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_it_politely_and_the_part_is_kept(
    world: World, big: dict[str, str], number: int
) -> None:
    process = start(world, "download", "big", "--limit", "4000")
    assert world.hub.wait_for_request("big_high", timeout_s=20)
    folder = world.tree / "ckpts"
    deadline = time.monotonic() + 20
    while not any(row["done"] for row in parts_of(world)) and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(process.pid, number)
    _, error = process.communicate(timeout=20)
    assert process.returncode == 130
    assert b"the same command goes on from there" in error
    held = [path.stat().st_blocks * 512 for path in folder.glob(".*.part")]
    assert held
    assert finished(world, big) == {}
    # Space that the parts have reserved need not be free once more.
    needed = 2 * SIZE - sum(min(SIZE, size) for size in held)
    assert f": {format_size(needed)} needed" in world.run("plan", "big").out


def test_what_was_asked_for_survives_a_kill(world: World, big: dict[str, str]) -> None:
    process = start(world, "download", "big", "--limit", "8000")
    deadline = time.monotonic() + 30
    assert process.stderr is not None
    with process.stderr:
        while not any(row["done"] for row in parts_of(world)) and time.monotonic() < deadline:
            time.sleep(0.05)
        process.kill()
        process.wait()
    left = parts_of(world)
    assert left
    assert all(row["kind"] == "part" and not row["in_use"] for row in left)
    assert any(row["size"] == SIZE and row["done"] for row in left)
    plan = world.run("plan", "big", "--json")
    assert any("are here from earlier" in row["reason"] for row in plan.document["files"])
    result = world.run("download", "--resume", "--json")
    assert result.files(outcome="downloaded") == list(big)
    assert finished(world, big) == dict.fromkeys(big, True)
    assert "nothing was left undone" in world.run("download", "--resume").err
    assert parts_of(world) == []


@pytest.fixture
def one_slow(world: World, big: dict[str, str]) -> tuple[Path, Path]:
    """The two files' paths; the second one comes slowly, for as long as the fault lasts."""
    quick, slow = (world.tree / target for target in big)
    world.hub.faults.add(faults.slow(200_000, Match(path=slow.name, listener="cdn", times=None)))
    return quick, slow


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.02)


def test_a_kill_does_not_take_finished_files_out_of_the_journal(
    world: World, one_slow: tuple[Path, Path]
) -> None:
    quick, _ = one_slow
    process = start(world, "download", "big")
    assert process.stderr is not None
    with process.stderr:
        wait_for(lambda: quick.exists() and not list(quick.parent.glob(f".{quick.name}.part*")))
        wait_for(lambda: world.run("undo", "--downloads", "--dry-run", "--json").document["entries"])
        process.kill()
        process.wait()
    [entry] = world.run("undo", "--downloads", "--dry-run", "--json").document["entries"]
    assert entry["target"] == str(quick)


def test_a_folder_that_is_removed_meanwhile_fails_its_files_by_name(
    world: World, one_slow: tuple[Path, Path], big: dict[str, str]
) -> None:
    quick, slow = one_slow
    command = [sys.executable, "-m", "wangp_downloader", "download", "big", "--json"]
    process = subprocess.Popen(command, cwd=world.root, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    wait_for(lambda: quick.exists() and list(slow.parent.glob(f".{slow.name}.part")))
    while slow.parent.exists():
        shutil.rmtree(slow.parent, ignore_errors=True)  # files come and go in it meanwhile
    world.hub.faults.clear()
    output, error = process.communicate(timeout=60)
    assert process.returncode == 1
    assert b"unexpected" not in error
    outcomes = {row["target"]: row["outcome"] for row in json.loads(output)["files"]}
    assert outcomes[list(big)[1]] == "failed"


def test_resuming_leaves_out_what_wan2gp_no_longer_names(world: World, big: dict[str, str]) -> None:
    state = Path(world.run("cache", "info", "--json").document["path"]).parent
    (state / "queue").mkdir(exist_ok=True)
    left = state / "queue" / "1-a.json"
    left.write_text(json.dumps({"version": 1, "pid": 2**22 + 1, "targets": ["ckpts/gone.bin", *big]}))
    result = world.run("download", "--resume", "--json")
    assert "no longer names ckpts/gone.bin" in result.err
    assert result.files(outcome="downloaded") == list(big)
    assert "nothing was left undone" in world.run("download", "--resume").err
    assert not left.exists()


def parts_of(world: World) -> list[dict[str, Any]]:
    parts = world.run("cache", "parts", "--json").document["parts"]
    assert isinstance(parts, list)
    return parts


def test_parts_can_be_removed(world: World) -> None:
    part = world.tree / "ckpts" / ".old.safetensors.part"
    part.parent.mkdir()
    part.write_bytes(b"x" * 1000)
    theirs = world.tree / "ckpts" / "abc.0123.incomplete"
    theirs.write_bytes(b"x")
    assert {row["kind"] for row in parts_of(world)} == {"part", "incomplete"}
    world.run("cache", "parts", "--remove", "--yes")
    assert [(row["kind"], row["in_use"]) for row in parts_of(world)] == [("incomplete", True)]
    os.utime(theirs, (0, 0))  # no program is at work on it any more
    part.write_bytes(b"x" * 1000)
    assert world.run("cache", "parts", "--remove", "--yes", "--json").document["freed"] > 0
    assert parts_of(world) == []
