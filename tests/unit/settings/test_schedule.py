from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wangp_downloader.events import Event, FileFinished, FileProgress
from wangp_downloader.files import Outcome
from wangp_downloader.limits import LimitKeeper, LimitRule
from wangp_downloader.settings.schedule import parse_rate, parse_schedule

MONDAY = datetime(2026, 11, 23, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "moment", "limit"),
    [
        ("08:00,512 19:00,10M 23:00,off", MONDAY.replace(hour=8), 512 * 1024),
        ("08:00,512 19:00,10M 23:00,off", MONDAY.replace(hour=18, minute=59), 512 * 1024),
        ("08:00,512 19:00,10M 23:00,off", MONDAY.replace(hour=20), 10 * 1024**2),
        ("08:00,512 19:00,10M 23:00,off", MONDAY.replace(hour=7), None),  # from the evening before
        ("Mon-09:00,1M Fri-18:00,off", MONDAY.replace(hour=10) + timedelta(days=2), 1024**2),
        ("Mon-09:00,1M Fri-18:00,off", MONDAY.replace(hour=3), None),  # from the Friday before
        ("Monday-00:00,0", MONDAY, None),
        ("MON-00:00,1k tuesday-00:00,off", MONDAY, 1024),
        ("00:00,1.5k", MONDAY, 1536),
        ("Mon-00:00,2k 00:00,1k", MONDAY, 2048),
        ("Mon-00:00,2k 00:00,1k", MONDAY + timedelta(days=1), 1024),
    ],
)
def test_each_entry_holds_until_the_next(text: str, moment: datetime, limit: float | None) -> None:
    assert parse_schedule(text).limit_at(moment) == limit


@pytest.mark.parametrize(
    "text",
    [
        "", "8", "25:00,1", "08:60,1", "08:00", "08:00,fast", "Mox-08:00,1", "08:00,-1", "08:00,1T",
        "Monkey-08:00,off", "Mo-08:00,off", "٠٨:00,1", "08:00,٣", "08:00,1 8:00,2", "Tue-08:00,1 Tuesday-08:00,2",
    ],
)  # fmt: skip
def test_nonsense_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"[\s\S]*"):
        parse_schedule(text)


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        schedule = parse_schedule(text)
    except ValueError:
        return
    assert schedule.limit_at(MONDAY) is None or schedule.limit_at(MONDAY)


def test_rates() -> None:
    assert [parse_rate(text) for text in ("off", "100", "2k", "3M", "1G", "7b")] == [
        None, 102_400, 2048, 3 * 1024**2, 1024**3, 7,
    ]  # fmt: skip


def test_the_limit_follows_the_timetable_while_running() -> None:
    moments = iter([MONDAY.replace(hour=9), *[MONDAY.replace(hour=20)] * 1000])
    changed = threading.Event()
    limits: list[float | None] = []

    def set_limit(limit: float | None) -> None:
        limits.append(limit)
        if len(set(limits)) == 2:
            changed.set()

    rule = LimitRule(7.0, parse_schedule("08:00,1 19:00,2"))
    with LimitKeeper(lambda: rule, set_limit, lambda: next(moments)):
        assert changed.wait(20)
    assert list(dict.fromkeys(limits)) == [1024, 2048]


def test_a_share_of_the_line_is_taken_after_it_was_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr("wangp_downloader.limits.time.monotonic", lambda: clock[0])
    limits: list[float | None] = []
    passed: list[Event] = []
    keeper = LimitKeeper(lambda: LimitRule(share=0.8), limits.append)
    emit = keeper.watch(passed.append)
    emit(FileProgress("a", 1, 600.0))
    emit(FileProgress("b", 1, 400.0))
    keeper.apply()
    emit(FileFinished("b", Outcome.DOWNLOADED))
    clock[0] += 7
    keeper.apply()
    clock[0] += 1000
    keeper.apply()
    assert limits == [None, 800.0, None]
    assert len(passed) == 3


def test_a_fixed_limit_needs_no_thread() -> None:
    limits: list[float | None] = []
    before = threading.active_count()
    with LimitKeeper(lambda: LimitRule(5.0), limits.append):
        assert threading.active_count() == before
    assert limits == [5.0]
