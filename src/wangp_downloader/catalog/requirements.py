"""From what is known about a model to the files it makes Wan2GP open.

Source: ``load_models`` and ``download_models`` of Wan2GP's ``wgp.py``. Each role is worked out by itself, so
that one wrong key costs that role and is said, and the others go on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from wangp_downloader.catalog.knowledge import Knowledge, ModelKnowledge
from wangp_downloader.catalog.locations import Locator, Place, Source, join, parse_source
from wangp_downloader.catalog.probe.result import FilesDef
from wangp_downloader.catalog.references import module_variants, owner, resolve_list, urls_only
from wangp_downloader.catalog.tree import Tree
from wangp_downloader.catalog.variants import choose, dtype_after
from wangp_downloader.catalog.wan2gp_settings import Wan2GPSettings
from wangp_downloader.errors import CatalogError
from wangp_downloader.files import SHARED_MODEL, RemoteFile, RemoteFolder, Requirement, Role
from wangp_downloader.paths import safe_relative, shorten

_HUB = "https://huggingface.co"


@dataclass(frozen=True, slots=True)
class ModelNeeds:
    """What one model needs, and what could not be worked out, for people."""

    requirements: tuple[Requirement, ...]
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Choice:
    """Variants for one place, and the one that Wan2GP's settings pick."""

    role: Role
    key: str
    origin: str
    urls: Sequence[str]
    chosen: str | None


