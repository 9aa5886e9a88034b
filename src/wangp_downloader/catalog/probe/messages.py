"""What the separate process says, decoded and checked; ``docs/probe.md`` lists the messages.

The process runs other people's code, so nothing it says is trusted to have the right shape.
"""

from __future__ import annotations

from typing import Any

import msgspec


class FilesRow(msgspec.Struct, frozen=True):
    """One source folder of ``query_model_files``."""

    repo: str
    source_folder: str
    files: list[str]
    target_folder: str = ""


class Answer(msgspec.Struct, frozen=True):
    """What a handler said about one definition."""

    id: str
    known: list[str]
    error: str | None = None
    defaults: dict[str, Any] = {}
    overrides: dict[str, Any] = {}
    files: list[FilesRow] = []
    config_files: dict[str, list[FilesRow]] = {}
    lora_dir: str | None = None


class Families(msgspec.Struct, frozen=True):
    """Families and interchangeable architectures."""

    names: dict[str, str] = {}
    family: str = ""
    equivalent: dict[str, str] = {}


class Begin(msgspec.Struct, frozen=True, tag_field="kind", tag="begin"):
    """A handler is about to be asked."""

    handler: str


class Shared(msgspec.Struct, frozen=True, tag_field="kind", tag="shared"):
    """The shared set, or why it is not known."""

    files: list[FilesRow]
    error: str | None
    read: list[str] = []
    config_keys: list[str] = []


class Handler(msgspec.Struct, frozen=True, tag_field="kind", tag="handler"):
    """All that one handler said; which files were read for it first, which settings were looked at so far."""

    handler: str
    error: str | None
    answers: list[Answer]
    architectures: list[str] = []
    families: Families = Families()
    modules: dict[str, list[str]] = {}
    bare: dict[str, dict[str, Any]] = {}
    read: list[str] = []
    config_keys: list[str] = []


class End(msgspec.Struct, frozen=True, tag_field="kind", tag="end"):
    """Everything was asked."""


Message = Begin | Shared | Handler | End

_DECODER: msgspec.json.Decoder[Message] = msgspec.json.Decoder(Begin | Shared | Handler | End)


def decode(line: bytes) -> Message | None:
    """Return the message in a line, or None if it is none (something else wrote into the pipe)."""
    try:
        return _DECODER.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
