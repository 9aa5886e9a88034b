from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from pathlib import Path

import pytest

from tests.e2e.conftest import BASE, HIGH, INT8, LOW, REPO, World, content_of
from tests.unit.catalog.trees import make_tree

PLAN_KEYS = [
    "target", "url", "repo", "revision", "path", "size", "sha256", "models", "roles",
    "required", "pair", "action", "reason", "source",
]  # fmt: skip


class TestPlan:
    def test_the_document_has_the_contracts_shape(self, world: World) -> None:
        result = world.run("plan", "t2v_2_2", "--json")
        assert result.code == 0
        document = result.document
        assert document["wan2gp"]["directory"] == str(world.tree)
        assert document["wan2gp"]["settings"] == {
            "transformer_quantization": "int8",
            "transformer_dtype": "bf16",
            "text_encoder_quantization": "int8",
        }
        assert all(list(row) == PLAN_KEYS for row in document["files"])
        row = next(row for row in document["files"] if row["target"] == INT8[0])
        content = content_of(HIGH[1])
        assert row == {
            "target": INT8[0],
            "url": HIGH[1],
            "repo": REPO,
            "revision": "main",
            "path": "m_high_quanto_mbf16_int8.safetensors",
            "size": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
            "models": ["t2v_2_2"],
            "roles": ["transformer"],
            "required": True,
            "pair": INT8[1],
            "action": "download",
            "reason": "not on this machine",
            "source": None,
        }
        assert document["totals"] == {
            "keep": {"files": 0, "bytes": 0},
            "link": {"files": 0, "bytes": 0},
            "download": {"files": 2, "bytes": 2 * len(content)},
            "blocked": {"files": 0, "bytes": 0},
        }

    def test_it_changes_nothing_and_asks_once_a_repo(self, world: World) -> None:
        before = world.everything()
        assert len(world.run("plan", "--all", "--json").document["files"]) == 5
        assert world.everything() == before
        asked = [request for request in world.hub.requests if "/api/models/" in request.path]
        assert len(asked) == 1
        world.hub.forget_requests()
        world.run("plan", "--json")
        assert world.hub.requests == []

    def test_people_get_a_table_and_totals(self, world: World) -> None:
        out = world.run("plan", "t2v_2_2").out
        assert "1 model missing: t2v_2_2" in out
        assert "586 KB" in out
        assert "free: enough" in out

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (["plan", "t2w_2_2"], "did you mean t2v_2_2"),
            (["plan", "t2v_2_2", "--all"], "not both"),
            (["plan", "--file", "nothing_like_it"], "no file's name contains"),
            (["plan", "--variant", "fp4"], "no variant's name contains"),
            (["download"], "name a model"),
            (["dowload"], "Did you mean download"),
            (["--file", "x"], "need --cli"),
            (["--limit", "1", "--no-limit", "plan"], "exclude each other"),
            (["--limit", "fast", "plan"], "expected a number of KB/s"),
            (["--config-file", "new.yaml", "plan", "nothing"], "there is no model"),
        ],
    )
    def test_wrong_usage_is_said_and_ends_with_2(
        self, world: World, arguments: list[str], words: str
    ) -> None:
        result = world.run(*arguments)
        assert result.code == 2
        assert words in result.err.replace("\n", " ")
        assert result.out == ""


