from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wangp_downloader.errors import SettingsError
from wangp_downloader.places import Surroundings
from wangp_downloader.settings import KEYS, LoadedSettings, Origin, Settings, StoreSetting, load_settings
from wangp_downloader.settings.write import set_key, write_first


@pytest.fixture
def around(tmp_path: Path) -> Surroundings:
    for name in ("home", "here"):
        (tmp_path / name).mkdir()
    return Surroundings(tmp_path / "home", tmp_path / "here", {})


def load(around: Surroundings, command_line: dict[str, Any] | None = None, **options: Any) -> LoadedSettings:
    return load_settings(command_line, around=around, **options)


def write(around: Surroundings, text: str) -> Path:
    path = around.here / "config.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_nothing_set_gives_defaults_and_the_users_own_folders(around: Surroundings) -> None:
    loaded = load(around)
    assert loaded.settings == Settings(wan2gp_directory=loaded.settings.wan2gp_directory)
    assert loaded.origins["connections"] is Origin.DEFAULT
    assert not loaded.exists
    assert loaded.path == around.home / ".config/wangp-downloader/config.yaml"
    assert loaded.state_dir == around.home / ".local/state/wangp-downloader"


def test_command_line_beats_environment_beats_file_beats_detection(around: Surroundings) -> None:
    write(around, "bandwidth_limit_kb: 10\nhub_directory: hub\nconnections: 3\n")
    around = Surroundings(
        around.home, around.here, {"WANGP_BANDWIDTH_LIMIT_KB": "20", "HF_ENDPOINT": "http://mirror:8080/"}
    )
    loaded = load(around, {"bandwidth_limit_kb": "30"})
    assert loaded.settings.limit_bytes_per_s == 30 * 1024
    assert loaded.settings.hub_directory == around.here / "hub"
    assert loaded.settings.endpoint == "http://mirror:8080"
    assert {name: loaded.origins[name] for name in ("bandwidth_limit_kb", "endpoint", "connections")} == {
        "bandwidth_limit_kb": Origin.COMMAND_LINE,
        "endpoint": Origin.ENVIRONMENT,
        "connections": Origin.FILE,
    }
    assert loaded.details["endpoint"] == "HF_ENDPOINT"
    assert load(around).settings.bandwidth_limit_kb == 20


@pytest.mark.parametrize("place", ["here/Wan2GP", "Wan2GP", "home/Wan2GP", "home/pinokio/api/wan.git/app"])
def test_wan2gp_is_found_in_the_usual_places(around: Surroundings, tmp_path: Path, place: str) -> None:
    (tmp_path / place / "defaults").mkdir(parents=True)
    (tmp_path / place / "wgp.py").touch()
    loaded = load(around)
    assert loaded.settings.wan2gp_directory == tmp_path / place
    assert loaded.origins["wan2gp_directory"] is Origin.DETECTED


def test_wan2gp_is_found_in_stability_matrix_library(around: Surroundings, tmp_path: Path) -> None:
    settings = around.home / ".config/StabilityMatrix"
    settings.mkdir(parents=True)
    (settings / "library.json").write_text(json.dumps({"LibraryPath": str(tmp_path / "lib")}))
    tree = tmp_path / "lib/Packages/Wan2GP"
    (tree / "defaults").mkdir(parents=True)
    (tree / "wgp.py").touch()
    assert load(around).settings.wan2gp_directory == tree


def test_the_old_file_is_carried_over_once(around: Surroundings) -> None:
    old = around.here / "config.json"
    old.write_text(json.dumps({"hub_directory": "/data/hub", "bandwidth_limit_kb": 90000, "theme": "dark"}))
    loaded = load(around)
    assert loaded.carried_over == old
    assert loaded.settings.bandwidth_limit_kb == 90000
    assert "theme" in loaded.notes[0]
    path = write_first(loaded)
    assert path == around.here / "config.yaml"
    again = load(around)
    assert again.settings == loaded.settings
    assert (again.carried_over, again.notes) == (None, ())
    assert json.loads(old.read_text())["theme"] == "dark"


