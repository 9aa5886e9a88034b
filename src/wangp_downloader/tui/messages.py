"""What the engine's lane tells the main screen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from textual.message import Message

from wangp_downloader.errors import DownloaderError
from wangp_downloader.files import Plan

if TYPE_CHECKING:
    from wangp_downloader.tui.engine import Engine, ModelInfo, Report


class EngineOpened(Message):
    """The session is there."""

    def __init__(self, engine: Engine) -> None:
        super().__init__()
        self.engine = engine


class EngineRefused(Message):
    """The session can not be opened: configuration or Wan2GP are missing."""

    def __init__(self, error: DownloaderError) -> None:
        super().__init__()
        self.error = error


class PlanArrived(Message):
    """A newer plan of everything.

    Args:
        plan: The plan.
        models: All models.
        parts: Bytes of left-over parts by target.
    """

    def __init__(self, plan: Plan, models: Sequence[ModelInfo], parts: Mapping[str, int]) -> None:
        super().__init__()
        self.plan = plan
        self.models = models
        self.parts = parts


class RefreshEnded(Message):
    """The refresh is over; ``error`` says why it is not complete."""

    def __init__(self, error: DownloaderError | None = None) -> None:
        super().__init__()
        self.error = error


class PlanPrepared(Message):
    """The plan of a selection is ready to be carried out."""

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        self.plan = plan


class RunEnded(Message):
    """A run is over.

    Args:
        report: What it did, or None if it could not even start.
        error: Why it ended early, if it did.
    """

    def __init__(self, report: Report | None, error: DownloaderError | None = None) -> None:
        super().__init__()
        self.report = report
        self.error = error


class DiskMeasured(Message):
    """Free bytes on the disk of a folder that downloads go to."""

    def __init__(self, folder: str, free: int | None) -> None:
        super().__init__()
        self.folder = folder
        self.free = free
