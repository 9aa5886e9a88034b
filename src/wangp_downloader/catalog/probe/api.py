"""The two questions that the rest of the catalog puts to the probe.

:func:`read_handlers` may start a process and block for seconds; :func:`cached_handlers` never does. Modules
that only asking needs are loaded only then.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wangp_downloader.cancel import CancelToken
from wangp_downloader.catalog.probe.cache import ProbeCache, Terms
from wangp_downloader.catalog.probe.request import Limits, ProbeRequest
from wangp_downloader.catalog.probe.result import LoraLayout, ProbeResult, Status
from wangp_downloader.events import Emit, Level, Notice, ignore

if TYPE_CHECKING:
    from wangp_downloader.catalog.probe.runner import Asked
    from wangp_downloader.catalog.probe.source import TreeSource

Definitions = Mapping[str, Mapping[str, Any]]


def read_handlers(  # noqa: PLR0913 - the question has these parts
    tree: Path,
    definitions: Definitions,
    config: Mapping[str, Any],
    state_dir: Path,
    python: Path | None = None,
    *,
    originals: Definitions | None = None,
    limits: Limits | None = None,
    cancel: CancelToken,
    emit: Emit = ignore,
) -> ProbeResult:
    """Return what a tree's handlers say, asking them only if something changed since the last time.

    Blocks while a process runs (1 to 3 s for Wan2GP of 2026, at most ``limits.total_s``).

    Args:
        tree: The Wan2GP folder that the user configured.
        definitions: Id → the merged ``model`` object of its JSON files.
        config: The user's ``wgp_config.json``.
        state_dir: Our state folder; answers are kept in ``probe/`` below it.
        python: The interpreter to run Wan2GP's code with, or None for ours.
        originals: Id → the ``model`` object of the first of several files; only for ids that have several.
        limits: Time limits, or None for the usual ones.
        cancel: Looked at 20 times a second.
        emit: Told when asking begins, and when the answer can not be kept.

    Returns:
        The result; it names its own gaps. ABSENT, at once, if there is no ``wgp.py``.

    Raises:
        CancelledError: ``cancel`` was set.
        StorageError: No temporary folder can be made.
    """
    request = _request(tree, definitions, config, python, originals, limits)
    if not (request.tree / "wgp.py").is_file():
        return ProbeResult(Status.ABSENT)
    cache = ProbeCache(state_dir, request.tree)
    found = cache.load(request)
    if found is not None:
        return found
    emit(Notice(Level.INFO, f"asking Wan2GP's handlers in {request.tree} which files they open"))
    result, terms = _ask(request, cancel)
    try:
        cache.store(request, result, terms)
    except OSError as error:
        emit(Notice(Level.WARNING, f"what Wan2GP's handlers said can not be kept in {cache.path}: {error}"))
    return result


def cached_handlers(
    tree: Path,
    definitions: Definitions,
    config: Mapping[str, Any],
    state_dir: Path,
    python: Path | None = None,
    *,
    originals: Definitions | None = None,
) -> ProbeResult | None:
    """Return the last answer if it still holds, else None; arguments as for :func:`read_handlers`.

    Runs nothing; some milliseconds.
    """
    request = _request(tree, definitions, config, python, originals, None)
    if not (request.tree / "wgp.py").is_file():
        return ProbeResult(Status.ABSENT)
    return ProbeCache(state_dir, request.tree).load(request)


def probe(request: ProbeRequest, *, cancel: CancelToken) -> ProbeResult:
    """Ask, whatever was answered before; keeps nothing.

    Raises:
        CancelledError: ``cancel`` was set.
        StorageError: No temporary folder can be made.
    """
    return _ask(request, cancel)[0]


def _request(
    tree: Path,
    definitions: Definitions,
    config: Mapping[str, Any],
    python: Path | None,
    originals: Definitions | None,
    limits: Limits | None,
) -> ProbeRequest:
    # Absolute, links kept: what Wan2GP's own modules see as their place.
    return ProbeRequest(tree.absolute(), definitions, config, originals or {}, python, limits or Limits())


def _ask(request: ProbeRequest, cancel: CancelToken) -> tuple[ProbeResult, Terms]:
    from wangp_downloader.catalog.probe.merge import merge  # noqa: PLC0415 - only asking needs it
    from wangp_downloader.catalog.probe.runner import ask  # noqa: PLC0415 - as above
    from wangp_downloader.catalog.probe.source import read_source  # noqa: PLC0415 - as above

    began_ns, began = time.time_ns(), time.perf_counter()
    source = read_source(request.tree, request.enabled_plugins)
    if source is None:
        return ProbeResult(Status.ABSENT), Terms(frozenset(), frozenset(), began_ns)
    asked = ask(request, source, cancel=cancel)
    result = merge(request, source, asked, time.perf_counter() - began)
    return result, _terms(request, result, source, asked, began_ns)


def _terms(
    request: ProbeRequest, result: ProbeResult, source: TreeSource, asked: Asked, began_ns: int
) -> Terms:
    files = {*result.depends_on}
    files.update(f"plugins/{name}/plugin_info.json" for name in request.enabled_plugins)
    if source.rules.loras is LoraLayout.FLAT:
        files.update(f"{top}{sub}" for top in ("loras", "loras_i2v") for sub in ("", "/1.3B", "/5B", "/14B"))
    return Terms(frozenset(files), frozenset(asked.config_keys), began_ns, asked.out_of_time)