WRONG = [
    ("bandwith_limit_kb: 1", "unknown key 'bandwith_limit_kb'", "did you mean bandwidth_limit_kb"),
    ("qqqqq: 1", "unknown key 'qqqqq'", "the keys are"),
    ("bandwidth_limit_kb: fast", "expected a number of KB/s", "for example"),
    ("bandwidth_limit_kb: -1", "expected a number of KB/s", None),
    ("bandwidth_limit_kb: .nan", "expected a number of KB/s", None),
    ("bandwidth_limit_kb: .inf", "expected a number of KB/s", None),
    ("connections: 0", "expected a whole number from 1 to 64", None),
    ("connections: 2.5", "expected a whole number from 1 to 64", None),
    ("connections: true", "expected a whole number from 1 to 64", None),
    ("link: junction", "expected symlink, hardlink, reflink or copy, found 'junction'", None),
    ("hub_directory: [1]", "expected a folder's path", None),
    ("stores: [{kind: floppy, path: /a}]", "expected a list of {kind: folder", None),
    ("endpoint: ftp://x", "expected an http(s) address", None),
    ("- a list", "expected 'key: value' lines", None),
    ("key: [", "is not YAML: line 1", None),
    ("a: &x [*x]", "unknown key 'a'", None),
]


@pytest.mark.parametrize(("text", "message", "hint"), WRONG, ids=[text for text, _, _ in WRONG])
def test_a_wrong_key_or_value_is_named_with_its_file(
    around: Surroundings, text: str, message: str, hint: str | None
) -> None:
    path = write(around, text)
    with pytest.raises(SettingsError) as caught:
        load(around)
    assert str(path) in caught.value.message
    assert message in caught.value.message
    assert hint is None or hint in (caught.value.hint or "")
    assert caught.value.exit_code == 2


def test_a_wrong_environment_variable_is_named(around: Surroundings) -> None:
    around = Surroundings(around.home, around.here, {"WANGP_CONNECTIONS": "many"})
    with pytest.raises(
        SettingsError, match="environment variable WANGP_CONNECTIONS: expected a whole number"
    ):
        load(around)


@pytest.mark.parametrize("content", [b"\xff\xfe", b"x" * 2_000_000])
def test_a_file_that_is_no_configuration_is_refused(around: Surroundings, content: bytes) -> None:
    (around.here / "config.yaml").write_bytes(content)
    with pytest.raises(SettingsError, match=r"config\.yaml"):
        load(around)


def test_the_first_file_is_commented_and_reads_back(around: Surroundings, tmp_path: Path) -> None:
    (tmp_path / "home/Wan2GP/defaults").mkdir(parents=True)
    (tmp_path / "home/Wan2GP/wgp.py").touch()
    loaded = load(around, {"connections": "3"})
    path = write_first(loaded)
    text = path.read_text()
    assert all(f"{name}:" in text for name in KEYS)
    assert "# Your local model hub" in text
    again = load(around, config_file=path)
    assert again.settings.wan2gp_directory == tmp_path / "home/Wan2GP"
    assert again.origins["connections"] is Origin.DEFAULT  # an option is not a setting


def test_set_keeps_comments_and_everything_else(around: Surroundings) -> None:
    path = write(around, "# mine\nconnections: 3  # three\n# hub_directory: /data/model-hub\nlink: copy\n")
    assert set_key(path, "connections", "5") == 5
    assert set_key(path, "hub_directory", "/x y/hub") == Path("/x y/hub")
    assert set_key(path, "stores", "[{kind: folder, path: /nas}]") == (StoreSetting("folder", Path("/nas")),)
    text = path.read_text()
    assert "# mine" in text
    assert "# three" in text
    settings = load(around).settings
    assert (settings.connections, settings.link, settings.hub_directory) == (5, "copy", Path("/x y/hub"))
    set_key(path, "link", "")
    assert load(around).settings.link == "symlink"


