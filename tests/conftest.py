"""What every test gets: an environment of its own, and a Hub on loopback for those that ask."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from wangp_downloader.demo.hub import LoopbackHub

# The machine may be busy: how long an example takes says nothing about the code.
hypothesis.settings.register_profile("default-here", deadline=None)
hypothesis.settings.load_profile("default-here")

_FOREIGN_PREFIXES = ("HF_", "HUGGING_FACE_", "HUGGINGFACE_", "WANGP_", "XDG_", "TEXTUAL")
_FOREIGN_NAMES = frozenset(
    [
        "ALL_PROXY",
        "COLUMNS",
        "CURL_CA_BUNDLE",
        "FORCE_COLOR",
        "HTTPS_PROXY",
        "HTTP_PROXY",
        "INVOKEAI_ROOT",
        "LINES",
        "NO_COLOR",
        "NO_PROXY",
        "REQUESTS_CA_BUNDLE",
        "SSL_CERT_FILE",
    ]
)


@pytest.fixture(autouse=True)
def isolated_environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the test an empty home and none of the variables of the person who runs it; return the home."""
    for name in list(os.environ):
        if name.upper() in _FOREIGN_NAMES or name.startswith(_FOREIGN_PREFIXES):
            monkeypatch.delenv(name)
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("USERPROFILE", str(home))
    for variable, folder in (
        ("XDG_CONFIG_HOME", ".config"),
        ("XDG_DATA_HOME", ".local/share"),
        ("XDG_STATE_HOME", ".local/state"),
        ("XDG_CACHE_HOME", ".cache"),
    ):
        monkeypatch.setenv(variable, str(home / folder))
    monkeypatch.setenv("HF_HOME", str(home / ".cache" / "huggingface"))
    return home


@pytest.fixture
def hub() -> Iterator[LoopbackHub]:
    """A running, empty Hub; the test fails if the Hub itself crashed."""
    with LoopbackHub() as running:
        yield running
