"""Stand-ins for packages that handlers import and do not need to answer.

Wan2GP's own modules and the standard library are imported for real; every other package (torch, gradio,
numpy, …) is answered with a module whose attributes can be called, subclassed, subscripted and formatted, and
whose values can be recognised afterwards (:data:`~probe_inside.plain.MARK`).
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import os
import sys
import types
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from .plain import MARK


class StandInBase:
    """What classes derive from whose real base is not installed."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def __init_subclass__(cls, **kwargs: Any) -> None:
        pass


class StandIn:
    """A value of a package that is not there: it takes part in everything and means nothing.

    Args:
        name: Where it would be found, such as ``torch.cuda.Stream``.
    """

    def __init__(self, name: str) -> None:
        self.__dict__["_stand_in_name"] = name
        self.__dict__["_stand_in_class"] = None

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        value = StandIn(f"{self._stand_in_name}.{name}")
        self.__dict__[name] = value
        return value

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Return another stand-in; used as a decorator, the function or class as it is."""
        if len(args) == 1 and not kwargs and isinstance(args[0], (types.FunctionType, type)):
            return args[0]
        return StandIn(f"{self._stand_in_name}()")

    def __mro_entries__(self, bases: tuple[Any, ...]) -> tuple[type, ...]:
        if self._stand_in_class is None:
            name = self._stand_in_name.rpartition(".")[2]
            self.__dict__["_stand_in_class"] = type(name, (StandInBase,), {})
        return (self._stand_in_class,)

    def __str__(self) -> str:
        return f"{MARK}{self._stand_in_name}"

    __repr__ = __str__

    def __format__(self, spec: str) -> str:
        return str(self)

    def __fspath__(self) -> str:
        return str(self)

    def __iter__(self) -> Iterator[Any]:
        return iter(())

    def __len__(self) -> int:
        return 0

    def __bool__(self) -> bool:
        return True

    def __contains__(self, item: Any) -> bool:
        return False

    def __getitem__(self, key: Any) -> Any:
        return StandIn(f"{self._stand_in_name}[]")

    def __setitem__(self, key: Any, value: Any) -> None:
        pass

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *args: Any) -> None:
        pass

    def __instancecheck__(self, instance: Any) -> bool:
        return False

    def __subclasscheck__(self, subclass: type) -> bool:
        return False

    def __hash__(self) -> int:
        return id(self)

    def __eq__(self, other: object) -> bool:
        return self is other

    def __lt__(self, other: Any) -> bool:
        return False

    __le__ = __gt__ = __ge__ = __lt__

    def __int__(self) -> int:
        return 0

    __index__ = __int__

    def __float__(self) -> float:
        return 0.0


def _operate(self: StandIn, *other: Any) -> StandIn:
    return StandIn(f"{self._stand_in_name}·")


for _name in (
    *("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul", "and", "or", "xor"),
    *("lshift", "rshift"),
):
    setattr(StandIn, f"__{_name}__", _operate)
    setattr(StandIn, f"__r{_name}__", _operate)
for _name in ("neg", "pos", "abs", "invert"):
    setattr(StandIn, f"__{_name}__", _operate)


class StandInModule(types.ModuleType):
    """A package that is not there."""

    __version__ = "99.0.0"
    __all__: Sequence[str] = ()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        value = StandIn(f"{self.__name__}.{name}")
        setattr(self, name, value)
        return value


def _give_capability(*args: Any) -> tuple[int, int]:
    # A GPU that can do bfloat16: handlers only ask in order to describe quantized kernels.
    return (8, 9)


class StandInFinder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Answers, last of all finders, imports whose first name is neither the tree's nor Python's own.

    Args:
        roots: Folders of the tree that modules are imported from.
        recorders: Attributes to be put in place when a module is made, by full name
            (``huggingface_hub.hf_hub_download``).
    """

    def __init__(self, roots: Sequence[str], recorders: dict[str, Callable[..., Any]] | None = None) -> None:
        self._roots = tuple(roots)
        self._given: dict[str, Callable[..., Any]] = {
            "torch.cuda.get_device_capability": _give_capability,
            **(recorders or {}),
        }
        self._own: dict[str, bool] = {}

    def find_spec(
        self, fullname: str, path: Any = None, target: Any = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Return a stand-in's spec, or None for names that should be there for real."""
        first = fullname.partition(".")[0]
        if first in sys.stdlib_module_names or self._is_own(first):
            return None
        return importlib.util.spec_from_loader(fullname, self, is_package=True)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        """Make the stand-in."""
        return StandInModule(spec.name)

    def exec_module(self, module: types.ModuleType) -> None:
        """Put the few attributes in place that must answer for real."""
        prefix = f"{module.__name__}."
        for name, value in self._given.items():
            if name.startswith(prefix):
                owner: Any = module
                *inner, last = name[len(prefix) :].split(".")
                for part in inner:
                    owner = getattr(owner, part)
                owner.__dict__[last] = value

    def _is_own(self, first: str) -> bool:
        known = self._own.get(first)
        if known is None:
            known = any(_is_module(root, first) for root in self._roots)
            self._own[first] = known
        return known


def _is_module(root: str, name: str) -> bool:
    base = os.path.join(root, name)  # noqa: PTH118 - as importlib does
    return os.path.isfile(f"{base}.py") or os.path.isdir(base)  # noqa: PTH112, PTH113
