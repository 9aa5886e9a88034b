"""Start-up and the warm plan of the whole catalog, beside a bare ``python -c pass``.

Budgets: ``wangp-dl --help`` within 0.3 s; ``plan --all`` warm and in-process within 150 ms. The catalog is the real one
if ``WANGP_REFERENCE_TREE`` names a Wan2GP folder, else a made-up one of the same size.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from wangp_downloader.demo.hub import LoopbackHub
from wangp_downloader.demo.hub_content import Generated
from wangp_downloader.planner import Request
from wangp_downloader.session import Session
from wangp_downloader.settings import LoadedSettings, load_settings
from wangp_downloader.settings.load import Surroundings

_ROUNDS = 11
_MODELS = 217


def main() -> None:
    """Measure and print medians in milliseconds."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        environ = {**os.environ, "HOME": name, "XDG_CONFIG_HOME": name, "XDG_STATE_HOME": name}
        bare = _median(lambda: _run([sys.executable, "-c", "pass"], environ))
        text_help = _median(lambda: _run([sys.executable, "-m", "wangp_downloader", "--help"], environ))
        print(f"python -c pass        {bare:7.0f} ms")
        print(f"wangp-dl --help       {text_help:7.0f} ms   (budget 300)")
        _measure_plan(folder, environ)


def _run(command: list[str], environ: dict[str, str]) -> None:
    subprocess.run(command, env=environ, stdout=subprocess.DEVNULL, check=True)


def _median(work: Callable[[], object]) -> float:
    times = []
    for _ in range(_ROUNDS):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return 1000 * statistics.median(times)


def _measure_plan(folder: Path, environ: dict[str, str]) -> None:
    reference = os.environ.get("WANGP_REFERENCE_TREE")
    tree = Path(reference).absolute() if reference else _made_up(folder / "tree")
    with LoopbackHub() as hub:
        loaded = _settings(folder, tree, hub.endpoint)
        _serve(hub, loaded)
        files, warnings = _plan(loaded)  # cold: fills the caches
        requests = sum("/api/models/" in request.path for request in hub.requests)
        warm = _median(lambda: _plan(loaded))
        command = [sys.executable, "-m", "wangp_downloader", "plan", "--all", "--json"]
        environ = {
            **environ,
            **loaded.around.environ,
            "WANGP_WAN2GP_DIRECTORY": str(tree),
            "HF_ENDPOINT": hub.endpoint,
        }
        whole = _median(lambda: _run(command, environ))
    what = "the real catalog" if reference else "a made-up catalog"
    print(f"plan --all, {what}: {files} files, {requests} requests when cold, {warnings} warnings")
    print(f"  warm, in-process    {warm:7.0f} ms   (budget 150)")
    print(f"  warm, whole process {whole:7.0f} ms")


def _plan(loaded: LoadedSettings) -> tuple[int, int]:
    session = Session.open(loaded)
    try:
        plan = session.plan(Request())
        return len(plan.files), len(plan.warnings)
    finally:
        session.close()


def _settings(folder: Path, tree: Path, endpoint: str) -> LoadedSettings:
    around = Surroundings(folder, folder, {"WANGP_STATE_DIR": str(folder / "state")})
    return load_settings({"wan2gp_directory": str(tree), "endpoint": endpoint}, around=around)


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


if __name__ == "__main__":
    main()
