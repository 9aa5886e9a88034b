"""One function's scope while its source is read: statements and expressions, one method each.

Everything that is not listed here ends the reading. Names beyond the scope are the reader's matter.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from wangp_downloader.catalog.probe.syntax import Class, Function, Library, Module
from wangp_downloader.catalog.probe.values import (
    NO_ARGUMENTS,
    UNKNOWN,
    UnreadableError,
    binary,
    builtin,
    compare,
    guarded,
    known,
    library,
    method,
)


class ReturnedError(Exception):
    """Carries a function's result out of its statements."""

    def __init__(self, value: Any) -> None:
        super().__init__()
        self.value = value


class _LoopEndError(Exception):
    """``break`` and ``continue``."""

    def __init__(self, *, again: bool) -> None:
        super().__init__()
        self.again = again


class Names(Protocol):
    """What a frame asks its reader."""

    def name(self, module: Module, name: str) -> Any:
        """Return what a top-level name stands for."""

    def attribute(self, owner: Any, name: str) -> Any:
        """Return an attribute of a module, class or package."""

    def imported(self, module: Module, node: ast.Import | ast.ImportFrom, name: str) -> Any:
        """Return what an import binds to a name."""

    def call(self, function: Any, args: Sequence[Any], kwargs: dict[str, Any] | None = None) -> Any:
        """Return what a function of the tree would return."""

    def count_step(self) -> None:
        """Keep a reading from running for ever."""


