# SPDX-License-Identifier: EUPL-1.2

"""The HTTP client for everything the adapter sends: to partners over ebMS, to DSO-LV, to sinks.

Whom we talk to is settled before a request is written: the host is on a list, the certificate chains to our
roots and has the host's name (all by TLS), no certificate of that chain was revoked, and its OIN is an expected
one. The last two ride on aiohttp's check of certificate fingerprints, which its connector makes on a fresh
connection before it hands it out.
"""

import asyncio
import ssl
from collections.abc import AsyncIterable, AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import timedelta

import aiohttp
from yarl import URL

from adapter.net.dates import Witnesses
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
from adapter.pki import (
    KeyPair,
    Place,
    Revocation,
    RevocationRefused,
    TrustStore,
    client_context,
    oin_of,
    peer_certificate,
    peer_chain,
)

_CHUNK = 64 * 1024
_REDIRECTS = frozenset({300, 301, 302, 303, 307, 308})
_HEADERS = {"Accept-Encoding": "identity", "User-Agent": "stam-adapter"}


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long to wait: for a connection, for each next piece of a response, and for the whole exchange.

    `total` also ends an upload the server stopped reading; None leaves the whole exchange unbounded.
    """

    connect: timedelta = timedelta(seconds=10)
    read: timedelta = timedelta(seconds=60)
    total: timedelta | None = timedelta(hours=1)


class Response:
    """The response to a request, its body still on the way; valid inside the block of
    `HttpClient.request`.
    """

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response

    @property
    def status(self) -> int:
        """The HTTP status; any but a redirect comes here, errors too."""
        return self._response.status

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers, found in any letter case; of a repeated header the first."""
        return self._response.headers

    async def iter_chunks(self, size: int = _CHUNK) -> AsyncIterator[bytes]:
        """Yield the body in pieces of at most `size` octets.

        Raises:
            NetProblem: the body did not arrive whole.

        """
        while True:
            with _translated(self._response.url):
                chunk = await self._response.content.read(size)
            if not chunk:
                return
            yield chunk

    async def read(self, limit: int) -> bytes:
        """Return the whole body, of at most `limit` octets.

        Raises:
            UnusableResponse: it is larger.
            NetProblem: the body did not arrive whole.

        """
        body = bytearray()
        async for chunk in self.iter_chunks():
            body += chunk
            if len(body) > limit:
                raise UnusableResponse(
                    f"{_name(self._response.url)}: the response is larger than the {limit} bytes allowed here"
                )
        return bytes(body)

    async def read_beginning(self, limit: int) -> bytes:
        """Return the body up to `limit` octets, as of an error, which is for people and may be anything.

        Raises:
            NetProblem: the body did not arrive whole.

        """
        body = bytearray()
        async for chunk in self.iter_chunks():
            body += chunk
            if len(body) >= limit:
                break
        return bytes(body[:limit])


