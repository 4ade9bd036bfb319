# SPDX-License-Identifier: EUPL-1.2

"""A server with the ZGW APIs that enforces what real ones enforce, as far as a sink can notice.

Rules and codes are those of the standard and of Open Zaak; `test_sinks_zgw_fake.py` replays what a real one answered.
"""

import asyncio
import base64
import hmac
import json
import ssl
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import Enum
from hashlib import sha256
from pathlib import Path
from typing import Any

from aiohttp import web

from adapter.pki import KeyPair, ThrowawayPki, TrustStore, server_context
from tests.sinks.zgw.documents import Documents
from tests.sinks.zgw.rules import Problem, check_query, invalid, page_of
from tests.sinks.zgw.types import Types
from tests.sinks.zgw.zaken import Zaken

CLIENT_ID, SECRET = "stam-adapter", "een geheim dat lang genoeg is"
JWT_EXPIRY = 3600

Validate = Callable[[str, Any], Iterable[str]]


def unjudged(resource: str, body: Any) -> Iterable[str]:
    """Finds nothing wrong with a body."""
    return ()


async def passed_over(number: int) -> None:
    """Does nothing about a request."""


class Fault(Enum):
    """What happens to one request."""

    DROPPED = "the connection breaks before the request is looked at"
    BROKEN = "it is done, and answered with 500"
    CUT = "it is done, and the answer breaks off in the middle"
    BUSY = "429 with Retry-After"


