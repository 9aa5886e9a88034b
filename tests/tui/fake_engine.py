"""A scripted engine behind the TUI's protocol: deterministic plans, events when the test wants them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from wangp_downloader.cancel import CancelToken
from wangp_downloader.errors import CancelledError, DownloaderError
from wangp_downloader.events import (
    Emit,
    FileFinished,
    FilePaused,
    FileProgress,
    FileQueued,
    FileStarted,
    FileVerifying,
    ignore,
)
from wangp_downloader.files import (
    SHARED_MODEL,
    Action,
    Digest,
    DigestKind,
    DiskNeed,
    Evidence,
    FileResult,
    LocalCopy,
    Outcome,
    Plan,
    PlannedFile,
    RemoteFile,
    RemoteState,
    Role,
)
from wangp_downloader.planner import Request

GIB = 1024**3
ROOT = "/srv/Wan2GP"
FREE = 310 * GIB


@dataclass(frozen=True)
class FakeModel:
    id: str
    name: str
    family: str
    certain: bool = True


@dataclass(frozen=True)
class FakePart:
    target: str
    bytes_done: int
    size: int | None


@dataclass(frozen=True)
class FakeReport:
    results: tuple[FileResult, ...]


@dataclass(frozen=True)
class FakeSettings:
    wan2gp_directory: str = ROOT
    bandwidth_limit_kb: float = 0


@dataclass(frozen=True)
class FakeLoaded:
    offline: bool = False


FAMILIES = (
    ("wan", "Wan2.2 Text2video 14B", "t2v_2_2", True),
    ("wan", "Wan2.2 Image2video 14B", "i2v_2_2", True),
    ("wan", "Wan2.1 Vace 14B", "vace_14B", False),
    ("flux", "Flux 1 Dev 12B", "flux_dev", False),
    ("flux", "Flux 1 Kontext 12B", "flux_dev_kontext", False),
    ("qwen", "Qwen Image 20B", "qwen_image_20B", False),
    ("hunyuan", "Hunyuan Video Avatar 13B", "hunyuan_avatar", False),
    ("ltxv", "LTX Video 0.9.8 13B", "ltxv_distilled", False),
    ("tts", "Chatterbox Multilingual", "chatterbox", False),
)


def make_file(name: str, models: tuple[str, ...], **changes: object) -> PlannedFile:
    """One planned file with plausible values; everything can be overridden."""
    number = sum(name.encode())
    repo = (
        f"DeepBeepMeep/{models[0].split('_')[0].title()}"
        if models[0] != SHARED_MODEL
        else "DeepBeepMeep/Wan2.1"
    )
    defaults: dict[str, object] = {
        "target": f"ckpts/{name}",
        "path": f"ckpts/{name}",
        "remote": RemoteFile(f"https://huggingface.co/{repo}/resolve/main/{name}", repo, "main", name),
        "size": (number % 37 + 2) * GIB // 2,
        "digest": Digest(DigestKind.SHA256, f"{number * 7919:064x}"),
        "models": models,
        "roles": (Role.TRANSFORMER,),
        "required": True,
        "selected": False,
        "pair": None,
        "action": Action.DOWNLOAD,
        "reason": "not on this machine",
        "origins": (f"URLs of {models[0]}",),
        "choices": (f"{models[0]}/transformer",),
    }
    return PlannedFile(**(defaults | changes))  # type: ignore[arg-type]


def make_files(count: int = 60) -> tuple[tuple[PlannedFile, ...], tuple[FakeModel, ...]]:
    """A small catalog with every status in it, repeated with numbers until there are ``count`` files."""
    files: list[PlannedFile] = [*_shared()]
    models: list[FakeModel] = []
    round_number = 0
    while len(files) < count:
        for family, name, model, high_low in FAMILIES:
            suffix = f"_{round_number}" if round_number else ""
            title = f"{name} #{round_number}" if round_number else name
            models.append(FakeModel(model + suffix, title, family))
            files += _model_files(model + suffix, high_low, round_number)
        round_number += 1
    return tuple(files[:count]), tuple(models)


def _shared() -> Iterator[PlannedFile]:
    kept = {"action": Action.KEEP, "reason": "in place", "roles": (Role.SHARED,), "choices": ()}
    yield make_file("pose/dw-ll_ucoco_384.onnx", (SHARED_MODEL,), **kept)
    yield make_file(
        "depth/depth_anything_v2_vitl.pth", (SHARED_MODEL,), **kept, link_to="/data/hub/ab12/depth.pth"
    )


def _model_files(model: str, high_low: bool, number: int) -> Iterator[PlannedFile]:
    for variant, required in (("quanto_int8", True), ("bf16", False)):
        if high_low:
            high, low = f"{model}_high_{variant}.safetensors", f"{model}_low_{variant}.safetensors"
            yield make_file(high, (model,), required=required, pair=f"ckpts/{low}")
            role = (Role.TRANSFORMER2,)
            yield make_file(
                low, (model,), required=required, pair=f"ckpts/{high}", roles=role, choices=(f"{model}/low",)
            )
        else:
            yield make_file(
                f"{model}_{variant}.safetensors", (model,), required=required, **_special(model, number)
            )
    yield make_file(
        f"{model}_vae.safetensors",
        (model, "t2v_2_2"),
        roles=(Role.VAE,),
        action=Action.LINK,
        reason="the same bytes are in hub",
        source=LocalCopy("hub", f"/data/hub/{model}/vae.safetensors", Evidence.COMPUTED),
        choices=(),
    )


def _special(model: str, number: int) -> dict[str, object]:
    if number:
        return {}
    match model:
        case "flux_dev":
            hint = "accept the licence on its page and set HF_TOKEN"
            reason = "gated: a licence must be accepted"
            return {"action": Action.BLOCKED, "reason": reason, "hint": hint, "blocked": RemoteState.GATED}
        case "qwen_image_20B":
            return {"action": Action.KEEP, "reason": "in place"}
        case "chatterbox":
            hint = "move it away to fetch the published file"
            return {"action": Action.CONFLICT, "reason": "another file stands at its place", "hint": hint}
        case "ltxv_distilled":
            return {"size": None, "digest": None, "reason": "not on this machine; size not known yet"}
        case _:
            return {}


@dataclass
class FakeEngine:
    """The engine of the tests.

    ``hold`` makes a run stop half way, until it is cancelled or ``release`` is set; ``ticker`` makes it report
    progress for as long as that likes.
    """

    files: tuple[PlannedFile, ...] = ()
    catalog: tuple[FakeModel, ...] = ()
    parts: tuple[FakePart, ...] = ()
    settings: FakeSettings = field(default_factory=FakeSettings)
    loaded: FakeLoaded = field(default_factory=FakeLoaded)
    free: int = FREE
    hold: bool = False
    fail: frozenset[str] = frozenset()
    refresh_error: DownloaderError | None = None
    run_error: DownloaderError | None = None
    warnings: tuple[str, ...] = ()
    calls: list[str] = field(default_factory=list)
    release: threading.Event = field(default_factory=threading.Event)
    held: threading.Event = field(default_factory=threading.Event)
    ticker: Callable[[Callable[[int, float], None], Callable[[float], bool]], None] | None = None
    on_plan: Callable[[bool, bool, Emit], None] | None = None

    @classmethod
    def of(cls, count: int = 60, **changes: object) -> FakeEngine:
        files, models = make_files(count)
        return cls(files, models, **changes)  # type: ignore[arg-type]

    def plan(
        self,
        request: Request,
        *,
        network: bool = True,
        hashing: bool = True,
        cancel: CancelToken | None = None,
        emit: Emit = ignore,
    ) -> Plan:
        self.calls.append(f"plan network={network} hashing={hashing} targets={len(request.targets or ())}")
        if self.on_plan is not None:
            self.on_plan(network, hashing, emit)
        if network and request.targets is None and self.refresh_error is not None:
            raise self.refresh_error
        if cancel is not None:
            cancel.raise_if_cancelled()
        targets = request.targets or frozenset()
        files = tuple(replace(file, selected=file.target in targets) for file in self.files)
        needed = sum(file.size or 0 for file in files if file.selected and file.action is Action.DOWNLOAD)
        return Plan(files, (DiskNeed(ROOT, needed, self.free),), self.warnings)

    def run(
        self, plan: Plan, *, actions: frozenset[Action], cancel: CancelToken, emit: Emit = ignore
    ) -> FakeReport:
        due = [file for file in plan.files if file.selected and file.action in actions]
        self.calls.append(f"run {len(due)}")
        if self.run_error is not None:
            raise self.run_error
        for file in due:
            emit(FileQueued(file.target, file.size))
        for file in due:
            emit(FileStarted(file.target, file.size, 0))
            emit(FileProgress(file.target, (file.size or 0) * 3 // 8, 45e6, 4))
        if self.ticker is not None:
            moving = due[:16]

            def progress(index: int, share: float) -> None:
                file = moving[index]
                emit(FileProgress(file.target, int((file.size or 0) * share), 45e6 + index * 1e5, 4))

            self.ticker(progress, cancel.wait)
        elif self.hold:
            self.held.set()
            while not self.release.is_set() and not cancel.wait(0.005):
                pass
        if cancel.cancelled:
            raise CancelledError
        results = [self._finish(file, emit) for file in due]
        return FakeReport(tuple(results))

    def _finish(self, file: PlannedFile, emit: Emit) -> FileResult:
        if file.target in self.fail:
            error, hint = "the connection was reset 5 times", "try again later"
            emit(FileFinished(file.target, Outcome.FAILED, error, hint))
            return FileResult(file, Outcome.FAILED, error, hint)
        emit(FileVerifying(file.target, file.size or 0, file.size or 0))
        outcome = Outcome.LINKED if file.action is Action.LINK else Outcome.DOWNLOADED
        emit(FileFinished(file.target, outcome, verified=True))
        kept = replace(file, action=Action.KEEP, reason="in place", source=None)
        self.files = tuple(kept if each.target == file.target else each for each in self.files)
        return FileResult(file, outcome, verified=True, bytes_fetched=file.size or 0)

    def models(self) -> Sequence[FakeModel]:
        return self.catalog

    def unfinished(self) -> Sequence[FakePart]:
        return self.parts

    def set_limit(self, bytes_per_s: float | None) -> None:
        self.calls.append(f"set_limit {bytes_per_s}")

    def pause(self, key: str | None = None) -> None:
        self.calls.append(f"pause {key}")

    def resume(self, key: str | None = None) -> None:
        self.calls.append(f"resume {key}")

    def cancel(self, key: str) -> None:
        self.calls.append(f"cancel {key}")

    def reset_cache(self) -> None:
        self.calls.append("reset_cache")

    def close(self) -> None:
        self.calls.append("close")


def paused_event(key: str) -> FilePaused:
    """The event of a paused transfer."""
    return FilePaused(key)
