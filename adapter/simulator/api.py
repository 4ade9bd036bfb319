# SPDX-License-Identifier: EUPL-1.2

"""The simulated REST API Verzoek afhandelen: references of a verzoek, the files they lead to, and searching, over
mutual TLS.

It asks what DSO-LV asks: a client certificate with an OIN, the OIN on whose behalf is fetched in a header,
that OIN on the whitelist of the certificate, and that the verzoek is addressed to it; an API key and an access token
too, when told so. Errors are problem documents (RFC 9457).
"""

import asyncio
import hashlib
import json
import math
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, NamedTuple

from aiohttp import web

from adapter.pki import oin_of, peer_certificate
from adapter.simulator.faults import Faults
from adapter.simulator.publishing import CpaAanbieden
from adapter.simulator.search import WrongQuestion, describe_hit, page_of, read_question
from adapter.simulator.serving import ServedFile, Server
from adapter.simulator.tokens import TokenEndpoint, TokenSettings
from adapter.simulator.verzoeken import SimulatedDocument, SimulatedVerzoek

DEFAULT_BASE = "/overheid/verzoeken/api/afhandelen/v2"

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class LoggedRequest(NamedTuple):
    """A request as it came: method, path (still percent-encoded), and the OIN in the header, if any."""

    method: str
    path: str
    oin: str | None


@dataclass(frozen=True, slots=True)
class ApiSettings:
    """How the simulated API is reached and whom it serves.

    `whitelist` names for each certificate OIN the OINs it may fetch for; a certificate may always fetch for
    its own. `require_certificate=False` is for plain HTTP in tests: the header alone decides then. `api_key` must come
    in the header `x-api-key`, and with `tokens` each request needs an access token from TOKEN_PATH. With `announces`,
    links and headers tell the size and digest of files.
    """

    base: str = DEFAULT_BASE
    oin_header: str = "OIN"
    require_certificate: bool = True
    whitelist: Mapping[str, frozenset[str]] = field(default_factory=dict)
    api_key: str | None = None
    tokens: TokenSettings | None = None
    announces: bool = False


