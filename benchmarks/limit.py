"""The bandwidth limit, seen by the server: worst deviation of any 5 s window after the first second."""

from __future__ import annotations

import os
import sys
import time

from benchmarks._transfer import CountingServer, start_fetch, temporary_folder
from wangp_downloader.units import KIB, MIB, format_speed

_CASES = [
    (500 * KIB, 1, 1),
    (500 * KIB, 16, 1),
    (500 * KIB, 16, 5),
    (5 * MIB, 1, 1),
    (5 * MIB, 8, 5),
    (50 * MIB, 16, 1),
    (50 * MIB, 16, 5),
    (200 * MIB, 8, 1),
    (200 * MIB, 16, 5),
]
_WINDOW_S = 5.0


def worst_window(log: list[tuple[float, int]], began: float, ended: float, limit: float) -> float:
    """Return the largest deviation from ``limit`` over all windows, as a fraction."""
    events = sorted(entry for entry in log if entry[0] <= ended)
    worst, first, total, last = 0.0, 0, 0, 0
    start = began + 1.0
    while start + _WINDOW_S <= ended:
        while last < len(events) and events[last][0] < start + _WINDOW_S:
            total += events[last][1]
            last += 1
        while first < last and events[first][0] < start:
            total -= events[first][1]
            first += 1
        deviation = total / (limit * _WINDOW_S) - 1.0
        worst = deviation if abs(deviation) > abs(worst) else worst
        start += 0.1
    return worst


def main() -> None:
    seconds = float(os.environ.get("BENCH_SECONDS", "12"))
    with temporary_folder() as folder:
        for limit, connections, files in _CASES:
            server = CountingServer(int(limit * seconds * 4 / files) + 20 * MIB)
            jobs: list[dict[str, object]] = [
                {"url": f"http://127.0.0.1:{server.port}/{n}", "to": str(folder / f"{limit}-{n}"),
                 "size": server.size, "sha256": None}
                for n in range(files)
            ]  # fmt: skip
            process = start_fetch(jobs, connections=connections, limit_bytes_per_s=limit, files_at_once=files)
            while not server.log and process.poll() is None:
                time.sleep(0.01)
            began = server.log[0][0]
            time.sleep(seconds)
            process.kill()
            process.communicate()
            worst = worst_window(list(server.log), began, began + seconds, limit)
            sys.stdout.write(
                f"{format_speed(limit):>12}  {connections:>2} connections  {files} files: {worst:+.2%}\n"
            )
            sys.stdout.flush()
            for path in folder.iterdir():
                path.unlink()