class RequirementRules:
    """Wan2GP's rules with one tree's settings filled in.

    Args:
        knowledge: All models; references lead from one to the other.
        settings: Wan2GP's own settings.
        locator: Where files belong.
        tree: The tree, for the rules of its version.
    """

    def __init__(self, knowledge: Knowledge, settings: Wan2GPSettings, locator: Locator, tree: Tree) -> None:
        self._knowledge = knowledge
        self._fields = knowledge.fields
        self._settings = settings
        self._locator = locator
        self._era = tree.era
        self._loras_in_checkpoints = tree.loras_in_checkpoints
        self._refused: list[str] = []

    def of_model(self, model: ModelKnowledge) -> ModelNeeds:
        """Return every file the model needs or could use, in the order Wan2GP fetches them."""
        found: list[Requirement] = []
        problems: list[str] = list(model.gaps)
        self._refused = problems
        parts: tuple[tuple[str, Callable[[ModelKnowledge], Iterable[Requirement]]], ...] = (
            ("URLs", self._transformers),
            ("preload_URLs", self._preloads),
            ("VAE_URLs", self._vaes),
            ("loras", self._loras),
            ("components", self._components),
            ("modules", self._modules),
            ("text_encoder_URLs", self._text_encoders),
        )
        for name, part in parts:
            try:
                found.extend(part(model))
            except CatalogError as error:
                problems.append(f"{model.id}: {name}: {error.message}")
        return ModelNeeds(tuple(dict.fromkeys(found)), tuple(problems))

    def shared(self) -> ModelNeeds:
        """Return the files that every model needs."""
        found, problems = self._folder_files(SHARED_MODEL, Role.SHARED, self._knowledge.shared, "shared set")
        return ModelNeeds(tuple(found), tuple(problems))

    def loras_of_profile(self, model: ModelKnowledge, group: str, urls: Sequence[str]) -> list[Requirement]:
        """Return the loras of an accelerator profile: never required, placed like the model's own."""
        if model.lora_folder is None:
            return []
        rows = self._each(model, Role.LORA, urls, f"profile {group}")
        return [replace(row, required=False, group=group) for row in _paired_by_name(rows)]

    # --- roles -------------------------------------------------------------------------------------------

    def _transformers(self, model: ModelKnowledge) -> list[Requirement]:
        first = self._transformer(model, "URLs", Role.TRANSFORMER, "source")
        second = self._transformer(model, "URLs2", Role.TRANSFORMER2, "source2")
        return _paired(first, second)

    def _transformer(self, model: ModelKnowledge, key: str, role: Role, source_key: str) -> list[Requirement]:
        urls = urls_only(resolve_list(self._fields, model.id, key, lenient=True), key)
        chosen = self._chosen_transformer(model, key, urls)
        if source_key in model.fields:
            # The user's own file stands in for it: Wan2GP fetches none of these.
            chosen = None
        origin = self._origin(model, key)
        choice = _Choice(role, f"{model.id}/{role.value}", origin, urls, chosen)
        return self._variants(model, choice, self._place_checkpoint)

    def _chosen_transformer(self, model: ModelKnowledge, key: str, urls: Sequence[str]) -> str | None:
        # Wan2GP follows the reference first and then asks for *that* definition's data type.
        architecture = self._architecture(owner(self._fields, model.id, key))
        return choose(urls, self._settings.transformer_quantization, self._dtype(architecture), self._era)

    def _preloads(self, model: ModelKnowledge) -> list[Requirement]:
        urls = urls_only(resolve_list(self._fields, model.id, "preload_URLs"), "preload_URLs")
        return self._each(model, Role.PRELOAD, urls, self._origin(model, "preload_URLs"))

    def _vaes(self, model: ModelKnowledge) -> list[Requirement]:
        value: Any = model.fields.get("VAE_URLs", [])
        urls = [value] if isinstance(value, str) else value
        if not isinstance(urls, list):
            raise CatalogError(f"should be URLs, is {shorten(repr(value))}")
        return self._each(model, Role.VAE, urls_only(urls, "VAE_URLs"), f"VAE_URLs of {model.id}")

    def _loras(self, model: ModelKnowledge) -> list[Requirement]:
        urls = urls_only(resolve_list(self._fields, model.id, "loras"), "loras")
        rows = self._each(model, Role.LORA, urls, self._origin(model, "loras"))
        return _paired_by_name(rows)

    def _components(self, model: ModelKnowledge) -> list[Requirement]:
        found, problems = self._folder_files(model.id, Role.COMPONENT, model.components, "handler")
        if problems:
            raise CatalogError("; ".join(problems))
        return found

    def _modules(self, model: ModelKnowledge) -> list[Requirement]:
        items = resolve_list(self._fields, model.id, "modules")
        found: list[Requirement] = []
        for number, item in enumerate(items, 1):
            found.extend(self._module(model, item, number))
        return found

    def _module(self, model: ModelKnowledge, item: Any, number: int) -> list[Requirement]:
        known = self._knowledge.modules.get(item) if isinstance(item, str) else None
        variants = list(known) if known is not None else module_variants(self._fields, item)
        key, origin = f"{model.id}/module{number}", f"modules of {model.id}"
        if isinstance(item, str):
            origin += f" → modules of {shorten(item, 60)}"
        if isinstance(variants, list):
            return self._variants(
                model, self._module_choice(model, key, origin, variants), self._place_checkpoint
            )
        halves = [
            self._variants(
                model, self._module_choice(model, f"{key}/{name}", origin, urls), self._place_checkpoint
            )
            for name, urls in variants.items()
        ]
        return _paired(*halves)

    def _module_choice(self, model: ModelKnowledge, key: str, origin: str, urls: Sequence[str]) -> _Choice:
        chosen = choose(urls, self._settings.transformer_quantization, self._module_dtype(model), self._era)
        if "module_source" in model.fields:
            chosen = None
        return _Choice(Role.MODULE, key, origin, urls, chosen)

    def _text_encoders(self, model: ModelKnowledge) -> list[Requirement]:
        urls = urls_only(resolve_list(self._fields, model.id, "text_encoder_URLs"), "text_encoder_URLs")
        dtype = self._dtype(model.architecture)
        chosen = choose(urls, self._settings.text_encoder_quantization, dtype, self._era)
        folder = _first_text(model.fields.get("text_encoder_folder"))
        origin = self._origin(model, "text_encoder_URLs")
        choice = _Choice(Role.TEXT_ENCODER, f"{model.id}/text_encoder", origin, urls, chosen)
        return self._variants(
            model,
            choice,
            lambda _, source: self._locator.in_folder(folder, source.relative, found_bare=True),
        )

    # --- helpers -----------------------------------------------------------------------------------------

    def _variants(
        self, model: ModelKnowledge, choice: _Choice, place: Callable[[ModelKnowledge, Source], Place]
    ) -> list[Requirement]:
        rows = []
        for url in choice.urls:
            source = self._parse(model, choice.origin, url)
            if source is None:
                continue
            where = place(model, source)
            rows.append(
                Requirement(
                    model=model.id,
                    role=choice.role,
                    remote=source.remote,
                    target=where.target,
                    also_at=where.also_at,
                    required=url == choice.chosen,
                    choice=choice.key,
                    origin=choice.origin,
                )
            )
        return rows

    def _each(self, model: ModelKnowledge, role: Role, urls: Sequence[str], origin: str) -> list[Requirement]:
        rows = []
        for url in urls:
            source = self._parse(model, origin, url, lora_folder_allowed=role in (Role.PRELOAD, Role.VAE))
            if source is None:
                continue
            in_loras = role is Role.LORA or source.in_lora_folder
            where = self._place_lora(model, source) if in_loras else self._place_checkpoint(model, source)
            key = f"{model.id}/{role.value}/{where.target}"
            rows.append(
                Requirement(
                    model.id, role, source.remote, where.target, where.also_at, choice=key, origin=origin
                )
            )
        return rows

    def _parse(
        self, model: ModelKnowledge, origin: str, url: str, *, lora_folder_allowed: bool = False
    ) -> Source | None:
        # One bad name costs itself, not the variants beside it.
        try:
            return parse_source(url, lora_folder_allowed=lora_folder_allowed)
        except CatalogError as error:
            self._refused.append(f"{model.id}: {origin}: {error.message}")
            return None

    def _place_checkpoint(self, _: ModelKnowledge, source: Source) -> Place:
        return self._locator.checkpoint(source.relative)

    def _place_lora(self, model: ModelKnowledge, source: Source) -> Place:
        if self._loras_in_checkpoints:
            return self._locator.checkpoint(source.relative)
        if model.lora_folder is None:
            raise CatalogError(f"the lora folder of architecture {model.architecture!r} is not known")
        return self._locator.in_lora_folder(model.lora_folder, source.relative)

    def _folder_files(
        self, model: str, role: Role, folders: Iterable[FilesDef], origin: str
    ) -> tuple[list[Requirement], list[str]]:
        found: list[Requirement] = []
        problems: list[str] = []
        for folder in folders:
            try:
                found.extend(self._files_of_folder(model, role, folder, origin))
            except CatalogError as error:
                problems.append(f"{model}: {origin}: {error.message}")
        return found, problems

    def _files_of_folder(self, model: str, role: Role, folder: FilesDef, origin: str) -> list[Requirement]:
        source = safe_relative(folder.source_folder) if folder.source_folder else ""
        target = safe_relative(folder.target_folder) if folder.target_folder else ""
        if not folder.files:
            return [self._whole_folder(model, role, folder.repo, source, target)]
        rows = []
        for name in folder.files:
            path = join(source, safe_relative(name))
            # The folder that decides the checkpoint path is the target folder if there is one (`process_files_def`).
            anchor = target or source
            where = self._locator.in_folder(anchor, path if target else safe_relative(name))
            remote = RemoteFile(f"{_HUB}/{folder.repo}/resolve/main/{path}", folder.repo, "main", path)
            rows.append(
                Requirement(
                    model,
                    role,
                    remote,
                    where.target,
                    where.also_at,
                    choice=f"{model}/{where.target}",
                    origin=origin,
                )
            )
        return rows

    def _whole_folder(self, model: str, role: Role, repo: str, source: str, target: str) -> Requirement:
        where = self._locator.in_folder(target, source) if target else self._locator.in_folder(source, "")
        remote = RemoteFolder(repo, "main", source)
        place = where.target.rstrip("/")
        return Requirement(
            model,
            role,
            None,
            place,
            tuple(path.rstrip("/") for path in where.also_at),
            choice=f"{model}/{place}",
            origin="handler",
            folder=remote,
        )

    def _architecture(self, model: str) -> str:
        known = self._knowledge.models.get(model)
        return known.architecture if known else model

    def _dtype(self, architecture: str) -> str:
        own = self._knowledge.dtypes.get(architecture)
        if own is None:
            return self._settings.transformer_dtype
        return "fp16" if own == "fp16" else "bf16"

    def _module_dtype(self, model: ModelKnowledge) -> str:
        dtype = self._dtype(model.architecture)
        if model.architecture in self._knowledge.dtypes:
            return dtype
        urls = resolve_list(self._fields, model.id, "URLs", lenient=True)
        transformer = self._chosen_transformer(model, "URLs", [url for url in urls if isinstance(url, str)])
        return dtype if transformer is None else dtype_after(transformer, dtype)

    def _origin(self, model: ModelKnowledge, key: str) -> str:
        source = owner(self._fields, model.id, key)
        return f"{key} of {model.id}" if source == model.id else f"{key} of {model.id} → {key} of {source}"


