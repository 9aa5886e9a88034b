"""Start-up and the warm plan of the whole catalog, beside a bare ``python -c pass``.

Budgets: ``wangp-dl --help`` within 0.3 s; ``plan --all`` warm and in-process within 150 ms. The catalog is the real one
if ``WANGP_REFERENCE_TREE`` names a Wan2GP folder, else a made-up one of the same size.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks._catalog import catalog
from wangp_downloader.planner import Request
from wangp_downloader.session import Session
from wangp_downloader.settings import LoadedSettings

_ROUNDS = 11


def main() -> None:
    """Measure and print medians in milliseconds."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        environ = {**os.environ, "HOME": name}
        bare = _median(lambda: _run([sys.executable, "-c", "pass"], environ))
        text_help = _median(lambda: _run([sys.executable, "-m", "wangp_downloader", "--help"], environ))
        print(f"python -c pass        {bare:7.0f} ms")
        print(f"wangp-dl --help       {text_help:7.0f} ms   (budget 300)")
        _measure_plan(folder)


def _run(command: list[str], environ: dict[str, str]) -> None:
    subprocess.run(command, env=environ, stdout=subprocess.DEVNULL, check=True)


def _median(work: Callable[[], object]) -> float:
    times = []
    for _ in range(_ROUNDS):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return 1000 * statistics.median(times)


def _measure_plan(folder: Path) -> None:
    with catalog(folder) as world:
        files, warnings = _plan(world.loaded)  # cold: fills the caches
        requests = sum("/api/models/" in request.path for request in world.hub.requests)
        warm = _median(lambda: _plan(world.loaded))
        command = [sys.executable, "-m", "wangp_downloader", "plan", "--all", "--json"]
        whole = _median(lambda: _run(command, world.environ))
    print(f"plan --all, {world.what}: {files} files, {requests} requests when cold, {warnings} warnings")
    print(f"  warm, in-process    {warm:7.0f} ms   (budget 150)")
    print(f"  warm, whole process {whole:7.0f} ms")


def _plan(loaded: LoadedSettings) -> tuple[int, int]:
    session = Session.open(loaded)
    try:
        plan = session.plan(Request())
        return len(plan.files), len(plan.warnings)
    finally:
        session.close()


if __name__ == "__main__":
    main()
