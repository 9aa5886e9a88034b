"""The settings form's model over the real settings: what is found, what may be written, how.

Owns the choice and the words of the fields. Reading, checking and writing are the settings room's business.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from wangp_downloader.errors import DownloaderError, SettingsError
from wangp_downloader.places import Surroundings
from wangp_downloader.settings import KEYS, LoadedSettings
from wangp_downloader.settings.detect import detect, is_wan2gp
from wangp_downloader.settings.load import parse_value
from wangp_downloader.settings.write import plain, set_key, write_settings
from wangp_downloader.tui.engine import Finding, SetupField

_LABELS = {
    "wan2gp_directory": "Wan2GP folder",
    "hub_directory": "Your model hub",
    "bandwidth_limit_kb": "Bandwidth limit, KB/s",
    "invokeai_db": "InvokeAI database",
    "invokeai_models_dir": "InvokeAI models folder",
    "link": "Put local copies in place by",
    "new_files": "Downloads go to",
    "verify": "Files already in place",
    "connections": "Connections",
    "endpoint": "Hugging Face Hub or mirror",
}
_SHORT = ("wan2gp_directory", "hub_directory", "bandwidth_limit_kb")
_CHOICES = {
    "link": ("symlink", "hardlink", "reflink", "copy"),
    "new_files": ("ckpts", "hub"),
    "verify": ("once", "trust"),
}
_FOLDERS = ("wan2gp_directory", "hub_directory", "invokeai_models_dir")


class ConfigForm:
    """The form's model; see :class:`wangp_downloader.tui.engine.Setup`.

    Args:
        load: Loads the settings as they are now.
        around: Where to look.
        has_token: Returns whether a Hugging Face token is there.
    """

    def __init__(
        self, load: Callable[[], LoadedSettings], around: Surroundings, has_token: Callable[[], bool]
    ) -> None:
        self._load = load
        self._around = around
        self._has_token = has_token

    def findings(self) -> Sequence[Finding]:
        """Look for the programs whose files can be used; blocks on slow disks."""
        around = self._around
        detected = detect(around.home, around.here, around.environ).values
        wan2gp, invokeai = detected.get("wan2gp_directory"), detected.get("invokeai_db")
        hf_home = Path(around.environ.get("HF_HOME") or around.home / ".cache" / "huggingface")
        comfyui = _first_folder(
            [around.home / "ComfyUI", around.here / "ComfyUI", around.here.parent / "ComfyUI"]
        )
        cache = _first_folder([Path(around.environ.get("HF_HUB_CACHE") or hf_home / "hub")])
        token = self._has_token()
        return (
            Finding("Wan2GP", wan2gp is not None, str(wan2gp or "not in the usual places")),
            Finding("InvokeAI", invokeai is not None, str(invokeai or "not found")),
            Finding("ComfyUI", comfyui is not None, str(comfyui or "not found")),
            Finding("Hugging Face cache", cache is not None, str(cache or "not found")),
            Finding(
                "Hugging Face token", token, "there" if token else "none: gated models need one (HF_TOKEN)"
            ),
        )

    def fields(self) -> Sequence[SetupField]:
        """Return the fields with the values in force.

        Raises:
            SettingsError: The present file can not be read.
        """
        settings = self._load().settings
        return tuple(
            SetupField(
                key,
                label,
                help=" ".join(KEYS[key].help.split()),
                value=_as_text(getattr(settings, key)),
                choices=_CHOICES.get(key, ()),
                advanced=key not in _SHORT,
            )
            for key, label in _LABELS.items()
        )

    def validate(self, key: str, text: str) -> str | None:
        """Return what is wrong with a value, or None. Looks at one path at most."""
        try:
            value = parse_value(KEYS[key], text.strip(), self._around.here, key)
        except SettingsError:
            return f"expected {KEYS[key].expected}"
        if key == "wan2gp_directory":
            return _wan2gp_problem(value)
        if key in _FOLDERS and isinstance(value, Path) and value.exists() and not value.is_dir():
            return "this is a file, not a folder"
        if key == "invokeai_db" and isinstance(value, Path) and not value.is_file():
            return "there is no such file"
        return None

    def save(self, values: Mapping[str, str]) -> str:
        """Write the values that differ from those in force; comments and other keys stay.

        Raises:
            SettingsError: The file can not be written.
        """
        loaded = self._load_or_none()
        path = loaded.path if loaded is not None else self._around.here / "config.yaml"
        if not path.exists():
            write_settings(path, _parsed(values, self._around.here))
            return str(path)
        for key, text in values.items():
            if loaded is None or _as_text(getattr(loaded.settings, key)) != text.strip():
                set_key(path, key, text.strip())
        return str(path)

    def _load_or_none(self) -> LoadedSettings | None:
        try:
            return self._load()
        except DownloaderError:
            return None


def _parsed(values: Mapping[str, str], base: Path) -> dict[str, object]:
    return {
        key: parse_value(KEYS[key], text.strip(), base, key) for key, text in values.items() if text.strip()
    }


def _wan2gp_problem(path: Path | None) -> str | None:
    if path is None:
        return "the Wan2GP folder is needed"
    if not path.is_dir():
        return "there is no such folder"
    return None if is_wan2gp(path) else "this folder holds no wgp.py with defaults/ beside it"


def _as_text(value: object) -> str:
    simple = plain(value)
    return "" if simple is None else str(simple)


def _first_folder(candidates: Sequence[Path]) -> Path | None:
    return next((path for path in candidates if path.is_dir()), None)
