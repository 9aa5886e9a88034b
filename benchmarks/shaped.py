"""A slow link (80 ms, 8 MB/s a connection, 50 MB/s in all), and 300 small files: share of the ideal."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from benchmarks._transfer import fetch, temporary_folder
from wangp_downloader.units import KIB, MIB

_HUB = """
import sys, json
from wangp_downloader.demo.hub import Generated, LoopbackHub
with LoopbackHub() as hub:
    files = []
    for number, size in enumerate(json.loads(sys.argv[1])):
        lfs = size > 1000000
        content = hub.add_file("org/name", f"file{number}.bin", Generated(size, seed=number), lfs=lfs)
        files.append({"url": f"{hub.endpoint}/org/name/resolve/main/file{number}.bin",
                      "size": size, "sha256": content.sha256})
    hub.shape(**json.loads(sys.argv[2]))
    print(json.dumps(files), flush=True)
    for line in sys.stdin:
        print(hub.bytes_sent(listener="cdn"), flush=True)
"""


@contextmanager
def serve(sizes: list[int], **shape: float) -> Iterator[tuple[list[dict[str, object]], Callable[[], int]]]:
    """Run a loopback Hub in a process; give its files and a way to ask how many bytes its CDN has sent."""
    process = subprocess.Popen(
        [sys.executable, "-c", _HUB, json.dumps(sizes), json.dumps(shape)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    stdin, stdout = process.stdin, process.stdout
    assert stdin is not None
    assert stdout is not None

    def sent() -> int:
        stdin.write("sent\n")
        stdin.flush()
        return int(stdout.readline())

    try:
        yield json.loads(stdout.readline()), sent
    finally:
        process.communicate()


def main() -> None:
    size = int(float(os.environ.get("BENCH_MIB", "500"))) * MIB
    rate = 50 * MIB
    with temporary_folder() as folder:
        for sizes in ([size], [size // 4] * 4):
            shape = {"latency_s": 0.08, "connection_bytes_per_s": 8 * MIB, "total_bytes_per_s": rate}
            with serve(sizes, **shape) as (files, _):
                for number, file in enumerate(files):
                    file["to"] = str(folder / f"{len(sizes)}-{number}")
                result = fetch(files)
            share = size / rate / result["seconds"]
            sys.stdout.write(
                f"{len(sizes)} files of {sizes[0] // MIB} MB: {result['seconds']:.2f} s,"
                f" {share:.1%} of the link, {result['memory'] / MIB:.0f} MB of memory\n"
            )
        connections = 8
        with serve([20 * KIB] * 300, latency_s=0.08) as (files, _):
            for number, file in enumerate(files):
                file["to"] = str(folder / f"small-{number}")
            result = fetch(files, connections=connections)
        ideal = 300 / connections * 0.08
        sys.stdout.write(
            f"300 small files: {result['seconds']:.2f} s, {result['seconds'] / ideal:.2f}x the ideal\n"
        )
