"""Asking well-behaved trees of several ages: what comes back, and that nothing in them changes."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import pytest

from tests.unit.probe.trees import make_tree
from wangp_downloader.cancel import CancelToken
from wangp_downloader.catalog.probe.api import cached_handlers, probe, read_handlers
from wangp_downloader.catalog.probe.request import ProbeRequest
from wangp_downloader.catalog.probe.result import (
    LORA_ROOT,
    FilesDef,
    LoraLayout,
    Status,
    VariantRule,
)
from wangp_downloader.errors import CancelledError


def test_a_handler_answers_for_each_definition(tmp_path: Path) -> None:
    tree = make_tree(tmp_path / "tree")
    before = tree.listing()

    result = tree.ask()

    assert tree.listing() == before
    assert result.status is Status.ASKED
    assert result.version == "98.7"
    good = result.answers["good"]
    assert good.defaults == {
        "text_encoder_URLs": ["https://huggingface.co/org/enc/resolve/main/enc_bf16.safetensors"],
        "sizes": [1, 2],
    }
    assert good.files == (
        FilesDef("org/parts", "enc", ("tok.json",)),
        FilesDef("org/parts", "", ("vae.bin",), "sub"),
    )
    assert good.lora_dir == f"{LORA_ROOT}/good"
    assert good.overrides == {}
    assert result.families == {"goodies": "The Good"}
    assert result.architectures["good"].family == "goodies"
    assert result.architectures["good"].equivalent_to == "good_i2v"
    assert result.architecture_defaults["good_i2v"]["dtype"] == "fp16"


def test_the_definition_decides_about_files_and_configurations(tmp_path: Path) -> None:
    tree = make_tree(tmp_path / "tree")
    tree.definitions["good"]["system_configs"] = {"lean": {"vae": "lean.bin"}}
    tree.definitions["tuned"]["system_configs"] = "good"

    result = tree.ask()

    tuned = result.answers["tuned"]
    assert tuned.files[1] == FilesDef("org/parts", "", ("tuned.bin",), "sub")
    assert set(tuned.config_files) == {"configs/big", "system_configs/lean"}
    assert tuned.config_files["configs/big"][1].files == ("big.bin",)


@pytest.mark.parametrize(
    ("config", "name"), [({}, "depth_large.pth"), ({"depth_variant": "small"}, "depth_small.pth")]
)
def test_the_shared_set_follows_the_settings(tmp_path: Path, config: dict[str, str], name: str) -> None:
    result = make_tree(tmp_path / "tree").ask(config=config)

    assert result.shared == (FilesDef("org/core", "depth", (name,)), FilesDef("org/core", "", ("a.bin",)))
    assert result.shared_status is Status.ASKED


def test_query_model_def_sees_the_first_file_only(tmp_path: Path) -> None:
    handler = """
    class family_handler():
        @staticmethod
        def query_supported_types(): return ["seer"]
        @staticmethod
        def query_model_def(base_model_type, model_def):
            seen = model_def["mark"]
            model_def["touched"] = True
            return {"seen": seen}
        @staticmethod
        def query_model_files(computeList, base_model_type, model_def=None):
            names = [model_def["mark"], model_def["seen"], str(model_def["touched"])]
            return {"repoId": "o/r", "sourceFolderList": [""], "fileList": [names]}
        @staticmethod
        def get_lora_dir(base_model_type, args, lora_root): return None
    """
    tree = make_tree(tmp_path / "tree", {"seer": handler})
    tree.definitions["seer"] = {"architecture": "seer", "mark": "second"}
    first = {"seer": {"architecture": "seer", "mark": "first"}}

    answer = tree.ask(originals=first).answers["seer"]

    assert answer.defaults == {"seen": "first"}
    assert answer.files[0].files == ("second", "first", "True")
    assert answer.overrides == {"touched": True}
    assert answer.lora_dir is None
    assert answer.status is Status.ASKED


OLD_WGP = """
WanGP_version = "7.5"
family_handlers = [{handlers}]

def _parse_args():
    import argparse
    parser = argparse.ArgumentParser()
    parser.add_argument("--lora-dir-old", default="loras_old")
    return parser.parse_args()

args = _parse_args()

