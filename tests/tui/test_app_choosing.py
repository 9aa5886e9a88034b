"""Choosing rows with keys and mouse, and what Escape does meanwhile."""

from __future__ import annotations

import pytest

from tests.tui.conftest import HIGH, LOW, Open
from tests.tui.fake_engine import FakeEngine
from wangp_downloader.tui.rows import Status

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
        await screen.answer("n")
        assert screen.main.desk.active
        await screen.press("escape")
        await screen.answer("y")
        await screen.until(lambda: not screen.main.desk.active, "the stop")
        await screen.settle()
        assert screen.row(HIGH).status is Status.MISSING
        assert screen.selected == [HIGH, LOW]
        assert "stopped" in screen.status
