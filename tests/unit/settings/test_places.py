"""The mark of the settings: the same as long as they can not have changed."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from wangp_downloader.places import Surroundings, config_path, settings_mark


@pytest.fixture
def around(tmp_path: Path) -> Surroundings:
    (tmp_path / "here").mkdir()
    return Surroundings(
        tmp_path / "home", tmp_path / "here", {"WANGP_HUB_DIRECTORY": "/hub", "TERM": "xterm"}
    )


def test_the_mark_stays_while_nothing_that_counts_changes(around: Surroundings) -> None:
    mark = settings_mark({}, None, around)
    other_terminal = replace(around, environ={**around.environ, "TERM": "tmux", "COLUMNS": "80"})
    assert settings_mark({}, None, around) == settings_mark({}, None, other_terminal) == mark


def test_the_mark_changes_with_all_that_settings_are_made_of(around: Surroundings) -> None:
    file = config_path(around)
    marks = [settings_mark({}, None, around)]
    file.parent.mkdir(parents=True)
    for text in ("verify: once\n", "verify: trust\n"):
        file.write_text(text)
        marks.append(settings_mark({}, None, around))
    os.utime(file, ns=(1, 1))
    marks += [
        settings_mark({}, None, around),
        settings_mark({"bandwidth_limit_kb": 5}, None, around),
        settings_mark({}, Path("other.yaml"), around),
        settings_mark({}, None, around, offline=True),
        settings_mark({}, None, replace(around, here=around.home)),
        settings_mark({}, None, replace(around, environ={"WANGP_HUB_DIRECTORY": "/other"})),
    ]
    (around.here / "config.json").write_text("{}")
    marks.append(settings_mark({}, None, around))
    assert len(set(marks)) == len(marks)


def test_the_mark_tells_nothing(around: Surroundings) -> None:
    secret = replace(around, environ={"HF_TOKEN": "hf_secret"})
    assert "secret" not in settings_mark({}, None, secret)
