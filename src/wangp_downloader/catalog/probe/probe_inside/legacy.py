"""The questions to a Wan2GP without handlers (before August 2025): its ``wgp.py`` holds everything.

Answers in the shape of :class:`~probe_inside.asking.Asker`. ``download_models`` is run with recorders for
each model, with a transformer that is already there, so that only what it needs besides is noted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .asking import compute_list
from .plain import FILE_KEYS, NotPlainError
from .shared_set import Recorder
from .wgp_view import WgpView

_PRESENT = "probe-present.safetensors"


class LegacyAsker:
    """Asks ``wgp.py`` itself.

    Args:
        view: A fresh view of it.
        definitions: All definitions of the request.
        recorder: The one that stands in for the Hub's client.
        shared: How many rows the shared set has: they come first for every model.
        text_encoder_quantization: The user's setting.
    """

    def __init__(
        self,
        view: WgpView,
        definitions: list[dict[str, Any]],
        recorder: Recorder,
        shared: int,
        text_encoder_quantization: str,
    ) -> None:
        with open(_PRESENT, "wb"):  # noqa: PTH123 - in the scratch folder
            pass
        self.handler = None
        self._view = view
        self._recorder = recorder
        self._shared = shared
        self._modules: dict[str, Any] = dict(view["modules_files"]) if view.has("modules_files") else {}
        models = {one["id"]: _without_files(one["model"]) for one in definitions}
        for one in definitions:
            models[one["id"]].setdefault("architecture", one["architecture"])
        self.architectures = sorted({one["architecture"] for one in definitions})
        view.update(
            models_def=models,
            finetunes=models,
            model_types=list(models),
            modules_files=self._modules,
            text_encoder_quantization=text_encoder_quantization,
            process_files_def=recorder.process_files_def,
        )

    def families(self) -> dict[str, Any]:
        """Return nothing: these versions have a family for each model, none for a handler."""
        return {"names": {}, "family": "", "equivalent": {}}

    def defaults(self, architecture: str, model: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return no defaults: the JSON says all."""
        return {}, dict(model)

    def files(self, architecture: str, definition: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return what a model needs besides its transformer; ``definition`` carries its id."""
        return [_without(row, _PRESENT) for row in self._download(_PRESENT, definition[ID_KEY])]

    def config_files(
        self, architecture: str, definition: Mapping[str, Any], others: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Return nothing: there are no configurations to select."""
        return {}

    def lora_dir(self, architecture: str, model_id: str) -> str | None:
        """Return the lora folder, relative to the tree."""
        ask: Callable[[str], Any] = self._view["get_lora_dir"]
        return str(ask(model_id)).replace("\\", "/")

    def module_urls(self) -> dict[str, list[str]]:
        """Return modules with a URL for each variant."""
        return {
            str(module): [self._module_url(str(module), compute_list(name)[0]) for name in names]
            for module, names in self._modules.items()
        }

    def _module_url(self, module: str, name: str) -> str:
        for row in self._download(name, module):
            if name in row["files"]:
                inside = "/".join(part for part in (row["source_folder"], name) if part)
                return f"https://huggingface.co/{row['repo']}/resolve/main/{inside}"
        raise NotPlainError(f"no repo is named for the module {name}")

    def _download(self, filename: str, model_id: str) -> list[dict[str, Any]]:
        self._recorder.rows = []
        self._view["download_models"](filename, model_id)
        return self._recorder.rows[self._shared :]


ID_KEY = "\x00id"
"""Under this key a merged definition carries its id to :meth:`LegacyAsker.files`."""


def _without_files(model: Mapping[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in model.items() if key not in FILE_KEYS or key == "architecture"}
    return {**kept, "URLs": []}


def _without(row: dict[str, Any], name: str) -> dict[str, Any]:
    return {**row, "files": [one for one in row["files"] if one != name]}
