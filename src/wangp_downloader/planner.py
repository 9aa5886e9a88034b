"""From needs and knowledge to a plan. Pure: no I/O, no clock; the same values in give the same plan out.

Two steps, so that only what is asked for is looked up in between:

    requirements ─► select() ─► rows ─► (metadata, targets, copies) ─► decide() ─► planned files
"""

from __future__ import annotations

import difflib
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from wangp_downloader.errors import UsageError
from wangp_downloader.files import (
    SHARED_MODEL,
    Action,
    Digest,
    DigestKind,
    Evidence,
    LocalCopy,
    PlannedFile,
    RemoteAnswer,
    RemoteFile,
    RemoteState,
    Requirement,
    Role,
    TargetKind,
    TargetState,
)
from wangp_downloader.paths import OUTSIDE_HINT, shorten

ALL_VARIANTS = "all"


@dataclass(frozen=True, slots=True)
class Request:
    """What the user asks for.

    Attributes:
        models: Definition ids; None for all.
        file_patterns: Texts; a file is meant if its name contains one of them, in any case. Empty: no filter.
        variant: Text in the name of the variants to take instead of those that Wan2GP's settings pick;
            ``all`` for every variant; None for Wan2GP's own choice.
        targets: Exactly these targets are selected, whatever the rest says; None to select by the rest.
        groups: Texts; files of optional groups (accelerator profiles, configurations) whose name contains
            one of them, in any case, are asked for too.
        optional: True to list the files of all optional groups, without asking for them.
    """

    models: tuple[str, ...] | None = None
    file_patterns: tuple[str, ...] = ()
    variant: str | None = None
    targets: frozenset[str] | None = None
    groups: tuple[str, ...] = ()
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """One file, once, for all models of the request; nothing is known of it yet but its need."""

    target: str
    places: tuple[str, ...]
    remote: RemoteFile | None
    models: tuple[str, ...]
    roles: tuple[Role, ...]
    required: bool
    selected: bool
    pair: str | None
    origins: tuple[str, ...]
    choices: tuple[str, ...]
    groups: tuple[str, ...] = ()
    is_folder: bool = False
    """True for a whole folder whose files are not known: it could not be listed."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What the rooms have found out.

    Attributes:
        answers: Metadata by remote file.
        states: What stands at each place (key as in ``Row.places``); a missing key means nothing is there.
        copies: Copies on this machine by content, best first.
        partial: Bytes already here in a part file, by target.
        held: Bytes that part files occupy, reserved space included, by target.
        unlisted: Why a whole folder could not be listed, by target.
        outside: Where a target's folder really is, by target, if that is outside the folders of Wan2GP.
    """

    answers: Mapping[RemoteFile, RemoteAnswer] = field(default_factory=dict)
    states: Mapping[str, TargetState] = field(default_factory=dict)
    copies: Mapping[Digest, tuple[LocalCopy, ...]] = field(default_factory=dict)
    partial: Mapping[str, int] = field(default_factory=dict)
    held: Mapping[str, int] = field(default_factory=dict)
    unlisted: Mapping[str, str] = field(default_factory=dict)
    outside: Mapping[str, str] = field(default_factory=dict)


# --- step 1: which files are meant -----------------------------------------------------------------------


def select(requirements: Iterable[Requirement], request: Request, known_models: Iterable[str]) -> list[Row]:
    """Return the rows that a request means, in the order of the catalog, each target once.

    Where two remote files belong at one target, the first wins, as it does in Wan2GP.

    Args:
        requirements: The whole catalog's, folders already expanded.
        request: What is asked for.
        known_models: All ids, to tell an unknown one.

    Raises:
        UsageError: An unknown model, or a pattern or variant that matches nothing.
    """
    wanted = _wanted_models(request, list(known_models))
    meant = [row for row in requirements if row.model in wanted or row.model == SHARED_MODEL]
    rows = _merge(meant, _selection(meant, request))
    if not request.file_patterns:
        return rows
    matching = [row for row in rows if _matches(row.target, request.file_patterns)]
    if not matching:
        texts = " or ".join(repr(shorten(text)) for text in request.file_patterns)
        raise UsageError(
            f"no file's name contains {texts}", hint="wangp-dl plan MODEL shows the names of a model's files"
        )
    # Asked for by name: that is a selection, also of variants that the settings do not pick.
    return matching if request.targets is not None else [replace(row, selected=True) for row in matching]


def _wanted_models(request: Request, known: Sequence[str]) -> frozenset[str]:
    if request.models is None:
        return frozenset(known)
    for model in request.models:
        if model not in known:
            near = difflib.get_close_matches(model, known, n=3, cutoff=0.55)
            hint = f"did you mean {', '.join(near)}?" if near else "wangp-dl list shows all models"
            raise UsageError(f"there is no model {shorten(model)!r}", hint=hint)
    return frozenset(request.models)


def _matches(target: str, patterns: Sequence[str]) -> bool:
    name = target.rpartition("/")[2].lower()
    return any(pattern.lower() in name for pattern in patterns)


