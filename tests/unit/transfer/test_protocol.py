"""Headers, redirects and verdicts: tables of what servers say."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wangp_downloader.errors import GatedError, NotFoundError, RateLimitedError, TransferError
from wangp_downloader.http_waits import wait_asked
from wangp_downloader.transfer.answer import Asked, Meaning, judge
from wangp_downloader.transfer.headers import (
    ContentRange,
    differs,
    parse_content_range,
    parse_length,
    parse_status_line,
    validator,
)
from wangp_downloader.transfer.redirect import Origin, next_url

NOW = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "meaning"),
    [
        ("bytes 0-9/100", ContentRange(0, 10, 100)),
        ("Bytes 5-5/*", ContentRange(5, 6, None)),
        ("bytes */100", ContentRange(None, None, 100)),
        ("bytes 9-0/100", None),
        ("bytes 0-100/100", None),
        ("items 0-9/100", None),
        ("bytes 0-9", None),
        ("", None),
        (None, None),
    ],
)
def test_content_range(value: str | None, meaning: ContentRange | None) -> None:
    assert parse_content_range(value) == meaning


@given(st.text(max_size=60))
def test_nothing_a_server_says_raises(text: str) -> None:
    parse_content_range(text)
    parse_length(text)
    parse_status_line(text.encode())
    wait = wait_asked({"retry-after": text, "ratelimit": text, "date": text}, NOW)
    assert wait is None or wait >= 0
    with contextlib.suppress(TransferError):
        assert next_url("https://hub.example/a/b", text).startswith("https://")


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7),
        ({"retry-after": "Thu, 01 Jan 2026 12:00:30 GMT"}, 30),
        ({"retry-after": "Thu, 01 Jan 2026 11:00:00 GMT"}, 0),
        ({"ratelimit": '"resolvers";r=0;t=87'}, 87),
        ({"ratelimit": '"api";r=0;t=5', "retry-after": "9"}, 9),
        ({"ratelimit": '"resolvers";r=4000;t=40'}, None),
        ({"ratelimit": '"api";r=5;t=9, "resolvers";r=0;t=300'}, 300),
        ({"retry-after": "Thu, 01 Jan 99999999999 12:00:30 GMT"}, None),
        ({"retry-after": "soon"}, None),
        ({}, None),
    ],
)
def test_the_wait_that_is_asked(headers: dict[str, str], seconds: float | None) -> None:
    assert wait_asked(headers, NOW) == seconds


def test_a_wait_until_a_date_is_counted_by_the_servers_clock() -> None:
    headers = {"retry-after": "Wed, 21 Oct 2015 07:28:30 GMT", "date": "Wed, 21 Oct 2015 07:28:00 GMT"}
    assert wait_asked(headers, NOW) == 30.0
    assert wait_asked({**headers, "date": "yesterday"}, NOW) == wait_asked(
        {"retry-after": headers["retry-after"]}, NOW
    )


@pytest.mark.parametrize(
    ("current", "location", "target"),
    [
        ("https://hub.co/a/resolve/m/f", "https://cdn.co/f?X=1#frag", "https://cdn.co/f?X=1"),
        ("https://hub.co/a/resolve/m/f", "/b/resolve/m/f", "https://hub.co/b/resolve/m/f"),
        ("https://hub.co/a", "//cdn.co/f", "https://cdn.co/f"),
        ("http://hub.co/a", "https://hub.co/a", "https://hub.co/a"),
        ("https://hub.co/a", "https://user:pw@cdn.co/f", "https://cdn.co/f"),
        ("https://hub.co/a", "https://cdn.co/with space", "https://cdn.co/with%20space"),
    ],
)
def test_redirects_that_are_followed(current: str, location: str, target: str) -> None:
    assert next_url(current, location) == target


@pytest.mark.parametrize(
    "location",
    [
        "file:///etc/passwd",
        "http://hub.co/a",
        "ftp://x/y",
        "javascript:alert(1)",
        "https://[bad/",
    ],
)
def test_redirects_that_are_refused(location: str) -> None:
    with pytest.raises(TransferError) as caught:
        next_url("https://hub.co/a?sig=s3cret", location)
    assert not caught.value.retryable
    assert "s3cret" not in caught.value.message


def test_origins_differ_by_scheme_host_and_port() -> None:
    same = {Origin.of("https://Hub.co/a"), Origin.of("https://hub.co:443/b")}
    other = {Origin.of(url) for url in ("http://hub.co/a", "https://hub.co:8443/a", "https://hub.co.evil/a")}
    assert len(same) == 1
    assert len(same | other) == 4


@pytest.mark.parametrize(
    ("known", "headers", "other"),
    [
        ('"a"', {"etag": '"a"'}, False),
        ('"a"', {"etag": '"b"'}, True),
        ('"a"', {"last-modified": "Mon"}, False),
        ("last-modified: Mon", {"last-modified": "Mon", "etag": '"b"'}, False),
        ("last-modified: Mon", {"last-modified": "Tue"}, True),
        ("last-modified: Mon", {}, False),
        (None, {"etag": '"a"'}, False),
    ],
)
def test_another_version_by_the_validator_that_is_known(
    known: str | None, headers: dict[str, str], other: bool
) -> None:
    assert differs(known, headers) is other
    assert not differs(validator(headers), headers)


ASKED = Asked("https://cdn/f", start=100, end=200, size=1000, at_origin=False)


@pytest.mark.parametrize(
    ("status", "headers", "meaning"),
    [
        (206, {"content-range": "bytes 100-199/1000"}, Meaning.BODY),
        (206, {"content-range": "bytes 100-149/1000"}, Meaning.BODY),
        (206, {"content-range": "bytes 100-199/*"}, Meaning.BODY),
        (206, {"content-range": "bytes 100-299/1000"}, Meaning.BODY),
        (206, {"content-range": "bytes 0-99/1000"}, Meaning.RETRY),
        (206, {"content-range": "bytes 100-199/1001"}, Meaning.CHANGED),
        (206, {}, Meaning.ONE_STREAM),
        (206, {"content-range": "bytes 100-199/1000", "content-encoding": "gzip"}, Meaning.FAIL),
        (200, {"content-length": "1000"}, Meaning.ONE_STREAM),
        (200, {"content-length": "999"}, Meaning.CHANGED),
        (302, {"location": "/x"}, Meaning.REDIRECT),
        (302, {}, Meaning.FAIL),
        (304, {}, Meaning.FAIL),
        (400, {}, Meaning.RESOLVE_AGAIN),
        (403, {}, Meaning.RESOLVE_AGAIN),
        (404, {}, Meaning.RESOLVE_AGAIN),
        (410, {}, Meaning.RESOLVE_AGAIN),
        (408, {}, Meaning.RETRY),
        (429, {}, Meaning.RETRY),
        (503, {}, Meaning.RETRY),
        (599, {}, Meaning.RETRY),
        (501, {}, Meaning.FAIL),
        (407, {}, Meaning.FAIL),
        (416, {"content-range": "bytes */1000"}, Meaning.ONE_STREAM),
        (416, {"content-range": "bytes */50"}, Meaning.CHANGED),
    ],
)
def test_verdicts(status: int, headers: dict[str, str], meaning: Meaning) -> None:
    verdict = judge(status, headers, ASKED)
    assert verdict.meaning is meaning
    if meaning not in {Meaning.BODY, Meaning.REDIRECT}:
        assert verdict.error is not None
        assert verdict.error.retryable == (meaning not in {Meaning.FAIL, Meaning.CHANGED})


@pytest.mark.parametrize(
    ("status", "headers", "error", "hint"),
    [
        (401, {}, GatedError, "hf auth login"),
        (403, {"x-error-code": "GatedRepo"}, GatedError, "https://hub.co/org/name"),
        (404, {"x-error-code": "EntryNotFound"}, NotFoundError, None),
        (404, {}, NotFoundError, None),
        (429, {"retry-after": "4"}, RateLimitedError, None),
    ],
)
def test_what_the_origin_refuses(
    status: int, headers: dict[str, str], error: type[Exception], hint: str | None
) -> None:
    asked = Asked("https://hub.co/org/name/resolve/main/f", 0, 10, 10)
    found = judge(status, headers, asked).error
    assert isinstance(found, error)
    assert hint is None or hint in (found.hint or "")


def test_a_login_page_is_not_a_model() -> None:
    asked = Asked("https://x/f", 0, 10, None)
    assert judge(200, {"content-type": "text/html; charset=utf-8"}, asked).meaning is Meaning.FAIL


def test_other_validator_means_other_content() -> None:
    asked = Asked("https://x/f", 0, 10, 100, etag='"a"')
    headers = {"content-range": "bytes 0-9/100"}
    assert judge(206, {**headers, "etag": '"a"'}, asked).meaning is Meaning.BODY
    assert judge(206, {**headers, "etag": '"b"'}, asked).meaning is Meaning.CHANGED
