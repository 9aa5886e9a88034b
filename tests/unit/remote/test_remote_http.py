from __future__ import annotations

from types import SimpleNamespace

import huggingface_hub
import pytest

from wangp_downloader.demo.hub import LoopbackHub
from wangp_downloader.errors import RemoteError
from wangp_downloader.remote.foreign import Asked
from wangp_downloader.remote.hub_http import Call, calling, guard, install, origin

CALL = Call(Asked("org/name", "https://hub.example"), 1.0)


def request_to(url: str) -> SimpleNamespace:
    return SimpleNamespace(url=url, headers={"authorization": "Bearer hf_secret"})


@pytest.mark.parametrize(
    ("url", "keeps_token"),
    [
        ("https://hub.example/api", True),
        ("https://HUB.example:443/api", True),
        ("https://hub.example:8443/api", False),
        ("https://cdn.hub.example/api", False),
        ("https://hub.example.evil.example/api", False),
        ("https://hub.example@evil.example/api", False),
    ],
)
def test_the_token_is_bound_to_the_origin(url: str, keeps_token: bool) -> None:
    request = request_to(url)
    with calling(CALL):
        guard(request)
    assert ("authorization" in request.headers) is keeps_token


def test_nothing_goes_on_in_the_clear_that_began_encrypted() -> None:
    request = request_to("http://hub.example/api?token=secret")
    with calling(CALL), pytest.raises(RemoteError, match="not encrypted") as caught:
        guard(request)
    assert "authorization" not in request.headers
    assert "secret" not in caught.value.message


def test_requests_that_are_not_ours_go_through_unchanged(hub: LoopbackHub) -> None:
    install()
    url = f"{hub.endpoint}/api/models/org/nope"
    response = huggingface_hub.get_session().get(url, headers={"Authorization": "Bearer hf_theirs"})
    assert response.status_code == 404
    assert hub.requests[0].token == "hf_theirs"


def test_origins() -> None:
    assert origin("http://Host.example/x") == origin("http://host.example:80") == ("http", "host.example", 80)
