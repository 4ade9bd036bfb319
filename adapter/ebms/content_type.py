# SPDX-License-Identifier: EUPL-1.2

"""A Content-Type header, read and written as RFC 2045 section 5.1 has it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

MAX_LENGTH: Final = 8 * 1024
"""Longest header value that is looked at, in characters."""

_FOLD = re.compile(r"\r?\n[ \t]+")
_TOKEN = re.compile(r"[!#$%&'*+\-.0-9A-Z^_`a-z{|}~]+")
_BARE_VALUE = re.compile(r'[^\s;"()\\]+')
_QUOTED_VALUE = re.compile(r'"((?:[^"\\]|\\.)*+)"')
_SPACE = re.compile(r"[ \t]*")
_COMMENT_STEP = re.compile(r"[^()\\]+|\\.|[()]")


class ContentTypeProblem(ValueError):
    """A Content-Type header that cannot be read, or a value that cannot be written."""


@dataclass(frozen=True, slots=True)
class ContentType:
    """A media type and its parameters.

    `media_type` is in lower case (`text/xml`); `parameters` has names in lower case and values as they
    were meant: unquoted, case kept.
    """

    media_type: str
    parameters: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def is_multipart(self) -> bool:
        """Whether the body consists of parts."""
        return self.media_type.startswith("multipart/")

    @property
    def charset(self) -> str | None:
        """The charset parameter in lower case, None where there is none."""
        value = self.parameters.get("charset")
        return None if value is None else value.lower()

    def format(self) -> str:
        """This value as a header value. Raises ContentTypeProblem as `format_content_type` does."""
        return format_content_type(self.media_type, self.parameters)


def parse_content_type(value: str) -> ContentType:
    """Read a Content-Type header value (RFC 2045 5.1; RFC 822 comments and folding tolerated).

    Unquoted values may hold characters that should have been quoted (`boundary=----=_1`,
    `start=<a@b>`), because real senders do that. A parameter that occurs twice is refused: two readers
    could choose differently. Raises ContentTypeProblem.
    """
    if len(value) > MAX_LENGTH:
        raise ContentTypeProblem(f"Content-Type is longer than {MAX_LENGTH} characters")
    text = _FOLD.sub(" ", value.strip(" \t\r\n"))
    if any(ord(char) < 32 and char != "\t" for char in text) or "\x7f" in text:
        raise ContentTypeProblem("Content-Type holds a control character")
    media_type, position = _read_media_type(text)
    parameters: dict[str, str] = {}
    while (position := _skip(text, position)) < len(text):
        if text[position] != ";":
            raise ContentTypeProblem(f"Content-Type has unexpected text at position {position}")
        position = _skip(text, position + 1)
        if position == len(text) or text[position] == ";":
            continue
        name, parameter, position = _read_parameter(text, position)
        if name in parameters:
            raise ContentTypeProblem(f"Content-Type has parameter {name!r} twice")
        parameters[name] = parameter
    return ContentType(media_type, MappingProxyType(parameters))


def format_content_type(media_type: str, parameters: Mapping[str, str]) -> str:
    """Write a header value with every parameter value quoted, in the order of `parameters`.

    Raises ContentTypeProblem for a name or media type that is no token and for a value that holds
    anything but printable ASCII.
    """
    kind, slash, subtype = media_type.partition("/")
    if not slash or not _TOKEN.fullmatch(kind) or not _TOKEN.fullmatch(subtype):
        raise ContentTypeProblem(f"{media_type!r} is not a media type")
    pieces = [media_type]
    for name, value in parameters.items():
        if not _TOKEN.fullmatch(name):
            raise ContentTypeProblem(f"{name!r} is not a parameter name")
        pieces.append(f"{name}={quote(value)}")
    return "; ".join(pieces)


def quote(value: str) -> str:
    """`value` as an RFC 822 quoted-string. Raises ContentTypeProblem unless it is printable ASCII."""
    if any(not 32 <= ord(char) < 127 for char in value):
        raise ContentTypeProblem(f"{value!r} cannot be written in a header: it is not printable ASCII")
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _read_media_type(text: str) -> tuple[str, int]:
    start = _skip(text, 0)
    kind = _TOKEN.match(text, start)
    slash = _skip(text, kind.end()) if kind else -1
    if kind is None or text[slash : slash + 1] != "/":
        raise ContentTypeProblem("Content-Type does not start with a media type")
    subtype = _TOKEN.match(text, _skip(text, slash + 1))
    if subtype is None:
        raise ContentTypeProblem("Content-Type does not start with a media type")
    return f"{kind[0]}/{subtype[0]}".lower(), subtype.end()


def _read_parameter(text: str, position: int) -> tuple[str, str, int]:
    name = _TOKEN.match(text, position)
    if name is None:
        raise ContentTypeProblem(f"Content-Type has no parameter name at position {position}")
    equals = _skip(text, name.end())
    if text[equals : equals + 1] != "=":
        raise ContentTypeProblem(f"Content-Type parameter {name[0]!r} has no value")
    start = _skip(text, equals + 1)
    quoted = _QUOTED_VALUE.match(text, start)
    if quoted is not None:
        return name[0].lower(), re.sub(r"\\(.)", r"\1", quoted[1]), quoted.end()
    bare = _BARE_VALUE.match(text, start)
    if bare is None:
        raise ContentTypeProblem(f"Content-Type parameter {name[0]!r} has no readable value")
    return name[0].lower(), bare[0], bare.end()


def _skip(text: str, position: int) -> int:
    """Position after white space and RFC 822 comments, which nest."""
    while True:
        space = _SPACE.match(text, position)
        position = space.end() if space else position
        if text[position : position + 1] != "(":
            return position
        position = _skip_comment(text, position)


def _skip_comment(text: str, position: int) -> int:
    depth = 0
    while (step := _COMMENT_STEP.match(text, position)) is not None:
        position = step.end()
        depth += {"(": 1, ")": -1}.get(step[0], 0)
        if depth == 0:
            return position
    raise ContentTypeProblem("Content-Type has a comment that does not end")
