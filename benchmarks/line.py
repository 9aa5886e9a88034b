"""A long way: what a limit, and no limit, reach over TCP lines with a real round trip, as loopback has none."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from benchmarks._line import line, why_not
from benchmarks._transfer import fetch, start_fetch, temporary_folder
from wangp_downloader.units import KIB, MIB, format_speed

_LINE_BYTES_PER_S = 10e6
_PAYLOAD = 1388 / 1500
"""Of a packet: 40 bytes of headers, 12 of time stamps; 60 are left free by the MSS that is asked for."""
_ROUND_TRIPS_S = (0.02, 0.08, 0.15)
_LIMITS = ((500 * KIB, 1), (4 * MIB, 8))


def main() -> None:
    reason = why_not()
    if reason is not None:
        sys.stdout.write(f"not measured: {reason}\n")
        return
    with temporary_folder() as folder:
        for round_trip_s in _ROUND_TRIPS_S:
            _free(folder, round_trip_s)
            for limit, connections in _LIMITS:
                _limited(folder, round_trip_s, limit, connections)


def _free(folder: Path, round_trip_s: float) -> None:
    size = int(_LINE_BYTES_PER_S * 8)
    with line(round_trip_s, _LINE_BYTES_PER_S, size) as found:
        job: dict[str, object] = {"url": found.url, "to": str(folder / "free"), "size": size, "sha256": None}
        result = fetch([job])
    share = size / result["seconds"] / (_LINE_BYTES_PER_S * _PAYLOAD)
    sys.stdout.write(f"{1000 * round_trip_s:>4.0f} ms  no limit: {share:.1%} of the line\n")
    sys.stdout.flush()
    (folder / "free").unlink()


def _limited(folder: Path, round_trip_s: float, limit: int, connections: int) -> None:
    seconds = float(os.environ.get("BENCH_SECONDS", "12"))
    size = int(limit * seconds * 4)
    with line(round_trip_s, _LINE_BYTES_PER_S, size) as found:
        job: dict[str, object] = {
            "url": found.url,
            "to": str(folder / "limited"),
            "size": size,
            "sha256": None,
        }
        process = start_fetch([job], connections=connections, limit_bytes_per_s=limit)
        while not found.log and process.poll() is None:
            time.sleep(0.01)
        time.sleep(seconds)
        process.kill()
        process.communicate()
        log = list(found.log)
    # The first two seconds are TCP's own: its slow start.
    began = log[0][0] + 2.0
    sent = sum(count for at, count in log if began <= at < began + seconds - 3.0)
    reached = sent / (limit * (seconds - 3.0)) - 1.0
    what = f"{format_speed(limit)}, {connections} connections"
    sys.stdout.write(f"{1000 * round_trip_s:>4.0f} ms  {what}: {reached:+.1%} of the limit\n")
    sys.stdout.flush()
    for path in folder.iterdir():
        path.unlink()
