"""How quick the TUI is: first paint, keystroke to paint, CPU and memory while sixteen files download.

Everything is measured from outside, through a pseudo terminal: from the start of the process or the write of
the key to the last byte of the frame. Run it alone: ``python -m benchmarks.tui``. ``BENCH_LEAK_S`` (60) is how long
memory is watched while downloads run.
"""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wangp_downloader.tui.engine import Engine

ROWS = 2_000
COLUMNS, LINES = 140, 45
STARTS = 9
KEYS = 150
BUSY_S = 6.0
_QUIET_S = 0.03
_PATIENCE_S = 20.0
EMPTY_APP = "from textual.app import App\nfrom textual.widgets import Static\n" + (
    "class Empty(App):\n    def compose(self):\n        yield Static('painted')\nEmpty().run()\n"
)


class Terminal:
    """A program on a pseudo terminal."""

    def __init__(self, arguments: list[str], environ: Mapping[str, str] = os.environ) -> None:
        self.started = time.perf_counter()
        parent, child = pty.openpty()
        fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
        environment = {
            name: value for name, value in environ.items() if name not in ("COLUMNS", "LINES", "NO_COLOR")
        }
        # Installed programs have their bytecode; a checkout has it after the first start.
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        environment |= {"TERM": "xterm-256color", "COLORTERM": "truecolor"}
        environment["PYTHONPYCACHEPREFIX"] = tempfile.gettempdir() + "/wangp-benchmark-bytecode"
        self.process = subprocess.Popen(
            arguments, stdin=child, stdout=child, stderr=child, env=environment, start_new_session=True
        )
        os.close(child)
        self._fd = parent

    def read_until(self, wanted: bytes) -> float:
        """Return the moment at which ``wanted`` was there."""
        seen = b""
        deadline = time.perf_counter() + _PATIENCE_S
        while wanted not in seen:
            if time.perf_counter() > deadline:
                raise TimeoutError(f"{wanted!r} never came: {seen[-500:]!r}")
            seen = seen[-200:] + self._read(0.5)
        return time.perf_counter()

    def press(self, key: str) -> float:
        """Write a key; return the seconds until the last byte of what it changed."""
        begin = time.perf_counter()
        os.write(self._fd, key.encode())
        last = begin
        quiet_at = begin + 0.5
        while time.perf_counter() < quiet_at:
            if self._read(max(0.0, quiet_at - time.perf_counter())):
                last = time.perf_counter()
                quiet_at = last + _QUIET_S
        return last - begin

    def drain(self, seconds: float) -> int:
        """Read for some seconds; return the number of bytes."""
        end = time.perf_counter() + seconds
        count = 0
        while (left := end - time.perf_counter()) > 0:
            count += len(self._read(left))
        return count

    def cpu_s(self) -> float:
        """Return the CPU time that the process has used."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory_mib(self) -> float:
        """Return the resident memory."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20

    def close(self) -> None:
        """End the program."""
        self.process.send_signal(signal.SIGTERM)
        try:
            while self.process.poll() is None:
                self._read(0.05)
        finally:
            os.close(self._fd)

    def _read(self, timeout_s: float) -> bytes:
        ready, _, _ = select.select([self._fd], [], [], timeout_s)
        if not ready:
            return b""
        try:
            return os.read(self._fd, 1 << 16)
        except OSError:  # the other side is closed
            return b""


