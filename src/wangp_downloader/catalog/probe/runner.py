"""Asking all handlers of a tree, each bad one at its own cost only.

One process asks them in turn. If it hangs, ends or says nothing more, the handler it was at is written off
and a new process goes on with the rest. Knows the messages; :mod:`process` knows the process.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wangp_downloader.cancel import CancelToken
from wangp_downloader.catalog.probe import messages
from wangp_downloader.catalog.probe.errors import ProbeStartError
from wangp_downloader.catalog.probe.process import STDERR_KEPT_BYTES, ProbeProcess
from wangp_downloader.catalog.probe.request import Limits, ProbeRequest
from wangp_downloader.catalog.probe.source import TreeSource
from wangp_downloader.errors import StorageError

_SHARED = "shared"
"""What the process calls the question for the shared set, among the handlers' names."""
_CANCEL_LOOK_S = 0.05


@dataclass(slots=True)
class Asked:
    """Everything that the processes said.

    Attributes:
        handlers: By module path, those that gave an answer or an error of their own.
        failures: Module path (or ``shared`` for the shared set) → why it gave none.
        shared: The shared set's message, or None.
        read: Files of the tree that were read, absolute.
        config_keys: Settings that were looked at.
        stderr: The last of what was printed.
        out_of_time: True if something was not asked, or broken off, because it took too long.
    """

    handlers: dict[str, messages.Handler] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    shared: messages.Shared | None = None
    read: set[str] = field(default_factory=set)
    config_keys: set[str] = field(default_factory=set)
    stderr: str = ""
    out_of_time: bool = False


@dataclass(slots=True)
class _Round:
    """One process: where it was, and whether it came to its end."""

    at: str | None = None
    finished: bool = False
    out_of_time: bool = False
    ended_because: str = ""


def ask(request: ProbeRequest, source: TreeSource, *, cancel: CancelToken) -> Asked:
    """Ask every handler of a tree and the shared set.

    Blocks until done, at most ``request.limits.total_s`` and a moment.

    Raises:
        CancelledError: ``cancel`` was set; the process is gone.
        StorageError: No temporary folder can be made.
    """
    asked = Asked()
    left = [_SHARED, *source.handlers]
    deadline = time.monotonic() + request.limits.total_s
    while left:
        try:
            done = _ask_some(request, source, asked, left, deadline, cancel)
        except ProbeStartError as error:
            asked.failures.update(dict.fromkeys(left, error.message))
            break
        if done.finished:
            break
        asked.out_of_time |= done.out_of_time
        is_over = time.monotonic() >= deadline
        left = _still_to_ask(left, asked, done, is_over=is_over)
        if is_over:
            reason = f"there was no time left to ask it ({request.limits.total_s:g} s for all)"
            asked.failures.update(dict.fromkeys(left, reason))
            break
    return asked


def _still_to_ask(left: Sequence[str], asked: Asked, done: _Round, *, is_over: bool) -> list[str]:
    if done.at is None:
        if is_over:
            return list(left)
        # It did not even begin, and will not the next time.
        last = asked.stderr.strip().rpartition("\n")[2][-200:]
        reason = f"{done.ended_because} before the first question" + (f": {last}" if last else "")
        asked.failures.update(dict.fromkeys(left, reason))
        return []
    answered = {*asked.handlers, *([_SHARED] if asked.shared else [])}
    if done.at not in answered:
        asked.failures[done.at] = done.ended_because
    return [name for name in left if name not in {*answered, *asked.failures}]


def _ask_some(
    request: ProbeRequest,
    source: TreeSource,
    asked: Asked,
    left: Sequence[str],
    deadline: float,
    cancel: CancelToken,
) -> _Round:
    taken = [name for message in asked.handlers.values() for name in message.architectures]
    document = _document(request, source, left, taken)
    try:
        scratch = tempfile.TemporaryDirectory(prefix="wangp-probe-", ignore_cleanup_errors=True)
    except OSError as error:
        raise StorageError(f"no temporary folder can be made: {error}") from error
    with scratch as folder, ProbeProcess(request.python, Path(folder), document) as process:
        done = _listen(process, asked, request.limits, deadline, cancel)
        if not done.finished:
            process.settle()
            process.kill()
            done.ended_because = done.ended_because or _how_it_ended(process.exit_code)
        asked.stderr = (asked.stderr + process.stderr)[-STDERR_KEPT_BYTES:]
    return done


def _listen(
    process: ProbeProcess, asked: Asked, limits: Limits, deadline: float, cancel: CancelToken
) -> _Round:
    done = _Round()
    heard = time.monotonic()
    while True:
        cancel.raise_if_cancelled()
        now = time.monotonic()
        until = min(deadline, heard + limits.silent_s)
        if now >= until:
            done.out_of_time = True
            done.ended_because = f"it gave no answer within {min(limits.silent_s, limits.total_s):g} s"
            return done
        try:
            message = messages.decode(process.read(min(until - now, _CANCEL_LOOK_S)))
        except TimeoutError:
            continue
        except EOFError:
            return done
        if message is None:
            continue
        heard = time.monotonic()
        _note(message, asked, done)
        if done.finished:
            return done


def _note(message: messages.Message, asked: Asked, done: _Round) -> None:
    if not isinstance(message, messages.Handler | messages.Shared):
        _note_unread(asked, done.at)
    if isinstance(message, messages.Begin):
        done.at = message.handler
    elif isinstance(message, messages.End):
        done.finished = True
    else:
        asked.read.update(message.read)
        asked.config_keys.update(message.config_keys)
        if isinstance(message, messages.Shared):
            asked.shared = message
        else:
            asked.handlers[message.handler] = message


def _note_unread(asked: Asked, at: str | None) -> None:
    answered = at is None or at in asked.handlers or (at == _SHARED and asked.shared is not None)
    if at is not None and not answered:
        asked.failures[at] = "its answer can not be read"


def _how_it_ended(code: int | None) -> str:
    if code is None:
        return "its process can not be ended"
    return (
        f"its process was ended by signal {-code}" if code < 0 else f"its process ended with exit code {code}"
    )


def _document(
    request: ProbeRequest, source: TreeSource, left: Sequence[str], taken: Sequence[str]
) -> Mapping[str, Any]:
    definitions = [
        {
            "id": name,
            "architecture": request.architecture(name),
            "model": model,
            "original": request.original(name),
        }
        for name, model in request.definitions.items()
    ]
    return {
        "tree": str(source.root),
        "roots": [str(root) for root in source.roots],
        "config": dict(request.config),
        "shared": _SHARED in left,
        "handlers": [name for name in left if name != _SHARED],
        "taken": list(taken),
        "folders": list(source.lora_folders),
        "definitions": definitions,
    }
