"""How often and after how long a question is asked again."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from wangp_downloader.cancel import CancelToken
from wangp_downloader.errors import DownloaderError, NotFoundError, OfflineError, RateLimitedError
from wangp_downloader.remote.foreign import TransientError, UnreachableError
from wangp_downloader.remote.options import RemoteOptions
from wangp_downloader.remote.pool import Breaker
from wangp_downloader.remote.retrying import Retrying

DEFAULTS = RemoteOptions()


class Clock(CancelToken):
    """A token, and with it a clock, on which waiting takes no time."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.waits: list[float] = []

    def wait(self, timeout_s: float) -> bool:
        self.waits.append(timeout_s)
        self.now += timeout_s
        return self.cancelled


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(time, "monotonic", lambda: clock.now)
    return clock


def always(error: DownloaderError) -> Callable[[], int]:
    def attempt() -> int:
        raise error

    return attempt


def failing(clock: Clock, error: DownloaderError, breaker: Breaker | None = None) -> list[float]:
    """Return the waits until a question that always fails is given up."""
    before = len(clock.waits)
    with pytest.raises(type(error)):
        Retrying(DEFAULTS, breaker or Breaker(), clock).ask(always(error))
    return clock.waits[before:]


@pytest.mark.parametrize("error", [TransientError("x"), OfflineError("x")])
def test_waits_grow_and_end_within_the_budget(clock: Clock, error: DownloaderError) -> None:
    waits = failing(clock, error)
    assert 4 <= len(waits) < DEFAULTS.attempts
    assert 0.3 < waits[0] < 0.7
    assert waits[2] > waits[0]
    assert 5 < sum(waits) <= DEFAULTS.retry_budget_s


def test_waits_differ_so_that_not_all_come_back_at_once(clock: Clock) -> None:
    assert failing(clock, TransientError("x")) != failing(clock, TransientError("x"))


def test_a_host_that_is_away_is_tried_twice(clock: Clock) -> None:
    waits = failing(clock, UnreachableError("x"))
    assert len(waits) == 1
    assert waits[0] < 1


def test_what_will_not_change_is_not_asked_again(clock: Clock) -> None:
    assert failing(clock, NotFoundError("x")) == []


def test_a_limit_that_names_no_time_is_given_a_few_seconds(clock: Clock) -> None:
    waits = failing(clock, RateLimitedError("x"))
    assert 1 < waits[0] < 3
    assert sum(waits) <= DEFAULTS.retry_budget_s


@pytest.mark.parametrize("kind", [RateLimitedError, TransientError])
def test_the_time_that_was_asked_for_is_waited_in_full(
    clock: Clock, kind: type[RateLimitedError | TransientError]
) -> None:
    assert failing(clock, kind("x", retry_after_s=9.0))[0] >= 9
    assert failing(clock, kind("x", retry_after_s=60.0)) == []
    assert failing(clock, kind("x", retry_after_s=0.0))[0] >= DEFAULTS.retry_pause_s


def test_a_question_that_was_silent_for_the_whole_budget_is_not_asked_again(clock: Clock) -> None:
    def silent() -> int:
        clock.now += 20
        raise OfflineError("x")

    with pytest.raises(OfflineError):
        Retrying(DEFAULTS, Breaker(), clock).ask(silent)
    assert clock.waits == []


def test_the_budget_is_one_for_all_questions_until_an_answer_comes(clock: Clock) -> None:
    breaker = Breaker()
    failing(clock, TransientError("x"), breaker)
    clock.now += DEFAULTS.retry_budget_s
    assert failing(clock, TransientError("x"), breaker) == []
    assert Retrying(DEFAULTS, breaker, clock).ask(lambda: 7) == 7
    assert failing(clock, TransientError("x"), breaker) != []
