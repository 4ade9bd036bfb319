# SPDX-License-Identifier: EUPL-1.2

"""How a sink connects to a server: the options that all of them share, the client made of these, and what an answer
means.
"""

from collections.abc import AsyncIterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Self
from urllib.parse import urlsplit

from pydantic import model_validator

from adapter.config import Duration, Environment, with_key_of_bundle
from adapter.delivery import (
    OptionPath,
    Permanent,
    SinkContext,
    SinkOptions,
    SinkProblem,
    StepFailed,
    Temporary,
)
from adapter.net import (
    HttpClient,
    NetProblem,
    Timeouts,
    describe_body,
    is_about_server,
    phrase_of,
    wait_asked,
)
from adapter.observe import span, traceparent
from adapter.pki import KeyPair, KeyProblem, TrustStore, load_key_pair

_ANSWER: Final = 1024 * 1024
"""Largest answer that is read, in octets."""

_COME_AGAIN: Final = frozenset({401, 403, 407, 408, 421, 423, 425, 429})
"""Statuses below 500 after which the same request may succeed; access is put right by people on the other side."""


class ConnectionOptions(SinkOptions):
    """The options of every sink that speaks HTTP.

    `roots`: PEM file with what the certificate of the server must chain to; None for the roots of this machine.
    `certificate`, `key` and `key_password_file`: what we identify ourselves with where the server asks for it. `plain`
    allows http://.
    `wait`: how long the server may be silent.
    """

    roots: OptionPath | None = None
    certificate: OptionPath | None = None
    key: OptionPath | None = None
    key_password_file: OptionPath | None = None
    plain: bool = False
    wait: Duration = timedelta(seconds=60)

    @model_validator(mode="before")
    @classmethod
    def _one_file_is_enough(cls, table: Any) -> Any:
        return with_key_of_bundle(table)

    @model_validator(mode="after")
    def _whole_pair(self) -> Self:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key go together; give both, or neither")
        return self


def check_url(option: str, url: str, options: ConnectionOptions, context: SinkContext) -> None:
    """Refuse, with SinkProblem, a URL that is none, or that is http:// where that was not allowed."""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username or parts.fragment:
        raise SinkProblem(f"{option}: {url!r} is not the address of a server; write https://host/path")
    is_near = context.environment is Environment.TEST or parts.hostname in {"localhost", "127.0.0.1", "::1"}
    if parts.scheme == "http" and not options.plain and not is_near:
        raise SinkProblem(
            f"{option}: plain HTTP shows personal data to everybody on the way; write https://, or plain = true where "
            "the network is protected in another way"
        )


def open_client(options: ConnectionOptions, urls: Mapping[str, str], context: SinkContext) -> HttpClient:
    """A client that may ask the hosts of these URLs, given by the names of their options, and no others.

    Raises SinkProblem where a URL, key or root cannot be used.
    """
    for option, url in urls.items():
        check_url(option, url, options, context)
    hosts = {urlsplit(url).hostname or "" for url in urls.values()}
    proxies = {context.outgoing.proxy_for(host) for host in hosts}
    if len(proxies) > 1:
        raise SinkProblem(
            "some of its servers are behind [outgoing] proxy and some not; add all to no_proxy, or none"
        )
    return HttpClient(
        key_pair=_keys(options, context),
        trust=_trust(options),
        allowed_hosts=frozenset(hosts),
        # the time of an attempt is bounded where deliveries are made, as long as the operator allows it
        timeouts=Timeouts(read=options.wait, total=None),
        allow_plain=any(urlsplit(url).scheme == "http" for url in urls.values()),
        proxy=next(iter(proxies), None),
    )


@dataclass(frozen=True, slots=True)
class Answer:
    """The whole answer to a request; `headers` are found in any letter case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def is_success(self) -> bool:
        """Whether the server did what was asked."""
        return 200 <= self.status < 300


async def ask(
    http: HttpClient,
    method: str,
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    data: bytes | AsyncIterable[bytes] | None = None,
    limit: int = _ANSWER,
) -> Answer:
    """Send a request and read its answer, whatever its status and of at most `limit` octets; StepFailed without one."""
    asked = {"http.request.method": method, "server.address": urlsplit(url).hostname or ""}
    try:
        with span("sink.request", **asked) as here:
            told = {**(headers or {}), **traceparent()}
            async with http.request(method, url, headers=told, data=data) as response:
                here.set(**{"http.response.status_code": response.status})
                return Answer(response.status, response.headers, await response.read(limit))
    except NetProblem as problem:
        outcome = Temporary(str(problem)) if problem.temporary else Permanent(str(problem))
        raise StepFailed(outcome, undone=not problem.sent) from problem


def refusal(answer: Answer, what: str, now: datetime) -> StepFailed:
    """What an answer that is no success means: `what` says what was asked.

    A status below 500 is a refusal, so nothing was done, and is final unless waiting or people can change it. With any
    other nobody knows.
    """
    reason = f"{what}: HTTP {answer.status} {phrase_of(answer.status)}"
    if detail := describe_body(answer.body):
        reason += f": {detail}"
    refused = answer.status < 500
    if refused and answer.status not in _COME_AGAIN:
        return StepFailed(Permanent(reason), undone=True)
    after = wait_asked(answer.headers.get("Retry-After"), now)
    everything = is_about_server(answer.status) and after is not None
    return StepFailed(Temporary(reason, after, of_sink=everything), undone=refused)


def _keys(options: ConnectionOptions, context: SinkContext) -> KeyPair | None:
    if options.certificate is None or options.key is None:
        return None
    try:
        return load_key_pair(
            options.certificate,
            options.key,
            password_file=options.key_password_file,
            strict_permissions=context.environment.guards_keys,
        )
    except KeyProblem as problem:
        raise SinkProblem(str(problem)) from problem


def _trust(options: ConnectionOptions) -> TrustStore | None:
    if options.roots is None:
        return None
    try:
        return TrustStore.from_files([options.roots])
    except KeyProblem as problem:
        raise SinkProblem(f"roots: {problem}") from problem
