"""A connection that is let go on after the sink has closed meanwhile."""

from __future__ import annotations

import pycurl
import pytest

from wangp_downloader.transfer.certs import Trust
from wangp_downloader.transfer.http import HttpConnection, HttpSettings


class _Handle:
    """libcurl where the write callback refuses what it had kept back."""

    def setopt(self, *_: object) -> None:
        """Take any option."""

    def pause(self, _: int) -> None:
        raise pycurl.error(pycurl.E_WRITE_ERROR, "pause/unpause failed")


def test_a_sink_that_wants_no_more_ends_the_request_not_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pycurl, "Curl", _Handle)
    connection = HttpConnection(HttpSettings(Trust(None, None), "test", 1.0, 16384), object())
    connection.paused = True
    assert connection.unpause() == pycurl.E_WRITE_ERROR
    assert not connection.paused
