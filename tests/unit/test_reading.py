from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wangp_downloader.paths import printable, printable_line
from wangp_downloader.reading import read_small


def test_a_regular_file_is_read_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x" * 10)
    (tmp_path / "link").symlink_to("file")
    assert read_small(tmp_path / "link", 10) == b"x" * 10


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("large", "Is larger than 0 MB"),
        ("pipe", "Is no regular file"),
        ("endless", "Is no regular file"),
        ("folder", "Is a directory"),
        ("absent", "No such file"),
    ],
)
def test_anything_else_is_refused_at_once(tmp_path: Path, name: str, words: str) -> None:
    (tmp_path / "large").write_bytes(b"x" * 11)
    (tmp_path / "endless").symlink_to("/dev/zero")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match=words) as caught:
        read_small(tmp_path / name, 10)
    assert caught.value.strerror
    assert words in caught.value.strerror


@given(st.text())
def test_printable_keeps_length_and_lines_and_nothing_that_steers(text: str) -> None:
    shown = printable(text)
    assert len(shown) == len(text)
    assert all(char.isprintable() or char == "\n" for char in shown)
    assert shown.count("\n") == text.count("\n")
    assert printable(shown) == shown


@given(st.text())
def test_a_printable_line_is_one_line(text: str) -> None:
    shown = printable_line(text)
    assert shown.isprintable()
    assert len(shown) == len(text)
