"""The questions to one handler, in the forms that its versions understand.

Knows how ``wgp.py`` calls handlers (``map_family_handlers``, ``init_model_def``, ``download_models``,
``get_lora_dir``) in each of its versions; imports nothing of the tree by itself.
"""

from __future__ import annotations

import argparse
import copy
import importlib
import inspect
import os
import types
from collections.abc import Callable, Mapping
from typing import Any

from .plain import NotPlainError, files_defs, plain, plain_definition

LORA_ROOT = "{lora_root}"
_CONFIG_KEYS = ("system_configs", "system_configs2", "system_configs3", "configs")
_CONFIG_LABELS = frozenset(["_name", "_default_label"])


def compute_list(filename: Any) -> list[str]:
    """Do what the function does that ``wgp.py`` hands to handlers: a path's last part, in a list."""
    return [] if filename is None else [filename[filename.rfind("/") + 1 :]]


class Asker:
    """Asks one handler.

    Args:
        path: Module path, such as ``models.wan.wan_handler``.
        text_encoder_quantization: The user's setting, for handlers that choose encoders themselves.
        lora_root: What to give as lora root: a relative folder of the scratch folder.
        wgp_lora_dir: ``get_lora_dir`` of ``wgp.py``, for handlers that have none.
    """

    def __init__(
        self,
        path: str,
        *,
        text_encoder_quantization: str,
        lora_root: str,
        wgp_lora_dir: Callable[[str], Any] | None,
    ) -> None:
        self.handler: Any = importlib.import_module(path).family_handler
        self._encoder = text_encoder_quantization
        self._lora_root = lora_root
        self._wgp_lora_dir = wgp_lora_dir
        self.architectures = [str(name) for name in self.handler.query_supported_types()]
        self._args = self._make_args()

    def families(self) -> dict[str, Any]:
        """Return the handler's families, family of its architectures, and which are interchangeable."""
        infos = _optional(self.handler, "query_family_infos") or {}
        maps = _optional(self.handler, "query_family_maps")
        equivalent = maps[0] if isinstance(maps, (tuple, list)) and maps else {}
        family = _optional(self.handler, "query_model_family")
        return {
            "names": {str(key): str(value[-1]) for key, value in infos.items()},
            "family": family if isinstance(family, str) else next(iter(map(str, infos)), ""),
            "equivalent": plain(equivalent),
        }

    def defaults(self, architecture: str, model: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return what ``query_model_def`` gives, and ``model`` as it left it."""
        given = copy.deepcopy(dict(model))
        found = self.handler.query_model_def(architecture, given)
        return ({} if found is None else found), given

    def files(self, architecture: str, definition: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return what ``query_model_files`` names for a merged definition."""
        return self._files(architecture, copy.deepcopy(dict(definition)), None)

    def config_files(
        self, architecture: str, definition: Mapping[str, Any], others: Mapping[str, Any]
    ) -> dict[str, list[dict[str, Any]]]:
        """Return, for each selectable configuration, what ``query_model_files`` names with it.

        Args:
            architecture: The definition's.
            definition: The merged definition.
            others: All definitions by id: a group may be another definition's.
        """
        found: dict[str, list[dict[str, Any]]] = {}
        for group in _CONFIG_KEYS:
            for name, change in _config_group(definition, group, others).items():
                if name not in _CONFIG_LABELS and isinstance(change, Mapping):
                    found[f"{group}/{name}"] = self.files(architecture, {**definition, **change})
        return found

    def lora_dir(self, architecture: str, model_id: str) -> str | None:
        """Return the lora folder, starting with ``{lora_root}`` where it is below the user's lora root."""
        ask = getattr(self.handler, "get_lora_dir", None)
        if ask is not None:
            pool = {"base_model_type": architecture, "args": self._args, "lora_root": self._lora_root}
            answer = _call_by_name(ask, pool, [architecture, self._args, self._lora_root])
        elif self._wgp_lora_dir is not None:
            answer = self._wgp_lora_dir(model_id)
        else:
            return None
        return None if answer is None else self._map_back(str(plain(answer)))

    def module_urls(self) -> dict[str, list[str]]:
        """Return modules that the handler names itself (summer 2025), with a URL for each variant."""
        ask = getattr(self.handler, "query_modules_files", None)
        found: dict[str, list[str]] = {}
        for module, names in (ask() if ask is not None else {}).items():
            variants = [compute_list(name)[0] for name in names]
            found[str(module)] = [self._module_url(name) for name in variants]
        return found

    def _module_url(self, name: str) -> str:
        for row in self._files(self.architectures[0], {}, name):
            if name in row["files"]:
                inside = "/".join(part for part in (row["source_folder"], name) if part)
                return f"https://huggingface.co/{row['repo']}/resolve/main/{inside}"
        raise NotPlainError(f"no repo is named for the module {name}")

    def _files(
        self, architecture: str, definition: dict[str, Any], filename: str | None
    ) -> list[dict[str, Any]]:
        pool = {
            "computeList": compute_list,
            "base_model_type": architecture,
            "model_type": architecture,
            "model_filename": filename,
            "text_encoder_quantization": self._encoder,
            "model_def": definition,
        }
        ask = self.handler.query_model_files
        return files_defs(_call_by_name(ask, pool, [compute_list, architecture, definition]))

    def _make_args(self) -> Any:
        parser = argparse.ArgumentParser(add_help=False, exit_on_error=False)
        register = getattr(self.handler, "register_lora_cli_args", None)
        if register is not None:
            pool = {"parser": parser, "lora_root": self._lora_root}
            _call_by_name(register, pool, [parser, self._lora_root])
        return _Arguments(**vars(parser.parse_args([])))

    def _map_back(self, answer: str) -> str:
        text = answer.replace("\\", "/")
        here = os.getcwd().replace("\\", "/").rstrip("/") + "/"  # noqa: PTH109 - nothing heavy yet
        text = text.removeprefix(here)
        root = self._lora_root
        if text == root or text.startswith(f"{root}/"):
            return LORA_ROOT + text[len(root) :]
        return text


def _config_group(definition: Mapping[str, Any], group: str, others: Mapping[str, Any]) -> Mapping[str, Any]:
    value = definition.get(group)
    for _ in range(10):  # as deep as Wan2GP follows references
        if not isinstance(value, str):
            break
        value = others.get(value, {}).get(group)
    return value if isinstance(value, Mapping) else {}


class _Arguments(types.SimpleNamespace):
    """Wan2GP's command line when nothing was given on it."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return ""


def _optional(handler: Any, name: str) -> Any:
    ask = getattr(handler, name, None)
    return ask() if ask is not None else None


def _call_by_name(ask: Callable[..., Any], pool: Mapping[str, Any], in_order: list[Any]) -> Any:
    """Call with the arguments that ``ask`` names; by position if it names others."""
    parameters = list(inspect.signature(ask).parameters.values())
    required = [one.name for one in parameters if one.default is one.empty and one.kind in _NAMED]
    if any(one.kind is one.POSITIONAL_ONLY for one in parameters) or not set(required) <= pool.keys():
        return ask(*in_order[: max(len(required), 1)])
    return ask(**{one.name: pool[one.name] for one in parameters if one.name in pool})


_NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
__all__ = ["LORA_ROOT", "Asker", "compute_list", "plain_definition"]
