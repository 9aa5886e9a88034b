"""From what the process said, and what can be read where it said nothing, to one result.

What neither was asked nor could be read completely is UNKNOWN, with the reason, never silently empty.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from wangp_downloader.catalog.probe import messages
from wangp_downloader.catalog.probe.request import ProbeRequest
from wangp_downloader.catalog.probe.result import (
    Architecture,
    FilesDef,
    HandlerAnswer,
    HandlerStatus,
    ProbeResult,
    Status,
    TreeRules,
    VariantRule,
)
from wangp_downloader.catalog.probe.runner import Asked
from wangp_downloader.catalog.probe.source import TreeSource, module_file
from wangp_downloader.catalog.probe.static import HandlerReading, read_handler

PARTS = frozenset(["defaults", "files", "lora_dir"])
"""What must be known of a definition for its answer to be complete."""


def merge(request: ProbeRequest, source: TreeSource, asked: Asked, seconds: float) -> ProbeResult:
    """Put the answers of all handlers together.

    Args:
        request: What was asked.
        source: What the tree's text says.
        asked: What the handlers said.
        seconds: What asking took.

    Returns:
        The result, complete or with its gaps named.
    """
    readings = _read_what_failed(request, source, asked)
    handlers = tuple(_handler_status(path, source, asked, readings.get(path)) for path in source.handlers)
    architectures = _architectures(handlers, asked)
    answers = {name: _answer(name, request, architectures, asked, readings) for name in request.definitions}
    complete = all(one.status is Status.ASKED for one in handlers) and all(
        one.status is Status.ASKED for one in answers.values() if one.handler
    )
    shared_error = asked.failures.get("shared") if asked.shared is None else asked.shared.error
    return ProbeResult(
        status=Status.ASKED if complete and not shared_error else Status.UNKNOWN,
        version=source.version,
        answers=answers,
        architectures=architectures,
        architecture_defaults=_bare_defaults(asked, readings),
        families={key: name for one in asked.handlers.values() for key, name in one.families.names.items()},
        module_urls={
            key: tuple(urls) for one in asked.handlers.values() for key, urls in one.modules.items()
        },
        shared=files_defs(asked.shared.files) if asked.shared else (),
        shared_status=Status.UNKNOWN if shared_error else Status.ASKED,
        shared_error=shared_error,
        rules=source.rules,
        handlers=handlers,
        warnings=_warnings(handlers, source.rules, shared_error),
        stderr=asked.stderr,
        depends_on=depends_on(source, asked),
        seconds=seconds,
    )


def depends_on(source: TreeSource, asked: Asked) -> tuple[str, ...]:
    """Return the files of the tree that the answer depends on, relative, with ``/``, sorted."""
    root = source.root
    roots = {f"{root}{os.sep}", f"{os.path.realpath(root)}{os.sep}"}
    found = {"wgp.py", "shared/utils/files_locator.py"}
    for name in asked.read:
        found.update(name.removeprefix(one).replace(os.sep, "/") for one in roots if name.startswith(one))
    for path in {*source.handlers} - {*asked.handlers}:
        # It broke off before it could tell what it read: its own folder is most of that.
        file = module_file(source.roots, path)
        found.update(one.relative_to(root).as_posix() for one in (file.parent.glob("*.py") if file else ()))
    return tuple(sorted(found))


def files_defs(rows: Sequence[messages.FilesRow]) -> tuple[FilesDef, ...]:
    """Return the rows of a message as values of the result."""
    return tuple(FilesDef(row.repo, row.source_folder, tuple(row.files), row.target_folder) for row in rows)


def _read_what_failed(request: ProbeRequest, source: TreeSource, asked: Asked) -> dict[str, HandlerReading]:
    readings = {}
    for path in source.handlers:
        handler = asked.handlers.get(path)
        if handler is None or handler.error or any(not PARTS <= {*one.known} for one in handler.answers):
            readings[path] = read_handler(source, path, request)
    return readings


def _handler_status(
    path: str, source: TreeSource, asked: Asked, reading: HandlerReading | None
) -> HandlerStatus:
    handler = asked.handlers.get(path)
    plugin = source.plugin_of.get(path)
    if handler is not None and not handler.error:
        families = tuple(handler.families.names)
        return HandlerStatus(path, Status.ASKED, None, families, tuple(handler.architectures), plugin)
    error = asked.failures.get(path) or (handler.error if handler else None) or "it was not asked"
    names = reading.architectures if reading else ()
    status = Status.STATIC if reading and reading.complete else Status.UNKNOWN
    return HandlerStatus(path, status, error, reading.families if reading else (), names, plugin)


def _architectures(handlers: Sequence[HandlerStatus], asked: Asked) -> dict[str, Architecture]:
    found: dict[str, Architecture] = {}
    for handler in handlers:
        said = asked.handlers.get(handler.path)
        families = said.families if said else messages.Families()
        family = families.family or next(iter(handler.families), "")
        for name in handler.architectures:
            found.setdefault(name, Architecture(name, handler.path, family, families.equivalent.get(name)))
    return found


def _answer(
    name: str,
    request: ProbeRequest,
    architectures: Mapping[str, Architecture],
    asked: Asked,
    readings: Mapping[str, HandlerReading],
) -> HandlerAnswer:
    architecture = request.architecture(name)
    known = architectures.get(architecture)
    if known is None:
        error = f"no handler supports the architecture {architecture!r}"
        return HandlerAnswer(name, architecture, "", Status.UNKNOWN, error=error)
    handler = asked.handlers.get(known.handler)
    said = next((one for one in handler.answers if one.id == name), None) if handler else None
    if said is not None and PARTS <= {*said.known}:
        return _from_message(said, architecture, known.handler)
    reading = readings.get(known.handler)
    read = reading.answers.get(name) if reading else None
    if read is not None and (said is None or len(read.known) > len(said.known)):
        return read
    if said is not None:
        return _from_message(said, architecture, known.handler)
    why = asked.failures.get(known.handler) or (handler.error if handler else None)
    return HandlerAnswer(name, architecture, known.handler, Status.UNKNOWN, error=f"{known.handler}: {why}")


def _from_message(said: messages.Answer, architecture: str, handler: str) -> HandlerAnswer:
    known = frozenset(said.known) & PARTS
    return HandlerAnswer(
        model_id=said.id,
        architecture=architecture,
        handler=handler,
        status=Status.ASKED if known == PARTS else Status.UNKNOWN,
        defaults=said.defaults,
        overrides=said.overrides,
        files=files_defs(said.files),
        lora_dir=said.lora_dir,
        config_files={key: files_defs(rows) for key, rows in said.config_files.items()},
        known=known,
        error=f"{handler}: {said.error}" if said.error else None,
    )


def _bare_defaults(asked: Asked, readings: Mapping[str, HandlerReading]) -> dict[str, Mapping[str, Any]]:
    bare: dict[str, Mapping[str, Any]] = {}
    for reading in readings.values():
        bare.update(reading.bare)
    for handler in asked.handlers.values():
        bare.update(handler.bare)
    return bare


def _warnings(
    handlers: Sequence[HandlerStatus], rules: TreeRules, shared_error: str | None
) -> tuple[str, ...]:
    found = []
    for one in handlers:
        if one.status is Status.STATIC:
            found.append(f"components of {_what(one)} were read from its source, not asked: {one.error}")
        elif one.status is Status.UNKNOWN:
            found.append(f"components of {_what(one)} unknown: {one.error}")
    if shared_error:
        found.append(f"the set of files that every model needs is unknown: {shared_error}")
    if rules.variant is VariantRule.UNKNOWN:
        found.append("how this version of Wan2GP picks variants was not recognised: the newest rule is used")
    return tuple(found)


def _what(handler: HandlerStatus) -> str:
    if handler.families:
        return f"{', '.join(handler.families)} ({handler.path})"
    return handler.path
