"""The fence around the handlers: what they may not do, and a record of what they read.

One audit hook (PEP 578) sees every file, process and socket that Python code asks for, whatever name it was
asked by, and can not be taken away again. It stops accidents of a program that the user runs anyway; it is no
sandbox against native code.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

_NOT_ALLOWED = "not allowed while Wan2GP is only asked"
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND

# Audit events that change files → which of their arguments are paths, and which are folder descriptors.
_CHANGES: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
    "os.mkdir": ((0,), (2,)),
    "os.rmdir": ((0,), (1,)),
    "os.remove": ((0,), (1,)),
    "os.rename": ((0, 1), (2, 3)),
    "os.link": ((0, 1), (2, 3)),
    "os.symlink": ((0, 1), (2,)),
    "os.truncate": ((0,), ()),
    "os.utime": ((0,), (3,)),
    "os.chmod": ((0,), (2,)),
    "os.chown": ((0,), (3,)),
    "os.chflags": ((0,), ()),
    "os.setxattr": ((0,), ()),
    "os.removexattr": ((0,), ()),
    "shutil.rmtree": ((0,), ()),
    "sqlite3.connect": ((0,), ()),
}
_NAME_ITSELF = frozenset(["os.mkdir", "os.rmdir", "os.remove", "os.rename", "os.link", "os.symlink"])
"""Events that change the entry in its folder, not what a link there leads to."""
_PROCESSES = frozenset(
    [
        *("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork"),
        *("os.forkpty", "os.startfile", "os.startfile/2", "pty.spawn", "os.kill", "os.killpg"),
    ]
)
_NETWORK = frozenset(
    [
        *("socket.connect", "socket.bind", "socket.sendto", "socket.sendmsg", "socket.getaddrinfo"),
        *("socket.gethostbyname", "socket.gethostbyaddr", "socket.getnameinfo"),
    ]
)


class Fence:
    """Refuses changes outside one folder, processes and the network; remembers what is read of the tree.

    Args:
        scratch: The only folder that may be changed, absolute.
        tree: Wan2GP's folder, absolute.
    """

    def __init__(self, scratch: str, tree: str) -> None:
        self._scratch = _real(scratch) + os.sep
        self._tree = _real(tree) + os.sep
        self._given_tree = tree.rstrip(os.sep) + os.sep
        self.read: set[str] = set()
        self._rules = self._make_rules()

    def put_up(self) -> None:
        """Start refusing; there is no way back in this process."""
        rules = self._rules

        def hook(event: str, args: tuple[Any, ...]) -> None:
            rule = rules.get(event)
            if rule is not None:
                rule(event, args)

        sys.addaudithook(hook)

    def is_inside(self, name: str) -> bool:
        """Tell whether an absolute file name is below the tree."""
        return name.startswith((self._tree, self._given_tree))

    def _make_rules(self) -> dict[str, Callable[[str, tuple[Any, ...]], None]]:
        rules: dict[str, Callable[[str, tuple[Any, ...]], None]] = {"open": self._open}
        rules.update(dict.fromkeys(_CHANGES, self._change))
        rules.update(dict.fromkeys(_PROCESSES, _refuse_process))
        rules.update(dict.fromkeys(_NETWORK, _refuse_network))
        return rules

    def _open(self, event: str, args: tuple[Any, ...]) -> None:
        path, _mode, flags = args
        if isinstance(path, int):
            return  # a descriptor that was opened before, and judged then
        if flags & _WRITING:
            self._check(event, path)
            return
        name = os.fsdecode(path)
        if self.is_inside(name):
            self.read.add(name)

    def _change(self, event: str, args: tuple[Any, ...]) -> None:
        paths, descriptors = _CHANGES[event]
        if any(args[at] not in (-1, None) for at in descriptors if at < len(args)):
            raise PermissionError(f"{event} by folder descriptor is {_NOT_ALLOWED}")
        for at in paths:
            if at < len(args) and args[at] is not None:
                self._check(event, args[at])

    def _check(self, event: str, path: Any) -> None:
        if isinstance(path, int):
            raise PermissionError(f"{event} by descriptor is {_NOT_ALLOWED}")
        name = os.fsdecode(path)
        if name == os.devnull or name.startswith(":memory:"):
            return
        if event in _NAME_ITSELF:
            folder, last = os.path.split(name.rstrip("/\\"))
            real = os.path.join(_real(folder or "."), last)  # noqa: PTH118
        else:
            real = _real(name)
        if not real.startswith(self._scratch):
            raise PermissionError(f"{event} of {name!r} is {_NOT_ALLOWED}")


def _real(path: str) -> str:
    return os.path.normcase(os.path.realpath(path))


def _refuse_process(event: str, args: tuple[Any, ...]) -> None:
    raise PermissionError(f"{event} is {_NOT_ALLOWED}")


def _refuse_network(event: str, args: tuple[Any, ...]) -> None:
    raise ConnectionRefusedError(f"{event}: there is no network while Wan2GP is only asked")
