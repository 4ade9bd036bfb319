# SPDX-License-Identifier: EUPL-1.2

"""Values as text: for JSON, and for the eyes of people."""

import json
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from enum import Enum
from typing import Any

from cpa import format_duration


def to_json(value: Any) -> str:
    """One JSON document, in lines."""
    return json.dumps(value, indent=2, ensure_ascii=False, default=jsonable)


def json_octets(value: Any) -> bytes:
    """One JSON document in UTF-8; what UTF-8 cannot say (half a character, from a header) is escaped."""
    return to_json(value).encode("utf-8", "backslashreplace")


def jsonable(value: Any) -> Any:
    """What stands in JSON for a value that JSON does not know."""
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, timedelta):
        return format_duration(value)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, frozenset | set):
        return sorted(value)
    return str(value)


def plain(value: Any) -> str:
    """A value on one line."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%SZ}"
    return printable(str(jsonable(value))).replace("\n", " ")


def printable(text: str) -> str:
    """A text that cannot drive a terminal: partners choose file names, ids and reasons."""
    return "".join(c if c.isprintable() or c == "\n" else " " if c in "\t\r" else "\ufffd" for c in text)


def detail_line(detail: Mapping[str, Any]) -> str:
    """The details of a line of the timeline or the audit trail, on one line."""
    return ", ".join(f"{key}={printable(str(value))}" for key, value in detail.items())
