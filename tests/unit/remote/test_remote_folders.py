from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from wangp_downloader.demo import faults
from wangp_downloader.demo.faults import Match
from wangp_downloader.demo.hub import LoopbackHub
from wangp_downloader.errors import GatedError, NotFoundError, OfflineError
from wangp_downloader.files import RemoteState
from wangp_downloader.remote.client import hub_file

if TYPE_CHECKING:
    from tests.unit.remote.conftest import MakeRoom, Room


@pytest.fixture(autouse=True, params=["blobs", "names"])
def filled(hub: LoopbackHub, request: pytest.FixtureRequest) -> None:
    hub.answers_blobs = request.param == "blobs"
    hub.page_size = 2
    for path in ("enc/config.json", "enc/sub/a.bin", "enc/sub/b.bin", "enc0/c.bin", "encoder.bin"):
        hub.add_file("org/name", path, path.encode(), lfs=path.endswith("bin"))


def test_all_files_below_a_folder_and_nothing_else(room: Room) -> None:
    assert room.list_folder("org/name", "enc") == ["enc/config.json", "enc/sub/a.bin", "enc/sub/b.bin"]
    assert room.list_folder("org/name", "enc/sub") == ["enc/sub/a.bin", "enc/sub/b.bin"]
    assert len(room.list_folder("org/name", "")) == 5


def test_a_listing_is_kept_with_its_metadata(hub: LoopbackHub, make_room: MakeRoom) -> None:
    listed = make_room().list_folder("org/name", "enc")
    hub.forget_requests()
    room = make_room()
    assert room.list_folder("org/name", "enc") == listed
    assert room.list_folder("org/name", "enc/sub") == listed[1:]
    answers = room.lookup(*(hub_file("org/name", path) for path in listed))
    assert [answer.size for answer in answers] == [len(path) for path in listed]
    assert make_room(offline=True).list_folder("org/name", "enc", max_age_s=0) == listed
    assert hub.requests == []


def test_a_stale_listing_of_an_unchanged_commit_costs_no_listing(hub: LoopbackHub, room: Room) -> None:
    listed = room.list_folder("org/name", "enc")
    hub.add_file("org/name", "enc/new.bin", b"x")
    assert room.list_folder("org/name", "enc") == listed
    assert room.list_folder("org/name", "enc", max_age_s=0) == sorted([*listed, "enc/new.bin"])


def test_a_stale_listing_serves_while_the_hub_is_in_trouble(hub: LoopbackHub, room: Room) -> None:
    listed = room.list_folder("org/name", "enc")
    hub.faults.add(faults.answer(503, match=Match(times=None)))
    assert room.list_folder("org/name", "enc", max_age_s=0) == listed
    assert len(room.notices) == 1


def test_what_can_not_be_listed(hub: LoopbackHub, room: Room, make_room: MakeRoom) -> None:
    with pytest.raises(NotFoundError):
        room.list_folder("org/name", "nope")
    with pytest.raises(NotFoundError):
        room.list_folder("org/nope", "enc")
    with pytest.raises(OfflineError) as caught:
        make_room(offline=True).list_folder("org/other", "enc")
    assert caught.value.hint is not None
    hub.gate("org/name", "hf_x", hidden=True)
    with pytest.raises(GatedError):
        make_room().list_folder("org/name", "enc", max_age_s=0)


def test_names_that_lead_elsewhere_are_left_out(hub: LoopbackHub, room: Room) -> None:
    hub.add_file("org/evil", "enc/../../x.bin", b"x")
    hub.add_file("org/evil", "enc/good.bin", b"x")
    assert room.list_folder("org/evil", "enc") == ["enc/good.bin"]
    assert "refused the path" in room.notices[0]


def test_listed_files_can_be_looked_up_and_fetched(hub: LoopbackHub, room: Room) -> None:
    listed = room.list_folder("org/name", "enc/sub")
    (answer,) = room.lookup(hub_file("org/name", listed[0]))
    assert answer.state is RemoteState.KNOWN
    url = room.client.download_url(hub_file("org/name", listed[0]))
    assert url == f"{hub.endpoint}/org/name/resolve/{answer.commit}/enc/sub/a.bin"
