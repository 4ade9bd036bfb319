# SPDX-License-Identifier: EUPL-1.2

"""A back-end that speaks Digikoppeling Adapter Intern 1.0, and refuses what the standard does not allow."""

from dataclasses import dataclass

from aiohttp import web
from lxml import etree

from tests.sinks.receivers import FaultyReceiver
from tests.sinks.soap_messages import SOAP_11, confirmation, read_request, soap_answer

WSA = "http://www.w3.org/2005/08/addressing"
DAI = "http://www.stufstandaarden.nl/koppelvlak/dai0100"
_ALLOWED = {"To", "From", "Action", "MessageID", "RelatesTo"}


@dataclass(frozen=True)
class Message:
    """A message that was taken over: its headers by name, with the type of a relation, and its body."""

    path: str
    headers: dict[str, str]
    bericht: etree._Element
    octets: bytes

    @property
    def payload(self) -> etree._Element:
        (payload,) = self.bericht.iterchildren("*")
        return payload


class BackEnd(FaultyReceiver):
    """Takes every message over; `answers` are what the next ones are answered instead, with a status."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[Message] = []
        self.answers: list[tuple[int, bytes]] = []
        self.code = "Bv03"
        self.status = 200
        self.problems: list[AssertionError] = []

    async def do(self, request: web.Request) -> web.Response:
        if request.method == "GET":
            return web.Response(status=self.status)
        try:
            message = self._read(request, await request.read())
        except AssertionError as problem:
            self.problems.append(problem)
            raise
        if self.answers:
            status, body = self.answers.pop(0)
            return web.Response(status=status, body=body, content_type="text/xml")
        self.messages.append(message)
        answer = soap_answer(confirmation(self.code, None))
        return web.Response(body=answer, content_type="text/xml")

    def _read(self, request: web.Request, data: bytes) -> Message:
        assert request.headers["SOAPAction"] == '""'
        assert request.content_type == "text/xml"
        soap = read_request(data)
        assert soap.namespace == SOAP_11
        assert soap.body.tag == f"{{{DAI}}}bericht"
        names = [etree.QName(one) for one in soap.headers]
        assert {name.namespace for name in names} == {WSA}
        assert {name.localname for name in names} <= _ALLOWED
        headers = {}
        for name, one in zip(names, soap.headers, strict=True):
            kind = one.get("RelationshipType")
            key = name.localname if kind is None else f"{name.localname} {kind}"
            assert key not in headers
            text = one.findtext(f"{{{WSA}}}Address") if name.localname == "From" else one.text
            assert text
            assert not set(text) & set(' <>"{}|\\^`')
            headers[key] = text
        assert {"To", "From", "Action", "MessageID", "RelatesTo urn:dkintern:ConversationId"} <= set(headers)
        return Message(request.path, headers, soap.body, data)