class HttpClient:
    """Connections to one set of servers, kept open between requests; made by whoever knows that set.

    Args:
        key_pair: our client certificate; None to have none.
        trust: roots the certificate of a server must chain to; None for those of this machine.
        expected_oins: the server's certificate must have one of these OINs; None asks for no OIN.
        allowed_hosts: host names that may be asked, without port; None allows every host.
        timeouts: see `Timeouts`.
        allow_plain: whether ``http://`` may be asked, which tests do; no step of the above then protects it.
        proxy: the forward proxy to go through (``http://host:port``, with user and password where it asks for
            them); TLS is end to end through its tunnel, so that every check above still is of the server.
        revocation: judges the chain of a server; None where the roots are not those of [trust].
        witnesses: are told of the time that answers name.

    """

    def __init__(
        self,
        key_pair: KeyPair | None,
        trust: TrustStore | None,
        expected_oins: frozenset[str] | None = None,
        allowed_hosts: frozenset[str] | None = None,
        timeouts: Timeouts = Timeouts(),
        *,
        allow_plain: bool = False,
        proxy: str | None = None,
        revocation: Revocation | None = None,
        witnesses: Witnesses | None = None,
    ) -> None:
        self._witnesses = witnesses
        self._proxy = URL(proxy) if proxy is not None else None
        self._context = client_context(key_pair, trust)
        self._oins = expected_oins
        self._revocation = revocation if revocation is not None and revocation.is_on else None
        self._hosts = None if allowed_hosts is None else frozenset(_canonical(h) for h in allowed_hosts)
        self._timeout = _client_timeout(timeouts)
        self._allow_plain = allow_plain
        self._session: aiohttp.ClientSession | None = None
        self._closed = False

    @asynccontextmanager
    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        data: bytes | AsyncIterable[bytes] | None = None,
    ) -> AsyncIterator[Response]:
        """Send a request and hand out its response while the block lasts.

        Args: method: HTTP method. url: where to, with its query; already encoded parts stay as they are.
        headers: headers beside those of the client. data: the body; pieces from an iterable are sent as
        they come, chunked unless Content-Length is given.

        Raises:
            NetProblem: there is no usable response; what the block raises passes unchanged.

        """
        target = self._check(url)

        async def send() -> aiohttp.ClientResponse:
            try:
                return await self._connected().request(
                    method,
                    target,
                    headers={**_HEADERS, **_length(data), **(headers or {})},
                    data=_in_pieces(data) if isinstance(data, bytes) and len(data) > _CHUNK else data,
                    ssl=self._context,
                    proxy=self._proxy,
                    allow_redirects=False,
                )
            except _ChainRefused as problem:
                raise problem.refused from problem

        with _translated(target):
            # nothing was written where a chain is refused, so that it can be asked again with newer lists
            response = await (self._revocation.with_lists(send) if self._revocation is not None else send())
        if self._witnesses is not None:
            self._witnesses.hear(target.host or "", response.headers)
        try:
            _refuse_unusable(response)
            yield Response(response)
        finally:
            # Gives the connection back if the response was read to its end, and closes it otherwise.
            response.release()

    async def close(self) -> None:
        """Close all connections; the client cannot be used any more."""
        self._closed = True
        if self._session is not None:
            await self._session.close()

    async def __aenter__(self) -> "HttpClient":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def _check(self, url: str) -> URL:
        try:
            target = URL(url, encoded=True)
            host, user = target.host, target.user
        except ValueError as error:
            raise ForbiddenHost(f"{url!r} is not a web address: {error}") from error
        if target.scheme not in {"http", "https"} or not host or user is not None:
            raise ForbiddenHost(f"{url!r} is not a web address as https://host/path")
        if target.scheme == "http" and not self._allow_plain:
            raise ForbiddenHost(f"{_name(target)}: plain HTTP is not allowed; use https://")
        if self._hosts is not None and _canonical(host) not in self._hosts:
            known = ", ".join(sorted(self._hosts))
            raise ForbiddenHost(f"{_name(target)}: this host is not among the allowed: {known}")
        return target

    def _connected(self) -> aiohttp.ClientSession:
        if self._closed:
            raise RuntimeError("this HttpClient was closed")
        if self._session is None:  # made here because it belongs to the running event loop
            some = self._oins is not None or self._revocation is not None
            check = _ServerCheck(self._oins, self._revocation) if some else True
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=check, limit=0),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=self._timeout,
                auto_decompress=False,
            )
        return self._session


class _OinMismatch(aiohttp.ServerFingerprintMismatch):
    def __init__(self, expected: frozenset[str], found: str | None) -> None:
        super().__init__(b"", b"", "", 0)
        names = " or ".join(sorted(expected)) or "none"
        self.reason = f"its certificate has {f'OIN {found}' if found else 'no OIN'}, expected {names}"


class _ChainRefused(aiohttp.ServerFingerprintMismatch):
    def __init__(self, refused: RevocationRefused) -> None:
        super().__init__(b"", b"", "", 0)
        self.refused = refused


