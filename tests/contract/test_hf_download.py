"""The real ``hf download`` works against the loopback Hub: what we test with is what the world speaks."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from wangp_downloader.demo.hub import Generated, LoopbackHub

TOKEN = "hf_only_for_the_hub"
WEIGHTS = Generated(3_000_000, seed=7)
CONFIG = b'{"model_type": "t5"}'


@pytest.fixture(scope="module")
def hf() -> str:
    beside = Path(sys.executable).with_name("hf")
    found = str(beside) if beside.exists() else shutil.which("hf")
    if found is None:
        pytest.skip("the hf command of huggingface_hub is not installed")
    return found


def download(hf: str, hub: LoopbackHub, home: Path, *arguments: str, token: str | None = None) -> Path | None:
    environment = {
        **os.environ,
        "HF_ENDPOINT": hub.endpoint,
        "HF_HOME": str(home / "hf"),
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        **({"HF_TOKEN": token} if token else {}),
    }
    target = home / "out"
    command = [hf, "download", *arguments, "--local-dir", str(target)]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    return target if result.returncode == 0 else None


def test_hf_download_fetches_the_right_bytes(hf: str, hub: LoopbackHub, tmp_path: Path) -> None:
    hub.add_file("org/name", "sub/model.safetensors", WEIGHTS)
    hub.add_file("org/name", "config.json", CONFIG, lfs=False)
    target = download(hf, hub, tmp_path, "org/name")
    assert target is not None
    assert (target / "sub/model.safetensors").read_bytes() == WEIGHTS.read()
    assert (target / "config.json").read_bytes() == CONFIG
    record = target / ".cache/huggingface/download/sub/model.safetensors.metadata"
    commit, etag, _ = record.read_text().split()
    assert (commit, etag) == (hub.commit("org/name"), hub.content("org/name", "sub/model.safetensors").sha256)


def test_a_gated_repo_opens_only_with_the_token_and_the_cdn_never_sees_it(
    hf: str, hub: LoopbackHub, tmp_path: Path
) -> None:
    hub.add_file("org/gated", "model.safetensors", WEIGHTS)
    hub.gate("org/gated", TOKEN)
    assert download(hf, hub, tmp_path, "org/gated", "model.safetensors") is None
    assert hub.bytes_sent(listener="cdn") == 0

    target = download(hf, hub, tmp_path, "org/gated", "model.safetensors", token=TOKEN)
    assert target is not None
    assert (target / "model.safetensors").read_bytes() == WEIGHTS.read()
    assert any(request.token == TOKEN for request in hub.requests_to(listener="hub"))
    assert hub.requests_to(listener="cdn")
    assert not any(request.authorized for request in hub.requests_to(listener="cdn"))
