# SPDX-License-Identifier: EUPL-1.2

"""What the answer of a server says beside its status: why, and when to come again."""

import json
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus

LONGEST_WAIT = timedelta(hours=6)  # a server that names a longer pause is asked again before that
_MAX_DETAIL = 500


def describe_body(body: bytes) -> str:
    """The title and detail of a problem document (RFC 9457); empty for anything else, which is not for a
    log.
    """
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    if not isinstance(document, dict):
        return ""
    parts = [document[key] for key in ("title", "detail") if isinstance(document.get(key), str)]
    return _one_line("; ".join(dict.fromkeys(part for part in parts if part)))


def wait_asked(retry_after: str | None, now: datetime) -> timedelta | None:
    """The wait that a Retry-After header asks for, in seconds or as a date (RFC 9110 10.2.3); None when
    unreadable.

    Never negative, and at most LONGEST_WAIT.
    """
    if retry_after is None:
        return None
    text = retry_after.strip()
    if text.isascii() and text.isdigit():
        # Twelve digits are over 30 000 years: enough to be cut to the longest wait, and no overflow.
        return min(timedelta(seconds=min(int(text[:12]), 10**9)), LONGEST_WAIT)
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return min(max(moment - now, timedelta()), LONGEST_WAIT)


def is_about_server(status: int) -> bool:
    """Whether the Retry-After of an answer with this status is about the server, and not about the request alone."""
    return status in {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}


def phrase_of(status: int) -> str:
    """What HTTP calls a status."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "(unknown status)"


def _one_line(text: str) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in text[:_MAX_DETAIL])
