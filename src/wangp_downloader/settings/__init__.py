"""The user's settings: where they come from, what they may be, how they are written.

Command line beats environment beats file beats detection. Nothing is guessed silently: an unknown key or a
wrong value is an error that names the file, the key and what was expected.
"""

from wangp_downloader.settings.keys import KEYS, Key, Settings, StoreSetting
from wangp_downloader.settings.load import LoadedSettings, Origin, load_settings

__all__ = [
    "KEYS",
    "Key",
    "LoadedSettings",
    "Origin",
    "Settings",
    "StoreSetting",
    "load_settings",
]
