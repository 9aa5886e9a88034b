"""Against a real Wan2GP: what the probe names is what Wan2GP's own ``load_models`` fetches.

Needs a checkout of Wan2GP, named by ``WANGP_REFERENCE_TREE``; nothing of it is part of this project.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from wangp_downloader.cancel import CancelToken
from wangp_downloader.catalog.probe.api import probe
from wangp_downloader.catalog.probe.probe_inside.plain import FILE_KEYS
from wangp_downloader.catalog.probe.request import Limits, ProbeRequest
from wangp_downloader.catalog.probe.result import FilesDef, HandlerAnswer, Status
from wangp_downloader.catalog.probe.source import read_source
from wangp_downloader.catalog.probe.static import read_handler

TREE = os.environ.get("WANGP_REFERENCE_TREE", "")

pytestmark = pytest.mark.skipif(not TREE, reason="WANGP_REFERENCE_TREE names no checkout of Wan2GP")


def _definitions(tree: Path) -> dict[str, Any]:
    paths = [*sorted(tree.glob("defaults/*.json")), *sorted(tree.glob("finetunes/*.json"))]
    return {path.stem: json.loads(path.read_text(encoding="utf-8"))["model"] for path in paths}


CONFIGS: list[dict[str, Any]] = [
    {},
    {"transformer_quantization": "bf16", "text_encoder_quantization": "bf16", "matanyone_version": "sam3"},
    {"transformer_quantization": "fp8", "transformer_dtype_policy": "fp16", "enhancer_enabled": 1},
]


@pytest.fixture(params=CONFIGS, ids=str)
def request_(request: pytest.FixtureRequest) -> ProbeRequest:
    tree = Path(TREE).absolute()
    return ProbeRequest(tree, _definitions(tree), request.param, limits=Limits(total_s=60, silent_s=30))


def _targets(entries: Iterable[FilesDef]) -> Iterator[tuple[str, str]]:
    for one in entries:
        for name in one.files or ("*",):
            target = (part for part in ("ckpts", one.target_folder, one.source_folder, name) if part)
            yield "/".join(target), "/".join(part for part in (one.repo, one.source_folder, name) if part)


def test_all_are_asked_and_agree_with_wan2gp(request_: ProbeRequest) -> None:
    before = {path: path.lstat().st_mtime_ns for path in request_.tree.rglob("*")}
    result = probe(request_, cancel=CancelToken())
    assert {path: path.lstat().st_mtime_ns for path in request_.tree.rglob("*")} == before
    assert result.status is Status.ASKED, result.warnings

    fetched = _ask_wan2gp(request_)

    for name, answer in result.answers.items():
        assert fetched[name]["error"] is None
        named = dict(_targets(answer.files)) | dict(_targets(result.shared))
        assert named.items() <= fetched[name]["files"].items(), name


def _ask_wan2gp(request: ProbeRequest) -> dict[str, Any]:
    source = read_source(request.tree)
    assert source is not None
    definitions = [
        {"id": name, "architecture": request.architecture(name), "model": model, "original": model}
        for name, model in request.definitions.items()
    ]
    question = {
        "tree": str(request.tree),
        "roots": [str(root) for root in source.roots],
        "config": request.config,
        "handlers": list(source.handlers),
        "definitions": definitions,
        "models": list(request.definitions),
    }
    command = [sys.executable, "-S", "-B", str(Path(__file__).with_name("oracle.py"))]
    done = subprocess.run(command, input=json.dumps(question).encode(), capture_output=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_reading_never_says_anything_else_than_asking(request_: ProbeRequest) -> None:
    source = read_source(request_.tree)
    assert source is not None
    asked = probe(request_, cancel=CancelToken()).answers
    read: dict[str, HandlerAnswer] = {}
    for path in source.handlers:
        read.update(read_handler(source, path, request_).answers)

    for name, answer in read.items():
        if "files" in answer.known:
            assert answer.files == asked[name].files
        if "lora_dir" in answer.known:
            assert answer.lora_dir == asked[name].lora_dir
        if "defaults" in answer.known:
            for key in FILE_KEYS:
                assert answer.defaults.get(key) == asked[name].defaults.get(key)
