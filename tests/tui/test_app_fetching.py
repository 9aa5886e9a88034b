"""Fetching what was chosen, as the person sees it."""

from __future__ import annotations

from tests.tui.conftest import HIGH, LOW, Open
from tests.tui.fake_engine import GIB, FakeEngine, FakeLoaded, FakePart, make_file
from wangp_downloader.errors import StorageError
from wangp_downloader.events import (
    FileFinished,
    FilePaused,
)
from wangp_downloader.files import Outcome
from wangp_downloader.tui.desk import RunState
from wangp_downloader.tui.rows import Status
from wangp_downloader.tui.widgets.downloads import DownloadsPane


async def test_d_fetches_the_selection_and_unselects_what_arrived(open_app: Open) -> None:
    async with open_app() as screen:
        await screen.press("enter", "j", "j", "enter", "d")
        await screen.until(lambda: "run 3" in screen.engine.calls, "the run")
        await screen.settle()
        assert screen.selected == []
        for name in (HIGH, LOW, "t2v_2_2_vae.safetensors"):
            assert screen.row(name).status is Status.DONE
        assert "all done: 1 linked (5.00 GB saved), 2 downloaded (17.0 GB)" in screen.status


async def test_d_without_a_selection_does_nothing(open_app: Open) -> None:
    async with open_app() as screen:
        await screen.press("d")
        assert not any(call.startswith("run") for call in screen.engine.calls)
        assert "nothing is selected" in screen.status


async def test_a_failure_is_shown_kept_and_tried_again(open_app: Open) -> None:
    engine = FakeEngine.of(60, fail=frozenset({f"ckpts/{HIGH}"}))
    async with open_app(engine) as screen:
        await screen.press("enter", "d")
        await screen.until(lambda: screen.row(HIGH).status is Status.FAILED, "the failure")
        await screen.settle()
        assert screen.row(HIGH).status is Status.FAILED
        assert screen.selected == [HIGH]
        assert "R tries again" in screen.status
        assert any("the connection was reset" in line for line in screen.main.desk.log_lines)
        engine.fail = frozenset()
        await screen.press("R")
        await screen.until(lambda: screen.row(HIGH).status is Status.DONE, "the second attempt")
        await screen.settle()
        assert screen.selected == []


async def test_a_second_d_waits_for_the_first_run(open_app: Open) -> None:
    async with open_app(FakeEngine.of(60, hold=True)) as screen:
        await screen.press("enter", "d")
        await screen.until(screen.engine.held.is_set, "a run")
        await screen.press("j", "j", "enter", "d")
        assert "1 file will start when the present downloads are done" in screen.status
        screen.engine.release.set()
        await screen.until(lambda: "run 1" in screen.engine.calls, "the second run")
        await screen.settle()
        assert screen.selected == []


async def test_too_little_space_is_said_before_anything_starts(open_app: Open) -> None:
    async with open_app(FakeEngine.of(60, free=GIB), free_bytes=lambda _: GIB) as screen:
        await screen.press("enter")
        assert "too little" in screen.selection_bar
        await screen.press("d")
        await screen.answer("n")
        assert not any(call.startswith("run") for call in screen.engine.calls)
        assert "not started" in screen.status
        await screen.press("d")
        await screen.answer("y")
        await screen.until(lambda: "run 2" in screen.engine.calls, "the run")


async def test_d_during_a_run_takes_only_what_is_new(open_app: Open) -> None:
    async with open_app(FakeEngine.of(60, hold=True)) as screen:
        await screen.press("enter", "d")
        await screen.until(screen.engine.held.is_set, "a run")
        screen.app.mailbox(FileFinished(f"ckpts/{HIGH}", Outcome.SKIPPED, "cancelled"))
        await screen.until(lambda: not screen.row(HIGH).busy, "the cancelled file")
        await screen.press("d")
        assert "nothing new is selected" in screen.status
        screen.engine.release.set()
        await screen.settle()
        assert [call for call in screen.engine.calls if call.startswith("run")] == ["run 2"]


async def test_retry_during_a_run_takes_what_failed_and_nothing_that_was_cancelled(open_app: Open) -> None:
    async with open_app(FakeEngine.of(60, hold=True)) as screen:
        await screen.press("a", "d")
        await screen.until(screen.engine.held.is_set, "a run")
        await screen.until(lambda: screen.row(LOW).busy, "the downloads")
        screen.main.desk.cancel_row(screen.row(LOW))
        for name in (HIGH, LOW):
            screen.app.mailbox(FileFinished(f"ckpts/{name}", Outcome.FAILED, "connection reset"))
        await screen.until(lambda: screen.row(LOW).status is Status.FAILED, "the failure")
        screen.engine.fail = frozenset((f"ckpts/{HIGH}", f"ckpts/{LOW}"))
        await screen.press("R")
        assert "1 file will start" in screen.status
        screen.engine.hold = False
        screen.engine.release.set()
        await screen.until(lambda: "run 1" in screen.engine.calls, "the second run")
        await screen.settle()


