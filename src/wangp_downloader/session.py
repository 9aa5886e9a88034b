"""The one object that faces talk to: opens the rooms, wires them together, closes them.

Owns no logic of its own beyond the order of questions: catalog, metadata, targets, copies, plan. Knows no
terminal. Everything that can take long is lazy, so that a face can show something at once.
"""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from wangp_downloader.cancel import CancelToken
from wangp_downloader.errors import DatabaseError, SettingsError
from wangp_downloader.events import Emit, Event, FileFinished, Level, Notice, ignore
from wangp_downloader.files import Action, Outcome, Plan
from wangp_downloader.limits import LimitKeeper, LimitRule, limit_rule
from wangp_downloader.planner import Request, decide, select
from wangp_downloader.planning import (
    FactFinder,
    PlanOptions,
    ScanResult,
    Sources,
    UsableFile,
    parts_beside,
    stale_warning,
    wanted_of,
)
from wangp_downloader.queue_memory import QueueMemory, forget, left_undone
from wangp_downloader.settings import LoadedSettings, Settings

if TYPE_CHECKING:
    from wangp_downloader.catalog.catalog import Catalog, ModelInfo
    from wangp_downloader.journal import Entry, Journal
    from wangp_downloader.library.hashes import HashIndex
    from wangp_downloader.library.library import Library
    from wangp_downloader.library.undo import Undone
    from wangp_downloader.remote.cache import CacheInfo, MetadataCache
    from wangp_downloader.remote.client import RemoteClient
    from wangp_downloader.runner import Report
    from wangp_downloader.transfer import TransferEngine
    from wangp_downloader.transfer.parts import LeftOver

__all__ = ["Request", "Session"]

