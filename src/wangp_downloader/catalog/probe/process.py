"""The separate process as its parent sees it: started with almost nothing, read, and ended with its children.

Owns starting, reading and killing; knows nothing of what the messages mean.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from wangp_downloader.catalog.probe.errors import ProbeStartError

STDERR_KEPT_BYTES = 64 * 1024
_MAX_ANSWER_BYTES = 256 * 1024 * 1024
_CHILD = Path(__file__).with_name("child.py")
_END = b""

# What a process needs to start at all; no token, key or proxy is among them.
_ENVIRONMENT = ("PATH", "SYSTEMROOT", "WINDIR", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "PATHEXT")


class ProbeProcess:
    """One separate process: a context manager that leaves nothing running.

    Args:
        python: The interpreter, or None for ours.
        scratch: An empty folder to run in, absolute.
        request: Sent to it as JSON.

    Raises:
        ProbeStartError: It can not be started.
    """

    def __init__(self, python: Path | None, scratch: Path, request: Mapping[str, Any]) -> None:
        command = [str(python or sys.executable), "-I", "-S", "-B", "-W", "ignore", "-X", "utf8", str(_CHILD)]
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=scratch,
                env=_environment(scratch),
                **_own_group(),
            )
        except OSError as error:
            raise ProbeStartError(f"{command[0]} can not be started: {error.strerror or error}") from error
        self._lines: queue.Queue[bytes] = queue.Queue()
        self._stderr = bytearray()
        self._threads = [
            threading.Thread(target=work, args=args, daemon=True)
            for work, args in (
                (self._send, (json.dumps(request).encode(),)),
                (self._read_lines, ()),
                (self._read_stderr, ()),
            )
        ]
        for thread in self._threads:
            thread.start()

    def __enter__(self) -> ProbeProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        for thread in self._threads:
            # A grandchild that escaped its group may hold a pipe open; the threads are daemons then.
            thread.join(timeout=1.0)
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            if stream is not None and not any(thread.is_alive() for thread in self._threads):
                with contextlib.suppress(OSError):
                    stream.close()

    @property
    def exit_code(self) -> int | None:
        """How it ended, known after it was killed or left; negative: the signal that ended it."""
        return self._process.returncode

    @property
    def stderr(self) -> str:
        """The last 64 KiB of what it printed; all that there is to come if it has ended."""
        if self._process.poll() is not None:
            self._threads[-1].join(timeout=1.0)
        return bytes(self._stderr).decode("utf-8", "replace")

    def read(self, timeout_s: float) -> bytes:
        """Return the next line.

        Args:
            timeout_s: How long to wait, seconds.

        Raises:
            TimeoutError: None came in that time.
            EOFError: There will be no more.
        """
        try:
            line = self._lines.get(timeout=max(timeout_s, 0.0))
        except queue.Empty:
            raise TimeoutError from None
        if line == _END:
            self._lines.put(_END)
            raise EOFError
        return line

    def settle(self, timeout_s: float = 0.5) -> None:
        """Give it a moment to end by itself, so that its exit code tells what happened."""
        if not hasattr(os, "waitid"):
            return
        deadline = time.monotonic() + timeout_s
        # WNOWAIT leaves its id taken: it can not be given to another process before the group is killed.
        flags = os.WEXITED | os.WNOWAIT | os.WNOHANG
        with contextlib.suppress(OSError):
            while os.waitid(os.P_PID, self._process.pid, flags) is None and time.monotonic() < deadline:
                time.sleep(0.005)

    def kill(self) -> None:
        """End it and everything it started; does nothing the second time."""
        if self._process.returncode is not None:
            return
        if os.name == "nt":
            self._kill_tree_on_windows()
        else:
            # Also if it has ended: what it started may live on in its group, and its id is still taken.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
        with contextlib.suppress(OSError):
            self._process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=5.0)

    def _kill_tree_on_windows(self) -> None:
        if self._process.poll() is None:
            with contextlib.suppress(OSError, subprocess.SubprocessError):
                subprocess.run(
                    ["taskkill", "/F", "/T", "/PID", str(self._process.pid)],
                    capture_output=True,
                    check=False,
                    timeout=5.0,
                )

    def _send(self, request: bytes) -> None:
        stream = self._process.stdin
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.write(request)
            with contextlib.suppress(OSError):
                stream.close()

    def _read_lines(self) -> None:
        stream = self._process.stdout
        total = 0
        with contextlib.suppress(OSError, ValueError):
            while stream is not None and total < _MAX_ANSWER_BYTES:
                line = stream.readline(_MAX_ANSWER_BYTES - total)
                if not line:
                    break
                total += len(line)
                if line.strip():
                    self._lines.put(line)
        self._lines.put(_END)

    def _read_stderr(self) -> None:
        stream: IO[bytes] | None = self._process.stderr
        with contextlib.suppress(OSError, ValueError):
            while stream is not None and (chunk := os.read(stream.fileno(), 65536)):
                self._stderr += chunk
                del self._stderr[:-STDERR_KEPT_BYTES]


def _own_group() -> dict[str, Any]:
    if os.name == "nt":
        flags = getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0) | getattr(
            subprocess, "CREATE_NO_WINDOW", 0
        )
        return {"creationflags": flags}
    return {"start_new_session": True}


def _environment(scratch: Path) -> dict[str, str]:
    kept = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
    folders = dict.fromkeys(
        ("HOME", "USERPROFILE", "APPDATA", "LOCALAPPDATA", "TMPDIR", "TEMP", "TMP"), str(scratch)
    )
    offline = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "HF_HOME": str(scratch / "hf")}
    return {**kept, **folders, **offline, "CUDA_VISIBLE_DEVICES": ""}
