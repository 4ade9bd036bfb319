# SPDX-License-Identifier: EUPL-1.2

"""One line of what `check` found: what was looked at, what came of it, and the fix."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from adapter.cli.output import FAILED, WRONG_CONFIGURATION


class Result(StrEnum):
    """What came of one look."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Line:
    """One line; `code` is the exit code that an error asks for."""

    what: str
    name: str
    result: Result
    detail: str
    code: int = 0

    def row(self) -> dict[str, Any]:
        """The line as it is shown."""
        return {"what": self.what, "name": self.name, "result": self.result, "detail": self.detail}


def ok(what: str, name: str, detail: str) -> Line:
    """All is well."""
    return Line(what, name, Result.OK, detail)


def warning(what: str, name: str, detail: str) -> Line:
    """Look at it; the daemon starts all the same."""
    return Line(what, name, Result.WARNING, detail)


def wrong(what: str, name: str, detail: str) -> Line:
    """The configuration, or a file that it names, must be corrected."""
    return Line(what, name, Result.ERROR, detail, WRONG_CONFIGURATION)


def failed(what: str, name: str, detail: str) -> Line:
    """Something outside the configuration does not work."""
    return Line(what, name, Result.ERROR, detail, FAILED)
