"""The simulated REST API Verzoek afhandelen: references of a verzoek, the files they lead to, and searching, over
mutual TLS.

It asks what DSO-LV asks: a client certificate with an OIN, the OIN on whose behalf is fetched in a header,
that OIN on the whitelist of the certificate, and that the verzoek is addressed to it. Errors are problem
documents (RFC 9457).
"""

import json
import math
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, NamedTuple

from aiohttp import web

from adapter.pki import oin_of, peer_certificate
from adapter.simulator.faults import Faults
from adapter.simulator.search import WrongQuestion, describe_hit, page_of, read_question
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
    its own. `require_certificate=False` is for plain HTTP in tests: the header alone decides then.
    """

    base: str = DEFAULT_BASE
    oin_header: str = "OIN"
    require_certificate: bool = True
    whitelist: Mapping[str, frozenset[str]] = field(default_factory=dict)


class VerzoekAfhandelenApi:
    """A small DSO-LV: `publish` verzoeken, serve `application()`, and look in `requests` what was asked.

    Of each verzoeknummer the last published message is served, as a verzoek grows by its Aanvullingen.
    """

    def __init__(self, settings: ApiSettings | None = None, faults: Faults | None = None) -> None:
        self.settings = settings or ApiSettings()
        self.faults = faults or Faults()
        self.requests: list[LoggedRequest] = []
        self._verzoeken: dict[str, SimulatedVerzoek] = {}

    def publish(self, *verzoeken: SimulatedVerzoek) -> None:
        """Make verzoeken available, in place of earlier ones with the same verzoeknummer."""
        self._verzoeken.update({verzoek.verzoeknummer: verzoek for verzoek in verzoeken})

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
        app.router.add_get(f"{one}/xml", self._xml, name="xml")
        app.router.add_get(f"{one}/pdf", self._pdf, name="pdf")
        app.router.add_get(f"{one}/documenten/{{document_id}}", self._document, name="document")
        return app

    @web.middleware
    async def _guard(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        oin = request.headers.get(self.settings.oin_header)
        self.requests.append(LoggedRequest(request.method, request.rel_url.raw_path, oin))
        if self.faults.take_unavailable():
            return self._unavailable(request)
        refusal = self._refusal(request, oin)
        if refusal is not None:
            return refusal
        try:
            return await handler(request)
        except web.HTTPException as error:
            return problem(request, HTTPStatus(error.status), error.reason)

    def _unavailable(self, request: web.Request) -> web.Response:
        response = problem(request, HTTPStatus.SERVICE_UNAVAILABLE, "The service is down for maintenance.")
        if self.faults.retry_after is not None:
            response.headers["Retry-After"] = str(math.ceil(self.faults.retry_after.total_seconds()))
        return response

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
        verzoek = self._verzoeken.get(number)
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
                "_links": self._links(request, verzoek),
            },
            content_type="application/hal+json",
        )

    def _links(self, request: web.Request, verzoek: SimulatedVerzoek) -> dict[str, Any]:
        def href(name: str, **parts: str) -> str:
            path = request.app.router[name].url_for(verzoeknummer=verzoek.verzoeknummer, **parts)
            return str(request.url.join(path))

        named = (each for each in verzoek.documents if each.document_id not in self.faults.lose_documents)
        return {
            "self": {"href": href("references")},
            "verzoek": {"href": href("xml"), "type": "application/xml"},
            "pdf": {"href": href("pdf"), "type": "application/pdf"},
            "document": [
                {
                    "href": href("document", document_id=each.document_id),
                    "type": each.spec.content_type,
                    "documentId": each.document_id,
                    "title": each.spec.bestandsnaam,
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
        xml = self._verzoek(request).xml
        return await self._stream(request, "xml", (xml,), len(xml), "application/xml")

    async def _pdf(self, request: web.Request) -> web.StreamResponse:
        pdf = self._verzoek(request).pdf
        return await self._stream(request, "pdf", (pdf,), len(pdf), "application/pdf")

    async def _document(self, request: web.Request) -> web.StreamResponse:
        document = self._verzoek(request).document(request.match_info["document_id"])
        if document is None:
            raise web.HTTPNotFound(reason="There is no such document in this verzoek.")
        return await self._stream(
            request,
            document.document_id,
            self._content_of(document),
            document.content.size,
            document.spec.content_type,
        )

    def _content_of(self, document: SimulatedDocument) -> Iterable[bytes]:
        if document.document_id not in self.faults.corrupt_content:
            return document.content.blocks()
        return (bytes(octet ^ 0xFF for octet in block) for block in document.content.blocks())

    async def _stream(
        self, request: web.Request, name: str, blocks: Iterable[bytes], size: int, content_type: str
    ) -> web.StreamResponse:
        """Send `size` octets, or, when told to break off, half of them and then nothing."""
        response = web.StreamResponse(headers={"Content-Type": content_type, "Content-Length": str(size)})
        cut_at = size // 2 if self.faults.take_cut(name) else None
        await response.prepare(request)
        sent = 0
        for block in blocks:
            if cut_at is not None and sent + len(block) >= cut_at:
                await response.write(block[: cut_at - sent])
                _hang_up(request)
                break
            await response.write(block)
            sent += len(block)
        return response


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


def _hang_up(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.close()


def _one_line(text: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in text[:100])
