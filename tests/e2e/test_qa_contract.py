"""What scripts and people rely on: one document in every case, nothing asked for in vain, nothing forgotten."""

from __future__ import annotations

import hashlib
import os
import re
import sqlite3
from contextlib import nullcontext
from pathlib import Path

import pytest

from tests.e2e.conftest import BASE, HIGH, INT8, LOW, World, content_of
from tests.unit.catalog.trees import make_tree
from wangp_downloader.cancel import CancelToken
from wangp_downloader.cli import diagnostics


@pytest.fixture
def state(isolated_environment: Path) -> Path:
    return isolated_environment / ".local/state/wangp-downloader"


class TestJson:
    @pytest.mark.parametrize(
        ("arguments", "code", "words"),
        [
            (["plan", "t2w_2_2", "--json"], 2, "there is no model"),
            (["plan", "--nosuch", "--json"], 2, "No such option"),
            (["download", "--json"], 2, "name a model"),
            (["--limit", "fast", "list", "--json"], 2, "expected a number of KB/s"),
            (["--wan2gp-dir", "/nowhere", "list", "--json"], 2, "is no Wan2GP folder"),
            (["explain", "nothing_like_it", "--json"], 2, "neither a model nor a file"),
            (["config", "set", "conections", "3", "--json"], 2, "unknown key"),
        ],
    )
    def test_an_error_is_a_document_too(
        self, world: World, arguments: list[str], code: int, words: str
    ) -> None:
        result = world.run(*arguments)
        assert result.code == code
        error = result.document["error"]
        assert words in error["message"]
        assert error["exit_code"] == code
        assert words in result.err.replace("\n", " ")

    def test_nothing_left_undone_is_an_empty_report(self, world: World) -> None:
        result = world.run("download", "--resume", "--json")
        assert (result.code, result.document["files"]) == (0, [])

    def test_a_terminal_that_knows_only_ascii_gets_all_of_it(
        self, world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        make_tree(world.tree, {"m": {"architecture": "t2v", "name": "ünï→", "URLs": [f"{BASE}/ü.bin"]}})
        with (tmp_path / "out").open("w", encoding="ascii") as out:
            monkeypatch.setattr("sys.stdout", out)
            codes = [world.run("list", "--json").code, world.run("plan", "m").code]
        assert codes == [0, 0]


class TestTerminal:
    def test_no_control_sequence_of_a_definition_reaches_it(self, world: World) -> None:
        make_tree(
            world.tree,
            {"e\x1b[2Jvil": {"architecture": "t2v", "name": "\x1b[31mred\x07\n", "URLs": ["../\x1b[1mx"]}},
        )
        for verb in ("list", "plan", "doctor"):
            result = world.run(verb)
            assert not [char for char in result.out + result.err if ord(char) < 32 and char != "\n"], verb

    def test_a_reason_is_said_once(self, world: World) -> None:
        out = world.run("plan", "--all").out
        assert out.count("not on this machine") == 1
        assert "download  3 files, 879 KB  not on this machine" in out

    def test_the_list_keeps_what_matters_in_narrow_terminals(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
        for columns in (60, 80):
            monkeypatch.setenv("COLUMNS", str(columns))
            lines = re.sub(r"\x1b\[[\d;]*m", "", world.run("list", "t2v").out).splitlines()
            assert lines[0].split()[:4] == ["model", "state", "still", "needs"]
            assert lines[1].split()[:4] == ["t2v_2_2", "missing", "586", "KB"]
            assert max(len(line) for line in lines) <= columns

    def test_no_model_of_that_name_is_said(self, world: World) -> None:
        result = world.run("list", "zzz")
        assert (result.code, result.out) == (0, "")
        assert "no model's id, name or family contains 'zzz'" in result.err

    def test_what_has_no_known_size_is_not_called_nothing(self, world: World) -> None:
        row = next(line for line in world.run("--offline", "list").out.splitlines() if "t2v_2_2" in line)
        assert row.split()[1:4] == ["missing", "?", "?"]


class TestOffline:
    def test_it_fetches_nothing_even_if_all_is_known(self, world: World) -> None:
        world.run("plan")
        world.hub.forget_requests()
        result = world.run("download", "t2v_2_2", "--offline", "--json")
        assert result.code == 1
        errors = {row["error"] for row in result.document["files"] if row["required"]}
        assert errors == {"not downloaded: offline"}
        assert world.hub.requests == []


class TestState:
    @pytest.mark.parametrize("name", ["hfcache.db", "library.db"])
    def test_damage_in_the_middle_of_a_memory_heals_at_the_next_start(
        self, world: World, state: Path, name: str
    ) -> None:
        world.run("plan")
        database = state / name
        with sqlite3.connect(database) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            page_size = connection.execute("PRAGMA page_size").fetchone()[0]
        connection.close()
        content = database.read_bytes()
        database.write_bytes(content[:page_size] + os.urandom(len(content) - page_size))
        healed = world.run("plan")
        assert healed.code == 0
        assert "made anew" in healed.err
        again = world.run("cache", "info", "--json")
        assert (again.code, again.document["files"]) == (0, 5)

    def test_a_state_folder_that_can_not_be_made_costs_only_the_memory(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (world.root / "file").write_text("no folder")
        monkeypatch.setenv("WANGP_STATE_DIR", str(world.root / "file"))
        result = world.run("plan", "t2v_2_2", "--json")
        assert result.code == 0
        assert result.files(action="download", required=True) == INT8
        assert "forgotten at the end" in result.err
        assert world.run("download", "t2v_2_2").code == 1  # no change to the disk without a journal

    def test_verify_again_forgets_only_what_it_reads(self, world: World, state: Path) -> None:
        world.run("download", "--all")
        world.run("verify", "t2v_2_2", "--again")
        with sqlite3.connect(state / "library.db") as connection:
            known = {Path(os.fsdecode(row[0])).name for row in connection.execute("SELECT path FROM hashes")}
        connection.close()
        assert "Fun_InP_bf16.safetensors" in known


class TestStrangeFiles:
    def test_pipes_and_devices_do_not_hang_it(self, world: World) -> None:
        os.mkfifo(world.tree / "defaults" / "pipe.json")
        (world.tree / "defaults" / "endless.json").symlink_to("/dev/zero")
        os.mkfifo(world.tree / "wgp_config.json")
        result = world.run("plan", "--json")
        assert result.code == 0
        for name in ("defaults/pipe.json", "defaults/endless.json", "wgp_config.json"):
            assert f"{name}: " in result.err
        assert len(result.document["files"]) == 5

    def test_a_configuration_that_is_a_pipe_is_refused(self, world: World) -> None:
        os.mkfifo(world.root / "c.yaml")
        result = world.run("--config-file", "c.yaml", "plan")
        assert result.code == 2
        assert "c.yaml: can not be read: Is no regular file" in result.err

    def test_definitions_that_are_no_folder_are_said(self, world: World) -> None:
        for path in (world.tree / "defaults").iterdir():
            path.unlink()
        (world.tree / "defaults").rmdir()
        (world.tree / "defaults").write_text("x")
        result = world.run("plan", "--json")
        assert "defaults: can not be listed: Not a directory" in result.err


class TestOtherDisks:
    def test_ckpts_may_be_a_link_to_another_disk(self, world: World) -> None:
        elsewhere = world.root / "big disk"
        elsewhere.mkdir()
        (world.tree / "ckpts").symlink_to(elsewhere)
        assert world.run("download", "t2v_2_2").code == 0
        assert (elsewhere / Path(INT8[0]).name).read_bytes() == content_of(HIGH[1])
        assert world.run("plan", "t2v_2_2", "--json").files(action="keep") == INT8

    def test_a_hub_that_is_ckpts_itself(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        (world.tree / "ckpts").mkdir()
        (world.tree / "ckpts" / "mine.bin").write_bytes(content_of(HIGH[1]))
        monkeypatch.setenv("WANGP_HUB_DIRECTORY", str(world.tree / "ckpts"))
        monkeypatch.setenv("WANGP_NEW_FILES", "hub")
        first = world.run("download", "t2v_2_2", "--json")
        assert (first.files(outcome="linked"), first.files(outcome="downloaded")) == ([INT8[0]], [INT8[1]])
        assert world.run("download", "t2v_2_2", "--json").files(outcome="kept") == INT8

    def test_a_store_with_names_that_are_no_utf8(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        folder = world.root / "hub"
        folder.mkdir()
        source = folder / os.fsdecode(b"n\xff.bin")
        try:
            source.write_bytes(content_of(HIGH[1]))
        except OSError:
            pytest.skip("this file system takes UTF-8 names only")
        monkeypatch.setenv("WANGP_HUB_DIRECTORY", str(folder))
        plan = world.run("plan", "t2v_2_2", "--json")
        (row,) = [row for row in plan.document["files"] if row["action"] == "link"]
        assert row["source"]["path"] == str(source)
        assert world.run("download", "t2v_2_2").code == 0
        assert world.bytes_at(INT8[0]) == content_of(HIGH[1])


@pytest.mark.parametrize("verify", ["once", "trust"])
def test_a_name_that_holds_the_hash_is_proven_before_it_is_linked(
    world: World, monkeypatch: pytest.MonkeyPatch, verify: str
) -> None:
    blobs = world.root / "hf" / "models--org--name" / "blobs"
    blobs.mkdir(parents=True)
    for url, content in ((HIGH[1], content_of(HIGH[1])), (LOW[1], bytes(300_000))):  # the second has rotted
        (blobs / hashlib.sha256(content_of(url)).hexdigest()).write_bytes(content)
    monkeypatch.setenv("HF_HUB_CACHE", str(world.root / "hf"))
    monkeypatch.setenv("WANGP_VERIFY", verify)
    result = world.run("download", "t2v_2_2", "--json")
    assert result.code == 0
    if verify == "once":
        assert (result.files(outcome="linked"), result.files(outcome="downloaded")) == ([INT8[0]], [INT8[1]])
        assert world.bytes_at(INT8[1]) == content_of(LOW[1])
        assert all(row["verified"] for row in result.document["files"] if row["outcome"] != "skipped")
        assert world.run("plan", "t2v_2_2", "--json").files(action="keep") == INT8
    else:
        assert result.files(outcome="linked", verified=False) == INT8


def test_a_copy_that_a_killed_program_left_is_removed_by_the_next(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANGP_LINK", "copy")
    monkeypatch.setenv("WANGP_STORES", str(world.root / "nas"))
    (world.root / "nas").mkdir()
    (world.root / "nas" / "a.bin").write_bytes(content_of(HIGH[1]))
    (world.tree / "ckpts").mkdir()
    old, young, aside = (
        world.tree / "ckpts" / name
        for name in (
            ".wangp-copy-0123456789ab.tmp",
            ".wangp-copy-ba9876543210.tmp",
            ".wangp-0123456789ab.tmp",
        )
    )
    for path in (old, young, aside):
        path.write_bytes(b"half")
    for path in (old, aside):
        os.utime(path, (1, 1))
    assert world.run("link", "t2v_2_2").code == 0
    assert [path.exists() for path in (old, young, aside)] == [False, True, True]


def test_what_ctrl_c_stopped_is_not_forgotten(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    token = CancelToken()

    def stop_at_the_first_byte(text: str) -> None:
        diagnostics.note(text)
        if text.startswith("downloading"):
            token.cancel()

    world.hub.shape(total_bytes_per_s=200_000)
    with monkeypatch.context() as patch:
        patch.setattr("wangp_downloader.cli.download.cancel_on_signals", lambda: nullcontext(token))
        patch.setattr("wangp_downloader.cli.progress.note", stop_at_the_first_byte)
        stopped = world.run("download", "t2v_2_2")
    assert stopped.code == 130
    assert "goes on from there" in stopped.err
    assert "error:" not in stopped.err
    world.hub.shape()
    resumed = world.run("download", "--resume", "--json")
    assert (resumed.code, resumed.files(outcome="downloaded")) == (0, INT8)
