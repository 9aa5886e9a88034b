"""The ground storey: paths, units, cancel token, errors, events, database, GPU."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path, PurePosixPath, PureWindowsPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wangp_downloader import errors, events
from wangp_downloader.cancel import CancelToken
from wangp_downloader.database import Database, Schema
from wangp_downloader.files import Outcome
from wangp_downloader.gpu import gpu_has_bf16
from wangp_downloader.paths import parse_hub_url, redact_url, safe_relative, shorten
from wangp_downloader.units import format_duration, format_size, format_speed, plural

hostile = st.text(alphabet=st.sampled_from("ab./\\:~%\0\n C|…"), max_size=30) | st.text(max_size=30)


class TestPaths:
    @given(hostile)
    def test_what_is_let_through_can_not_leave_its_folder(self, name: str) -> None:
        try:
            safe = safe_relative(name)
        except errors.UnsafePathError:
            return
        for flavour in (PurePosixPath, PureWindowsPath):
            path = flavour(safe)
            assert not path.is_absolute()
            assert not path.drive
            assert ".." not in path.parts
        assert "\0" not in safe
        assert "\\" not in safe
        assert safe_relative(safe) == safe

    @pytest.mark.parametrize(
        "name",
        ["", ".", "..", "/x", "\\x", "a/../b", "a\\..\\b", "C:x", "C:\\x", "//h/s", "a\0", "a\n", "nul", "x/COM1.txt",
         "a:stream", "a" * 256, "x/" * 600],
    )  # fmt: skip
    def test_refused(self, name: str) -> None:
        with pytest.raises(errors.UnsafePathError, match="refused the path"):
            safe_relative(name)

    @pytest.mark.parametrize(
        ("name", "safe"),
        [("a/./b//c", "a/b/c"), ("a\\b", "a/b"), ("größe/模型", "größe/模型"), ("..a/b..", "..a/b..")],
    )
    def test_let_through(self, name: str, safe: str) -> None:
        assert safe_relative(name) == safe

    @pytest.mark.parametrize(
        ("url", "shown"),
        [
            ("https://user:secret@host/a?token=secret#secret", "https://host/a"),
            ("http://[::1", "http://[::1"),
            ("https://host/a|b?x=secret", "https://host/a|b"),
        ],
    )
    def test_no_secret_is_shown(self, url: str, shown: str) -> None:
        assert redact_url(url) == shown

    @given(st.text(max_size=200))
    def test_redacting_never_raises_and_is_short(self, url: str) -> None:
        assert len(redact_url(url)) <= 300

    @pytest.mark.parametrize(
        ("url", "parts"),
        [
            (
                "https://huggingface.co/o/r/resolve/main/a/b%20c.bin?download=true",
                ("o/r", "main", "a/b c.bin"),
            ),
            ("https://hf.co/o/r/blob/v1/x", ("o/r", "v1", "x")),
            ("https://huggingface.co/o/r", None),
            ("https://civitai.com/api/download/models/1", None),
        ],
    )
    def test_hub_urls(self, url: str, parts: tuple[str, str, str] | None) -> None:
        assert parse_hub_url(url) == parts

    def test_shortened_text_keeps_both_ends(self) -> None:
        assert shorten("a" * 500 + "z", 20) == "aaaaaaaaa…aaaaaaaaz"


class TestUnits:
    @pytest.mark.parametrize(
        ("size", "text"),
        [
            (None, "?"),
            (0, "0 B"),
            (999, "999 B"),
            (1000, "0.98 KB"),
            (1023, "1.00 KB"),
            (1536, "1.50 KB"),
            (10 * 1024**3, "10.0 GB"),
            (123 * 1024**2, "123 MB"),
            (5 * 1024**5, "5.00 PB"),
            (9000 * 1024**5, "9000 PB"),
        ],
    )
    def test_sizes(self, size: int | None, text: str) -> None:
        assert format_size(size) == text

    @given(st.integers(min_value=0, max_value=2**62))
    def test_sizes_have_at_most_three_digits(self, size: int) -> None:
        number = format_size(size).split()[0]
        assert len(number.replace(".", "").lstrip("0")) <= 4

    @pytest.mark.parametrize(
        ("seconds", "text"),
        [
            (None, "–"),
            (float("inf"), "–"),
            (float("nan"), "–"),
            (-1, "–"),
            (42.4, "42 s"),
            (187, "3:07"),
            (3723, "1:02:03"),
            (183_600, "2 d 3 h"),
        ],
    )
    def test_durations(self, seconds: float | None, text: str) -> None:
        assert format_duration(seconds) == text

    def test_words(self) -> None:
        assert [plural(count, "file") for count in (1, 2000)] == ["1 file", "2,000 files"]
        assert plural(2, "entry", "entries") == "2 entries"
        assert (format_speed(0), format_speed(2048)) == ("–", "2.00 KB/s")


class TestCancel:
    def test_a_wait_ends_early_when_cancelled(self) -> None:
        token = CancelToken()
        threading.Timer(0.01, token.cancel).start()
        assert token.wait(30)
        with pytest.raises(errors.CancelledError):
            token.raise_if_cancelled()


def test_errors_carry_exit_codes_and_what_to_do() -> None:
    assert errors.SettingsError("x").exit_code == 2
    assert errors.CancelledError().exit_code == 130
    limited = errors.RateLimitedError("x", retry_after_s=87, hint="wait")
    assert (limited.retryable, limited.retry_after_s, limited.hint, str(limited)) == (True, 87, "wait", "x")


def test_events_name_themselves() -> None:
    event = events.FileFinished("ckpts/x", Outcome.FAILED, "why")
    assert events.to_json(event) == {
        "event": "file_finished",
        "key": "ckpts/x",
        "outcome": Outcome.FAILED,
        "error": "why",
        "hint": None,
        "verified": False,
    }


SCHEMA = Schema(1, "CREATE TABLE t (x INTEGER)", "the test database")


class TestDatabase:
    def test_what_is_written_is_there_for_another_process(self, tmp_path: Path) -> None:
        first = Database(tmp_path / "deep" / "a.db", SCHEMA)
        with first.writing() as connection:
            connection.execute("INSERT INTO t VALUES (1)")
        second = Database(tmp_path / "deep" / "a.db", SCHEMA)
        assert second.connection().execute("SELECT x FROM t").fetchone()["x"] == 1
        first.close()
        second.close()

    def test_a_failed_change_is_taken_back(self, tmp_path: Path) -> None:
        database = Database(tmp_path / "a.db", SCHEMA)

        def fail() -> None:
            with database.writing() as connection:
                connection.execute("INSERT INTO t VALUES (1)")
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            fail()
        assert database.connection().execute("SELECT count(*) FROM t").fetchone()[0] == 0
        database.close()

    @pytest.mark.parametrize("kind", ["garbage", "other version"])
    def test_an_unusable_file_is_set_aside_and_made_anew(self, tmp_path: Path, kind: str) -> None:
        path = tmp_path / "a.db"
        if kind == "garbage":
            path.write_bytes(b"garbage" * 1000)
        else:
            with sqlite3.connect(path) as connection:
                connection.execute("PRAGMA user_version=99")
            connection.close()
        notices: list[events.Event] = []
        database = Database(path, SCHEMA, notices.append)
        assert database.connection().execute("SELECT count(*) FROM t").fetchone()[0] == 0
        database.close()
        assert [type(notice) for notice in notices] == [events.Notice]
        assert list(tmp_path.glob("a.db.broken-*"))

    def test_a_folder_in_its_place_is_a_clear_error(self, tmp_path: Path) -> None:
        (tmp_path / "a.db").mkdir()
        with pytest.raises(errors.DatabaseError, match=r"can not open the test database .*a\.db"):
            Database(tmp_path / "a.db", SCHEMA)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [("8.9", True), ("7.5", False), ("7.5\n8.9", False), ("nonsense", True), ("", True)],
)
def test_the_gpu_is_asked_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str, expected: bool
) -> None:
    program = tmp_path / "bin" / "nvidia-smi"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\necho called >> {tmp_path}/calls\nprintf '{answer}'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    assert [gpu_has_bf16(tmp_path / "state") for _ in range(2)] == [expected, expected]
    assert (tmp_path / "calls").read_text().count("called") == 1


def test_without_a_driver_bf16_is_assumed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert gpu_has_bf16(tmp_path)
