"""The library's walk beside ``find -printf``: 100 000 files, alternating, in one run.

The budget is 1.5 times the time of ``find``, and no file opened. Run with ``python -m benchmarks.scan``.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from wangp_downloader.cancel import CancelToken
from wangp_downloader.library.scan import TreeScan

FILES = 100_000
FILES_PER_FOLDER = 100
ROUNDS = 7
BUDGET = 1.5
_MEMORY = Path("/dev/shm")


def main() -> None:
    """Make the tree, time both walks, print the ratio."""
    if shutil.which("find") is None or not sys.platform.startswith("linux"):
        print("scan: skipped, it needs Linux with GNU find")
        return
    parent = _MEMORY if _MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(dir=parent) as folder:
        sizes = _make_tree(Path(folder))
        walks: dict[str, Callable[[], int]] = {
            "find -printf": lambda: _find(folder),
            "library scan": lambda: _scan(folder, sizes),
        }
        seconds: dict[str, list[float]] = {name: [] for name in walks}
        for _ in range(ROUNDS):
            for name, walk in walks.items():
                start = time.perf_counter()
                count = walk()
                seconds[name].append(time.perf_counter() - start)
                assert count, name
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    for name, times in seconds.items():
        print(f"{name:>13}: median {medians[name] * 1000:6.0f} ms  best {min(times) * 1000:6.0f} ms")
    best = min(seconds["library scan"]) / min(seconds["find -printf"])
    ratio = medians["library scan"] / medians["find -printf"]
    print(f"        ratio: median {ratio:.2f}, best {best:.2f} (budget {BUDGET}) for {FILES:,} files")


def _make_tree(root: Path) -> frozenset[int]:
    """Make sparse files of many sizes; return a thousand sizes of which one in a hundred occurs."""
    for number in range(FILES // FILES_PER_FOLDER):
        folder = root / f"group{number // 50:03}" / f"model{number:04}"
        folder.mkdir(parents=True)
        for index in range(FILES_PER_FOLDER):
            descriptor = os.open(folder / f"file_{index:03}.safetensors", os.O_CREAT | os.O_WRONLY)
            os.truncate(descriptor, 1_000_000 + number * FILES_PER_FOLDER + index)
            os.close(descriptor)
    return frozenset(range(1_000_000, 1_000_000 + 100 * FILES, 10_000))


def _find(folder: str) -> int:
    command = ["find", folder, "-type", "f", "-printf", "%s %p\\n"]
    return len(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)


def _scan(folder: str, sizes: frozenset[int]) -> int:
    walk = TreeScan("bench", sizes, CancelToken(), lambda _: None)
    return sum(1 for _ in walk.files([folder]))


if __name__ == "__main__":
    main()
