"""What the probe answers: plain frozen values, no I/O.

Everything here comes from the user's own Wan2GP (its handlers, or a reading of their source) and is still
untrusted: folder and file names go through :func:`wangp_downloader.paths.safe_relative` before they are
joined to a folder. Mappings are to be read, never changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

LORA_ROOT = "{lora_root}"
"""Stands at the start of :attr:`HandlerAnswer.lora_dir` for the user's lora root folder."""


class Status(StrEnum):
    """How an answer was found."""

    ASKED = "asked"
    """Wan2GP's own code ran and answered."""
    STATIC = "static"
    """Its code could not run; its source was read, and holds no branch that could change the answer."""
    UNKNOWN = "unknown"
    """Neither: what Wan2GP would open is not known. Never to be treated as complete."""
    ABSENT = "absent"
    """There is nothing to ask: no such handler, or no Wan2GP tree at all."""


class VariantRule(StrEnum):
    """How this version of Wan2GP picks one of several variants (``get_model_filename`` in ``wgp.py``)."""

    ORDERED = "ordered"
    """int8: names with ``int8``, then those with ``fp8``; fp8: the reverse; all else: the first."""
    TOKENS = "tokens"
    """January 2026: int8 takes names with ``int8`` or ``fp8`` in list order; all else: the first."""
    QUANTO = "quanto"
    """Before: int8 and fp8 by name, all else takes names without ``quanto``; no match: the first."""
    UNKNOWN = "unknown"
    """Not recognised; the newest rule is the best guess and the person is told."""


class LoraLayout(StrEnum):
    """How ``get_lora_dir`` of the handlers is called, and with it where loras are."""

    ROOT = "root"
    """``get_lora_dir(architecture, args, lora_root)``: below ``loras_root`` of the settings."""
    FAMILY = "family"
    """``get_lora_dir(architecture, args)``: always below ``loras/``."""
    FLAT = "flat"
    """``loras``, ``loras_i2v``, ``loras_flux`` … beside ``wgp.py``."""


@dataclass(frozen=True, slots=True)
class FilesDef:
    """Files of one folder of one repo, as ``query_model_files`` names them.

    They belong at ``<checkpoint folder>/[target_folder/][source_folder/]name`` (``process_files_def`` in
    Wan2GP's ``shared/utils/download.py``).

    Attributes:
        repo: ``org/name``.
        source_folder: Folder inside the repo, ``""`` for its top.
        files: Names below that folder; empty: the whole folder, with everything below it.
        target_folder: Folder put in front of it on the disk, ``""`` for none.
    """

    repo: str
    source_folder: str
    files: tuple[str, ...]
    target_folder: str = ""


@dataclass(frozen=True, slots=True)
class HandlerAnswer:
    """What only Wan2GP's Python knows about one definition.

    Attributes:
        model_id: The definition.
        architecture: The one it was asked for.
        handler: Module path (``models.wan.wan_handler``), or ``""`` if no handler knows the architecture.
        status: How the rest was found; UNKNOWN leaves it empty, except for what ``known`` names.
        defaults: What ``query_model_def`` gives, to be put *under* the JSON: ``{**defaults, **model,
            **overrides}``. Only keys whose values are JSON; tuples are lists; without the long texts for
            Wan2GP's forms (``infos``, ``…_instructions``).
        overrides: Keys of the definition itself that the handler changed; usually empty.
        files: What ``query_model_files`` names.
        lora_dir: Its lora folder, starting with :data:`LORA_ROOT` where it is below the user's lora root,
            else relative to the tree or absolute; None if the handler has none.
        config_files: For each selectable configuration (``"system_configs/NAME"``), what
            ``query_model_files`` names with it; only where that differs from ``files``.
        known: Which parts are reliable: of ``"defaults"``, ``"files"``, ``"lora_dir"``.
        error: Why a part is not known, for people.
    """

    model_id: str
    architecture: str
    handler: str
    status: Status
    defaults: Mapping[str, Any] = field(default_factory=dict)
    overrides: Mapping[str, Any] = field(default_factory=dict)
    files: tuple[FilesDef, ...] = ()
    lora_dir: str | None = None
    config_files: Mapping[str, tuple[FilesDef, ...]] = field(default_factory=dict)
    known: frozenset[str] = frozenset()
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Architecture:
    """One architecture (Wan2GP's "base model type").

    Attributes:
        name: Such as ``i2v_2_2``.
        handler: Module path of the handler that supports it.
        family: Family id (``wan``), or ``""`` if unknown.
        equivalent_to: The architecture it is interchangeable with, or None.
    """

    name: str
    handler: str
    family: str = ""
    equivalent_to: str | None = None


