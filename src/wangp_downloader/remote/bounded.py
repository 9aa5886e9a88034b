"""An answer's body that can not become larger than we are willing to hold, also where it comes compressed.

For the HTTP library of ``huggingface_hub``, which reads whole answers into memory and unpacks without a bound.
"""

from __future__ import annotations

import sys
import time
import zlib
from collections.abc import Iterator
from typing import Any

from wangp_downloader.errors import RemoteError
from wangp_downloader.units import MIB, format_size

MOST_BYTES = 64 * MIB
"""Unpacked. The largest honest answer, all of a repo's 100,000 files, is about half of it."""
ENCODINGS = "gzip"
_GZIP = zlib.MAX_WBITS | 16
_STEP = MIB


def bound(response: Any, until: float) -> None:
    """Replace the body of a response that has not been read by one that ends with an error where it is too much.

    Args:
        response: A ``Response`` of httpx or httpx2, which come under different names.
        until: Monotonic time at which reading ends; more than ``MOST_BYTES`` end it, too.

    Raises:
        RemoteError: It comes in an encoding that was not asked for.
    """
    encoding = response.headers.pop("content-encoding", "identity").strip().lower()
    if encoding not in {"identity", "", "gzip", "x-gzip"}:
        raise RemoteError(f"{response.request.url.host} answers in an encoding that was not asked for")
    library = sys.modules[type(response).__module__.partition(".")[0]]
    raw, packed = response.stream, encoding not in {"identity", ""}

    class Bounded(library.SyncByteStream):  # type: ignore[name-defined,misc] # known only at run time
        def __iter__(self) -> Iterator[bytes]:
            count = 0
            for chunk in _unpacked(raw) if packed else raw:
                count += len(chunk)
                if time.monotonic() > until:
                    raise TimeoutError("the answer comes too slowly")
                if count > MOST_BYTES:
                    host = response.request.url.host
                    raise RemoteError(f"{host} answers with more than {format_size(MOST_BYTES)}: refused")
                yield chunk

        def close(self) -> None:
            raw.close()

    response.stream = Bounded()


def _unpacked(raw: Iterator[bytes]) -> Iterator[bytes]:
    """Unpack gzip in steps of bounded size; what follows the end is left unread, as browsers do."""
    unpacking = zlib.decompressobj(_GZIP)
    for chunk in raw:
        left = chunk
        while left and not unpacking.eof:
            yield unpacking.decompress(left, _STEP)
            left = unpacking.unconsumed_tail
