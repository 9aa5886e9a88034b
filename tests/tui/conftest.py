"""What the TUI's tests share: the program with a scripted engine, and waiting for effects instead of time."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import pytest
from textual.events import Key
from textual.keys import _character_to_key, key_to_character
from textual.pilot import Pilot

from tests.tui.fake_engine import FREE, FakeEngine
from wangp_downloader.tui.app import DownloaderApp
from wangp_downloader.tui.plan_cache import load_plan
from wangp_downloader.tui.screens.confirm import ConfirmScreen
from wangp_downloader.tui.screens.main import MainScreen
from wangp_downloader.tui.wiring import Wiring

HIGH, LOW = "t2v_2_2_high_quanto_int8.safetensors", "t2v_2_2_low_quanto_int8.safetensors"
"""The files of the model that needs a pair."""
_PATIENCE_S = 15.0


class Screen:
    """A running program in a test."""

    def __init__(self, app: DownloaderApp, pilot: Pilot[None], engine: FakeEngine) -> None:
        self.app = app
        self.pilot = pilot
        self.engine = engine

    @property
    def main(self) -> MainScreen:
        return self.app.main

    @property
    def selected(self) -> list[str]:
        """Names of the picked files."""
        return [row.name for row in self.main.desk.files.selected]

    @property
    def shown(self) -> list[str]:
        """Names of the files in the view."""
        return [row.name for row in self.main.desk.files.view]

    @property
    def current(self) -> str:
        """Name of the file under the cursor."""
        row = self.main.row
        return row.name if row is not None else ""

    @property
    def status(self) -> str:
        return self.main.status.text

    @property
    def selection_bar(self) -> str:
        return self.main.selection.text

    async def press(self, *keys: str) -> None:
        """Press keys as fast as a paste would: none waits for what the one before it did."""
        for key in keys:
            name = _character_to_key(key) if len(key) == 1 else key
            self.app.post_message(Key(name, key if len(key) == 1 else key_to_character(name)))
        await self.pilot.pause()

    async def type(self, text: str) -> None:
        await self.press(*text)

    async def until(self, condition: Callable[[], Any], what: str = "") -> None:
        """Wait for an effect."""
        deadline = time.monotonic() + _PATIENCE_S
        while not condition():
            if time.monotonic() > deadline:
                pytest.fail(f"never happened: {what or condition}; status line: {self.status}")
            await asyncio.sleep(0.005)
        await self.pilot.pause()

    async def answer(self, key: str) -> None:
        """Wait for the question, answer it, wait until it is gone."""
        await self.until(lambda: isinstance(self.app.screen, ConfirmScreen), "a question")
        await self.press(key)
        await self.until(lambda: self.app.screen is self.main, "the answer")

    async def settle(self) -> None:
        """Wait until the engine has nothing to do and all of it is shown."""
        await self.until(
            lambda: self.app.backend.idle and self.main.desk.fresh and not self.main.desk.refreshing,
            "settled",
        )
        self.main.desk.collect()
        await self.pilot.pause()

    def row(self, name: str) -> Any:
        return next(row for row in self.main.desk.files.rows if row.name == name)


@pytest.fixture(scope="session")
def snapshot_folder() -> str:
    """Where the snapshot plugin collects its report; it tells itself through the environment."""
    return os.environ.get("TEXTUAL_SNAPSHOT_TEMPDIR", "")


@pytest.fixture(autouse=True)
def _snapshot_environment(
    snapshot_folder: str, isolated_environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The isolated environment has no variables of Textual's, not even the plugin's own.
    if snapshot_folder:
        monkeypatch.setenv("TEXTUAL_SNAPSHOT_TEMPDIR", snapshot_folder)


class Open(Protocol):
    def __call__(
        self, engine: FakeEngine | None = None, size: tuple[int, int] = (120, 40), **wiring: Any
    ) -> Any: ...


@pytest.fixture
def open_app(tmp_path: Path) -> Open:
    """Open the program on an engine; state is kept between two openings in one test."""

    @asynccontextmanager
    async def opened(
        engine: FakeEngine | None = None, size: tuple[int, int] = (120, 40), **wiring: Any
    ) -> AsyncIterator[Screen]:
        engine = engine or FakeEngine.of(60)
        settle = wiring.pop("settle", True)
        app = DownloaderApp(make_wiring(engine, tmp_path, **wiring))
        async with app.run_test(size=size) as pilot:
            screen = Screen(app, pilot, engine)
            if settle:
                await screen.settle()
            try:
                yield screen
            finally:
                engine.release.set()
                app.backend.stop()

    return opened


def make_wiring(engine: FakeEngine, folder: Path, **changes: Any) -> Wiring:
    """What the program is started with in tests: no clock, no real disk."""
    defaults: dict[str, Any] = {
        "open_engine": lambda: engine,
        "state_path": folder / "ui.json",
        "clock": lambda: 1_750_000_000.0,
        "free_bytes": lambda _: FREE,
    }
    wiring = Wiring(**(defaults | changes))
    return replace(wiring, last=load_plan(wiring.plan_path, wiring.mark()))
