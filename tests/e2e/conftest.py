"""A Wan2GP tree, a Hub that serves its files, and the program run against both."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.unit.catalog.trees import make_tree
from wangp_downloader.cli.main import run
from wangp_downloader.demo.hub import LoopbackHub

REPO = "org/name"
BASE = f"https://huggingface.co/{REPO}/resolve/main"
HIGH = [f"{BASE}/m_high_mbf16.safetensors", f"{BASE}/m_high_quanto_mbf16_int8.safetensors"]
LOW = [f"{BASE}/m_low_mbf16.safetensors", f"{BASE}/m_low_quanto_mbf16_int8.safetensors"]
INT8 = [f"ckpts/{url.rpartition('/')[2]}" for url in (HIGH[1], LOW[1])]


def content_of(path: str, size: int = 300_000) -> bytes:
    """Bytes that differ from file to file, by name."""
    seed = path.rpartition("/")[2].encode()
    return (seed * (size // len(seed) + 1))[:size]


@dataclass(slots=True)
class Outcome:
    """What one run of the program gave."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        loaded = json.loads(self.out)
        assert isinstance(loaded, dict)
        return loaded

    def files(self, **wanted: Any) -> list[str]:
        """Targets of the document's rows that have all these values."""
        return [
            row["target"]
            for row in self.document["files"]
            if all(row[key] == value for key, value in wanted.items())
        ]


@dataclass(slots=True)
class World:
    """One user's machine."""

    root: Path
    hub: LoopbackHub
    capture: pytest.CaptureFixture[str]
    options: list[str] = field(default_factory=list)

    @property
    def tree(self) -> Path:
        return self.root / "wan"

    def serve(self, *urls: str, repo: str = REPO) -> None:
        for url in urls:
            path = url.partition("/resolve/main/")[2].partition("|")[0] or url
            self.hub.add_file(repo, path, content_of(path))

    def run(self, *arguments: str) -> Outcome:
        self.capture.readouterr()
        code = run([*arguments])
        captured = self.capture.readouterr()
        assert "Traceback" not in captured.err
        return Outcome(code, captured.out, captured.err)

    def bytes_at(self, target: str) -> bytes:
        return (self.tree / target).read_bytes()

    def everything(self) -> set[str]:
        """All files and links of the tree that a user sees, relative."""
        found = (path.relative_to(self.tree) for path in self.tree.rglob("*"))
        return {path.as_posix() for path in found if not any(part.startswith(".") for part in path.parts)}


@pytest.fixture
def world(
    tmp_path: Path,
    hub: LoopbackHub,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> World:
    """A machine with a Wan2GP of two models, whose files the Hub serves."""
    made = World(tmp_path, hub, capsys)
    make_tree(
        made.tree,
        {
            "t2v_2_2": {"architecture": "t2v_2_2", "name": "Text to video", "URLs": HIGH, "URLs2": LOW},
            "fun_inp": {"architecture": "fun_inp", "URLs": [f"{BASE}/Fun_InP_bf16.safetensors"]},
        },
    )
    made.serve(*HIGH, *LOW, f"{BASE}/Fun_InP_bf16.safetensors")
    monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
    monkeypatch.setenv("WANGP_WAN2GP_DIRECTORY", str(made.tree))
    monkeypatch.chdir(tmp_path)
    return made