def test_set_refuses_nonsense_and_changes_nothing(around: Surroundings) -> None:
    path = write(around, "connections: 3\n")
    for key, value in (("conections", "4"), ("connections", "none"), ("stores", "[{")):
        with pytest.raises(SettingsError):
            set_key(path, key, value)
    assert path.read_text() == "connections: 3\n"


def test_set_makes_the_file_where_there_is_none(around: Surroundings) -> None:
    path = around.home / "deep/config.yaml"
    set_key(path, "connections", "4")
    assert load(around, config_file=path).settings.connections == 4


def test_an_unwritable_folder_is_a_clear_error(around: Surroundings) -> None:
    blocked = around.home / "file"
    blocked.touch()
    with pytest.raises(SettingsError, match="can not be written"):
        set_key(blocked / "config.yaml", "connections", "4")


def test_offline_comes_from_the_option_or_the_hf_variable(around: Surroundings) -> None:
    assert not load(around).offline
    assert load(around, offline=True).offline
    assert load(Surroundings(around.home, around.here, {"HF_HUB_OFFLINE": "1"})).offline
    assert not load(Surroundings(around.home, around.here, {"HF_HUB_OFFLINE": "0"})).offline


@pytest.mark.parametrize(
    "folder", ["/123", "123", "a: b", "@x", "/x #1", "yes", "C:\\x", "- a", "{x}", "'q'"]
)
def test_set_takes_a_folder_as_it_is_written(around: Surroundings, folder: str) -> None:
    path = write(around, "# mine\n")
    set_key(path, "hub_directory", folder)
    assert load(around).settings.hub_directory == around.here / folder
    assert path.read_text(encoding="utf-8").startswith("# mine\n")


