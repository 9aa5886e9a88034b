"""Random SIGKILLs over one transfer on a limited link: it ends verified, and how much came twice."""

from __future__ import annotations

import hashlib
import os
import random
import sys
import time

from benchmarks._transfer import start_fetch, temporary_folder
from benchmarks.shaped import serve
from wangp_downloader.units import MIB

_CONNECTIONS = 8


def main() -> None:
    kills = int(os.environ.get("BENCH_KILLS", "100"))
    size = int(float(os.environ.get("BENCH_MIB", "200"))) * MIB
    rate = 10 * MIB
    chance = random.Random(1)
    with temporary_folder() as folder, serve([size], total_bytes_per_s=rate) as (files, sent):
        target = folder / "model.bin"
        files[0]["to"] = str(target)
        done = 0
        while done < kills and not target.exists():
            process = start_fetch(files)
            # Start-up included: some kills hit the opening, most the transfer.
            time.sleep(chance.uniform(0.1, 0.3 + 1.2 * size / rate / kills))
            process.kill()
            process.communicate()
            done += 1
            if target.exists():
                assert hashlib.sha256(target.read_bytes()).hexdigest() == files[0]["sha256"]
        output, _ = start_fetch(files).communicate()
        assert hashlib.sha256(target.read_bytes()).hexdigest() == files[0]["sha256"], output
        total = sent()
        left = sorted(path.name for path in folder.iterdir())
    # The server counts a chunk (10 ms of the link) before it is sent: that many are in flight at a kill.
    in_flight = done * _CONNECTIONS * rate // 100
    sys.stdout.write(
        f"{done} kills over {size // MIB} MB: {total / size:.3f}x the size was sent,"
        f" {(total - in_flight) / size:.3f}x without what was in flight; left in the folder: {left}\n"
    )
