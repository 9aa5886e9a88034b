"""How every screen looks, as SVG, in a small and a large terminal."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from tests.tui.conftest import Screen, make_wiring
from tests.tui.fake_engine import GIB, FakeEngine, FakePart
from tests.tui.fake_setup import FakeSetup
from wangp_downloader.errors import SettingsError
from wangp_downloader.events import Event, FileFinished, FilePaused, FileProgress, FileRetrying, FileVerifying
from wangp_downloader.files import Outcome
from wangp_downloader.tui.app import DownloaderApp

SIZES = {"small": (80, 24), "large": (160, 48)}
MIB = 1024**2

PROGRESS: tuple[Event, ...] = (
    FileProgress("ckpts/t2v_2_2_high_quanto_int8.safetensors", 6 * GIB, 48 * MIB, 8),
    FileVerifying("ckpts/t2v_2_2_low_quanto_int8.safetensors", 3 * GIB, 15 * GIB // 2),
    FileRetrying("ckpts/i2v_2_2_high_quanto_int8.safetensors", "connection reset", 4.0),
    FilePaused("ckpts/vace_14B_quanto_int8.safetensors"),
    FileFinished(
        "ckpts/hunyuan_avatar_quanto_int8.safetensors",
        Outcome.FAILED,
        "the disk is full",
        "free some space, then press R",
    ),
    FileFinished("ckpts/t2v_2_2_vae.safetensors", Outcome.LINKED, verified=True),
)


def refuse() -> FakeEngine:
    raise SettingsError("Wan2GP was not found in the usual places", hint="say where it is, or try the demo")


CASES: dict[str, tuple[Sequence[str], dict[str, Any]]] = {
    "files": ([], {}),
    "selection": (["enter", "j", "j", "j", "enter"], {}),
    "all-variants": (["s", "v", "o", "o"], {}),
    "filter": (["/", *"missing int8"], {}),
    "models": (["m", "j", "enter"], {}),
    "details": (["i"], {}),
    "downloading": (["a", "d", "HELD"], {"engine": {"hold": True}}),
    "abort": (["a", "d", "HELD", "escape"], {"engine": {"hold": True}}),
    "log": (["a", "d", "HELD", "L"], {"engine": {"hold": True}}),
    "too-little-space": (["a", "d", "IDLE"], {"engine": {"free": 10 * GIB}}),
    "interrupted": (
        [],
        {"engine": {"parts": (FakePart("ckpts/t2v_2_2_high_quanto_int8.safetensors", 4 * GIB, None),)}},
    ),
    "help": (["question_mark"], {}),
    "settings": (["comma", "FORM"], {}),
    "first-run": (["FORM"], {"open_engine": refuse}),
    "light-theme": (["enter", "THEME textual-light"], {}),
}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("case", CASES)
def test_screen(snap_compare: Callable[..., bool], tmp_path: Path, case: str, size: str) -> None:
    keys, options = CASES[case]
    engine = FakeEngine.of(60, **options.get("engine", {}))
    wiring = {"open_setup": FakeSetup, "open_demo": lambda: engine}
    wiring |= {key: value for key, value in options.items() if key != "engine"}
    app = DownloaderApp(make_wiring(engine, tmp_path, **wiring))
    assert snap_compare(app, terminal_size=SIZES[size], run_before=script(app, engine, keys))


def script(
    app: DownloaderApp, engine: FakeEngine, keys: Sequence[str]
) -> Callable[[Pilot[None]], Awaitable[None]]:
    """Return what leads to the screen: keys, and words for what is waited for."""

    async def run(pilot: Pilot[None]) -> None:
        screen = Screen(app, pilot, engine)
        if "FORM" not in keys or keys[0] != "FORM":
            await screen.settle()
        for key in keys:
            await step(screen, key)
        await still(screen)
        # The comparison waits until all threads that it knows are done; the run is not to end before it looks.
        engine.release.clear()

    return run


async def step(screen: Screen, key: str) -> None:
    match key.split():
        case ["HELD"]:
            await screen.until(screen.engine.held.is_set, "a run")
            for event in PROGRESS:
                screen.app.mailbox(event)
            # The graph gets a point every half second: not in this one.
            screen.main.desk.remember_speed = lambda: None  # type: ignore[method-assign]
            screen.main.desk.history.clear()
            screen.main.desk.history.extend((index * 37 % 50 + 5) * 1e6 for index in range(60))
            await screen.until(lambda: "failed" in screen.status, "the failure")
            # Under a dialog nothing is drawn any more: what comes at 2 Hz has its turn before the next key.
            await still(screen)
        case ["IDLE"]:
            await screen.until(lambda: screen.app.backend.idle and not screen.main.desk.active, "the answer")
        case ["FORM"]:
            await screen.until(lambda: screen.app.screen.query("#field-wan2gp_directory"), "the form")
        case ["THEME", name]:
            screen.app.theme = name
        case _:
            await screen.press(key)


async def still(screen: Screen) -> None:
    """Wait until nothing is drawn any more: what is shown at 2 Hz has had its turn."""
    last = ""
    for _ in range(100):
        await screen.pilot.pause()
        now = screen.app.export_screenshot()
        if now == last and not screen.main.stale:
            return
        last = now
    pytest.fail("the screen never comes to rest")