def main() -> None:
    """Measure all and print it."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        _first_paint(folder)
        _keystrokes(folder)
        _progress(folder)
        _leak(folder, float(os.environ.get("BENCH_LEAK_S", "60")))


def _ours(folder: str, *options: str) -> list[str]:
    return [sys.executable, "-m", "benchmarks.tui", "child", folder, *options]


def _first_paint(folder: str) -> None:
    from benchmarks._catalog import catalog  # this module is also the program that is measured

    with catalog(Path(folder) / "catalog") as world:
        _compare_starts(f"wangp-dl, {world.what}", world.environ)


def _compare_starts(what: str, environ: Mapping[str, str]) -> None:
    program, wanted = [sys.executable, "-m", "wangp_downloader"], b".safetensors"
    warm = Terminal(program, environ)
    warm.read_until(wanted)
    warm.drain(3.0)  # the plan is kept for the next start
    warm.close()
    empty: list[float] = []
    ours: list[float] = []
    for start in range(-1, STARTS):
        for times, arguments, text in (
            (empty, [sys.executable, "-c", EMPTY_APP], b"painted"),
            (ours, program, wanted),
        ):
            terminal = Terminal(arguments, environ)
            seconds = terminal.read_until(text) - terminal.started
            if start >= 0:  # the first one writes bytecode
                times.append(seconds)
            terminal.drain(0.3)
            terminal.close()
    ratio = median(ours) / median(empty)
    print(f"first paint, {what:<28} {_ms(median(ours))}  (best {_ms(min(ours))})")
    print(f"first paint, {'an empty Textual app':<28} {_ms(median(empty))}  (best {_ms(min(empty))})")
    print(f"  ratio of medians {ratio:.2f}, of best {min(ours) / min(empty):.2f}  (budget 1.30)")


def _keystrokes(folder: str) -> None:
    terminal = Terminal(_ours(folder, f"rows={ROWS}"))
    terminal.read_until(b"t2v_2_2_high")
    terminal.drain(2.0)
    terminal.press("/")
    words = ["wan int8", "missing flux", "vae hub", "hunyuan"]
    typing: list[float] = []
    while len(typing) < KEYS:
        for word in words:
            typing += [terminal.press(key) for key in word if key != " "]
            for _ in word:
                terminal.press("\x7f")
    moving = [terminal.press(key) for key in ["\r", *["j"] * 40]][1:]
    paging = [terminal.press("\x1b[6~") for _ in range(20)]
    memory = terminal.memory_mib()
    terminal.close()
    print(f"keystroke in the filter        {_spread(typing)}  (budget 10, 16)")
    print(f"cursor down                    {_spread(moving)}")
    print(f"page down                      {_spread(paging)}")
    print(f"memory                         {memory:.0f} MiB")


def _progress(folder: str) -> None:
    for label, options, keys in (
        ("idle", (), ""),
        ("16 rows at 10 Hz, table only", ("busy",), "gadt"),
        ("16 rows at 10 Hz, bars and graph", ("busy",), "gad"),
    ):
        terminal = Terminal(_ours(folder, "rows=200", *options))
        terminal.read_until(b"t2v_2_2_high")
        terminal.drain(1.5)
        for key in keys:
            terminal.press(key)
        terminal.drain(1.0)
        before = terminal.cpu_s()
        sent = terminal.drain(BUSY_S)
        used = terminal.cpu_s() - before
        terminal.close()
        print(f"CPU, {label:<33} {100 * used / BUSY_S:5.1f} %  {sent / BUSY_S / 1024:5.0f} KiB/s")


def _leak(folder: str, seconds: float) -> None:
    terminal = Terminal(_ours(folder, f"rows={ROWS}", "busy"))
    terminal.read_until(b"t2v_2_2_high")
    terminal.drain(1.5)
    for key in "gad":
        terminal.press(key)
    terminal.drain(20.0)  # caches fill
    before = terminal.memory_mib()
    terminal.drain(seconds)
    after = terminal.memory_mib()
    terminal.close()
    print(f"memory, {seconds:.0f} s of downloads      {before:.1f} -> {after:.1f} MiB")


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:6.0f} ms"


def _spread(times: list[float]) -> str:
    ordered = sorted(times)
    p95 = ordered[int(len(ordered) * 0.95)]
    return f"median {median(times) * 1000:5.1f} ms  p95 {p95 * 1000:5.1f}  max {ordered[-1] * 1000:5.1f}"


def child() -> int:
    """Be the program that is measured."""
    from tests.tui.fake_engine import FakeEngine

    from wangp_downloader.tui import Wiring, run
    from wangp_downloader.tui.plan_cache import load_plan

    folder, options = Path(sys.argv[2]), sys.argv[3:]
    rows = next(int(option[5:]) for option in options if option.startswith("rows="))

    def open_engine() -> Engine:

        engine = FakeEngine.of(rows, hold=True, free=10**15)
        if "busy" in options:
            engine.ticker = _ticker
        return engine

    wiring = Wiring(open_engine, folder / "ui.json")
    return run(replace(wiring, last=load_plan(wiring.plan_path, wiring.mark())))


def _ticker(progress: Callable[[int, float], None], stop: Callable[[float], bool]) -> None:
    """Report progress of sixteen files ten times a second until told to stop."""
    step = 0
    while not stop(0.1):
        step += 1
        for index in range(16):
            progress(index, (step % 900) / 1000)


if __name__ == "__main__":
    if sys.argv[1:2] == ["child"]:
        sys.exit(child())
    main()
