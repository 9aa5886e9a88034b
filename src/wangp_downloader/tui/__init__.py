"""The terminal user interface.

Owns drawing and keys; everything it knows comes from the session through ``tui/engine.py``, and it does
nothing to the disk but remember its own view. Textual is imported below this package and nowhere else: the
command line imports it only when the TUI is opened.
"""

from __future__ import annotations

import gc

from wangp_downloader.tui.wiring import Wiring

__all__ = ["Wiring", "run"]


def run(wiring: Wiring) -> int:
    """Open the TUI and block until it is closed.

    Args:
        wiring: The engine and the files; ``hard_exit`` is set here.

    Returns:
        0 after a normal end, 1 after a crash, 2 without a terminal, 128 + the number of a signal that ended
        it.
    """
    # What is made while starting stays: looking through it for garbage only delays the first frame.
    gc.disable()
    from wangp_downloader.tui.main import run_app  # noqa: PLC0415 - Textual is imported when it is needed

    try:
        return run_app(wiring)
    finally:
        gc.enable()
