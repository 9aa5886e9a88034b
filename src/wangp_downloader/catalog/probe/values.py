"""What a reading of source computes with: Python's own values, one for "not known", and safe operations.

Pure. Only operations without any effect outside their operands are here; everything else is refused with
:class:`UnreadableError` or answered with :data:`UNKNOWN`.
"""

from __future__ import annotations

import ast
import copy
import operator
import os.path
import posixpath
from collections.abc import Callable, Mapping
from typing import Any

MAX_SIZE = 100_000
"""Longest string or collection that a reading makes."""


class UnreadableError(Exception):
    """The source does something that a reading can not follow with certainty.

    Attributes:
        place: File and line where that is, or None.
    """

    place: str | None = None

    def __str__(self) -> str:
        text = super().__str__()
        return f"{text} ({self.place})" if self.place else text


class _Unknown:
    """The one value of things that only running code would know."""

    def __repr__(self) -> str:
        return "UNKNOWN"

    def __deepcopy__(self, memo: object) -> _Unknown:
        return self


UNKNOWN = _Unknown()


class _NoArguments:
    """Wan2GP's command line when nothing was given on it: ``getattr`` gives its default."""


NO_ARGUMENTS = _NoArguments()

_METHODS: Mapping[type, frozenset[str]] = {
    str: frozenset(
        [
            *("lower", "upper", "strip", "lstrip", "rstrip", "startswith", "endswith", "replace", "split"),
            *("rsplit", "join", "find", "rfind", "removeprefix", "removesuffix", "partition", "rpartition"),
            *("count", "isdigit", "title", "capitalize"),
        ]
    ),
    dict: frozenset(["get", "update", "copy", "setdefault", "items", "keys", "values", "pop"]),
    list: frozenset(["append", "extend", "insert", "copy", "index", "count", "remove", "pop", "sort"]),
    set: frozenset(["add", "update", "copy", "union", "discard", "difference", "intersection"]),
    frozenset: frozenset(["union", "difference", "intersection"]),
    tuple: frozenset(["index", "count"]),
}
_BUILTINS: Mapping[str, Callable[..., Any]] = {
    **{kind.__name__: kind for kind in (list, dict, tuple, set, frozenset, str, int, float, bool)},
    **{one.__name__: one for one in (len, any, all, sorted, min, max, sum, enumerate, zip, reversed, abs)},
}
_LIBRARY: Mapping[str, Callable[..., Any]] = {
    "os.path.join": os.path.join,
    "os.path.basename": os.path.basename,
    "os.path.dirname": os.path.dirname,
    "os.path.splitext": os.path.splitext,
    "posixpath.join": posixpath.join,
    "posixpath.basename": posixpath.basename,
    "copy.deepcopy": copy.deepcopy,
    "copy.copy": copy.copy,
}
_BINARY: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.BitOr: operator.or_,
    ast.BitAnd: operator.and_,
}
_COMPARE: Mapping[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Is: operator.is_,
    ast.IsNot: operator.is_not,
    ast.In: lambda a, b: a in b,
    ast.NotIn: lambda a, b: a not in b,
}


def known(value: Any) -> Any:
    """Return ``value``; what depends on an unknown one can not be followed.

    Raises:
        UnreadableError: It is, or holds at its top, :data:`UNKNOWN`.
    """
    if value is UNKNOWN:
        raise UnreadableError("it depends on something that only a running Wan2GP knows")
    return value


def binary(kind: type[ast.operator], left: Any, right: Any) -> Any:
    """Do one arithmetic step."""
    if left is UNKNOWN or right is UNKNOWN:
        return UNKNOWN
    step = _BINARY.get(kind)
    if step is None or (kind is ast.Mult and not _is_small(left, right)):
        raise UnreadableError(f"an operation ({kind.__name__}) is not followed")
    return guarded(step, left, right)


def _is_small(left: Any, right: Any) -> bool:
    return all(
        isinstance(side, (float, bool)) or (isinstance(side, int) and abs(side) < MAX_SIZE)
        for side in (left, right)
    )


def compare(kind: type[ast.cmpop], left: Any, right: Any) -> Any:
    """Do one comparison."""
    if left is UNKNOWN or right is UNKNOWN:
        return UNKNOWN
    if kind in (ast.In, ast.NotIn) and isinstance(right, (list, tuple)) and UNKNOWN in right:
        return UNKNOWN
    return guarded(_COMPARE[kind], left, right)


def method(owner: Any, name: str) -> Callable[..., Any]:
    """Return a method of a value that has no effect but on that value.

    Raises:
        UnreadableError: There is none of that name.
    """
    if name not in _METHODS.get(type(owner), frozenset()):
        raise UnreadableError(f"{type(owner).__name__}.{name} is not followed")
    found: Callable[..., Any] = getattr(owner, name)
    return found


def builtin(name: str) -> Callable[..., Any] | None:
    """Return a built-in function that may be called, or None."""
    return _BUILTINS.get(name)


def library(name: str) -> Callable[..., Any] | None:
    """Return a function of the standard library that may be called, by its full name, or None."""
    return _LIBRARY.get(name)


def guarded(call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Call, and turn every error and every oversized result into :class:`UnreadableError`."""
    try:
        result = call(*args, **kwargs)
    except UnreadableError:
        raise
    except Exception as error:
        raise UnreadableError(f"{type(error).__name__}: {error}") from error
    if isinstance(result, (str, list, tuple, dict, set)) and len(result) > MAX_SIZE:
        raise UnreadableError("it makes too much")
    return result
