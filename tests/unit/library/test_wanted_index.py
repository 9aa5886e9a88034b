"""What is looked for: found by size, digest and any spelling of a URL."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wangp_downloader.files import Digest, DigestKind, Wanted
from wangp_downloader.library.wanted import WantedIndex, normalise_url

BASE = "https://huggingface.co/org/name/resolve/main/sub/file.safetensors"
KEY = "huggingface.co/org/name/sub/file.safetensors"

digests = st.builds(
    lambda number, git: Digest(
        DigestKind.GIT_BLOB if git else DigestKind.SHA256, f"{number:0{40 if git else 64}x}"
    ),
    st.integers(0, 50),
    st.booleans(),
)
wanteds = st.builds(Wanted, digests, st.integers(0, 40), st.frozensets(st.text(max_size=5), max_size=2))


@given(st.lists(wanteds, max_size=30), st.integers(0, 40))
def test_by_size_is_exactly_the_wanted_of_that_size(items: list[Wanted], size: int) -> None:
    index = WantedIndex(items)
    first_sizes: dict[Digest, int] = {}
    for item in items:
        if item.size:
            first_sizes.setdefault(item.digest, item.size)
    expected = {
        digest
        for digest, wanted_size in first_sizes.items()
        if wanted_size == size and digest.kind is DigestKind.SHA256
    }
    assert {item.digest for item in index.by_size(size)} == expected
    assert (size in index.sizes) == bool(expected)
    assert {item.digest for item in index.all} == set(first_sizes)
    for item in index.all:
        assert index.by_digest(item.digest) is item
        assert index.by_hex(item.digest.hex.upper()) is item


def test_names_and_urls_of_one_digest_are_merged() -> None:
    digest = Digest(DigestKind.SHA256, "a" * 64)
    index = WantedIndex(
        [
            Wanted(digest, 5, frozenset({"a"}), frozenset({BASE})),
            Wanted(digest, 5, frozenset({"b"}), frozenset({"https://example.org/x"})),
        ]
    )
    assert len(index) == 1
    (item,) = index.by_url("https://example.org/x?download=true")
    assert item.names == {"a", "b"}


@pytest.mark.parametrize(
    "url",
    [
        BASE,
        f"{BASE}?download=true",
        f"{BASE}#top",
        f"  {BASE}\n",
        "http://HuggingFace.co/org/name/resolve/main/sub/file.safetensors",
        "https://www.huggingface.co/org/name/blob/main/sub/file.safetensors",
        "https://hf.co/org/name/raw/0123abc/sub/file.safetensors",
        "https://user:secret@huggingface.co/org/name/resolve/refs%2Fpr%2F1/sub/file.safetensors",
        "https://huggingface.co/org/name/resolve/main/sub%2Ffile.safetensors",
    ],
)
def test_one_file_has_one_key(url: str) -> None:
    assert normalise_url(url) == KEY


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (BASE, BASE.replace("sub/", "")),
        (BASE, BASE.replace("org/", "other/")),
        ("https://civitai.com/api/download/models/1", "https://civitai.com/api/download/models/2"),
        ("https://civitai.com/api/download/models/1?fp=fp16", "https://civitai.com/api/download/models/1"),
    ],
)
def test_different_files_have_different_keys(one: str, other: str) -> None:
    assert normalise_url(one) != normalise_url(other)


def test_secrets_are_not_part_of_a_key() -> None:
    assert "hunter2" not in normalise_url("https://civitai.com/api/download/models/1?token=hunter2&fp=8")


@given(st.text(max_size=80))
def test_no_text_is_too_odd(text: str) -> None:
    normalise_url(text)
    normalise_url(f"https://{text}")
    WantedIndex([Wanted(Digest(DigestKind.SHA256, "a" * 64), 1, urls=frozenset({text}))]).by_source(text)


@given(st.lists(st.text("abc-_ é%+", min_size=1, max_size=8), min_size=1, max_size=4))
def test_escapes_do_not_matter(parts: list[str]) -> None:
    path = "/".join(part.strip() or "x" for part in parts)
    plain = f"https://huggingface.co/org/name/resolve/main/{quote(path)}"
    assert normalise_url(plain) == f"huggingface.co/org/name/{path}"


@pytest.mark.parametrize(
    ("source", "found"),
    [
        (BASE, True),
        ("org/name::sub/file.safetensors", True),
        ("org/name:fp16::sub/file.safetensors", True),
        ("org/name:fp16", True),
        ("org/name", True),
        ("ORG/Name", True),
        ("org/other", False),
        ("org/name::other", False),
        ("/models/file.safetensors", False),
        ("", False),
    ],
)
def test_sources_as_invokeai_writes_them(source: str, found: bool) -> None:
    index = WantedIndex([Wanted(Digest(DigestKind.SHA256, "a" * 64), 1, urls=frozenset({BASE}))])
    assert bool(index.by_source(source)) is found
