"""The script that the separate process runs: ``python -I -S -B -X utf8 child.py``.

Owns the way in only. It reads one JSON request from standard input and writes one JSON message a line to
what was standard output when it started (``docs/probe.md``). The import path is left without this folder, so
that Wan2GP's modules never meet names of ours.
"""

from __future__ import annotations

import importlib
import os
import sys


def start() -> int:
    """Load the probe's inside and run it; return the exit code."""
    if sys.version_info < (3, 10):  # noqa: UP036 - the user's own Python may be older than ours
        sys.exit("Wan2GP's Python must be 3.10 or newer to be asked")
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120 - nothing heavy yet
    try:
        main = importlib.import_module("probe_inside.main")
    finally:
        del sys.path[0]
    return int(main.run())


if __name__ == "__main__":
    sys.exit(start())
