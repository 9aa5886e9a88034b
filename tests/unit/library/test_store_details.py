"""What is particular to one application's store."""

from __future__ import annotations

import contextlib
import hashlib
import json
import sqlite3
from pathlib import Path

import pytest

from wangp_downloader.cancel import CancelToken
from wangp_downloader.errors import DatabaseError
from wangp_downloader.events import Event, Notice
from wangp_downloader.files import Digest, DigestKind, Wanted
from wangp_downloader.library.stores.base import Candidate, Likeness, Store, StoreKind
from wangp_downloader.library.stores.comfyui import extra_folders
from wangp_downloader.library.stores.detect import StoreSpec, detect_stores, open_store
from wangp_downloader.library.stores.foreign_db import read_database
from wangp_downloader.library.stores.hf_cache import cache_root, named_digest
from wangp_downloader.library.stores.invokeai import (
    InvokeLocations,
    InvokeModel,
    InvokeStore,
    locate,
    read_models,
)
from wangp_downloader.library.wanted import WantedIndex

CONTENT = b"weights" * 100
URL = "https://huggingface.co/org/name/resolve/main/x.safetensors"
WANTED = Wanted(
    Digest(DigestKind.SHA256, hashlib.sha256(CONTENT).hexdigest()),
    len(CONTENT),
    frozenset({"x.safetensors"}),
    frozenset({URL}),
)


def put(path: Path, content: bytes = CONTENT) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def candidates(store: Store) -> tuple[list[Candidate], list[str]]:
    events: list[Event] = []
    found = list(store.candidates(WantedIndex([WANTED]), cancel=CancelToken(), emit=events.append))
    return found, [event.text for event in events if isinstance(event, Notice)]


class TestCacheRoot:
    """Where huggingface_hub keeps its cache."""

    @pytest.mark.parametrize(
        ("environ", "expected"),
        [
            ({}, "/home/u/.cache/huggingface/hub"),
            ({"XDG_CACHE_HOME": "/x"}, "/x/huggingface/hub"),
            ({"XDG_CACHE_HOME": "/x", "HF_HOME": "/h"}, "/h/hub"),
            ({"HF_HOME": "~/h"}, "/home/u/h/hub"),
            ({"HF_HOME": "/h", "HUGGINGFACE_HUB_CACHE": "/c"}, "/c"),
            ({"HUGGINGFACE_HUB_CACHE": "/c", "HF_HUB_CACHE": "/d"}, "/d"),
            ({"HF_HUB_CACHE": ""}, "/home/u/.cache/huggingface/hub"),
        ],
    )
    def test_rules(self, environ: dict[str, str], expected: str) -> None:
        assert cache_root(environ, Path("/home/u")) == Path(expected)

    def test_names(self) -> None:
        sha = "a" * 64
        assert named_digest(f"/c/models--o--n/blobs/{sha}") == Digest(DigestKind.SHA256, sha)
        for other in (f"/c/blobs/aa/{sha}", f"/c/x/blobs/{sha}", f"/c/models--o--n/blobs/{sha}x", sha, ""):
            assert named_digest(other) is None


def new_schema(config: dict[str, object]) -> list[str]:
    return [
        "CREATE TABLE models (id TEXT PRIMARY KEY, config TEXT NOT NULL, "
        "path TEXT GENERATED ALWAYS AS (json_extract(config, '$.path')) VIRTUAL NOT NULL, "
        "source TEXT GENERATED ALWAYS AS (json_extract(config, '$.source')) VIRTUAL NOT NULL)",
        f"INSERT INTO models (id, config) VALUES ('1', '{json.dumps(config)}')",
    ]


def config_only(config: dict[str, object]) -> list[str]:
    return ["CREATE TABLE models (id, config)", f"INSERT INTO models VALUES ('1', '{json.dumps(config)}')"]


def old_table(config: dict[str, object]) -> list[str]:
    return [
        "CREATE TABLE model_config (id, config)",
        f"INSERT INTO model_config VALUES ('1', '{json.dumps(config)}')",
    ]


def columns_only(config: dict[str, object]) -> list[str]:
    return [
        "CREATE TABLE models (id, path, source)",
        f"INSERT INTO models VALUES ('1', '{config['path']}', '{config['source']}')",
    ]