@dataclass(frozen=True, slots=True)
class HandlerStatus:
    """How one handler was read.

    Attributes:
        path: Module path.
        status: ASKED, STATIC, UNKNOWN.
        error: Why it could not be asked, for people, or None.
        families: Family ids it brings.
        architectures: What it supports; for a handler that could not be asked, what its source says.
        plugin: Id of the plugin that brings it, or None.
    """

    path: str
    status: Status
    error: str | None = None
    families: tuple[str, ...] = ()
    architectures: tuple[str, ...] = ()
    plugin: str | None = None


@dataclass(frozen=True, slots=True)
class TreeRules:
    """Rules of this version of Wan2GP, recognised in its source; the defaults are the newest version's.

    Attributes:
        variant: How a variant is picked.
        placement: ``url|folder`` is understood.
        lora_dir_placement: ``url|%lora_dir`` is understood.
        checkpoints: Default of ``checkpoints_paths``, first is the root.
        checkpoints_configurable: ``checkpoints_paths`` of ``wgp_config.json`` is read.
        loras: The lora layout.
        text_encoder_urls: Handlers give ``text_encoder_URLs``; before, ``query_model_files`` named encoders.
        vae_urls: ``VAE_URLs`` is read.
        dtype_key: The architecture's definition may set ``dtype``.
        configs: ``configs`` and ``system_configs`` are read.
        module_source: ``module_source`` is read.
        plugins: Plugins may bring definitions and handlers.
    """

    variant: VariantRule = VariantRule.ORDERED
    placement: bool = True
    lora_dir_placement: bool = True
    checkpoints: tuple[str, ...] = ("ckpts", ".")
    checkpoints_configurable: bool = True
    loras: LoraLayout = LoraLayout.ROOT
    text_encoder_urls: bool = True
    vae_urls: bool = True
    dtype_key: bool = True
    configs: bool = True
    module_source: bool = True
    plugins: bool = True


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """All that the probe found out about one tree.

    Attributes:
        status: ASKED if every handler and the shared set answered, UNKNOWN if the parts must be looked at
            (some are not ASKED), ABSENT if there is no Wan2GP tree or one without handlers.
        version: ``WanGP_version`` of the tree, or None.
        answers: By definition id; ids whose architecture no handler supports are there, with UNKNOWN.
        architectures: By name.
        architecture_defaults: ``query_model_def(architecture, {})`` for architectures that no definition
            with that id describes.
        families: Family id → name for people.
        module_urls: Versions of summer 2025 only: module id (as ``modules`` of a definition names it) → URLs
            of its variants, from ``query_modules_files``; empty elsewhere.
        shared: The set that every model needs, under the user's settings.
        shared_status: How ``shared`` was found.
        shared_error: Why not, or None.
        rules: This version's rules.
        handlers: One entry a handler, in Wan2GP's order.
        warnings: For people: what is unknown and why.
        stderr: The last of what the handlers printed, for ``doctor``.
        depends_on: Files of the tree that the answer depends on, relative, with ``/``.
        seconds: What the asking took, now or at the time the kept answer was found.
    """

    status: Status
    version: str | None = None
    answers: Mapping[str, HandlerAnswer] = field(default_factory=dict)
    architectures: Mapping[str, Architecture] = field(default_factory=dict)
    architecture_defaults: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    families: Mapping[str, str] = field(default_factory=dict)
    module_urls: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    shared: tuple[FilesDef, ...] = ()
    shared_status: Status = Status.ABSENT
    shared_error: str | None = None
    rules: TreeRules = field(default_factory=TreeRules)
    handlers: tuple[HandlerStatus, ...] = ()
    warnings: tuple[str, ...] = ()
    stderr: str = ""
    depends_on: tuple[str, ...] = ()
    seconds: float = 0.0
