"""What a handler's source says, where the handler could not be asked.

A definition counts as read only if its defaults, its files and its lora folder could all be followed with
certainty (:mod:`reading`); anything less leaves it UNKNOWN with what was found.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from wangp_downloader.catalog.probe.probe_inside.plain import (
    FILE_KEYS,
    NotPlainError,
    files_defs,
    plain,
    plain_definition,
)
from wangp_downloader.catalog.probe.reading import Reader
from wangp_downloader.catalog.probe.request import ProbeRequest
from wangp_downloader.catalog.probe.result import LORA_ROOT, FilesDef, HandlerAnswer, Status
from wangp_downloader.catalog.probe.source import TreeSource
from wangp_downloader.catalog.probe.syntax import Class, Function
from wangp_downloader.catalog.probe.values import NO_ARGUMENTS, UNKNOWN, UnreadableError

_LORA_ROOT = "\ue000lora-root"
"""Stands for the lora root while source is read: no source holds it."""


@dataclass(frozen=True, slots=True)
class HandlerReading:
    """What reading one handler gave.

    Attributes:
        complete: True if every definition of its architectures was read with certainty.
        architectures: What it supports, as far as its source says.
        families: Family ids.
        answers: By definition id.
        bare: Defaults of architectures that no definition describes.
    """

    complete: bool = False
    architectures: tuple[str, ...] = ()
    families: tuple[str, ...] = ()
    answers: Mapping[str, HandlerAnswer] = field(default_factory=dict)
    bare: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def read_handler(source: TreeSource, path: str, request: ProbeRequest) -> HandlerReading:
    """Read one handler's source; never raises for what it holds."""
    reader = Reader(source.roots)
    try:
        module = reader.module(path)
        handler = reader.name(module, "family_handler") if module is not None else None
    except UnreadableError:
        return HandlerReading()
    if not isinstance(handler, Class):
        return HandlerReading()
    questions = _Questions(reader, handler, path, request)
    architectures = questions.architectures()
    answers = {
        name: questions.answer(name)
        for name in request.definitions
        if request.architecture(name) in architectures
    }
    complete = bool(architectures) and all(one.status is Status.STATIC for one in answers.values())
    bare = {name: questions.bare(name) for name in architectures if name not in request.definitions}
    return HandlerReading(complete, architectures, questions.families(), answers, bare)


class _Questions:
    """The questions of ``probe_inside/asking.py``, put to source."""

    def __init__(self, reader: Reader, handler: Class, path: str, request: ProbeRequest) -> None:
        self._reader = reader
        self._handler = handler
        self._path = path
        self._request = request

    def architectures(self) -> tuple[str, ...]:
        try:
            return tuple(plain(self._call("query_supported_types", {})))
        except (UnreadableError, NotPlainError, TypeError):
            return tuple(_only_literal(self._reader.attribute(self._handler, "query_supported_types")))

    def families(self) -> tuple[str, ...]:
        try:
            return tuple(str(plain(name)) for name in dict(self._call("query_family_infos", {})))
        except (UnreadableError, NotPlainError, TypeError, ValueError):
            return ()

    def bare(self, architecture: str) -> dict[str, Any]:
        try:
            return _definition(self._defaults(architecture, {})[0])
        except (UnreadableError, NotPlainError):
            return {}

    def answer(self, name: str) -> HandlerAnswer:
        architecture = self._request.architecture(name)
        parts: dict[str, Any] = {}
        errors: list[str] = []

        def try_part(part: str, read: Callable[[], Any]) -> None:
            try:
                parts[part] = read()
            except (UnreadableError, NotPlainError) as error:
                errors.append(str(error))

        merged: dict[str, Any] = {}
        try_part("defaults", lambda: self._merged(name, architecture, merged))
        if "defaults" in parts:
            try_part("files", lambda: self._files(architecture, merged))
        try_part("lora_dir", lambda: self._lora_dir(architecture))
        error = (
            f"{self._path} could not be asked, and its source not be followed: {errors[0]}"
            if errors
            else None
        )
        return HandlerAnswer(
            model_id=name,
            architecture=architecture,
            handler=self._path,
            status=Status.UNKNOWN if errors else Status.STATIC,
            error=error,
            known=frozenset(parts),
            **parts,
        )

    def _merged(self, name: str, architecture: str, merged: dict[str, Any]) -> dict[str, Any]:
        original, model = self._request.original(name), self._request.definitions[name]
        defaults, given = self._defaults(architecture, original)
        if given != original:
            raise UnreadableError("it changes the definition itself")
        kept = _definition(defaults)
        merged.update({**defaults, **model})
        return kept

    def _defaults(
        self, architecture: str, original: Mapping[str, Any]
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        given = copy.deepcopy(dict(original))
        pool = {"base_model_type": architecture, "model_def": given}
        found = self._call("query_model_def", pool)
        if found is not None and not isinstance(found, dict):
            raise UnreadableError("its defaults are not certain")
        return found or {}, given

    def _files(self, architecture: str, merged: Mapping[str, Any]) -> tuple[FilesDef, ...]:
        pool = {
            "computeList": _compute_list(),
            "base_model_type": architecture,
            "model_filename": None,
            "text_encoder_quantization": self._request.config.get("text_encoder_quantization", "int8"),
            "model_def": copy.deepcopy(dict(merged)),
        }
        rows = files_defs(self._call("query_model_files", pool))
        return tuple(
            FilesDef(row["repo"], row["source_folder"], tuple(row["files"]), row["target_folder"])
            for row in rows
        )

    def _lora_dir(self, architecture: str) -> str | None:
        # Command line options stand before the default in an `or`: unset, they are empty.
        pool = {"base_model_type": architecture, "args": NO_ARGUMENTS, "lora_root": _LORA_ROOT}
        ask = self._reader.attribute(self._handler, "get_lora_dir")
        if not isinstance(ask, Function):
            raise UnreadableError("its lora folder is not certain")
        answer = self._call("get_lora_dir", pool)
        if answer is None:
            return None
        if not isinstance(answer, str):
            raise UnreadableError("its lora folder is not certain")
        return answer.replace("\\", "/").replace(_LORA_ROOT, LORA_ROOT)

    def _call(self, name: str, pool: Mapping[str, Any]) -> Any:
        function = self._reader.attribute(self._handler, name)
        if not isinstance(function, Function):
            raise UnreadableError(f"it has no plain {name}")
        wanted = {one.arg for one in function.node.args.args}
        return self._reader.call(function, (), {key: value for key, value in pool.items() if key in wanted})


def _definition(defaults: dict[str, Any]) -> dict[str, Any]:
    for key, value in defaults.items():
        if value is UNKNOWN and key in FILE_KEYS:
            raise UnreadableError(f"{key} is not certain")
    return plain_definition(defaults)


def _compute_list() -> Callable[[Any], list[str]]:
    return lambda name: [] if name is None else [name[name.rfind("/") + 1 :]]


def _only_literal(function: Any) -> list[str]:
    """Return the one list of strings that a function returns, whatever else it does."""
    if not isinstance(function, Function):
        return []
    found = [node.value for node in ast.walk(function.node) if isinstance(node, ast.Return) and node.value]
    if len(found) != 1:
        return []
    try:
        value = ast.literal_eval(found[0])
    except ValueError:
        return []
    return [item for item in value if isinstance(item, str)] if isinstance(value, (list, tuple)) else []
