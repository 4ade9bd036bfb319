"""Outgoing HTTP: mutual TLS with the server known by its OIN, allowed hosts, time-outs, no redirects."""

from adapter.net.answers import LONGEST_WAIT, describe_body, phrase_of, wait_asked
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
    "LONGEST_WAIT",
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
    "describe_body",
    "phrase_of",
    "wait_asked",
]
