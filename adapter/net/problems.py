# SPDX-License-Identifier: EUPL-1.2

"""What can go wrong with an outgoing request, in terms of what to do next instead of how the library calls
it.
"""

from datetime import timedelta
from typing import ClassVar


class NetProblem(Exception):
    """A request did not give a usable response; the message names the server and the reason.

    `temporary`: the same request may well succeed later, without anyone changing the configuration.
    `sent`: the server may have received (part of) the request.
    """

    temporary: ClassVar[bool] = True
    sent: ClassVar[bool] = True


class ConnectFailed(NetProblem):
    """No connection: the name is unknown, or nothing listens there."""

    sent = False


class TlsFailed(NetProblem):
    """The certificate of the server does not hold, the server refused ours, or TLS itself failed."""

    sent = False


class WrongServer(NetProblem):
    """The server proved to be somebody else: its certificate has not the expected OIN (TLS-08)."""

    temporary = False
    sent = False


class ForbiddenHost(NetProblem):
    """The address may not be asked: its host is not allowed, it is plain HTTP, or it is no address at all."""

    temporary = False
    sent = False


class TimedOut(NetProblem):
    """The server was silent for too long, or the whole exchange took too long."""


class ConnectTimedOut(TimedOut):
    """The server did not take the connection in time."""

    sent = False


class ConnectionLost(NetProblem):
    """The connection broke before the response was complete."""


class RedirectRefused(NetProblem):
    """The server sends us elsewhere, and redirects are never followed (TRN-14)."""

    temporary = False


class UnusableResponse(NetProblem):
    """The response is not HTTP as it should be, is compressed though we refuse that, or is too large."""

    temporary = False


class Resting(NetProblem):
    """Nothing was asked, as the server wants to be left alone for a while; `left` is how long yet."""

    sent = False

    def __init__(self, name: str, left: timedelta) -> None:
        super().__init__(f"{name} asked to be left alone, for {left.total_seconds():.0f} s yet")
        self.left = left
