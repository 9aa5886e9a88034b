"""Small made-up Wan2GP trees, in the shape that the real one has, and what asking them takes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent
from typing import Any

from wangp_downloader.cancel import CancelToken
from wangp_downloader.catalog.probe.api import probe, read_handlers
from wangp_downloader.catalog.probe.request import Limits, ProbeRequest
from wangp_downloader.catalog.probe.result import ProbeResult

WGP = """
import torch, gradio as gr
from shared.utils import files_locator as fl

WanGP_version = "98.7"
family_handlers = [{handlers}]
raise SystemExit("wgp.py must never be run")

def get_lora_dir(model_type):
    handler = get_model_handler(model_type)
    return get_dir(model_type, args, lora_root)

def get_model_filename(model_type, URLs=None):
    quant_order = ["int8", "fp8"]
    return model_def.get("dtype", None)

def query_core_shared_model_files():
    name = {{"small": "depth_small.pth"}}.get(server_config.get("depth_variant", "large"), "depth_large.pth")
    return {{"repoId": "org/core", "sourceFolderList": ["depth", ""], "fileList": [[name], ["a.bin"]]}}

download_shared_done = False
def download_models(model_filename=None, model_type=None):
    process_files_def(**query_core_shared_model_files())
    global download_shared_done
    download_shared_done = True
    if model_filename is None: return
"""

LOCATOR = """
default_checkpoints_paths = ["ckpts", "."]
def extract_alternate_path(url, lora_dir=None):
    return url.replace("%lora_dir", lora_dir)
"""

GOOD = """
import os
import torch
from torch import nn
import numpy as np
from .names import ENCODER

class Block(nn.Module):
    @torch.no_grad()
    def forward(self, x: torch.Tensor | None = None) -> "torch.Tensor":
        return x

class family_handler():
    @staticmethod
    def query_supported_types():
        return ["good", "good_i2v"]

    @staticmethod
    def query_family_maps():
        return {"good": "good_i2v"}, {}

    @staticmethod
    def query_model_family():
        return "goodies"

    @staticmethod
    def query_family_infos():
        return {"goodies": (10, "The Good")}

    @staticmethod
    def register_lora_cli_args(parser, lora_root):
        parser.add_argument("--lora-dir-good", default=None)

    @staticmethod
    def get_lora_dir(base_model_type, args, lora_root):
        return getattr(args, "lora_dir_good", None) or os.path.join(lora_root, base_model_type)

    @staticmethod
    def query_model_def(base_model_type, model_def):
        found = {
            "text_encoder_URLs": [f"https://huggingface.co/org/enc/resolve/main/{ENCODER}"],
            "sizes": (1, 2),
            "hook": lambda x: x,
            "device": torch.device("cuda"),
            "infos": "long text",
        }
        if base_model_type == "good_i2v":
            found["dtype"] = "fp16"
            found["configs"] = {"_name": "Choice", "big": {"vae": "big.bin"}, "same": {"other": 1}}
        return found

    @staticmethod
    def query_model_files(computeList, base_model_type, model_def=None):
        vae = model_def.get("vae", "vae.bin")
        return [{
            "repoId": "org/parts",
            "sourceFolderList": ["enc", ""],
            "fileList": [["tok.json"], computeList("x/" + vae)],
            "targetFolderList": [None, "sub"],
        }]
"""


@dataclass
class MadeTree:
    """A tree on the disk and the definitions that go with it."""

    root: Path
    definitions: dict[str, dict[str, Any]] = field(default_factory=dict)

    def write(self, name: str, text: str) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text), encoding="utf-8")
        # As a tree that was there before the program started.
        os.utime(path, ns=(10**18, 10**18))
        return path

    def listing(self) -> dict[str, tuple[int, int, int]]:
        found = {}
        for path in self.root.rglob("*"):
            stat = path.lstat()
            found[str(path)] = (stat.st_mode, stat.st_size, stat.st_mtime_ns)
        return found

    def ask(self, *, limits: Limits | None = None, **options: Any) -> ProbeResult:
        request = ProbeRequest(self.root, self.definitions, limits=limits or Limits(), **options)
        return probe(request, cancel=CancelToken())

    def read(self, state: Path, config: Mapping[str, Any] | None = None) -> ProbeResult:
        return read_handlers(self.root, self.definitions, config or {}, state, cancel=CancelToken())


def make_tree(root: Path, handlers: Mapping[str, str] | None = None, wgp: str = WGP) -> MadeTree:
    """Write a tree with a good handler and those given (name → source)."""
    tree = MadeTree(root)
    sources = {"good": GOOD, **(handlers or {})}
    names = ", ".join(f'"models.{name}.{name}_handler"' for name in sources)
    tree.write("wgp.py", wgp.format(handlers=names))
    tree.write("shared/utils/files_locator.py", LOCATOR)
    for name, source in sources.items():
        tree.write(f"models/{name}/{name}_handler.py", source)
    tree.write("models/good/names.py", 'ENCODER = "enc_bf16.safetensors"\n')
    tree.definitions = {
        "good": {
            "architecture": "good",
            "URLs": ["https://huggingface.co/org/good/resolve/main/good.safetensors"],
        },
        "tuned": {"architecture": "good_i2v", "URLs": "good", "vae": "tuned.bin"},
        **{name: {"architecture": name} for name in handlers or {}},
    }
    return tree
