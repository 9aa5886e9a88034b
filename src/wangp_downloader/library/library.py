"""The library: one question to all stores. Wires stores, hashes and evidence together; holds no rule."""

# Thousands of paths go through here: plain strings, half the time of pathlib.
# ruff: noqa: PTH100

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from pathlib import Path

from wangp_downloader.cancel import CancelToken
from wangp_downloader.events import Emit, Level, Notice, ignore
from wangp_downloader.files import Digest, LocalCopy, TargetState, Wanted
from wangp_downloader.library.hashes import HashIndex
from wangp_downloader.library.matching import FileTable, Matcher
from wangp_downloader.library.stores.base import Store
from wangp_downloader.library.targets import Inspection, inspect_targets
from wangp_downloader.library.wanted import WantedIndex


class Library:
    """Where wanted content is on this machine, and what stands at targets.

    Nothing is kept between two calls but computed hashes: each call sees the disk as it is.

    Args:
        stores: Most preferred first.
        hashes: The memory of hashes.
    """

    def __init__(self, stores: Sequence[Store], hashes: HashIndex) -> None:
        self.stores = tuple(stores)
        self.hashes = hashes

    def find(
        self,
        wanted: Collection[Wanted],
        *,
        hashing: bool = True,
        exclude: Collection[Path] = (),
        cancel: CancelToken,
        emit: Emit = ignore,
    ) -> dict[Digest, tuple[LocalCopy, ...]]:
        """Return the copies of wanted content in all stores.

        Blocks while stores are listed and, with ``hashing``, files of a wanted size are read whose hash is
        neither remembered nor vouched for; reading stops as soon as each content of that size is proven.

        Args:
            wanted: What is sought. Small git files (digest kind ``GIT_BLOB``) are found in a Hugging Face
                cache only: elsewhere they are not worth a link.
            hashing: If False no file is read; files that agree in size alone come as GUESSED, which is
                never enough to link.
            exclude: Paths that must not be offered, as they are written.
            cancel: Stops it; hashes computed so far are remembered.
            emit: Told of progress, and of what can not be read.

        Returns:
            The copies by digest, best first: by evidence, then a file before a link, then by store. A
            physical file comes once. Digests without a copy are left out.

        Raises:
            CancelledError: The user asked to stop.
            DatabaseError: The memory of hashes can not be read.
        """
        index = WantedIndex(wanted)
        if not len(index):
            return {}
        table = FileTable(os.path.abspath(path) for path in exclude)
        for order, store in enumerate(self.stores):
            self._gather(store, order, index, table, cancel, emit)
        return Matcher(index, self.hashes, cancel, emit).match(table.files(), hashing=hashing)

    def inspect(
        self,
        path: Path,
        wanted: Wanted | None,
        *,
        hashing: bool = True,
        trust: bool = False,
        cancel: CancelToken,
        emit: Emit = ignore,
    ) -> TargetState:
        """Return what stands at one path: as :meth:`inspect_many`."""
        items = [(path, wanted)]
        return self.inspect_many(items, hashing=hashing, trust=trust, cancel=cancel, emit=emit)[0]

    def inspect_many(
        self,
        items: Sequence[tuple[Path | str, Wanted | None]],
        *,
        hashing: bool = True,
        trust: bool = False,
        records: bool = True,
        cancel: CancelToken,
        emit: Emit = ignore,
    ) -> list[TargetState]:
        """Return what stands at each path where Wan2GP would look, in the order given.

        Content matches by a computed hash, by huggingface_hub's record beside the file, or by the name of
        the Hugging Face blob that a link leads to.

        Args:
            items: Absolute path, and what is wanted there (None: not known, then ``matches`` is None).
            hashing: Whether files of the right size may be read if nothing else tells.
            trust: Whether the right size is enough (then evidence is GUESSED).
            records: Whether other programs' records and the names of blobs are believed.
            cancel: Stops the hashing.
            emit: Told of progress, and of files that can not be read.

        Raises:
            CancelledError: The user asked to stop.
            DatabaseError: The memory of hashes can not be read.
        """
        options = Inspection(hashing, trust, cancel, emit, records)
        return inspect_targets([(str(path), item) for path, item in items], self.hashes, options)

    def _gather(
        self,
        store: Store,
        order: int,
        index: WantedIndex,
        table: FileTable,
        cancel: CancelToken,
        emit: Emit,
    ) -> None:
        try:
            for candidate in store.candidates(index, cancel=cancel, emit=emit):
                table.add(candidate, store.name, order)
        except OSError as error:
            emit(Notice(Level.WARNING, f"{store.name}: {error}"))
