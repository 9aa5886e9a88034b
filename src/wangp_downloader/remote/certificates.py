"""Which certificates to trust, as the environment names them; one that can not be read is said by its name."""

from __future__ import annotations

import os
import ssl
from functools import lru_cache

from wangp_downloader.errors import SettingsError

# The last two are what `requests` reads, and with it earlier versions of huggingface_hub.
_VARIABLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


def chosen_context() -> ssl.SSLContext | None:
    """Return what trusts the certificates that the environment names, or None if it names none.

    Raises:
        SettingsError: They can not be read.
    """
    name = next((name for name in _VARIABLES if os.environ.get(name)), None)
    return _load(name, os.environ[name]) if name is not None else None


@lru_cache(maxsize=2)
def _load(name: str, path: str) -> ssl.SSLContext:
    try:
        if os.path.isdir(path):  # noqa: PTH112 - as the variable has it
            return ssl.create_default_context(capath=path)
        return ssl.create_default_context(cafile=path)
    except OSError as error:
        raise SettingsError(
            f"{name} names {path}, which can not be read as certificates: {error.strerror or error}",
            hint=f"correct {name}, or unset it",
        ) from error