class TestDownload:
    def test_the_required_pair_arrives_and_a_second_run_does_nothing(self, world: World) -> None:
        result = world.run("download", "t2v_2_2", "--json")
        assert result.code == 0
        assert result.files(outcome="downloaded", verified=True) == INT8
        assert world.everything() == {"defaults", "finetunes", "ckpts", *INT8} | {
            "defaults/t2v_2_2.json",
            "defaults/fun_inp.json",
        }
        assert [world.bytes_at(target) for target in INT8] == [content_of(HIGH[1]), content_of(LOW[1])]
        world.hub.forget_requests()
        again = world.run("download", "t2v_2_2", "--json")
        assert again.code == 0
        assert again.files(outcome="kept") == INT8
        assert world.hub.requests == []

    def test_the_first_forms_of_the_command_still_work(self, world: World) -> None:
        result = world.run("--limit", "90000", "--cli", "--config", "fun_inp", "--file", "Fun_InP")
        assert result.code == 0
        assert "1 downloaded" in result.out
        assert world.bytes_at("ckpts/Fun_InP_bf16.safetensors") == content_of("Fun_InP_bf16.safetensors")

    def test_variants_by_name_and_all(self, world: World) -> None:
        assert world.run("download", "t2v_2_2", "--variant", "bf16", "--file", "high", "--json").code == 0
        assert world.run("download", "t2v_2_2", "--variant", "all", "--json").code == 0
        assert {path.name for path in (world.tree / "ckpts").glob("*.safetensors")} == {
            url.rpartition("/")[2] for url in (*HIGH, *LOW)
        }

    def test_dry_run_does_nothing(self, world: World) -> None:
        result = world.run("download", "t2v_2_2", "--dry-run", "--json")
        assert result.files(action="download", required=True) == INT8
        assert not (world.tree / "ckpts").exists()

    def test_events_are_one_json_object_a_line(self, world: World) -> None:
        result = world.run("download", "t2v_2_2", "--events")
        events = [json.loads(line) for line in result.out.splitlines()]
        finished = [event for event in events if event["event"] == "file_finished"]
        assert {(event["key"], event["outcome"]) for event in finished} == {
            (key, "downloaded") for key in INT8
        }

    def test_one_wrong_byte_is_refused_by_name_and_the_others_arrive(self, world: World) -> None:
        world.hub.corrupt(REPO, "m_low_quanto_mbf16_int8.safetensors", offset=1000)
        result = world.run("download", "t2v_2_2", "--json")
        assert result.code == 1
        assert result.files(outcome="downloaded") == [INT8[0]]
        (row,) = [row for row in result.document["files"] if row["outcome"] == "failed"]
        assert row["target"] == INT8[1]
        assert "SHA-256" in row["error"]
        assert not (world.tree / INT8[1]).exists()

    def test_gated_and_missing_files_fail_by_name_and_the_others_go_on(self, world: World) -> None:
        make_tree(
            world.tree,
            {
                "gated": {
                    "architecture": "t2v",
                    "URLs": ["https://huggingface.co/org/gated/resolve/main/g.bin"],
                },
                "gone": {"architecture": "t2v", "URLs": [f"{BASE}/gone.safetensors"]},
            },
        )
        world.serve("g.bin", repo="org/gated")
        world.hub.gate("org/gated", token="secret-token")
        result = world.run("download", "--all", "--json")
        assert result.code == 1
        errors = {
            row["target"]: row["error"] for row in result.document["files"] if row["outcome"] == "failed"
        }
        assert list(errors) == ["ckpts/g.bin", "ckpts/gone.safetensors"]
        assert len(result.files(outcome="downloaded")) == 3
        human = world.run("download", "--all")
        assert f"{world.hub.endpoint}/org/gated" in human.out
        assert "HF_TOKEN" in human.out

    def test_the_token_opens_a_gated_repo_and_never_reaches_the_cdn(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        world.hub.gate(REPO, token="secret-token")
        monkeypatch.setenv("HF_TOKEN", "secret-token")
        assert world.run("download", "t2v_2_2").code == 0
        cdn = [request for request in world.hub.requests if request.listener == "cdn"]
        assert cdn
        assert not any(request.authorized for request in cdn)

    def test_offline_works_from_what_is_known(self, world: World) -> None:
        blocked = world.run("--offline", "plan", "t2v_2_2", "--json")
        assert {row["action"] for row in blocked.document["files"]} == {"blocked"}
        world.run("download", "t2v_2_2")
        world.hub.forget_requests()
        kept = world.run("--offline", "download", "t2v_2_2", "--json")
        assert (kept.code, kept.files(outcome="kept")) == (0, INT8)
        assert world.hub.requests == []

    def test_a_real_file_of_other_content_is_never_touched(self, world: World) -> None:
        (world.tree / "ckpts").mkdir()
        (world.tree / INT8[0]).write_bytes(b"my own model")
        result = world.run("download", "t2v_2_2", "--json")
        assert result.code == 1
        assert result.files(action="conflict", outcome="failed") == [INT8[0]]
        assert world.bytes_at(INT8[0]) == b"my own model"
        assert result.document["totals"]["conflict"]["files"] == 1

    def test_same_size_other_bytes_is_a_conflict_too(self, world: World) -> None:
        (world.tree / "ckpts").mkdir()
        (world.tree / INT8[0]).write_bytes(bytes(len(content_of(HIGH[1]))))
        assert world.run("plan", "t2v_2_2", "--json").files(action="conflict") == [INT8[0]]

    def test_too_little_space_is_said_before_the_first_byte(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("shutil.disk_usage", lambda _: os.terminal_size((0, 0)) and _Usage(1, 1, 1000))
        world.run("plan", "t2v_2_2")
        world.hub.forget_requests()
        result = world.run("download", "t2v_2_2")
        assert result.code == 1
        assert "not enough disk space" in result.err
        assert world.hub.requests == []

    def test_an_unwritable_folder_is_a_clear_error(self, world: World) -> None:
        (world.tree / "ckpts").write_text("a file where a folder belongs")
        result = world.run("download", "t2v_2_2")
        assert result.code == 1
        assert INT8[0] in result.out + result.err


class _Usage:
    def __init__(self, total: int, used: int, free: int) -> None:
        self.total, self.used, self.free = total, used, free


class TestLink:
    @pytest.fixture
    def hub_folder(self, world: World, monkeypatch: pytest.MonkeyPatch) -> Path:
        folder = world.root / "hub"
        folder.mkdir()
        monkeypatch.setenv("WANGP_HUB_DIRECTORY", str(folder))
        return folder

    def test_equal_bytes_are_linked_whatever_they_are_called(self, world: World, hub_folder: Path) -> None:
        content = content_of(HIGH[1])
        by_hash = hub_folder / hashlib.sha256(content).hexdigest() / "x.safetensors"
        by_hash.parent.mkdir()
        by_hash.write_bytes(content)
        renamed = hub_folder / "deep" / "other name.bin"
        renamed.parent.mkdir()
        renamed.write_bytes(content_of(LOW[1]))
        plan = world.run("plan", "t2v_2_2", "--json").document
        sources = {row["target"]: row["source"] for row in plan["files"] if row["required"]}
        assert sources[INT8[0]] == {"store": "hub", "path": str(by_hash), "evidence": "computed"}
        assert sources[INT8[1]]["path"] == str(renamed)
        world.hub.forget_requests()
        result = world.run("download", "t2v_2_2", "--json")
        assert result.files(outcome="linked") == INT8
        assert (world.tree / INT8[0]).is_symlink()
        assert world.bytes_at(INT8[1]) == content_of(LOW[1])
        assert world.hub.bytes_sent(listener="cdn") == 0

    def test_linking_twice_leaves_the_source_whole(self, world: World, hub_folder: Path) -> None:
        source = hub_folder / "mine.safetensors"
        source.write_bytes(content_of(HIGH[1]))
        for _ in range(3):
            assert world.run("link", "t2v_2_2").code in (0, 1)
            assert source.read_bytes() == content_of(HIGH[1])
            assert not source.is_symlink()
        assert (world.tree / INT8[0]).readlink() == source

    def test_equal_name_and_size_but_other_bytes_is_not_linked(self, world: World, hub_folder: Path) -> None:
        (hub_folder / Path(INT8[0]).name).write_bytes(bytes(300_000))
        plan = world.run("plan", "t2v_2_2", "--json")
        assert plan.files(action="download", required=True) == INT8

    def test_link_downloads_nothing(self, world: World, hub_folder: Path) -> None:
        (hub_folder / "a").write_bytes(content_of(HIGH[1]))
        result = world.run("link", "t2v_2_2", "--json")
        assert result.files(outcome="linked") == [INT8[0]]
        assert INT8[1] in result.files(outcome="skipped")
        assert world.hub.bytes_sent(listener="cdn") == 0

    def test_a_broken_link_is_repaired(self, world: World, hub_folder: Path) -> None:
        (world.tree / "ckpts").mkdir()
        (world.tree / INT8[0]).symlink_to(hub_folder / "gone")
        (world.tree / INT8[1]).symlink_to(hub_folder / "gone too")
        (hub_folder / "a").write_bytes(content_of(HIGH[1]))
        result = world.run("download", "t2v_2_2", "--json")
        assert (result.files(outcome="linked"), result.files(outcome="downloaded")) == ([INT8[0]], [INT8[1]])
        assert not (world.tree / INT8[1]).is_symlink()

    def test_new_files_can_go_to_the_hub_and_are_linked(
        self, world: World, hub_folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("WANGP_NEW_FILES", "hub")
        assert world.run("download", "t2v_2_2", "--json").files(outcome="downloaded") == INT8
        digest = hashlib.sha256(content_of(HIGH[1])).hexdigest()
        assert (world.tree / INT8[0]).readlink() == hub_folder / digest / Path(INT8[0]).name
        assert world.run("download", "t2v_2_2", "--json").files(outcome="kept") == INT8

    def test_invokeai_is_read_and_only_equal_bytes_are_linked(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        root = world.root / "invokeai"
        (root / "databases").mkdir(parents=True)
        (root / "models" / "key").mkdir(parents=True)
        (root / "models" / "key" / "model.safetensors").write_bytes(content_of(HIGH[1]))
        (root / "models" / "key" / "fake.safetensors").write_bytes(bytes(300_000))
        database = root / "databases" / "invokeai.db"
        with sqlite3.connect(database) as connection:
            connection.execute("CREATE TABLE models (id TEXT, config TEXT)")
            for path, url in (("key/model.safetensors", HIGH[1]), ("key/fake.safetensors", LOW[1])):
                config = {"path": path, "source": url, "source_type": "url", "hash": "blake3:00"}
                connection.execute("INSERT INTO models VALUES (?, ?)", (path, json.dumps(config)))
        connection.close()
        monkeypatch.setenv("WANGP_INVOKEAI_DB", str(database))
        before = database.read_bytes()
        plan = world.run("plan", "t2v_2_2", "--json")
        assert plan.files(action="link") == [INT8[0]]
        (row,) = [row for row in plan.document["files"] if row["action"] == "link"]
        assert row["source"]["store"] == "invokeai"
        assert database.read_bytes() == before


class TestEverythingElse:
    def test_list_says_what_is_ready(self, world: World) -> None:
        world.run("download", "fun_inp")
        models = {row["id"]: row for row in world.run("list", "--json").document["models"]}
        assert models["t2v_2_2"]["state"] == "missing"
        assert (
            models["fun_inp"]["state"] == "unknown"
        )  # its components are not known: ready can not be promised
        assert models["fun_inp"]["size_missing"] == 0
        assert "Text to video" in world.run("list", "text").out

    def test_the_first_run_writes_the_configuration(self, world: World, isolated_environment: Path) -> None:
        result = world.run("config", "show")
        path = isolated_environment / ".config/wangp-downloader/config.yaml"
        assert f"wrote {path}" in result.err
        assert path.is_file()
        assert "WANGP_WAN2GP_DIRECTORY" in result.out
        assert world.run("config", "show").err == ""

    def test_config_set_and_a_typo_in_the_file(self, world: World) -> None:
        assert world.run("--config-file", "c.yaml", "config", "set", "connections", "3").code == 0
        shown = world.run("--config-file", "c.yaml", "config", "show", "--json").document
        assert shown["values"]["connections"] == {
            "value": 3,
            "from": "file",
            "detail": str(world.root / "c.yaml"),
        }
        (world.root / "c.yaml").write_text("hub_direktory: /x\n")
        result = world.run("--config-file", "c.yaml", "plan")
        assert result.code == 2
        assert "c.yaml: unknown key 'hub_direktory'" in result.err
        assert "did you mean hub_directory" in result.err

    def test_cache_info_and_reset(self, world: World) -> None:
        world.run("plan")
        assert world.run("cache", "info", "--json").document["files"] == 5
        assert world.run("cache", "reset", "--json").document["forgotten"]["files"] == 5
        assert world.run("cache", "info", "--json").document["files"] == 0

    def test_a_corrupt_cache_is_rebuilt_with_a_message(
        self, world: World, isolated_environment: Path
    ) -> None:
        world.run("plan")
        state = isolated_environment / ".local/state/wangp-downloader"
        for path in state.glob("hfcache.db*"):
            path.unlink()
        (state / "hfcache.db").write_bytes(b"not a database" * 1000)
        result = world.run("plan", "--json")
        assert result.code == 0
        assert "made anew" in result.err

    def test_verify_reads_what_is_in_place(self, world: World) -> None:
        world.run("download", "t2v_2_2")
        result = world.run("verify", "--json")
        assert (result.code, result.files(verified=True)) == (0, INT8)
        (world.tree / INT8[1]).write_bytes(bytes(300_000))
        result = world.run("verify", "--again", "--json")
        assert (result.code, result.files(action="conflict")) == (1, [INT8[1]])

    def test_scan_shows_what_could_be_used(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("WANGP_STORES", str(world.root / "nas"))
        (world.root / "nas").mkdir()
        (world.root / "nas" / "a.bin").write_bytes(content_of(HIGH[0]))
        found = world.run("scan", "--json").document["found"]
        assert [(row["target"], row["path"]) for row in found] == [
            ("ckpts/m_high_mbf16.safetensors", str(world.root / "nas" / "a.bin"))
        ]

    def test_undo_takes_links_back_and_leaves_the_source(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("WANGP_STORES", str(world.root / "nas"))
        (world.root / "nas").mkdir()
        (world.root / "nas" / "a.bin").write_bytes(content_of(HIGH[1]))
        world.run("link", "t2v_2_2")
        assert (world.tree / INT8[0]).is_symlink()
        assert [row["action"] for row in world.run("undo", "--dry-run", "--json").document["entries"]] == [
            "link",
            "mkdir",
        ]
        assert world.run("undo").code == 0
        assert not (world.tree / INT8[0]).is_symlink()
        assert (world.root / "nas" / "a.bin").read_bytes() == content_of(HIGH[1])
        assert world.run("undo", "--json").document == {"entries": []}

    def test_explain_says_why_and_what_else(self, world: World) -> None:
        (row,) = world.run("explain", "high_mbf16", "--json").document["files"]
        assert row["needed_by"] == [
            {
                "model": "t2v_2_2",
                "role": "transformer",
                "from": "URLs of t2v_2_2",
                "group": None,
                "required": False,
                "setting": "transformer_quantization: int8, data type bf16",
            }
        ]
        assert [other["target"] for other in row["alternatives"]] == [INT8[0]]
        assert "required as transformer2 by t2v_2_2" in world.run("explain", "t2v_2_2").out
        assert world.run("explain", "nothing_like_it").code == 2

    def test_doctor_finds_what_is_wrong(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        well = world.run("doctor", "--json")
        assert well.code == 0
        assert {row["what"] for row in well.document["findings"]} >= {"program", "Wan2GP", "handlers", "Hub"}
        monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
        ill = world.run("doctor", "--json")
        assert ill.code == 1
        assert [row["what"] for row in ill.document["findings"] if row["level"] == "error"] == ["Hub"]

    def test_no_wan2gp_is_a_clear_error(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("WANGP_WAN2GP_DIRECTORY", str(world.root / "nowhere"))
        result = world.run("plan")
        assert result.code == 2
        assert "is no Wan2GP folder" in result.err

    def test_without_a_terminal_the_interactive_program_says_what_to_use(self, world: World) -> None:
        result = world.run()
        assert result.code == 2
        assert "wangp-dl list" in result.err

    def test_hostile_definitions_write_nothing_outside(self, world: World) -> None:
        make_tree(
            world.tree,
            {
                "evil": {
                    "architecture": "t2v",
                    "URLs": ["../../etc/x", f"{BASE}/m.bin|../../out"],
                    "loras": [f"{BASE}/l.bin|/etc"],
                }
            },
        )
        result = world.run("download", "evil")
        assert result.code == 0
        assert result.err.count("leads out of its folder") == 2
        assert {path.name for path in world.root.iterdir()} <= {"wan", "home"}

    def test_a_link_that_leads_out_of_the_tree_is_not_followed(self, world: World) -> None:
        outside = world.root / "outside"
        outside.mkdir()
        (world.tree / "ckpts").mkdir()
        (world.tree / "ckpts" / "sub").symlink_to(outside)
        make_tree(world.tree, {"m": {"architecture": "t2v", "URLs": [f"{BASE}/m.bin|sub"]}})
        world.serve("m.bin")
        result = world.run("download", "m", "--json")
        assert result.code == 1
        assert list(outside.iterdir()) == []
