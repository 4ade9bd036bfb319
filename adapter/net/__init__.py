"""Outgoing HTTP: mutual TLS with the server known by its OIN, allowed hosts, time-outs, no redirects."""

from adapter.net.client import HttpClient, Response, Timeouts
from adapter.net.problems import (
    ConnectFailed,
    ConnectionLost,
    ConnectTimedOut,
    ForbiddenHost,
    NetProblem,
    RedirectRefused,
    TimedOut,
    TlsFailed,
    UnusableResponse,
    WrongServer,
)

__all__ = [
    "ConnectFailed",
    "ConnectTimedOut",
    "ConnectionLost",
    "ForbiddenHost",
    "HttpClient",
    "NetProblem",
    "RedirectRefused",
    "Response",
    "TimedOut",
    "Timeouts",
    "TlsFailed",
    "UnusableResponse",
    "WrongServer",
]
