"""Downloads: many pieces at once, verified, resumable, within a limit.

Owns the way of bytes from a URL to a destination path, and the ``.part`` files meanwhile. Must not know the
catalog, the Hub's API, the plan or any user interface. ``docs/transfer.md`` describes the room.
"""

from __future__ import annotations

from wangp_downloader.transfer.engine import TransferEngine
from wangp_downloader.transfer.request import TransferOptions, TransferRequest, TransferResult

__all__ = ["TransferEngine", "TransferOptions", "TransferRequest", "TransferResult"]