def _selection(requirements: Sequence[Requirement], request: Request) -> frozenset[str]:
    """Return the targets that are selected."""
    if request.targets is not None:
        return request.targets
    grouped = _group_selection(requirements, request.groups)
    own = [row for row in requirements if not row.group]
    if request.variant is None:
        return grouped | {row.target for row in own if row.required}
    if request.variant == ALL_VARIANTS:
        return grouped | {row.target for row in own}
    return grouped | _variant_selection(own, request.variant)


def _group_selection(requirements: Iterable[Requirement], groups: Sequence[str]) -> frozenset[str]:
    grouped = [row for row in requirements if row.group]
    selected: set[str] = set()
    for text in groups:
        names = sorted({row.group for row in grouped})
        meant = _named_groups(names, text.lower())
        found = [row.target for row in grouped if row.group in meant]
        if not found:
            near = difflib.get_close_matches(text, names, n=3, cutoff=0.2)
            hint = f"for example: {', '.join(near or names[:3])}" if names else "these models have none"
            raise UsageError(f"no profile's or configuration's name contains {shorten(text)!r}", hint=hint)
        selected.update(found)
    return frozenset(selected)


def _named_groups(names: Sequence[str], text: str) -> frozenset[str]:
    """Return the names that contain the text, or else all of its words (``lightning 4 steps``)."""
    exact = frozenset(name for name in names if text in name.lower())
    return exact or frozenset(name for name in names if all(word in name.lower() for word in text.split()))


def _variant_selection(requirements: Sequence[Requirement], variant: str) -> frozenset[str]:
    choices: dict[str, list[Requirement]] = {}
    for row in requirements:
        choices.setdefault(row.choice, []).append(row)
    selected: set[str] = set()
    found = False
    for rows in choices.values():
        # A place without alternatives has no variant to ask for.
        named = [row for row in rows if _matches(row.target, [variant])] if len(rows) > 1 else []
        found = found or bool(named)
        required = [row for row in rows if row.required]
        best = [row for row in named if row.required] or named[:1] or required
        selected.update(row.target for row in best)
    if not found:
        raise UsageError(
            f"no variant's name contains {shorten(variant)!r}",
            hint="common ones are bf16, int8, fp8, nvfp4, gguf; all takes every variant",
        )
    return frozenset(selected)


def _merge(requirements: Sequence[Requirement], selected: frozenset[str]) -> list[Row]:
    by_target: dict[str, list[Requirement]] = {}
    for requirement in requirements:
        by_target.setdefault(requirement.target, []).append(requirement)
    return [_row(target, needs, target in selected) for target, needs in by_target.items()]


def _row(target: str, needs: Sequence[Requirement], selected: bool) -> Row:
    first = needs[0]
    # A row that is required lists those that require it; the others merely could use it.
    meant = [need for need in needs if need.required] or list(needs)
    models = tuple(dict.fromkeys(need.model for need in meant))
    places = dict.fromkeys(place for need in needs for place in (need.target, *need.also_at))
    return Row(
        target=target,
        places=tuple(places),
        remote=first.remote,
        models=(SHARED_MODEL,) if SHARED_MODEL in models else models,
        roles=tuple(dict.fromkeys(need.role for need in meant)),
        required=any(need.required for need in needs),
        selected=selected,
        pair=_usual_pair(meant),
        origins=tuple(dict.fromkeys(need.origin for need in needs)),
        choices=tuple(dict.fromkeys(need.choice for need in needs)),
        groups=tuple(dict.fromkeys(need.group for need in needs if need.group)),
        is_folder=first.folder is not None,
    )


def _usual_pair(needs: Iterable[Requirement]) -> str | None:
    """Return the partner that most models use: a finetune may combine a low-noise file with a high one of its own."""
    partners = Counter(need.pair for need in needs if need.pair)
    return partners.most_common(1)[0][0] if partners else None


# --- step 2: what to do about each -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Decision:
    action: Action
    reason: str
    place: str
    hint: str | None = None
    source: LocalCopy | None = None
    blocked: RemoteState | None = None
    compared: bool = False


def decide(rows: Iterable[Row], facts: Facts) -> tuple[PlannedFile, ...]:
    """Return the plan's rows: keep what is in place, link what is elsewhere, download the rest."""
    return tuple(_planned(row, facts) for row in rows)


def _planned(row: Row, facts: Facts) -> PlannedFile:
    answer = facts.answers.get(row.remote) if row.remote else None
    decision = _decide(row, answer, facts)
    state = facts.states.get(decision.place)
    local_size = state.size if state and decision.action is Action.KEEP else None
    return PlannedFile(
        target=row.target,
        path=decision.place,
        remote=row.remote,
        size=answer.size if answer and answer.size is not None else local_size,
        digest=answer.digest if answer else None,
        models=row.models,
        roles=row.roles,
        required=row.required,
        selected=row.selected,
        pair=row.pair,
        action=decision.action,
        reason=decision.reason,
        hint=decision.hint,
        source=decision.source,
        origins=row.origins,
        choices=row.choices,
        groups=row.groups,
        link_to=state.link_to if state else None,
        blocked=decision.blocked,
        compared=decision.compared,
    )


