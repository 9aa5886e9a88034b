"""What is asked of the transfer engine and what it answers: values only, no I/O."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from wangp_downloader.errors import DownloaderError
from wangp_downloader.files import Digest
from wangp_downloader.units import MIB

SMALL_FILE = 8 * MIB
"""Files up to this size in bytes are fetched by one request."""


@dataclass(frozen=True, slots=True)
class TransferRequest:
    """One file to fetch.

    Attributes:
        key: The plan's target, used in events.
        url: Where to start: the resolve URL at the endpoint, or any http(s) URL.
        destination: Absolute final path. Nothing may stand there, or the very same content.
        size: Bytes, or None to learn it from the first answer.
        digest: What the content must hash to, or None if nobody knows.
        token: Sent to the origin (scheme, host, port) of ``url`` only, never to a redirect target elsewhere.
        commit: For the ``.metadata`` file of huggingface_hub, written if ``local_dir`` is given.
        local_dir: Folder whose ``.cache/huggingface/download/`` gets the metadata.
        path_in_repo: The file's path below ``local_dir``, with ``/``.
        priority: Files with a higher one start first; equal ones in the order given.
    """

    key: str
    url: str
    destination: Path
    size: int | None
    digest: Digest | None
    token: str | None = None
    commit: str | None = None
    local_dir: Path | None = None
    path_in_repo: str | None = None
    priority: int = 0


@dataclass(frozen=True, slots=True)
class TransferResult:
    """What became of one request.

    Attributes:
        key: The request's key.
        error: What went wrong; None means that the file stands at its destination. A file that was not
            finished when the run was cancelled carries a ``CancelledError`` and can be resumed.
        verified: True if the bytes were compared with the request's digest.
        unverified_reason: Why not, where ``error`` is None and ``verified`` is False.
        bytes_fetched: Bytes of content that came over the network, this time, refetched ones included.
        kept: True if something else has put the content at the destination, before or meanwhile.
    """

    key: str
    error: DownloaderError | None
    verified: bool
    unverified_reason: str | None
    bytes_fetched: int
    kept: bool = False


@dataclass(frozen=True, slots=True)
class TransferOptions:
    """How the engine works; the defaults suit a home line and a public CDN.

    Attributes:
        connections: Most connections open at once, over all files. 1 is honoured.
        connections_per_file: Most of them for one file.
        files_at_once: Files larger than a few MiB that are in progress at once.
        limit_bytes_per_s: Content bytes a second over all transfers together, None for no limit.
        state_dir: Folder where running instances find each other to share the limit; None: do not share.
        connect_timeout_s: For TCP and TLS together.
        stall_timeout_s: A connection that brings no byte for so long is given up.
        max_attempts: Failures without progress after which a file is given up,
        give_up_after_s: but not sooner after the first of them: a line that was down for a moment costs no file.
        backoff_base_s: Upper bound of the first wait after a failure; doubles each time (full jitter).
        backoff_cap_s: Upper bound of any wait that the server did not ask for.
        max_wait_s: Longest wait that a server may ask for; more fails the file.
        checkpoint_s: Data is synced and journalled so often at most; less often where little arrives or the
            disk is slow.
        ca_file: Certificates to trust; None: the environment's, then the system's.
        user_agent: Sent with every request.
    """

    connections: int = 8
    connections_per_file: int = 16
    files_at_once: int = 4
    limit_bytes_per_s: float | None = None
    state_dir: Path | None = None
    connect_timeout_s: float = 20.0
    stall_timeout_s: float = 30.0
    max_attempts: int = 8
    give_up_after_s: float = 45.0
    backoff_base_s: float = 0.5
    backoff_cap_s: float = 30.0
    max_wait_s: float = 900.0
    checkpoint_s: float = 0.03
    ca_file: Path | None = None
    user_agent: str = "wangp-downloader"
