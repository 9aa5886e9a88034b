"""Runs the tests of the terminal user interface: ``python test_gui_complete.py [-k WORD …]``.

With the checkout's own ``.venv`` where there is one, else with the Python that runs this file.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent


def main() -> int:
    """Run them and return pytest's exit code."""
    candidates = (ROOT / ".venv" / "bin" / "python", ROOT / ".venv" / "Scripts" / "python.exe")
    python = next((str(path) for path in candidates if path.is_file()), sys.executable)
    tests = ["tests/tui", "tests/unit/test_snapshot.py"]
    return subprocess.run([python, "-m", "pytest", *tests, *sys.argv[1:]], cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
