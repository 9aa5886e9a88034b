from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.unit.catalog.trees import HUB, make_tree, read, required, rows
from wangp_downloader.catalog.tree import Era, open_tree
from wangp_downloader.files import Role

HIGH = [f"{HUB}/m_high_mbf16.safetensors", f"{HUB}/m_high_quanto_mbf16_int8.safetensors"]
LOW = [f"{HUB}/m_low_mbf16.safetensors", f"{HUB}/m_low_quanto_mbf16_int8.safetensors"]


def test_high_and_low_noise_transformers_are_required_and_paired(tmp_path: Path) -> None:
    catalog = read(make_tree(tmp_path, {"t2v_2_2": {"architecture": "t2v_2_2", "URLs": HIGH, "URLs2": LOW}}))
    assert required(catalog, "t2v_2_2") == [
        "ckpts/m_high_quanto_mbf16_int8.safetensors",
        "ckpts/m_low_quanto_mbf16_int8.safetensors",
    ]
    pairs = {row.target: row.pair for row in rows(catalog, "t2v_2_2")}
    assert pairs["ckpts/m_high_mbf16.safetensors"] == "ckpts/m_low_mbf16.safetensors"
    assert all(pairs[partner] == target for target, partner in pairs.items() if partner)


def test_high_and_low_noise_loras_are_paired(tmp_path: Path) -> None:
    loras = [
        f"{HUB}/4steps_HIGH_fp16.safetensors",
        f"{HUB}/4steps_LOW_fp16.safetensors",
        f"{HUB}/highlight.bin",
    ]
    catalog = read(make_tree(tmp_path, {"m": {"architecture": "t2v", "URLs": HIGH, "loras": loras}}))
    pairs = {row.target: row.pair for row in rows(catalog, "m") if row.role is Role.LORA}
    folder = "loras/wan/4steps"
    assert pairs == {
        f"{folder}_HIGH_fp16.safetensors": f"{folder}_LOW_fp16.safetensors",
        f"{folder}_LOW_fp16.safetensors": f"{folder}_HIGH_fp16.safetensors",
        "loras/wan/highlight.bin": None,
    }


def test_references_lead_to_the_other_definitions_list(tmp_path: Path) -> None:
    catalog = read(
        make_tree(
            tmp_path,
            {
                "base": {
                    "architecture": "base",
                    "URLs": HIGH,
                    "URLs2": LOW,
                    "preload_URLs": [f"{HUB}/p.bin"],
                },
                "child": {"architecture": "base", "URLs": "base", "URLs2": "base", "preload_URLs": "base"},
                "lost": {"architecture": "base", "URLs": "nowhere"},
            },
        )
    )
    assert required(catalog, "child") == required(catalog, "base")
    assert rows(catalog, "lost") == []
    assert catalog.models["lost"].problems == ()
    assert any("→ URLs of base" in row.origin for row in rows(catalog, "child"))


def test_modules_in_all_their_shapes(tmp_path: Path) -> None:
    module = [f"{HUB}/mod_bf16.safetensors", f"{HUB}/mod_quanto_bf16_int8.safetensors"]
    catalog = read(
        make_tree(
            tmp_path,
            {
                "one": {"architecture": "one", "URLs": HIGH, "modules": [module]},
                "by_name": {"architecture": "one", "URLs": HIGH, "modules": ["one"]},
                "named": {"architecture": "one", "URLs": HIGH, "modules": {"part": module}},
                "by_part": {"architecture": "one", "URLs": HIGH, "modules": ["named#part"]},
                "halves": {
                    "architecture": "one",
                    "URLs": HIGH,
                    "modules": [{"URLs": [f"{HUB}/h.safetensors"], "URLs2": [f"{HUB}/l.safetensors"]}],
                },
                "whole_list": {"architecture": "one", "URLs": HIGH, "modules": "by_name"},
            },
        )
    )
    chosen = "ckpts/mod_quanto_bf16_int8.safetensors"
    for model in ("one", "by_name", "by_part", "whole_list"):
        modules = [row.target for row in rows(catalog, model) if row.role is Role.MODULE and row.required]
        assert modules == [chosen], model
    assert required(catalog, "halves")[1:] == ["ckpts/h.safetensors", "ckpts/l.safetensors"]
    assert "modules" in catalog.models["named"].problems[0]


