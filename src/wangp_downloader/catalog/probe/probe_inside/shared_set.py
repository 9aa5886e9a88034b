"""The set of files that every model needs: Wan2GP's own ``download_models`` is run with recorders.

Nothing is downloaded: where Wan2GP would fetch, a note is taken. ``download_models`` fetches the shared set
first; what it asks next (whose model it is) ends the run.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from .plain import NotPlainError, files_defs
from .wgp_view import WgpView


class _EnoughError(BaseException):
    """Raised where ``download_models`` turns from the shared set to one model."""


class Recorder:
    """Takes the place of Wan2GP's downloading functions."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    def process_files_def(self, *args: Any, **kwargs: Any) -> None:
        """Note a whole list of files, as ``query_model_files`` gives them."""
        names = ("repoId", "sourceFolderList", "fileList", "targetFolderList")
        self.rows += files_defs({**dict(zip(names, args)), **kwargs})  # noqa: B905 - fewer arguments than names

    def hf_hub_download(self, repo_id: Any = None, filename: Any = None, **kwargs: Any) -> str:
        """Note one file; Wan2GP before August 2025 fetches them one by one."""
        self._note(repo_id, kwargs.get("subfolder") or "", [filename])
        return ""

    def snapshot_download(self, repo_id: Any = None, **kwargs: Any) -> str:
        """Note a whole folder."""
        pattern = kwargs.get("allow_patterns")
        if not isinstance(pattern, str) or not pattern.endswith("/*"):
            raise NotPlainError(f"a folder of {repo_id} can not be read from {pattern!r}")
        self._note(repo_id, pattern[: -len("/*")], [])
        return ""

    def _note(self, repo: Any, folder: Any, names: list[Any]) -> None:
        entry = {"repoId": repo, "sourceFolderList": [folder], "fileList": [names]}
        self.rows += files_defs(entry)


def shared_set(view: WgpView, recorder: Recorder) -> list[dict[str, Any]]:
    """Return the shared set under the view's ``server_config``.

    Raises:
        Exception: Whatever ``wgp.py`` raises; KeyError if it has no ``download_models``.
    """
    recorder.rows = []
    view["process_files_def"] = recorder.process_files_def
    for name in ("get_base_model_type", "get_model_def", "get_model_family", "get_model_finetune_def"):
        view[name] = _enough
    download: Callable[..., Any] = view["download_models"]
    try:
        download(*[None] * _required(download))
    except _EnoughError:
        pass
    return recorder.rows


def _required(function: Callable[..., Any]) -> int:
    parameters = inspect.signature(function).parameters.values()
    return sum(one.default is one.empty for one in parameters)


def _enough(*args: Any, **kwargs: Any) -> Any:
    raise _EnoughError
