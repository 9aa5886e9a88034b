from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from wangp_downloader.cancel import CancelToken
from wangp_downloader.errors import CancelledError, NotFoundError, OfflineError, RateLimitedError, RemoteError
from wangp_downloader.remote.foreign import TransientError, UnreachableError
from wangp_downloader.remote.pool import Breaker, run_all


def test_all_jobs_run_at_most_so_many_at_once() -> None:
    lock, running, peak = threading.Lock(), 0, 0

    def job() -> int:
        nonlocal running, peak
        with lock:
            running += 1
            peak = max(peak, running)
        with lock:
            running -= 1
        return 1

    ended = list(run_all([job] * 50, 3, CancelToken()))
    assert sorted(end.number for end in ended) == list(range(50))
    assert {end.value for end in ended} == {1}
    assert peak <= 3


def test_an_error_costs_its_own_job_alone(caplog: pytest.LogCaptureFixture) -> None:
    def bug() -> int:
        raise ZeroDivisionError

    def failure() -> int:
        raise NotFoundError("gone")

    ended = {end.number: end for end in run_all([bug, failure, lambda: 7], 2, CancelToken())}
    assert isinstance(ended[0].error, RemoteError)
    assert isinstance(ended[1].error, NotFoundError)
    assert ended[2].value == 7
    assert len(caplog.records) == 1


def test_no_jobs_end_at_once() -> None:
    assert list(run_all([], 4, CancelToken())) == []


def test_a_cancel_starts_no_further_job_and_waits_for_none() -> None:
    cancel, started, release = CancelToken(), [], threading.Event()

    def hang() -> None:
        started.append(1)
        cancel.cancel()
        release.wait(10)

    with pytest.raises(CancelledError):
        list(run_all([hang] * 5, 1, cancel))
    assert len(started) == 1
    release.set()


@pytest.mark.parametrize(
    ("error", "times"),
    [
        (UnreachableError("x"), 3),
        (RateLimitedError("x"), 5),
        (OfflineError("x"), 9),
        (NotFoundError("x"), None),
        (TransientError("x"), None),
    ],
    ids=lambda value: type(value).__name__,
)
def test_when_asking_on_is_pointless(error: RemoteError, times: int | None) -> None:
    breaker = Breaker()
    for _ in range((times or 100) - 1):
        breaker.failed(error)
    assert breaker.tripped is None
    breaker.failed(error)
    assert breaker.tripped is (error if times else None)
    breaker.succeeded()
    assert breaker.tripped is None


def test_what_is_tried_again_counts_only_when_it_is_given_up() -> None:
    breaker = Breaker()
    for _ in range(20):
        breaker.failed(OfflineError("x"), again=True)
    assert breaker.tripped is None
    breaker.failed(OfflineError("last"))
    assert str(breaker.tripped) == "last"


def test_nobody_there_counts_though_it_is_tried_again() -> None:
    breaker = Breaker()
    for _ in range(3):
        breaker.failed(UnreachableError("x"), again=True)
    assert breaker.tripped is not None


@pytest.mark.parametrize("end", [Breaker.succeeded, lambda breaker: breaker.failed(NotFoundError("x"))])
def test_trouble_lasts_from_the_first_failure_to_the_next_answer(end: Callable[[Breaker], None]) -> None:
    breaker = Breaker()
    assert breaker.trouble_s == 0
    breaker.failed(TransientError("x"), again=True)
    time.sleep(0.01)
    breaker.failed(TransientError("x"))
    assert breaker.trouble_s >= 0.01
    end(breaker)
    assert breaker.trouble_s == 0
