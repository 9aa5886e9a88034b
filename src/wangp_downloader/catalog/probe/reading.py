"""A careful reading of functions in the tree's source: it refuses what it can not follow.

Nothing of the tree is run. A statement, call or branch whose outcome is not certain ends the reading with
:class:`~.values.UnreadableError`; so a result, when there is one, is what running the code would give.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from wangp_downloader.catalog.probe.frame import Frame, ReturnedError
from wangp_downloader.catalog.probe.source import module_file
from wangp_downloader.catalog.probe.syntax import Class, Function, Library, Module, bound_names, top_level
from wangp_downloader.catalog.probe.values import UNKNOWN, UnreadableError

_MAX_STEPS = 300_000
_MAX_DEPTH = 30


class Reader:
    """Reads modules and calls functions of one tree.

    Args:
        roots: Folders that modules are imported from.
    """

    def __init__(self, roots: Sequence[Path]) -> None:
        self._roots = tuple(roots)
        self._modules: dict[str, Module | None] = {}
        self._steps = 0
        self._depth = 0

    def module(self, name: str) -> Module | None:
        """Return a module of the tree, or None if there is no such source.

        Raises:
            UnreadableError: Its source can not be parsed.
        """
        if name not in self._modules:
            self._modules[name] = self._parse(name)
        return self._modules[name]

    def call(self, function: Any, args: Sequence[Any], kwargs: dict[str, Any] | None = None) -> Any:
        """Return what a function of the tree would return.

        Raises:
            UnreadableError: It can not be followed.
        """
        if not isinstance(function, Function):
            raise UnreadableError("it is no plain function")
        if self._depth >= _MAX_DEPTH:
            raise UnreadableError("it calls itself too deeply")
        self._depth += 1
        try:
            return self._run(function, args, kwargs or {})
        finally:
            self._depth -= 1

    def attribute(self, owner: Any, name: str) -> Any:
        """Return an attribute of a module, class or package."""
        if isinstance(owner, Module):
            return self.name(owner, name)
        if isinstance(owner, Class):
            return self._class_attribute(owner, name)
        if isinstance(owner, Library):
            return Library(f"{owner.name}.{name}")
        return UNKNOWN

    def name(self, module: Module, name: str) -> Any:
        """Return what a top-level name of a module stands for."""
        if name in module.values:
            return module.values[name]
        node = module.nodes.get(name)
        if node is None:
            inner = self.module(f"{module.name}.{name}")
            return inner if inner is not None else UNKNOWN
        module.values[name] = UNKNOWN  # while it is computed: a circle is not followed
        value = self._top_level(module, node, name)
        module.values[name] = value
        return value

    def count_step(self) -> None:
        """Keep a reading from running for ever."""
        self._steps += 1
        if self._steps > _MAX_STEPS:
            raise UnreadableError("it takes too many steps")

    def imported(self, module: Module, node: ast.Import | ast.ImportFrom, name: str) -> Any:
        """Return what an import statement binds to ``name``."""
        for alias in node.names:
            if (alias.asname or alias.name.partition(".")[0]) != name:
                continue
            if isinstance(node, ast.Import):
                path = alias.name if alias.asname else name
                return self.module(path) or Library(path)
            base = self._absolute(module, node)
            source = self.module(base)
            if source is not None:
                return self.name(source, alias.name)
            return self.module(f"{base}.{alias.name}") or Library(f"{base}.{alias.name}")
        return UNKNOWN

    def _parse(self, name: str) -> Module | None:
        path = module_file(self._roots, name)
        if path is None:
            return None
        try:
            tree = ast.parse(path.read_text(encoding="utf-8-sig", errors="replace"))
        except (SyntaxError, ValueError, OSError, RecursionError, MemoryError) as error:
            raise UnreadableError(f"{path.name} can not be parsed: {error}") from error
        return Module(name, top_level(tree))

    def _absolute(self, module: Module, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        path = module_file(self._roots, module.name)
        is_package = path is not None and path.name == "__init__.py"
        parts = module.name.split(".")
        parts = parts[: len(parts) - node.level + (1 if is_package else 0)]
        return ".".join([*parts, *([node.module] if node.module else [])])

    def _top_level(self, module: Module, node: ast.stmt, name: str) -> Any:
        if isinstance(node, ast.FunctionDef):
            return UNKNOWN if node.decorator_list else Function(module, node)
        if isinstance(node, ast.ClassDef):
            return Class(module, node)
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            return self.imported(module, node, name)
        value = getattr(node, "value", None)
        targets = node.targets if isinstance(node, ast.Assign) else []
        plain = isinstance(node, ast.AnnAssign) or (len(targets) == 1 and isinstance(targets[0], ast.Name))
        if value is None or not plain:
            return UNKNOWN
        try:
            return Frame(self, module, {}).value(value)
        except UnreadableError:
            return UNKNOWN

    def _class_attribute(self, owner: Class, name: str) -> Any:
        for node in owner.node.body:
            if name not in bound_names(node):
                continue
            if isinstance(node, ast.FunctionDef):
                marks = [ast.unparse(mark) for mark in node.decorator_list]
                if marks not in (["staticmethod"], ["classmethod"]):
                    return UNKNOWN
                return Function(owner.module, node, skip_first=marks == ["classmethod"])
            return self._top_level(owner.module, node, name)
        for base in owner.node.bases:
            parent = Frame(self, owner.module, {}).value(base)
            if isinstance(parent, Class) and (found := self._class_attribute(parent, name)) is not UNKNOWN:
                return found
        return UNKNOWN

    def _run(self, function: Function, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        frame = Frame(self, function.module, self._bind(function, args, kwargs))
        if isinstance(function.node, ast.Lambda):
            return frame.value(function.node.body)
        try:
            frame.run(function.node.body)
        except ReturnedError as returned:
            return returned.value
        return None

    def _bind(self, function: Function, args: Sequence[Any], kwargs: dict[str, Any]) -> dict[str, Any]:
        spec = function.node.args
        if spec.posonlyargs:
            raise UnreadableError("its parameters are not followed")
        names = [one.arg for one in spec.args][1 if function.skip_first else 0 :]
        found = self._defaults(function, names)
        found.update(zip(names, args, strict=False))
        extra = args[len(names) :]
        if spec.vararg:
            found[spec.vararg.arg] = tuple(extra)
        elif extra:
            raise UnreadableError("it is called with too many arguments")
        names += [one.arg for one in spec.kwonlyargs]
        found.update((key, value) for key, value in kwargs.items() if key in names)
        others = {key: value for key, value in kwargs.items() if key not in names}
        if spec.kwarg:
            found[spec.kwarg.arg] = others
        elif others:
            raise UnreadableError("it is called with arguments that it does not name")
        if not set(names) <= found.keys():
            raise UnreadableError("it is called with too few arguments")
        return found

    def _defaults(self, function: Function, names: Sequence[str]) -> dict[str, Any]:
        spec = function.node.args
        frame = Frame(self, function.module, {})
        # Aligned at the end, as Python does; both lists may be shorter than the names.
        pairs = zip(reversed(names), reversed(spec.defaults), strict=False)
        found = {name: frame.value(node) for name, node in pairs}
        for one, default in zip(spec.kwonlyargs, spec.kw_defaults, strict=True):
            if default is not None:
                found[one.arg] = frame.value(default)
        return found
