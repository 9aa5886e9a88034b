"""Runs the tests of the terminal user interface: ``python test_gui_complete.py [-k WORD …]``.

With the checkout's own ``.venv``, into which ``make`` puts what the tests need.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent


def main() -> int:
    """Run them and return pytest's exit code, or 2 if there is no pytest to run them with."""
    if shutil.which("make") is not None:
        subprocess.run(["make", "--silent", ".venv/.dev"], cwd=ROOT, check=False)
    candidates = (ROOT / ".venv" / "bin" / "python", ROOT / ".venv" / "Scripts" / "python.exe")
    python = next((str(path) for path in candidates if path.is_file()), sys.executable)
    if subprocess.run([python, "-c", "import pytest"], check=False, capture_output=True).returncode:
        print("the tests need pytest, which is not installed yet: run `make test` once", file=sys.stderr)
        return 2
    tests = ["tests/tui", "tests/unit/test_snapshot.py"]
    return subprocess.run([python, "-m", "pytest", *tests, *sys.argv[1:]], cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
