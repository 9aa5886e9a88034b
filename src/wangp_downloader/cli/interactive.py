"""Opens the interactive program, if there is a terminal to open it on, and gives it the engine."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING

from wangp_downloader.cli.shared import Shared, load
from wangp_downloader.errors import SettingsError, UsageError

if TYPE_CHECKING:
    from wangp_downloader.places import Surroundings
    from wangp_downloader.session import Session
    from wangp_downloader.settings import LoadedSettings
    from wangp_downloader.tui.config_form import ConfigForm


def open_tui(shared: Shared) -> int:
    """Open the interactive program and return its exit code.

    Raises:
        UsageError: There is no terminal.
        SettingsError: The configuration is wrong.
    """
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError(
            "the interactive program needs a terminal",
            hint="on a headless machine use: wangp-dl list, wangp-dl plan, wangp-dl download",
        )
    from wangp_downloader.places import Surroundings, settings_mark, state_folder
    from wangp_downloader.tui import Wiring, run
    from wangp_downloader.tui.plan_cache import load_plan

    around = Surroundings.of_process()

    def mark_now() -> str:
        return settings_mark(shared.values, shared.config_file, around, offline=shared.offline)

    mark = mark_now()

    def open_engine() -> Session:
        """Open the session, and note what its settings are made of."""
        nonlocal mark
        # Before they are read: what changes after that is not what the plan is made with.
        mark = mark_now()
        return _open_engine(shared)

    wiring = Wiring(
        open_engine=open_engine,
        state_path=state_folder(around) / "ui.json",
        open_setup=lambda: _open_setup(shared, around),
        open_demo=_open_demo,
        mark=lambda: mark,
    )
    last = load_plan(wiring.plan_path, mark)
    if last is None:
        # A typo in the file is said here, in the plain terminal, with its name and line.
        load(shared, first_run=False)
    return run(replace(wiring, last=last))


def _open_setup(shared: Shared, around: Surroundings) -> ConfigForm:
    from wangp_downloader.tui.config_form import ConfigForm

    return ConfigForm(lambda: load(shared, first_run=False), around, _has_token)


def _open_engine(shared: Shared) -> Session:
    from wangp_downloader.session import Session

    loaded = load(shared, first_run=False)
    if _is_first_run(loaded):
        raise SettingsError("there is no configuration yet", hint="look at what was found, then save")
    session = Session.open(loaded)
    _ = session.root  # without a Wan2GP the set-up form comes first
    return session


def _is_first_run(loaded: LoadedSettings) -> bool:
    """True if nobody has said yet where Wan2GP is: by a file, a variable or an option."""
    from wangp_downloader.settings import Origin

    said = loaded.origins["wan2gp_directory"] in (Origin.COMMAND_LINE, Origin.ENVIRONMENT)
    return not loaded.exists and loaded.carried_over is None and not said


def _open_demo() -> Session:
    from wangp_downloader.demo.world import demo_world
    from wangp_downloader.session import Session

    stack = ExitStack()
    world = stack.enter_context(demo_world())
    return Session.open(world.loaded, at_close=stack.close)


def _has_token() -> bool:
    from wangp_downloader.remote.token import read_token

    return read_token() is not None
