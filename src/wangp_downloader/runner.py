"""Carries a plan out: links first, then downloads, and says what became of every file.

Owns the order of things and the report. How a link is made is the library's business, how bytes arrive the
transfer room's; both re-check the disk right before they act.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from wangp_downloader.cancel import CancelToken
from wangp_downloader.errors import CancelledError, DownloaderError, LinkError, OfflineError, StorageError
from wangp_downloader.events import Emit, FileFinished, FileQueued, ignore
from wangp_downloader.files import (
    Action,
    Digest,
    DigestKind,
    Evidence,
    FileResult,
    LocalCopy,
    Outcome,
    Plan,
    PlannedFile,
    RemoteAnswer,
    RemoteFile,
    Wanted,
)
from wangp_downloader.journal import Change, Journal, JournalAction
from wangp_downloader.library.hashes import HashIndex
from wangp_downloader.library.link import LinkContext, LinkMode, PlacedLink, check_root, place_link
from wangp_downloader.paths import redact_url
from wangp_downloader.planner import destination
from wangp_downloader.remote.client import RemoteClient
from wangp_downloader.transfer import TransferEngine, TransferRequest, TransferResult
from wangp_downloader.units import format_size


@dataclass(frozen=True, slots=True)
class Report:
    """What a run did.

    Attributes:
        results: One a row of the plan, in its order.
    """

    results: tuple[FileResult, ...]

    @property
    def failed(self) -> tuple[FileResult, ...]:
        """The files that are not in place although they were asked for."""
        return tuple(result for result in self.results if result.outcome is Outcome.FAILED)

    @property
    def bytes_linked(self) -> int:
        """Bytes that did not have to be downloaded."""
        return sum(result.file.size or 0 for result in self.results if result.outcome is Outcome.LINKED)

    @property
    def bytes_fetched(self) -> int:
        """Bytes that came over the network."""
        return sum(result.bytes_fetched for result in self.results)

    @property
    def exit_code(self) -> int:
        """0 if all that was asked for is in place, else 1."""
        return 1 if self.failed else 0


@dataclass(frozen=True, slots=True)
class RunnerParts:
    """What the runner works with; the session opens and closes them.

    Attributes:
        root: The Wan2GP folder: relative targets start there.
        roots: Folders that may be written below: checkpoint paths, loras root, hub directory.
        hub: The hub directory if downloads go there (``new_files: hub``), else None.
        link: How files are put in place.
        token: For the Hub, or None.
        offline: True if no server may be asked.
        trust: True to link by a name that holds the hash, or another program's record, without reading the file.
    """

    root: Path
    roots: tuple[Path, ...]
    hub: Path | None
    link: LinkMode
    token: str | None
    hashes: HashIndex
    journal: Journal
    remote: RemoteClient
    engine: TransferEngine
    offline: bool = False
    trust: bool = False


class Runner:
    """Carries plans out.

    Args:
        parts: What it works with.
    """

    def __init__(self, parts: RunnerParts) -> None:
        self._parts = parts

    def run(
        self, plan: Plan, *, actions: frozenset[Action], cancel: CancelToken, emit: Emit = ignore
    ) -> Report:
        """Do what the plan's selected rows say.

        Args:
            plan: What to do, checked for space; rows that are not selected are skipped.
            actions: Which of LINK and DOWNLOAD are meant; rows with the other are skipped.
            cancel: Stops at the next safe point; what is done stays, parts are kept.
            emit: Told of every step.

        Returns:
            A result for every row.

        Raises:
            CancelledError: The user asked to stop.
        """
        results: dict[str, FileResult] = {}
        links = [file for file in plan.files if _is_due(file, Action.LINK, actions)]
        downloads = [file for file in plan.files if _is_due(file, Action.DOWNLOAD, actions)]
        for file in (*links, *downloads):
            emit(FileQueued(file.target, file.size))
        for file in links:
            cancel.raise_if_cancelled()
            result = self._link_or_none(file, cancel, emit)
            if result is not None:
                results[file.target] = result
                _announce(result, emit)
            elif Action.DOWNLOAD in actions:
                downloads.append(file)
            else:
                results[file.target] = FileResult(file, Outcome.FAILED, "the copy to link has other bytes")
                _announce(results[file.target], emit)
        results.update(self._download(downloads, cancel, emit))
        cancel.raise_if_cancelled()
        return Report(tuple(results.get(file.target) or _undone(file) for file in plan.files))

    # --- links ---------------------------------------------------------------------------------------------

    def _link_or_none(self, file: PlannedFile, cancel: CancelToken, emit: Emit) -> FileResult | None:
        """Link a file; None if the copy turns out to hold other bytes."""
        copy = file.source
        if copy is None or file.digest is None or file.size is None:
            return FileResult(file, Outcome.FAILED, "the plan names no copy to link")
        try:
            evidence = self._proven(copy, file.digest, cancel, emit)
            if evidence is None:
                return None
            placed = self._place(replace(copy, evidence=evidence), file, cancel, emit)
        except CancelledError:
            raise
        except DownloaderError as error:
            return FileResult(file, Outcome.FAILED, error.message, error.hint)
        verified = evidence is Evidence.COMPUTED or placed.mode is LinkMode.COPY
        return FileResult(file, Outcome.LINKED if placed.made else Outcome.KEPT, verified=verified)

    def _proven(self, copy: LocalCopy, digest: Digest, cancel: CancelToken, emit: Emit) -> Evidence | None:
        """Return how a copy is known to hold the digest's bytes, hashing it if need be; None if it does not."""
        trusted = self._parts.trust and copy.evidence is not Evidence.GUESSED
        if copy.evidence is Evidence.COMPUTED or trusted:
            return copy.evidence
        # A name, or another program's record, says what the bytes once were: a disk may have lost some since.
        found = self._parts.hashes.digest(Path(copy.path), digest.kind, cancel=cancel, emit=emit)
        return Evidence.COMPUTED if found == digest else None

    def _place(self, copy: LocalCopy, file: PlannedFile, cancel: CancelToken, emit: Emit) -> PlacedLink:
        if file.digest is None or file.size is None:
            raise LinkError(f"{file.target}: nothing is known to compare a link with")
        parts = self._parts
        return place_link(
            Path(copy.path),
            self._target(file),
            mode=parts.link,
            wanted=Wanted(file.digest, file.size),
            context=LinkContext(parts.roots, parts.hashes, parts.journal, cancel, emit),
            evidence=copy.evidence,
        )

    def _target(self, file: PlannedFile) -> Path:
        return Path(os.path.normpath(self._parts.root / file.target))

    # --- downloads -----------------------------------------------------------------------------------------

    def _download(
        self, files: Sequence[PlannedFile], cancel: CancelToken, emit: Emit
    ) -> dict[str, FileResult]:
        results = self._refused(files, emit)
        first, twins = _split_twins(file for file in files if file.target not in results)
        if not first:
            return results
        known = self._parts.remote.cached([file.remote for file in first if file.remote is not None])
        requests = [self._request(file, known) for file in first]
        orders = {file.target: (file, request) for file, request in zip(first, requests, strict=True)}

        def settle(answer: TransferResult) -> None:
            results[answer.key] = self._settle(*orders[answer.key], answer, cancel, emit)

        def done(answer: TransferResult) -> None:
            # At once: a file in place that the journal does not know could not be undone. What fails is tried
            # again after the run, and what may copy a whole file while the network waits is done only then.
            file, request = orders[answer.key]
            if request.destination == self._target(file) or self._parts.link is LinkMode.SYMLINK:
                with contextlib.suppress(DownloaderError):
                    settle(answer)

        for answer in self._parts.engine.run(requests, cancel=cancel, emit=emit, done=done):
            try:
                if answer.key not in results:
                    settle(answer)
            except CancelledError:
                raise
            except DownloaderError as error:
                file, _ = orders[answer.key]
                results[answer.key] = FileResult(file, Outcome.FAILED, error.message, error.hint)
        for file in twins:
            cancel.raise_if_cancelled()
            results[file.target] = self._link_twin(file, results, first, cancel, emit)
            _announce(results[file.target], emit)
        return results

    def _refused(self, files: Iterable[PlannedFile], emit: Emit) -> dict[str, FileResult]:
        """Return a failure for each file that may not be fetched: offline, or its folder leads out of ours."""
        refused = {}
        roots = [*self._parts.roots, *([self._parts.hub] if self._parts.hub else [])]
        for file in files:
            try:
                if self._parts.offline:
                    raise OfflineError(
                        "not downloaded: offline", hint="run it again without --offline and HF_HUB_OFFLINE"
                    )
                check_root(str(self._destination(file)), roots)
            except (LinkError, OfflineError) as error:
                refused[file.target] = FileResult(file, Outcome.FAILED, error.message, error.hint)
                _announce(refused[file.target], emit)
        return refused

    def _request(self, file: PlannedFile, known: Mapping[RemoteFile, RemoteAnswer]) -> TransferRequest:
        if file.remote is None:
            raise LinkError(f"{file.target}: names no remote file")
        on_hub = file.remote.repo is not None
        place = self._destination(file)
        in_place = place == self._target(file)
        answer = known.get(file.remote)
        return TransferRequest(
            key=file.target,
            url=self._parts.remote.download_url(file.remote),
            destination=place,
            size=file.size,
            digest=file.digest,
            token=self._parts.token if on_hub else None,
            commit=answer.commit if answer else None,
            local_dir=_local_dir(place, file.remote.path) if on_hub and in_place else None,
            path_in_repo=file.remote.path if on_hub else None,
        )

    def _destination(self, file: PlannedFile) -> Path:
        return destination(self._parts.root, self._parts.hub, file.target, file.digest)

    def _settle(
        self,
        file: PlannedFile,
        request: TransferRequest,
        answer: TransferResult,
        cancel: CancelToken,
        emit: Emit,
    ) -> FileResult:
        """Remember what arrived, and put it in place if it went to the hub."""
        if answer.error is not None:
            error = answer.error
            return FileResult(
                file, Outcome.FAILED, error.message, error.hint, bytes_fetched=answer.bytes_fetched
            )
        try:
            self._record(file, request, answer)
        except OSError as error:
            problem = f"{request.destination} was removed or can not be read again: {error.strerror}"
            return FileResult(
                file, Outcome.FAILED, problem, "start again", bytes_fetched=answer.bytes_fetched
            )
        if request.destination != self._target(file):
            try:
                copy = LocalCopy("hub", str(request.destination), Evidence.COMPUTED)
                self._place(copy, file, cancel, emit)
            except DownloaderError as error:
                return FileResult(file, Outcome.FAILED, error.message, error.hint)
            if answer.kept:
                return FileResult(file, Outcome.LINKED, verified=answer.verified)
        return FileResult(
            file,
            Outcome.KEPT if answer.kept else Outcome.DOWNLOADED,
            error=answer.unverified_reason,
            verified=answer.verified,
            bytes_fetched=answer.bytes_fetched,
        )

    def _record(self, file: PlannedFile, request: TransferRequest, answer: TransferResult) -> None:
        if answer.verified and file.digest is not None and file.size is not None:
            self._parts.hashes.remember(request.destination, file.digest, file.size)
        if answer.kept:
            return  # something else has put it there: it is not ours to take back
        source = redact_url(file.remote.url) if file.remote else None
        change = Change(JournalAction.DOWNLOAD, str(request.destination), source, digest=file.digest)
        self._parts.journal.record(change, after=os.lstat(request.destination))

    def _link_twin(
        self,
        file: PlannedFile,
        results: Mapping[str, FileResult],
        first: Sequence[PlannedFile],
        cancel: CancelToken,
        emit: Emit,
    ) -> FileResult:
        """Link a file to the one of equal bytes that was just downloaded."""
        twin = next(other for other in first if other.digest == file.digest)
        result = results[twin.target]
        if result.outcome is Outcome.FAILED:
            return FileResult(file, Outcome.FAILED, result.error, result.hint)
        try:
            copy = LocalCopy("wan2gp", str(self._target(twin)), Evidence.COMPUTED)
            self._place(copy, file, cancel, emit)
        except DownloaderError as error:
            return FileResult(file, Outcome.FAILED, error.message, error.hint)
        return FileResult(file, Outcome.LINKED, verified=True)


