"""Progress on the command line: what is drawn from the events, on a terminal and in a log."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from wangp_downloader.cli.live import LiveView, render
from wangp_downloader.cli.progress import PlainLines
from wangp_downloader.events import (
    Event,
    FileFinished,
    FileLocked,
    FileProgress,
    FileQueued,
    FileRetrying,
    FileStarted,
    FileVerifying,
    HashProgress,
    Level,
    MetadataProgress,
    Notice,
    ScanProgress,
)
from wangp_downloader.files import Outcome
from wangp_downloader.snapshot import Snapshot, fold
from wangp_downloader.units import GIB, MIB


def _drawn(events: list[Event], height: int = 24, width: int = 80) -> list[str]:
    console = Console(file=io.StringIO(), width=width, height=height, force_terminal=False)
    with console.capture() as captured:
        console.print(render(fold(Snapshot(), events), width, height))
    return [line.rstrip() for line in captured.get().splitlines() if line.strip()]


def _moving(key: str, done: int) -> list[Event]:
    return [FileQueued(key, GIB), FileStarted(key, GIB, 0), FileProgress(key, done, 10.0 * MIB, 4)]


def test_everything_that_moves_has_a_line_and_the_last_is_for_all() -> None:
    lines = _drawn(
        [
            MetadataProgress("a/b", 3, 20),
            ScanProgress("comfyui", 1200),
            HashProgress("/models/known.bin", MIB, 4 * MIB),
            *_moving("ckpts/moving.safetensors", 512 * MIB),
            FileQueued("ckpts/checked.safetensors", GIB),
            FileVerifying("ckpts/checked.safetensors", GIB // 2, GIB),
            FileQueued("ckpts/later.safetensors", GIB),
            FileQueued("ckpts/elsewhere.safetensors", GIB),
            FileLocked("ckpts/elsewhere.safetensors"),
            FileQueued("ckpts/broken.safetensors", GIB),
            FileFinished("ckpts/broken.safetensors", Outcome.FAILED, "no"),
        ]
    )
    assert [line.split()[0] for line in lines] == [
        "asking", "looking", "known.bin", "moving.safetensors", "checked.safetensors", "elsewhere.safetensors", "0",
    ]  # fmt: skip
    assert lines[3].endswith(" 50% 10.0 MB/s    51 s")
    assert lines[4].endswith(" 50% verifying")
    assert lines[5].endswith("waiting for another instance")
    assert lines[6] == "0 of 5 files, 1 failed, 1.50 GB of 5.00 GB, 10.0 MB/s, 5:58 left"


def test_one_that_waits_shows_no_speed() -> None:
    line = _drawn([*_moving("a.bin", MIB), FileRetrying("a.bin", "HTTP 503", 7.2)])[0]
    assert "HTTP 503; again in 7 s" in line
    assert "MB/s" not in line


@pytest.mark.parametrize("width", [40, 80, 200])
def test_view_never_grows_beyond_the_terminal(width: int) -> None:
    events = [event for n in range(60) for event in _moving(f"ckpts/{'long name ' * 12}{n}.bin", n * MIB)]
    lines = _drawn(events, height=24, width=width)
    assert len(lines) <= 23
    assert "… and 39 more" in lines
    assert lines[-1].startswith("0 of 60 files")
    assert all(len(line) <= width for line in lines)


def test_control_sequences_of_names_reach_no_terminal() -> None:
    assert "\x1b" not in "".join(_drawn(_moving("ckpts/\x1b[31mred\x1b]0;title\x07.bin", 1)))


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_names_keep_what_tells_them_apart(width: int) -> None:
    names = [f"wan2.2_text2video_14B_{noise}_quanto_mbf16_int8.safetensors" for noise in ("high", "low")]
    first, second, *_ = _drawn(
        [*_moving(f"ckpts/{names[0]}", 1), *_moving(f"ckpts/{names[1]}", 1)], width=width
    )
    assert "high" in first
    assert "low" in second


def test_live_view_prints_what_is_worth_keeping_and_leaves_no_trace_of_itself() -> None:
    console = Console(file=io.StringIO(), width=80, height=24, force_terminal=True)
    with LiveView(console) as view:
        for event in _moving("ckpts/a.bin", MIB):
            view(event)
        view(Notice(Level.WARNING, "the mirror is slow"))
        view(FileFinished("ckpts/a.bin", Outcome.DOWNLOADED, verified=True))
        view(FileFinished("ckpts/b.bin", Outcome.DOWNLOADED))
        view(FileFinished("ckpts/c.bin", Outcome.SKIPPED))
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    assert "the mirror is slow" in text
    assert "✓ ckpts/a.bin: downloaded\n" in text.replace("\r", "")
    assert "✓ ckpts/b.bin: downloaded (unverified)" in text
    assert "c.bin" not in text


def test_log_gets_a_line_a_minute(capsys: pytest.CaptureFixture[str]) -> None:
    now = 0.0
    lines = PlainLines(lambda: now)
    for event in _moving("ckpts/a.bin", 256 * MIB):
        lines(event)
    for second in range(1, 130):
        now = float(second)
        lines(FileProgress("ckpts/a.bin", 256 * MIB + second, 10.0 * MIB))
    said = capsys.readouterr().err.splitlines()
    assert said == [
        "downloading ckpts/a.bin (1.00 GB)",
        *2 * ["0 of 1 file, 256 MB of 1.00 GB, 10.0 MB/s, 1:17 left"],
    ]
