"""Which files does Wan2GP itself fetch for a model? Its own ``load_models`` is run, fenced in, to find out.

Run as ``python -S -B oracle.py`` with a JSON request on standard input: ``tree``, ``config``, ``handlers``
and ``definitions`` (as the probe's request) and ``models`` (ids). Where Wan2GP would fetch a file, one is
written that holds the name of what was to be fetched; what then stands in the scratch folder is what Wan2GP
wants, and where. Prints ``{model: {"files": {target: "repo/path" or URL}, "error": …}}``.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "src/wangp_downloader/catalog/probe"))
from probe_inside import main as inside  # type: ignore[import-not-found]

del sys.path[0]


class _LoadingError(BaseException):
    """Raised where Wan2GP would begin to load the weights."""


def _stop_here(*args: Any, **kwargs: Any) -> Any:
    raise _LoadingError


def _fetch(repo_id: str, filename: str, local_dir: str, subfolder: str = "", **kwargs: Any) -> str:
    inside_repo = f"{subfolder}/{filename}" if subfolder else filename
    target = Path(local_dir, inside_repo)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(f"{repo_id}/{inside_repo}", encoding="utf-8")
    return str(target)


def _fetch_folder(repo_id: str, allow_patterns: str, local_dir: str, **kwargs: Any) -> str:
    folder = allow_patterns.removesuffix("/*")
    target = Path(local_dir, folder, "*")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(f"{repo_id}/{allow_patterns}", encoding="utf-8")
    return str(target)


def _retrieve(url: str, filename: str, *args: Any) -> None:
    Path(filename).parent.mkdir(parents=True, exist_ok=True)
    Path(filename).write_text(url, encoding="utf-8")


class _Oracle(inside.Conversation):  # type: ignore[misc]
    """Asks as the probe does, then lets Wan2GP load each model."""

    def _prepare_imports(self) -> None:
        super()._prepare_imports()
        import urllib.request

        hub: Any = __import__("huggingface_hub")
        hub.hf_hub_download, hub.snapshot_download = _fetch, _fetch_folder
        urllib.request.urlretrieve = _retrieve  # type: ignore[assignment]
        shutil._use_fd_functions = False  # type: ignore[attr-defined] # the fence refuses folder descriptors
        router: Any = __import__("mmgp.quant_router", fromlist=["x"])
        router.get_quantization_tokens = lambda kind: [kind]

    def results(self) -> dict[str, Any]:
        return {name: self._load(name) for name in self._request["models"]}

    def _load(self, name: str) -> dict[str, Any]:
        here = Path.cwd()
        folder = Path(tempfile.mkdtemp(dir=here))
        os.chdir(folder)
        error = None
        try:
            self._ready_view()["load_models"](name)
        except _LoadingError:
            pass
        except BaseException as problem:  # noqa: BLE001 - whatever Wan2GP raises, the others go on
            error = inside.describe(problem)
        finally:
            os.chdir(here)
        files = {
            path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8")
            for path in folder.rglob("*")
            if path.is_file()
        }
        shutil.rmtree(folder, ignore_errors=True)
        return {"files": files, "error": error}

    def _ready_view(self) -> Any:
        view = self._wgp().fresh()
        config = self._config
        config["loras_root"] = self._request["config"].get("loras_root", "loras")
        for handler in filter(None, self._handlers.values()):
            handler.load_model = staticmethod(_stop_here)
        view.update(
            models_def=self._merged,
            finetunes=self._merged,
            model_types=list(self._merged),
            modules_files=view["modules_files"] if view.has("modules_files") else {},
            model_types_handlers=self._handlers,
            transformer_quantization=config.get("transformer_quantization", "int8"),
            transformer_dtype_policy=config.get("transformer_dtype_policy", ""),
            text_encoder_quantization=config.get("text_encoder_quantization", "int8"),
            bfloat16_supported=True,
            verbose_level=0,
            compute_profile=lambda *args: 4,
        )
        for family in ("wan", "hunyuan", "ltxv", "flux"):
            view[f"load_{family}_model"] = _stop_here  # before there were handlers
        if view.has("fl"):
            view["fl"].set_checkpoints_paths(config.get("checkpoints_paths", ["ckpts", "."]))
        return view


def main() -> None:
    request = {"roots": [], "shared": False, "taken": [], "folders": [], **json.load(sys.stdin)}
    answer = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    with contextlib.chdir(tempfile.mkdtemp()):
        oracle = _Oracle(request, lambda message: None)
        oracle.run()
        json.dump(oracle.results(), answer)
    answer.close()


if __name__ == "__main__":
    main()