def check_space(plan: Plan) -> None:
    """Compare what the plan's downloads need with what is free, for the whole batch.

    Raises:
        StorageError: A file system has too little room; the message says how much is missing where.
    """
    lacking = [need for need in plan.disk if need.missing]
    if not lacking:
        return
    parts = [
        f"{need.path}: {format_size(need.needed)} needed, {format_size(need.free)} free, "
        f"{format_size(need.missing)} missing"
        for need in lacking
    ]
    raise StorageError(
        "not enough disk space; nothing was downloaded: " + "; ".join(parts),
        hint="free some space, choose fewer models, or point checkpoints_paths or hub_directory to another disk",
    )


def _is_due(file: PlannedFile, action: Action, actions: Iterable[Action]) -> bool:
    return file.selected and file.action is action and action in actions


def _split_twins(files: Iterable[PlannedFile]) -> tuple[list[PlannedFile], list[PlannedFile]]:
    """Split files into one for each content, and those of equal content that follow."""
    first: dict[Digest | str, PlannedFile] = {}
    twins = []
    for file in files:
        # Small git files (configs, tokenizers) are fetched each: a link would save nothing.
        large = file.digest is not None and file.digest.kind is DigestKind.SHA256
        key: Digest | str = file.digest if large and file.digest else file.target
        if first.setdefault(key, file) is not file:
            twins.append(file)
    return list(first.values()), twins


def _local_dir(destination: Path, path_in_repo: str) -> Path | None:
    """Return the folder that the Hub's client would call ``local_dir`` for this placement, if there is one."""
    parts = path_in_repo.split("/")
    if list(destination.parts[-len(parts) :]) != parts:
        return None
    return destination.parents[len(parts) - 1]


def _undone(file: PlannedFile) -> FileResult:
    if file.action is Action.KEEP:
        return FileResult(file, Outcome.KEPT, verified=file.compared)
    if file.selected and file.action in (Action.BLOCKED, Action.CONFLICT):
        return FileResult(file, Outcome.FAILED, file.reason, file.hint)
    return FileResult(file, Outcome.SKIPPED, "not asked for")


def _announce(result: FileResult, emit: Emit) -> None:
    emit(
        FileFinished(result.file.target, result.outcome, result.error, result.hint, verified=result.verified)
    )
