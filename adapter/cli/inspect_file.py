"""`inspect`: says what a file is, and what is in it."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from lxml import etree

from adapter.cli.captured_body import BodyProblem, CapturedBody, CapturedPart, open_body
from adapter.cli.cpa_view import describe_cpa
from adapter.cli.message_view import describe_ebms
from adapter.cli.output import fail, show_document
from adapter.cli.settings import JsonOption
from adapter.ebms import SoapFault, read_envelope
from adapter.verzoek import (
    NotificationProblem,
    NotificationRules,
    Organisatie,
    VerzoekberichtProblem,
    read_notification,
    read_verzoekbericht,
)
from cpa import CollaborationProtocolAgreement, CpaError, XmlRefused, parse_cpa, parse_xml

Description = dict[str, Any]

MAX_XML: Final = 32 * 1024 * 1024
"""Largest XML file that is looked at, in octets; the largest known verzoekbericht is far smaller."""

_LOOKED_FOR: Final = (
    "looked for: a CPA, an ebMS message (a SOAP envelope, or an HTTP body with its headers before it), "
    "a verzoeknotificatie and a verzoekbericht"
)


class NotKnown(Exception):
    """A file that is none of what we know; the text says how far it was read."""


def inspect(
    file: Annotated[
        Path, typer.Argument(help="Any file.", metavar="FILE", exists=True, dir_okay=False, readable=True)
    ],
    cpa: Annotated[
        Path | None,
        typer.Option("--cpa", help="The agreement to judge a message by.", exists=True, dir_okay=False),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Say what a file is, and what is in it.

    Known are a CPA, an ebMS message, a verzoeknotificatie and a verzoekbericht; exit code 1: the file is none of these.

    Of an ebMS message it says whether the signature holds, and by which certificate. Without --cpa that is the one in
    the message itself, which proves nothing about who signed. Payloads can only be judged in a whole HTTP body: its
    headers, an empty line, and the multipart body.

    Example: stam-adapter inspect message.http --cpa cpa/voorbeeldstad.xml
    """
    document = _agreement(cpa) if cpa is not None else None
    try:
        found = _look(file, document, datetime.now(UTC))
    except (NotKnown, BodyProblem) as problem:
        fail(f"{file}: {problem}\n{_LOOKED_FOR}")
    except SoapFault as fault:
        fail(f"{file}: a SOAP message, but not one of ebMS 2.0: {fault.detail}\n{_LOOKED_FOR}")
    except (CpaError, NotificationProblem, VerzoekberichtProblem) as problem:
        fail(f"{file}: {problem}")
    show_document({"file": str(file), **found}, as_json=as_json)


def _agreement(file: Path) -> CollaborationProtocolAgreement:
    try:
        return parse_cpa(file.read_bytes())
    except (CpaError, OSError) as problem:
        fail(f"{file}: {problem}; give a CPA with --cpa")


def _look(file: Path, document: CollaborationProtocolAgreement | None, now: datetime) -> Description:
    with file.open("rb") as opened:
        data = opened.read(MAX_XML + 1)
    if not data.strip():
        raise NotKnown("the file is empty")
    if data.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"<":
        return _xml(data, document, now)
    body = open_body(file)
    if body is None:
        raise NotKnown("neither XML nor an HTTP body with its headers")
    return _http(body, document, now)


def _http(body: CapturedBody, document: CollaborationProtocolAgreement | None, now: datetime) -> Description:
    if not body.content_type.is_multipart:
        if not body.content_type.media_type.endswith("xml"):
            raise NotKnown(f"an HTTP body of type {body.content_type.media_type}")
        found = _xml(body.plain(), document, now)
        return {"headers": _headers(body), **found}
    parts = body.parts()
    root = body.root(parts)
    if root.problem is not None:
        raise BodyProblem(f"the SOAP part cannot be decoded: {root.problem}")
    payloads: list[CapturedPart] = [part for part in parts if part is not root]
    envelope = read_envelope(bytes(root.octets))
    return {"headers": _headers(body), **describe_ebms(envelope, body, payloads, document, now)}


def _headers(body: CapturedBody) -> list[str]:
    return [f"{name}: {value}" for name, value in body.headers]


def _xml(data: bytes, document: CollaborationProtocolAgreement | None, now: datetime) -> Description:
    try:
        root = parse_xml(data, max_bytes=MAX_XML)
    except XmlRefused as refused:
        raise NotKnown(f"XML that cannot be read: {refused}") from refused
    name = etree.QName(root).localname
    if name == "CollaborationProtocolAgreement":
        return describe_cpa(parse_cpa(data), now)
    if name == "Envelope":
        return describe_ebms(read_envelope(data), None, (), document, now)
    if name == "verzoekXML":
        return _verzoekbericht(data)
    return _notification(data, name)


def _notification(data: bytes, name: str) -> Description:
    if name not in NotificationRules().roots:
        raise NotKnown(f"XML with the root element <{name[:100]}>")
    notification = read_notification(data)
    return {
        "kind": "verzoeknotificatie",
        "verzoeknummer": notification.verzoeknummer,
        "volgnummer": notification.volgnummer,
        "doel": notification.doel,
        "type": notification.type,
        "bevoegdGezag": notification.bevoegd_gezag,
        "uitvoerendeInstantie": notification.uitvoerende_instantie,
    }


def _verzoekbericht(data: bytes) -> Description:
    bericht = read_verzoekbericht(data, max_bytes=MAX_XML)
    return {
        "kind": "verzoekbericht",
        "verzoeknummer": bericht.verzoeknummer,
        "volgnummer": bericht.volgnummer,
        "doel": bericht.doel,
        "type": bericht.type,
        "indienDatum": bericht.indien_datum,
        "projectId": bericht.project_id,
        "bevoegdGezag": _organisatie(bericht.bevoegd_gezag),
        "uitvoerendeInstantie": _organisatie(bericht.uitvoerende_instantie),
        "documents": [
            {
                "documentId": one.document_id,
                "bestandsnaam": one.bestandsnaam,
                "vertrouwelijk": one.vertrouwelijk,
            }
            for one in bericht.documents
        ],
    }


def _organisatie(organisatie: Organisatie | None) -> Description | None:
    return None if organisatie is None else {"oin": organisatie.oin, "naam": organisatie.naam}
