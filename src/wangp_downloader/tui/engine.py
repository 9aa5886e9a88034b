"""What the TUI needs from the engine, and nothing more.

Owns the protocols between this face and the session, the settings and the demo. Draws nothing and does
nothing; tests put a scripted engine behind the same protocols.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from wangp_downloader.cancel import CancelToken
from wangp_downloader.events import Emit
from wangp_downloader.files import Action, FileResult, Plan

if TYPE_CHECKING:
    from wangp_downloader.planner import Request


class ModelInfo(Protocol):
    """One model definition, as people know it."""

    @property
    def id(self) -> str:
        """Stem of the definition's file."""

    @property
    def name(self) -> str:
        """What Wan2GP calls it."""

    @property
    def family(self) -> str:
        """The family that Wan2GP lists it under."""

    @property
    def certain(self) -> bool:
        """True if every file that it needs is known; without that nobody can call it ready."""


class Unfinished(Protocol):
    """A download that an earlier run left half done."""

    @property
    def target(self) -> str:
        """The plan's target."""

    @property
    def bytes_done(self) -> int:
        """Bytes that are here."""

    @property
    def size(self) -> int | None:
        """Bytes of the whole file, if known."""


class Report(Protocol):
    """What a run did."""

    @property
    def results(self) -> Sequence[FileResult]:
        """One result a file."""


class EngineSettings(Protocol):
    """The settings that are shown."""

    @property
    def wan2gp_directory(self) -> object:
        """Path of the Wan2GP tree, or None."""

    @property
    def bandwidth_limit_kb(self) -> float | str:
        """Limit in KB/s; 0 is no limit; or words for a limit that is worked out (``80%``)."""


class Loaded(Protocol):
    """How the session was started."""

    @property
    def offline(self) -> bool:
        """True if no server may be asked, by ``--offline`` or ``HF_HUB_OFFLINE``."""


class Engine(Protocol):
    """The session, as the TUI sees it. Methods that plan or run block and are called from a thread."""

    @property
    def settings(self) -> EngineSettings:
        """The settings that the session was opened with."""

    @property
    def loaded(self) -> Loaded:
        """The same with how it was started."""

    def plan(
        self,
        request: Request,
        *,
        network: bool = True,
        hashing: bool = True,
        cancel: CancelToken | None = None,
        emit: Emit = ...,
    ) -> Plan:
        """Return what there is to do; without network and hashing from caches alone."""

    def run(self, plan: Plan, *, actions: frozenset[Action], cancel: CancelToken, emit: Emit = ...) -> Report:
        """Do what the plan's selected rows say; returns early if cancelled."""

    def models(self) -> Sequence[ModelInfo]:
        """Return all models, in Wan2GP's order."""

    def unfinished(self) -> Sequence[Unfinished]:
        """Return the downloads that were left half done."""

    def set_limit(self, bytes_per_s: float | None) -> None:
        """Change the limit of all transfers together; None is no limit."""

    def pause(self, key: str | None = None) -> None:
        """Pause one transfer, or all."""

    def resume(self, key: str | None = None) -> None:
        """Resume one transfer, or all."""

    def cancel(self, key: str) -> None:
        """Stop one transfer; its part stays."""

    def reset_cache(self) -> None:
        """Forget all remote metadata."""

    def close(self) -> None:
        """Let go of files and threads."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked for on this machine.

    Attributes:
        label: What (``"InvokeAI"``).
        found: Whether it is there.
        detail: Where it is, or why it matters that it is not.
    """

    label: str
    found: bool
    detail: str = ""


@dataclass(frozen=True, slots=True)
class SetupField:
    """One setting in the form.

    Attributes:
        key: Its key in ``config.yaml``.
        label: What people call it.
        help: One line on what it does.
        value: The value to start with, as text.
        choices: The only values it may take, or none for free text.
        advanced: True if the first-run form leaves it out.
    """

    key: str
    label: str
    help: str = ""
    value: str = ""
    choices: tuple[str, ...] = ()
    advanced: bool = False


class Setup(Protocol):
    """How the set-up form learns what is there and writes what was chosen."""

    def findings(self) -> Sequence[Finding]:
        """Look around on this machine; blocks, called from a thread."""

    def fields(self) -> Sequence[SetupField]:
        """Return the form's settings with their present or detected values; may block."""

    def validate(self, key: str, text: str) -> str | None:
        """Return what is wrong with a value, or None; quick, called at every keystroke."""

    def save(self, values: Mapping[str, str]) -> str:
        """Write ``config.yaml`` and return its path.

        Raises:
            DownloaderError: It can not be written.
        """