def test_every_key_goes_to_its_own_place(tmp_path: Path) -> None:
    catalog = read(
        make_tree(
            tmp_path,
            {
                "m": {
                    "architecture": "t2v",
                    "URLs": [f"{HUB}/sub/folder/t3.safetensors|chatterbox"],
                    "VAE_URLs": f"{HUB}/vae.safetensors",
                    "preload_URLs": [f"{HUB}/map.json", f"{HUB}/style.safetensors|%lora_dir"],
                    "loras": [f"{HUB}/loras/l.safetensors", f"{HUB}/loras/k.safetensors|extra"],
                    "text_encoder_URLs": [f"{HUB}/enc/e_bf16.safetensors", f"{HUB}/enc/e_int8.safetensors"],
                    "text_encoder_folder": "umt5",
                }
            },
        )
    )
    assert {row.target: row.role for row in rows(catalog, "m") if row.required} == {
        "ckpts/chatterbox/t3.safetensors": Role.TRANSFORMER,
        "ckpts/vae.safetensors": Role.VAE,
        "ckpts/map.json": Role.PRELOAD,
        "loras/wan/style.safetensors": Role.PRELOAD,
        "loras/wan/l.safetensors": Role.LORA,
        "loras/wan/extra/k.safetensors": Role.LORA,
        "ckpts/umt5/e_int8.safetensors": Role.TEXT_ENCODER,
    }
    encoder = next(row for row in rows(catalog, "m") if row.role is Role.TEXT_ENCODER and row.required)
    assert encoder.also_at == ("umt5/e_int8.safetensors", "ckpts/e_int8.safetensors", "e_int8.safetensors")
    transformer = rows(catalog, "m")[0]
    assert transformer.remote is not None
    assert transformer.remote.path == "sub/folder/t3.safetensors"
    assert transformer.also_at == ("chatterbox/t3.safetensors",)


def test_the_users_wan2gp_settings_decide(tmp_path: Path) -> None:
    absolute = tmp_path / "elsewhere"
    config = {
        "transformer_quantization": "bf16",
        "text_encoder_quantization": "bf16",
        "checkpoints_paths": [str(absolute), "ckpts"],
        "loras_root": "my_loras",
    }
    model = {
        "architecture": "t2v",
        "URLs": HIGH,
        "loras": [f"{HUB}/l.safetensors"],
        "text_encoder_URLs": [f"{HUB}/e_bf16.safetensors", f"{HUB}/e_int8.safetensors"],
    }
    catalog = read(make_tree(tmp_path / "tree", {"m": model}, config=config))
    assert required(catalog, "m") == [
        f"{absolute.as_posix()}/m_high_mbf16.safetensors",
        "my_loras/wan/l.safetensors",
        f"{absolute.as_posix()}/e_bf16.safetensors",
    ]


def test_a_finetune_of_the_same_id_overrides_key_by_key(tmp_path: Path) -> None:
    catalog = read(
        make_tree(
            tmp_path,
            {"m": {"architecture": "t2v", "name": "core", "URLs": HIGH, "URLs2": LOW}},
            finetunes={"m": {"name": "mine", "URLs": [f"{HUB}/mine.safetensors"]}},
        )
    )
    assert catalog.models["m"].name == "mine"
    assert required(catalog, "m") == ["ckpts/mine.safetensors", "ckpts/m_low_quanto_mbf16_int8.safetensors"]


