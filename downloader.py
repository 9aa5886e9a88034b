#!/usr/bin/env python3
"""The program as a script: ``python downloader.py …`` is ``wangp-dl …``.

Run from a checkout without its environment it says how to get one instead of failing on an import.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

_ROOT = Path(__file__).resolve().parent
_PACKAGES = (
    "click",
    "huggingface_hub",
    "msgspec",
    "platformdirs",
    "pycurl",
    "rich",
    "ruamel.yaml",
    "textual",
)
"""What ``pyproject.toml`` asks for on every machine."""


def _is_here(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except ImportError:  # the package around it is missing
        return False


def _environment_python() -> Path | None:
    for name in ("bin/python", "Scripts/python.exe"):
        python = _ROOT / ".venv" / name
        if python.exists():
            return python
    return None


def main() -> int:
    """Run the program, in the checkout's own environment if this Python lacks its packages."""
    sys.path.insert(0, str(_ROOT / "src"))
    if not all(map(_is_here, _PACKAGES)):
        python = _environment_python()
        if python is None or Path(sys.prefix) == _ROOT / ".venv":
            sys.stderr.write("The program's packages are not installed. Run once, in this folder: make run\n")
            return 2
        os.execv(python, [str(python), str(_ROOT / "downloader.py"), *sys.argv[1:]])
    from wangp_downloader.__main__ import main as run  # noqa: PLC0415 - after the path is set

    return run()


if __name__ == "__main__":
    sys.exit(main())
