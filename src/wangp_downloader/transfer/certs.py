"""Which certificates to trust: the environment's choice, else the system's, on every system."""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

_VARIABLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Ubuntu, Arch, Gentoo
    "/etc/pki/tls/certs/ca-bundle.crt",  # Fedora, RHEL
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",  # RHEL 7 and later
    "/etc/ssl/ca-bundle.pem",  # openSUSE
    "/etc/ssl/cert.pem",  # Alpine, macOS, BSD
)


@dataclass(frozen=True, slots=True)
class Trust:
    """What libcurl is told to trust.

    Attributes:
        file: A bundle in PEM form, or None.
        folder: A folder of hashed certificates, or None.

    With neither, the operating system's own store is asked.
    """

    file: str | None = None
    folder: str | None = None


def find_trust(chosen: Path | None = None, environment: Mapping[str, str] | None = None) -> Trust:
    """Return what to trust.

    In this order: ``chosen``, ``SSL_CERT_FILE``, ``REQUESTS_CA_BUNDLE``, ``CURL_CA_BUNDLE``,
    ``SSL_CERT_DIR``, the system's bundle, certifi's.

    A variable that names nothing that is there is an error of the person, which libcurl then reports:
    trusting something else instead would be worse.
    """
    if chosen is not None:
        return Trust(file=str(chosen))
    environment = os.environ if environment is None else environment
    for name in _VARIABLES:
        value = environment.get(name)
        if value:
            return Trust(folder=value) if Path(value).is_dir() else Trust(file=value)
    if environment.get("SSL_CERT_DIR"):
        return Trust(folder=environment["SSL_CERT_DIR"])
    return _system_trust()


def _system_trust() -> Trust:
    paths = ssl.get_default_verify_paths()
    for candidate in (*_BUNDLES, paths.cafile):
        if candidate and Path(candidate).is_file():
            return Trust(file=candidate)
    try:
        return Trust(file=str(import_module("certifi").where()))
    except ImportError:
        return Trust(folder=paths.capath if paths.capath and Path(paths.capath).is_dir() else None)
