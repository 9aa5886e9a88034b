"""Handlers that misbehave: each costs only itself, and none changes anything."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.unit.probe.trees import make_tree
from wangp_downloader.catalog.probe.request import Limits
from wangp_downloader.catalog.probe.result import Status

_LIMITS = Limits(total_s=20.0, silent_s=1.0)

_SHELL = """
import os
{before}
class family_handler():
    @staticmethod
    def query_supported_types():
        {types}
        return ["bad"]
    @staticmethod
    def query_model_def(base_model_type, model_def):
        {definition}
        return {{}}
    @staticmethod
    def query_model_files(computeList, base_model_type, model_def=None):
        {files}
        return []
    @staticmethod
    def get_lora_dir(base_model_type, args, lora_root):
        return lora_root
"""


def bad(before: str = "", types: str = "pass", definition: str = "pass", files: str = "pass") -> str:
    return _SHELL.format(before=before, types=types, definition=definition, files=files)


HOSTILE = {
    "hangs at import": (bad(before="while True: pass"), "no answer within"),
    "hangs when asked": (bad(files="while True: pass"), "no answer within"),
    "exits hard": (bad(types="os._exit(3)"), "exit code 3"),
    "exits softly": (bad(before="raise SystemExit(4)"), "SystemExit"),
    "crashes": (bad(before="import ctypes; ctypes.string_at(0)"), "signal 11"),
    "raises at import": (bad(before="raise RuntimeError('no GPU here')"), "no GPU here"),
    "needs a newer Python": ("def f(:\n  match new syntax\n", "SyntaxError"),
    "has no family_handler": ("x = 1\n", "family_handler"),
    "lacks a function": (bad().replace("query_model_files", "query_other"), "query_model_files"),
    "answers nonsense": (bad(files="return {'repoId': 5}"), "NotPlainError"),
    "answers with a stand-in": (
        bad(
            before="from torch import repo",
            files="return {'repoId': f'{repo}/x', 'sourceFolderList': [''], 'fileList': [['a']]}",
        ),
        "not installed",
    ),
    "closes every channel": (bad(types="os.closerange(0, 50); os._exit(0)"), "exit code 0"),
    "recurses for ever": (bad(types="return family_handler.query_supported_types()"), "RecursionError"),
}


@pytest.mark.skipif(os.name == "nt", reason="signals and limits are POSIX's")
@pytest.mark.parametrize("name", HOSTILE)
def test_a_bad_handler_costs_only_itself(tmp_path: Path, name: str) -> None:
    source, reason = HOSTILE[name]
    tree = make_tree(tmp_path / "tree", {"bad": source})
    last = tree.write("models/last/last_handler.py", bad().replace('"bad"', '"last"'))
    wgp = (tree.root / "wgp.py").read_text()
    tree.write("wgp.py", wgp.replace('bad_handler"]', 'bad_handler", "models.last.last_handler"]'))
    tree.definitions["last"] = {"architecture": "last"}
    before = tree.listing()

    result = tree.ask(limits=_LIMITS)

    assert last.exists()
    assert tree.listing() == before
    assert result.answers["good"].status is Status.ASKED
    assert result.answers["last"].status is Status.ASKED
    assert result.answers["bad"].status is not Status.ASKED
    assert result.shared_status is Status.ASKED
    told = [one.error or "" for one in result.handlers] + [one.error or "" for one in result.answers.values()]
    assert any(reason in text for text in told)


FORBIDDEN = {
    "deletes a file": "os.remove(HERE + '/victim.txt')",
    "unlinks through pathlib": "import pathlib; pathlib.Path(HERE, 'victim.txt').unlink()",
    "renames a file": "os.rename(HERE + '/victim.txt', 'stolen.txt')",
    "moves a file": "import shutil; shutil.move(HERE + '/victim.txt', 'stolen.txt')",
    "removes a tree": "import shutil; shutil.rmtree(HERE)",
    "removes by descriptor": "os.unlink('victim.txt', dir_fd=os.open(HERE, os.O_RDONLY))",
    "writes a file": "open(HERE + '/victim.txt', 'w').write('x')",
    "makes a folder": "os.makedirs(HERE + '/new/folder')",
    "truncates": "os.truncate(HERE + '/victim.txt', 0)",
    "writes from inside": "os.chdir(HERE); open('new.txt', 'w')",
    "writes through a link": "os.symlink(HERE, 'way'); open('way/new.txt', 'w')",
    "touches": "os.utime(HERE + '/victim.txt')",
    "starts a process": "import subprocess; subprocess.run(['touch', HERE + '/new.txt'])",
    "uses the shell": "os.system('touch ' + HERE + '/new.txt')",
    "forks": "os.fork()",
    "connects": "import socket; socket.create_connection(('127.0.0.1', 9))",
    "resolves a name": "import socket; socket.getaddrinfo('localhost', 80)",
}


@pytest.mark.skipif(os.name == "nt", reason="some of these calls are POSIX's")
def test_what_handlers_may_not_do(tmp_path: Path) -> None:
    sources = {}
    for number, code in enumerate(FORBIDDEN.values()):
        here = "HERE = os.path.dirname(__file__)"
        sources[f"bad{number}"] = bad(before=here, types=code).replace('"bad"', f'"bad{number}"')
    tree = make_tree(tmp_path / "tree", sources)
    for number in range(len(FORBIDDEN)):
        tree.write(f"models/bad{number}/victim.txt", "precious")
    before = tree.listing()

    result = tree.ask()

    assert tree.listing() == before
    errors = {one.path: one.error or "" for one in result.handlers}
    for number, name in enumerate(FORBIDDEN):
        error = errors[f"models.bad{number}.bad{number}_handler"]
        assert "only asked" in error, (name, error)
    assert result.answers["good"].status is Status.ASKED


def test_garbage_does_not_get_between_the_answers(tmp_path: Path) -> None:
    noise = """
