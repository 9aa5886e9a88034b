"""The settings form on the screen, and the first run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from textual.geometry import Region
from textual.widget import Widget
from textual.widgets import Button, Input, Static

from tests.tui.conftest import Open, Screen
from tests.tui.fake_engine import FakeEngine
from tests.tui.fake_setup import FakeSetup
from wangp_downloader.errors import CatalogError, SettingsError
from wangp_downloader.tui.screens.setup import SetupScreen
from wangp_downloader.tui.state import load_state


class FirstRun:
    """An engine factory that refuses until the form is saved."""

    def __init__(self, setup: FakeSetup) -> None:
        self.setup = setup
        self.engine = FakeEngine.of(60)

    def __call__(self) -> FakeEngine:
        if not self.setup.saved:
            raise SettingsError("Wan2GP was not found", hint="say where it is")
        return self.engine


async def form(screen: Screen) -> SetupScreen:
    await screen.until(lambda: screen.app.screen.query("#field-bandwidth_limit_kb"), "the form")
    assert isinstance(screen.app.screen, SetupScreen)
    return screen.app.screen


def in_sight(page: SetupScreen, widget: Widget) -> Region:
    """The part of a widget that nothing cuts off."""
    place = page.find_widget(widget)
    return place.region.intersection(place.clip)


async def test_the_first_run_is_checked_while_one_types_saved_and_goes_on(open_app: Open) -> None:
    setup = FakeSetup()
    async with open_app(settle=False, open_setup=lambda: setup, open_engine=FirstRun(setup)) as screen:
        page = await form(screen)
        assert "InvokeAI" in str(page.query_one("#setup-found", Static).render())
        assert page.query_one("#save", Button).disabled
        assert "no such folder" in str(page.query_one("#note-wan2gp_directory", Static).render())
        await screen.press("ctrl+s")
        assert setup.saved == {}
        page.query_one("#field-wan2gp_directory", Input).value = ""
        await screen.pilot.press(*"/srv")
        await screen.until(lambda: not page.query_one("#save", Button).disabled, "a valid form")
        await screen.press("ctrl+s")
        await screen.settle()
        assert setup.saved["wan2gp_directory"] == "/srv"
        assert "link" not in setup.saved
        assert len(screen.shown) == 36


async def test_the_first_run_can_try_the_demo(open_app: Open) -> None:
    setup = FakeSetup()
    demo = FakeEngine.of(30)
    async with open_app(
        settle=False, open_setup=lambda: setup, open_engine=FirstRun(setup), open_demo=lambda: demo
    ) as screen:
        page = await form(screen)
        page.query_one("#demo", Button).press()
        await screen.settle()
        assert demo.calls
        assert screen.app.screen is screen.main
        # The next start is not to begin with the demo's files.
        assert not screen.app.wiring.plan_path.exists()


async def test_the_demo_leaves_no_trace(open_app: Open, tmp_path: Path) -> None:
    setup = FakeSetup()
    async with open_app(
        settle=False, open_setup=lambda: setup, open_engine=FirstRun(setup), open_demo=FakeEngine.of
    ) as screen:
        page = await form(screen)
        page.query_one("#demo", Button).press()
        await screen.settle()
        before = load_state(tmp_path / "ui.json")
        await screen.press("v", "s", "j", "enter", "/", *"flux", "enter", "i", "q")
        await screen.until(lambda: screen.app.return_code == 0, "the end")
    assert load_state(tmp_path / "ui.json") == before
    assert before.selection == ()


async def test_the_demo_has_a_view_of_its_own(open_app: Open) -> None:
    setup = FakeSetup()
    async with open_app(open_setup=lambda: setup, open_demo=lambda: FakeEngine.of(30)) as screen:
        await screen.press("enter", "v", "o", "o", "/", *"int8", "enter")
        selected = screen.selected
        await screen.press("comma")
        page = await form(screen)
        page.query_one("#demo", Button).press()
        await screen.until(lambda: screen.app.screen is screen.main, "the main screen")
        await screen.settle()
        view = screen.main.desk.files.settings
        assert (view.text, view.variants, view.sort) == ("", False, "")
        assert screen.main.filter.value == ""
        assert screen.selected == []
        assert "opening the demo" not in screen.status
        await screen.press("comma")
        page = await form(screen)
        page.query_one("#field-wan2gp_directory", Input).value = "/srv"
        await screen.until(lambda: not page.query_one("#save", Button).disabled, "a valid form")
        await screen.press("ctrl+s")
        await screen.until(lambda: screen.app.screen is screen.main, "the main screen")
        await screen.settle()
        view = screen.main.desk.files.settings
        assert (view.text, view.variants, view.sort) == ("int8", True, "config")
        assert screen.main.filter.value == "int8"
        assert screen.selected == selected != []


async def test_another_configuration_is_not_shown_behind_the_form(open_app: Open, tmp_path: Path) -> None:
    async with open_app() as screen:
        await screen.until((tmp_path / "last-plan.bin").exists, "the kept plan")
    setup = FakeSetup()
    async with open_app(settle=False, open_setup=lambda: setup, open_engine=FirstRun(setup)) as screen:
        await form(screen)
        assert screen.shown == []


async def test_leaving_the_first_run_leaves_the_program(open_app: Open) -> None:
    setup = FakeSetup()
    async with open_app(settle=False, open_setup=lambda: setup, open_engine=FirstRun(setup)) as screen:
        await form(screen)
        await screen.press("escape")
        await screen.until(lambda: screen.app.return_code == 0, "the end")


async def test_later_the_same_form_has_every_setting_and_loads_anew(open_app: Open) -> None:
    setup = FakeSetup()
    async with open_app(open_setup=lambda: setup) as screen:
        await screen.press(",")
        page = await form(screen)
        assert page.query("#field-link")
        await screen.press("escape")
        assert screen.app.screen is screen.main
        await screen.press(",")
        page = await form(screen)
        page.query_one("#field-wan2gp_directory", Input).value = "/srv/other"
        await screen.until(lambda: not page.query_one("#save", Button).disabled, "a valid form")
        await screen.press("ctrl+s")
        await screen.settle()
        assert setup.saved["link"] == "symlink"
        assert "close" in screen.engine.calls


async def test_a_file_that_can_not_be_written_is_said_in_the_form(open_app: Open) -> None:
    setup = FakeSetup(refuse=True)
    async with open_app(open_setup=lambda: setup) as screen:
        await screen.press(",")
        page = await form(screen)
        page.query_one("#field-wan2gp_directory", Input).value = "/srv/other"
        await screen.until(lambda: not page.query_one("#save", Button).disabled, "a valid form")
        await screen.press("ctrl+s")
        await screen.pilot.pause()
        assert "can not be written" in str(page.query_one("#setup-problem", Static).render())


@pytest.mark.parametrize("size", [(60, 18), (80, 24), (100, 30), (120, 30), (100, 34), (200, 50)])
@pytest.mark.parametrize("first_run", [True, False])
async def test_buttons_and_problem_are_in_sight_at_every_size(
    open_app: Open, size: tuple[int, int], first_run: bool
) -> None:
    setup = FakeSetup(refuse=True)
    options: dict[str, Any] = {"settle": False, "open_engine": FirstRun(setup)} if first_run else {}
    async with open_app(open_setup=lambda: setup, open_demo=FakeEngine, size=size, **options) as screen:
        if not first_run:
            await screen.press(",")
        page = await form(screen)
        page.query_one("#field-wan2gp_directory", Input).value = "/srv/other"
        await screen.until(lambda: not page.query_one("#save", Button).disabled, "a valid form")
        await screen.press("ctrl+s")
        for name in ("#save", "#demo", "#cancel", "#setup-problem"):
            widget = page.query_one(name)
            assert in_sight(page, widget) == widget.region, name
            assert widget.region.area, name


async def test_the_first_field_has_the_focus_and_what_was_found_stays_in_sight(open_app: Open) -> None:
    setup = FakeSetup()
    async with open_app(
        settle=False, open_setup=lambda: setup, open_engine=FirstRun(setup), size=(80, 24)
    ) as screen:
        page = await form(screen)
        await screen.until(lambda: page.focused is page.query_one("#field-wan2gp_directory"), "the focus")
        assert page.query_one("#setup-form").scroll_offset.y == 0
        for name in ("#setup-welcome", "#label-wan2gp_directory", "#field-wan2gp_directory"):
            assert in_sight(page, page.query_one(name)).area, name


async def test_keys_of_the_form_keep_their_order_however_fast_they_come(open_app: Open) -> None:
    setup = FakeSetup()
    async with open_app(open_setup=lambda: setup) as screen:
        await screen.press(",")
        page = await form(screen)
        page.query_one("#field-wan2gp_directory", Input).value = ""
        await screen.press(*"hello-world", "backspace", "x", "y", "enter", *"/hub", "ctrl+w", "z")
        assert page.query_one("#field-wan2gp_directory", Input).value == "hello-worlxy"
        assert page.query_one("#field-hub_directory", Input).value == "/z"


async def test_a_folder_that_vanished_is_called_gone(open_app: Open) -> None:
    def vanished() -> FakeEngine:
        raise CatalogError("/mnt/Wan2GP is no Wan2GP folder: it has neither defaults/ nor wgp.py")

    async with open_app(settle=False, open_setup=FakeSetup, open_engine=vanished) as screen:
        page = await form(screen)
        assert "is gone" in str(page.query_one("#dialog-title", Static).render())
        assert "mount it" in str(page.query_one("#setup-welcome", Static).render())
