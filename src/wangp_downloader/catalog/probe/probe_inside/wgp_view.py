"""Functions of the user's own ``wgp.py``, without running that program.

``wgp.py`` starts a server, parses a command line and deletes outdated files when it is imported, so it is
never imported. Here it is parsed, and a name of it (a function, an import, a simple assignment) comes to life
at the moment something asks for it.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Mapping
from typing import Any

_MISSING = object()


class WgpView(dict[str, Any]):
    """The global names of ``wgp.py``, made on demand.

    Args:
        source: Its text.
        given: Names that stand in for its own: settings, recorders, definitions.

    Raises:
        SyntaxError: This Python can not parse it.
    """

    def __init__(self, source: str, given: Mapping[str, Any]) -> None:
        super().__init__()
        self._given = dict(given)
        self._nodes = _top_level(ast.parse(source)) if source else {}
        self._begin()

    def fresh(self) -> WgpView:
        """Return a view of the same source in which nothing has happened yet."""
        view = WgpView("", self._given)
        view._nodes = self._nodes
        return view

    def _begin(self) -> None:
        self.update(self._given)
        self["__builtins__"] = builtins.__dict__
        self["__name__"] = "wgp"
        self._busy: set[str] = set()

    def has(self, name: str) -> bool:
        """Tell whether ``wgp.py`` defines, imports or was given ``name``."""
        return name in self or name in self._nodes

    def __missing__(self, name: str) -> Any:
        node = self._nodes.get(name)
        if node is None or name in self._busy:
            raise KeyError(name)
        self._busy.add(name)
        try:
            self._bring_to_life(node)
        finally:
            self._busy.discard(name)
        value = self.get(name, _MISSING)
        if value is _MISSING:
            raise KeyError(name)
        return value

    def _bring_to_life(self, node: ast.stmt) -> None:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            node.decorator_list = []
        module = ast.Module(body=[node], type_ignores=[])
        # The user's own function, from the user's own file: this is the question that is asked.
        exec(compile(module, "wgp.py", "exec", dont_inherit=True), self)


def _top_level(module: ast.Module) -> dict[str, ast.stmt]:
    nodes: dict[str, ast.stmt] = {}
    for node in module.body:
        for name in _names(node):
            # The first assignment is the plain value; later ones in wgp.py depend on its start-up.
            nodes.setdefault(name, node)
    return nodes


def _names(node: ast.stmt) -> list[str]:
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return [node.name]
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return [alias.asname or alias.name.partition(".")[0] for alias in node.names]
    if isinstance(node, ast.Assign):
        return [name for target in node.targets for name in _target_names(target)]
    if isinstance(node, ast.AnnAssign) and node.value is not None:
        return _target_names(node.target)
    return []


def _target_names(target: ast.expr) -> list[str]:
    if isinstance(target, ast.Name):
        return [target.id]
    if isinstance(target, (ast.Tuple, ast.List)):
        return [name for item in target.elts for name in _target_names(item)]
    return []
