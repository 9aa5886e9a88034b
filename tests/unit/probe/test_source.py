"""What a tree's text says: version, handlers, rules, plugins."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.unit.probe.trees import make_tree
from wangp_downloader.catalog.probe.result import LoraLayout, VariantRule
from wangp_downloader.catalog.probe.source import read_source


def _wgp(tmp_path: Path, text: str) -> Path:
    (tmp_path / "wgp.py").write_text(text, encoding="utf-8")
    return tmp_path


def test_the_newest_rules(tmp_path: Path) -> None:
    source = read_source(make_tree(tmp_path).root)

    assert source is not None
    assert source.version == "98.7"
    assert source.handlers == ("models.good.good_handler",)
    assert source.rules.variant is VariantRule.ORDERED
    assert source.rules.loras is LoraLayout.ROOT
    assert source.rules.checkpoints == ("ckpts", ".")
    assert source.rules.placement
    assert source.rules.lora_dir_placement
    assert source.rules.dtype_key
    assert not source.rules.configs


@pytest.mark.parametrize(
    ("body", "rule"),
    [
        ("    quant_order = []\n    x = [n for n in c if 'int8' in n]\n", VariantRule.ORDERED),
        ("    quant_tokens = []\n", VariantRule.TOKENS),
        ('    x = [n for n in c if "quanto" not in n]\n', VariantRule.QUANTO),
        ("    return pick(c)\n", VariantRule.UNKNOWN),
    ],
)
def test_the_variant_rule(tmp_path: Path, body: str, rule: VariantRule) -> None:
    text = f'family_handlers = []\ndef get_model_filename(a,\n    b):\n{body}\nquant_order = "not here"\n'
    source = read_source(_wgp(tmp_path, text))

    assert source is not None
    assert source.rules.variant is rule


@pytest.mark.parametrize(
    ("body", "layout"),
    [
        ("    return get_dir(base, args, lora_root)", LoraLayout.ROOT),
        ("    return get_dir(base, args)", LoraLayout.FAMILY),
        ("    return args.lora_dir", LoraLayout.FLAT),
    ],
)
def test_the_lora_layout(tmp_path: Path, body: str, layout: LoraLayout) -> None:
    source = read_source(_wgp(tmp_path, f"def get_lora_dir(model_type):\n{body}\n\nlora_root = 1\n"))

    assert source is not None
    assert source.rules.loras is layout
    assert source.rules.checkpoints == ("ckpts",)


@pytest.mark.parametrize(
    "listed", ["", "family_handlers = make()", "family_handlers = [*others]", "family_handlers = [1"]
)
def test_without_a_readable_list_handlers_are_found_by_name(tmp_path: Path, listed: str) -> None:
    _wgp(tmp_path, listed + "\n")
    (tmp_path / "models" / "a" / "b").mkdir(parents=True)
    for name in ("a/one_handler.py", "a/b/two_handler.py", "a/other.py"):
        (tmp_path / "models" / name).write_text("")

    source = read_source(tmp_path)

    assert source is not None
    assert set(source.handlers) == {"models.a.one_handler", "models.a.b.two_handler"}


def test_no_program(tmp_path: Path) -> None:
    assert read_source(tmp_path) is None
    (tmp_path / "wgp.py").mkdir()
    assert read_source(tmp_path) is None


@pytest.mark.parametrize(
    ("info", "found"),
    [
        ({"model_handlers": [".models.x_handler"]}, ["plug.models.x_handler"]),
        ({"model_handlers": "./models/x_handler.py"}, ["plug.models.x_handler"]),
        ({"model_handlers": ["somewhere.else"]}, ["somewhere.else"]),
        ({"model_handlers": ["../../../etc/passwd", "", 5, "a b", "a;b"]}, ["plug.etc.passwd"]),
        ({"model_handlers": [".x"], "profiles": ""}, []),
        ({"model_handlers": {"a": 1}}, []),
        ([], []),
    ],
)
def test_plugins(tmp_path: Path, info: object, found: list[str]) -> None:
    _wgp(tmp_path, "family_handlers = []\nplugin_model_extensions = 1\n")
    folder = tmp_path / "plugins" / "plug"
    folder.mkdir(parents=True)
    (folder / "plugin.py").write_text("")
    if isinstance(info, dict):
        info = {"defaults": "./defaults", "profiles": "./profiles", **info}
    (folder / "plugin_info.json").write_text(json.dumps(info))

    source = read_source(tmp_path, ["plug", "missing", "..", "a/b", 7])
    without = read_source(tmp_path, [])

    assert source is not None
    assert without is not None
    assert list(source.handlers) == found
    assert without.handlers == ()
