"""``python downloader.py`` with any Python: the program, or one sentence about how to get it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def _run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the script with a Python that has click, a package named so at least, and nothing else."""
    only = folder / "only_click"
    only.mkdir()
    (only / "click.py").touch()
    command = [sys.executable, "-S", "-c", _WITH_CLICK, str(only), str(folder / "downloader.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


_WITH_CLICK = """
import runpy, sys
sys.path.insert(0, sys.argv[1])
sys.argv = sys.argv[2:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout without an environment."""
    shutil.copy(ROOT / "downloader.py", tmp_path)
    (tmp_path / "src").symlink_to(ROOT / "src")
    return tmp_path


def test_with_some_packages_only_it_says_what_to_run(checkout: Path) -> None:
    done = _run(checkout, "--help")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "The program's packages are not installed. Run once, in this folder: make run\n"


@pytest.mark.skipif(sys.platform == "win32", reason="the stand-in is a shell script")
def test_with_some_packages_only_it_goes_to_its_own_environment(checkout: Path) -> None:
    python = checkout / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\necho "$0 $@"\n')
    python.chmod(0o755)
    assert _run(checkout, "plan").stdout == f"{python} {checkout / 'downloader.py'} plan\n"


def test_it_looks_for_every_package_that_is_needed() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = {re.match(r"[\w.-]+", text)[0]: ";" in text for text in project["dependencies"]}  # type: ignore[index]
    script = (ROOT / "downloader.py").read_text(encoding="utf-8")
    listed = set(re.findall(r'"(\w[\w.]*)"', script.partition("_PACKAGES = (")[2].partition(")")[0]))
    # What is needed on some machines only is not looked for.
    assert listed == {name for name, conditional in named.items() if not conditional}