def _first_text(value: Any) -> str:
    if isinstance(value, list) and value:
        value = value[0]
    if not isinstance(value, str) or not value.strip():
        return ""
    return safe_relative(value.strip())


def _paired(first: list[Requirement], second: list[Requirement]) -> list[Requirement]:
    """Give each high-noise file its low-noise partner and the reverse."""
    partners = _partners(first, second)
    backwards = {low: high for high, low in reversed(partners.items())}
    return [replace(row, pair=partners.get(row.target)) for row in first] + [
        replace(row, pair=backwards.get(row.target)) for row in second
    ]


def _paired_by_name(rows: list[Requirement]) -> list[Requirement]:
    """Pair the loras for high and for low noise that stand in one list (``…_HIGH_…``, ``…_LOW_…``)."""
    names = {row.target: row.target.rpartition("/")[2].lower() for row in rows}
    partners: dict[str, str] = {}
    for high in (target for target, name in names.items() if "high" in name):
        low_name = names[high].replace("high", "low")
        low = next((target for target, name in names.items() if name == low_name), None)
        if low is not None:
            partners[high], partners[low] = low, high
    return [replace(row, pair=partners.get(row.target)) for row in rows]


def _partners(first: list[Requirement], second: list[Requirement]) -> dict[str, str]:
    by_name = {_noise_free(row.target): row.target for row in reversed(second)}
    required = next((row.target for row in second if row.required), None)
    partners: dict[str, str] = {}
    for index, row in enumerate(first):
        same_place = second[index].target if len(first) == len(second) else required
        partner = by_name.get(_noise_free(row.target)) or (required if row.required else same_place)
        if partner is not None and partner != row.target:
            partners[row.target] = partner
    return partners


def _noise_free(target: str) -> str:
    name = target.rpartition("/")[2].lower()
    return name.replace("high", "").replace("low", "")