import sys
for _ in range(200):
    print('{"kind": "end"}')
    os.write(1, b'garbage')
    sys.__stdout__.write('x')
"""
    tree = make_tree(tmp_path / "tree", {"bad": bad(before=noise)})

    result = tree.ask()

    assert result.status is Status.ASKED
    assert "garbage" in result.stderr


def test_what_is_printed_is_kept_up_to_a_limit(tmp_path: Path) -> None:
    tree = make_tree(tmp_path / "tree", {"bad": bad(before="print('y' * 200_000); print('the last word')")})

    result = tree.ask()

    assert len(result.stderr) <= 64 * 1024
    assert "the last word" in result.stderr


def test_no_token_and_no_home_reach_the_handlers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "AWS_SECRET_KEY", "MY_PASSWORD"):
        monkeypatch.setenv(name, "hf_secret")
    home = str(Path.home())
    seen = "print('ENV', dict(os.environ), os.getcwd(), os.listdir('.'), 'HOME', os.path.expanduser('~'))"
    tree = make_tree(tmp_path / "tree", {"bad": bad(before=seen)})

    result = tree.ask()

    assert "ENV" in result.stderr
    assert "hf_secret" not in result.stderr
    assert f"HOME {home}\n" not in result.stderr
    assert "'HF_HUB_OFFLINE': '1'" in result.stderr
    assert " [] HOME" in result.stderr, "the working directory is not empty"


def test_a_bad_wgp_costs_only_the_shared_set(tmp_path: Path) -> None:
    tree = make_tree(tmp_path / "tree")
    wgp = tree.root / "wgp.py"
    tree.write("wgp.py", wgp.read_text() + "\ndef broken(:\n")

    result = tree.ask()

    assert result.answers["good"].status is Status.ASKED
    assert result.shared_status is Status.UNKNOWN
    assert "SyntaxError" in (result.shared_error or "")
    assert result.status is Status.UNKNOWN


def test_what_can_not_run_is_read(tmp_path: Path) -> None:
    tree = make_tree(tmp_path / "tree")
    asked = tree.ask()
    handler = tree.root / "models/good/good_handler.py"
    tree.write("models/good/good_handler.py", handler.read_text() + "\nraise RuntimeError('no GPU')\n")

    read = tree.ask()

    for name in ("good", "tuned"):
        assert read.answers[name].status is Status.STATIC
        assert read.answers[name].files == asked.answers[name].files
        assert read.answers[name].lora_dir == asked.answers[name].lora_dir
        encoder = asked.answers[name].defaults["text_encoder_URLs"]
        assert read.answers[name].defaults["text_encoder_URLs"] == encoder
    assert read.handlers[0].status is Status.STATIC
    assert any("read from its source, not asked" in one and "no GPU" in one for one in read.warnings)


def test_time_for_all_is_limited(tmp_path: Path) -> None:
    endless = {
        f"bad{number}": bad(before="while True: pass").replace('"bad"', f'"bad{number}"')
        for number in range(6)
    }
    tree = make_tree(tmp_path / "tree", endless)

    result = tree.ask(limits=Limits(total_s=1.2, silent_s=0.6))

    assert result.answers["good"].status is Status.ASKED
    assert result.seconds < 5.0
    errors = [one.error or "" for one in result.handlers]
    assert any("no time left" in error for error in errors), errors
