# SPDX-License-Identifier: EUPL-1.2

"""How a sink proves who it is to a server: secrets from files, and whether the server takes them."""

import asyncio
import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator

from adapter.config import read_secret
from adapter.delivery import OptionPath, SinkOptions, SinkProblem, StepFailed, Temporary
from adapter.net import HttpClient, phrase_of
from adapter.sinks.connection import ask

AUTHORIZATION: Final = "Authorization"

_NOT_HERE: Final = frozenset({404, 410})
_NOBODY_BEHIND: Final = frozenset({502, 503, 504})
_REFUSED: Final = frozenset({401, 403, 407})
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_HEADER_VALUE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e\t]*[\x21-\x7e])?")


@dataclass(frozen=True, slots=True)
class SecretFile:
    """A secret that an option names the file of. It is read each time, so another one counts at once."""

    option: str
    path: Path

    def _read(self) -> str:
        try:
            return read_secret(self.path)
        except ValueError as error:
            raise SinkProblem(f"{self.option}: {error}") from error

    async def read(self) -> str:
        """The secret as it is now, one line of text; StepFailed with the fix where there is none."""
        try:
            return await asyncio.to_thread(self._read)
        except SinkProblem as problem:
            raise StepFailed(Temporary(str(problem)), undone=True) from problem

    @staticmethod
    def check(*files: "SecretFile") -> None:
        """Read each; SinkProblem with what is wrong with any of them."""
        problems: list[str] = []
        for file in files:
            try:
                file._read()
            except SinkProblem as problem:
                problems += problem.problems
        if problems:
            raise SinkProblem(*problems)


def _username(name: str) -> str:
    if not name or ":" in name or not name.isprintable():
        raise ValueError("is no user name; it is printable and has no colon (RFC 7617)")
    return name


class BasicOptions(SinkOptions):
    """`basic`: who the server knows us as, and the file with the password (RFC 7617)."""

    username: Annotated[str, AfterValidator(_username)]
    password_file: OptionPath

    @property
    def secret(self) -> SecretFile:
        """The password."""
        return SecretFile("basic.password_file", self.password_file)


async def basic_authorization(options: BasicOptions) -> str:
    """The value of Authorization; StepFailed where the password cannot be read."""
    password = await options.secret.read()
    return "Basic " + base64.b64encode(f"{options.username}:{password}".encode()).decode()


def _header_name(name: str) -> str:
    if not _HEADER_NAME.fullmatch(name):
        raise ValueError(f"{name!r} is not the name of a header; write letters, digits and hyphens")
    return name


def header_value(value: str) -> str:
    """The value, when it can stand in a header; else ValueError."""
    if not _HEADER_VALUE.fullmatch(value):
        raise ValueError("is not the value of a header; write printable ASCII on one line")
    return value


HeaderName = Annotated[str, AfterValidator(_header_name)]
HeaderValue = Annotated[str, AfterValidator(header_value)]


def without_query(url: str) -> str:
    """A URL as it may be shown."""
    return urlsplit(url)._replace(query="").geturl()


async def probe_url(
    http: HttpClient,
    method: str,
    option: str,
    url: str,
    headers: Mapping[str, str],
    *,
    tells_access: bool = True,
) -> None:
    """Ask something harmless of a URL; SinkProblem where nothing answers there, or not to us.

    That the server does not know the method, or fails over an empty request, is an answer too; so is that it does not
    let us in, where `tells_access` is false because this request has not all that a delivery has.
    """
    try:
        answer = await ask(http, method, url, headers=headers)
    except StepFailed as failure:
        raise SinkProblem(f"{option}: {failure}") from failure
    shown = f"{option}: {without_query(url)} answers {answer.status} {phrase_of(answer.status)}"
    if answer.status in _REFUSED and tells_access:
        raise SinkProblem(
            f"{shown}; correct what this sink identifies itself with, or let the other side admit it"
        )
    if answer.status in _NOT_HERE:
        raise SinkProblem(f"{shown}; correct the address")
    if answer.status in _NOBODY_BEHIND:
        raise SinkProblem(f"{shown}; look at the other side")
