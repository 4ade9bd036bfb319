# SPDX-License-Identifier: EUPL-1.2

"""The one JSON document of a command: also where it fails, or is used wrongly, there is exactly one.

It imports nothing that takes time, since every command starts with it.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final

import typer

FAILED: Final = 1
WRONG_USE: Final = 2
WRONG_CONFIGURATION: Final = 78


@dataclass(slots=True)
class _Document:
    """Whether one was asked for, and whether it was shown."""

    asked: bool
    shown: bool = False


_DOCUMENT: Final[ContextVar[_Document | None]] = ContextVar("document", default=None)


@contextmanager
def one_document(*, asked: bool) -> Iterator[None]:
    """One run of the command line; where a JSON document was `asked` for, it shows one, also when it fails."""
    token = _DOCUMENT.set(_Document(asked))
    try:
        yield
    finally:
        _DOCUMENT.reset(token)


@contextmanager
def usage_told() -> Iterator[None]:
    """Where a JSON document was asked for, a wrong use of the command is told in it too."""
    try:
        yield
    except typer.Abort:
        show_error("aborted", FAILED)
        raise
    except Exception as error:
        told = getattr(error, "format_message", None)  # of what the library raises for a wrong use
        if told is not None:
            vars(error)["message"] = str(vars(error).get("message")).replace("Value error, ", "")
            show_error(told(), WRONG_USE)
        raise


def show_error(message: str, code: int) -> None:
    """Show what went wrong, in lines, as the JSON document, where one was asked for and none was shown."""
    document = _DOCUMENT.get()
    if document is not None and document.asked and not document.shown:
        error = {"exitCode": code, "problems": message.splitlines()}
        show_text(json.dumps({"error": error}, indent=2, ensure_ascii=False))


def show_text(text: str) -> None:
    """Show the JSON document."""
    document = _DOCUMENT.get()
    if document is not None:
        document.shown = True
    typer.echo(text)