def test_a_source_of_the_users_own_replaces_the_transformer(tmp_path: Path) -> None:
    model = {"architecture": "ovi", "URLs": HIGH, "URLs2": LOW, "source2": "my.safetensors"}
    catalog = read(make_tree(tmp_path, {"m": model}))
    assert required(catalog, "m") == ["ckpts/m_high_quanto_mbf16_int8.safetensors"]


def test_an_existing_folder_decides_the_checkpoint_path(tmp_path: Path) -> None:
    (tmp_path / "second" / "umt5").mkdir(parents=True)
    config = {"checkpoints_paths": ["first", "second"]}
    model = {
        "architecture": "t2v",
        "text_encoder_URLs": [f"{HUB}/e.safetensors"],
        "text_encoder_folder": "umt5",
    }
    catalog = read(make_tree(tmp_path, {"m": model}, config=config))
    assert required(catalog, "m") == ["second/umt5/e.safetensors"]


HOSTILE = [
    ("../../etc/x", "leads out of its folder"),
    (f"{HUB}/x.safetensors|../../etc", "leads out of its folder"),
    (f"{HUB}/x.safetensors|/etc", "absolute"),
    ("C:\\models\\x.safetensors", "absolute or names a drive"),
    ("https://huggingface.co", "names no file"),
    ("https://huggingface.co/", "names no file"),
    (f"{HUB}/..", "leads out of its folder"),
    (f"{HUB}/a\x00b", "control character"),
    (f"{HUB}/{'a' * 300}.safetensors", "longer than 255 bytes"),
    (f"{HUB}/{'a' * 10_000_000}", "characters long"),
    ("ftp://host/x.safetensors", "neither an http(s) URL nor a local path"),
    (f"{HUB}/x|a|b", "more than one |"),
]


@pytest.mark.parametrize(("url", "why"), HOSTILE, ids=[why + str(i) for i, (_, why) in enumerate(HOSTILE)])
def test_hostile_names_are_refused_by_name_and_cost_only_themselves(
    tmp_path: Path, url: str, why: str
) -> None:
    good = f"{HUB}/good_int8.safetensors"
    catalog = read(make_tree(tmp_path, {"bad": {"architecture": "t2v", "URLs": [good, url]}}))
    assert [row.target for row in rows(catalog, "bad")] == ["ckpts/good_int8.safetensors"]
    (problem,) = catalog.models["bad"].problems
    assert why in problem
    assert len(problem) < 500
    assert problem in catalog.warnings


@pytest.mark.parametrize(
    ("model", "why"),
    [
        ({"URLs": "a"}, "refers to itself"),
        ({"URLs": 5}, "should be a list of URLs"),
        ({"URLs": [5]}, "should hold URLs"),
        ({"URLs": HIGH, "modules": ["nowhere"]}, "which has none"),
        ({"URLs": HIGH, "modules": ["a"]}, "refers to itself"),
        ({"URLs": HIGH, "loras": "nowhere"}, "is no model"),
        ({"URLs": HIGH, "VAE_URLs": {"a": 1}}, "should be URLs"),
        ({"URLs": HIGH, "modules": [["x", 1]]}, "should hold URLs"),
        (
            {"URLs": HIGH, "loras": [f"{HUB}/l.safetensors"], "architecture": "new"},
            "lora folder of architecture",
        ),
    ],
)
def test_nonsense_costs_its_own_role(tmp_path: Path, model: dict[str, object], why: str) -> None:
    catalog = read(make_tree(tmp_path, {"a": {"architecture": "t2v", **model}, "b": {"URLs": HIGH}}))
    assert any(why in problem for problem in catalog.models["a"].problems)
    assert required(catalog, "b") == ["ckpts/m_high_quanto_mbf16_int8.safetensors"]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"{", "it is not JSON"),
        (b"\xff\xfe\x00", "it is not UTF-8"),
        (b"\xef\xbb\xbf{}", "it is not JSON"),
        (b"[]", "no JSON object"),
        (b"{}", "no 'model' object"),
        (b'{"model": 3}', "no 'model' object"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"model": {"name": "' + b"x" * 17_000_000 + b'"}}', "larger than"),
    ],
)
def test_a_broken_file_costs_that_definition(tmp_path: Path, content: bytes, why: str) -> None:
    root = make_tree(tmp_path, {"good": {"URLs": HIGH}})
    (root / "defaults" / "broken.json").write_bytes(content)
    catalog = read(root)
    assert list(catalog.models) == ["good"]
    assert any("broken.json" in warning and why in warning for warning in catalog.warnings)


