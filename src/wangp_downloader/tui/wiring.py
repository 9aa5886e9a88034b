"""What the application is started with."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wangp_downloader.tui.engine import Engine, Setup
    from wangp_downloader.tui.plan_cache import CachedPlan


def free_bytes(folder: str) -> int | None:
    """Return the free bytes where ``folder`` is or will be, or None if that can not be found out."""
    path = Path(folder)
    for place in (path, *path.parents):
        try:
            return shutil.disk_usage(place).free
        except OSError:
            continue
    return None


@dataclass(frozen=True, slots=True)
class Wiring:
    """What the application is started with.

    Attributes:
        open_engine: Opens the session; called in a thread, also again after the settings changed.
        state_path: ``ui.json``.
        open_setup: Makes the settings form's model, or None if there is no form.
        open_demo: Opens a session of the demo, or None if there is no demo.
        mark: Names the settings that the engine was last opened with, so that its plan is not shown after they changed.
        last: The last plan, to be shown until there is a new one, or None.
        hard_exit: True in a real terminal: signals are handled and the process ends for sure.
        clock: Seconds since the epoch.
        free_bytes: Free bytes on the disk of a folder; blocks, called in a thread.
    """

    open_engine: Callable[[], Engine]
    state_path: Path
    open_setup: Callable[[], Setup] | None = None
    open_demo: Callable[[], Engine] | None = None
    mark: Callable[[], str] = str
    last: CachedPlan | None = None
    hard_exit: bool = False
    clock: Callable[[], float] = time.time
    free_bytes: Callable[[str], int | None] = free_bytes

    @property
    def plan_path(self) -> Path:
        """Where the last plan is kept."""
        return self.state_path.with_name("last-plan.bin")

    @property
    def log_path(self) -> Path:
        """Where warnings and the details of unexpected errors are written."""
        return self.folder / "tui.log"

    @property
    def folder(self) -> Path:
        """Where logs of crashes go."""
        return self.state_path.parent
