# SPDX-License-Identifier: EUPL-1.2

"""Outgoing HTTP: mutual TLS with the server known by its OIN, allowed hosts, time-outs, no redirects; how fast a server
is asked, and access tokens for it. Incoming: the address that a request comes from, before trusted proxies.
"""

from adapter.net.answers import LONGEST_WAIT, describe_body, is_about_server, phrase_of, wait_asked
from adapter.net.client import HttpClient, Response, Timeouts
from adapter.net.dates import Witnesses
from adapter.net.forwarded import Networks, address_of
from adapter.net.oauth import ClientCredentials, OauthSettings, TokenProblem
from adapter.net.problems import (
    ConnectFailed,
    ConnectionLost,
    ConnectTimedOut,
    ForbiddenHost,
    NetProblem,
    RedirectRefused,
    Resting,
    TimedOut,
    TlsFailed,
    UnusableResponse,
    WrongServer,
)
from adapter.net.throttle import Throttle

__all__ = [
    "LONGEST_WAIT",
    "ClientCredentials",
    "ConnectFailed",
    "ConnectTimedOut",
    "ConnectionLost",
    "ForbiddenHost",
    "HttpClient",
    "NetProblem",
    "Networks",
    "OauthSettings",
    "RedirectRefused",
    "Response",
    "Resting",
    "Throttle",
    "TimedOut",
    "Timeouts",
    "TlsFailed",
    "TokenProblem",
    "UnusableResponse",
    "Witnesses",
    "WrongServer",
    "address_of",
    "describe_body",
    "is_about_server",
    "phrase_of",
    "wait_asked",
]