def test_a_wrong_wan2gp_setting_is_said_and_its_default_assumed(tmp_path: Path) -> None:
    config = {"transformer_quantization": 8, "checkpoints_paths": "ckpts"}
    catalog = read(make_tree(tmp_path, {"m": {"URLs": HIGH}}, config=config))
    assert catalog.settings.transformer_quantization == "int8"
    assert catalog.settings.checkpoints_paths == ("ckpts", ".")
    assert sum("wgp_config.json" in warning for warning in catalog.warnings) == 2


def test_unknown_components_are_said(tmp_path: Path) -> None:
    catalog = read(make_tree(tmp_path, {"m": {"URLs": HIGH}}))
    assert not catalog.complete
    assert any("handlers were not asked" in warning for warning in catalog.warnings)


@pytest.mark.parametrize(
    ("program", "era", "checkpoints", "loras_in_checkpoints"),
    [
        ("quant_order = []\nx = 'checkpoints_paths'", Era.ORDERED, ("ckpts", "."), False),
        ("quant_tokens = []\nx = 'checkpoints_paths'", Era.TOKENS, ("ckpts", "."), False),
        ("sub_choices = []", Era.FIRST, ("ckpts",), False),
        ("\ndef download_models(a):\n    loras = 1\n\ndef x(): lora_dir", Era.FIRST, ("ckpts",), True),
        ("\ndef download_models(a):\n    loras = lora_dir\n", Era.FIRST, ("ckpts",), False),
    ],
)
def test_the_version_of_a_tree_is_read_from_its_program(
    tmp_path: Path, program: str, era: Era, checkpoints: tuple[str, ...], loras_in_checkpoints: bool
) -> None:
    (tmp_path / "wgp.py").write_text(f'WanGP_version = "9.1"\n{program}\n', encoding="utf-8")
    tree = open_tree(tmp_path)
    assert (tree.version, tree.era, tree.default_checkpoints) == ("9.1", era, checkpoints)
    assert tree.loras_in_checkpoints is loras_in_checkpoints


def test_plugins_that_are_switched_on_bring_definitions(tmp_path: Path) -> None:
    root = make_tree(
        tmp_path,
        {"both": {"name": "core", "URLs": HIGH}},
        config={"enabled_plugins": ["good", "off", "../x", "bad"]},
    )
    for name, info in {
        "good": {"model_handlers": ["h"], "defaults": "my_defs", "profiles": "p"},
        "off": {"defaults": "my_defs"},
        "bad": {"model_handlers": ["h"], "defaults": "../../x", "profiles": "p"},
        "not_enabled": {"model_handlers": ["h"], "defaults": "my_defs", "profiles": "p"},
    }.items():
        make_tree(root / "plugins" / name / "t", {f"of_{name}": {"URLs": HIGH}, "both": {"name": "plugin"}})
        (root / "plugins" / name / "t" / "defaults").rename(root / "plugins" / name / "my_defs")
        (root / "plugins" / name / "plugin_info.json").write_text(json.dumps(info), encoding="utf-8")
    catalog = read(root)
    assert list(catalog.models) == ["both", "of_good"]
    assert catalog.models["both"].name == "core"
    assert sum("plugin" in warning for warning in catalog.warnings) == 2
