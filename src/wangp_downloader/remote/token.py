"""Where the user's Hugging Face token is. Reads it, never writes or shows it.

The places and their order are those of ``huggingface_hub.get_token`` (``utils/_auth.py``,
``constants.py``), read here directly where that is simple: importing that package takes 0.4 s.
"""

from __future__ import annotations

import os
from pathlib import Path

from wangp_downloader.remote.foreign import Asked, translate

_TRUE = frozenset({"1", "ON", "YES", "TRUE"})


def read_token() -> str | None:
    """Return the token of the environment or of ``hf auth login``, or None if there is none.

    ``HF_TOKEN`` wins over the token file (``HF_TOKEN_PATH``, ``HF_HOME``). A token that has to be renewed
    or exchanged first (browser login, trusted publishers) is left to ``huggingface_hub``; that may take a
    network request. ``HF_HUB_DISABLE_IMPLICIT_TOKEN`` is honoured.

    Raises:
        RemoteError: The exchange of a trusted publisher's token failed.
    """
    if os.environ.get("HF_HUB_DISABLE_IMPLICIT_TOKEN", "").upper() in _TRUE:
        return None
    if os.environ.get("HF_OIDC_RESOURCE"):
        return _token_of_huggingface_hub()
    token = _clean(os.environ.get("HF_TOKEN") or os.environ.get("HUGGING_FACE_HUB_TOKEN"))
    if token is not None:
        return token
    path = _token_path()
    token = _clean(_text_of(path))
    # Tokens of a browser login come with a refresh token beside them and end after hours.
    if token is not None and "refresh_token" in (_text_of(path.with_name("stored_tokens")) or ""):
        return _token_of_huggingface_hub()
    return token


def _token_path() -> Path:
    explicit = os.environ.get("HF_TOKEN_PATH")
    if explicit:
        return Path(os.path.expandvars(explicit)).expanduser()
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    home = os.environ.get("HF_HOME") or f"{cache}/huggingface"
    return Path(os.path.expandvars(home)).expanduser() / "token"


def _text_of(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None


def _clean(token: str | None) -> str | None:
    return (token or "").replace("\r", "").replace("\n", "").strip() or None


def _token_of_huggingface_hub() -> str | None:
    from huggingface_hub import get_token  # noqa: PLC0415 - slow to import, rarely needed

    try:
        return get_token()
    except Exception as error:
        raise translate(error, Asked("the access token")) from error
