# SPDX-License-Identifier: EUPL-1.2

"""A zaaksysteem that speaks StUF-ZDS, and is as strict as real ones."""

import base64
import hashlib
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from aiohttp import web
from lxml import etree

from tests.sinks.receivers import FaultyReceiver
from tests.sinks.soap_messages import (
    SOAP_11,
    SOAP_12,
    STUF,
    SoapRequest,
    confirmation,
    read_request,
    soap_answer,
    stuf_fault,
)

ZKN = "http://www.egem.nl/StUF/sector/zkn/0310"
BG = "http://www.egem.nl/StUF/sector/bg/0310"
ZDS = "http://www.stufstandaarden.nl/koppelvlak/zds0120"
XMIME = "http://www.w3.org/2005/05/xmlmime"
WSSE = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
WSU = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"

NOT_UNIQUE = "StUF016"
NOT_LATER = "StUF019"
NOT_VALID = "StUF055"
FAILED = "StUF058"
NOT_FOUND = "StUF064"

_ZAAK = (
    *(
        "identificatie",
        "omschrijving",
        "toelichting",
        "kenmerk",
        "startdatum",
        "registratiedatum",
        "zaakniveau",
    ),
    *("deelzakenIndicatie", "extraElementen", "isVan", "heeftAlsGemachtigde", "heeftAlsInitiator", "heeft"),
)
_DOCUMENT = (
    *(
        "identificatie",
        "dct.omschrijving",
        "creatiedatum",
        "ontvangstdatum",
        "titel",
        "beschrijving",
        "formaat",
    ),
    *("taal", "status", "vertrouwelijkAanduiding", "auteur", "inhoud", "isRelevantVoor"),
)
_NEEDED = {"identificatie", "omschrijving", "startdatum", "registratiedatum", "isVan"}
_LIMITS = {"identificatie": 40, "omschrijving": 80, "toelichting": 1000, "kenmerk": 40, "titel": 200}
_OPERATIONS = {
    f"{{{ZDS}}}genereerZaakIdentificatie_Di02": ("/vrij", "genereerZaakIdentificatie_Di02"),
    f"{{{ZDS}}}genereerDocumentIdentificatie_Di02": ("/vrij", "genereerDocumentIdentificatie_Di02"),
    f"{{{ZKN}}}edcLk01": ("/asynchroon", "voegZaakdocumentToe_Lk01"),
}


class Repeats(StrEnum):
    """What becomes of a message that came before, by its referentienummer."""

    ANSWERED_ALIKE = "answers as it did, and does nothing"
    REFUSED = "refuses it with StUF016"


class Refusal(Exception):
    """The message is not taken."""

    def __init__(self, code: str, details: str = "") -> None:
        super().__init__(code, details)
        self.code = code
        self.details = details


@dataclass
class Zaak:
    """A zaak, with the messages about it as they came."""

    made_by: etree._Element
    changes: list[etree._Element] = field(default_factory=list)


@dataclass(frozen=True)
class Document:
    """A document, by what it is about and what is in it."""

    zaak: str
    name: str | None
    sha256: str
    element: etree._Element