def get_model_family(model_type):
    return model_types_handlers[get_base_model_type(model_type)].query_model_family()

def get_lora_dir(model_type):
    if get_model_family(model_type) == "old":
        return args.lora_dir_old
    return "loras/14B" if os.path.isdir("loras/14B") else "loras"

def get_model_filename(model_type):
    return [name for name in choices if "quanto" not in name]

def download_models(model_filename, model_type):
    def process_files_def(repoId, sourceFolderList, fileList):
        from huggingface_hub import hf_hub_download, snapshot_download
        for folder, names in zip(sourceFolderList, fileList):
            if not names:
                snapshot_download(repo_id=repoId, allow_patterns=folder + "/*", local_dir="ckpts/")
            for name in names:
                hf_hub_download(repo_id=repoId, filename=name, local_dir="ckpts/", subfolder=folder)
    process_files_def("org/core", ["pose", "mask"], [[], ["m.bin"]])
    base = get_base_model_type(model_type)
    raise Exception("only the shared set was asked for")

import os
"""

OLD_HANDLER = """
class family_handler():
    @staticmethod
    def query_supported_types(): return ["old", "other"]
    @staticmethod
    def query_model_family(): return FAMILY
    @staticmethod
    def query_modules_files(): return {"mod": ["ckpts/mod_bf16.safetensors", "ckpts/mod_int8.safetensors"]}
    @staticmethod
    def query_model_def(base_model_type, model_def): return None
    @staticmethod
    def query_model_files(computeList, base_model_type, model_filename, text_encoder_quantization):
        encoder = f"enc/enc_{text_encoder_quantization}.safetensors"
        return {"repoId": "org/old", "sourceFolderList": ["enc", "", ""],
                "fileList": [computeList(encoder), ["vae.bin"] + computeList(model_filename), []]}

FAMILY = "%s"
"""


@pytest.mark.parametrize(("family", "folder"), [("old", "loras_old"), ("new", "loras/14B")])
def test_an_old_tree_is_asked_in_its_own_way(tmp_path: Path, family: str, folder: str) -> None:
    tree = make_tree(tmp_path / "tree", {"old": OLD_HANDLER % family}, wgp=OLD_WGP)
    (tree.root / "loras" / "14B").mkdir(parents=True)

    result = tree.ask(config={"text_encoder_quantization": "bf16"})

    answer = result.answers["old"]
    assert answer.status is Status.ASKED
    assert answer.files == (
        FilesDef("org/old", "enc", ("enc_bf16.safetensors",)),
        FilesDef("org/old", "", ("vae.bin",)),
    )
    assert answer.lora_dir == folder
    assert result.module_urls == {
        "mod": (
            "https://huggingface.co/org/old/resolve/main/mod_bf16.safetensors",
            "https://huggingface.co/org/old/resolve/main/mod_int8.safetensors",
        )
    }
    assert result.shared == (FilesDef("org/core", "pose", ()), FilesDef("org/core", "mask", ("m.bin",)))
    assert result.rules.loras is LoraLayout.FLAT
    assert result.rules.variant is VariantRule.QUANTO


NO_HANDLERS_WGP = """
WanGP_version = "6.6"
text_encoder_quantization = server_config["text_encoder_quantization"]
modules_files = {"mod": ["ckpts/mod.safetensors"]}

def get_model_def(model_type):
    return models_def.get(model_type, None)

def get_lora_dir(model_type):
    return "loras_i2v" if "i2v" in get_model_def(model_type)["architecture"] else "loras"

def process_files_def(repoId, sourceFolderList, fileList):
    raise Exception("would download")

def download_models(model_filename, model_type):
    import os
    process_files_def(repoId="org/core", sourceFolderList=["pose"], fileList=[["p.onnx"]])
    model_def = get_model_def(model_type)
    if model_def is not None and not os.path.isfile(model_filename):
        raise Exception("would download the transformer")
    encoder = "enc_" + text_encoder_quantization + ".safetensors"
    name = model_filename.rpartition("/")[2]
    process_files_def(repoId="org/all", sourceFolderList=["enc", ""], fileList=[[encoder], ["vae.bin", name]])
