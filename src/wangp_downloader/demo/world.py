"""A small made-up world to show the program in: a Wan2GP tree, a local hub, a Hub on loopback.

Everything lives in one temporary folder that is removed at the end; nothing else on the machine is read or
written, and nothing reaches the network.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from wangp_downloader.demo.hub import LoopbackHub
from wangp_downloader.demo.hub_content import Generated
from wangp_downloader.places import Surroundings
from wangp_downloader.settings import LoadedSettings, load_settings
from wangp_downloader.units import MIB

_REPO = "demo/Wan2.2"
_HUB = f"https://huggingface.co/{_REPO}/resolve/main"
_LINE_BYTES_PER_S = 60 * MIB
"""Speed of the made-up line: fast enough to be over soon, slow enough to be seen."""

_SIZES = {
    "demo_text2video_14B_high_mbf16.safetensors": 128,
    "demo_text2video_14B_high_quanto_mbf16_int8.safetensors": 64,
    "demo_text2video_14B_low_mbf16.safetensors": 128,
    "demo_text2video_14B_low_quanto_mbf16_int8.safetensors": 64,
    "demo_image2video_14B_quanto_mbf16_int8.safetensors": 48,
    "umt5-xxl/demo_umt5_bf16.safetensors": 80,
    "umt5-xxl/demo_umt5_quanto_int8.safetensors": 40,
    "demo_vae.safetensors": 16,
    "loras_accelerators/demo_lightning_HIGH.safetensors": 8,
    "loras_accelerators/demo_lightning_LOW.safetensors": 8,
}
"""Path in the repo → MiB."""

_ENCODER = {
    "text_encoder_URLs": [
        f"{_HUB}/umt5-xxl/demo_umt5_bf16.safetensors",
        f"{_HUB}/umt5-xxl/demo_umt5_quanto_int8.safetensors",
    ],
    "text_encoder_folder": "umt5-xxl",
    "VAE_URLs": [f"{_HUB}/demo_vae.safetensors"],
}
_MODELS = {
    "demo_t2v": {
        "name": "Demo text to video 14B",
        "architecture": "t2v_2_2",
        "URLs": [
            f"{_HUB}/demo_text2video_14B_high_mbf16.safetensors",
            f"{_HUB}/demo_text2video_14B_high_quanto_mbf16_int8.safetensors",
        ],
        "URLs2": [
            f"{_HUB}/demo_text2video_14B_low_mbf16.safetensors",
            f"{_HUB}/demo_text2video_14B_low_quanto_mbf16_int8.safetensors",
        ],
        **_ENCODER,
    },
    "demo_t2v_lightning": {
        "name": "Demo text to video 14B, 4 steps",
        "architecture": "t2v_2_2",
        "URLs": "demo_t2v",
        "URLs2": "demo_t2v",
        "loras": [
            f"{_HUB}/loras_accelerators/demo_lightning_HIGH.safetensors",
            f"{_HUB}/loras_accelerators/demo_lightning_LOW.safetensors",
        ],
        **_ENCODER,
    },
    "demo_i2v": {
        "name": "Demo image to video 14B",
        "architecture": "i2v_2_2",
        "URLs": [f"{_HUB}/demo_image2video_14B_quanto_mbf16_int8.safetensors"],
        **_ENCODER,
    },
}


@dataclass(frozen=True, slots=True)
class DemoWorld:
    """The made-up world.

    Attributes:
        folder: Where all of it is.
        loaded: Settings that point into it.
        hub: The Hub on loopback.
    """

    folder: Path
    loaded: LoadedSettings
    hub: LoopbackHub


@contextmanager
def demo_world() -> Iterator[DemoWorld]:
    """Make the world, and remove it at the end."""
    with tempfile.TemporaryDirectory(prefix="wangp-demo-") as name, LoopbackHub() as hub:
        folder = Path(name)
        contents = {path: Generated(size * MIB, seed) for seed, (path, size) in enumerate(_SIZES.items())}
        for path, content in contents.items():
            hub.add_file(_REPO, path, content)
        hub.shape(total_bytes_per_s=_LINE_BYTES_PER_S)
        _make_tree(folder / "Wan2GP", contents)
        _make_local_hub(folder / "hub", hub, contents)
        yield DemoWorld(folder, _settings(folder, hub.endpoint), hub)


def _make_tree(tree: Path, contents: dict[str, Generated]) -> None:
    (tree / "defaults").mkdir(parents=True)
    (tree / "finetunes").mkdir()
    (tree / "loras").mkdir()
    for model, fields in _MODELS.items():
        text = json.dumps({"model": fields}, indent=2)
        (tree / "defaults" / f"{model}.json").write_text(text, encoding="utf-8")
    write_content(tree / "ckpts" / "demo_vae.safetensors", contents["demo_vae.safetensors"])


def _make_local_hub(local: Path, hub: LoopbackHub, contents: dict[str, Generated]) -> None:
    """Put two of the files where a user might have them: by hash, and under another name in any folder."""
    encoder = "umt5-xxl/demo_umt5_quanto_int8.safetensors"
    name = encoder.rpartition("/")[2]
    write_content(local / hub.content(_REPO, encoder).sha256 / name, contents[encoder])
    lora = "loras_accelerators/demo_lightning_HIGH.safetensors"
    write_content(local / "old downloads" / "renamed long ago.safetensors", contents[lora])


def write_content(path: Path, content: Generated) -> None:
    """Write generated content to a file, making its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        for chunk in content.chunks(0, content.size):
            file.write(chunk)


def _settings(folder: Path, endpoint: str) -> LoadedSettings:
    around = Surroundings(folder / "home", folder, {"WANGP_STATE_DIR": str(folder / "state")})
    (folder / "home").mkdir(exist_ok=True)
    values = {
        "wan2gp_directory": str(folder / "Wan2GP"),
        "hub_directory": str(folder / "hub"),
        "endpoint": endpoint,
    }
    return load_settings(values, around=around)
