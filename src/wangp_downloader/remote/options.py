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
        attempts: How often a question is asked at most.
        retry_pause_s: Seconds before the second attempt, a little more or less; they double from one to the next.
        rate_limit_pause_s: The same after a rate limit that does not say how long to wait.
        retry_budget_s: No attempt begins so many seconds after the first one, nor after a host got into trouble.
        patience_s: Longest wait, in seconds, that a host may ask for and get.
    """

    endpoint: str = DEFAULT_ENDPOINT
    token: str | None = field(default=None, repr=False)
    offline: bool = False
    workers: int = 4
    timeout_s: float = 10.0
    attempts: int = 6
    retry_pause_s: float = 0.5
    rate_limit_pause_s: float = 2.0
    retry_budget_s: float = 15.0
    patience_s: float = 10.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "endpoint", self.endpoint.rstrip("/"))