"""


def test_a_tree_without_handlers_is_asked_through_wgp(tmp_path: Path) -> None:
    tree = make_tree(tmp_path / "tree")
    tree.write("wgp.py", NO_HANDLERS_WGP)
    for path in tree.root.glob("models/**/*.py"):
        path.unlink()

    result = tree.ask(config={})

    assert result.status is Status.ASKED
    assert result.shared == (FilesDef("org/core", "pose", ("p.onnx",)),)
    assert result.answers["good"].files == (
        FilesDef("org/all", "enc", ("enc_int8.safetensors",)),
        FilesDef("org/all", "", ("vae.bin",)),
    )
    assert result.answers["tuned"].lora_dir == "loras_i2v"
    assert result.module_urls == {"mod": ("https://huggingface.co/org/all/resolve/main/mod.safetensors",)}


def test_an_enabled_plugin_brings_its_handler(tmp_path: Path) -> None:
    plugin = """
    import torch
    class family_handler():
        @staticmethod
        def query_supported_types(): return ["plug"]
        @staticmethod
        def query_model_def(base_model_type, model_def): return {}
        @staticmethod
        def query_model_files(computeList, base_model_type, model_def=None):
            return {"repoId": "p/p", "sourceFolderList": ["d"], "fileList": [["f"]]}
        @staticmethod
        def get_lora_dir(base_model_type, args, lora_root): return lora_root
    """
    tree = make_tree(tmp_path / "tree")
    tree.write("wgp.py", (tree.root / "wgp.py").read_text() + "\nplugin_model_extensions = None\n")
    tree.write("plugins/my_plugin/__init__.py", "")
    tree.write("plugins/my_plugin/models/plug_handler.py", plugin)
    info = '{"model_handlers": ".models/plug_handler.py", "defaults": "./defaults", "profiles": "./profiles"}'
    tree.write("plugins/my_plugin/plugin_info.json", info)
    tree.definitions["plug"] = {"architecture": "plug"}

    on = tree.ask(config={"enabled_plugins": ["my_plugin"]})
    off = tree.ask(config={"enabled_plugins": []})

    assert on.answers["plug"].files == (FilesDef("p/p", "d", ("f",)),)
    assert on.answers["plug"].lora_dir == LORA_ROOT
    assert on.handlers[-1].plugin == "my_plugin"
    assert off.answers["plug"].status is Status.UNKNOWN
    assert "no handler supports" in (off.answers["plug"].error or "")


def test_no_tree_is_absent_at_once(tmp_path: Path) -> None:
    state = tmp_path / "state"
    assert read_handlers(tmp_path, {}, {}, state, cancel=CancelToken()).status is Status.ABSENT
    found = cached_handlers(tmp_path, {}, {}, state)
    assert found is not None
    assert found.status is Status.ABSENT
    assert not state.exists()


def test_another_python_is_used(tmp_path: Path) -> None:
    result = make_tree(tmp_path / "tree").ask(python=Path(sys.executable))

    assert result.status is Status.ASKED


def test_a_missing_python_leaves_what_can_be_read(tmp_path: Path) -> None:
    result = make_tree(tmp_path / "tree").ask(python=tmp_path / "nowhere" / "python")

    assert result.answers["good"].status is Status.STATIC
    assert result.shared_status is Status.UNKNOWN
    assert "can not be started" in (result.shared_error or "")
    assert any("read from its source" in warning for warning in result.warnings)


@pytest.mark.skipif(sys.platform == "win32", reason="the stand-in for Python is a shell script")
def test_a_python_that_ends_at_once_says_why(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho too old >&2\nexit 7\n")
    python.chmod(0o755)

    result = make_tree(tmp_path / "tree").ask(python=python)

    assert result.shared_error == "its process ended with exit code 7 before the first question: too old"
    assert result.answers["good"].status is Status.STATIC


def test_cancelling_ends_a_handler_that_hangs(tmp_path: Path) -> None:
    tree = make_tree(tmp_path / "tree", {"bad": "while True: pass\n"})
    cancel = CancelToken()
    timer = threading.Timer(0.3, cancel.cancel)
    timer.start()
    request = ProbeRequest(tree.root, tree.definitions)

    with pytest.raises(CancelledError):
        probe(request, cancel=cancel)
    timer.join()
