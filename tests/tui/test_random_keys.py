"""A thousand keys in no order: nothing crashes, hangs, or changes the selection by itself."""

from __future__ import annotations

import random

import pytest

from tests.tui.conftest import Open, Screen
from tests.tui.fake_engine import FakeEngine
from wangp_downloader.tui.screens.confirm import ConfirmScreen

KEYS = [
    *"abcdfgijklmnoprstuvxyzLORPG/?+-,123 ",
    *(
        "enter",
        "escape",
        "tab",
        "shift+tab",
        "up",
        "down",
        "left",
        "right",
        "pageup",
        "pagedown",
        "home",
        "end",
    ),
    *("backspace", "ctrl+u", "ctrl+d", "ctrl+p", "ctrl+r", "f1", "f5", "delete", "ctrl+w"),
]
ROUNDS, BURST = 4, 10
SELECTING = {"enter", " ", "a", "u", "d", "c", "R", "y"}


@pytest.mark.parametrize("seed", range(5))
async def test_random_keys(open_app: Open, seed: int) -> None:
    chance = random.Random(seed)
    async with open_app(FakeEngine.of(80), size=chance.choice([(60, 18), (80, 24), (160, 48)])) as screen:
        for _ in range(200 // BURST):
            keys = chance.choices(KEYS, k=BURST)
            before = screen.selected
            await screen.press(*keys)
            check(screen)
            if not SELECTING.intersection(keys) and screen.app.screen is screen.main:
                assert set(before) >= set(screen.selected)
            if screen.app.return_code is not None:
                return  # Escape in an idle table quits: that is what it is for
            if chance.random() < 0.1:
                await screen.pilot.resize_terminal(chance.randint(60, 200), chance.randint(18, 60))
        await leave_dialogs(screen)
        await screen.settle()
        check(screen)


def check(screen: Screen) -> None:
    """What must hold whatever is pressed."""
    desk, table = screen.main.desk, screen.main.files
    view = desk.files.view
    assert [row.position for row in view] == list(range(len(view)))
    assert 0 <= table.cursor < max(1, len(view))
    assert all(row.obtainable or row.busy for row in desk.files.selected)
    for row in desk.files.selected:
        partner = desk.files.partner(row)
        # Both or none, unless one of them is in place or at work.
        assert partner is None or partner.selected or not partner.obtainable or partner.busy
    assert desk.files.totals().files == len(desk.files.selected)


async def leave_dialogs(screen: Screen) -> None:
    """Close whatever is open, saying no."""
    for _ in range(10):
        if screen.app.screen is screen.main:
            return
        await screen.press("n" if isinstance(screen.app.screen, ConfirmScreen) else "escape")
        await screen.pilot.pause(0.05)
    pytest.fail(f"{screen.app.screen} can not be closed")
