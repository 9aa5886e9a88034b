from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wangp_downloader.demo.hub_content import BLOCK_BYTES, Content, Generated


@given(st.integers(0, 3 * BLOCK_BYTES), st.integers(0, 3 * BLOCK_BYTES), st.integers(0, 3))
def test_generated_content_is_the_same_whichever_way_it_is_read(start: int, length: int, seed: int) -> None:
    generated = Generated(2 * BLOCK_BYTES + 77, seed)
    assert generated.read(start, length) == generated.read()[start : start + length]


def test_generated_blocks_differ_from_each_other_and_between_seeds() -> None:
    whole = Generated(4 * BLOCK_BYTES, 1).read()
    blocks = {whole[offset : offset + BLOCK_BYTES] for offset in range(0, len(whole), BLOCK_BYTES)}
    assert len(blocks) == 4
    assert Generated(100, 1).read() != Generated(100, 2).read()


def test_forty_gigabytes_can_be_read_at_the_end_at_once() -> None:
    size = 40 * 1024**3
    assert len(Generated(size, 5).read(size - 10)) == 10


def test_hashes_are_those_of_git_and_sha256sum(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    file.write_bytes(b'{"a": 1}\n')
    small = Content(file, lfs=False)
    git = subprocess.run(["git", "hash-object", file], capture_output=True, text=True, check=True)
    assert small.blob_id == small.etag == git.stdout.strip()
    assert Content(b"abc").sha256 == hashlib.sha256(b"abc").hexdigest()
    assert Content(b"abc").blob_id != Content(b"abc", lfs=False).blob_id


def test_a_known_hash_is_not_computed() -> None:
    assert Content(Generated(10**15, 0, sha256="ab" * 32)).sha256 == "ab" * 32


@pytest.mark.parametrize("offset", [0, 4, 9])
def test_corruption_changes_one_byte_and_no_hash(offset: int) -> None:
    content = Content(b"0123456789")
    before = content.sha256
    content.corrupt.add(offset)
    served = b"".join(content.chunks(0, 10))
    assert [index for index in range(10) if served[index] != b"0123456789"[index]] == [offset]
    assert content.sha256 == before
    assert b"".join(content.chunks(offset + 1, 10)) == b"0123456789"[offset + 1 :]
