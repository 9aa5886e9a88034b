"""What can go wrong between us and the Hub: each gets its own answer, and the other repos go on."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from huggingface_hub import close_session
from tests.e2e.raw_server import Conversation, serving

from wangp_downloader.demo import faults
from wangp_downloader.demo.faults import Fault, Match
from wangp_downloader.demo.hub import LoopbackHub
from wangp_downloader.errors import CancelledError
from wangp_downloader.files import RemoteFile, RemoteState
from wangp_downloader.remote.client import hub_file

if TYPE_CHECKING:
    from tests.unit.remote.conftest import MakeRoom, Room

GOOD = hub_file("org/good", "x.bin")
BAD = hub_file("org/bad", "x.bin")
ALWAYS = Match(path="org/bad", times=None)


@pytest.fixture(autouse=True)
def filled(hub: LoopbackHub) -> None:
    hub.add_file("org/good", "x.bin", b"good")
    hub.add_file("org/bad", "x.bin", b"bad")


@pytest.mark.parametrize("hidden", [True, False])
def test_a_gated_repo_names_its_page_and_how_to_give_a_token(
    hub: LoopbackHub, room: Room, hidden: bool
) -> None:
    hub.gate("org/bad", "hf_right", hidden=hidden)
    good, bad = room.lookup(GOOD, BAD)
    assert good.state is RemoteState.KNOWN
    assert bad.state is RemoteState.GATED
    assert bad.problem == "org/bad is gated"
    assert bad.hint is not None
    assert f"{hub.endpoint}/org/bad" in bad.hint
    assert "hf auth login" in bad.hint
    assert "HF_TOKEN" in bad.hint
    # Where its metadata is public, the file can still be found on this machine.
    assert (bad.digest is not None) is not hidden


@pytest.mark.parametrize("hidden", [True, False])
def test_a_gated_repo_opens_with_the_token_and_closes_without(
    hub: LoopbackHub, make_room: MakeRoom, hidden: bool
) -> None:
    hub.gate("org/bad", "hf_right", hidden=hidden)
    assert make_room().lookup(BAD)[0].state is RemoteState.GATED
    refused = make_room(token="hf_wrong").lookup(BAD)[0]
    assert refused.state is RemoteState.GATED
    assert refused.hint is not None
    assert "accept the licence" in refused.hint
    assert make_room(token="hf_right").lookup(BAD)[0].state is RemoteState.KNOWN
    hub.forget_requests()
    assert make_room(token="hf_right").lookup(BAD)[0].state is RemoteState.KNOWN
    assert hub.requests == []


def test_an_accepted_licence_is_noticed_at_once(hub: LoopbackHub, make_room: MakeRoom) -> None:
    hub.gate("org/bad", "hf_other")
    room = make_room(token="hf_mine")
    assert room.lookup(BAD)[0].state is RemoteState.GATED
    hub.gate("org/bad", "hf_mine")
    assert room.lookup(BAD)[0].state is RemoteState.KNOWN


def test_a_gate_costs_nothing_while_there_is_no_token(hub: LoopbackHub, make_room: MakeRoom) -> None:
    hub.gate("org/bad", "hf_right", hidden=True)
    first = make_room().lookup(BAD)
    hub.forget_requests()
    assert make_room().lookup(BAD) == first
    assert hub.requests == []


def test_a_missing_repo_may_be_private(hub: LoopbackHub, make_room: MakeRoom) -> None:
    hub.make_private("org/bad", "hf_right")
    good, bad = make_room().lookup(GOOD, BAD)
    assert good.state is RemoteState.KNOWN
    assert bad.state is RemoteState.MISSING
    assert bad.problem is not None
    assert "does not exist" in bad.problem
    assert "or is private" in bad.problem
    # A token that was given since is tried, though the refusal is fresh.
    assert make_room(token="hf_right").lookup(BAD)[0].state is RemoteState.KNOWN


def test_a_missing_repo_is_believed_for_a_while(hub: LoopbackHub, room: Room) -> None:
    nope = hub_file("org/nope", "x.bin")
    (first,) = room.lookup(nope)
    hub.forget_requests()
    assert room.lookup(nope) == [first]
    assert hub.requests == []
    hub.add_file("org/nope", "x.bin", b"x")
    assert room.lookup(nope, max_age_s=0)[0].state is RemoteState.KNOWN


def test_a_repo_that_went_away_is_missing_but_its_file_can_still_be_recognised(
    hub: LoopbackHub, room: Room
) -> None:
    (before,) = room.lookup(BAD)
    hub.remove("org/bad")
    (after,) = room.lookup(BAD, max_age_s=0)
    assert after.state is RemoteState.MISSING
    assert (after.size, after.digest) == (before.size, before.digest)


@pytest.mark.parametrize("repo", ["org", "org/na me", "a/b/c", "../x", ""])
def test_a_name_that_can_not_be_a_repo(hub: LoopbackHub, room: Room, repo: str) -> None:
    good, bad = room.lookup(GOOD, hub_file(repo, "x.bin"))
    assert good.state is RemoteState.KNOWN
    assert bad.state is RemoteState.MISSING


def test_a_missing_revision(room: Room) -> None:
    (answer,) = room.lookup(hub_file("org/bad", "x.bin", "v9"))
    assert answer.problem == "org/bad has no revision 'v9'"


def test_a_disabled_repo(hub: LoopbackHub, room: Room) -> None:
    hub.disable("org/bad")
    (answer,) = room.lookup(BAD)
    assert (answer.state, answer.problem) == (RemoteState.MISSING, "org/bad was disabled by the Hub")


@pytest.mark.parametrize("answers_blobs", [True, False])
def test_a_renamed_repo_works_and_its_new_name_is_said(
    hub: LoopbackHub, make_room: MakeRoom, answers_blobs: bool
) -> None:
    hub.answers_blobs = answers_blobs
    hub.rename("org/bad", "new/home")
    room = make_room()
    assert room.lookup(BAD)[0].size == 3
    assert room.notices == ["the repo org/bad is now called new/home"]
    assert "/new/home/resolve/" in room.client.download_url(BAD)
    again = make_room()
    assert again.lookup(BAD, max_age_s=0)[0].size == 3
    assert again.notices == []


@pytest.mark.parametrize(
    ("fault", "state", "said"),
    [
        (faults.answer(500, match=ALWAYS), RemoteState.FAILED, "answered 500"),
        (faults.answer(503, match=ALWAYS), RemoteState.FAILED, "answered 503"),
        (faults.answer(408, match=ALWAYS), RemoteState.FAILED, "answered 408"),
        (faults.answer(400, match=ALWAYS), RemoteState.FAILED, "answered 400"),
        (faults.answer(403, {"X-Error-Code": "GatedRepo"}, match=ALWAYS), RemoteState.GATED, "gated"),
        (faults.answer(403, {"X-Error-Message": "no such scope"}, match=ALWAYS), RemoteState.GATED, "scope"),
        (faults.answer(403, body=b"<html>blocked", match=ALWAYS), RemoteState.FAILED, "in between"),
        (faults.answer(404, match=ALWAYS), RemoteState.MISSING, "does not exist"),
        (faults.rate_limited(87, ALWAYS), RemoteState.FAILED, "slow down"),
        (faults.answer(200, body=b"<html>", match=ALWAYS), RemoteState.FAILED, "makes no sense"),
        (faults.answer(200, body=b"[]", match=ALWAYS), RemoteState.FAILED, "makes no sense"),
        (faults.answer(200, body=b"{}", match=ALWAYS), RemoteState.FAILED, "names no commit"),
        (faults.answer(200, body=b'{"id": "org/bad"}', match=ALWAYS), RemoteState.FAILED, "names no commit"),
        (faults.redirect("", ALWAYS), RemoteState.FAILED, "makes no sense"),
        (faults.redirect("file:///etc/passwd", ALWAYS), RemoteState.FAILED, "makes no sense"),
        (faults.hang_up(ALWAYS), RemoteState.OFFLINE, "no answer about org/bad"),
        (faults.truncate(5, ALWAYS), RemoteState.OFFLINE, "no answer about org/bad"),
        (faults.reset(5, ALWAYS), RemoteState.OFFLINE, "no answer about org/bad"),
    ],
    ids=lambda value: f"{value.kind}-{value.status}" if isinstance(value, Fault) else None,
)
def test_a_repo_in_trouble_has_its_own_answer_and_the_others_go_on(
    hub: LoopbackHub, room: Room, fault: Fault, state: RemoteState, said: str
) -> None:
    hub.faults.add(fault)
    bad, good = room.lookup(BAD, GOOD)
    assert good.state is RemoteState.KNOWN
    assert bad.state is state
    assert bad.problem is not None
    assert said in bad.problem


@pytest.mark.parametrize(
    "fault",
    [
        faults.answer(503, match=ALWAYS),
        faults.rate_limited(87, ALWAYS),
        faults.hang_up(ALWAYS),
        faults.answer(200, body=b"<html>", match=ALWAYS),
    ],
    ids=lambda fault: f"{fault.kind}-{fault.status}",
)
def test_what_was_known_serves_on_while_the_hub_is_in_trouble(
    hub: LoopbackHub, make_room: MakeRoom, fault: Fault
) -> None:
    (before,) = make_room().lookup(BAD)
    hub.faults.add(fault)
    room = make_room()
    (after,) = room.lookup(BAD, max_age_s=0)
    assert (after.state, after.digest, after.stale) == (RemoteState.KNOWN, before.digest, True)
    assert len(room.notices) == 1


@pytest.mark.parametrize(
    "fault",
    [faults.answer(502), faults.hang_up(), faults.truncate(3), faults.rate_limited(0)],
    ids=lambda fault: f"{fault.kind}-{fault.status}",
)
def test_one_failure_is_tried_again(hub: LoopbackHub, room: Room, fault: Fault) -> None:
    hub.faults.add(Fault(fault.kind, Match(), fault.status, fault.headers, after_bytes=fault.after_bytes))
    assert room.lookup(BAD)[0].state is RemoteState.KNOWN
    assert len(hub.requests) == 2


@pytest.mark.parametrize(
    "fault",
    [faults.answer(503), faults.reset(0), faults.hang_up(), faults.answer(429)],
    ids=lambda fault: f"{fault.kind}-{fault.status}",
)
def test_a_hub_in_trouble_for_a_few_answers_is_waited_for_by_all(
    hub: LoopbackHub, make_room: MakeRoom, fault: Fault
) -> None:
    files = [hub_file(f"org/r{index}", "x.bin") for index in range(6)]
    for file in files:
        hub.add_file(file.repo or "", "x.bin", b"x")
    hub.faults.add(Fault(fault.kind, Match(times=12), fault.status))
    answers = make_room(retry_pause_s=0.05, rate_limit_pause_s=0.05).lookup(*files)
    assert {answer.state for answer in answers} == {RemoteState.KNOWN}


@pytest.mark.parametrize("fault", [faults.answer(503), faults.hang_up(), faults.answer(429)])
def test_a_hub_in_trouble_for_ever_is_given_up_once_for_all(
    hub: LoopbackHub, make_room: MakeRoom, fault: Fault
) -> None:
    files = [hub_file(f"org/r{index}", "x.bin") for index in range(30)]
    hub.faults.add(Fault(fault.kind, Match(times=None), fault.status))
    pauses = {"retry_pause_s": 0.1, "rate_limit_pause_s": 0.1, "retry_budget_s": 0.5}
    start = time.monotonic()
    answers = make_room(**pauses).lookup(*files)
    assert not {answer.state for answer in answers} & {RemoteState.KNOWN, RemoteState.UNKNOWN}
    assert time.monotonic() - start < 3
    assert len(hub.requests) < 4 * 5 + 30


@pytest.mark.parametrize("retry_after", ["-1", "soon", "Wed, 21 Oct 2015 07:28:00 GMT", "1e9", ""])
@pytest.mark.parametrize("status", [429, 503])
def test_a_senseless_time_to_wait_is_no_reason_to_give_up(
    hub: LoopbackHub, room: Room, status: int, retry_after: str
) -> None:
    hub.faults.add(faults.answer(status, {"Retry-After": retry_after}, match=Match(path="org/bad")))
    assert room.lookup(BAD)[0].state is RemoteState.KNOWN
    assert len(hub.requests) == 2


@pytest.mark.parametrize("status", [429, 503])
def test_a_date_to_wait_for_is_counted_from_the_servers_own_clock(make_room: MakeRoom, status: int) -> None:
    times: list[float] = []

    def answer(conversation: Conversation) -> None:
        times.append(time.monotonic())
        date, until = "Wed, 21 Oct 2015 07:28:00 GMT", "Wed, 21 Oct 2015 07:28:01 GMT"
        conversation.send(
            f"HTTP/1.1 {status} X\r\nDate: {date}\r\nRetry-After: {until}\r\nContent-Length: 0\r\n\r\n".encode()
        )

    with serving(answer) as server:
        make_room(endpoint=server.url, attempts=2).lookup(BAD)
    assert 1 <= times[1] - times[0] < 4


@pytest.mark.parametrize("retry_after", [True, False])
def test_a_long_rate_limit_is_not_waited_for_but_named(
    hub: LoopbackHub, room: Room, retry_after: bool
) -> None:
    hub.faults.add(faults.rate_limited(87, ALWAYS, retry_after=retry_after))
    (answer,) = room.lookup(BAD)
    assert answer.hint is not None
    assert "in 87 seconds" in answer.hint
    assert len(hub.requests) == 1


def test_a_short_rate_limit_is_waited_for(hub: LoopbackHub, room: Room) -> None:
    hub.faults.add(faults.rate_limited(1, Match(path="org/bad")))
    start = time.monotonic()
    assert room.lookup(BAD)[0].state is RemoteState.KNOWN
    assert time.monotonic() - start >= 1


def test_a_silent_server_is_left_after_the_timeout(hub: LoopbackHub, make_room: MakeRoom) -> None:
    hub.faults.add(faults.delay(3600, ALWAYS))
    bad, good = make_room(timeout_s=0.2).lookup(BAD, GOOD)
    assert (bad.state, good.state) == (RemoteState.OFFLINE, RemoteState.KNOWN)


def test_a_hub_that_is_away_is_not_asked_by_every_repo(hub: LoopbackHub, make_room: MakeRoom) -> None:
    files = [hub_file(f"org/r{index}", "x.bin") for index in range(30)]
    hub.faults.add(faults.rate_limited(300, Match(times=None)))
    room = make_room()
    answers = room.lookup(*files)
    assert {answer.state for answer in answers} == {RemoteState.FAILED}
    assert len(hub.requests) < 12
    assert len(room.notices) == 1
    assert "29 repos more" in room.notices[0]


def test_nobody_listens(hub: LoopbackHub, make_room: MakeRoom) -> None:
    with LoopbackHub() as gone:
        endpoint = gone.endpoint
    files = [hub_file(f"org/r{index}", "x.bin") for index in range(5)]
    start = time.monotonic()
    answers = make_room(endpoint=endpoint, retry_pause_s=0.5).lookup(*files)
    assert time.monotonic() - start < 3
    assert {answer.state for answer in answers} == {RemoteState.OFFLINE}
    assert answers[0].problem is not None
    assert answers[0].problem.startswith(f"can not reach {endpoint}")


def test_offline_uses_what_is_known_and_opens_no_connection(hub: LoopbackHub, make_room: MakeRoom) -> None:
    (before,) = make_room().lookup(GOOD)
    hub.forget_requests()
    offline = make_room(offline=True)
    good, bad = offline.lookup(GOOD, BAD, max_age_s=0)
    assert (good.digest, good.stale) == (before.digest, True)
    assert bad.state is RemoteState.OFFLINE
    assert bad.hint is not None
    assert "--offline" in bad.hint
    assert offline.lookup(GOOD)[0].stale is False
    assert hub.requests == []


def test_our_own_setting_decides_about_offline(
    hub: LoopbackHub, room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    constants = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert room.lookup(GOOD)[0].state is RemoteState.KNOWN


@contextmanager
def cancelled_when_asked(hub: LoopbackHub, room: Room) -> Iterator[None]:
    """Cancel as soon as the request is there, and see that the block then ends soon."""

    def watch() -> None:
        hub.wait_for_request("org/bad")
        room.cancel.cancel()

    watcher = threading.Thread(target=watch)
    watcher.start()
    start = time.monotonic()
    yield
    watcher.join()
    assert time.monotonic() - start < 5


def test_cancelling_does_not_wait_for_a_request_that_hangs(hub: LoopbackHub, make_room: MakeRoom) -> None:
    hub.faults.add(faults.delay(3600, ALWAYS))
    room = make_room(timeout_s=60.0)

    with cancelled_when_asked(hub, room), pytest.raises(CancelledError):
        room.lookup(BAD)


@pytest.mark.parametrize("fault", [faults.rate_limited(9, ALWAYS), faults.answer(503, match=ALWAYS)])
def test_cancelling_does_not_wait_for_the_next_attempt(
    hub: LoopbackHub, make_room: MakeRoom, fault: Fault
) -> None:
    hub.faults.add(fault)
    room = make_room(retry_pause_s=9.0)
    with cancelled_when_asked(hub, room), pytest.raises(CancelledError):
        room.lookup(BAD)


def test_what_was_learnt_before_a_cancel_is_kept(hub: LoopbackHub, make_room: MakeRoom) -> None:
    hub.faults.add(faults.delay(3600, ALWAYS))
    room = make_room(workers=1)

    def cancel_later(event: object) -> None:
        room.cancel.cancel()

    with pytest.raises(CancelledError):
        room.client.lookup([GOOD, BAD], cancel=room.cancel, emit=cancel_later)
    assert make_room(offline=True).lookup(GOOD)[0].state is RemoteState.KNOWN


def test_the_token_goes_to_the_endpoint_alone(hub: LoopbackHub, make_room: MakeRoom) -> None:
    with LoopbackHub() as elsewhere:
        elsewhere.add_file("org/bad", "x.bin", b"elsewhere")
        hub.faults.add(faults.redirect(f"{elsewhere.endpoint}/api/models/org/bad", ALWAYS))
        make_room(token="hf_secret").lookup(BAD, GOOD)
        assert elsewhere.requests
        assert not any(request.authorized for request in elsewhere.requests)
    assert all(request.token == "hf_secret" for request in hub.requests)


def test_the_next_page_of_a_listing_on_another_host_gets_no_token(
    hub: LoopbackHub, make_room: MakeRoom
) -> None:
    with LoopbackHub() as elsewhere:
        elsewhere.add_file("org/bad", "x.bin", b"elsewhere")
        link = f'<{elsewhere.endpoint}/api/models/org/bad/tree/main?recursive=true>; rel="next"'
        headers = {"Link": link, "Content-Type": "application/json"}
        hub.answers_blobs = False
        hub.faults.add(faults.answer(200, headers, b"[]", Match(path="/tree/", times=None)))
        assert make_room(token="hf_secret").list_folder("org/bad", "") == ["x.bin"]
        assert [request.authorized for request in elsewhere.requests] == [False]


def test_a_token_that_can_not_be_sent_is_not_quoted(hub: LoopbackHub, make_room: MakeRoom) -> None:
    (answer,) = make_room(token="hf_se\ncret").lookup(BAD)
    assert answer.state is RemoteState.FAILED
    assert "cret" not in f"{answer}"


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
@pytest.mark.parametrize("content", [None, "no certificate"])
def test_certificates_that_can_not_be_read_are_named(
    hub: LoopbackHub,
    make_room: MakeRoom,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    variable: str,
    content: str | None,
) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content)
    plain = RemoteFile(hub.add_plain("/x.bin", b"x"), None, None, "x.bin")
    close_session()  # one that is open has its certificates already
    monkeypatch.setenv(variable, str(path))
    answers = make_room().lookup(BAD, plain)
    for answer in answers:
        assert answer.state is RemoteState.FAILED
        assert answer.problem is not None
        assert variable in answer.problem
        assert str(path) in answer.problem
    assert hub.requests == []
    monkeypatch.delenv(variable)
    assert [answer.state for answer in make_room().lookup(BAD, plain)] == [RemoteState.KNOWN] * 2
