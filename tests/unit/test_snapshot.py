"""The reducer: events in, one value out."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wangp_downloader.events import (
    Event,
    FileFinished,
    FilePaused,
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
from wangp_downloader.snapshot import LOG_LIMIT, Mailbox, Phase, Snapshot, Transfer, fold

KEY = "ckpts/a.safetensors"


def transfer_after(*events: Event) -> Transfer:
    return fold(Snapshot(), events).transfers[KEY]


def test_a_download_from_queue_to_end() -> None:
    queued = FileQueued(KEY, 100)
    started = FileStarted(KEY, 100, 20)
    progress = FileProgress(KEY, 60, 10.0, 4)
    verifying = FileVerifying(KEY, 50, 100)
    finished = FileFinished(KEY, Outcome.DOWNLOADED, verified=True)

    assert transfer_after(queued).phase is Phase.QUEUED
    begun = transfer_after(queued, started)
    assert (begun.phase, begun.done, begun.resumed_from) == (Phase.DOWNLOADING, 20, 20)
    moving = transfer_after(queued, started, progress)
    assert (moving.fraction, moving.eta_s, moving.connections) == (0.6, 4.0, 4)
    checked = transfer_after(queued, started, progress, verifying)
    assert (checked.phase, checked.fraction, checked.bytes_per_s) == (Phase.VERIFYING, 0.5, 0.0)
    ended = transfer_after(queued, started, progress, verifying, finished)
    assert (ended.phase, ended.outcome, ended.done, ended.verified) == (
        Phase.FINISHED,
        Outcome.DOWNLOADED,
        100,
        True,
    )


def test_a_retry_and_a_pause_have_no_speed() -> None:
    moving = [FileStarted(KEY, 100, 0), FileProgress(KEY, 10, 5.0)]
    waiting = transfer_after(*moving, FileRetrying(KEY, "connection reset", 2.0))
    assert (waiting.phase, waiting.problem, waiting.wait_s, waiting.eta_s) == (
        Phase.RETRYING,
        "connection reset",
        2.0,
        None,
    )
    assert transfer_after(*moving, FilePaused(KEY)).bytes_per_s == 0.0
    again = transfer_after(*moving, FileRetrying(KEY, "connection reset", 2.0), FileProgress(KEY, 20, 5.0))
    assert (again.phase, again.problem) == (Phase.DOWNLOADING, None)


def test_a_failure_keeps_its_reason_until_it_is_queued_again() -> None:
    failed = transfer_after(
        FileStarted(KEY, 100, 0), FileFinished(KEY, Outcome.FAILED, "the disk is full", "free some space")
    )
    assert (failed.problem, failed.hint, failed.done) == ("the disk is full", "free some space", 0)
    again = transfer_after(FileFinished(KEY, Outcome.FAILED, "x"), FileQueued(KEY, 100))
    assert (again.phase, again.problem, again.outcome) == (Phase.QUEUED, None, None)


def test_totals_count_what_is_known() -> None:
    snapshot = fold(
        Snapshot(),
        [
            FileStarted("a", 100, 0),
            FileProgress("a", 50, 10.0),
            FileStarted("b", None, 0),
            FileProgress("b", 70, 5.0),
            FileQueued("c", 50),
            FileFinished("d", Outcome.FAILED, "x"),
            FileQueued("e", 50),
            FileFinished("e", Outcome.LINKED),
        ],
    )
    totals = snapshot.totals
    assert (totals.files, totals.finished, totals.failed) == (5, 1, 1)
    assert (totals.size, totals.done, totals.bytes_per_s) == (200, 100, 15.0)
    assert totals.fraction == 0.5
    assert totals.eta_s == pytest.approx(100 / 15)
    assert Snapshot().totals.fraction == 0.0


def test_totals_say_what_came_over_the_network_and_count_nothing_as_done_that_was_stopped() -> None:
    snapshot = fold(
        Snapshot(),
        [
            FileStarted("a", 100, 40),
            FileFinished("a", Outcome.DOWNLOADED, verified=True),
            FileQueued("b", 50),
            FileFinished("b", Outcome.LINKED),
            FileQueued("c", 70),
            FileFinished("c", Outcome.KEPT),
            FileStarted("d", 100, 0),
            FileProgress("d", 30, 10.0),
            FileFinished("d", Outcome.SKIPPED, "stopped by the user"),
        ],
    )
    totals = snapshot.totals
    assert (totals.downloaded, totals.linked, totals.kept, totals.finished) == (1, 1, 1, 3)
    assert (totals.fetched, totals.linked_bytes) == (90, 50)


def test_nothing_has_no_eta() -> None:
    assert Snapshot().totals.eta_s is None


def test_background_work_appears_and_goes() -> None:
    snapshot = fold(
        Snapshot(),
        [
            ScanProgress("hub", 10),
            HashProgress("/a", 1, 4),
            MetadataProgress("org/a", 1, 2),
            ScanProgress("hub", 20),
        ],
    )
    assert snapshot.scanning == {"hub": 20}
    assert snapshot.hashing["/a"].done == 1
    assert snapshot.metadata == MetadataProgress("org/a", 1, 2)
    after = fold(
        snapshot,
        [
            ScanProgress("hub", 30, finished=True),
            HashProgress("/a", 4, 4, finished=True),
            MetadataProgress("b", 2, 2),
        ],
    )
    assert (dict(after.scanning), dict(after.hashing), after.metadata) == ({}, {}, None)
    assert dict(snapshot.at_rest().scanning) == {}


def test_the_log_says_what_happened_and_is_bounded() -> None:
    snapshot = fold(
        Snapshot(),
        [
            Notice(Level.WARNING, "careful"),
            FileFinished(KEY, Outcome.DOWNLOADED, verified=True),
            FileFinished(KEY, Outcome.DOWNLOADED),
            FileFinished(KEY, Outcome.FAILED, "no route", "check the network"),
            FileFinished(KEY, Outcome.SKIPPED, "not asked for"),
            FileFinished(KEY, Outcome.LINKED),
            FileRetrying(KEY, "reset", 3.0),
        ],
    )
    assert [line.text for line in snapshot.log] == [
        "careful",
        "a.safetensors: downloaded, verified",
        "a.safetensors: downloaded, not verified",
        "a.safetensors: failed: no route · check the network",
        "a.safetensors: skipped: not asked for",
        "a.safetensors: linked",
        "a.safetensors: reset; trying again in 3 s",
    ]
    assert [line.level for line in snapshot.log].count(Level.ERROR) == 1
    many = fold(snapshot, [Notice(Level.INFO, str(number)) for number in range(LOG_LIMIT + 5)])
    assert len(many.log) == LOG_LIMIT
    assert many.logged == 7 + LOG_LIMIT + 5
    assert many.log[-1].text == str(LOG_LIMIT + 4)


def test_a_new_run_starts_empty_but_keeps_the_log() -> None:
    before = fold(Snapshot(), [FileQueued(KEY, 1), Notice(Level.INFO, "x")])
    assert dict(before.without_transfers().transfers) == {}
    assert before.without_transfers().log == before.log


def test_folding_does_not_change_what_was() -> None:
    first = fold(Snapshot(), [FileQueued(KEY, 10)])
    fold(first, [FileStarted(KEY, 10, 0), FileProgress(KEY, 5, 1.0)])
    assert first.transfers[KEY].phase is Phase.QUEUED


def test_events_that_it_does_not_know_are_passed_over() -> None:
    assert fold(Snapshot(), [Event()]) == Snapshot()


EVENTS = st.lists(
    st.one_of(
        st.builds(FileQueued, st.sampled_from("abc"), st.one_of(st.none(), st.integers(0, 100))),
        st.builds(FileStarted, st.sampled_from("abc"), st.integers(0, 100), st.integers(0, 100)),
        st.builds(FileProgress, st.sampled_from("abc"), st.integers(0, 200), st.floats(0, 1e9)),
        st.builds(FileVerifying, st.sampled_from("abc"), st.integers(0, 100), st.integers(0, 100)),
        st.builds(FilePaused, st.sampled_from("abc")),
        st.builds(FileFinished, st.sampled_from("abc"), st.sampled_from(list(Outcome))),
        st.builds(Notice, st.sampled_from(list(Level)), st.text(max_size=5)),
    ),
    max_size=30,
)


@given(EVENTS, st.integers(0, 30))
def test_folding_in_two_steps_is_folding_at_once(events: list[Event], cut: int) -> None:
    assert fold(fold(Snapshot(), events[:cut]), events[cut:]) == fold(Snapshot(), events)


@given(EVENTS)
def test_shares_stay_between_none_and_all(events: list[Event]) -> None:
    snapshot = fold(Snapshot(), events)
    fractions = [transfer.fraction for transfer in snapshot.transfers.values()]
    assert all(fraction is None or 0 <= fraction <= 1 for fraction in fractions)
    assert 0 <= snapshot.totals.fraction <= 1


def test_the_mailbox_takes_from_many_threads_and_keeps_each_ones_order() -> None:
    mailbox = Mailbox()

    def send(name: str) -> None:
        for number in range(500):
            mailbox(FileProgress(name, number, 0.0))

    threads = [threading.Thread(target=send, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    events = [event for event in mailbox.drain() if isinstance(event, FileProgress)]
    assert len(events) == 2000
    for name in "abcd":
        assert [event.done for event in events if event.key == name] == list(range(500))
    assert mailbox.drain() == []


def test_what_was_fetched_counts_also_where_it_did_not_last() -> None:
    events: list[Event] = [
        FileStarted(KEY, 100, 20),
        FileProgress(KEY, 60, 5.0),
        FileStarted(KEY, 100, 0),
        FileProgress(KEY, 30, 5.0),
        FileStarted(KEY, 100, 10),
        FileProgress(KEY, 100, 5.0),
    ]
    assert fold(Snapshot(), events).totals.fetched == 40 + 30 + 90
    again = fold(Snapshot(), [*events, FileFinished(KEY, Outcome.FAILED), FileStarted(KEY, 100, 50)])
    assert again.totals.fetched == 0