def _decide(row: Row, answer: RemoteAnswer | None, facts: Facts) -> _Decision:
    if row.is_folder:
        return _decide_folder(row, facts)
    for place in row.places:
        state = facts.states.get(place)
        if state is not None and state.kind not in (TargetKind.ABSENT, TargetKind.BROKEN_LINK):
            return _standing(place, state, answer)
    if row.remote is None:
        return _Decision(
            Action.BLOCKED,
            "the definition names a local file that is not there",
            row.target,
            hint="put it there, or give a URL in the definition",
        )
    outside = facts.outside.get(row.target)
    if outside is not None:
        why = f"its folder is {outside}, outside the Wan2GP folders"
        return _Decision(Action.BLOCKED, why, row.target, hint=OUTSIDE_HINT)
    linked = _linkable(row, answer, facts)
    return linked or _fetch(row, answer, facts)


def _decide_folder(row: Row, facts: Facts) -> _Decision:
    why = facts.unlisted.get(row.target, "its files are not known")
    for place in row.places:
        state = facts.states.get(place)
        if state is not None and state.kind is TargetKind.OTHER:
            # Wan2GP itself looks no further than whether the folder is there.
            return _Decision(
                Action.KEEP, f"the folder is in place, its files were not compared ({why})", place
            )
    return _Decision(Action.BLOCKED, why, row.target, hint="try again with the network up")


def _standing(place: str, state: TargetState, answer: RemoteAnswer | None) -> _Decision:
    if state.kind is TargetKind.OTHER:
        hint = "move it away; nothing here is ever deleted without your word"
        return _Decision(Action.CONFLICT, "something that is no file stands at its place", place, hint)
    if state.matches is False:
        return _conflict(place, state, answer)
    if state.matches is None and (answer is None or answer.digest is None):
        why = answer.problem if answer and answer.problem else "nothing to compare it with"
        return _Decision(Action.KEEP, f"in place, unverified ({why})", place)
    compared = state.evidence is Evidence.COMPUTED
    return _Decision(Action.KEEP, _KEEP_REASONS[state.evidence], place, compared=compared)


_KEEP_REASONS = {
    Evidence.COMPUTED: "in place",
    Evidence.RECORDED: "in place (by the Hub client's record)",
    Evidence.NAMED: "in place (by the name of what it links to)",
    Evidence.GUESSED: "in place (size agrees)",
    None: "in place, not compared yet",
}


def _conflict(place: str, state: TargetState, answer: RemoteAnswer | None) -> _Decision:
    what = "a link to another file" if state.kind is TargetKind.LINK else "another file"
    known = answer.size if answer else None
    detail = (
        f"{state.size:,} bytes instead of {known:,}"
        if known != state.size and known and state.size
        else "same size, other SHA-256"
    )
    return _Decision(
        Action.CONFLICT,
        f"{what} stands at its place ({detail})",
        place,
        hint="move it away to fetch the published file; it is never replaced without your word",
    )


def _linkable(row: Row, answer: RemoteAnswer | None, facts: Facts) -> _Decision | None:
    if answer is None or answer.digest is None:
        return None
    copies = facts.copies.get(answer.digest)
    if not copies:
        return None
    best = copies[0]
    reason = f"the same bytes are in {best.store}"
    if best.evidence is Evidence.GUESSED:
        reason = f"a file of this size is in {best.store}; compared before it is linked"
    state = facts.states.get(row.target)
    if state is not None and state.kind is TargetKind.BROKEN_LINK:
        reason += "; the broken link is repaired"
    return _Decision(Action.LINK, reason, row.target, source=best)


def _fetch(row: Row, answer: RemoteAnswer | None, facts: Facts) -> _Decision:
    if answer is None or answer.state is RemoteState.UNKNOWN:
        return _Decision(Action.DOWNLOAD, "not on this machine; size not known yet", row.target)
    if answer.state is not RemoteState.KNOWN:
        why = answer.problem or answer.state.value
        return _Decision(Action.BLOCKED, why, row.target, answer.hint, blocked=answer.state)
    reason = "not on this machine"
    partial = facts.partial.get(row.target)
    if partial and answer.size:
        reason += f"; {100 * partial // answer.size} % are here from earlier"
    if answer.digest is None:
        reason += "; unverified (its host gives no hash)"
    return _Decision(Action.DOWNLOAD, reason, row.target)


def destination(root: Path, hub: Path | None, target: str, digest: Digest | None) -> Path:
    """Return the absolute path that a download is written to.

    Args:
        root: The Wan2GP folder.
        hub: The local hub if downloads go there first, else None.
        target: As in the plan.
        digest: The content's identity; only content known by SHA-256 has a place in the hub.
    """
    path = Path(os.path.normpath(root / target))
    if hub is None or digest is None or digest.kind is not DigestKind.SHA256:
        return path
    return hub / digest.hex / path.name
