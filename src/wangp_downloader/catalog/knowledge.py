"""What is known about models beyond their JSON files: from their handlers, or from a small table.

One shape for both, so that the rules in :mod:`requirements` need not ask where an answer came from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from wangp_downloader.catalog.builtin import ARCHITECTURES
from wangp_downloader.catalog.definitions import Definition
from wangp_downloader.catalog.probe.result import LORA_ROOT, FilesDef, HandlerAnswer, ProbeResult, Status
from wangp_downloader.catalog.wan2gp_settings import Wan2GPSettings


@dataclass(frozen=True, slots=True)
class ModelKnowledge:
    """All that is known about one model.

    Attributes:
        id: The definition's id.
        fields: Handler's defaults under the JSON files' keys, as Wan2GP merges them.
        family: Family id, or empty.
        lora_folder: Relative to the Wan2GP folder, or absolute; None if unknown.
        components: Files that only the handler names.
        status: How the handler was read.
        gaps: What is not known, for people; empty if everything is.
        config_files: Components where a selectable configuration (``key/name``) changes them.
    """

    id: str
    fields: Mapping[str, Any]
    family: str
    lora_folder: str | None
    components: tuple[FilesDef, ...] = ()
    status: Status = Status.ABSENT
    gaps: tuple[str, ...] = ()
    config_files: Mapping[str, tuple[FilesDef, ...]] = field(default_factory=dict)

    @property
    def architecture(self) -> str:
        """The architecture that the definition names, or its id."""
        value = self.fields.get("architecture")
        return value if isinstance(value, str) and value else self.id

    @property
    def name(self) -> str:
        """The name for people."""
        value = self.fields.get("name")
        return value if isinstance(value, str) and value else self.id

    @property
    def visible(self) -> bool:
        """False if Wan2GP hides the model."""
        return bool(self.fields.get("visible", True))


@dataclass(frozen=True, slots=True)
class Knowledge:
    """Models by id, and what belongs to no single one.

    Attributes:
        models: By id.
        dtypes: Architecture → the data type it always uses, where it has one.
        shared: The set that every model needs.
        gaps: What is not known, for people.
        shared_gaps: Why the shared set is not known; part of ``gaps``.
        modules: Module id → URLs of its variants, in versions where handlers name modules.
    """

    models: Mapping[str, ModelKnowledge]
    dtypes: Mapping[str, str] = field(default_factory=dict)
    shared: tuple[FilesDef, ...] = ()
    gaps: tuple[str, ...] = ()
    modules: Mapping[str, Sequence[str]] = field(default_factory=dict)
    shared_gaps: tuple[str, ...] = ()

    @property
    def fields(self) -> dict[str, Mapping[str, Any]]:
        """Model id → merged fields, for following references."""
        return {model.id: model.fields for model in self.models.values()}


def from_probe(
    definitions: Mapping[str, Definition], settings: Wan2GPSettings, probe: ProbeResult
) -> Knowledge:
    """Combine definitions with what their handlers answered."""
    models = {}
    for definition in definitions.values():
        answer = probe.answers.get(definition.id)
        models[definition.id] = (
            _asked(definition, settings, probe, answer) if answer else _from_table(definition, settings)
        )
    dtypes = _dtypes(models, probe) if probe.rules.dtype_key else {}
    gaps = [f"the shared set is unknown: {probe.shared_error}"] if probe.shared_error else []
    return Knowledge(models, dtypes, probe.shared, (*gaps, *probe.warnings), probe.module_urls, tuple(gaps))


def from_table(definitions: Mapping[str, Definition], settings: Wan2GPSettings) -> Knowledge:
    """Use the built-in table, where there are no handlers to ask or they have not answered yet."""
    models = {definition.id: _from_table(definition, settings) for definition in definitions.values()}
    dtypes = {name: row.dtype for name, row in ARCHITECTURES.items() if row.dtype}
    for model in models.values():
        if isinstance(dtype := model.fields.get("dtype"), str):
            dtypes[model.id] = dtype
    gap = "Wan2GP's handlers were not asked: text encoders, VAEs, tokenizers and the shared set are unknown"
    return Knowledge(models, dtypes, (), (gap,))


def _asked(
    definition: Definition, settings: Wan2GPSettings, probe: ProbeResult, answer: HandlerAnswer
) -> ModelKnowledge:
    if answer.status is Status.UNKNOWN and not answer.known:
        known = _from_table(definition, settings)
        gap = f"components of {definition.id} unknown: {answer.error or 'its handler gave no answer'}"
        return ModelKnowledge(
            known.id, known.fields, known.family, known.lora_folder, (), Status.UNKNOWN, (gap,)
        )
    architecture = probe.architectures.get(answer.architecture)
    lora = answer.lora_dir
    gaps = [f"components of {definition.id} unknown: {answer.error}"] if "files" not in answer.known else []
    return ModelKnowledge(
        definition.id,
        {**answer.defaults, **definition.fields, **answer.overrides},
        architecture.family if architecture else "",
        lora.replace(LORA_ROOT, settings.loras_root, 1) if lora is not None else None,
        answer.files,
        answer.status,
        tuple(gaps),
        answer.config_files,
    )


def _from_table(definition: Definition, settings: Wan2GPSettings) -> ModelKnowledge:
    fields = definition.fields
    architecture = fields.get("architecture") or definition.id
    row = ARCHITECTURES.get(architecture) if isinstance(architecture, str) else None
    folder = f"{settings.loras_root}/{row.loras}" if row and row.loras else None
    family = row.family if row else ""
    return ModelKnowledge(definition.id, fields, family, folder)


def _dtypes(models: Mapping[str, ModelKnowledge], probe: ProbeResult) -> dict[str, str]:
    named = {name: values.get("dtype") for name, values in probe.architecture_defaults.items()}
    named.update({model.id: model.fields.get("dtype") for model in models.values()})
    return {name: dtype for name, dtype in named.items() if isinstance(dtype, str)}