class VerzoekAfhandelenApi:
    """A small DSO-LV: `publish` verzoeken, serve `application()`, and look in `requests` what was asked, and in
    `most_at_once` how many requests there ever were at a time.

    Of each verzoeknummer the last published message is served, as a verzoek grows by its Aanvullingen; or the one whose
    `volgnummer` stands in the query.
    """

    def __init__(self, settings: ApiSettings | None = None, faults: Faults | None = None) -> None:
        self.settings = settings or ApiSettings()
        self.faults = faults or Faults()
        self.requests: list[LoggedRequest] = []
        self.most_at_once = 0
        tokens = self.settings.tokens
        self.tokens = TokenEndpoint(tokens, self.faults) if tokens is not None else None
        self._running = 0
        self.cpas = CpaAanbieden(self.settings.oin_header)
        self._verzoeken: dict[str, SimulatedVerzoek] = {}
        self._messages: dict[tuple[str, str], SimulatedVerzoek] = {}

    def publish(self, *verzoeken: SimulatedVerzoek) -> None:
        """Make verzoeken available, in place of earlier ones with the same verzoeknummer."""
        self._verzoeken.update({verzoek.verzoeknummer: verzoek for verzoek in verzoeken})
        self._messages.update(
            {(verzoek.verzoeknummer, verzoek.spec.volgnummer): verzoek for verzoek in verzoeken}
        )

    @property
    def verzoeken(self) -> tuple[SimulatedVerzoek, ...]:
        """What is available, in the order of first publication."""
        return tuple(self._verzoeken.values())

    def application(self) -> web.Application:
        """A new aiohttp application that serves this API; the caller runs it, with or without TLS."""
        app = web.Application(middlewares=[self._guard])
        one = f"{self.settings.base}/verzoeken/{{verzoeknummer}}"
        app.router.add_post(f"{self.settings.base}/verzoeken/_zoek", self._search, name="search")
        app.router.add_get(one, self._references, name="references")
        app.router.add_get(f"{one}/samenvatting", self._xml)
        app.router.add_get(f"{one}/xml", self._xml, name="xml")
        app.router.add_get(f"{one}/pdf", self._pdf, name="pdf")
        app.router.add_get(f"{one}/documenten/{{document_id}}", self._document, name="document")
        if self.tokens is not None:
            self.tokens.add_to(app)
        self.cpas.add_routes(app)
        return app

    @web.middleware
    async def _guard(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        oin = request.headers.get(self.settings.oin_header)
        self.requests.append(LoggedRequest(request.method, request.rel_url.raw_path, oin))
        self._running += 1
        self.most_at_once = max(self.most_at_once, self._running)
        try:
            return await self._answer(request, handler, oin)
        finally:
            self._running -= 1

    async def _answer(self, request: web.Request, handler: _Handler, oin: str | None) -> web.StreamResponse:
        if self.faults.latency:
            await asyncio.sleep(self.faults.latency.total_seconds())
        if self.faults.take_unavailable():
            return self._busy(request, HTTPStatus.SERVICE_UNAVAILABLE, "The service is down for maintenance.")
        if self.faults.take_too_many():
            return self._busy(request, HTTPStatus.TOO_MANY_REQUESTS, "That are too many requests.")
        if request.match_info.route.name == "token":
            return await handler(request)
        refusal = self._refusal(request, oin) or self._stranger(request)
        if refusal is not None:
            return refusal
        try:
            return await handler(request)
        except web.HTTPException as error:
            return problem(request, HTTPStatus(error.status), error.reason)

    def _busy(self, request: web.Request, status: HTTPStatus, detail: str) -> web.Response:
        response = problem(request, status, detail)
        if self.faults.retry_after is not None:
            response.headers["Retry-After"] = str(math.ceil(self.faults.retry_after.total_seconds()))
        return response

    def _stranger(self, request: web.Request) -> web.Response | None:
        """The answer to who lacks the API key or the access token that is asked for."""
        key = self.settings.api_key
        if key is not None and request.headers.get("x-api-key") != key:
            return problem(request, HTTPStatus.UNAUTHORIZED, "The API key is missing or unknown.")
        if self.tokens is not None and not self.tokens.admits(request.headers.get("Authorization")):
            response = problem(request, HTTPStatus.UNAUTHORIZED, "The access token is missing or has ended.")
            response.headers["WWW-Authenticate"] = 'Bearer error="invalid_token"'
            return response
        return None

    def _refusal(self, request: web.Request, oin: str | None) -> web.Response | None:
        """The answer to who may not ask anything, None for who may."""
        header = self.settings.oin_header
        if not oin:
            return problem(request, HTTPStatus.BAD_REQUEST, f"The header {header} is missing.")
        if not self.settings.require_certificate:
            return None
        certificate_oin = _certificate_oin(request)
        if certificate_oin is None:
            return problem(request, HTTPStatus.UNAUTHORIZED, "A client certificate with an OIN is required.")
        if oin != certificate_oin and oin not in self.settings.whitelist.get(certificate_oin, frozenset()):
            detail = f"OIN {oin} is not on the whitelist of the certificate of {certificate_oin}."
            return problem(request, HTTPStatus.FORBIDDEN, detail)
        return None

    def _verzoek(self, request: web.Request) -> SimulatedVerzoek:
        number = request.match_info["verzoeknummer"]
        volgnummer = request.query.get("volgnummer")
        verzoek = (
            self._verzoeken.get(number) if volgnummer is None else self._messages.get((number, volgnummer))
        )
        if verzoek is None:
            raise web.HTTPNotFound(reason=f"There is no verzoek {_one_line(number)}.")
        if not verzoek.is_open_to(request.headers[self.settings.oin_header]):
            raise web.HTTPForbidden(reason="The verzoek is not addressed to this organisation.")
        return verzoek

    async def _references(self, request: web.Request) -> web.StreamResponse:
        verzoek = self._verzoek(request)
        return web.json_response(
            {
                "verzoeknummer": verzoek.verzoeknummer,
                "volgnummer": verzoek.spec.volgnummer,
                "_links": await self._links(request, verzoek),
            },
            content_type="application/hal+json",
        )

    async def _links(self, request: web.Request, verzoek: SimulatedVerzoek) -> dict[str, Any]:
        def href(name: str, **parts: str) -> str:
            path = request.app.router[name].url_for(verzoeknummer=verzoek.verzoeknummer, **parts)
            if volgnummer is not None:
                path = path.with_query(volgnummer=volgnummer)
            return str(request.url.join(path))

        volgnummer = request.query.get("volgnummer")
        files = self._files(verzoek)
        announced = {file.name: await self._server.announced(file) for file in files}
        named = (
            each for each in verzoek.documents if not self.faults.concerns("lose_documents", each.document_id)
        )
        return {
            "self": {"href": href("references")},
            "verzoek": {"href": href("xml"), "type": "application/xml", **announced["xml"]},
            "pdf": {"href": href("pdf"), "type": "application/pdf", **announced["pdf"]},
            "document": [
                {
                    "href": href("document", document_id=each.document_id),
                    "type": each.spec.content_type,
                    "documentId": each.document_id,
                    "title": each.spec.bestandsnaam,
                    **announced[each.document_id],
                }
                for each in named
            ],
        }

    async def _search(self, request: web.Request) -> web.StreamResponse:
        """The verzoeken that are asked for, of whomever they are: that is for the asker to sort out."""
        try:
            body = json.loads(await request.read())
            question = read_question(body, request.query, request.headers.get("Content-Crs"))
        except WrongQuestion as wrong:
            return problem(request, HTTPStatus.BAD_REQUEST, str(wrong), wrong)
        except ValueError:
            return problem(request, HTTPStatus.BAD_REQUEST, "The body is no JSON.")
        found, total = page_of(filter(question.finds, self.verzoeken), question)
        pages = math.ceil(total / question.size)
        links = {"self": {"href": str(request.url)}}
        if question.page < pages:
            links["next"] = {"href": str(request.url.update_query(page=question.page + 1))}
        numbers = {
            "size": question.size,
            "totalElements": total,
            "totalPages": pages,
            "number": question.page,
        }
        return web.json_response(
            {
                "_embedded": {"verzoeken": [describe_hit(each, self._href(request, each)) for each in found]},
                "_links": links,
                "page": numbers,
            },
            content_type="application/hal+json",
        )

    def _href(self, request: web.Request, verzoek: SimulatedVerzoek) -> str:
        path = request.app.router["references"].url_for(verzoeknummer=verzoek.verzoeknummer)
        return str(request.url.join(path))

    async def _xml(self, request: web.Request) -> web.StreamResponse:
        return await self._server.send(request, _xml_of(self._verzoek(request)))

    async def _pdf(self, request: web.Request) -> web.StreamResponse:
        return await self._server.send(request, _pdf_of(self._verzoek(request)))

    async def _document(self, request: web.Request) -> web.StreamResponse:
        document = self._verzoek(request).document(request.match_info["document_id"])
        if document is None:
            raise web.HTTPNotFound(reason="There is no such document in this verzoek.")
        return await self._server.send(request, _file_of(document))

    @property
    def _server(self) -> Server:
        return Server(self.faults, self.settings.announces)

    def _files(self, verzoek: SimulatedVerzoek) -> tuple[ServedFile, ...]:
        return (_xml_of(verzoek), _pdf_of(verzoek), *map(_file_of, verzoek.documents))


def _xml_of(verzoek: SimulatedVerzoek) -> ServedFile:
    return _file_in_memory("xml", verzoek.xml, "application/xml")


def _pdf_of(verzoek: SimulatedVerzoek) -> ServedFile:
    return _file_in_memory("pdf", verzoek.pdf, "application/pdf")


def _file_in_memory(name: str, data: bytes, content_type: str) -> ServedFile:
    version = hashlib.sha256(data).hexdigest()[:16]
    return ServedFile(name, lambda: (data,), len(data), content_type, version)


def _file_of(document: SimulatedDocument) -> ServedFile:
    content = document.content
    version = hashlib.sha256(f"{content.seed}/{content.size}".encode()).hexdigest()[:16]
    return ServedFile(document.document_id, content.blocks, content.size, document.spec.content_type, version)


def problem(
    request: web.Request, status: HTTPStatus, detail: str, wrong: WrongQuestion | None = None
) -> web.Response:
    """An error in the form DSO-LV gives them: type, title, status, detail, instance, and what is `wrong`."""
    document: dict[str, Any] = {
        "type": "about:blank",
        "title": status.phrase,
        "status": status.value,
        "detail": detail,
        "instance": request.rel_url.raw_path,
    }
    if wrong is not None:
        document["invalid-params"] = [{"type": "about:blank", "name": wrong.name, "reason": wrong.reason}]
    return web.json_response(
        document,
        status=status.value,
        content_type="application/problem+json",
    )


def _certificate_oin(request: web.Request) -> str | None:
    ssl_object = request.transport.get_extra_info("ssl_object") if request.transport else None
    certificate = peer_certificate(ssl_object) if ssl_object is not None else None
    return oin_of(certificate) if certificate is not None else None


def _one_line(text: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in text[:100])
