"""How the remote room is set up. Values only."""

from __future__ import annotations

from dataclasses import dataclass, field

DEFAULT_ENDPOINT = "https://huggingface.co"
"""The Hub, unless ``HF_ENDPOINT`` or the configuration names a mirror."""


@dataclass(frozen=True, slots=True)
class RemoteOptions:
    """How to ask.

    Attributes:
        endpoint: URL of the Hub or of a mirror; a slash at the end falls away.
        token: Sent to the endpoint, and to nobody else; None is anonymous. Never shown.
        offline: True answers from what is known and never opens a connection.
        workers: Repos asked at once.
        timeout_s: Longest silence of a server, in seconds (connecting, or between two reads).
        retry_pause_s: Seconds before the one retry after a failure.
        patience_s: Longest wait, in seconds, that a rate limit may ask for and get.
    """

    endpoint: str = DEFAULT_ENDPOINT
    token: str | None = field(default=None, repr=False)
    offline: bool = False
    workers: int = 4
    timeout_s: float = 10.0
    retry_pause_s: float = 0.5
    patience_s: float = 10.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "endpoint", self.endpoint.rstrip("/"))