class Zaaksysteem(FaultyReceiver):
    """Keeps zaken and documents; `refusals` are codes with which the next messages of an operation are refused."""

    def __init__(self) -> None:
        super().__init__()
        self.zaken: dict[str, Zaak] = {}
        self.documents: dict[str, Document] = {}
        self.repeats = Repeats.ANSWERED_ALIKE
        self.refusals: dict[str, list[str]] = {}
        self.details = ""
        self.operations: list[str] = []
        self.bodies: list[bytes] = []
        self.soap = SOAP_11
        self.user: tuple[str, str] | None = None
        self.grows = False
        self.answers: list[bytes] = []
        self.status = 200
        self.authorizations: list[str] = []
        self.problems: list[AssertionError] = []
        self._numbers = 0
        self._asked: list[str] = []
        self._answers: dict[str, str] = {}
        self._latest = ""

    def speak(self, version: str) -> None:
        """Take messages of one version of SOAP."""
        self.soap = SOAP_12 if version == "1.2" else SOAP_11

    def forget(self) -> None:
        """Begin anew, with nothing in it."""
        self.zaken, self.documents, self._answers = {}, {}, {}

    def numbers(self, operation: str) -> list[str]:
        """The referentienummers of the messages of an operation."""
        return [number for one, number in zip(self.operations, self._asked, strict=True) if one == operation]

    async def do(self, request: web.Request) -> web.Response:
        if "Authorization" in request.headers:
            self.authorizations.append(request.headers["Authorization"])
        if self.status != 200:
            return web.Response(status=self.status)
        if request.method == "GET":
            return web.Response(text="<definitions/>", content_type="text/xml")
        # A proxy of a municipality may not know chunks.
        assert request.content_length is not None
        data = await request.read()
        self.bodies.append(data)
        try:
            done = soap_answer(self._handle(request, read_request(data)), self.soap)
        except AssertionError as problem:
            self.problems.append(problem)
            raise
        except Refusal as refusal:
            fo = "Fo02" if request.path == "/vrij" else "Fo03"
            done, status = stuf_fault(fo, refusal.code, refusal.details or self.details, self.soap), 500
        else:
            status = 200
        if self.answers:  # what it did is said in another way
            done, status = self.answers.pop(0), 200
        return web.Response(status=status, body=done, content_type=self._media_type)

    @property
    def _media_type(self) -> str:
        return "text/xml" if self.soap == SOAP_11 else "application/soap+xml"

    def _handle(self, request: web.Request, soap: SoapRequest) -> str:
        message = soap.body
        assert soap.namespace == self.soap
        assert request.content_type == self._media_type
        path, operation = self._operation(message)
        assert request.path == path
        assert request.headers["SOAPAction"] == f'"{ZKN}/{operation}"'
        if self.soap == SOAP_12:
            assert f'action="{ZKN}/{operation}"' in request.headers["Content-Type"]
        self._check_user(soap.headers)
        self.operations.append(operation)
        number, moment = self._stuurgegevens(message)
        self._asked.append(number)
        if codes := self.refusals.get(operation):
            raise Refusal(codes.pop(0))
        if self.grows and moment <= self._latest:
            raise Refusal(NOT_LATER)
        self._latest = moment
        if number in self._answers:
            if self.repeats is Repeats.REFUSED:
                raise Refusal(NOT_UNIQUE)
            return self._answers[number]
        self._answers[number] = self._do(operation, number, message)
        return self._answers[number]

    def _operation(self, message: etree._Element) -> tuple[str, str]:
        if message.tag == f"{{{ZKN}}}zakLk01":
            kind = message.findtext(f"{{{ZKN}}}parameters/{{{STUF}}}mutatiesoort")
            return "/asynchroon", {"T": "creeerZaak_Lk01", "W": "updateZaak_Lk01"}[str(kind)]
        return _OPERATIONS[str(message.tag)]

    def _do(self, operation: str, number: str, message: etree._Element) -> str:
        if operation.endswith("_Di02"):
            return self._generate(operation.removesuffix("_Di02"), number)
        objects = message.findall(f"{{{ZKN}}}object")
        {
            "creeerZaak_Lk01": self._make_zaak,
            "updateZaak_Lk01": self._change_zaak,
            "voegZaakdocumentToe_Lk01": self._add_document,
        }[operation](*objects)
        return confirmation("Bv03", number)

    def _generate(self, operation: str, number: str) -> str:
        self._numbers += 1
        what = "zaak" if "Zaak" in operation else "document"
        return (
            f'<ZDS:{operation}_Du02 xmlns:ZDS="{ZDS}" xmlns:ZKN="{ZKN}"><ZDS:stuurgegevens>'
            f"<StUF:berichtcode>Du02</StUF:berichtcode><StUF:crossRefnummer>{number}</StUF:crossRefnummer>"
            f"</ZDS:stuurgegevens><ZDS:{what}><ZKN:identificatie>0363{what}{self._numbers}</ZKN:identificatie>"
            f"</ZDS:{what}></ZDS:{operation}_Du02>"
        )

    def _make_zaak(self, zaak: etree._Element) -> None:
        names = _in_order(zaak, _ZAAK)
        if missing := _NEEDED - set(names):
            raise Refusal(NOT_VALID, f"missing {missing}")
        if zaak.findtext(f"{{{ZKN}}}isVan/{{{ZKN}}}gerelateerde/{{{ZKN}}}code") not in {"B1", "B2"}:
            raise Refusal(NOT_FOUND, "zaaktype")
        identificatie = _text(zaak, "identificatie")
        if identificatie in self.zaken:
            raise Refusal(FAILED, f"zaak {identificatie} bestaat al")
        self.zaken[identificatie] = Zaak(zaak)

    def _change_zaak(self, before: etree._Element, after: etree._Element) -> None:
        _in_order(before, _ZAAK)
        _in_order(after, _ZAAK)
        identificatie = _text(after, "identificatie")
        assert _text(before, "identificatie") == identificatie
        if identificatie not in self.zaken:
            raise Refusal(NOT_FOUND, "zaak")
        self.zaken[identificatie].changes.append(after)

    def _add_document(self, document: etree._Element) -> None:
        if set(_in_order(document, _DOCUMENT)) != set(_DOCUMENT):
            raise Refusal(NOT_VALID)
        relation = f"{{{ZKN}}}isRelevantVoor/{{{ZKN}}}gerelateerde/{{{ZKN}}}identificatie"
        zaak = document.findtext(relation) or ""
        if zaak not in self.zaken:
            raise Refusal(NOT_FOUND, "zaak")
        identificatie = _text(document, "identificatie")
        if identificatie in self.documents:
            raise Refusal(FAILED, f"document {identificatie} bestaat al")
        content = document.find(f"{{{ZKN}}}inhoud")
        assert content is not None
        assert content.get(f"{{{XMIME}}}contentType")
        digest = hashlib.sha256(base64.b64decode(content.text or "", validate=True)).hexdigest()
        self.documents[identificatie] = Document(
            zaak, content.get(f"{{{STUF}}}bestandsnaam"), digest, document
        )

    def _stuurgegevens(self, message: etree._Element) -> tuple[str, str]:
        namespace = etree.QName(message).namespace
        found = message.find(f"{{{namespace}}}stuurgegevens")
        assert found is not None
        names = [etree.QName(one).localname for one in found]
        assert names[:5] == ["berichtcode", "zender", "ontvanger", "referentienummer", "tijdstipBericht"]
        assert names[5:] in (["entiteittype"], ["functie"])
        for party in ("zender", "ontvanger"):
            for part in ("organisatie", "applicatie"):
                assert found.findtext(f"{{{STUF}}}{party}/{{{STUF}}}{part}")
        number = found.findtext(f"{{{STUF}}}referentienummer") or ""
        moment = found.findtext(f"{{{STUF}}}tijdstipBericht") or ""
        assert 0 < len(number) <= 40
        assert re.fullmatch(r"\d{17}", moment)
        return number, moment

    def _check_user(self, headers: tuple[etree._Element, ...]) -> None:
        if self.user is None:
            assert headers == ()
            return
        (security,) = headers
        assert security.tag == f"{{{WSSE}}}Security"
        assert security.get(f"{{{self.soap}}}mustUnderstand") == "1"
        created, expires = (
            datetime.fromisoformat(security.findtext(f"{{{WSU}}}Timestamp/{{{WSU}}}{name}") or "")
            for name in ("Created", "Expires")
        )
        assert expires - created == timedelta(minutes=5)
        token = security.find(f"{{{WSSE}}}UsernameToken")
        assert token is not None
        password = token.find(f"{{{WSSE}}}Password")
        assert password is not None
        if not created <= datetime.now(UTC) < expires or (
            token.findtext(f"{{{WSSE}}}Username"),
            password.text,
        ) != (self.user[0], self._expected(token, password, self.user[1])):
            raise Refusal("StUF052", "unknown user")

    def _expected(self, token: etree._Element, password: etree._Element, known: str) -> str:
        if str(password.get("Type")).endswith("#PasswordText"):
            return known
        nonce = base64.b64decode(token.findtext(f"{{{WSSE}}}Nonce") or "", validate=True)
        created = token.findtext(f"{{{WSU}}}Created") or ""
        digest = hashlib.sha1(nonce + created.encode() + known.encode(), usedforsecurity=False).digest()
        return base64.b64encode(digest).decode()


def _in_order(element: etree._Element, order: tuple[str, ...]) -> list[str]:
    """The names of the children, which stand in the order of the schema and are no longer than it allows."""
    names = [etree.QName(one).localname for one in element]
    if sorted(names, key=order.index) != names:
        raise Refusal(NOT_VALID, f"order of {names}")
    for one in element:
        if len(one.text or "") > _LIMITS.get(etree.QName(one).localname, 10**9):
            raise Refusal(NOT_VALID, f"length of {one.tag}")
    return names


def _text(element: etree._Element, name: str) -> str:
    return element.findtext(f"{{{ZKN}}}{name}") or ""
