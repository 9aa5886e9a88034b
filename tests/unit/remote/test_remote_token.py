from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from wangp_downloader.remote.token import read_token

CASES: list[tuple[dict[str, str], dict[str, str], str | None]] = [
    ({}, {}, None),
    ({"HF_TOKEN": " hf_env\n"}, {}, "hf_env"),
    ({"HUGGING_FACE_HUB_TOKEN": "hf_old"}, {}, "hf_old"),
    ({"HF_TOKEN": "hf_new", "HUGGING_FACE_HUB_TOKEN": "hf_old"}, {}, "hf_new"),
    ({"HF_HOME": "{home}/elsewhere"}, {"elsewhere/token": "hf_file\n"}, "hf_file"),
    ({"HF_HOME": "{home}/elsewhere", "HF_TOKEN": "hf_env"}, {"elsewhere/token": "hf_file"}, "hf_env"),
    ({"HF_TOKEN_PATH": "{home}/t"}, {"t": "hf_path"}, "hf_path"),
    ({"HF_HOME": "$HOME/elsewhere"}, {"elsewhere/token": "hf_file"}, "hf_file"),
    ({"XDG_CACHE_HOME": "{home}/cache"}, {"cache/huggingface/token": "hf_xdg"}, "hf_xdg"),
    ({}, {".cache/huggingface/token": "hf_home"}, "hf_home"),
    ({}, {".cache/huggingface/token": "  \n"}, None),
    ({"HF_TOKEN": ""}, {".cache/huggingface/token": "hf_home"}, "hf_home"),
]
IDS = [str(number) for number in range(len(CASES))]


def prepare(home: Path, environment: dict[str, str], files: dict[str, str]) -> dict[str, str]:
    for name, text in files.items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(text)
    return {name: value.replace("{home}", str(home)) for name, value in environment.items()}


@pytest.mark.parametrize(("environment", "files", "token"), CASES, ids=IDS)
def test_the_token_is_found_where_huggingface_hub_looks(
    monkeypatch: pytest.MonkeyPatch,
    isolated_environment: Path,
    environment: dict[str, str],
    files: dict[str, str],
    token: str | None,
) -> None:
    monkeypatch.delenv("HF_HOME")
    monkeypatch.delenv("XDG_CACHE_HOME")
    for name, value in prepare(isolated_environment, environment, files).items():
        monkeypatch.setenv(name, value)
    assert read_token() == token


def test_huggingface_hub_itself_agrees(isolated_environment: Path, tmp_path: Path) -> None:
    code = (
        "import json, sys, os, importlib\n"
        "import huggingface_hub.constants as constants, huggingface_hub.utils._auth as auth\n"
        "base = dict(os.environ)\n"
        "found = []\n"
        "for environment in json.load(sys.stdin):\n"
        "    os.environ.clear(); os.environ.update(base | environment)\n"
        "    importlib.reload(constants); auth._OAUTH_REFRESH_CACHE = None\n"
        "    found.append(auth.get_token())\n"
        "print(json.dumps(found))\n"
    )
    environments = []
    for number, (environment, files, _) in enumerate(CASES):
        home = tmp_path / str(number)
        home.mkdir()
        environments.append({"HOME": str(home), **prepare(home, environment, files)})
    bare = {name: os.environ[name] for name in os.environ if not name.startswith(("HF_", "XDG_"))}
    result = subprocess.run(
        [sys.executable, "-c", code],
        input=json.dumps(environments),
        env=bare,
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(result.stdout) == [token for _, _, token in CASES]


def test_a_token_that_must_not_be_used_by_itself_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_x")
    monkeypatch.setenv("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1")
    assert read_token() is None


def test_a_token_that_has_to_be_renewed_is_left_to_huggingface_hub(
    monkeypatch: pytest.MonkeyPatch, isolated_environment: Path
) -> None:
    folder = isolated_environment / "hf"
    files = {
        "hf/token": "hf_expiring",
        "hf/stored_tokens": "[me]\nhf_token = hf_expiring\nrefresh_token = r\n",
    }
    prepare(isolated_environment, {}, files)
    monkeypatch.setenv("HF_HOME", str(folder))
    hub = pytest.importorskip("huggingface_hub")
    monkeypatch.setattr(hub, "get_token", lambda: "hf_renewed")
    assert read_token() == "hf_renewed"


def test_a_token_file_that_can_not_be_read_is_no_token(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HF_TOKEN_PATH", str(tmp_path))
    assert read_token() is None
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    monkeypatch.setenv("HF_TOKEN_PATH", str(tmp_path / "binary"))
    assert read_token() is None