async def test_offline_by_choice_is_said_and_only_links_go(open_app: Open) -> None:
    words = "offline (by --offline or HF_HUB_OFFLINE)"
    async with open_app(FakeEngine.of(60, loaded=FakeLoaded(offline=True)), size=(80, 24)) as screen:
        assert screen.status.endswith(words)
        await screen.press("enter", "d")
        assert f"not downloaded: {words}" in screen.status
        assert screen.main.desk.run is RunState.IDLE
        await screen.press("u", "a", "d")
        await screen.settle()
        links = sum(row.status is Status.DONE for row in screen.main.desk.files.rows)
        assert links
        assert f"run {links}" in screen.engine.calls


async def test_free_space_is_that_of_the_disk_that_the_selection_goes_to(open_app: Open) -> None:
    engine = FakeEngine.of(60)
    other = make_file(
        "other.safetensors", ("t2v_2_2",), target="far/other.safetensors", path="far/other.safetensors"
    )
    engine.files = (*engine.files, other)

    def free(folder: str) -> int:
        return {"/srv/Wan2GP/ckpts": 300, "/srv/Wan2GP/far": 1}.get(folder, 77) * GIB

    async with open_app(engine, free_bytes=free) as screen:
        await screen.until(lambda: "300 GB free" in screen.selection_bar, "the disk of the rows shown")
        await screen.press("/", *"other", "enter", "enter")
        await screen.until(lambda: "too little: 1.00 GB free" in screen.selection_bar, "the other disk")


async def test_a_refused_run_says_why(open_app: Open) -> None:
    async with open_app(
        FakeEngine.of(60, run_error=StorageError("the disk is full", hint="free some"))
    ) as screen:
        await screen.press("enter", "d")
        await screen.until(lambda: "the disk is full" in screen.status, "the reason")
        assert screen.main.desk.run is RunState.IDLE


async def test_pause_limit_and_cancel_reach_the_engine(open_app: Open) -> None:
    async with open_app(FakeEngine.of(60, hold=True)) as screen:
        for key in ("p", "P", "x"):
            screen.main.say("")
            await screen.press(key)
            assert "nothing is being downloaded" in screen.status, key
        await screen.press("enter", "d")
        await screen.until(lambda: screen.row(HIGH).busy, "a download")
        await screen.until(lambda: screen.main.desk.run is RunState.RUNNING, "a run")
        key = f"ckpts/{HIGH}"
        await screen.press("p", "p", "P", "x")
        assert screen.engine.calls[-4:] == ["pause None", "resume None", f"pause {key}", f"cancel {key}"]
        screen.app.mailbox(FilePaused(key))
        await screen.until(lambda: screen.row(HIGH).status is Status.PAUSED, "the pause")
        await screen.press("P")
        assert screen.engine.calls[-1] == f"resume {key}"
        await screen.press("minus")
        assert screen.engine.calls[-1].startswith("set_limit ")
        assert screen.main.desk.limit_kb
        for _ in range(40):
            await screen.press("plus")
        assert screen.engine.calls[-1] == "set_limit None"


async def test_the_downloads_pane_shows_bars_and_totals(open_app: Open) -> None:
    async with open_app(FakeEngine.of(60, hold=True), size=(140, 40)) as screen:
        await screen.press("enter", "d")
        await screen.until(lambda: screen.main.query("#downloads"), "the pane")
        pane = screen.main.query_one("#downloads", DownloadsPane)
        await screen.until(lambda: "running" in pane.text and "37%" in pane.text, "the totals")
        text = pane.text
        for words in ("0 of 2 files", "85.8 MB/s", "ETA", "limit none", "free 310 GB", "42.9 MB/s"):
            assert words in text


async def test_interrupted_downloads_are_offered_and_continued(open_app: Open) -> None:
    engine = FakeEngine.of(60, parts=(FakePart(f"ckpts/{HIGH}", 4 * GIB, None),))
    async with open_app(engine) as screen:
        assert screen.main.banner.text == "c continues 1 interrupted download · 4.00 GB of 9.50 GB here"
        assert screen.main.query_one("#banner").display
        engine.parts = ()
        await screen.press("c")
        await screen.until(lambda: screen.row(HIGH).status is Status.DONE, "the rest")
        await screen.settle()
        assert not screen.main.query_one("#banner").display
