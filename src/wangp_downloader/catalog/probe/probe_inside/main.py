"""The separate process from start to end: read the request, put the fence up, ask, write answers.

Messages are JSON objects, one a line, each written as soon as it is known, so that what a handler answered
is not lost when a later one hangs or ends the process. ``docs/probe.md`` lists them.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import types
from collections.abc import Callable
from typing import Any

from .asking import Asker
from .guards import Fence
from .legacy import ID_KEY, LegacyAsker
from .plain import NotPlainError, plain, plain_definition
from .shared_set import Recorder, shared_set
from .standins import StandIn, StandInFinder
from .wgp_view import WgpView

_LORA_ROOT = "probe-lora-root"
_SHARED = "shared"
_NO_HANDLERS = "wgp"
"""How the request names ``wgp.py`` itself, for a version that has no handlers."""
_MAX_MEMORY_BYTES = 4 * 1024**3


class Settings(dict[str, Any]):
    """The user's ``wgp_config.json``, remembering which keys were asked for."""

    def __init__(self, values: dict[str, Any]) -> None:
        super().__init__(values)
        self.asked: set[str] = set()

    def get(self, key: Any, default: Any = None) -> Any:
        """Return a value and note that it matters."""
        self.asked.add(str(key))
        return super().get(key, default)

    def __getitem__(self, key: Any) -> Any:
        self.asked.add(str(key))
        return super().__getitem__(key)

    def __contains__(self, key: Any) -> bool:
        self.asked.add(str(key))
        return super().__contains__(key)


class Conversation:
    """One run: everything that is asked of one tree.

    Args:
        request: The decoded request.
        say: Writes one message.
    """

    def __init__(self, request: dict[str, Any], say: Callable[[dict[str, Any]], None]) -> None:
        self._request = request
        self._say = say
        self._config = Settings(request["config"])
        self._config["loras_root"] = _LORA_ROOT
        self._recorder = Recorder()
        self._view: WgpView | None = None
        self._view_error: str | None = None
        self._lora_view: WgpView | None = None
        self._merged: dict[str, Any] = {}
        self._fence = Fence(os.getcwd(), request["tree"])  # noqa: PTH109
        self._told: set[str] = set()
        self._handlers: dict[str, Any] = {}
        self._taken: set[str] = set(request["taken"])

    def run(self) -> None:
        """Ask everything."""
        for folder in self._request["folders"]:
            os.makedirs(folder, exist_ok=True)  # noqa: PTH103 - an old get_lora_dir looks whether they exist
        self._prepare_imports()
        _limit_resources()
        self._fence.put_up()
        if self._request["shared"]:
            self._ask_shared()
        for path in self._request["handlers"]:
            self._say({"kind": "begin", "handler": path})
            self._say({**self._ask_handler(path), **self._dependencies()})
        self._say({"kind": "end"})

    def _prepare_imports(self) -> None:
        roots = self._request["roots"]
        sys.path[:0] = roots
        recorders = {
            "huggingface_hub.hf_hub_download": self._recorder.hf_hub_download,
            "huggingface_hub.snapshot_download": self._recorder.snapshot_download,
        }
        sys.meta_path.append(StandInFinder(roots, recorders))
        sys.argv = ["wgp.py"]
        module = types.ModuleType("wgp")
        module.__dict__.update(
            get_lora_root=lambda: _LORA_ROOT,
            server_config=self._config,
            __getattr__=_stand_in_of_wgp,
        )
        sys.modules["wgp"] = module
        setattr(sys.modules["__main__"], "server_config", self._config)  # noqa: B010 - not a name of ours

    def _wgp(self) -> WgpView:
        if self._view_error is not None:
            raise NotPlainError(self._view_error)
        if self._view is None:
            try:
                self._view = self._read_wgp()
            except Exception as error:
                self._view_error = describe(error)
                raise
        return self._view

    def _read_wgp(self) -> WgpView:
        path = os.path.join(self._request["tree"], "wgp.py")  # noqa: PTH118
        with open(path, encoding="utf-8-sig", errors="replace") as file:  # noqa: PTH123
            source = file.read()
        return WgpView(source, {"server_config": self._config})

    def _ask_shared(self) -> None:
        self._say({"kind": "begin", "handler": _SHARED})
        message: dict[str, Any] = {"kind": "shared", "files": [], "error": None}
        try:
            message["files"] = shared_set(self._wgp().fresh(), self._recorder)
        except BaseException as error:  # noqa: BLE001 - whatever the user's program raises, the rest goes on
            message["error"] = describe(error)
        self._say({**message, **self._dependencies()})

    def _dependencies(self) -> dict[str, Any]:
        read = _sources(self._fence) - self._told
        self._told |= read
        return {"read": sorted(read), "config_keys": sorted(self._config.asked)}

    def _ask_handler(self, path: str) -> dict[str, Any]:
        message: dict[str, Any] = {"kind": "handler", "handler": path, "error": None, "answers": []}
        try:
            asker = self._asker(path)
            message["families"] = asker.families()
            message["modules"] = asker.module_urls()
        except BaseException as error:  # noqa: BLE001 - as above
            message["error"] = describe(error)
            return message
        message["architectures"] = asker.architectures
        new = [name for name in asker.architectures if name not in self._taken]
        self._taken.update(new)
        self._handlers.update(dict.fromkeys(new, asker.handler))
        message["answers"] = [self._ask_definition(asker, one) for one in self._definitions_of(new)]
        message["bare"] = self._ask_bare(asker, new)
        return message

    def _asker(self, path: str) -> Asker | LegacyAsker:
        encoder = self._config.get("text_encoder_quantization", "int8")
        if path != _NO_HANDLERS:
            return Asker(
                path,
                text_encoder_quantization=encoder,
                lora_root=_LORA_ROOT,
                wgp_lora_dir=self._old_lora_dir,
            )
        rows = len(shared_set(self._wgp().fresh(), Recorder()))
        return LegacyAsker(self._wgp().fresh(), self._request["definitions"], self._recorder, rows, encoder)

    def _definitions_of(self, architectures: list[str]) -> list[dict[str, Any]]:
        wanted = set(architectures)
        return [one for one in self._request["definitions"] if one["architecture"] in wanted]

    def _ask_definition(self, asker: Asker | LegacyAsker, one: dict[str, Any]) -> dict[str, Any]:
        architecture, model = one["architecture"], one["model"]
        answer: dict[str, Any] = {"id": one["id"], "known": [], "error": None}
        try:
            defaults, given = asker.defaults(architecture, one["original"])
            answer["defaults"] = plain_definition(defaults)
            answer["overrides"] = _changes(one["original"], given, model)
            answer["known"].append("defaults")
            merged = {**defaults, **given, **model}
            merged.update(answer["overrides"])
            if isinstance(asker, LegacyAsker):
                merged[ID_KEY] = one["id"]
            self._merged[one["id"]] = merged
            answer["files"] = asker.files(architecture, merged)
            answer["known"].append("files")
            with_config = asker.config_files(architecture, merged, self._models())
            answer["config_files"] = _that_differ(with_config, answer["files"])
        except BaseException as error:  # noqa: BLE001 - as above
            answer["error"] = describe(error)
        try:
            answer["lora_dir"] = asker.lora_dir(architecture, one["id"])
            answer["known"].append("lora_dir")
        except BaseException as error:  # noqa: BLE001 - as above
            answer["error"] = answer["error"] or describe(error)
        return answer

    def _models(self) -> dict[str, Any]:
        return {**{one["id"]: one["model"] for one in self._request["definitions"]}, **self._merged}

    def _ask_bare(self, asker: Asker | LegacyAsker, architectures: list[str]) -> dict[str, Any]:
        described = {one["id"] for one in self._request["definitions"]}
        bare: dict[str, Any] = {}
        for name in architectures:
            if name in described:
                continue
            try:
                bare[name] = plain_definition(asker.defaults(name, {})[0])
            except BaseException as error:  # noqa: BLE001 - an architecture that nothing describes may want more
                print(f"{name}: {describe(error)}", file=sys.stderr)
        return bare

    def _old_lora_dir(self, model_id: str) -> Any:
        if self._lora_view is None:
            self._lora_view = self._make_lora_view()
        view = self._lora_view
        return view["get_lora_dir"](model_id) if view.has("get_lora_dir") else None

    def _make_lora_view(self) -> WgpView:
        view = self._wgp().fresh()
        models = {one["id"]: one for one in self._request["definitions"]}
        view["models_def"] = self._merged
        view["model_types_handlers"] = self._handlers
        view["get_base_model_type"] = lambda name: models[name]["architecture"] if name in models else name
        view["get_model_def"] = self._merged.get
        return view


