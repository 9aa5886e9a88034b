"""``python -m benchmarks [NAME…]``: run the benchmarks of this folder, all of them without a name.

A benchmark is a module of this folder with ``main() -> None``; its docstring's first line says what it measures.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path


def names() -> list[str]:
    """Return the benchmarks there are, by file name."""
    files = Path(__file__).parent.glob("*.py")
    return sorted(file.stem for file in files if not file.stem.startswith("_"))


def main(arguments: list[str]) -> int:
    unknown = sorted(set(arguments) - set(names()))
    if unknown:
        sys.stderr.write(f"no such benchmark: {', '.join(unknown)}; there are {', '.join(names())}\n")
        return 2
    for name in arguments or names():
        module = importlib.import_module(f"benchmarks.{name}")
        title = (module.__doc__ or name).partition("\n")[0]
        sys.stdout.write(f"\n== {name}: {title}\n")
        sys.stdout.flush()
        module.main()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
