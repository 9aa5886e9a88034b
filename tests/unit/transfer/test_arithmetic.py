"""Limiter, back-off, governor and speed on a clock of the test's own."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wangp_downloader.transfer.backoff import Backoff
from wangp_downloader.transfer.governor import Governor
from wangp_downloader.transfer.limiter import TokenBucket
from wangp_downloader.transfer.pace import Pace
from wangp_downloader.transfer.speed import SpeedMeter


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@given(
    st.sampled_from([500e3, 3e6, 50e6, 200e6]),
    st.sampled_from([0.001, 0.01, 0.03]),
    st.integers(0, 2**32),
)
def test_any_window_of_five_seconds_is_within_two_percent(rate: float, step: float, seed: int) -> None:
    clock, chance = Clock(), random.Random(seed)
    bucket = TokenBucket(rate, clock)
    taken: list[tuple[float, int]] = []
    while clock.now < 1007.0:
        clock.now += step * chance.uniform(0.2, 1.0)
        while bucket.take(16384):
            taken.append((clock.now, 16384))
    for start in (1001.0, 1001.5, 1001.9):
        count = sum(size for at, size in taken if start <= at < start + 5.0)
        assert count == pytest.approx(5 * rate, rel=0.02)


def test_a_pause_of_the_machine_gives_no_burst() -> None:
    clock = Clock()
    bucket = TokenBucket(1e6, clock)
    clock.now += 3600
    count = 0
    while bucket.take(1000):
        count += 1000
    assert count <= 0.09 * 1e6


def test_a_change_counts_at_once() -> None:
    clock = Clock()
    bucket = TokenBucket(1e6, clock)
    clock.now += 1
    while bucket.take(16384):
        pass
    bucket.set_rate(None)
    assert bucket.take(10**9)
    bucket.set_rate(1e6)
    assert bucket.wait_s() <= 0.1 + 1e-9
    clock.now += 0.2
    assert bucket.open()


def test_backoff_is_capped_jittered_and_ends() -> None:
    backoff = Backoff(0.5, 8.0, most=6, _random=random.Random(1))
    bounds = [0.5, 1, 2, 4, 8, 8]
    for bound in bounds:
        assert not backoff.exhausted(0.0)
        assert 0 <= backoff.failed(0.0) <= bound
    assert backoff.exhausted(0.0)


@given(st.integers(0, 10_000))
def test_trouble_is_not_given_up_before_its_time_nor_long_after(seed: int) -> None:
    backoff = Backoff(0.5, 30.0, most=8, least_s=45.0, _random=random.Random(seed))
    now = 100.0
    while True:
        wait_s = backoff.failed(now)
        if backoff.exhausted(now):
            break
        now += wait_s
    assert backoff.failures >= 8
    assert 145.0 <= now < 185.0


def test_progress_forgives_but_a_trickle_does_not() -> None:
    backoff = Backoff(0.5, 8.0, most=4)
    for _ in range(3):
        backoff.failed(0.0)
        backoff.progressed(10)
    assert backoff.failures == 3
    backoff.progressed(70_000)
    assert backoff.failures == 0
    assert backoff.failed(0.0, asked_s=5.0) >= 5.0


def test_distress_halves_once_an_episode_and_calm_brings_back() -> None:
    governor = Governor(16)
    governor.distress(100.0)
    governor.distress(100.5)
    governor.distress(101.0)
    assert governor.allowed == 8
    governor.distress(104.0)
    assert governor.allowed == 4
    for second in range(110, 200):
        governor.tick(1000, float(second), saturated=True)
    assert governor.allowed == 16
    for second in range(200, 210):
        governor.distress(200.0 + 3 * second)
    assert governor.allowed == 1


def test_falling_goodput_lowers_the_number() -> None:
    governor = Governor(8)
    for tick in range(100):
        governor.tick(1_000_000, tick * 0.1, saturated=True)
    for tick in range(100, 200):
        governor.tick(100_000, tick * 0.1, saturated=True)
    assert governor.allowed < 8


def test_goodput_under_a_limit_says_nothing() -> None:
    governor = Governor(8)
    for tick in range(400):
        governor.tick(1_000_000 if tick < 100 else 0, tick * 0.1, saturated=False)
    assert governor.allowed == 8


def test_speed_is_true_at_once_and_honest_after_a_stall() -> None:
    meter = SpeedMeter(0.0)
    meter.update(100, 0.1)
    assert meter.bytes_per_s == pytest.approx(1000)
    for tick in range(2, 100):
        meter.update(100, tick * 0.1)
    assert meter.bytes_per_s == pytest.approx(1000)
    for tick in range(100, 145):
        meter.update(0, tick * 0.1)
    assert 0 < meter.bytes_per_s < 300
    for tick in range(145, 155):
        meter.update(0, tick * 0.1)
    assert meter.bytes_per_s == 0
    # What comes after a stall is measured afresh, not mixed with it.
    meter.update(100, 15.5)
    assert meter.bytes_per_s == pytest.approx(1000)
    meter.update(10, 4000.0)
    assert meter.bytes_per_s == 0


def test_a_server_that_is_far_away_gets_all_connections_at_once() -> None:
    pace = Pace(8)
    pace.answered(0.08)
    pace.answered(0.001)
    assert pace.useful == 8


def test_a_near_server_gets_one_connection_until_more_prove_useful() -> None:
    pace = Pace(8)
    pace.answered(0.001)
    assert pace.useful == 1
    for _ in range(5):
        pace.tick(0.001, 0.05)
    assert pace.useful == 1
    grown = []
    for _ in range(20):
        pace.tick(0.04, 0.05)
        grown.append(pace.useful)
    assert sorted(set(grown)) == [1, 2, 4, 8]
    assert grown == sorted(grown)


def test_one_idle_moment_does_not_bring_more_connections() -> None:
    pace = Pace(8)
    pace.answered(0.001)
    for waited_s in (0.0, 0.0, 0.05, 0.0, 0.0, 0.0) * 5:
        pace.tick(waited_s, 0.05)
        assert pace.useful == 1


def test_a_loop_that_never_waits_gives_connections_up_but_not_for_one_busy_moment() -> None:
    pace = Pace(8)
    pace.tick(0.0, 0.05)
    pace.tick(0.015, 0.05)
    assert pace.useful == 8
    assert not pace.strained
    for _ in range(10):
        pace.tick(0.0, 0.05)
    assert pace.useful == 1
    assert pace.strained
