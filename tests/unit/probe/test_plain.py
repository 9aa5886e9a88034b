"""From what handlers return to JSON: nothing is guessed, nothing that decides about files is dropped."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wangp_downloader.catalog.probe.probe_inside.plain import (
    FILE_KEYS,
    NotPlainError,
    files_defs,
    plain,
    plain_definition,
)
from wangp_downloader.catalog.probe.probe_inside.standins import StandIn

_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | _TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXT, inner, max_size=4),
    max_leaves=10,
)


@given(_JSON)
def test_json_stays_as_it_is(value: object) -> None:
    assert plain(value) == value


def test_tuples_and_sets_become_lists() -> None:
    assert plain({"a": (1, {2, 1}), 3: frozenset("x")}) == {"a": [1, [1, 2]], "3": ["x"]}


@pytest.mark.parametrize(
    "value",
    [
        object(),
        len,
        StandIn("torch.x"),
        f"https://x/{StandIn('torch.x')}",
        {"a": [print]},
        {(1,): 2},
        "\ud800",
        b"x",
    ],
    ids=[
        "object",
        "function",
        "stand-in",
        "text with one",
        "list with a function",
        "tuple as key",
        "surrogate",
        "bytes",
    ],
)
def test_what_is_not_plain_is_refused(value: object) -> None:
    with pytest.raises(NotPlainError):
        plain(value)


@pytest.mark.parametrize("key", sorted(FILE_KEYS))
def test_a_key_that_decides_about_files_is_never_dropped(key: str) -> None:
    with pytest.raises(NotPlainError, match=key):
        plain_definition({key: [StandIn("torch.x")]})


def test_other_keys_are() -> None:
    assert plain_definition({"a": len, "b": 1, "prompt_infos": "x", "text_instructions": "y"}) == {"b": 1}


def test_lists_are_paired_as_wan2gp_does() -> None:
    answer = {
        "repoId": "o/r",
        "sourceFolderList": ["a", "", "", "lost"],
        "fileList": [[], ["f"], []],
        "targetFolderList": ["t", None, None, None],
    }
    assert files_defs(answer) == [
        {"repo": "o/r", "source_folder": "a", "files": [], "target_folder": "t"},
        {"repo": "o/r", "source_folder": "", "files": ["f"], "target_folder": ""},
    ]
    assert files_defs([answer, answer]) == files_defs(answer) * 2
    assert files_defs([]) == []


@pytest.mark.parametrize(
    "answer",
    [
        None,
        5,
        {},
        {"repoId": "o/r"},
        {"repoId": "o/r", "sourceFolderList": ["a"]},
        {"repoId": "o/r", "sourceFolderList": "a", "fileList": [["f"]]},
        {"repoId": "o/r", "sourceFolderList": ["a"], "fileList": ["f"]},
        {"repoId": "o/r", "sourceFolderList": ["a"], "fileList": [[1]]},
        {"repoId": "o/r", "sourceFolderList": [None], "fileList": [["f"]]},
        {"repoId": "o/r", "sourceFolderList": ["a"], "fileList": [["f"]], "targetFolderList": [1]},
        {"repoId": StandIn("x.y"), "sourceFolderList": ["a"], "fileList": [["f"]]},
        {"repoId": "o/r", "sourceFolderList": ["a"], "fileList": [[f"{StandIn('x.y')}.bin"]]},
    ],
)
def test_other_shapes_are_refused(answer: Any) -> None:
    with pytest.raises(NotPlainError):
        files_defs(answer)