@dataclass(frozen=True)
class Call:
    """A request as it arrived; `body` is None for what is not JSON."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Any

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


@dataclass
class FakeZgw:
    """The server: its three APIs under one address, and everything in them.

    `origin` is what its URLs begin with. `faults` says by number of the request (from 1) what goes wrong. `uploading`
    is called for each piece of a part that arrives, and `done` with the number of each request that was done, before
    it is answered.
    """

    directory: Path
    origin: str = ""
    version: str = "1.5.1"
    part_size: int = 1024 * 1024
    page_size: int = 2
    validate: Validate = unjudged
    clock: Callable[[], float] = time.time
    faults: dict[int, Fault] = field(default_factory=dict)
    denied: frozenset[str] = frozenset()
    calls: list[Call] = field(default_factory=list)
    uploading: Callable[[], None] = lambda: None
    done: Callable[[int], Awaitable[None]] = passed_over

    def __post_init__(self) -> None:
        self.types = Types(self.url)
        self.zaken = Zaken(self.url, self.types)
        self.documents = Documents(self.url, self.types, self.directory, lambda: self.part_size)
        self.zaken.documents = self.documents

    def url(self, api: str, resource: str, identity: str = "") -> str:
        """The address of a resource, or of an object with this uuid."""
        base = f"{self.origin}/{api}/api/v1"
        return f"{base}/{resource}/{identity}" if identity else f"{base}/{resource}"

    def made(self, resource: str) -> list[dict[str, Any]]:
        """Everything of one kind that was made, as GET shows it."""
        store = self.documents if resource == "enkelvoudiginformatieobjecten" else self.zaken
        return [store.shown(resource, each) for each in store.objects[resource].values()]

    @asynccontextmanager
    async def serving(self) -> AsyncIterator["FakeZgw"]:
        """Serve on loopback while the block lasts."""
        async with self._listening(None) as port:
            self.address = f"http://127.0.0.1:{port}"
            self.origin = self.origin or self.address
            yield self

    @asynccontextmanager
    async def serving_tls(self, keys: KeyPair, pki: ThrowawayPki) -> AsyncIterator[str]:
        """Serve the same over TLS too, for clients with a certificate of the PKI; its URLs are the address here."""
        context = server_context(keys, TrustStore([pki.root]))
        before = self.origin
        async with self._listening(context) as port:
            self.origin = f"https://localhost:{port}"
            yield self.origin
        self.origin = before

    @asynccontextmanager
    async def _listening(self, context: ssl.SSLContext | None) -> AsyncIterator[int]:
        app = web.Application(middlewares=[self._guard], client_max_size=64 * 1024 * 1024)
        app.router.add_route("*", "/{api}/api/v1/{resource}", self._collection)
        app.router.add_route("*", "/{api}/api/v1/{resource}/{uuid}", self._object)
        app.router.add_route("*", "/{api}/api/v1/{resource}/{uuid}/{action}", self._object)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
            yield runner.addresses[0][1]
        finally:
            await runner.cleanup()

    @web.middleware
    async def _guard(self, request: web.Request, handler: Any) -> web.StreamResponse:
        body = await request.read() if request.content_type == "application/json" else b""
        self.calls.append(_call(request, body))
        fault = self.faults.get(len(self.calls))
        if fault is Fault.DROPPED:
            return _drop(request)
        if fault is Fault.BUSY:
            return _problem(Problem(429, "throttled", "Te veel verzoeken."), {"Retry-After": "7"})
        try:
            self._check_access(request)
            response = await handler(request)
        except Problem as problem:
            response = _problem(problem)
        await self.done(len(self.calls))
        response.headers["API-version"] = self.version
        if fault is Fault.BROKEN:
            return _problem(Problem(500, "error", "Er is een serverfout opgetreden."))
        if fault is Fault.CUT:
            return await _cut(request, response)
        return response

    def _check_access(self, request: web.Request) -> None:
        claims = self._claims(request.headers.get("Authorization", ""))
        now = int(self.clock())
        if "iat" not in claims:
            raise Problem(403, "jwt-missing-iat-claim", "JWT mist de iat claim.")
        if claims["iat"] > now:
            raise Problem(403, "jwt-not-yet-valid", "Het JWT is nog niet geldig.")
        if now - claims["iat"] >= JWT_EXPIRY or claims.get("exp", now + 1) <= now:
            raise Problem(403, "jwt-expired", "Het JWT is verlopen.")
        if claims.get("iss") != CLIENT_ID or claims.get("client_id") != CLIENT_ID:
            raise Problem(403, "invalid-client-identifier", "Client is onbekend.")
        if not claims.get("user_id") or not claims.get("user_representation"):
            raise Problem(403, "invalid-claims", "Geen gebruiker voor de audit trail.")
        resource = request.match_info["resource"]
        if f"{request.method} {resource}" in self.denied:
            raise Problem(403, "permission_denied", "Je hebt geen toestemming om deze actie uit te voeren.")

    def _claims(self, authorization: str) -> dict[str, Any]:
        scheme, _, token = authorization.partition(" ")
        if scheme != "Bearer" or token.count(".") != 2:
            raise Problem(401, "not_authenticated", "Authenticatiegegevens zijn niet opgegeven.")
        text, _, signature = token.rpartition(".")
        head, claims = (json.loads(_decoded(part)) for part in text.split("."))
        expected = hmac.new(SECRET.encode(), text.encode(), sha256).digest()
        if head != {"typ": "JWT", "alg": "HS256"} or not hmac.compare_digest(expected, _decoded(signature)):
            raise Problem(403, "invalid-jwt-signature", "Client credentials zijn niet geldig.")
        assert isinstance(claims, dict)
        return claims

    async def _collection(self, request: web.Request) -> web.StreamResponse:
        api, resource = request.match_info["api"], request.match_info["resource"]
        store = self._store(api, resource)
        crs = _crs(request, resource)
        if request.method == "GET":
            query = dict(request.query)
            check_query(resource, query, tuple(map(int, self.version.split("."))))
            return self._listed(request, resource, store.find(resource, query), crs)
        if request.method != "POST" or api == "catalogi":
            raise Problem(405, "method_not_allowed", "Methode niet toegestaan.")
        body = json.loads(await request.read())
        wrong = list(self.validate(resource, body))
        if wrong:
            raise invalid(*((line, "invalid", line) for line in wrong))
        made = store.make(resource, body)  # with the lock of a document, which only its maker is told
        shown = made if resource == "enkelvoudiginformatieobjecten" else store.shown(resource, made)
        return _json(shown, 201, {"Location": made["url"], **crs})

    def _listed(
        self, request: web.Request, resource: str, found: list[dict[str, Any]], crs: Mapping[str, str]
    ) -> web.StreamResponse:
        if resource == "zaakinformatieobjecten":
            return _json(found, 200, crs)
        address = f"{self.origin}{request.path}"
        return _json(page_of(found, address, dict(request.query), self.page_size), 200, crs)

    async def _object(self, request: web.Request) -> web.StreamResponse:
        api, resource = request.match_info["api"], request.match_info["resource"]
        identity, action = request.match_info["uuid"], request.match_info.get("action")
        if resource == "bestandsdelen" and request.method == "PUT":
            return await self._part(request, identity)
        store = self._store(api, resource)
        crs = _crs(request, resource)
        if identity not in store.objects[resource]:
            raise Problem(404, "not_found", "Niet gevonden.")
        if action == "unlock" and request.method == "POST":
            lock = json.loads(await request.read()).get("lock", "")
            await asyncio.to_thread(self.documents.unlock, identity, lock)
            return web.Response(status=204)
        if request.method != "GET" or action is not None:
            raise Problem(405, "method_not_allowed", "Methode niet toegestaan.")
        return _json(store.shown(resource, store.objects[resource][identity]), 200, crs)

    async def _part(self, request: web.Request, identity: str) -> web.StreamResponse:
        fields: dict[str, str] = {}
        staged = self.directory / f"part-{uuid.uuid4().hex}"
        size = 0
        async for each in await request.multipart():
            assert each.name is not None
            if each.name != "inhoud":
                fields[each.name] = await each.text()
                continue
            with staged.open("wb") as file:
                while chunk := await each.read_chunk(64 * 1024):
                    file.write(chunk)
                    size += len(chunk)
                    self.uploading()
        try:
            return _json(self.documents.put_part(identity, fields.get("lock", ""), staged, size))
        finally:
            staged.unlink(missing_ok=True)

    def _store(self, api: str, resource: str) -> Types | Zaken | Documents:
        stores = {"catalogi": self.types, "zaken": self.zaken, "documenten": self.documents}
        store = stores.get(api)
        if store is None or resource not in store.objects:
            raise Problem(404, "not_found", "Niet gevonden.")
        return store


def _crs(request: web.Request, resource: str) -> dict[str, str]:
    """The CRS headers of an answer; those of the request are compulsory where there is geometry."""
    if resource != "zaken":
        return {}
    needed = ("Accept-Crs", "Content-Crs") if request.method == "POST" else ("Accept-Crs",)
    for name in needed:
        value = request.headers.get(name)
        if value is None:
            raise Problem(412, "precondition_failed", f"'{name}' header ontbreekt")
        if value != "EPSG:4326":
            raise Problem(406, "not_acceptable", f"CRS '{value}' is niet ondersteund")
    return {"Content-Crs": "EPSG:4326"}


def _call(request: web.Request, body: bytes) -> Call:
    parsed = json.loads(body) if body else None
    return Call(request.method, request.path, dict(request.query), request.headers.copy(), parsed)


def _decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def _json(document: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.json_response(document, status=status, headers=dict(headers or {}))


def _problem(problem: Problem, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.json_response(
        problem.document(),
        status=problem.status,
        headers=dict(headers or {}),
        content_type="application/json" if problem.status == 400 else "application/problem+json",
    )


def _drop(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort()
    return web.Response(status=500)


async def _cut(request: web.Request, response: web.StreamResponse) -> web.StreamResponse:
    whole = response.body if isinstance(response, web.Response) and isinstance(response.body, bytes) else b""
    if not whole:
        return _drop(request)
    cut = web.StreamResponse(status=response.status, headers={"Content-Length": str(len(whole) + 10)})
    await cut.prepare(request)
    await cut.write(whole[: len(whole) // 2])
    assert request.transport is not None
    request.transport.abort()
    return cut
