"""The program in a real terminal (tmux): start, type-ahead, signals, exit codes, crash."""

from __future__ import annotations

import itertools
import os
import pty
import re
import shlex
import shutil
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from wangp_downloader.tui.state import load_state

pytestmark = pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")

_ROOT = Path(__file__).resolve().parents[2]
_PATIENCE_S = 20.0
_numbers = itertools.count()


class Tmux:
    """A terminal of its own, with one program in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.state = folder / "state"
        self._socket = folder / f"tmux-{next(_numbers)}"

    def tmux(self, *arguments: str) -> str:
        command = ["tmux", "-S", str(self._socket), "-f", "/dev/null", *arguments]
        return subprocess.run(command, check=False, capture_output=True, text=True, timeout=20).stdout

    def start(
        self, *options: str, suffix: str = "", size: tuple[int, int] = (100, 30), environment: str = ""
    ) -> None:
        program = shlex.join([sys.executable, "-m", "tests.tui.program", str(self.state), *options])
        # tmux's own shell would take COLUMNS and LINES of the tests over the real size.
        command = f"env -u COLUMNS -u LINES {environment} {program} {suffix}"
        line = f"cd {shlex.quote(str(_ROOT))}; {command}; echo EXIT=$?; exec cat"
        self.tmux("new-session", "-d", "-x", str(size[0]), "-y", str(size[1]), "sh", "-c", line)

    def screen(self) -> str:
        return self.tmux("capture-pane", "-p")

    def keys(self, *keys: str) -> None:
        self.tmux("send-keys", *keys)

    def type(self, text: str) -> None:
        self.tmux("send-keys", "-l", text)

    def until(self, text: str | Callable[[str], bool]) -> str:
        condition = text if callable(text) else lambda screen: text in screen
        deadline = time.monotonic() + _PATIENCE_S
        while not condition(screen := self.screen()):
            if time.monotonic() > deadline:
                pytest.fail(f"never seen: {text}\n{screen}")
            time.sleep(0.02)
        return screen

    def program_pid(self) -> int:
        for process in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                words = process.read_bytes().split(b"\0")
            except OSError:
                continue
            if words[0] == sys.executable.encode() and str(self.state).encode() in words:
                return int(process.parent.name)
        pytest.fail("the program does not run")

    def clean(self) -> bool:
        """Whether alternate screen, mouse modes and the hidden cursor are gone."""
        flags = self.tmux("display-message", "-p", "#{alternate_on} #{mouse_any_flag} #{cursor_flag}")
        return flags.split() == ["0", "0", "1"]

    def cooked(self) -> bool:
        """Whether what one types is echoed and given line by line again."""
        tty = self.tmux("display-message", "-p", "#{pane_tty}").strip()
        with Path(tty).open("rb") as pane:
            flags = termios.tcgetattr(pane)[3]
        return bool(flags & termios.ECHO and flags & termios.ICANON)


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Tmux]:
    opened = Tmux(tmp_path)
    yield opened
    opened.tmux("kill-server")


def test_it_starts_and_quits(terminal: Tmux) -> None:
    terminal.start()
    screen = terminal.until("t2v_2_2_high")
    assert "t2v_2_2_high" in screen
    assert not terminal.clean()
    terminal.keys("q")
    terminal.until("EXIT=0")
    assert terminal.clean()


def test_typing_ahead_loses_nothing_and_fires_nothing(terminal: Tmux) -> None:
    terminal.start()
    terminal.until("✓  Config")
    terminal.type("/vae aud")
    terminal.until("vae aud")
    assert "nothing selected" in terminal.screen()
    terminal.keys("Escape")
    terminal.until("d Download")
    terminal.keys("Escape")
    terminal.until("filter cleared")
    terminal.type("jjj m")
    terminal.until("Select model")
    terminal.keys("q")
    terminal.until("EXIT=0")
    assert load_state(terminal.state / "ui.json").selection == (
        "ckpts/i2v_2_2_high_quanto_int8.safetensors",
        "ckpts/i2v_2_2_low_quanto_int8.safetensors",
    )


@pytest.mark.skipif(sys.platform != "linux", reason="finds the process in /proc")
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 129)], ids=str
)
def test_a_signal_in_mid_download_saves_and_restores(
    terminal: Tmux, number: signal.Signals, code: int
) -> None:
    terminal.start("hold")
    terminal.until("t2v_2_2_high")
    terminal.type(" d")
    terminal.until("running")
    os.kill(terminal.program_pid(), number)
    terminal.until(f"EXIT={code}")
    assert terminal.clean()
    assert terminal.cooked()
    assert len(load_state(terminal.state / "ui.json").selection) == 2


@pytest.mark.skipif(sys.platform != "linux", reason="finds the process in /proc")
def test_a_closed_terminal_leaves_no_process(terminal: Tmux) -> None:
    terminal.start("hold")
    terminal.until("t2v_2_2_high")
    terminal.type(" d")
    terminal.until("running")
    pid = terminal.program_pid()
    terminal.tmux("kill-server")
    deadline = time.monotonic() + _PATIENCE_S
    while Path(f"/proc/{pid}").exists():
        assert time.monotonic() < deadline, "the program outlives its terminal"
        time.sleep(0.02)


@pytest.mark.skipif(sys.platform != "linux", reason="notices the end by poll(2)")
def test_a_terminal_that_ends_without_a_signal_leaves_no_process(tmp_path: Path) -> None:
    screen, terminal = pty.openpty()
    program = [sys.executable, "-m", "tests.tui.program", str(tmp_path), "hold"]
    # A session of its own: no controlling terminal, so nobody sends SIGHUP.
    process = subprocess.Popen(
        program, cwd=_ROOT, stdin=terminal, stdout=terminal, stderr=terminal, start_new_session=True
    )
    os.close(terminal)
    try:
        seen = b""
        while b"t2v_2_2_high" not in seen:
            seen += os.read(screen, 65536)
        os.close(screen)
        assert process.wait(_PATIENCE_S) == 128 + signal.SIGHUP
    finally:
        process.kill()
        process.wait()


def test_a_crash_restores_the_terminal_and_leaves_a_log(terminal: Tmux) -> None:
    terminal.start("crash")
    screen = terminal.until("EXIT=1")
    assert "wangp-dl stopped: unexpected" in screen
    assert "Traceback" not in screen
    assert terminal.clean()
    logs = list(terminal.state.glob("crash-*.log"))
    assert len(logs) == 1
    assert "Traceback" in logs[0].read_text()


def test_without_a_terminal_it_says_so(terminal: Tmux) -> None:
    terminal.start(suffix="</dev/null")
    screen = terminal.until("EXIT=2")
    assert "needs a terminal" in screen


def test_the_smallest_terminal(terminal: Tmux) -> None:
    terminal.start(size=(60, 18))
    terminal.until("t2v_2_2_hig")
    terminal.keys("Enter")
    screen = terminal.until("2 selected")
    assert all(len(line) <= 60 for line in screen.splitlines())
    assert "Download" in screen.splitlines()[-1]
    terminal.keys("q")
    terminal.until("EXIT=0")


def test_no_color_is_grey_and_says_all_the_same(terminal: Tmux) -> None:
    terminal.start(environment="NO_COLOR=1")
    terminal.until("t2v_2_2_high")
    terminal.keys("Enter")
    assert "✓  t2v_2_2" in terminal.until("2 selected")
    coloured = terminal.tmux("capture-pane", "-p", "-e")
    for red, green, blue in re.findall(r"[34]8;2;(\d+);(\d+);(\d+)", coloured):
        assert red == green == blue
    assert not re.search(r"\x1b\[[34][1-6]m", coloured)