class _ServerCheck(aiohttp.Fingerprint):
    """A certificate check for the connector of aiohttp, by OIN and revocation instead of by fingerprint.

    The connector calls it after the handshake of a new connection, and closes the connection if it raises a
    fingerprint mismatch. The fingerprint given to the base class is that of no certificate.
    """

    def __init__(self, oins: frozenset[str] | None, revocation: Revocation | None) -> None:
        super().__init__(bytes(32))
        self._oins, self._revocation = oins, revocation

    def check(self, transport: asyncio.Transport) -> None:
        """Raise a mismatch unless the server has one of the OINs, and a chain that holds."""
        ssl_object = transport.get_extra_info("ssl_object")
        if self._oins is not None:
            certificate = peer_certificate(ssl_object)
            found = oin_of(certificate) if certificate is not None else None
            if found not in self._oins:
                raise _OinMismatch(self._oins, found)
        if self._revocation is not None and ssl_object is not None:
            try:
                self._revocation.check(peer_chain(ssl_object), Place.TLS_OUT)
            except RevocationRefused as refused:
                raise _ChainRefused(refused) from refused


@contextmanager
def _translated(url: URL) -> Iterator[None]:
    try:
        yield
    except RevocationRefused as refused:
        raise TlsFailed(f"{_name(url)}: {refused.flaw}: {refused}") from refused
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise _problem(_name(url), error) from error


def _problem(name: str, error: Exception) -> NetProblem:
    reason = str(error) or type(error).__name__
    match error:
        case _OinMismatch():
            return WrongServer(f"{name}: {error.reason}")
        case aiohttp.ConnectionTimeoutError():
            return ConnectTimedOut(f"{name}: no connection in time")
        case TimeoutError():
            return TimedOut(f"{name}: no answer in time")
        case _ if _is_tls(error):
            return TlsFailed(f"{name}: TLS failed: {reason}")
        case aiohttp.ClientConnectorError():
            return ConnectFailed(f"{name}: no connection: {reason}")
        case aiohttp.InvalidURL() | aiohttp.NonHttpUrlClientError():
            return ForbiddenHost(f"{name}: is not a web address: {reason}")
        case aiohttp.ClientResponseError():
            return UnusableResponse(f"{name}: the response is not proper HTTP: {error.message}")
        case _:
            return ConnectionLost(f"{name}: the connection broke: {reason}")


def _is_tls(error: BaseException | None) -> bool:
    # A server that refuses our certificate under TLS 1.3 says so after the handshake, wrapped in an OSError.
    while error is not None:
        if isinstance(error, ssl.SSLError | ssl.CertificateError | aiohttp.ClientSSLError):
            return True
        error = error.__cause__
    return False


def _refuse_unusable(response: aiohttp.ClientResponse) -> None:
    name = _name(response.url)
    if response.status in _REDIRECTS:
        place = response.headers.get("Location", "nowhere")
        raise RedirectRefused(
            f"{name}: answers {response.status}, to {place!r}; redirects are not followed, "
            "configure the final address"
        )
    encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in {"identity", ""}:
        raise UnusableResponse(f"{name}: the response is compressed ({encoding!r}), which was not asked for")


def _length(data: bytes | AsyncIterable[bytes] | None) -> dict[str, str]:
    return {"Content-Length": str(len(data))} if isinstance(data, bytes) else {}


async def _in_pieces(data: bytes) -> AsyncIterator[bytes]:
    # Written at once, a large body would be encrypted at once, and hold up everything else meanwhile.
    for start in range(0, len(data), _CHUNK):
        yield data[start : start + _CHUNK]


def _client_timeout(timeouts: Timeouts) -> aiohttp.ClientTimeout:
    connect = timeouts.connect.total_seconds()
    return aiohttp.ClientTimeout(
        total=timeouts.total.total_seconds() if timeouts.total is not None else None,
        connect=connect,
        sock_connect=connect,
        sock_read=timeouts.read.total_seconds(),
    )


def _canonical(host: str) -> str:
    return host.lower().rstrip(".").removeprefix("[").removesuffix("]")


def _name(url: URL) -> str:
    # Without query and user, which may hold what does not belong in a log.
    return f"{url.scheme}://{url.host}:{url.port}{url.raw_path}"