class TestInvokeAI:
    """InvokeAI's database: every schema, every damage."""

    def database(self, root: Path, statements: list[str]) -> Path:
        path = root / "databases" / "invokeai.db"
        path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.closing(sqlite3.connect(path)) as connection, connection:
            for statement in statements:
                connection.execute(statement)
        return path

    @pytest.mark.parametrize("schema", [new_schema, config_only, old_table, columns_only])
    def test_schemas(self, tmp_path: Path, schema: object) -> None:
        assert callable(schema)
        path = self.database(tmp_path, schema({"path": "k/x.safetensors", "source": URL}))
        assert read_database(path, read_models) == [InvokeModel("k/x.safetensors", URL)]

    @pytest.mark.parametrize(
        ("source", "likeness"),
        [
            (f"{URL}?download=true", Likeness.URL),
            ("org/name::x.safetensors", Likeness.URL),
            ("org/name", Likeness.REPO),
            ("/some/where/x.safetensors", Likeness.NAME),
        ],
    )
    def test_origin_decides_the_order(self, tmp_path: Path, source: str, likeness: Likeness) -> None:
        put(tmp_path / "models" / "k" / "x.safetensors")
        self.database(tmp_path, config_only({"path": "k/x.safetensors", "source": source}))
        found, notices = candidates(InvokeStore(tmp_path))
        assert found[0].likeness is likeness
        assert notices == []

    def test_models_in_place_and_folders(self, tmp_path: Path) -> None:
        outside = put(tmp_path / "outside" / "deep" / "renamed.bin")
        root = tmp_path / "invokeai"
        (root / "models").mkdir(parents=True)
        self.database(root, config_only({"path": str(tmp_path / "outside"), "source": URL}))
        found, _ = candidates(InvokeStore(root))
        assert [(item.path, item.likeness) for item in found] == [(str(outside), Likeness.URL)]

    @pytest.mark.parametrize(
        "config",
        [
            '{"path": 5}',
            "[]",
            "not json",
            "{}",
            '{"path": "../../../etc/passwd"}',
            '{"path": "a\\u0000b"}',
            "5",
        ],
    )
    def test_odd_rows_are_left_out(self, tmp_path: Path, config: str) -> None:
        put(tmp_path / "models" / "x.safetensors")
        path = self.database(tmp_path, ["CREATE TABLE models (id, config)"])
        with contextlib.closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("INSERT INTO models VALUES ('1', ?)", (config,))
            connection.execute("INSERT INTO models VALUES (2, ?)", (b"\xff",))
        found, notices = candidates(InvokeStore(tmp_path))
        assert [item.path for item in found] == [str(tmp_path / "models" / "x.safetensors")]
        assert notices == []

    @pytest.mark.parametrize("damage", ["missing", "garbage", "empty", "other", "truncated", "folder"])
    def test_without_a_good_database_the_models_are_walked(self, tmp_path: Path, damage: str) -> None:
        model = put(tmp_path / "models" / "k" / "x.safetensors")
        path = tmp_path / "databases" / "invokeai.db"
        if damage == "garbage":
            put(path, b"not a database" * 1000)
        elif damage == "empty":
            put(path, b"")
        elif damage == "other":
            self.database(tmp_path, ["CREATE TABLE something (else_)"])
        elif damage == "truncated":
            statements = config_only({"path": "k/x.safetensors", "source": URL})
            whole = self.database(tmp_path, [*statements, *[statements[1]] * 500]).read_bytes()
            path.write_bytes(whole[: len(whole) // 2])
        elif damage == "folder":
            path.mkdir(parents=True)
        found, notices = candidates(InvokeStore(tmp_path))
        assert [item.path for item in found] == [str(model)]
        assert len(notices) == 1
        assert "invokeai.db" in notices[0]

    def test_a_running_invokeai_is_read_with_its_newest_rows(self, tmp_path: Path) -> None:
        path = self.database(tmp_path, ["PRAGMA journal_mode=WAL", "CREATE TABLE models (id, config)"])
        running = sqlite3.connect(path, isolation_level=None)
        running.execute("PRAGMA journal_mode=WAL")
        running.execute("INSERT INTO models VALUES (1, ?)", (json.dumps({"path": "new", "source": ""}),))
        running.execute("BEGIN IMMEDIATE")
        running.execute("DELETE FROM models")
        assert read_database(path, read_models) == [InvokeModel("new", "")]
        running.execute("ROLLBACK")
        running.close()

    def test_a_database_at_rest_is_left_without_a_trace(self, tmp_path: Path) -> None:
        path = self.database(tmp_path, ["CREATE TABLE models (id, config)"])
        with contextlib.closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
        read_database(path, read_models)
        assert [entry.name for entry in path.parent.iterdir()] == ["invokeai.db"]

    def test_after_a_crash_a_copy_is_read(self, tmp_path: Path) -> None:
        path = self.database(tmp_path, ["PRAGMA journal_mode=WAL", "CREATE TABLE models (id, config)"])
        running = sqlite3.connect(path, isolation_level=None)
        running.execute("INSERT INTO models VALUES (1, ?)", (json.dumps({"path": "new", "source": ""}),))
        crashed = put(tmp_path / "crashed" / "invokeai.db", path.read_bytes())
        put(tmp_path / "crashed" / "invokeai.db-wal", path.with_name("invokeai.db-wal").read_bytes())
        running.close()
        assert read_database(crashed, read_models) == [InvokeModel("new", "")]
        assert len(list(crashed.parent.iterdir())) == 2

    def test_a_locked_database_is_an_error_soon(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("wangp_downloader.library.stores.foreign_db._TIMEOUT_S", 0.05)
        path = self.database(tmp_path, ["PRAGMA journal_mode=WAL", "CREATE TABLE models (id, config)"])
        holder = sqlite3.connect(path, isolation_level=None)
        holder.execute("PRAGMA locking_mode=EXCLUSIVE")
        holder.execute("INSERT INTO models VALUES (1, '{}')")
        put(path.with_name("invokeai.db-shm"), b"")
        with pytest.raises(DatabaseError, match=r"invokeai\.db"):
            read_database(path, read_models)
        holder.close()

    @pytest.mark.parametrize(
        ("yaml", "models", "database"),
        [
            ("", "models", "databases"),
            ("models_dir: /m\ndb_dir: d\n", "/m", "d"),
            ("InvokeAI:\n  Paths:\n    models_dir: old\n", "old", "databases"),
            ("schema_version: 4.0.2\nmodels_dir: null\n", "models", "databases"),
            (": : : [", "models", "databases"),
            ("- a list", "models", "databases"),
        ],
    )
    def test_locations(self, tmp_path: Path, yaml: str, models: str, database: str) -> None:
        (tmp_path / "invokeai.yaml").write_text(yaml)
        expected = InvokeLocations(tmp_path / database / "invokeai.db", tmp_path / models)
        assert locate(tmp_path) == expected


class TestComfyUI:
    """``extra_model_paths.yaml`` in all its forms."""

    def test_sections(self, tmp_path: Path) -> None:
        for name in ("base/loras", "base/more", "abs", "models", "base/nodes"):
            (tmp_path / name).mkdir(parents=True)
        (tmp_path / "extra_model_paths.yaml").write_text(
            "one:\n  base_path: base\n  is_default: true\n"
            f"  loras: |\n    loras\n    more\n    {tmp_path}/abs\n"
            "  custom_nodes: nodes\n  vae: missing\n"
            "two:\n  checkpoints: models\n  number: 5\n"
            "three: text\nfour: null\n"
        )
        found = [str(folder.relative_to(tmp_path)) for folder in extra_folders(tmp_path)]
        assert found == ["base/loras", "base/more", "abs", "models"]

    @pytest.mark.parametrize(
        "text", ["", "a: [", "- 1", "!!python/object/apply:os.system ['true']", "a: &x\n  b: *x\n", "\x00"]
    )
    def test_damaged(self, tmp_path: Path, text: str) -> None:
        (tmp_path / "extra_model_paths.yaml").write_text(text)
        assert extra_folders(tmp_path) == []

    def test_not_utf8(self, tmp_path: Path) -> None:
        (tmp_path / "extra_model_paths.yaml").write_bytes(b"\xff\xfe\x00")
        assert extra_folders(tmp_path) == []


class TestDetection:
    """The usual places."""

    def test_an_empty_home(self, tmp_path: Path) -> None:
        assert detect_stores({}, tmp_path) == []

    def test_everything(self, tmp_path: Path) -> None:
        (tmp_path / ".cache/huggingface/hub").mkdir(parents=True)
        (tmp_path / "invokeai/databases").mkdir(parents=True)
        (tmp_path / "ComfyUI/models").mkdir(parents=True)
        (tmp_path / "comfyui").symlink_to("ComfyUI")
        assert detect_stores({}, tmp_path) == [
            StoreSpec(StoreKind.HF_CACHE, tmp_path / ".cache/huggingface/hub"),
            StoreSpec(StoreKind.INVOKEAI, tmp_path / "invokeai"),
            StoreSpec(StoreKind.COMFYUI, tmp_path / "ComfyUI"),
        ]

    def test_the_environment_comes_first(self, tmp_path: Path) -> None:
        put(tmp_path / "elsewhere" / "invokeai.yaml", b"")
        (tmp_path / "invokeai/databases").mkdir(parents=True)
        environ = {"INVOKEAI_ROOT": str(tmp_path / "elsewhere")}
        assert detect_stores(environ, tmp_path) == [StoreSpec(StoreKind.INVOKEAI, tmp_path / "elsewhere")]

    def test_odd_environment(self, tmp_path: Path) -> None:
        assert detect_stores({"INVOKEAI_ROOT": "\0", "HF_HOME": "\0"}, tmp_path) == []

    @pytest.mark.parametrize("kind", StoreKind)
    def test_every_kind_opens(self, tmp_path: Path, kind: StoreKind) -> None:
        store = open_store(StoreSpec(kind, tmp_path))
        assert store.root == tmp_path
        assert store.name.startswith(kind.value)

    def test_invokeais_database_elsewhere(self, tmp_path: Path) -> None:
        put(tmp_path / "m" / "x.safetensors")
        database = tmp_path / "d.db"
        with contextlib.closing(sqlite3.connect(database)) as connection, connection:
            for statement in config_only({"path": "x.safetensors", "source": URL}):
                connection.execute(statement)
        spec = StoreSpec(StoreKind.INVOKEAI, tmp_path, database=database, models=tmp_path / "m")
        found, notices = candidates(open_store(spec))
        assert found[0].likeness is Likeness.URL
        assert notices == []
