"""What is left undone is found again, whatever stands in the folder beside it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from wangp_downloader.queue_memory import QueueMemory, forget, left_undone


def test_what_a_run_left_undone_is_found_and_forgotten(tmp_path: Path) -> None:
    memory = QueueMemory(tmp_path / "queue")
    memory.remember(["b", "a"])
    found = left_undone(tmp_path / "queue")
    assert list(found.values()) == [frozenset({"a", "b"})]
    forget(found)
    assert left_undone(tmp_path / "queue") == {}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff",
        b"5",
        b"[" * 100_000,
        b'{"version":1}',
        b'{"version":1,"pid":"x","targets":["x"]}',
        b'{"version":1,"pid":99999999999999999999,"targets":["x"]}',
        b'{"version":1,"pid":1e999,"targets":["x"]}',
        b'{"version":1,"pid":4000000000,"targets":5}',
    ],
    ids=["empty", "not utf-8", "a number", "deep", "short", "text", "huge pid", "endless pid", "no targets"],
)
def test_a_file_that_makes_no_sense_is_passed_over(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "c.json").write_bytes(content)
    good = {"version": 1, "pid": os.getpid(), "targets": ["x"]}
    (tmp_path / "d.json").write_text(json.dumps(good))
    assert left_undone(tmp_path) == {tmp_path / "d.json": frozenset({"x"})}


@pytest.mark.timeout(20)
def test_a_pipe_is_passed_over(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "c.json")
    assert left_undone(tmp_path) == {}