_Memory = TypeVar("_Memory")


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A download that was left half done.

    Attributes:
        target: As in the plan.
        bytes_done: Bytes that are here.
        size: Bytes of the whole file.
    """

    target: str
    bytes_done: int
    size: int


class Session:
    """Everything the program can do, for one configuration.

    Args:
        loaded: The settings and where they came from.
        emit: Told of notices that belong to no single call.
        at_close: Called when the session is closed.

    Raises:
        DownloaderError: From the methods: see each.
    """

    def __init__(
        self, loaded: LoadedSettings, emit: Emit = ignore, at_close: Callable[[], None] | None = None
    ) -> None:
        self.loaded = loaded
        self._at_close = at_close
        self._emit = emit
        self._catalog: Catalog | None = None
        self._catalog_lock = threading.Lock()
        self._limit = limit_rule(loaded)

    @classmethod
    def open(
        cls, loaded: LoadedSettings, *, emit: Emit = ignore, at_close: Callable[[], None] | None = None
    ) -> Session:
        """Open a session; nothing is read or connected before it is needed."""
        return cls(loaded, emit, at_close)

    @property
    def settings(self) -> Settings:
        """The settings in force."""
        return self.loaded.settings

    @property
    def root(self) -> Path:
        """The Wan2GP folder.

        Raises:
            SettingsError: It is not set and was not found.
        """
        root = self.settings.wan2gp_directory
        if root is None:
            raise SettingsError(
                "Wan2GP was not found in the usual places",
                hint="say where it is: wangp-dl config set wan2gp_directory DIR (or try: wangp-dl demo)",
            )
        return root

    # --- rooms, opened when first used -----------------------------------------------------------------------

    @cached_property
    def hashes(self) -> HashIndex:
        """The memory of computed hashes."""
        from wangp_downloader.library.hashes import HashIndex

        return self._opened(HashIndex, "library.db")

    @cached_property
    def metadata_cache(self) -> MetadataCache:
        """The memory of remote metadata."""
        from wangp_downloader.remote.cache import MetadataCache

        return self._opened(MetadataCache, "hfcache.db")

    def _opened(self, kind: Callable[[Path, Emit], _Memory], name: str) -> _Memory:
        """Open one of our databases; where the state folder can not be used, one that is forgotten at the end."""
        try:
            return kind(self.loaded.state_dir / name, self._emit)
        except DatabaseError as error:
            text = f"{error.message}; what is found out is forgotten at the end"
            self._emit(Notice(Level.WARNING, text))
            return kind(Path(self._scratch.name) / name, self._emit)

    @cached_property
    def _scratch(self) -> tempfile.TemporaryDirectory[str]:
        """A folder of our own that goes with the session."""
        return tempfile.TemporaryDirectory(prefix="wangp-", ignore_cleanup_errors=True)

    @cached_property
    def token(self) -> str | None:
        """The user's Hugging Face token, or None."""
        from wangp_downloader.remote.token import read_token

        # Made-up surroundings (the demo) have no token file of the user's.
        environ = self.loaded.around.environ
        return read_token() if environ is os.environ else environ.get("HF_TOKEN")

    @cached_property
    def remote(self) -> RemoteClient:
        """The remote service."""
        from wangp_downloader.remote.client import RemoteClient
        from wangp_downloader.remote.options import RemoteOptions

        options = RemoteOptions(
            endpoint=self.settings.endpoint, token=self.token, offline=self.loaded.offline
        )
        return RemoteClient(self.metadata_cache, options)

    @cached_property
    def _memory(self) -> RemoteClient:
        """What is remembered of the remote service; never asks it."""
        from wangp_downloader.remote.client import RemoteClient
        from wangp_downloader.remote.options import RemoteOptions

        return RemoteClient(self.metadata_cache, RemoteOptions(endpoint=self.settings.endpoint, offline=True))

    @cached_property
    def library(self) -> Library:
        """What is on this machine."""
        from wangp_downloader.library.library import Library
        from wangp_downloader.stores import build_stores

        return Library(
            build_stores(self.settings, self.root, self.write_roots(), self.loaded.around), self.hashes
        )

    @cached_property
    def engine(self) -> TransferEngine:
        """The transfer engine."""
        from wangp_downloader.transfer import TransferEngine, TransferOptions

        options = TransferOptions(
            connections=self.settings.connections,
            limit_bytes_per_s=self._limit.fixed_bytes_per_s,
            state_dir=self.loaded.state_dir,
        )
        return TransferEngine(options)

    # --- questions -------------------------------------------------------------------------------------------

    def catalog(self, *, ask: bool = True, cancel: CancelToken | None = None, emit: Emit = ignore) -> Catalog:
        """Return what Wan2GP needs; read once, and again when the handlers had not been asked before.

        Args:
            ask: False to use only handler answers that are already known.
            cancel: Stops the handlers' process.
            emit: Told what takes time.

        Raises:
            SettingsError: No Wan2GP folder is known.
            CatalogError: The folder is none.
        """
        from wangp_downloader.catalog.catalog import ProbeOptions, read_catalog
        from wangp_downloader.gpu import gpu_has_bf16

        with self._catalog_lock:
            if self._catalog is None or (ask and self._catalog.askable):
                options = ProbeOptions(self.loaded.state_dir, self.settings.wan2gp_python, ask)
                self._catalog = read_catalog(
                    self.root,
                    options,
                    gpu_has_bf16=lambda: gpu_has_bf16(self.loaded.state_dir),
                    cancel=cancel,
                    emit=emit,
                )
            return self._catalog

    def models(self) -> Sequence[ModelInfo]:
        """Return all models in Wan2GP's order, from what is known without asking its handlers anew."""
        return list(self.catalog(ask=False).models.values())

    def plan(
        self,
        request: Request,
        *,
        network: bool = True,
        hashing: bool = True,
        rehash: bool = False,
        cancel: CancelToken | None = None,
        emit: Emit = ignore,
    ) -> Plan:
        """Work out what to do.

        Args:
            request: Which files are meant.
            network: False to use only cached metadata and handler answers.
            hashing: False to read no file's content.
            rehash: True to hash every file in place, whatever the settings trust.
            cancel: Stops it.
            emit: Told of the progress.

        Returns:
            The plan; it changes nothing.

        Raises:
            UsageError: The request names what is not there.
            SettingsError, CatalogError: There is no usable Wan2GP folder.
            CancelledError: The user asked to stop.
        """
        cancel = cancel or CancelToken()
        catalog = self.catalog(ask=network, cancel=cancel, emit=emit)
        finder = FactFinder(self._sources(), PlanOptions(network, hashing, rehash), cancel, emit)
        optional = catalog.optional() if request.optional or request.groups else None
        asked = (*catalog.requirements, *(optional.requirements if optional else ()))
        requirements, unlisted = finder.expand(asked)
        rows = select(requirements, request, catalog.models)
        facts = replace(finder.facts(rows), unlisted=unlisted)
        files = decide(rows, facts)
        optional_warnings = optional.warnings if optional else ()
        warnings = (*catalog.warnings, *optional_warnings, *stale_warning(facts.answers))
        return Plan(files, finder.disk_needs(files, facts.held), warnings)

    def forget_hashes(self, plan: Plan) -> None:
        """Forget what was computed for the files of a plan, so that they are read again."""
        self.hashes.forget(os.path.normpath(self.root / file.path) for file in plan.files)

    def _sources(self) -> Sources:
        return Sources(
            self.root, self.settings, self.remote, self._memory, self.library, self._hub, self.write_roots()
        )

    def scan(self, *, hashing: bool = True, cancel: CancelToken, emit: Emit = ignore) -> ScanResult:
        """Look through all stores for any file that any model could use, wherever it already stands.

        Args:
            hashing: False to read no file; what agrees in size alone is then a guess.
            cancel: Stops it.
            emit: Told of the progress.
        """
        catalog = self.catalog(cancel=cancel, emit=emit)
        rows = select(catalog.requirements, Request(), catalog.models)
        answers = self.remote.lookup([row.remote for row in rows if row.remote], cancel=cancel, emit=emit)
        wanted = {row.target: item for row in rows if (item := wanted_of(row, answers)) is not None}
        copies = self.library.find(list(wanted.values()), hashing=hashing, cancel=cancel, emit=emit)
        found = [
            UsableFile(target, item.size, copy)
            for target, item in wanted.items()
            for copy in copies.get(item.digest, ())
        ]
        return ScanResult(tuple(found), (*catalog.warnings, *stale_warning(answers)))

    @property
    def _hub(self) -> Path | None:
        """The hub directory if downloads go there.

        Raises:
            SettingsError: ``new_files: hub`` without ``hub_directory``.
        """
        if self.settings.new_files != "hub":
            return None
        if self.settings.hub_directory is None:
            raise SettingsError("new_files is hub, but hub_directory is not set")
        return self.settings.hub_directory

    def write_roots(self) -> tuple[Path, ...]:
        """Return the folders of Wan2GP that may be written below, absolute."""
        catalog = self.catalog(ask=False)
        names = [*catalog.settings.checkpoints_paths, catalog.settings.loras_root, *catalog.lora_folders]
        return tuple(dict.fromkeys(Path(os.path.normpath(self.root / name)) for name in names))

    # --- acts ------------------------------------------------------------------------------------------------

    def run(
        self, plan: Plan, *, actions: frozenset[Action], cancel: CancelToken, emit: Emit = ignore
    ) -> Report:
        """Carry a plan out.

        Args:
            plan: What to do; only selected rows are touched.
            actions: LINK, DOWNLOAD or both.
            cancel: Stops it; what is done stays, parts are kept.
            emit: Told of every step.

        Raises:
            StorageError: The batch does not fit on the disk, or the journal can not be written; nothing was changed.
            CancelledError: The user asked to stop.
        """
        from wangp_downloader.library.link import LinkMode
        from wangp_downloader.runner import Runner, RunnerParts, check_space

        if Action.DOWNLOAD in actions:
            check_space(plan)  # before anything is remembered: a refused run leaves nothing to go on with
        journal = self._journal("download" if Action.DOWNLOAD in actions else "link")
        parts = RunnerParts(
            root=self.root,
            roots=self.write_roots(),
            hub=self._hub,
            link=LinkMode(self.settings.link),
            token=self.token,
            hashes=self.hashes,
            journal=journal,
            remote=self.remote,
            engine=self.engine,
            offline=self.loaded.offline,
            trust=self.settings.verify == "trust",
        )
        try:
            journal.prepare()
            with (
                LimitKeeper(lambda: self._limit, self.engine.set_limit) as keeper,
                self._remembered(plan, actions, cancel) as watch,
            ):
                return Runner(parts).run(plan, actions=actions, cancel=cancel, emit=watch(keeper.watch(emit)))
        finally:
            journal.close()

    @contextmanager
    def _remembered(
        self, plan: Plan, actions: frozenset[Action], cancel: CancelToken
    ) -> Iterator[Callable[[Emit], Emit]]:
        """Keep what is still to be done on the disk while a plan is carried out."""
        memory = QueueMemory(self._queue_folder)
        earlier = left_undone(self._queue_folder)
        left = {file.target for file in plan.files if file.selected and file.action in actions}
        memory.remember(left)
        # What Wan2GP no longer names can not be done any more.
        known = {row.target for row in self.catalog(ask=False).requirements} if earlier else set()
        planned = {file.target for file in plan.files}
        forget(path for path, targets in earlier.items() if not (targets & known) - planned)

        def watch(emit: Emit) -> Emit:
            def watched(event: Event) -> None:
                # A file that was cancelled alone is not wanted any more; one that Ctrl-C stopped is.
                if isinstance(event, FileFinished) and event.outcome not in _undone(cancel):
                    left.discard(event.key)
                emit(event)

            return watched

        try:
            yield watch
        finally:
            memory.remember(left)

    @property
    def _queue_folder(self) -> Path:
        return self.loaded.state_dir / "queue"

    def left_undone(self) -> frozenset[str]:
        """Return the targets that earlier runs were asked for and did not get done, killed or failed."""
        return frozenset().union(*left_undone(self._queue_folder).values())

    def undoable(self, *, every: bool = False) -> list[Entry]:
        """Return what can be taken back, newest first: of the last run that did something, or of all."""
        from wangp_downloader.library.undo import last_run, undoable

        entries = self._journal("undo").entries()
        return undoable(entries, run=None if every else last_run(entries))

    def undo(self, entries: Sequence[Entry], *, downloads: bool, cancel: CancelToken) -> list[Undone]:
        """Take back changes of the journal; what is no longer as it was left stays.

        Args:
            entries: As :meth:`undoable` gives them.
            downloads: True to remove downloaded files too.
            cancel: Looked at before each entry.

        Raises:
            CancelledError: The user asked to stop.
            StorageError: The journal can not be written.
        """
        from wangp_downloader.library.undo import UndoContext, undo

        journal = self._journal("undo")
        try:
            return undo(entries, UndoContext(journal, self.hashes, downloads, cancel))
        finally:
            journal.close()

    def _journal(self, verb: str) -> Journal:
        from wangp_downloader.journal import Journal

        return Journal(self.loaded.state_dir / "journal.jsonl", verb)

    def set_limit(self, bytes_per_s: float | None) -> None:
        """Change the limit of all transfers together, at once; None for no limit. Ends a timetable or share."""
        self._limit = LimitRule(bytes_per_s)
        if "engine" in self.__dict__:
            self.engine.set_limit(bytes_per_s)

    def pause(self, key: str | None = None) -> None:
        """Pause one transfer by its target, or all."""
        self.engine.pause(key)

    def resume(self, key: str | None = None) -> None:
        """Go on with one transfer, or all."""
        self.engine.resume(key)

    def cancel(self, key: str) -> None:
        """Stop one transfer; its part stays."""
        self.engine.cancel(key)

    # --- left-over parts ---------------------------------------------------------------------------------

    def unfinished(self) -> list[Unfinished]:
        """Return the downloads of the catalog's files that nobody goes on with. Asks no server."""
        sources = self._sources()
        requirements = self.catalog(ask=False).requirements
        answers = sources.memory.cached([row.remote for row in requirements if row.remote])
        paths, parts = parts_beside(sources, requirements, answers)
        targets = {path: target for target, path in paths.items()}
        return [
            Unfinished(targets[path], part.bytes_done, part.size)
            for path, part in parts.items()
            if part.size is not None and not part.in_use
        ]

    def parts(self, *, cancel: CancelToken) -> list[LeftOver]:
        """Return everything that unfinished downloads left behind, this program's and others', oldest first."""
        from wangp_downloader.transfer.parts import list_parts

        hub = [self.settings.hub_directory] if self.settings.hub_directory else []
        # "." is a checkpoint path too: the whole of Wan2GP, its venv included, is not walked for it.
        roots = [root for root in self.write_roots() if root != self.root]
        return list_parts([*roots, *hub], cancel=cancel)

    # --- the metadata cache ----------------------------------------------------------------------------------

    def cache_info(self) -> CacheInfo:
        """Return what the metadata cache holds."""
        return self.metadata_cache.info()

    def reset_cache(self) -> None:
        """Forget all remote metadata; it is asked for anew when it is next needed."""
        self.metadata_cache.reset()

    def close(self) -> None:
        """Close what was opened; the object can not be used afterwards."""
        for name in ("hashes", "metadata_cache"):
            opened = self.__dict__.pop(name, None)
            if opened is not None:
                opened.close()
        if "_scratch" in self.__dict__:
            self._scratch.cleanup()
        if self._at_close is not None:
            self._at_close()


def _undone(cancel: CancelToken) -> frozenset[Outcome]:
    return frozenset([Outcome.FAILED, Outcome.SKIPPED] if cancel.cancelled else [Outcome.FAILED])
