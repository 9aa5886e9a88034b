"""The journal of a part file: which bytes of it are certainly on the disk, and their checksums.

The format is documented in ``docs/disk-formats-part.md``: a header line and lines of extents, all JSON.
Written after the data was synced, so that it never claims what is not there; read with suspicion, since
every claim is checked against the bytes before it counts.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import msgspec

from wangp_downloader.paths import redact_url
from wangp_downloader.reading import read_small
from wangp_downloader.renames import sync_folder
from wangp_downloader.transfer.checksums import Extent
from wangp_downloader.transfer.request import TransferRequest
from wangp_downloader.transfer.storage import storage_errors
from wangp_downloader.units import MIB

FORMAT = "wangp-part"
VERSION = 1
_MOST_SUPERSEDED = 20_000
_MOST_BYTES = 32 * MIB


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """The first line: whose part this is.

    Attributes:
        format: Always ``wangp-part``.
        version: Of this format.
        url: Where it comes from, without user, password, query and fragment.
        digest: ``sha256:…`` or ``git-sha1:…``, or None.
        size: Bytes of the whole file.
        etag: Validator of the answer, for files without a digest.
    """

    format: str = FORMAT
    version: int = VERSION
    url: str
    digest: str | None
    size: int
    etag: str | None = None

    @classmethod
    def of(cls, request: TransferRequest, size: int, etag: str | None) -> Header:
        """Return the header for a request whose size is known."""
        digest = None if request.digest is None else str(request.digest)
        return cls(url=redact_url(request.url), digest=digest, size=size, etag=etag)

    def change_since(self, request: TransferRequest) -> str | None:
        """Return what differs from the request so that the part is of no use, or None."""
        digest = None if request.digest is None else str(request.digest)
        if (self.format, self.version) != (FORMAT, VERSION):
            return f"its part was written in format {self.format} {self.version}"
        if request.size is not None and request.size != self.size:
            return f"the file now has {request.size:,} bytes, the part belongs to one of {self.size:,}"
        if digest != self.digest and digest is not None and self.digest is not None:
            return "the file has another hash now"
        if digest is None and self.url != redact_url(request.url):
            return f"the part came from {self.url}"
        if digest is None and self.etag is None:
            return "nobody can say whether it is still the same content"
        return None


class _Batch(msgspec.Struct, frozen=True):
    x: list[tuple[int, int, int]]


_UNREADABLE = (msgspec.MsgspecError, ValueError, RecursionError)
_header_decoder = msgspec.json.Decoder(Header)
_batch_decoder = msgspec.json.Decoder(_Batch)


class Journal:
    """The journal file of one part; used by one thread at a time.

    Attributes:
        path: The file.
        header: Its first line, None before ``begin`` where nothing usable was there.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.header: Header | None = None
        self._extents: dict[int, Extent] = {}
        self._fd = -1
        self._superseded = 0
        self._torn = False

    @property
    def extents(self) -> list[Extent]:
        """What it claims."""
        return list(self._extents.values())

    def keep(self, extents: list[Extent]) -> None:
        """Let only these claims count from now on; written at the next ``begin``."""
        self._extents = {extent.start: extent for extent in extents}

    def load(self) -> None:
        """Read what is there: nothing of a missing or foreign file, of a torn one what comes before the tear."""
        if self.path.is_symlink():
            return
        try:
            lines = read_small(self.path, _MOST_BYTES).split(b"\n")
        except OSError:
            return
        try:
            self.header = _header_decoder.decode(lines[0])
        except _UNREADABLE:
            return
        # The last element is b"" after a whole line; anything else was torn and does not count.
        self._torn = lines[-1] != b""
        for line in lines[1:-1]:
            try:
                batch = _batch_decoder.decode(line)
            except _UNREADABLE:
                self._torn = True
                break
            self.claim([Extent(*numbers) for numbers in batch.x])

    def begin(self, header: Header) -> None:
        """Write a new file with ``header`` and the present extents, atomically, and keep it open.

        Raises:
            StorageError: The disk refuses.
        """
        self.close()
        self.header = header
        fresh = self.path.with_name(self.path.name + ".new")
        content = msgspec.json.encode(header) + b"\n" + _encode(self.extents)
        with storage_errors("write", fresh):
            # A link of this name is somebody's trap, or mistake: what it points to is not ours.
            fresh.unlink(missing_ok=True)
            fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
            try:
                _write_all(fd, content)
                os.fsync(fd)
            finally:
                os.close(fd)
            fresh.replace(self.path)
            self._superseded, self._torn = 0, False
            sync_folder(self.path.parent)

    def append(self, extents: list[Extent]) -> None:
        """Claim more extents, whose data is on the disk, and sync.

        Raises:
            StorageError: The disk refuses.
        """
        if self._torn and self.header is not None:
            # What is appended to half a line could not be read.
            self.claim(extents)
            self.begin(self.header)
            return
        with storage_errors("write", self.path):
            if self._fd < 0:
                self._fd = os.open(self.path, os.O_WRONLY | os.O_APPEND | getattr(os, "O_BINARY", 0))
            # Until it is written whole, the end of the file may be half a line.
            self._torn = True
            _write_all(self._fd, _encode(extents))
            self._torn = False
            getattr(os, "fdatasync", os.fsync)(self._fd)
        self.claim(extents)
        # An extent that grows is written again and again: now and then only its last state is kept.
        if self._superseded > _MOST_SUPERSEDED + len(self._extents) and self.header is not None:
            self.begin(self.header)

    def forget(self, extents: list[Extent]) -> None:
        """Take claims back and write the file anew.

        Raises:
            StorageError: The disk refuses.
        """
        gone = set(extents)
        self.keep([extent for extent in self.extents if extent not in gone])
        if self.header is not None:
            self.begin(self.header)

    def remove(self) -> None:
        """Delete the file if it is there."""
        self.close()
        self.header = None
        self.keep([])
        for path in (self.path, self.path.with_name(self.path.name + ".new")):
            with contextlib.suppress(OSError):
                path.unlink()

    def close(self) -> None:
        """Close the file; may be called twice."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def claim(self, extents: list[Extent]) -> None:
        """Claim more extents in memory; of those with the same start the last counts."""
        for extent in extents:
            self._superseded += extent.start in self._extents
            self._extents[extent.start] = extent


def disjoint(extents: list[Extent], size: int) -> list[Extent]:
    """Return the extents sorted, without those that overlap an earlier start or leave ``[0, size)``."""
    kept: list[Extent] = []
    end = 0
    for extent in sorted(extents):
        if extent.length > 0 and extent.start >= end and extent.end <= size:
            kept.append(extent)
            end = extent.end
    return kept


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def _encode(extents: list[Extent]) -> bytes:
    if not extents:
        return b""
    numbers = [(extent.start, extent.length, extent.checksum) for extent in extents]
    return msgspec.json.encode(_Batch(numbers)) + b"\n"
