"""The TUI with the scripted engine in a real terminal: python -m tests.tui.program STATE_DIR [OPTION]."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from tests.tui.fake_engine import FakeEngine
from wangp_downloader.tui import Wiring, run
from wangp_downloader.tui.plan_cache import load_plan


def main() -> int:
    options = sys.argv[2:]
    rows = next((int(option[5:]) for option in options if option.startswith("rows=")), 60)
    engine = FakeEngine.of(rows, hold="hold" in options)

    def open_engine() -> FakeEngine:
        if "crash" in options:
            raise_later(engine)
        return engine

    wiring = Wiring(open_engine, Path(sys.argv[1]) / "ui.json")
    return run(replace(wiring, last=load_plan(wiring.plan_path, wiring.mark())))


def raise_later(engine: FakeEngine) -> None:
    """Make the UI itself fail: the first refresh brings a row that can not be drawn."""
    engine.catalog = (None, *engine.catalog)  # type: ignore[arg-type]


if __name__ == "__main__":
    sys.exit(main())
