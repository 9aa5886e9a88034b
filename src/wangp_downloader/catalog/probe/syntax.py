"""What names in the tree's source stand for while it is read: modules, functions, classes. Values only."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True, eq=False)
class Module:
    """A source file of the tree: its name, its top-level statements by name, values already computed."""

    name: str
    nodes: dict[str, ast.stmt]
    values: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Function:
    """A function of the tree's source; ``owner`` is its class, if it is a method that needs none."""

    module: Module
    node: ast.FunctionDef | ast.Lambda
    skip_first: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Class:
    """A class of the tree's source."""

    module: Module
    node: ast.ClassDef


@dataclass(frozen=True, slots=True)
class Library:
    """A name of the standard library or of a package, such as ``os.path``."""

    name: str


def top_level(tree: ast.Module) -> dict[str, ast.stmt]:
    """Return a module's statements by the name they bind.

    A name that is bound twice, under a condition, or that some other statement at the top touches (and might
    change) is bound to ``pass``: what it stands for depends on a run.
    """
    nodes: dict[str, ast.stmt] = {}
    touched: set[str] = set()
    for node in tree.body:
        if not isinstance(node, _PLAIN) or (isinstance(node, ast.Assign) and not _is_plain(node)):
            touched |= {inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name)}
            touched |= set(bound_names(node))
            continue
        for name in bound_names(node):
            if name in nodes:
                touched.add(name)
            nodes[name] = node
    nodes.update(dict.fromkeys(touched, ast.Pass()))
    return nodes


_PLAIN = (
    ast.FunctionDef,
    ast.AsyncFunctionDef,
    ast.ClassDef,
    ast.Import,
    ast.ImportFrom,
    ast.Assign,
    ast.AnnAssign,
)
_DEFINING = (ast.FunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom)


def _is_plain(node: ast.Assign) -> bool:
    return all(isinstance(target, ast.Name) for target in node.targets)


def bound_names(node: ast.AST) -> list[str]:
    """Return the names that a statement binds in its own scope."""
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return [node.name]
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return [alias.asname or alias.name.partition(".")[0] for alias in node.names]
    inner = list(_walk_here(node))
    stored = [one.id for one in inner if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store)]
    return stored + [name for one in inner if isinstance(one, _DEFINING) for name in bound_names(one)]


def _walk_here(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        yield child
        if not isinstance(child, (ast.FunctionDef, ast.ClassDef, ast.Lambda)):
            yield from _walk_here(child)
