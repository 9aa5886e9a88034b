"""What arrives by itself while the person looks on: progress, trouble, new plans."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.tui.conftest import HIGH, LOW, Open
from tests.tui.fake_engine import GIB, FakeEngine, FakeModel, FakePart, make_file
from tests.tui.fake_setup import FakeSetup
from wangp_downloader.errors import OfflineError
from wangp_downloader.events import (
    Emit,
    FileFinished,
    FileLocked,
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
from wangp_downloader.tui.rows import Status
from wangp_downloader.tui.widgets.downloads import DownloadsPane


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


async def test_a_new_plan_is_what_the_table_shows(open_app: Open) -> None:
    engine = FakeEngine.of(60)
    whole = engine.files
    # One file of many: no column gets another width, which would draw everything again.
    engine.files = (*whole[:2], replace(whole[2], action=Action.KEEP), *whole[3:])
    async with open_app(engine) as screen:
        await screen.press("s")
        assert "● present" in screen.main.files.render_line(3).text
        engine.files = whole
        await screen.press("f5")
        await screen.settle()
        assert "○ missing" in screen.main.files.render_line(3).text


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
        await screen.answer("n")
        assert "reset_cache" not in screen.engine.calls
        await screen.press("r")
        await screen.answer("y")
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
