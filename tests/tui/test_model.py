"""Rows, view and selection: the rules without a screen."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tui.fake_engine import GIB, FakeEngine, FakeModel, make_file, make_files
from wangp_downloader.events import FileFinished, FileProgress, FileStarted, HashProgress
from wangp_downloader.files import Action, Evidence, LocalCopy, Outcome, Plan, PlannedFile
from wangp_downloader.snapshot import Snapshot, fold
from wangp_downloader.tui.model import SORT_KEYS, FileModel, View, source_text
from wangp_downloader.tui.models import ModelsModel, Readiness
from wangp_downloader.tui.painting import FILE_COLUMNS, MODEL_COLUMNS, paint_file, paint_model
from wangp_downloader.tui.rows import Row, Status

HIGH, LOW = "ckpts/high.safetensors", "ckpts/low.safetensors"
MODELS = (FakeModel("t2v", "Wan Text2video", "wan"), FakeModel("flux", "Flux 1 Dev", "flux"))


def pair() -> tuple[PlannedFile, PlannedFile]:
    return (
        make_file("high.safetensors", ("t2v",), pair=LOW, size=4 * GIB),
        make_file("low.safetensors", ("t2v",), pair=HIGH, size=3 * GIB),
    )


def model_of(*files: PlannedFile, view: View | None = None) -> FileModel:
    model = FileModel(view)
    model.load(Plan(files), MODELS)
    return model


def keys(rows: list[Row]) -> list[str]:
    return [row.key for row in rows]


# Statuses


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"action": Action.KEEP}, Status.PRESENT),
        ({"action": Action.KEEP, "link_to": "/data/x"}, Status.LINKED),
        ({"action": Action.LINK, "source": LocalCopy("hub", "/x", Evidence.COMPUTED)}, Status.LINKABLE),
        ({"action": Action.DOWNLOAD}, Status.MISSING),
        ({"action": Action.BLOCKED, "reason": "gated"}, Status.BLOCKED),
        ({"action": Action.CONFLICT}, Status.CONFLICT),
    ],
)
def test_what_the_plan_says_is_the_status_at_rest(changes: dict[str, object], status: Status) -> None:
    (row,) = model_of(make_file("a.bin", ("t2v",), **changes), view=View(show_all=True)).rows
    assert row.status is status
    assert status.word in row.haystack


def test_every_status_has_a_glyph_of_one_cell() -> None:
    assert all(len(status.glyph) == 1 for status in Status)


def test_a_transfer_overrides_the_plan_until_the_run_ends() -> None:
    model = model_of(make_file("a.bin", ("t2v",), size=100))
    (row,) = model.rows
    snapshot = fold(Snapshot(), [FileStarted(row.key, 100, 0), FileProgress(row.key, 40, 1.0)])
    assert model.follow(snapshot, [row.key]) == [row]
    assert row.status.word == "downloading"
    assert row.bytes_to_fetch == 60
    assert model.follow(snapshot, [row.key]) == []
    model.end_run()
    assert row.status.word == "missing"
    assert row.part_bytes == 40


def test_what_ended_well_is_unselected_and_what_failed_is_not() -> None:
    model = model_of(make_file("a.bin", ("t2v",)), make_file("b.bin", ("t2v",)))
    model.select(model.rows)
    events = [
        FileFinished("ckpts/a.bin", Outcome.DOWNLOADED, verified=True),
        FileFinished("ckpts/b.bin", Outcome.FAILED, "no route"),
    ]
    model.follow(fold(Snapshot(), events), ["ckpts/a.bin", "ckpts/b.bin"])
    assert keys(model.selected) == ["ckpts/b.bin"]
    assert keys(model.failed) == ["ckpts/b.bin"]
    model.forget_transfers(["ckpts/b.bin"])
    assert model.failed == []


def test_hashing_shows_at_the_path_itself_or_at_all_of_its_size() -> None:
    model = FileModel()
    model.load(Plan((*pair(), make_file("x.bin", ("t2v",), size=3 * GIB))), MODELS, root="/root")
    model.follow(fold(Snapshot(), [HashProgress("/root/ckpts/high.safetensors", GIB, 4 * GIB)]), [])
    assert [row.status for row in model.rows] == [Status.HASHING, Status.MISSING, Status.MISSING]
    model.follow(fold(Snapshot(), [HashProgress("/elsewhere/y", GIB, 3 * GIB)]), [])
    assert [row.status for row in model.rows] == [Status.MISSING, Status.HASHING, Status.HASHING]
    model.follow(Snapshot(), [])
    assert {row.status for row in model.rows} == {Status.MISSING}


# Selection


def test_a_pair_is_picked_and_dropped_together_from_either_side() -> None:
    model = model_of(*pair())
    high, low = model.rows
    assert "and its low-noise partner" in model.toggle(high)
    assert keys(model.selected) == [HIGH, LOW]
    assert "high-noise partner" in model.toggle(low)
    assert model.selected == []


def test_a_pair_named_from_one_side_only_still_is_a_pair() -> None:
    high, low = pair()
    model = model_of(high, replace(low, pair=None))
    model.toggle(model.rows[1])
    assert len(model.selected) == 2


def test_a_partner_that_is_in_place_is_left_alone() -> None:
    high, low = pair()
    model = model_of(high, replace(low, action=Action.KEEP))
    said = model.toggle(model.rows[0])
    assert keys(model.selected) == [HIGH]
    assert "partner" not in said


def test_selecting_several_takes_partners_and_nothing_that_can_not_be_had() -> None:
    files = (*pair(), make_file("kept.bin", ("t2v",), action=Action.KEEP))
    model = model_of(*files)
    assert model.select([model.rows[0], model.rows[2]]) == 2
    assert model.clear_selection() == 2


def test_a_selection_of_an_earlier_start_waits_for_its_rows() -> None:
    model = FileModel()
    model.wish(["ckpts/a.bin", "ckpts/later.bin"])
    model.load(Plan((make_file("a.bin", ("t2v",)),)), MODELS)
    assert keys(model.selected) == ["ckpts/a.bin"]
    assert model.selected_keys == ["ckpts/a.bin", "ckpts/later.bin"]
    model.load(Plan((make_file("a.bin", ("t2v",)), make_file("later.bin", ("t2v",)))), MODELS)
    assert len(model.selected) == 2


def test_totals_of_the_selection() -> None:
    link = make_file(
        "l.bin", ("t2v",), size=GIB, action=Action.LINK, source=LocalCopy("hub", "/x", Evidence.NAMED)
    )
    model = FileModel()
    model.load(Plan((*pair(), link, make_file("u.bin", ("t2v",), size=None))), MODELS, {HIGH: GIB})
    model.select(model.rows)
    totals = model.totals()
    assert (totals.files, totals.downloads, totals.links) == (4, 3, 1)
    assert (totals.download_bytes, totals.link_bytes, totals.unknown_sizes) == (6 * GIB, GIB, 1)


# View


def test_the_filter_is_words_in_any_order_over_everything() -> None:
    model = model_of(
        make_file("flux1_int8.safetensors", ("flux",)),
        make_file("wan_bf16.safetensors", ("t2v",), required=False),
    )
    model.set_view(variants=True)
    for text, expected in (
        ("", 2),
        ("FLUX Missing", 1),
        ("int8 flux", 1),
        ("text2video", 1),
        ("variant", 1),
        ("!variant", 1),
        ("deepbeepmeep", 2),
        ("nothing", 0),
        ("!", 2),
    ):
        model.set_view(text=text)
        assert len(model.view) == expected, text


def test_a_selected_row_is_shown_whatever_the_mode() -> None:
    model = model_of(make_file("v.bin", ("t2v",), required=False))
    assert model.view == []
    model.rows[0].set_selected(True)
    model.apply()
    assert len(model.view) == 1


@pytest.mark.parametrize("column", SORT_KEYS)
def test_each_column_sorts_both_ways_and_back(column: str) -> None:
    files, models = make_files(60)
    model = FileModel(View(show_all=True, variants=True))
    model.load(Plan(files), models)
    order = keys(model.view)
    model.set_view(sort=column)
    values = [SORT_KEYS[column](row) for row in model.view]
    assert values == sorted(values)
    model.set_view(descending=True)
    values = [SORT_KEYS[column](row) for row in model.view]
    assert values == sorted(values, reverse=True)
    model.set_view(sort="", descending=False)
    assert keys(model.view) == order


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["toggle", "filter", "sort", "all", "variants", "reload"]), st.integers(0, 59)
        ),
        max_size=25,
    )
)
def test_only_a_toggle_changes_the_selection(steps: list[tuple[str, int]]) -> None:
    files, models = make_files(60)
    model = FileModel()
    model.load(Plan(files), models)
    for step, number in steps:
        before = set(keys(model.selected))
        match step:
            case "toggle":
                model.toggle(model.rows[number])
            case "filter":
                model.set_view(text=["", "int8", "wan !vae", "zzz"][number % 4])
            case "sort":
                model.set_view(sort=["", *SORT_KEYS][number % 8], descending=number > 30)
            case "all":
                model.set_view(show_all=number % 2 == 0)
            case "variants":
                model.set_view(variants=number % 2 == 0)
            case _:
                model.load(Plan(files), models)
        if step != "toggle":
            assert set(keys(model.selected)) == before
        assert [row.position for row in model.view] == list(range(len(model.view)))
        for row in model.selected:
            partner = model.partner(row)
            assert partner is None or partner.selected


def test_where_a_file_comes_from() -> None:
    url = replace(make_file("a.bin", ("t2v",)).remote, repo=None, url="https://example.org/a.bin")  # type: ignore[type-var]
    texts = [
        source_text(row)
        for row in model_of(
            make_file("a.bin", ("t2v",)),
            make_file("b.bin", ("t2v",), remote=url),
            make_file("c.bin", ("t2v",), remote=None),
            make_file("d.bin", ("t2v",), action=Action.KEEP),
            make_file(
                "e.bin", ("t2v",), action=Action.LINK, source=LocalCopy("comfyui", "/x", Evidence.NAMED)
            ),
        ).rows
    ]
    assert texts == ["DeepBeepMeep/T2V", "example.org", "local only", "in place", "comfyui"]


# Models


def test_models_are_as_ready_as_their_files() -> None:
    engine = FakeEngine.of(40)
    files = FileModel()
    files.load(Plan(engine.files), engine.catalog)
    models = ModelsModel()
    models.load(engine.catalog, files.rows)
    by_id = {row.id: row for row in models.rows}
    assert by_id["flux_dev"].readiness is Readiness.BLOCKED
    assert by_id["t2v_2_2"].readiness is Readiness.PARTIAL
    assert by_id["ltxv_distilled"].unknown
    models.apply("partial wan", show_all=False)
    assert all(row.family == "wan" and row.readiness is Readiness.PARTIAL for row in models.view)
    for row in by_id["i2v_2_2"].rows:
        row.status = Status.PRESENT
    models.recount()
    assert by_id["i2v_2_2"].readiness is Readiness.READY
    models.apply("", show_all=False)
    assert "i2v_2_2" not in [row.id for row in models.view]
    models.sort = "needed"
    models.apply("", show_all=True)
    assert [row.needed for row in models.view] == sorted(row.needed for row in models.rows)


def test_a_name_that_several_files_have_comes_with_its_folder() -> None:
    targets = (
        "ckpts/a/vae.pth",
        "ckpts/b/vae.pth",
        "ckpts/c/own.pth",
        "ckpts/umt5/config.json",
        "ckpts/x.json",
    )
    model = model_of(*(make_file(target, ("t2v",), target=target) for target in targets))
    assert [row.name for row in model.rows] == [
        "a/vae.pth",
        "b/vae.pth",
        "own.pth",
        "umt5/config.json",
        "x.json",
    ]


# Drawing caches


def test_no_row_of_a_new_plan_has_the_version_of_an_old_one() -> None:
    files, models = FileModel(), ModelsModel()
    seen: set[int] = set()
    for _ in range(3):
        files.load(Plan(pair()), MODELS)
        models.load(MODELS, files.rows)
        now = {row.version for row in files.rows} | {row.version for row in models.rows}
        assert len(now) == len(files.rows) + len(models.rows)
        assert not seen & now
        seen |= now


def test_names_with_line_breaks_stay_on_their_line() -> None:
    odd = "t2v\nred"
    files, models = model_of(make_file("x.bin", (odd,))), ModelsModel()
    models.load([FakeModel(odd, "Wan\nText", "wan\n")], files.rows)
    painted = [paint_file(files.rows[0], column.key, 40) for column in FILE_COLUMNS]
    painted += [paint_model(models.rows[0], column.key, 40) for column in MODEL_COLUMNS]
    assert all(text.isprintable() for parts in painted for text, _ in parts)
