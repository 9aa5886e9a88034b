"""The program under keys and mouse: what it shows, says and remembers; not how it looks."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from tests.tui.conftest import HIGH, LOW, Open
from tests.tui.fake_engine import FakeEngine, make_file
from wangp_downloader.errors import SettingsError
from wangp_downloader.events import (
    Emit,
    FileFinished,
    Level,
    Notice,
)
from wangp_downloader.files import Action, Outcome
from wangp_downloader.tui.rows import Status
from wangp_downloader.tui.screens.confirm import ConfirmScreen
from wangp_downloader.tui.screens.help import HelpScreen
from wangp_downloader.tui.screens.log import LogScreen
from wangp_downloader.tui.state import load_state
from wangp_downloader.tui.widgets.downloads import DownloadsPane, PaneLog

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


@pytest.mark.parametrize("keys", [("ctrl+p", "pageup"), ("ctrl+p", "down", "pageup", "pagedown")])
async def test_the_palette_takes_keys_that_come_before_it_is_laid_out(
    open_app: Open, keys: tuple[str, ...]
) -> None:
    async with open_app() as screen:
        await screen.press(*keys)
        await screen.press("escape")
        await screen.until(lambda: screen.app.screen is screen.main)


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
        await screen.answer("n")
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
