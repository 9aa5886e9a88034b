"""The program under keys and mouse: what it does, said and shows; not how it looks."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest

from tests.tui.conftest import Open, Screen
from tests.tui.fake_engine import GIB, FakeEngine, FakeLoaded, FakeModel, FakePart, make_file
from tests.tui.fake_setup import FakeSetup
from wangp_downloader.errors import OfflineError, SettingsError, StorageError
from wangp_downloader.events import (
    Emit,
    FileFinished,
    FileLocked,
    FilePaused,
    FileProgress,
    FileQueued,
    FileRetrying,
    HashProgress,
    Level,
    MetadataProgress,
    Notice,
    Topic,
)
from wangp_downloader.files import Action, Outcome, RemoteState
from wangp_downloader.tui.desk import RunState
from wangp_downloader.tui.rows import Status
from wangp_downloader.tui.screens.confirm import ConfirmScreen
from wangp_downloader.tui.screens.help import HelpScreen
from wangp_downloader.tui.screens.log import LogScreen
from wangp_downloader.tui.state import load_state
from wangp_downloader.tui.widgets.downloads import DownloadsPane, PaneLog

HIGH, LOW = "t2v_2_2_high_quanto_int8.safetensors", "t2v_2_2_low_quanto_int8.safetensors"


async def answered(screen: Screen, key: str) -> None:
    """Wait for the question, answer it, wait until it is gone."""
    await screen.until(lambda: isinstance(screen.app.screen, ConfirmScreen), "a question")
    await screen.press(key)
    await screen.until(lambda: screen.app.screen is screen.main, "the answer")


# What is shown


async def test_it_opens_with_what_is_missing_and_nothing_selected(open_app: Open) -> None:
    async with open_app() as screen:
        assert screen.selected == []
        assert screen.shown[0] == HIGH
        assert "dw-ll_ucoco_384.onnx" not in screen.shown
        assert not any("bf16" in name for name in screen.shown)
        assert "nothing selected" in screen.selection_bar
        assert "310 GB free" in screen.selection_bar
        assert screen.main.focused is screen.main.files


async def test_s_and_v_show_more_and_less(open_app: Open) -> None:
    async with open_app() as screen:
        few = len(screen.shown)
        await screen.press("s")
        assert "dw-ll_ucoco_384.onnx" in screen.shown
        await screen.press("v")
        assert any("bf16" in name for name in screen.shown)
        assert len(screen.shown) == 60
        await screen.press("s", "v")
        assert len(screen.shown) == few


async def test_every_status_has_its_row(open_app: Open) -> None:
    async with open_app() as screen:
        statuses = {row.status for row in screen.main.desk.files.rows}
        assert statuses == {
            Status.MISSING,
            Status.PRESENT,
            Status.LINKED,
            Status.LINKABLE,
            Status.BLOCKED,
            Status.CONFLICT,
        }


async def test_the_model_view_selects_what_a_model_needs(open_app: Open) -> None:
    async with open_app() as screen:
        await screen.press("m")
        await screen.until(lambda: screen.main.focused is screen.main.table, "focus in the model table")
        assert [row.id for row in screen.main.desk.models.view][:2] == ["t2v_2_2", "i2v_2_2"]
        await screen.press("j", "enter")
        assert screen.selected == [
            "i2v_2_2_high_quanto_int8.safetensors",
            "i2v_2_2_low_quanto_int8.safetensors",
            "i2v_2_2_vae.safetensors",
        ]
        await screen.press("enter")
        assert screen.selected == []
        await screen.press("enter", "m")
        assert len(screen.selected) == 3
        assert screen.main.files.display


async def test_the_details_say_why(open_app: Open) -> None:
    async with open_app() as screen:
        await screen.press("i")
        await screen.until(lambda: screen.main.query("#details-text"), "the pane")
        content = "".join(str(screen.main.query_one("#details-text").render()).split())
        for words in (
            "Wan2.2 Text2video 14B",
            "URLs of t2v_2_2",
            LOW,
            "SHA256",
            "high_bf16",
            "by your settings",
        ):
            assert words.replace(" ", "") in content
        await screen.press("i")
        assert not screen.main.query_one("#details").display


async def test_the_details_are_wrapped_to_what_is_left_beside_their_scrollbar(open_app: Open) -> None:
    async with open_app(size=(80, 24)) as screen:
        await screen.press("i")
        await screen.until(lambda: screen.main.query("#details-text"), "the pane")
        pane, text = screen.main.query_one("#details"), screen.main.query_one("#details-text")
        await screen.until(lambda: pane.max_scroll_y > 0, "more than fits")
        widest = max(len(line) for line in str(text.render()).splitlines())
        assert widest <= text.size.width


# Choosing


async def test_enter_and_space_toggle_both_partners_and_say_so(open_app: Open) -> None:
    async with open_app() as screen:
        await screen.press("enter")
        assert screen.selected == [HIGH, LOW]
        assert f"selected {HIGH} and its low-noise partner" in screen.status
        await screen.press("down", "space")
        assert screen.selected == []
        assert "high-noise partner" in screen.status


async def test_a_click_moves_the_cursor_and_selects_nothing(open_app: Open) -> None:
    async with open_app() as screen:
        third = screen.shown[2]
        await screen.pilot.click("#files", offset=(10, 3))
        assert screen.current == third
        assert screen.selected == []
        await screen.pilot.click("#files", offset=(1, 4))
        assert screen.selected == []


async def test_a_double_click_opens_the_details_and_selects_nothing(open_app: Open) -> None:
    async with open_app() as screen:
        await screen.pilot.click("#files", offset=(10, 3), times=2)
        await screen.until(lambda: screen.main.query("#details"), "the details")
        assert screen.selected == []


async def test_a_click_on_a_heading_sorts_there_and_back(open_app: Open) -> None:
    async with open_app(size=(160, 48)) as screen:
        order = screen.shown
        size_column = next(
            x for x in range(20, 120) if screen.main.files.render_line(0).text[x : x + 4] == "Size"
        )

        def sizes() -> list[int]:
            return [row.size or -1 for row in screen.main.desk.files.view]

        await screen.pilot.click("#files", offset=(size_column, 0))
        assert sizes() == sorted(sizes())
        await screen.pilot.click("#files", offset=(size_column, 0))
        await screen.pilot.pause()
        assert sizes() == sorted(sizes(), reverse=True)
        await screen.pilot.click("#files", offset=(size_column, 0))
        await screen.pilot.pause()
        assert screen.shown == order


async def test_what_can_not_be_had_can_not_be_selected_and_says_why(open_app: Open) -> None:
    async with open_app() as screen:
        await screen.press("slash", *"flux_dev_quanto", "enter", "enter")
        assert screen.selected == []
        assert "gated" in screen.status
        assert "accept the licence" in screen.status


async def test_a_and_u_act_on_what_is_shown(open_app: Open) -> None:
    async with open_app() as screen:
        await screen.press("slash")
        await screen.type("vace vae")
        await screen.press("enter", "a")
        assert screen.selected == ["vace_14B_vae.safetensors", "vace_14B_1_vae.safetensors"]
        assert "selected 2" in screen.status
        await screen.press("u")
        assert screen.selected == []


async def test_selection_and_cursor_survive_filter_sort_views_and_refresh(open_app: Open) -> None:
    async with open_app() as screen:
        await screen.press(*["down"] * 6, "enter")
        name = screen.current
        assert screen.selected == [name]
        for keys in (
            ["slash", *"vace", "enter"],
            ["escape"],
            ["o", "o", "O"],
            ["s"],
            ["v"],
            ["m", "m"],
            ["f5"],
        ):
            await screen.press(*keys)
            await screen.settle()
            assert screen.selected == [name], keys
            assert screen.current == name, keys


async def test_the_filter_works_at_every_keystroke_over_words(open_app: Open) -> None:
    async with open_app() as screen:
        await screen.press("slash")
        assert screen.main.focused is screen.main.filter
        counts = []
        for char in "wan int8":
            await screen.type(char)
            counts.append(len(screen.shown))
        assert counts == sorted(counts, reverse=True)
        assert all("int8" in name for name in screen.shown)
        await screen.press("ctrl+u")
        await screen.type("linkable flux")
        assert screen.shown
        assert all(screen.row(name).status is Status.LINKABLE for name in screen.shown)
        await screen.type(" !kontext")
        assert not any("kontext" in name for name in screen.shown)


async def test_letters_in_the_filter_are_text(open_app: Open) -> None:
    async with open_app() as screen:
        await screen.press("slash", *"adsfumq/?")
        assert screen.main.filter.value == "adsfumq/?"
        assert screen.selected == []
        assert screen.app.screen is screen.main


async def test_arrows_in_the_filter_move_the_table(open_app: Open) -> None:
    async with open_app() as screen:
        await screen.press("slash", *"vae", "down", "down", "up", "enter", "enter")
        assert screen.main.focused is screen.main.files
        assert screen.selected == [screen.shown[1]]


async def test_movement_keys(open_app: Open) -> None:
    async with open_app(size=(100, 20)) as screen:
        last = len(screen.shown) - 1
        for keys, position in (
            (["j", "j", "k"], 1),
            (["G"], last),
            (["g"], 0),
            (["end"], last),
            (["home"], 0),
            (["up"], 0),
            (["pagedown", "pageup"], 0),
            (["ctrl+d", "ctrl+u"], 0),
        ):
            await screen.press(*keys)
            assert screen.main.files.cursor == position, keys
        await screen.press("pagedown")
        assert screen.main.files.cursor > 5


# Escape


async def test_escape_leaves_the_filter_then_clears_it_then_quits(open_app: Open) -> None:
    async with open_app() as screen:
        await screen.press("slash", *"flux", "escape")
        assert screen.main.focused is screen.main.files
        assert screen.main.filter.value == "flux"
        await screen.press("escape")
        assert screen.main.filter.value == ""
        assert screen.app.return_code is None
        await screen.press("escape")
        await screen.until(lambda: screen.app.return_code == 0, "the end")


@pytest.mark.parametrize("pane", ["details", "downloads", "downloads-log"])
async def test_escape_in_a_pane_leads_back_to_the_table_and_enter_acts_on_the_row(
    open_app: Open, pane: str
) -> None:
    async with open_app(size=(160, 30)) as screen:
        await screen.press("i", "t")
        await screen.until(lambda: screen.main.query(f"#{pane}"), "the panes")
        await screen.pilot.click(f"#{pane}", offset=(4, 2))
        assert screen.main.focused is screen.main.query_one(f"#{pane}")
        await screen.press("enter")
        assert screen.selected == [HIGH, LOW]
        await screen.press("space", "j", "k")
        assert screen.selected == []
        assert screen.main.files.cursor == 0
        await screen.press("escape")
        assert screen.main.focused is screen.main.files
        assert screen.app.return_code is None


async def test_j_and_k_scroll_the_details(open_app: Open) -> None:
    async with open_app(size=(80, 24)) as screen:
        await screen.press("i")
        await screen.until(lambda: screen.main.query("#details-text"), "the pane")
        pane = screen.main.query_one("#details")
        await screen.until(lambda: pane.max_scroll_y > 1, "more than fits")
        screen.main.set_focus(pane)
        await screen.press("j", "j", "k")
        await screen.pilot.pause()
        assert pane.scroll_offset.y == 1
        assert screen.main.files.cursor == 0


async def test_typing_in_a_remembered_filter_replaces_it(open_app: Open) -> None:
    async with open_app() as screen:
        await screen.press("/", *"flux", "enter", "/", *"vae", "enter")
        assert screen.main.filter.value == "vae"
        await screen.press("/", "end", *" wan", "enter")
        assert screen.main.filter.value == "vae wan"


async def test_enter_as_a_raw_line_feed_is_enter(open_app: Open) -> None:
    async with open_app() as screen:
        await screen.press("ctrl+j")
        assert screen.selected == [HIGH, LOW]


async def test_escape_asks_once_before_it_aborts(open_app: Open) -> None:
    async with open_app(FakeEngine.of(60, hold=True)) as screen:
        await screen.press("enter", "d")
        await screen.until(lambda: screen.row(HIGH).status is Status.DOWNLOADING, "a download")
        await screen.press("escape")
        await answered(screen, "n")
        assert screen.main.desk.active
        await screen.press("escape")
        await answered(screen, "y")
        await screen.until(lambda: not screen.main.desk.active, "the stop")
        await screen.settle()
        assert screen.row(HIGH).status is Status.MISSING
        assert screen.selected == [HIGH, LOW]
        assert "stopped" in screen.status


# Fetching


async def test_d_fetches_the_selection_and_unselects_what_arrived(open_app: Open) -> None:
    async with open_app() as screen:
        await screen.press("enter", "j", "j", "enter", "d")
        await screen.until(lambda: "run 3" in screen.engine.calls, "the run")
        await screen.settle()
        assert screen.selected == []
        for name in (HIGH, LOW, "t2v_2_2_vae.safetensors"):
            assert screen.row(name).status is Status.DONE
        assert "all done: 1 linked (5.00 GB saved), 2 downloaded (17.0 GB)" in screen.status


async def test_d_without_a_selection_does_nothing(open_app: Open) -> None:
    async with open_app() as screen:
        await screen.press("d")
        assert not any(call.startswith("run") for call in screen.engine.calls)
        assert "nothing is selected" in screen.status


async def test_a_failure_is_shown_kept_and_tried_again(open_app: Open) -> None:
    engine = FakeEngine.of(60, fail=frozenset({f"ckpts/{HIGH}"}))
    async with open_app(engine) as screen:
        await screen.press("enter", "d")
        await screen.until(lambda: screen.row(HIGH).status is Status.FAILED, "the failure")
        await screen.settle()
        assert screen.row(HIGH).status is Status.FAILED
        assert screen.selected == [HIGH]
        assert "R tries again" in screen.status
        assert any("the connection was reset" in line for line in screen.main.desk.log_lines)
        engine.fail = frozenset()
        await screen.press("R")
        await screen.until(lambda: screen.row(HIGH).status is Status.DONE, "the second attempt")
        await screen.settle()
        assert screen.selected == []


async def test_a_second_d_waits_for_the_first_run(open_app: Open) -> None:
    async with open_app(FakeEngine.of(60, hold=True)) as screen:
        await screen.press("enter", "d")
        await screen.until(screen.engine.held.is_set, "a run")
        await screen.press("j", "j", "enter", "d")
        assert "1 file will start when the present downloads are done" in screen.status
        screen.engine.release.set()
        await screen.until(lambda: "run 1" in screen.engine.calls, "the second run")
        await screen.settle()
        assert screen.selected == []


async def test_too_little_space_is_said_before_anything_starts(open_app: Open) -> None:
    async with open_app(FakeEngine.of(60, free=GIB), free_bytes=lambda _: GIB) as screen:
        await screen.press("enter")
        assert "too little" in screen.selection_bar
        await screen.press("d")
        await answered(screen, "n")
        assert not any(call.startswith("run") for call in screen.engine.calls)
        assert "not started" in screen.status
        await screen.press("d")
        await answered(screen, "y")
        await screen.until(lambda: "run 2" in screen.engine.calls, "the run")


async def test_d_during_a_run_takes_only_what_is_new(open_app: Open) -> None:
    async with open_app(FakeEngine.of(60, hold=True)) as screen:
        await screen.press("enter", "d")
        await screen.until(screen.engine.held.is_set, "a run")
        screen.app.mailbox(FileFinished(f"ckpts/{HIGH}", Outcome.SKIPPED, "cancelled"))
        await screen.until(lambda: not screen.row(HIGH).busy, "the cancelled file")
        await screen.press("d")
        assert "nothing new is selected" in screen.status
        screen.engine.release.set()
        await screen.settle()
        assert [call for call in screen.engine.calls if call.startswith("run")] == ["run 2"]


async def test_retry_during_a_run_takes_what_failed_and_nothing_that_was_cancelled(open_app: Open) -> None:
    async with open_app(FakeEngine.of(60, hold=True)) as screen:
        await screen.press("a", "d")
        await screen.until(screen.engine.held.is_set, "a run")
        await screen.until(lambda: screen.row(LOW).busy, "the downloads")
        screen.main.desk.cancel_row(screen.row(LOW))
        for name in (HIGH, LOW):
            screen.app.mailbox(FileFinished(f"ckpts/{name}", Outcome.FAILED, "connection reset"))
        await screen.until(lambda: screen.row(LOW).status is Status.FAILED, "the failure")
        screen.engine.fail = frozenset((f"ckpts/{HIGH}", f"ckpts/{LOW}"))
        await screen.press("R")
        assert "1 file will start" in screen.status
        screen.engine.hold = False
        screen.engine.release.set()
        await screen.until(lambda: "run 1" in screen.engine.calls, "the second run")
        await screen.settle()


async def test_offline_by_choice_is_said_and_only_links_go(open_app: Open) -> None:
    words = "offline (by --offline or HF_HUB_OFFLINE)"
    async with open_app(FakeEngine.of(60, loaded=FakeLoaded(offline=True)), size=(80, 24)) as screen:
        assert screen.status.endswith(words)
        await screen.press("enter", "d")
        assert f"not downloaded: {words}" in screen.status
        assert screen.main.desk.run is RunState.IDLE
        await screen.press("u", "a", "d")
        await screen.settle()
        links = sum(row.status is Status.DONE for row in screen.main.desk.files.rows)
        assert links
        assert f"run {links}" in screen.engine.calls


async def test_free_space_is_that_of_the_disk_that_the_selection_goes_to(open_app: Open) -> None:
    engine = FakeEngine.of(60)
    other = make_file(
        "other.safetensors", ("t2v_2_2",), target="far/other.safetensors", path="far/other.safetensors"
    )
    engine.files = (*engine.files, other)

    def free(folder: str) -> int:
        return {"/srv/Wan2GP/ckpts": 300, "/srv/Wan2GP/far": 1}.get(folder, 77) * GIB

    async with open_app(engine, free_bytes=free) as screen:
        await screen.until(lambda: "300 GB free" in screen.selection_bar, "the disk of the rows shown")
        await screen.press("/", *"other", "enter", "enter")
        await screen.until(lambda: "too little: 1.00 GB free" in screen.selection_bar, "the other disk")


async def test_a_refused_run_says_why(open_app: Open) -> None:
    async with open_app(
        FakeEngine.of(60, run_error=StorageError("the disk is full", hint="free some"))
    ) as screen:
        await screen.press("enter", "d")
        await screen.until(lambda: "the disk is full" in screen.status, "the reason")
        assert screen.main.desk.run is RunState.IDLE


async def test_pause_limit_and_cancel_reach_the_engine(open_app: Open) -> None:
    async with open_app(FakeEngine.of(60, hold=True)) as screen:
        for key in ("p", "P", "x"):
            screen.main.say("")
            await screen.press(key)
            assert "nothing is being downloaded" in screen.status, key
        await screen.press("enter", "d")
        await screen.until(lambda: screen.row(HIGH).busy, "a download")
        await screen.until(lambda: screen.main.desk.run is RunState.RUNNING, "a run")
        key = f"ckpts/{HIGH}"
        await screen.press("p", "p", "P", "x")
        assert screen.engine.calls[-4:] == ["pause None", "resume None", f"pause {key}", f"cancel {key}"]
        screen.app.mailbox(FilePaused(key))
        await screen.until(lambda: screen.row(HIGH).status is Status.PAUSED, "the pause")
        await screen.press("P")
        assert screen.engine.calls[-1] == f"resume {key}"
        await screen.press("minus")
        assert screen.engine.calls[-1].startswith("set_limit ")
        assert screen.main.desk.limit_kb
        for _ in range(40):
            await screen.press("plus")
        assert screen.engine.calls[-1] == "set_limit None"


async def test_the_downloads_pane_shows_bars_and_totals(open_app: Open) -> None:
    async with open_app(FakeEngine.of(60, hold=True), size=(140, 40)) as screen:
        await screen.press("enter", "d")
        await screen.until(lambda: screen.main.query("#downloads"), "the pane")
        pane = screen.main.query_one("#downloads", DownloadsPane)
        await screen.until(lambda: "running" in pane.text and "37%" in pane.text, "the totals")
        text = pane.text
        for words in ("0 of 2 files", "85.8 MB/s", "ETA", "limit none", "free 310 GB", "42.9 MB/s"):
            assert words in text


async def test_interrupted_downloads_are_offered_and_continued(open_app: Open) -> None:
    engine = FakeEngine.of(60, parts=(FakePart(f"ckpts/{HIGH}", 4 * GIB, None),))
    async with open_app(engine) as screen:
        assert screen.main.banner.text == "c continues 1 interrupted download · 4.00 GB of 9.50 GB here"
        assert screen.main.query_one("#banner").display
        engine.parts = ()
        await screen.press("c")
        await screen.until(lambda: screen.row(HIGH).status is Status.DONE, "the rest")
        await screen.settle()
        assert not screen.main.query_one("#banner").display


# What arrives by itself


async def test_progress_of_the_refresh_is_a_line_in_the_status_bar(open_app: Open) -> None:
    async with open_app() as screen:
        screen.main.desk.refreshing = True
        screen.app.mailbox(MetadataProgress("org/a", 3, 40))
        screen.main.wake()
        await screen.until(lambda: "asking the Hub: 3 of 40 repos" in screen.status, "the question")


async def test_hashing_is_shown_in_the_rows_that_wait_for_it(open_app: Open) -> None:
    async with open_app() as screen:
        row = screen.row(HIGH)
        screen.app.mailbox(HashProgress("/data/hub/x/y", row.size // 2, row.size))
        screen.main.wake()
        await screen.until(lambda: row.status is Status.HASHING, "hashing")
        screen.app.mailbox(HashProgress("/data/hub/x/y", row.size, row.size, finished=True))
        screen.main.wake()
        await screen.until(lambda: row.status is Status.MISSING, "the end of it")


async def test_a_network_that_is_down_is_a_line_and_nothing_more(open_app: Open) -> None:
    engine = FakeEngine.of(60, refresh_error=OfflineError("huggingface.co can not be reached"))
    async with open_app(engine) as screen:
        assert "offline: huggingface.co can not be reached" in screen.status
        await screen.press("enter")
        assert screen.selected == [HIGH, LOW]
        engine.refresh_error = None
        await screen.press("f5")
        await screen.settle()
        assert "offline" not in screen.status


async def test_rows_blocked_by_an_unreachable_hub_are_said_until_it_answers(open_app: Open) -> None:
    engine = FakeEngine.of(60)
    whole = engine.files
    problem = "can not reach http://127.0.0.1:9: connection refused"
    engine.files = (
        replace(whole[2], action=Action.BLOCKED, reason=problem, blocked=RemoteState.OFFLINE),
        *whole[3:],
    )
    async with open_app(engine) as screen:
        assert "! offline: F5 tries again" in screen.status
        assert "⊘ offline" in screen.main.files.render_line(1).text
        await screen.press("enter", "j", "enter")
        assert "! offline: F5 tries again" in screen.status
        await screen.press("f5")
        await screen.settle()
        assert "the Hub can not be reached" in screen.status
        engine.files = whole
        await screen.press("f5")
        await screen.settle()
        assert "offline" not in screen.status
        assert "looked again: 3 files changed" in screen.status
        await screen.press("f5")
        await screen.settle()
        assert "looked again: nothing changed" in screen.status


async def test_the_end_of_a_look_comes_after_what_was_said_on_the_way(open_app: Open) -> None:
    def told(network: bool, hashing: bool, emit: Emit) -> None:
        if network and hashing:
            said = "can not reach http://127.0.0.1:9: refused (and 3 repos more)"
            emit(Notice(Level.WARNING, said, topic=Topic.HUB_SILENT))

    async with open_app(FakeEngine.of(60, on_plan=told)) as screen:
        await screen.press("f5")
        await screen.settle()
        assert "looked again: the Hub can not be reached" in screen.status
        assert "! offline: F5 tries again" in screen.status


async def test_a_part_of_unknown_size_makes_no_promise(open_app: Open) -> None:
    engine = FakeEngine.of(60, parts=(FakePart("ckpts/ltxv_distilled_quanto_int8.safetensors", GIB, None),))
    async with open_app(engine) as screen:
        assert screen.main.banner.text == "c continues 1 interrupted download · 1.00 GB here"


async def test_a_retry_warning_goes_when_the_download_goes_on(open_app: Open) -> None:
    async with open_app(FakeEngine.of(60, hold=True)) as screen:
        await screen.press("enter", "d")
        await screen.until(screen.engine.held.is_set, "a run")
        reason = "https://hub.test/some/where.safetensors: connection reset"
        screen.app.mailbox(FileRetrying(f"ckpts/{HIGH}", reason, 4.0))
        await screen.until(lambda: "trying again in 4 s" in screen.status, "the warning")
        assert "https://" not in screen.status
        assert any("https://" in line for line in screen.main.desk.log_lines)
        screen.app.mailbox(FileProgress(f"ckpts/{HIGH}", GIB, 1e6))
        await screen.until(lambda: "trying again" not in screen.status, "its end")


@pytest.mark.parametrize("columns", [80, 100, 110, 120, 160])
async def test_a_row_says_that_its_download_stands_still(open_app: Open, columns: int) -> None:
    async with open_app(FakeEngine.of(60, hold=True), size=(columns, 40)) as screen:
        await screen.press("enter", "d")
        await screen.until(screen.engine.held.is_set, "a run")
        for connections, word in ((0, "waiting"), (4, "stalled")):
            screen.app.mailbox(FileProgress(f"ckpts/{HIGH}", GIB, 0.0, connections))
            await screen.until(lambda word=word: word in screen.main.files.render_line(1).text, word)


async def test_a_cancelled_row_says_at_once_what_is_here(open_app: Open) -> None:
    async with open_app(FakeEngine.of(60, hold=True)) as screen:
        await screen.press("enter", "d")
        await screen.until(screen.engine.held.is_set, "a run")
        screen.app.mailbox(FileFinished(f"ckpts/{HIGH}", Outcome.SKIPPED, "cancelled"))
        await screen.until(lambda: "37% here" in screen.main.files.render_line(1).text, "the part")
        assert screen.main.desk.active


@pytest.mark.parametrize("columns", [80, 100, 120, 160])
async def test_a_sorted_column_keeps_its_title_and_the_order_skips_hidden_ones(
    open_app: Open, columns: int
) -> None:
    async with open_app(size=(columns, 30)) as screen:
        seen = set()
        for _ in range(12):
            await screen.press("o")
            column = screen.main.desk.files.settings.sort
            seen.add(column)
            assert not column or column in screen.main.files.shown_columns
            heading = screen.main.files.render_line(0).text
            assert all(word in heading for word in ("Model", "Size", "Stat"))
        assert seen == {"", *screen.main.files.shown_columns}


async def test_a_row_says_that_it_waits_for_another_instance(open_app: Open) -> None:
    async with open_app(FakeEngine.of(60, hold=True), size=(160, 40)) as screen:
        await screen.press("enter", "d")
        await screen.until(screen.engine.held.is_set, "a run")
        key = f"ckpts/{HIGH}"
        screen.app.mailbox(FileQueued(key, GIB))
        screen.app.mailbox(FileLocked(key))
        await screen.until(
            lambda: "another instance" in screen.main.files.render_line(1).text,
            "the wait",
        )
        await screen.until(
            lambda: "waiting for another instance" in screen.main.query_one("#downloads", DownloadsPane).text,
            "the pane",
        )


async def test_an_abort_does_not_bury_what_failed(open_app: Open) -> None:
    async with open_app(FakeEngine.of(60, hold=True)) as screen:
        await screen.press("a", "d")
        await screen.until(screen.engine.held.is_set, "a run")
        screen.app.mailbox(FileFinished(f"ckpts/{HIGH}", Outcome.FAILED, "the disk is full"))
        await screen.until(lambda: screen.row(HIGH).status is Status.FAILED, "the failure")
        # Without a pause in between: the engine, too, tells of its files before it ends.
        screen.main.desk.stop()
        for row in screen.main.desk.files.rows:
            screen.app.mailbox(FileFinished(row.key, Outcome.SKIPPED, "stopped by the user"))
        await screen.until(lambda: not screen.main.desk.active, "the stop")
        lines = list(screen.main.desk.log_lines)
        assert not any("skipped" in line for line in lines)
        assert sum("stopped:" in line for line in lines) == 1
        assert any("the disk is full" in line for line in lines)


async def test_an_unexpected_error_in_a_plan_is_a_line_and_no_form(open_app: Open) -> None:
    def broken(network: bool, hashing: bool, emit: object) -> None:
        raise ZeroDivisionError("a bug")

    engine = FakeEngine.of(60, on_plan=broken)
    async with open_app(engine, settle=False, open_setup=FakeSetup) as screen:
        await screen.until(lambda: "ZeroDivisionError" in screen.status, "the error")
        assert screen.app.screen is screen.main
        assert any("tui.log" in line for line in screen.main.desk.log_lines)
        engine.on_plan = None
        await screen.press("f5")
        await screen.settle()
        assert screen.shown
        assert "ZeroDivisionError" not in screen.status


async def test_names_can_not_steer_the_terminal(open_app: Open) -> None:
    evil = "a\u202eb\x1b[31m"
    engine = FakeEngine.of(60)
    engine.files = (make_file(f"{evil}.safetensors", (evil,), reason=evil), *engine.files)
    engine.catalog = (FakeModel(evil, evil, evil), *engine.catalog)
    async with open_app(engine, size=(160, 40)) as screen:
        await screen.press("i", "enter")
        await screen.until(lambda: screen.main.query("#details-text"), "the pane")
        for keys in (["m"], ["d"]):
            drawn = "".join(strip.text for strip in screen.app.screen._compositor.render_strips())
            assert "\ufffd" in drawn
            assert "\u202e" not in drawn
            assert "\x1b" not in drawn
            await screen.press(*keys)
            await screen.settle()


async def test_warnings_are_counted_and_logged(open_app: Open) -> None:
    async with open_app(FakeEngine.of(60, warnings=("defaults/x.json is broken",))) as screen:
        assert "1 warning" in screen.status
        assert sum("defaults/x.json is broken" in line for line in screen.main.desk.log_lines) == 1


async def test_r_resets_the_cache_after_asking(open_app: Open) -> None:
    async with open_app() as screen:
        await screen.press("r")
        await answered(screen, "n")
        assert "reset_cache" not in screen.engine.calls
        await screen.press("r")
        await answered(screen, "y")
        await screen.settle()
        assert "reset_cache" in screen.engine.calls


async def test_a_new_plan_can_bring_and_take_rows(open_app: Open) -> None:
    async with open_app() as screen:
        await screen.press("enter")
        screen.engine.files = tuple(file for file in screen.engine.files if not file.target.endswith(LOW))
        await screen.press("f5")
        await screen.settle()
        assert screen.selected == [HIGH]
        assert LOW not in screen.shown


# Screens


async def test_help_lists_every_command(open_app: Open) -> None:
    async with open_app() as screen:
        await screen.press("question_mark")
        assert isinstance(screen.app.screen, HelpScreen)
        await screen.press("d", "a")
        assert screen.selected == []
        await screen.press("escape")
        assert screen.app.screen is screen.main


async def test_the_log_can_be_read_and_copied(open_app: Open) -> None:
    async with open_app() as screen:
        await screen.press("enter", "d")
        await screen.until(lambda: screen.row(HIGH).status is Status.DONE, "the download")
        await screen.settle()
        await screen.press("L")
        assert isinstance(screen.app.screen, LogScreen)
        await screen.press("y")
        assert "downloaded, verified" in screen.app.clipboard
        await screen.press("escape")
        assert screen.app.screen is screen.main


async def test_the_palette_offers_every_command_and_slash_is_text_there(open_app: Open) -> None:
    async with open_app() as screen:
        titles = [command.title for command in screen.app.get_system_commands(screen.main)]
        assert any(title.startswith("Download") for title in titles)
        assert "Theme" in titles
        await screen.press("ctrl+p")
        await screen.until(lambda: screen.app.screen is not screen.main, "the palette")
        await screen.press("slash", "a")
        assert screen.main.focused is not screen.main.filter
        assert screen.selected == []
        await screen.press("escape", "escape")
        await screen.until(lambda: screen.app.screen is screen.main, "the palette's end")


async def test_no_keys_of_the_main_screen_are_shown_under_a_dialog(open_app: Open) -> None:
    async with open_app() as screen:
        assert "Download" in screen.main.keys.text
        await screen.press("question_mark")
        await screen.until(lambda: not screen.main.keys.text, "no keys")
        await screen.press("escape")
        await screen.until(lambda: "Download" in screen.main.keys.text, "the keys")


async def test_a_model_that_is_blocked_in_part_says_so(open_app: Open) -> None:
    async with open_app() as screen:
        await screen.press("m", "/", *"Flux 1 Dev !#", "enter", "enter")
        assert "selected 1 of 2; 1 is blocked (i says why)" in screen.status


async def test_the_order_is_said_in_words_that_fit_the_column(open_app: Open) -> None:
    async with open_app() as screen:
        said = []
        for _ in range(6):
            await screen.press("o")
            said.append(screen.status)
        for words, status in zip(
            ("selected first", "A–Z", "A–Z", "smallest first", "A–Z", "most urgent first"), said, strict=True
        ):
            assert words in status
        await screen.press("O")
        assert "settled first" in screen.status


async def test_quit_asks_only_while_something_runs(open_app: Open) -> None:
    async with open_app(FakeEngine.of(60, hold=True)) as screen:
        await screen.press("enter", "d")
        await screen.until(screen.engine.held.is_set, "a run")
        await screen.press("ctrl+q")
        await answered(screen, "n")
        assert screen.app.return_code is None
        await screen.press("q")
        await screen.until(lambda: isinstance(screen.app.screen, ConfirmScreen), "the question")
        await screen.press("y")
        await screen.until(lambda: screen.app.return_code == 0, "the end")
        assert screen.app.backend.idle


# Memory


async def test_the_view_and_the_selection_are_remembered(open_app: Open, tmp_path: Path) -> None:
    async with open_app() as screen:
        await screen.press("enter", "s", "o", "i", "slash", *"int8", "enter", "q")
        await screen.until(lambda: screen.app.return_code == 0, "the end")
    state = load_state(tmp_path / "ui.json")
    assert (state.text, state.show_all, state.sort, state.details) == ("int8", True, "mark", True)
    assert state.selection == (f"ckpts/{HIGH}", f"ckpts/{LOW}")
    async with open_app() as screen:
        assert screen.selected == [HIGH, LOW]
        assert screen.main.filter.value == "int8"
        assert screen.main.query_one("#details").display


async def test_the_cursor_returns_to_its_row_and_line(open_app: Open) -> None:
    async with open_app(size=(100, 24)) as screen:
        await screen.press("G", *["k"] * 6)
        name, line = screen.current, screen.main.files.line
        assert line > 3
        await screen.press("m")
        await screen.until(lambda: screen.main.focused is screen.main.table, "the models")
        await screen.press("m")
        await screen.until(lambda: screen.main.focused is screen.main.files, "the files")
        assert (screen.current, screen.main.files.line) == (name, line)
        await screen.press("q")
        await screen.until(lambda: screen.app.return_code == 0, "the end")
    async with open_app(size=(100, 24)) as screen:
        assert (screen.current, screen.main.files.line) == (name, line)


async def test_the_theme_is_remembered(open_app: Open, tmp_path: Path) -> None:
    async with open_app() as screen:
        screen.app.theme = "nord"
        await screen.until(lambda: load_state(tmp_path / "ui.json").theme == "nord", "the file")
    async with open_app() as screen:
        assert screen.app.theme == "nord"


async def test_the_last_plan_is_painted_before_the_engine_opens(open_app: Open, tmp_path: Path) -> None:
    async with open_app() as screen:
        await screen.until((tmp_path / "last-plan.bin").exists, "the kept plan")
        shown = screen.shown

    looked_at = threading.Event()

    def never() -> FakeEngine:
        looked_at.wait(15)
        raise SettingsError("there is no Wan2GP here")

    async with open_app(settle=False, open_engine=never) as screen:
        assert screen.shown == shown
        await screen.press("enter", "d")
        looked_at.set()
        await screen.until(lambda: "no Wan2GP" in screen.status, "the refusal")
        await screen.press("d")
        assert not any(call.startswith(("run", "plan")) for call in screen.engine.calls)


async def test_a_cursor_that_nobody_moved_stays_on_the_first_row(open_app: Open) -> None:
    engine = FakeEngine.of(60)
    late = [make_file(f"aaa_{number}.safetensors", ("t2v_2_2",)) for number in range(40)]

    def more(network: bool, hashing: bool, emit: Emit) -> None:
        if network and not hashing:
            engine.files = (*late, *engine.files)

    engine.on_plan = more
    async with open_app(engine) as screen:
        assert screen.current == screen.shown[0] == "aaa_0.safetensors"
        assert screen.main.files.scroll_offset.y == 0
        await screen.press("j", "o", "o", "f5")
        await screen.settle()
        assert screen.current == "aaa_1.safetensors"


# Sizes


@pytest.mark.parametrize("size", [(60, 18), (80, 24), (120, 30), (250, 70)])
async def test_it_is_usable_at_every_size(open_app: Open, size: tuple[int, int]) -> None:
    async with open_app(FakeEngine.of(60, hold=True), size=size) as screen:
        await screen.press("enter", "d")
        await screen.until(lambda: screen.row(HIGH).status is Status.DOWNLOADING, "a download")
        await screen.press("i")
        lines = [screen.main.files.render_line(y).text for y in range(3)]
        assert "Model file" in lines[0]
        assert "Status" in lines[0]
        assert "t2v_2_2_high" in lines[1]
        assert "37%" in lines[1]
        assert all(len(line) == screen.main.files.scrollable_content_region.width for line in lines)
        assert screen.main.files.size.height >= 4


@pytest.mark.parametrize("size", [(60, 15), (60, 18), (80, 24), (100, 30), (120, 30), (160, 30)])
async def test_the_panes_leave_the_table_five_rows(open_app: Open, size: tuple[int, int]) -> None:
    engine = FakeEngine.of(60, hold=True)
    async with open_app(engine, size=size) as screen:
        await screen.press("i", "a", "d")
        await screen.until(screen.engine.held.is_set, "a run")
        for index in range(4):
            key = screen.main.desk.files.view[index].key
            screen.app.mailbox(FileFinished(key, Outcome.FAILED, "the disk is full"))
        await screen.until(lambda: screen.main.query("#downloads"), "the pane")
        pane = screen.main.query_one("#downloads", DownloadsPane)
        await screen.until(lambda: "4 failed" in pane.text, "the failures")
        assert screen.main.files.size.height >= 6
        assert screen.main.query_one("#details").size.height >= 2
        foot = screen.main.query_one("#foot").region
        assert (foot.height, foot.bottom) == (3, size[1])
        assert "· 4 failed" in pane.render_line(0).text
        screen.engine.release.set()


async def test_a_tiny_terminal_says_so_and_forgets_nothing(open_app: Open) -> None:
    async with open_app(size=(80, 24)) as screen:
        await screen.press("enter", "t")
        await screen.pilot.resize_terminal(40, 10)
        await screen.until(lambda: screen.main.query("#too-small"), "the line")
        strips = screen.main._compositor.render_strips()
        lines = [line for strip in strips if (line := strip.text.strip())]
        assert lines == ["terminal too small: 60×15 at least"]
        await screen.pilot.resize_terminal(80, 24)
        await screen.until(lambda: not screen.main.query_one("#too-small").display, "the table")
        assert screen.main.focused is screen.main.files
        assert screen.selected == [HIGH, LOW]


async def test_the_downloads_pane_folds_after_a_run_and_opens_again(open_app: Open) -> None:
    async with open_app(size=(100, 40)) as screen:
        await screen.press("enter", "d")
        await screen.until(lambda: screen.row(HIGH).status is Status.DONE, "the run")
        await screen.settle()
        await screen.until(lambda: screen.main.query_one("#downloads").size.height == 1, "the total line")
        await screen.press("t")
        await screen.until(lambda: screen.main.query_one("#downloads").size.height > 5, "the pane")
        await screen.press("t")
        assert not screen.main.query_one("#downloads-row").display


async def test_the_log_beside_the_transfers_follows_new_lines(open_app: Open) -> None:
    async with open_app(FakeEngine.of(60, hold=True), size=(120, 40)) as screen:
        await screen.press("enter", "d")
        await screen.until(screen.engine.held.is_set, "a run")
        for number in range(60):
            screen.app.mailbox(Notice(Level.INFO, f"line {number}"))
        log = screen.main.query_one("#downloads-log", PaneLog)
        await screen.until(lambda: log.line_count >= 60, "the lines")
        assert log.max_scroll_y > 0
        await screen.until(lambda: log.scroll_offset.y == log.max_scroll_y, "the last line")


async def test_it_can_be_resized_while_it_runs(open_app: Open) -> None:
    async with open_app() as screen:
        await screen.press("G")
        for size in ((60, 18), (250, 70), (80, 24)):
            await screen.pilot.resize_terminal(*size)
            await screen.pilot.pause()
            table = screen.main.files
            position = table.cursor - table.scroll_offset.y
            assert 0 <= position < table.size.height - 1


async def test_only_what_was_asked_for_is_fetched(open_app: Open) -> None:
    async with open_app() as screen:
        await screen.press("j", "j", "j", "j", "j", "enter", "d")
        await screen.until(lambda: "run 1" in screen.engine.calls, "the run")
        await screen.settle()
        kept = [file.target for file in screen.engine.files if file.action is Action.KEEP]
        assert "ckpts/i2v_2_2_vae.safetensors" in kept
        assert f"ckpts/{HIGH}" not in kept


async def test_every_theme_can_be_worn(open_app: Open) -> None:
    async with open_app() as screen:
        await screen.press("enter", "j")
        for theme in screen.app.available_themes:
            screen.app.theme = theme
            await screen.pilot.pause()
            cursor = screen.main.files.render_line(screen.main.files.cursor + 1)
            other = screen.main.files.render_line(screen.main.files.cursor + 2)
            styles = {segment.style for segment in cursor} - {segment.style for segment in other}
            assert styles, f"the cursor can not be seen in {theme}"


async def test_a_key_pressed_while_another_opens_a_question_goes_to_the_question(open_app: Open) -> None:
    async with open_app() as screen:
        await screen.press("r", "n", "r", "y")
        await screen.settle()
        assert screen.engine.calls.count("reset_cache") == 1
        assert screen.selected == []


async def test_keys_keep_their_order_however_fast_they_come(open_app: Open) -> None:
    async with open_app() as screen:
        await screen.press(
            "/", *"vace vae", "enter", "enter", "j", " ", "/", "ctrl+u", *"i2v", "enter", "g", "j", "enter"
        )
        assert screen.selected == [
            "i2v_2_2_high_quanto_int8.safetensors",
            "i2v_2_2_low_quanto_int8.safetensors",
            "vace_14B_vae.safetensors",
            "vace_14B_1_vae.safetensors",
        ]
