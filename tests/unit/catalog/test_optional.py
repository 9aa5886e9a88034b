from __future__ import annotations

import json
from pathlib import Path

from tests.unit.catalog.trees import HUB, make_tree, read


def write_profile(root: Path, folder: str, name: str, loras: object) -> None:
    path = root / "profiles" / folder / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"activated_loras": loras}), encoding="utf-8")


def test_profiles_give_loras_in_named_groups_never_required(tmp_path: Path) -> None:
    root = make_tree(tmp_path, {"m": {"architecture": "t2v", "profiles_dir": ["wan", "nowhere", "../evil"]}})
    write_profile(
        root, "wan", "Lightning 4 Steps", [f"{HUB}/x_HIGH.safetensors", f"{HUB}/x_LOW.safetensors", "local"]
    )
    write_profile(root, "wan", "Nothing", [])
    (root / "profiles" / "wan" / "broken.json").write_text("{")
    optional = read(root).optional()
    assert [(row.target, row.required, row.group, row.pair) for row in optional.requirements] == [
        ("loras/wan/x_HIGH.safetensors", False, "wan/Lightning 4 Steps", "loras/wan/x_LOW.safetensors"),
        ("loras/wan/x_LOW.safetensors", False, "wan/Lightning 4 Steps", "loras/wan/x_HIGH.safetensors"),
    ]
    assert any("broken.json" in warning for warning in optional.warnings)
    assert any("leads out of its folder" in warning for warning in optional.warnings)


def test_configurations_give_what_they_change(tmp_path: Path) -> None:
    model = {
        "architecture": "t2v",
        "URLs": [f"{HUB}/t.safetensors"],
        "VAE_URLs": [f"{HUB}/vae.safetensors"],
        "system_configs": {
            "_name": "VAE",
            "small": {"name": "Small VAE", "VAE_URLs": [f"{HUB}/small_vae.safetensors"]},
            "same": {"name": "The same"},
        },
    }
    optional = read(make_tree(tmp_path, {"m": model})).optional()
    assert [(row.target, row.group, row.required) for row in optional.requirements] == [
        ("ckpts/small_vae.safetensors", "system_configs/small", False)
    ]
