# SPDX-License-Identifier: EUPL-1.2

"""What a failed request means: whether to try again, when, and what to tell the operator."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from adapter.net import describe_body, wait_asked
from adapter.stam.problems import is_temporary, status_problem

NOW = datetime(2024, 1, 2, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize("status", [401, 403, 408, 409, 418, 425, 429, 500, 502, 503, 504, 599])
def test_what_may_pass_is_temporary(status: int) -> None:
    assert is_temporary(status, may_come_later=False)


@pytest.mark.parametrize("status", [301, 302, 307, 400, 404, 405, 406, 410, 415, 422])
def test_what_cannot_pass_is_permanent(status: int) -> None:
    assert not is_temporary(status, may_come_later=False)


def test_references_that_are_not_there_yet_are_temporary() -> None:
    assert is_temporary(404, may_come_later=True)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("7", timedelta(seconds=7)),
        (" 0 ", timedelta()),
        ("Tue, 02 Jan 2024 12:01:00 GMT", timedelta(minutes=1)),
        ("Tue, 02 Jan 2024 11:00:00 GMT", timedelta()),
        ("99999999999999999999999999", timedelta(hours=6)),
        ("-5", None),
        ("²", None),
        ("soon", None),
        ("99999999999999999999 Jan 2024 12:00:00 GMT", None),
        ("Tue, 02 Jan 2024 12:01:00 -2400", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after_is_seconds_or_a_date(header: str | None, expected: timedelta | None) -> None:
    assert wait_asked(header, NOW) == expected


def test_the_reason_holds_what_the_problem_document_says() -> None:
    body = json.dumps({"title": "Not Found", "detail": "no verzoek 1\r\nforged line"}).encode()
    problem = status_problem(404, body, None, NOW, what="the references of verzoek 1")
    assert problem.reason == (
        "the references of verzoek 1: HTTP 404 Not Found: Not Found; no verzoek 1  forged line"
    )
    assert not problem.temporary


def test_a_whitelist_problem_says_what_to_check() -> None:
    problem = status_problem(403, b"", None, NOW, what="x")
    assert "whitelist" in problem.reason
    assert problem.temporary


def test_a_wait_is_honoured_for_a_temporary_problem() -> None:
    assert status_problem(429, b"", "30", NOW, what="x").after == timedelta(seconds=30)


@pytest.mark.parametrize("body", [b"", b"<html>secret</html>", b"[]", b'{"detail": 1}', b"[" * 100_000])
def test_a_body_that_is_no_problem_document_is_not_repeated(body: bytes) -> None:
    assert describe_body(body) == ""
