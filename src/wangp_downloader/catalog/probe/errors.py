"""The one error of the probe that its own modules pass to each other; it never leaves the probe."""

from __future__ import annotations

from wangp_downloader.errors import CatalogError


class ProbeStartError(CatalogError):
    """The separate process can not be started."""