TEMPLATE_COMMENTS = [f"# {line}" for key in KEYS.values() for line in key.help.splitlines()]
_VALUES = {
    "hub_directory": st.text(st.characters(blacklist_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1).filter(
        lambda text: text.strip() and not set("$~") & set(text)
    ),
    "bandwidth_limit_kb": st.one_of(
        st.integers(0, 10**9).map(str), st.integers(1, 100).map(lambda share: f"{share}%")
    ),
    "connections": st.integers(1, 64).map(str),
    "link": st.sampled_from(["symlink", "hardlink", "reflink", "copy"]),
    "bandwidth_schedule": st.just("08:00,512k 23:00,off"),
    "endpoint": st.just("http://mirror:8080/sub"),
    "stores": st.sampled_from(["[{kind: hub, path: /x}]", "[/a, /b]", "[]"]),
}
_CHANGES = st.sampled_from(sorted(_VALUES)).flatmap(
    lambda key: st.tuples(st.just(key), st.one_of(st.just(""), _VALUES[key]))
)


@settings(max_examples=25)
@given(st.lists(_CHANGES, max_size=6), st.booleans())
def test_set_is_read_back_and_comments_stay(changes: list[tuple[str, str]], from_template: bool) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        around = Surroundings(folder / "home", folder, {})
        path = folder / "config.yaml"
        if not from_template:
            path.write_text("# mine\nverify: trust # because\n# also mine\n", encoding="utf-8")
        expected = {}
        for key, text in changes:
            expected[key] = set_key(path, key, text)
        read = load_settings(around=around).settings
        assert {key: getattr(read, key) for key in expected} == expected
        comments = TEMPLATE_COMMENTS if from_template else ["# mine", "trust # because", "# also mine"]
        content = path.read_text(encoding="utf-8") if path.exists() else "\n".join(comments)
        assert [comment for comment in comments if comment not in content] == []


@pytest.mark.parametrize(
    ("before", "key", "value", "after"),
    [
        ("# a\nlink: copy # why\n# b\n", "link", "symlink", "# a\nlink: symlink # why\n# b\n"),
        ("link: copy # why\n# b\n", "link", "", "# b\n"),
        ("stores:\n- /a\n- kind: hub\n  path: /b\n# b\nlink: copy\n", "stores", "", "# b\nlink: copy\n"),
        ("stores:\n- /a\n# b\n", "stores", "[/c]", "stores:\n- /c\n# b\n"),
        ("stores: [/a,\n  /b]\n# b\n", "stores", "", "# b\n"),
        ('"link": copy\n', "link", "", ""),
        ("{link: copy}\n", "connections", "3", "{link: copy, connections: 3}\n"),
        ("---\nlink: copy\n", "connections", "3", "---\nlink: copy\nconnections: 3\n"),
        ("# only this", "connections", "3", "# only this\nconnections: 3\n"),
        ("hub_directory: |\n  /x\nlink: copy\n", "hub_directory", "", "link: copy\n"),
    ],
)
def test_set_touches_nothing_else(
    around: Surroundings, before: str, key: str, value: str, after: str
) -> None:
    path = write(around, before)
    set_key(path, key, value)
    assert path.read_text(encoding="utf-8") == after


@pytest.mark.parametrize("value", ["https://h h", "http://h\n.x", "http://h\tx"])
def test_an_endpoint_with_blanks_is_none(around: Surroundings, value: str) -> None:
    with pytest.raises(SettingsError, match="expected an http"):
        load(around, {"endpoint": value})


def test_a_misspelt_variable_is_mentioned(around: Surroundings) -> None:
    around = Surroundings(around.home, around.here, {"WANGP_HUB_DIRECTORYS": "/x", "WANGP_OTHER": "1"})
    (note,) = load(around).notes
    assert "WANGP_HUB_DIRECTORYS means nothing; did you mean WANGP_HUB_DIRECTORY?" in note


@pytest.mark.parametrize("value", ["http://x:99999", "http://x:abc", "http://x:0", "http://[::1"])
def test_an_endpoint_has_a_port_that_exists(around: Surroundings, value: str) -> None:
    with pytest.raises(SettingsError, match="expected an http"):
        load(around, {"endpoint": value})
    assert load(around, {"endpoint": "http://x:8080/"}).settings.endpoint == "http://x:8080"


@pytest.mark.parametrize("value", ["1_000", "٣", "1_0%", "nan", "inf", " "])
def test_a_limit_is_written_in_plain_digits(around: Surroundings, value: str) -> None:
    with pytest.raises(SettingsError, match="expected a number of KB/s"):
        load(around, {"bandwidth_limit_kb": value})


def test_an_empty_variable_is_none_at_all(around: Surroundings) -> None:
    path = write(around, "bandwidth_limit_kb: 5\n")
    around = Surroundings(around.home, around.here, {"WANGP_BANDWIDTH_LIMIT_KB": ""})
    loaded = load(around, config_file=path)
    assert (loaded.settings.bandwidth_limit_kb, loaded.origins["bandwidth_limit_kb"]) == (5, Origin.FILE)


def test_the_home_of_a_user_who_is_not_there_is_named_with_its_file(around: Surroundings) -> None:
    path = write(around, "hub_directory: ~nosuchuser/x\n")
    with pytest.raises(SettingsError) as caught:
        load(around)
    assert caught.value.message.startswith(f"{path}: hub_directory: expected a folder's path")


def test_a_named_file_is_made_only_in_a_folder_that_is_there(around: Surroundings) -> None:
    assert not load(around, config_file=Path("new.yaml")).exists
    with pytest.raises(SettingsError, match=r"typo.c\.yaml: there is no such folder"):
        load(around, config_file=Path("typo/c.yaml"))


@pytest.mark.skipif(os.name == "nt", reason="modes are POSIX")
def test_set_keeps_mode_and_link(around: Surroundings) -> None:
    kept = around.home / "dotfiles.yaml"
    kept.write_text("connections: 3\n")
    kept.chmod(0o640)
    link = around.here / "config.yaml"
    link.symlink_to(kept)
    set_key(link, "connections", "5")
    assert link.readlink() == kept
    assert kept.read_text() == "connections: 5\n"
    assert kept.stat().st_mode & 0o777 == 0o640
