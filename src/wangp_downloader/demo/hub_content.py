"""What the loopback Hub serves: bytes, a file on disk, or content made up from a seed.

Owns content and its hashes. Knows no repos, no HTTP.
"""

from __future__ import annotations

import hashlib
import os
import random
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

BLOCK_BYTES = 256 * 1024
"""Largest chunk handed out at once, and the unit in which generated content is stamped."""


@dataclass(frozen=True, slots=True)
class Generated:
    """Deterministic content of any size that needs no memory: each block is a function of seed and index.

    Attributes:
        size: Bytes.
        seed: Equal seeds give equal content (a longer one begins with the shorter one).
        sha256: The hash, if the caller knows it; else it is computed when first asked for (about 1 s for
            2 GB, remembered for the process).
    """

    size: int
    seed: int = 0
    sha256: str | None = None

    def chunks(self, start: int, length: int) -> Iterator[memoryview]:
        """Yield ``length`` bytes from offset ``start``, in chunks of at most ``BLOCK_BYTES``."""
        end = min(start + length, self.size)
        while start < end:
            index, inside = divmod(start, BLOCK_BYTES)
            block = memoryview(_block(self.seed, index))
            chunk = block[inside : min(BLOCK_BYTES, inside + end - start)]
            yield chunk
            start += len(chunk)

    def read(self, start: int = 0, length: int | None = None) -> bytes:
        """Return bytes from offset ``start``, to the end if ``length`` is None."""
        return b"".join(self.chunks(start, self.size if length is None else length))


@lru_cache(maxsize=8)
def _noise(seed: int) -> bytes:
    return random.Random(seed).randbytes(BLOCK_BYTES)


def _block(seed: int, index: int) -> bytearray:
    block = bytearray(_noise(seed))
    block[:16] = index.to_bytes(8, "big") + (index * 0x9E3779B97F4A7C15 % 2**64).to_bytes(8, "big")
    return block


@dataclass(frozen=True, slots=True)
class _Held:
    data: bytes

    @property
    def size(self) -> int:
        return len(self.data)

    def chunks(self, start: int, length: int) -> Iterator[memoryview]:
        view = memoryview(self.data)[start : start + length]
        for offset in range(0, len(view), BLOCK_BYTES):
            yield view[offset : offset + BLOCK_BYTES]


@dataclass(frozen=True, slots=True)
class _OnDisk:
    path: Path

    @property
    def size(self) -> int:
        return self.path.stat().st_size

    def chunks(self, start: int, length: int) -> Iterator[memoryview]:
        with self.path.open("rb") as file:
            file.seek(start)
            while length > 0 and (data := file.read(min(length, BLOCK_BYTES))):
                length -= len(data)
                yield memoryview(data)


Source = bytes | Path | Generated
"""What a caller may give as content."""


@lru_cache(maxsize=256)
def _generated_hash(generated: Generated, prefix: bytes, name: str) -> str:
    return _hash_chunks(generated, prefix, name)


def _hash_chunks(source: Generated | _Held | _OnDisk, prefix: bytes, name: str) -> str:
    digest = hashlib.new(name, prefix, usedforsecurity=False)
    for chunk in source.chunks(0, source.size):
        digest.update(chunk)
    return digest.hexdigest()


@dataclass(slots=True)
class Content:
    """One served file: its bytes, its hashes, and which of its bytes are served wrong.

    Attributes:
        lfs: True if it is kept in LFS (served by the CDN), False for a small git file.
        size: Bytes.
        corrupt: Offsets whose byte is served inverted, while the hashes stay those of the true content.
    """

    source: Source
    lfs: bool = True
    corrupt: set[int] = field(default_factory=set)
    _hashes: dict[str, str] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def size(self) -> int:
        """Bytes."""
        return self._reader().size

    @property
    def sha256(self) -> str:
        """SHA-256 of the true content, lowercase hex."""
        if isinstance(self.source, Generated) and self.source.sha256 is not None:
            return self.source.sha256
        return self._hash("sha256", b"")

    @property
    def blob_id(self) -> str:
        r"""Git blob id: of the content, or of the LFS pointer file that git holds in its place."""
        if not self.lfs:
            return self._hash("sha1", b"blob %d\0" % self.size)
        pointer = self.pointer
        return hashlib.sha1(b"blob %d\0" % len(pointer) + pointer, usedforsecurity=False).hexdigest()

    @property
    def pointer(self) -> bytes:
        """The pointer file that git holds for an LFS file (https://github.com/git-lfs spec, version 1)."""
        return (
            f"version https://git-lfs.github.com/spec/v1\noid sha256:{self.sha256}\nsize {self.size}\n"
        ).encode()

    @property
    def etag(self) -> str:
        """What the Hub gives as ETag, without quotes."""
        return self.sha256 if self.lfs else self.blob_id

    @property
    def disk_path(self) -> Path | None:
        """The file behind it, if it can be sent straight from the disk."""
        return self.source if isinstance(self.source, Path) and not self.corrupt else None

    def chunks(self, start: int, length: int) -> Iterator[memoryview]:
        """Yield the bytes as served, from offset ``start``, in chunks of at most ``BLOCK_BYTES``."""
        for chunk in self._reader().chunks(start, length):
            yield self._spoil(chunk, start) if self.corrupt else chunk
            start += len(chunk)

    def _spoil(self, chunk: memoryview, start: int) -> memoryview:
        hits = [offset - start for offset in self.corrupt if start <= offset < start + len(chunk)]
        if not hits:
            return chunk
        spoiled = bytearray(chunk)
        for hit in hits:
            spoiled[hit] ^= 0xFF
        return memoryview(spoiled)

    def _reader(self) -> Generated | _Held | _OnDisk:
        if isinstance(self.source, Generated):
            return self.source
        return _Held(self.source) if isinstance(self.source, bytes) else _OnDisk(self.source)

    def _hash(self, name: str, prefix: bytes) -> str:
        with self._lock:
            if name not in self._hashes:
                reader = self._reader()
                self._hashes[name] = (
                    _generated_hash(reader, prefix, name)
                    if isinstance(reader, Generated)
                    else _hash_chunks(reader, prefix, name)
                )
            return self._hashes[name]


def content_from(source: Source | str, *, lfs: bool) -> Content:
    """Wrap what a caller gives; a ``str`` is a path."""
    return Content(Path(os.fspath(source)) if isinstance(source, str) else source, lfs=lfs)
