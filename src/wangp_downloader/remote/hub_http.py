"""The HTTP client that ``huggingface_hub`` uses for us: timeouts, no hidden retries, a guarded token.

Imports ``huggingface_hub`` (0.4 s): only ``hub_api.py`` imports this, and that only when a request is made.
The package has one client a process (``set_client_factory``); requests that are not ours go through it
unchanged.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import huggingface_hub
from huggingface_hub import get_session
from huggingface_hub.utils import (  # type: ignore[attr-defined] # documented, but not in their __all__
    hf_raise_for_status,
)

from wangp_downloader.errors import OfflineError, RemoteError
from wangp_downloader.paths import redact_url
from wangp_downloader.remote.bounded import ENCODINGS, bound
from wangp_downloader.remote.certificates import chosen_context
from wangp_downloader.remote.foreign import Asked, translate
from wangp_downloader.remote.pool import within

_UNTIL = "wangp_until"
_MOST_SILENCES = 3
"""A whole answer may take so many times the longest silence."""


@dataclass(frozen=True, slots=True)
class Call:
    """What our client has to know of the request being made.

    Attributes:
        asked: For messages.
        timeout_s: Longest silence of the server, in seconds.
    """

    asked: Asked
    timeout_s: float


_current: ContextVar[Call | None] = ContextVar("_current", default=None)
_install_lock = threading.Lock()


@contextmanager
def calling(call: Call) -> Iterator[None]:
    """Make the requests of this thread, inside the block, ours: with its timeout, and raising our errors."""
    install()
    token = _current.set(call)
    try:
        yield
    finally:
        _current.reset(token)


def install() -> None:
    """Put our client into ``huggingface_hub``, quiet and without telemetry; does nothing the second time.

    Raises:
        SettingsError: The certificates that the environment names can not be read.
    """
    chosen_context()  # before the package's own client stumbles over them
    with _install_lock:
        if getattr(get_session(), "guarded_by_wangp", False):
            return
        # Telemetry includes a look-up at the endpoint and a file in the user's HF_HOME.
        huggingface_hub.constants.HF_HUB_DISABLE_TELEMETRY = True
        huggingface_hub.utils.logging.set_verbosity_error()  # type: ignore[no-untyped-call] # theirs
        base = type(get_session())
        huggingface_hub.set_client_factory(lambda: _make_client(base))


def _make_client(base: Any) -> Any:
    class GuardedClient(base):  # type: ignore[misc] # httpx.Client or httpx2.Client, known only at run time
        """Adds to the package's client what it has no option for."""

        guarded_by_wangp = True

        def send(self, request: Any, **options: Any) -> Any:
            call = _current.get()
            if call is None:
                return super().send(request, **options)
            most_s = _MOST_SILENCES * call.timeout_s
            extensions = {"timeout": _timeouts(call.timeout_s), _UNTIL: time.monotonic() + most_s}
            request.extensions = {**request.extensions, **extensions}
            request.headers["accept-encoding"] = ENCODINGS
            ask = super().send
            # Raised from here, an error is not one of those that the package retries for half a minute.
            try:
                # Timeouts of the library count from byte to byte: a server that trickles has none.
                response = within(most_s, lambda: ask(request, **options))
                hf_raise_for_status(response)
            except TimeoutError:
                raise _too_slow(call) from None
            except Exception as error:
                raise translate(error, call.asked) from error
            return response

    return GuardedClient(
        event_hooks={"request": [guard], "response": [_bound_ours]},
        follow_redirects=True,
        timeout=None,
        verify=chosen_context() or True,
    )


def _bound_ours(response: Any) -> None:
    if _current.get() is not None:
        bound(response, response.request.extensions[_UNTIL])


def _too_slow(call: Call) -> OfflineError:
    return OfflineError(
        f"no whole answer about {call.asked.what} in {_MOST_SILENCES * call.timeout_s:.0f} s",
        hint="try again later, or use --offline to work with what is known",
    )


def _timeouts(seconds: float) -> dict[str, float]:
    return {"connect": seconds, "read": seconds, "write": seconds, "pool": seconds}


def guard(request: Any) -> None:
    """Look at each request, also those that a redirect or a ``Link`` header leads to, before it goes out."""
    call = _current.get()
    if call is None:
        return
    url, endpoint = str(request.url), call.asked.endpoint
    if origin(url) == origin(endpoint):
        return
    # The package hands our headers to whatever address the next page of a list has.
    request.headers.pop("authorization", None)
    if urlsplit(endpoint).scheme == "https" and urlsplit(url).scheme != "https":
        raise RemoteError(f"{endpoint} redirects to {redact_url(url)}, which is not encrypted: refused")


def origin(url: str) -> tuple[str, str, int]:
    """Return scheme, host and port of a URL: what a token is bound to (RFC 6454 section 4)."""
    parts = urlsplit(url)
    return (
        parts.scheme,
        (parts.hostname or "").lower(),
        parts.port or (443 if parts.scheme == "https" else 80),
    )
