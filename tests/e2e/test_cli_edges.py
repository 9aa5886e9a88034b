"""What is refused, closed, full, unknown or half there: one plain sentence, the right exit code, nothing forgotten."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any, BinaryIO

import pytest

from tests.e2e.conftest import BASE, HIGH, INT8, World, content_of
from tests.unit.catalog.trees import make_tree
from wangp_downloader.cli.diagnostics import guarded, sigterm_interrupts
from wangp_downloader.transfer import work
from wangp_downloader.transfer.request import TransferRequest

posix_only = pytest.mark.skipif(sys.platform == "win32", reason="users and signals are POSIX")


class TestResume:
    def test_a_run_refused_before_it_began_is_not_remembered(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with monkeypatch.context() as patch:
            patch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(total=1, used=1, free=1000))
            refused = world.run("download", "t2v_2_2")
        assert (refused.code, "not enough disk space" in refused.err) == (1, True)
        assert "nothing was left undone" in world.run("download", "--resume").err

    @pytest.mark.parametrize("more", [["t2v_2_2"], ["--all"], ["--file", "x"], ["--variant", "bf16"]])
    def test_it_takes_no_selection(self, world: World, more: list[str]) -> None:
        result = world.run("download", "--resume", *more)
        assert (result.code, "--resume" in result.err) == (2, True)


class TestDocuments:
    def test_a_dry_run_with_events_is_one_object_a_line_too(self, world: World) -> None:
        result = world.run("download", "t2v_2_2", "--events", "--dry-run")
        events = [json.loads(line) for line in result.out.splitlines()]
        assert events[-1]["event"] == "plan"
        assert {row["target"] for row in events[-1]["files"] if row["action"] == "download"} >= set(INT8)

    def test_kept_is_verified_only_where_the_bytes_were_compared(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (world.tree / "ckpts").mkdir()
        (world.tree / INT8[0]).write_bytes(content_of(HIGH[1]))
        monkeypatch.setenv("WANGP_VERIFY", "trust")
        trusted = world.run("link", "t2v_2_2", "--json")
        assert trusted.files(outcome="kept", verified=False) == [INT8[0]]
        monkeypatch.setenv("WANGP_VERIFY", "once")
        for _ in range(2):  # hashed now, then remembered
            compared = world.run("link", "t2v_2_2", "--json")
            assert compared.files(outcome="kept", verified=True) == [INT8[0]]

    def test_undo_shows_only_what_it_would_take_back(self, world: World) -> None:
        world.run("download", "t2v_2_2")
        assert world.run("undo", "--dry-run", "--json").document == {"entries": []}
        assert "2 downloaded files kept" in world.run("undo", "--dry-run").err
        shown = world.run("undo", "--dry-run", "--downloads", "--json").document["entries"]
        assert [row["action"] for row in shown] == ["download", "download"]


class TestConfiguration:
    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (["--limit", "", "plan"], "--limit"),
            (["--limit", "1_000", "plan"], "expected a number of KB/s"),
            (["--wan2gp-dir", "", "plan"], "--wan2gp-dir"),
            (["--config-file", "no/such/folder.yaml", "config", "show"], "no such folder"),
            (["--config-file", "no/such/folder.yaml", "config", "set", "connections", "3"], "no such folder"),
            (["--config-file", "~nosuchuser/c.yaml", "config", "show"], "nosuchuser"),
            (["--hub-dir", "~nosuchuser/hub", "config", "show"], "hub_directory"),
            (["--wan2gp-dir", "/nonexistent", "plan"], "is no Wan2GP folder"),
        ],
    )
    def test_what_is_wrong_is_named_and_ends_with_2(
        self, world: World, arguments: list[str], words: str
    ) -> None:
        result = world.run(*arguments)
        assert (result.code, result.out) == (2, "")
        assert words in result.err.replace("\n", " ")
        assert not (world.root / "no").exists()

    @pytest.mark.parametrize("endpoint", ["http://127.0.0.1:99999", "http://127.0.0.1:abc"])
    def test_an_endpoint_needs_a_port_that_exists(
        self, world: World, monkeypatch: pytest.MonkeyPatch, endpoint: str
    ) -> None:
        monkeypatch.setenv("HF_ENDPOINT", endpoint)
        result = world.run("plan", "--json")
        assert result.code == 2
        assert "HF_ENDPOINT: expected an http(s) address" in result.document["error"]["message"]

    @posix_only
    def test_without_a_home_it_says_what_to_set(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("HOME")
        monkeypatch.setattr("os.getuid", lambda: 2**31 - 3)
        for options in ([], ["--config-file", str(world.root / "c.yaml")]):
            result = world.run(*options, "plan", "--json")
            assert (result.code, result.document["error"]["hint"]) == (2, "set HOME to a folder of yours")

    @posix_only
    def test_without_a_home_an_unexpected_error_is_still_said(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        def fails() -> None:
            raise LookupError("something odd")

        monkeypatch.delenv("HOME")
        monkeypatch.setattr("os.getuid", lambda: 2**31 - 3)
        assert guarded(fails) == 1
        assert "unexpected LookupError: something odd" in capsys.readouterr().err


class TestDoctor:
    @pytest.fixture
    def read_only(self, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
        """Folders that the system says nobody may write to; root could, whatever their mode is."""
        folders: list[Path] = []
        asked = os.access
        monkeypatch.setattr(
            "os.access",
            lambda path, mode: not (mode & os.W_OK and Path(path) in folders) and asked(path, mode),
        )
        return folders

    def test_an_unwritable_checkpoint_folder_is_an_error(self, world: World, read_only: list[Path]) -> None:
        (world.tree / "ckpts").mkdir()
        read_only.append(world.tree / "ckpts")
        result = world.run("doctor", "--json")
        wrong = [row for row in result.document["findings"] if row["level"] == "error"]
        assert result.code == 1
        assert [(row["what"], str(world.tree / "ckpts") in row["text"]) for row in wrong] == [
            ("folder", True)
        ]
        assert wrong[0]["hint"]

    def test_one_that_could_not_be_made_is_an_error_too(self, world: World, read_only: list[Path]) -> None:
        read_only.append(world.tree)
        result = world.run("doctor", "--json")
        wrong = [row for row in result.document["findings"] if row["level"] == "error"]
        assert any(str(world.tree / "ckpts") in row["text"] for row in wrong)

    def test_one_that_is_only_looked_in_need_not_be_writable(
        self, world: World, read_only: list[Path]
    ) -> None:
        nas = world.root / "nas"
        nas.mkdir()
        (world.tree / "ckpts").mkdir()
        (world.tree / "loras").mkdir()
        settings = {"checkpoints_paths": ["ckpts", str(nas)]}
        (world.tree / "wgp_config.json").write_text(json.dumps(settings), encoding="utf-8")
        read_only.append(nas)
        findings = world.run("doctor", "--json").document["findings"]
        assert [row["level"] for row in findings if str(nas) in row["text"]] == ["ok"]


def _program(world: World, *arguments: str, stdout: int | BinaryIO | None = None) -> tuple[int, str]:
    """Run the program in a process of its own; with no ``stdout``, with that closed."""
    command = [sys.executable, "-m", "wangp_downloader", *arguments]
    if stdout is None:
        command = ["sh", "-c", 'exec "$@" >&-', "sh", *command]
    done = subprocess.run(command, cwd=world.root, stdout=stdout, stderr=subprocess.PIPE, check=False)
    return done.returncode, done.stderr.decode()


@posix_only
class TestOutput:
    @pytest.mark.parametrize(
        "arguments", [["plan", "--json"], ["plan"], ["download", "t2v_2_2", "--events"], ["--version"]]
    )
    def test_a_full_disk_is_one_plain_line(self, world: World, arguments: list[str]) -> None:
        with Path("/dev/full").open("wb") as full:
            code, said = _program(world, *arguments, stdout=full)
        assert code == 1
        [line] = [line for line in said.splitlines() if "error" in line.lower()]
        assert line == "error: standard output can not be written: No space left on device"

    @pytest.mark.parametrize("arguments", [["plan", "--json"], ["plan"], ["list"]])
    def test_a_closed_output_is_one_plain_line(self, world: World, arguments: list[str]) -> None:
        code, said = _program(world, *arguments)
        assert code == 1
        [line] = [line for line in said.splitlines() if "error" in line.lower()]
        assert line == "error: standard output is closed"

    def test_a_reader_that_goes_away_gets_no_message(self, world: World) -> None:
        command = f"{sys.executable} -m wangp_downloader list --json | true"
        done = subprocess.run(["sh", "-c", command], cwd=world.root, stderr=subprocess.PIPE, check=False)
        assert b"rror" not in done.stderr


@posix_only
def test_a_signal_that_comes_before_the_verb_begins_is_130(capsys: pytest.CaptureFixture[str]) -> None:
    before = signal.getsignal(signal.SIGTERM)

    def work() -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        threading.Event().wait(20)

    with sigterm_interrupts():
        assert guarded(work) == 130
    assert capsys.readouterr().err == "stopped\n"
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize(("verb", "alone"), [("cache", "info"), ("config", "show")])
def test_a_verb_of_verbs_alone_shows_what_there_is(world: World, verb: str, alone: str) -> None:
    documents = [world.run(*words, "--json").document for words in ((verb,), (verb, alone))]
    assert documents[0].keys() == documents[1].keys()
    assert world.run(verb).code == 0
    assert world.run(verb, "--json", alone).code == 2


def test_nothing_is_changed_where_it_can_not_be_written_down(world: World) -> None:
    state = Path(world.run("config", "show", "--json").document["state_dir"])
    (state / "journal.jsonl").mkdir(parents=True)
    before = world.everything()
    refused = world.run("download", "t2v_2_2")
    assert (refused.code, "journal" in refused.err) == (1, True)
    assert world.everything() == before
    (state / "journal.jsonl").rmdir()
    assert world.run("download", "t2v_2_2").code == 0


def test_a_folder_that_leads_outside_is_said_by_the_plan(world: World) -> None:
    elsewhere = world.root / "elsewhere"
    elsewhere.mkdir()
    (world.tree / "ckpts").mkdir()
    (world.tree / "ckpts" / "sub").symlink_to(elsewhere)
    make_tree(world.tree, {"m": {"architecture": "t2v", "URLs": [f"{BASE}/m.bin|sub"]}})
    world.serve("m.bin")
    [row] = world.run("plan", "m", "--json").document["files"]
    assert (row["target"], row["action"]) == ("ckpts/sub/m.bin", "blocked")
    assert f"its folder is {elsewhere}, outside the Wan2GP folders" in row["reason"]


def test_checkpoints_may_be_on_another_disk(world: World) -> None:
    elsewhere = world.root / "elsewhere"
    elsewhere.mkdir()
    (world.tree / "ckpts").symlink_to(elsewhere)
    assert set(world.run("download", "t2v_2_2", "--json").files(outcome="downloaded")) == set(INT8)


def _put_there_first(monkeypatch: pytest.MonkeyPatch, key: str, content: bytes) -> None:
    """Let another program bring a file to where it is wanted, in the moment before it is fetched."""
    really = work.open_part

    def open_part(request: TransferRequest, *rest: Any) -> Any:
        if request.key == key:
            request.destination.parent.mkdir(parents=True, exist_ok=True)
            request.destination.write_bytes(content)
        return really(request, *rest)

    monkeypatch.setattr(work, "open_part", open_part)


def test_what_another_program_put_in_place_meanwhile_is_not_ours_to_take_back(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    _put_there_first(monkeypatch, INT8[0], content_of(HIGH[1]))
    result = world.run("download", "t2v_2_2", "--json")
    assert result.files(outcome="kept", verified=True) == [INT8[0]]
    assert result.files(outcome="downloaded") == [INT8[1]]
    assert world.run("undo", "--downloads").code == 0
    assert (world.tree / INT8[0]).exists()
    assert not (world.tree / INT8[1]).exists()


def test_a_twin_of_what_another_program_brought_to_the_hub_is_linked_too(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = world.root / "hub"
    hub.mkdir()
    monkeypatch.setenv("WANGP_HUB_DIRECTORY", str(hub))
    monkeypatch.setenv("WANGP_NEW_FILES", "hub")
    world.serve("m.bin")
    urls = {"one": f"{BASE}/m.bin", "two": f"{BASE}/m.bin|sub"}
    make_tree(world.tree, {name: {"architecture": "t2v", "URLs": [url]} for name, url in urls.items()})
    _put_there_first(monkeypatch, "ckpts/m.bin", content_of("m.bin"))
    result = world.run("download", "one", "two", "--json")
    assert result.code == 0
    assert set(result.files(outcome="linked", verified=True)) == {"ckpts/m.bin", "ckpts/sub/m.bin"}
