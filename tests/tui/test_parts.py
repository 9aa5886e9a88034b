"""The small parts: columns and bars, limits, memory, the lane, the settings form's model."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from tests.tui.fake_engine import FakeEngine, make_file
from wangp_downloader.cancel import CancelToken
from wangp_downloader.files import Action
from wangp_downloader.names import crop_end, crop_middle, crop_name
from wangp_downloader.places import Surroundings
from wangp_downloader.planner import Request
from wangp_downloader.settings.load import load_settings
from wangp_downloader.tui import limits
from wangp_downloader.tui.columns import GAP, bar, fit, graph, pad
from wangp_downloader.tui.config_form import ConfigForm
from wangp_downloader.tui.lane import Lane
from wangp_downloader.tui.painting import FILE_COLUMNS, MODEL_COLUMNS, file_columns
from wangp_downloader.tui.plan_cache import load_plan, save_plan
from wangp_downloader.tui.rows import Row
from wangp_downloader.tui.state import UiState, load_state, save_state

# Columns


@given(st.integers(30, 400), st.sampled_from([FILE_COLUMNS, MODEL_COLUMNS]))
def test_columns_fill_the_width_exactly(width: int, columns: tuple[object, ...]) -> None:
    fitted = fit(columns, width)  # type: ignore[arg-type]
    assert sum(cells for _, cells in fitted) + GAP * (len(fitted) - 1) == max(
        width, sum(column.minimum for column, _ in fitted) + GAP * (len(fitted) - 1)
    )
    assert all(cells >= column.minimum for column, cells in fitted)


@pytest.mark.parametrize(
    ("width", "columns"),
    [
        (56, "mark file size status"),
        (78, "mark config file size status"),
        (97, "mark config file size status target"),
        (158, "mark config file size source status target"),
    ],
)
def test_columns_fall_away_by_priority(width: int, columns: str) -> None:
    assert [column.key for column, _ in fit(FILE_COLUMNS, width)] == columns.split()


@given(st.text(max_size=40), st.integers(1, 30))
def test_text_never_overflows_its_cell(text: str, width: int) -> None:
    text = "".join(char for char in text if char.isprintable())
    assert cell_len(crop_end(text, width)) <= width
    assert cell_len(crop_middle(text, width)) <= width
    assert cell_len(crop_name(text, width)) <= width
    assert cell_len(crop_name(f"{text}_high_quanto_bf16_int8.safetensors", width)) <= width
    assert cell_len(pad(text, width)) == width
    assert cell_len(pad(text, width, right=True)) == width


def test_both_ends_of_a_long_name_stay() -> None:
    cropped = crop_middle("wan2.2_text2video_14B_high_quanto_mbf16_int8.safetensors", 30)
    assert cropped.startswith("wan2.2_text")
    assert cropped.endswith("int8.safetensors")
    assert len(cropped) == 30


@pytest.mark.parametrize(
    ("width", "cropped"),
    [
        (55, "wan2.2_text2video_14B_high_quanto_mbf16_int8.safetensors"[:43] + "8"),
        (38, "wan2.2_text2video_14B_high…int8"),
        (24, "wan2.2_text2v…high…int8"),
        (18, "wan2.2_…high…int8"),
    ],
)
def test_a_name_keeps_the_words_that_tell_it_apart(width: int, cropped: str) -> None:
    assert crop_name("wan2.2_text2video_14B_high_quanto_mbf16_int8.safetensors", width) == cropped


def test_what_is_left_over_makes_bars_longer_and_nothing_else() -> None:
    columns = file_columns([Row(make_file("a.safetensors", ("t2v",)), {})], running=True)
    fitted = {column.key: cells for column, cells in fit(columns, 248)}
    assert fitted["status"] == 70
    assert fitted["config"] == 12
    assert fitted["source"] == 16


def test_room_goes_to_the_reason_then_the_folder_then_the_end_of_the_name() -> None:
    why = "another file stands at its place"
    target = "ckpts/a/folder/of/some/length/name.safetensors"
    file = make_file("x", ("t2v",), target=target, action=Action.CONFLICT, reason=why)
    columns = file_columns([Row(file, {})], running=False)
    fitted = {column.key: cells for column, cells in fit(columns, 150)}
    assert fitted["status"] == len(f"! conflict: {why}")
    assert fitted["target"] >= len("ckpts/a/folder/of/some/length/")


@given(st.floats(-1, 2), st.integers(1, 60))
def test_a_bar_has_its_length(fraction: float, width: int) -> None:
    filled, empty = bar(fraction, width)
    assert len(filled + empty) == width


def test_a_graph_is_scaled_to_its_top() -> None:
    assert graph([0, 5, 10], 10) == "▁▄█"
    assert graph([0, 0], 10) == "▁▁"
    assert graph([1, 2, 3, 4], 2) == "▆█"
    assert graph([], 5) == ""


# Limits


def test_limits_go_up_to_none_and_down_to_the_lowest() -> None:
    limit: float | None = limits.slower(None, 50 * 1024 * 1024)
    assert limit == 30 * 1024
    seen = []
    while limit is not None:
        seen.append(limit)
        limit = limits.faster(limit)
    assert seen == sorted(seen)
    for _ in range(60):
        limit = limits.slower(limit, 0)
    assert limit == 100
    assert limits.slower(100, 0) == 100
    assert limits.faster(None) is None


# Memory


def test_the_state_survives_the_disk(tmp_path: Path) -> None:
    state = UiState(
        text="flux int8", show_all=True, sort="size", selection=("a", "ü"), theme="nord", cursor="a"
    )
    save_state(tmp_path / "deep" / "ui.json", state)
    assert load_state(tmp_path / "deep" / "ui.json") == state
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["ui.json"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        b'{"version": 99, "text": "x"}',
        b"[" * 100_000,
        b'{"version": 1, "text": 3, "selection": [1, null], "show_all": "yes"}',
    ],
    ids=["empty", "not utf-8", "a list", "newer", "deep", "wrong types"],
)
def test_a_broken_state_is_ignored(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "ui.json").write_bytes(content)
    assert load_state(tmp_path / "ui.json") == UiState()


def test_the_last_plan_survives_the_disk_for_its_configuration_only(tmp_path: Path) -> None:
    engine, path = FakeEngine.of(60), tmp_path / "last-plan.bin"
    plan = engine.plan(Request())
    save_plan(path, "a", plan, engine.models())
    cached = load_plan(path, "a")
    assert cached is not None
    assert cached.plan == plan
    assert [model.name for model in cached.models] == [model.name for model in engine.models()]
    assert load_plan(path, "b") is None
    path.write_bytes(path.read_bytes()[:100])
    assert load_plan(path, "a") is None
    assert load_plan(tmp_path / "absent", "a") is None


def test_a_last_plan_with_a_damaged_byte_is_ignored_or_read(tmp_path: Path) -> None:
    engine, path = FakeEngine.of(4), tmp_path / "last-plan.bin"
    save_plan(path, "a", engine.plan(Request()), engine.models())
    content = path.read_bytes()
    for place in range(len(content)):
        path.write_bytes(content[:place] + b"\xff" + content[place + 1 :])
        load_plan(path, "a")
    path.write_bytes(b"\x91" * 100_000)
    assert load_plan(path, "a") is None


@pytest.mark.timeout(20)
def test_pipes_in_the_place_of_what_is_remembered_are_ignored(tmp_path: Path) -> None:
    for name in ("ui.json", "last-plan.bin"):
        os.mkfifo(tmp_path / name)
    assert load_state(tmp_path / "ui.json") == UiState()
    assert load_plan(tmp_path / "last-plan.bin", "a") is None


# The lane


def test_the_lane_does_one_thing_after_the_other_and_can_be_stopped() -> None:
    lane, order, begun = Lane(), [], threading.Event()

    def first(token: CancelToken) -> None:
        begun.set()
        token.wait(20)
        order.append(("first", token.cancelled))

    def second(token: CancelToken) -> None:
        order.append(("second", token.cancelled))

    lane.submit(first)
    lane.submit(second)
    assert begun.wait(20)
    assert not lane.idle
    lane.cancel_all()
    assert lane.wait_idle(20)
    assert order == [("first", True), ("second", True)]


# The settings form's model


@pytest.fixture
def around(tmp_path: Path) -> Surroundings:
    tree = tmp_path / "Wan2GP"
    (tree / "defaults").mkdir(parents=True)
    (tree / "wgp.py").touch()
    (tmp_path / "home").mkdir()
    return Surroundings(tmp_path / "home", tmp_path, {})


def form_of(around: Surroundings) -> ConfigForm:
    return ConfigForm(lambda: load_settings(around=around), around, lambda: False)


def test_the_form_finds_checks_and_writes(around: Surroundings) -> None:
    form = form_of(around)
    tree = str(around.here / "Wan2GP")
    found = {finding.label: finding for finding in form.findings()}
    assert found["Wan2GP"].found
    assert not found["InvokeAI"].found
    fields = {field.key: field for field in form.fields()}
    assert fields["wan2gp_directory"].value == tree
    assert [key for key, field in fields.items() if not field.advanced] == [
        "wan2gp_directory",
        "hub_directory",
        "bandwidth_limit_kb",
    ]
    path = Path(form.save({"wan2gp_directory": tree, "hub_directory": "", "bandwidth_limit_kb": "5000"}))
    assert "bandwidth_limit_kb: 5000" in path.read_text()
    assert load_settings(config_file=path, around=around).settings.wan2gp_directory == Path(tree)


@pytest.mark.parametrize(
    ("key", "text", "problem"),
    [
        ("wan2gp_directory", "", "is needed"),
        ("wan2gp_directory", "/nowhere/at/all", "no such folder"),
        ("wan2gp_directory", "home", "no wgp.py"),
        ("bandwidth_limit_kb", "fast", "expected a number"),
        ("hub_directory", "Wan2GP/wgp.py", "a file, not a folder"),
        ("invokeai_db", "nothing.db", "no such file"),
        ("connections", "0", "expected a whole number"),
    ],
)
def test_the_form_says_what_is_wrong(around: Surroundings, key: str, text: str, problem: str) -> None:
    assert problem in (form_of(around).validate(key, text) or "")


def test_the_form_takes_what_is_right(around: Surroundings) -> None:
    form = form_of(around)
    for key, text in (
        ("wan2gp_directory", "Wan2GP"),
        ("hub_directory", ""),
        ("connections", "16"),
        ("link", "copy"),
    ):
        assert form.validate(key, text) is None


def test_saving_keeps_the_comments_of_a_file_that_is_there(around: Surroundings) -> None:
    path = around.here / "config.yaml"
    path.write_text("# mine\nwan2gp_directory: Wan2GP  # the tree\n")
    form = form_of(around)
    values = {field.key: field.value for field in form.fields()}
    form.save(values | {"connections": "3"})
    text = path.read_text()
    assert "# mine" in text
    assert "# the tree" in text
    assert "connections: 3" in text
