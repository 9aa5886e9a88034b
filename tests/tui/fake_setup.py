"""A settings form's model that looks at nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from wangp_downloader.errors import SettingsError
from wangp_downloader.tui.engine import Finding, SetupField


@dataclass
class FakeSetup:
    """Accepts only folders that start with ``/srv``."""

    saved: dict[str, str] = field(default_factory=dict)
    refuse: bool = False

    def findings(self) -> Sequence[Finding]:
        return (
            Finding("Wan2GP", False, "not in the usual places"),
            Finding("InvokeAI", True, "/home/me/invokeai/databases/invokeai.db"),
            Finding("ComfyUI", True, "/home/me/ComfyUI"),
            Finding("Hugging Face cache", True, "/home/me/.cache/huggingface/hub"),
            Finding("Hugging Face token", False, "none; gated models need one"),
        )

    def fields(self) -> Sequence[SetupField]:
        return (
            SetupField(
                "wan2gp_directory", "Wan2GP folder", "It holds wgp.py and defaults/.", "/home/me/Wan2GP"
            ),
            SetupField(
                "hub_directory", "Your model hub", "Files found here are linked, not downloaded again."
            ),
            SetupField(
                "bandwidth_limit_kb", "Bandwidth limit, KB/s", "Over all downloads; 0: no limit.", "0"
            ),
            SetupField(
                "link", "Put local copies in place by", "", "symlink", ("symlink", "hardlink", "copy"), True
            ),
            SetupField("connections", "Connections", "In use at once.", "8", (), True),
        )

    def validate(self, key: str, text: str) -> str | None:
        if key == "wan2gp_directory" and not text.startswith("/srv"):
            return "there is no such folder"
        return None

    def save(self, values: Mapping[str, str]) -> str:
        if self.refuse:
            raise SettingsError("config.yaml can not be written")
        self.saved = dict(values)
        return "/home/me/.config/wangp-downloader/config.yaml"
