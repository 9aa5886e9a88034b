from __future__ import annotations

import importlib
import inspect
import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wangp_downloader.errors import (
    DownloaderError,
    GatedError,
    NotFoundError,
    OfflineError,
    RateLimitedError,
    RemoteError,
)
from wangp_downloader.http_waits import wait_asked
from wangp_downloader.remote.foreign import (
    TABLE,
    Asked,
    Kind,
    TransientError,
    UnreachableError,
    error_for_status,
    kind_of,
    translate,
)

ASKED = Asked("org/name", "https://hub.example")


def exceptions_of(module_name: str) -> list[type[BaseException]]:
    module = importlib.import_module(module_name)
    return [
        value
        for name, value in vars(module).items()
        if inspect.isclass(value)
        and issubclass(value, Exception)
        and not issubclass(value, Warning)
        and not name.startswith("_")
    ]


def http_library() -> str:
    """The HTTP library below huggingface_hub: httpx or httpx2, by version."""
    errors = importlib.import_module("huggingface_hub.errors")
    base = next(base for base in errors.HfHubHTTPError.__mro__ if base.__name__ == "HTTPError")
    return str(base.__module__).partition(".")[0]


def test_every_documented_error_of_huggingface_hub_has_a_meaning_of_its_own() -> None:
    missing = {error.__name__ for error in exceptions_of("huggingface_hub.errors")} - TABLE.keys()
    assert missing == set()


def test_every_error_of_its_http_library_has_a_meaning() -> None:
    unknown = [error.__name__ for error in exceptions_of(http_library()) if kind_of(error) is None]
    assert unknown == []


def test_everything_that_library_retries_by_itself_is_retried_by_us() -> None:
    library = importlib.import_module(http_library())
    for error in (library.TimeoutException, library.NetworkError, library.RemoteProtocolError):
        assert kind_of(error) in (Kind.OFFLINE, Kind.UNREACHABLE)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("GatedRepoError", GatedError),
        ("RepositoryNotFoundError", NotFoundError),
        ("RevisionNotFoundError", NotFoundError),
        ("RemoteEntryNotFoundError", NotFoundError),
        ("DisabledRepoError", NotFoundError),
        ("HFValidationError", NotFoundError),
        ("OfflineModeIsEnabled", OfflineError),
        ("ConnectError", UnreachableError),
        ("ReadTimeout", OfflineError),
        ("TooManyRedirects", RemoteError),
        ("LocalProtocolError", RemoteError),
        ("CacheNotFound", RemoteError),
    ],
)
def test_classes_by_name(name: str, expected: type[DownloaderError]) -> None:
    classes = {error.__name__: error for module in ("huggingface_hub.errors", http_library())
               for error in exceptions_of(module)}  # fmt: skip
    # Built without __init__, whose arguments differ from class to class and version to version.
    error = classes[name].__new__(classes[name])
    translated = translate(error, ASKED)
    assert type(translated) is expected
    assert "org/name" in translated.message or "hub.example" in translated.message


def test_ours_stay_ours() -> None:
    error = GatedError("x")
    assert translate(error, ASKED) is error


@pytest.mark.parametrize(
    "error", [json.JSONDecodeError("x", "", 0), KeyError("oid"), TypeError("x"), AttributeError()]
)
def test_answers_that_can_not_be_read(error: Exception) -> None:
    assert "makes no sense" in translate(error, ASKED).message


def test_secrets_of_a_query_string_are_not_repeated() -> None:
    message = translate(OSError("GET 'https://host/x?token=secret' failed"), ASKED).message
    assert "secret" not in message
    assert "https://host/x" in message


@pytest.mark.parametrize(
    ("status", "expected", "retryable"),
    [
        (401, NotFoundError, False),
        (403, RemoteError, False),
        (404, NotFoundError, False),
        (408, TransientError, True),
        (418, RemoteError, False),
        (429, RateLimitedError, True),
        (500, TransientError, True),
        (504, TransientError, True),
    ],
)
def test_statuses(status: int, expected: type[DownloaderError], retryable: bool) -> None:
    error = error_for_status(status, {}, ASKED)
    assert type(error) is expected
    assert error.retryable is retryable


def test_only_the_hub_can_say_that_a_licence_is_to_be_accepted() -> None:
    gated = error_for_status(403, {"x-error-code": "GatedRepo"}, ASKED)
    assert isinstance(gated, GatedError)
    assert "accept the licence" in (gated.hint or "")
    of_the_hub = error_for_status(403, {"x-error-message": "your token may not\nread this"}, ASKED)
    assert isinstance(of_the_hub, GatedError)
    assert "your token may not read this" in of_the_hub.message
    assert "licence" not in f"{of_the_hub.message} {of_the_hub.hint}"
    in_between = error_for_status(403, {"content-type": "text/html"}, ASKED)
    assert not isinstance(in_between, GatedError)
    assert "org/name" in in_between.message
    assert "firewall" in in_between.message
    assert "licence" not in f"{in_between.message} {in_between.hint}"


def test_a_refused_token_is_told_from_a_missing_repo() -> None:
    headers = {"x-error-message": "Invalid credentials in Authorization header"}
    error = error_for_status(401, headers, ASKED)
    assert isinstance(error, GatedError)
    assert error.message == "https://hub.example refuses the access token"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"ratelimit": '"resolvers";r=0;t=87'}, 87),
        ({"ratelimit": '"api" ; r = 0 ; t = 5'}, 5),
        ({"retry-after": " 12 "}, 12),
        ({"ratelimit": '"api";r=0;t=5', "retry-after": "7"}, 7),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:09 GMT", "date": "Wed, 21 Oct 2015 07:28:00 GMT"}, 9),
        ({"retry-after": "Wednesday, 21-Oct-15 07:28:09 GMT", "date": "Wed, 21 Oct 2015 07:28:00 GMT"}, 9),
        ({"retry-after": "Wed Oct 21 07:28:09 2015", "date": "Wed, 21 Oct 2015 07:28:00 GMT"}, 9),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT", "date": "nonsense"}, 0),
        ({"retry-after": "Wed, 99 Oct 2015 07:28:00 GMT"}, None),
        ({"ratelimit": '"api";r=400;t=200'}, None),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "1e9"}, None),
        ({"retry-after": "9" * 400}, None),
        ({"ratelimit": "nonsense"}, None),
        ({}, None),
    ],
)
def test_how_long_to_wait(headers: dict[str, str], seconds: float | None) -> None:
    assert wait_asked(headers) == seconds


def test_a_date_without_the_servers_own_is_counted_from_our_clock() -> None:
    in_a_minute = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    assert 50 < (wait_asked({"retry-after": in_a_minute}) or 0) <= 60


@given(st.text(), st.text(), st.text())
def test_no_header_breaks_the_parser(rate_limit: str, retry_after: str, date: str) -> None:
    wait_s = wait_asked({"ratelimit": rate_limit, "retry-after": retry_after, "date": date})
    assert wait_s is None or wait_s >= 0
