"""The catalog: all that one Wan2GP tree needs, read once.

The rooms above see this module only; the others here are its parts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from wangp_downloader.cancel import CancelToken
from wangp_downloader.catalog.definitions import Definition, plugin_folders, read_definitions
from wangp_downloader.catalog.knowledge import Knowledge, from_probe, from_table
from wangp_downloader.catalog.locations import Locator
from wangp_downloader.catalog.optional import OptionalFiles, read_optional
from wangp_downloader.catalog.probe.result import HandlerStatus, ProbeResult, Status
from wangp_downloader.catalog.requirements import ModelNeeds, RequirementRules
from wangp_downloader.catalog.tree import Tree, open_tree
from wangp_downloader.catalog.wan2gp_settings import Wan2GPSettings, read_wan2gp_settings
from wangp_downloader.events import Emit, ignore
from wangp_downloader.files import Requirement


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """One model, for lists.

    Attributes:
        id: The definition's id.
        name: For people.
        family: Family id (``wan``, ``flux`` …), or empty if unknown.
        architecture: As the definition says.
        visible: False if Wan2GP hides it.
        files: The definition's files, relative to the Wan2GP folder.
        knowledge: How its handler was read.
        problems: What could not be worked out; not empty means *ready* can not be promised.
    """

    id: str
    name: str
    family: str
    architecture: str
    visible: bool
    files: tuple[str, ...]
    knowledge: Status
    problems: tuple[str, ...]

    @property
    def certain(self) -> bool:
        """True if every file that it needs is known; without that nobody can call it ready."""
        return self.knowledge in (Status.ASKED, Status.STATIC) and not self.problems


@dataclass(frozen=True, slots=True)
class Catalog:
    """What a tree needs.

    Attributes:
        tree: The Wan2GP folder.
        settings: Wan2GP's own settings.
        models: By id, in Wan2GP's order.
        requirements: The shared set, then model by model.
        warnings: What the person should know.
        complete: False while the handlers have not been asked (yet).
        handlers: How each handler was read.
        families: Family id → name for people.
        lora_folders: Lora folders outside the lora root, as versions before November 2025 have them.
        optional: Gives the files of accelerator profiles and configurations; some tens of milliseconds.
    """

    tree: Tree
    settings: Wan2GPSettings
    models: Mapping[str, ModelInfo]
    requirements: tuple[Requirement, ...]
    warnings: tuple[str, ...]
    complete: bool
    handlers: tuple[HandlerStatus, ...] = ()
    families: Mapping[str, str] | None = None
    lora_folders: tuple[str, ...] = ()
    optional: Callable[[], OptionalFiles] = lambda: OptionalFiles((), ())

    @property
    def askable(self) -> bool:
        """True if there are handlers that have not been asked yet."""
        return self.tree.has_program and not self.complete


@dataclass(frozen=True, slots=True)
class ProbeOptions:
    """How the handlers are asked.

    Attributes:
        state_dir: Our own folder, where answers are kept.
        python: Another Python to run them in, or None for ours.
        ask: False to use only an answer that is already there.
    """

    state_dir: Path
    python: Path | None = None
    ask: bool = True


def read_catalog(
    root: Path,
    probe: ProbeOptions,
    *,
    gpu_has_bf16: Callable[[], bool] = lambda: True,
    cancel: CancelToken | None = None,
    emit: Emit = ignore,
) -> Catalog:
    """Read a Wan2GP tree.

    Args:
        root: The Wan2GP folder, absolute.
        probe: How its handlers are asked.
        gpu_has_bf16: Says whether the GPU computes in bf16; asked only where the user's settings leave it open.
        cancel: Stops the handlers' process.
        emit: Told what takes time.

    Returns:
        The catalog; what could not be read is in ``warnings`` and in each model's ``problems``.

    Raises:
        CatalogError: ``root`` is no Wan2GP folder.
        CancelledError: ``cancel`` was set.
    """
    tree = open_tree(root)
    settings_reading = read_wan2gp_settings(tree, gpu_has_bf16)
    settings = settings_reading.settings
    plugins = settings.raw.get("enabled_plugins", [])
    enabled = plugins if isinstance(plugins, list) else []
    reading = read_definitions(tree, enabled)
    warned = (*settings_reading.warnings, *reading.warnings)
    answered = _ask(tree, reading.definitions, settings, probe, cancel or CancelToken(), emit)
    knowledge = _knowledge(reading.definitions, settings, answered)
    rules = RequirementRules(knowledge, settings, Locator(tree.root, settings.checkpoints_paths), tree)
    shared = rules.shared()
    needs = {model.id: rules.of_model(model) for model in knowledge.models.values()}
    return Catalog(
        tree=tree,
        settings=settings,
        lora_folders=_folders_beside(settings.loras_root, knowledge),
        models=_infos(reading.definitions, knowledge, needs, (*knowledge.shared_gaps, *shared.problems)),
        requirements=(*shared.requirements, *(row for need in needs.values() for row in need.requirements)),
        warnings=(*warned, *knowledge.gaps, *shared.problems, *_problems(needs)),
        complete=answered is not None and answered.status is not Status.ABSENT,
        handlers=answered.handlers if answered else (),
        families=answered.families if answered else None,
        optional=lru_cache(lambda: read_optional(_profile_roots(tree, enabled), knowledge, rules)),
    )


def _profile_roots(tree: Tree, enabled_plugins: list[str]) -> list[Path]:
    return [
        *(plugin.profiles for plugin in plugin_folders(tree, enabled_plugins, [])),
        tree.root / "profiles",
    ]


def _folders_beside(lora_root: str, knowledge: Knowledge) -> tuple[str, ...]:
    folders = {model.lora_folder for model in knowledge.models.values() if model.lora_folder}
    return tuple(
        sorted(name for name in folders if name != lora_root and not name.startswith(f"{lora_root}/"))
    )


def _ask(
    tree: Tree,
    definitions: Mapping[str, Definition],
    settings: Wan2GPSettings,
    probe: ProbeOptions,
    cancel: CancelToken,
    emit: Emit,
) -> ProbeResult | None:
    if not tree.has_program:
        return None
    from wangp_downloader.catalog.probe.api import cached_handlers, read_handlers  # noqa: PLC0415 - start-up

    fields = {definition.id: definition.fields for definition in definitions.values()}
    first = {item.id: item.layers[0] for item in definitions.values() if len(item.layers) > 1}
    question = (tree.root, fields, settings.raw, probe.state_dir, probe.python)
    if not probe.ask:
        return cached_handlers(*question, originals=first)
    return read_handlers(*question, originals=first, cancel=cancel, emit=emit)


def _knowledge(
    definitions: Mapping[str, Definition], settings: Wan2GPSettings, answered: ProbeResult | None
) -> Knowledge:
    if answered is None or answered.status is Status.ABSENT:
        return from_table(definitions, settings)
    return from_probe(definitions, settings, answered)


def _infos(
    definitions: Mapping[str, Definition],
    knowledge: Knowledge,
    needs: Mapping[str, ModelNeeds],
    shared_gaps: tuple[str, ...],
) -> dict[str, ModelInfo]:
    return {
        model.id: ModelInfo(
            model.id,
            model.name,
            model.family,
            model.architecture,
            model.visible,
            definitions[model.id].files,
            model.status,
            (*needs[model.id].problems, *shared_gaps),
        )
        for model in knowledge.models.values()
    }


def _problems(needs: Mapping[str, ModelNeeds]) -> list[str]:
    gaps = {
        problem
        for need in needs.values()
        for problem in need.problems
        if problem.startswith("components of ")
    }
    return [problem for need in needs.values() for problem in need.problems if problem not in gaps]