def _changes(before: dict[str, Any], after: dict[str, Any], model: dict[str, Any]) -> dict[str, Any]:
    """Return keys that the handler changed in the definition itself, unless a later file sets them again."""
    changed = {key: value for key, value in after.items() if key not in before or before[key] != value}
    return {key: value for key, value in changed.items() if model.get(key) == before.get(key)}


def _that_differ(found: dict[str, Any], usual: Any) -> dict[str, Any]:
    return {key: value for key, value in found.items() if value != usual}


def _sources(fence: Fence) -> set[str]:
    """Return the files of the tree that were read, with the source of what came from byte code."""
    files = {str(getattr(module, "__file__", None) or "") for module in list(sys.modules.values())}
    found = {name for name in files if fence.is_inside(name)} | fence.read
    return {name for name in found if not name.endswith(".pyc")}


def _limit_resources() -> None:
    try:
        import resource  # noqa: PLC0415 - not on Windows
    except ImportError:
        return
    for what, limit in ((resource.RLIMIT_AS, _MAX_MEMORY_BYTES), (resource.RLIMIT_CORE, 0)):
        try:
            resource.setrlimit(what, (limit, resource.getrlimit(what)[1]))
        except (OSError, ValueError):
            continue


def _stand_in_of_wgp(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    return StandIn(f"wgp.{name}")


def describe(error: BaseException) -> str:
    """Return what went wrong, one line, shortened."""
    text = " ".join(str(error).split())
    kind = type(error).__name__
    return f"{kind}: {text}"[:400] if text else kind


def run() -> int:
    """Read the request from standard input, answer on what was standard output; return the exit code."""
    gc.disable()  # a process of two seconds that makes many small objects: a sixth of its time
    request = json.loads(sys.stdin.buffer.read())
    channel = os.fdopen(os.dup(1), "wb", buffering=0)
    # Whatever handlers print must not get between the answers.
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    sys.stdin = open(os.devnull, encoding="utf-8")  # noqa: PTH123 - stays open to the end

    def say(message: dict[str, Any]) -> None:
        channel.write(json.dumps(plain(message)).encode() + b"\n")

    Conversation(request, say).run()
    channel.close()
    # Threads that a handler left behind must not keep the process alive.
    sys.stderr.flush()
    os._exit(0)
