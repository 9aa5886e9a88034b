"""A whole catalog to measure on: the real one if ``WANGP_REFERENCE_TREE`` names a Wan2GP, else one made up."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from wangp_downloader.demo.hub import LoopbackHub
from wangp_downloader.demo.hub_content import Generated
from wangp_downloader.places import Surroundings, config_path
from wangp_downloader.session import Session
from wangp_downloader.settings import LoadedSettings, load_settings

_MODELS = 217


@dataclass(frozen=True)
class Catalog:
    """A Wan2GP, a Hub that has its files, and our program's settings for both.

    Attributes:
        what: Which catalog it is, in words.
        hub: The Hub.
        loaded: The settings.
        environ: For a process of ours that is to use them.
    """

    what: str
    hub: LoopbackHub
    loaded: LoadedSettings
    environ: dict[str, str]


@contextmanager
def catalog(folder: Path) -> Iterator[Catalog]:
    """Make it below an empty folder."""
    reference = os.environ.get("WANGP_REFERENCE_TREE")
    tree = Path(reference).absolute() if reference else _made_up(folder / "tree")
    with LoopbackHub() as hub:
        home = str(folder)
        environ = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("WANGP_", "HF_"))},
            "HOME": home, "XDG_CONFIG_HOME": home, "XDG_STATE_HOME": home, "HF_HOME": f"{home}/hf",
            "WANGP_STATE_DIR": f"{home}/state", "HF_ENDPOINT": hub.endpoint,
        }  # fmt: skip
        around = Surroundings(folder, folder, environ)
        file = config_path(around)
        file.parent.mkdir(parents=True)
        file.write_text(json.dumps({"wan2gp_directory": str(tree)}))
        loaded = load_settings(around=around)
        _serve(hub, loaded)
        yield Catalog("the real catalog" if reference else "a made-up catalog", hub, loaded, environ)


def _serve(hub: LoopbackHub, loaded: LoadedSettings) -> None:
    session = Session.open(loaded)
    for row in session.catalog().requirements:
        if row.remote is not None and row.remote.repo is not None:
            hub.add_file(row.remote.repo, row.remote.path, Generated(1000, hash(row.remote.path)))
    session.close()


def _made_up(tree: Path) -> Path:
    (tree / "defaults").mkdir(parents=True)
    for number in range(_MODELS):
        base = f"https://huggingface.co/org/repo{number % 20}/resolve/main/model{number}"
        model = {
            "architecture": "t2v_2_2",
            "URLs": [f"{base}_high_bf16.safetensors", f"{base}_high_quanto_bf16_int8.safetensors"],
            "URLs2": [f"{base}_low_bf16.safetensors", f"{base}_low_quanto_bf16_int8.safetensors"],
        }
        (tree / "defaults" / f"model{number}.json").write_text(json.dumps({"model": model}), encoding="utf-8")
    return tree