class Frame:
    """A scope.

    Args:
        names: The reader.
        module: Where the source is from.
        local: Parameters and their values.
    """

    def __init__(self, names: Names, module: Module, local: dict[str, Any]) -> None:
        self._names = names
        self._module = module
        self._local = local

    def run(self, body: Sequence[ast.stmt]) -> None:
        """Follow statements.

        Raises:
            ReturnedError: ``return`` was reached.
            UnreadableError: Something can not be followed.
        """
        for node in body:
            self._names.count_step()
            step = _STATEMENTS.get(type(node))
            try:
                if step is None:
                    raise UnreadableError(f"a statement ({type(node).__name__}) is not followed")
                step(self, node)
            except UnreadableError as error:
                error.place = error.place or f"{self._module.name}, line {node.lineno}"
                raise

    def value(self, node: ast.expr) -> Any:
        """Return what an expression is worth.

        Raises:
            UnreadableError: It can not be followed.
        """
        self._names.count_step()
        step = _EXPRESSIONS.get(type(node))
        if step is None:
            return UNKNOWN
        return step(self, node)

    # Statements

    def _return(self, node: ast.Return) -> None:
        raise ReturnedError(None if node.value is None else self.value(node.value))

    def _assign(self, node: ast.Assign) -> None:
        value = self.value(node.value)
        for target in node.targets:
            self._bind(target, value)

    def _annotated(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self._bind(node.target, self.value(node.value))

    def _augmented(self, node: ast.AugAssign) -> None:
        left, right = self.value(_as_load(node.target)), self.value(node.value)
        if isinstance(left, list) and isinstance(node.op, ast.Add):
            left.extend(guarded(list, known(right)))  # in place, as Python does
            return
        self._bind(node.target, binary(type(node.op), left, right))

    def _if(self, node: ast.If) -> None:
        self.run(node.body if self._truth(self.value(node.test)) else node.orelse)

    def _for(self, node: ast.For) -> None:
        for item in guarded(list, known(self.value(node.iter))):
            self._bind(node.target, item)
            try:
                self.run(node.body)
            except _LoopEndError as end:
                if not end.again:
                    return
        self.run(node.orelse)

    def _delete(self, node: ast.Delete) -> None:
        for target in node.targets:
            if isinstance(target, ast.Name):
                guarded(self._local.__delitem__, target.id)
                continue
            owner = self.value(target.value) if isinstance(target, ast.Subscript) else UNKNOWN
            if not isinstance(target, ast.Subscript) or not isinstance(owner, (dict, list)):
                raise UnreadableError("something unknown is changed")
            guarded(owner.__delitem__, known(self.value(target.slice)))

    def _break(self, node: ast.Break) -> None:
        raise _LoopEndError(again=False)

    def _continue(self, node: ast.Continue) -> None:
        raise _LoopEndError(again=True)

    def _expression(self, node: ast.Expr) -> None:
        self.value(node.value)

    def _pass(self, node: ast.Pass) -> None:
        return

    def _import(self, node: ast.Import | ast.ImportFrom) -> None:
        for alias in node.names:
            name = alias.asname or alias.name.partition(".")[0]
            found = self._names.imported(self._module, node, name)
            self._local[name] = (library(found.name) or found) if isinstance(found, Library) else found

    def _function(self, node: ast.FunctionDef) -> None:
        raise UnreadableError("a function inside a function is not followed")

    def _bind(self, target: ast.expr, value: Any) -> None:
        if isinstance(target, ast.Name):
            self._local[target.id] = value
        elif isinstance(target, (ast.Tuple, ast.List)):
            items = guarded(list, known(value))
            if len(items) != len(target.elts):
                raise UnreadableError("values and names differ in number")
            for inner, item in zip(target.elts, items, strict=True):
                self._bind(inner, item)
        elif isinstance(target, ast.Subscript):
            owner = self.value(target.value)
            if not isinstance(owner, (dict, list)):
                raise UnreadableError("something unknown is changed")
            key = known(self.value(target.slice))
            guarded(owner.__setitem__, key, value)
        else:
            raise UnreadableError("an attribute is changed")

    # Expressions

    def _constant(self, node: ast.Constant) -> Any:
        return node.value

    def _name(self, node: ast.Name) -> Any:
        if node.id in self._local:
            return self._local[node.id]
        found = self._names.name(self._module, node.id)
        if found is UNKNOWN and node.id not in self._module.nodes:
            return builtin(node.id) or UNKNOWN
        return (library(found.name) or found) if isinstance(found, Library) else found

    def _attribute(self, node: ast.Attribute) -> Any:
        owner = self.value(node.value)
        if owner is UNKNOWN:
            return UNKNOWN
        if isinstance(owner, (Module, Class, Library)):
            found = self._names.attribute(owner, node.attr)
            return (library(found.name) or found) if isinstance(found, Library) else found
        return method(owner, node.attr)

    def _sequence(self, node: ast.List | ast.Tuple | ast.Set) -> Any:
        items = self._items(node.elts)
        if isinstance(node, ast.Tuple):
            return tuple(items)
        return guarded(set, items) if isinstance(node, ast.Set) else items

    def _dict(self, node: ast.Dict) -> Any:
        found: dict[Any, Any] = {}
        for key, value in zip(node.keys, node.values, strict=True):
            if key is None:
                guarded(found.update, known(self.value(value)))
            else:
                guarded(found.__setitem__, known(self.value(key)), self.value(value))
        return found

    def _binary(self, node: ast.BinOp) -> Any:
        return binary(type(node.op), self.value(node.left), self.value(node.right))

    def _unary(self, node: ast.UnaryOp) -> Any:
        value = self.value(node.operand)
        if value is UNKNOWN:
            return UNKNOWN
        if isinstance(node.op, ast.Not):
            return not value
        return guarded(lambda: -value) if isinstance(node.op, ast.USub) else UNKNOWN

    def _boolean(self, node: ast.BoolOp) -> Any:
        value: Any = None
        for part in node.values:
            value = self.value(part)
            if value is UNKNOWN:
                return UNKNOWN
            if bool(value) is isinstance(node.op, ast.Or):
                return value
        return value

    def _compare(self, node: ast.Compare) -> Any:
        left = self.value(node.left)
        result: Any = True
        for kind, right_node in zip(node.ops, node.comparators, strict=True):
            right = self.value(right_node)
            result = compare(type(kind), left, right)
            if result is UNKNOWN or not result:
                return result
            left = right
        return result

    def _either(self, node: ast.IfExp) -> Any:
        return self.value(node.body if self._truth(self.value(node.test)) else node.orelse)

    def _format(self, node: ast.JoinedStr) -> Any:
        parts = []
        for part in node.values:
            if isinstance(part, ast.Constant):
                parts.append(str(part.value))
                continue
            if (
                not isinstance(part, ast.FormattedValue)
                or part.format_spec is not None
                or part.conversion != -1
            ):
                return UNKNOWN
            value = self.value(part.value)
            if not isinstance(value, (str, int)):
                return UNKNOWN
            parts.append(str(value))
        return guarded("".join, parts)

    def _subscript(self, node: ast.Subscript) -> Any:
        owner = self.value(node.value)
        if owner is UNKNOWN:
            return UNKNOWN
        if isinstance(node.slice, ast.Slice):
            bounds = [None if one is None else known(self.value(one)) for one in _bounds(node.slice)]
            return guarded(lambda: owner[slice(*bounds)])
        key = known(self.value(node.slice))
        return guarded(lambda: owner[key])

    def _lambda(self, node: ast.Lambda) -> Any:
        return UNKNOWN

    def _comprehension(self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp) -> Any:
        items = [inner.value(node.elt) for inner in self._rounds(node.generators)]
        return guarded(set, items) if isinstance(node, ast.SetComp) else items

    def _dict_comprehension(self, node: ast.DictComp) -> Any:
        rounds = self._rounds(node.generators)
        return {known(inner.value(node.key)): inner.value(node.value) for inner in rounds}

    def _rounds(self, generators: Sequence[ast.comprehension]) -> Iterator[Frame]:
        if not generators:
            yield self
            return
        first, *rest = generators
        for item in guarded(list, known(self.value(first.iter))):
            inner = Frame(self._names, self._module, dict(self._local))
            inner._bind(first.target, item)
            if all(inner._truth(inner.value(test)) for test in first.ifs):
                yield from inner._rounds(rest)

    def _call(self, node: ast.Call) -> Any:
        if isinstance(node.func, ast.Name) and node.func.id == "isinstance":
            return self._isinstance(node)
        function = self.value(node.func)
        args = self._items(node.args)
        if isinstance(node.func, ast.Name) and node.func.id == "getattr":
            return args[2] if len(args) == 3 and args[0] is NO_ARGUMENTS else UNKNOWN
        kwargs = self._keywords(node.keywords)
        if isinstance(function, Function):
            return self._names.call(function, args, kwargs)
        if callable(function) and not isinstance(function, (Class, Library)):
            return _call_safely(function, args, kwargs)
        # Something unknown may change what it is given: after that nothing is certain.
        if any(isinstance(one, (dict, list, set)) for one in (*args, *kwargs.values())):
            raise UnreadableError(
                f"{ast.unparse(node.func)[:60]} is not followed, and may change what it is given"
            )
        return UNKNOWN

    def _isinstance(self, node: ast.Call) -> Any:
        if len(node.args) != 2:
            return UNKNOWN
        value, kinds = self.value(node.args[0]), self.value(node.args[1])
        kinds = kinds if isinstance(kinds, tuple) else (kinds,)
        if value is UNKNOWN or not all(isinstance(kind, type) for kind in kinds):
            return UNKNOWN
        return isinstance(value, kinds)

    def _items(self, nodes: Sequence[ast.expr]) -> list[Any]:
        items: list[Any] = []
        for node in nodes:
            if isinstance(node, ast.Starred):
                items.extend(guarded(list, known(self.value(node.value))))
            else:
                items.append(self.value(node))
        return items

    def _keywords(self, nodes: Sequence[ast.keyword]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for node in nodes:
            if node.arg is None:
                guarded(found.update, known(self.value(node.value)))
            else:
                found[node.arg] = self.value(node.value)
        return found

    def _truth(self, value: Any) -> bool:
        return bool(known(value))


def _call_safely(function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    if any(one is UNKNOWN for one in (*args, *kwargs.values())):
        if getattr(function, "__name__", "") in {"append", "setdefault", "get"} and args[0] is not UNKNOWN:
            return guarded(function, *args, **kwargs)
        if isinstance(getattr(function, "__self__", None), list) and function.__name__ == "append":
            return guarded(function, *args, **kwargs)
        if isinstance(getattr(function, "__self__", None), (dict, list, set)):
            raise UnreadableError("something is changed in a way that only a running Wan2GP knows")
        return UNKNOWN
    return guarded(function, *args, **kwargs)


def _bounds(node: ast.Slice) -> tuple[ast.expr | None, ...]:
    return node.lower, node.upper, node.step


def _as_load(target: ast.expr) -> ast.expr:
    return ast.parse(ast.unparse(target), mode="eval").body


_STATEMENTS: Mapping[type[ast.stmt], Callable[[Frame, Any], None]] = {
    ast.Return: Frame._return,
    ast.Assign: Frame._assign,
    ast.AnnAssign: Frame._annotated,
    ast.AugAssign: Frame._augmented,
    ast.If: Frame._if,
    ast.For: Frame._for,
    ast.Break: Frame._break,
    ast.Continue: Frame._continue,
    ast.Delete: Frame._delete,
    ast.Expr: Frame._expression,
    ast.Pass: Frame._pass,
    ast.Import: Frame._import,
    ast.ImportFrom: Frame._import,
    ast.FunctionDef: Frame._function,
}
_EXPRESSIONS: Mapping[type[ast.expr], Callable[[Frame, Any], Any]] = {
    ast.Constant: Frame._constant,
    ast.Name: Frame._name,
    ast.Attribute: Frame._attribute,
    ast.List: Frame._sequence,
    ast.Tuple: Frame._sequence,
    ast.Set: Frame._sequence,
    ast.Dict: Frame._dict,
    ast.BinOp: Frame._binary,
    ast.UnaryOp: Frame._unary,
    ast.BoolOp: Frame._boolean,
    ast.Compare: Frame._compare,
    ast.IfExp: Frame._either,
    ast.JoinedStr: Frame._format,
    ast.Subscript: Frame._subscript,
    ast.Lambda: Frame._lambda,
    ast.ListComp: Frame._comprehension,
    ast.SetComp: Frame._comprehension,
    ast.GeneratorExp: Frame._comprehension,
    ast.DictComp: Frame._dict_comprehension,
    ast.Call: Frame._call,
}
