from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from wangp_downloader.cancel import CancelToken
from wangp_downloader.demo.hub import LoopbackHub
from wangp_downloader.events import Event, Notice
from wangp_downloader.files import RemoteAnswer, RemoteFile, RemoteFolder
from wangp_downloader.remote.cache import MetadataCache
from wangp_downloader.remote.client import DAY_S, RemoteClient
from wangp_downloader.remote.options import RemoteOptions


@dataclass
class Room:
    """A client on an own cache, with what it said."""

    client: RemoteClient
    cache: MetadataCache
    events: list[Event] = field(default_factory=list)
    cancel: CancelToken = field(default_factory=CancelToken)

    def lookup(self, *files: RemoteFile, max_age_s: float = DAY_S) -> list[RemoteAnswer]:
        answers = self.client.lookup(files, max_age_s=max_age_s, cancel=self.cancel, emit=self.events.append)
        return [answers[file] for file in files]

    def list_folder(self, repo: str, path: str, revision: str = "main", **options: Any) -> list[str]:
        folder = RemoteFolder(repo, revision, path)
        found: Collection[RemoteFile] = self.client.list_folder(
            folder, cancel=self.cancel, emit=self.events.append, **options
        )
        return [file.path for file in found]

    @property
    def notices(self) -> list[str]:
        return [event.text for event in self.events if isinstance(event, Notice)]


MakeRoom = Callable[..., Room]


@pytest.fixture
def make_room(hub: LoopbackHub, tmp_path: Path) -> Iterator[MakeRoom]:
    """Make rooms that share one database file, as two runs of the program do."""
    caches = []

    def make(**options: Any) -> Room:
        quick = {"timeout_s": 5.0, "retry_pause_s": 0.01, "rate_limit_pause_s": 0.02}
        settings = {"endpoint": hub.endpoint, **quick, **options}
        cache = MetadataCache(tmp_path / "state" / "hfcache.db")
        caches.append(cache)
        return Room(RemoteClient(cache, RemoteOptions(**settings)), cache)

    yield make
    for cache in caches:
        cache.close()


@pytest.fixture
def room(make_room: MakeRoom) -> Room:
    return make_room()
