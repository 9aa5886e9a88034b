"""The TUI with the scripted engine in a real terminal: python -m tests.tui.program STATE_DIR [OPTION]."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.tui.fake_engine import FakeEngine
from wangp_downloader.tui import Wiring, run


def main() -> int:
    options = sys.argv[2:]
    rows = next((int(option[5:]) for option in options if option.startswith("rows=")), 60)
    engine = FakeEngine.of(rows, hold="hold" in options)

    def open_engine() -> FakeEngine:
        if "crash" in options:
            raise_later(engine)
        return engine

    return run(Wiring(open_engine, Path(sys.argv[1]) / "ui.json"))


def raise_later(engine: FakeEngine) -> None:
    """Make the UI itself fail: the first refresh brings a row that can not be drawn."""
    engine.catalog = (None, *engine.catalog)  # type: ignore[arg-type]


if __name__ == "__main__":
    sys.exit(main())
