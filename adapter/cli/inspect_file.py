# SPDX-License-Identifier: EUPL-1.2

"""`inspect`: says what a file is, and what is in it."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from lxml import etree

from adapter.cli.captured_body import BodyProblem, CapturedBody, CapturedPart, open_body
from adapter.cli.message_view import describe_ebms
from adapter.cli.output import fail, show_document
from adapter.cli.settings import JsonOption
from adapter.cli.verzoek_view import describe_verzoek, outline_verzoek
from adapter.ebms import SoapFault, read_envelope
from adapter.verzoek import (
    NotificationProblem,
    NotificationRules,
    VerzoekberichtProblem,
    read_notification,
    read_verzoekbericht,
    without_bsn,
)
from adapter.views.cpas import describe_cpa
from cpa import CollaborationProtocolAgreement, CpaError, XmlRefused, parse_cpa, parse_xml

Description = dict[str, Any]

MAX_XML: Final = 32 * 1024 * 1024
"""Largest XML file that is looked at, in octets; the largest known verzoekbericht is far smaller."""

_LOOKED_FOR: Final = (
    "looked for: a CPA, an ebMS message (a SOAP envelope, or an HTTP body with its headers before it), "
    "a verzoeknotificatie and a verzoekbericht"
)


@dataclass(frozen=True, slots=True)
class _Asked:
    """How a file is looked at: when, by which agreement, for whom."""

    now: datetime
    agreement: CollaborationProtocolAgreement | None
    as_json: bool
    shows_bsn: bool


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
    bsn: Annotated[
        bool, typer.Option("--bsn", help="Show a burgerservicenummer whole, not just its last three digits.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Say what a file is, and what is in it.

    Known are a CPA, an ebMS message, a verzoeknotificatie and a verzoekbericht; exit code 1: the file is none of these.

    Of an ebMS message it says whether the signature holds, and by which certificate. Without --cpa that is the one in
    the message itself, which proves nothing about who signed. Payloads can only be judged in a whole HTTP body: its
    headers, an empty line, and the multipart body.

    Of a verzoekbericht it shows who asks what, where, and with which documents, and marks what may not be published.
    With --json it has every element of it, under its name there.

    Example: stam-adapter inspect message.http --cpa cpa/voorbeeldstad.xml
    """
    document = _agreement(cpa) if cpa is not None else None
    try:
        found = _look(file, _Asked(datetime.now(UTC), document, as_json, bsn))
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


def _look(file: Path, asked: _Asked) -> Description:
    with file.open("rb") as opened:
        data = opened.read(MAX_XML + 1)
    if not data.strip():
        raise NotKnown("the file is empty")
    if data.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"<":
        return _xml(data, asked)
    body = open_body(file)
    if body is None:
        raise NotKnown("neither XML nor an HTTP body with its headers")
    return _http(body, asked)


def _http(body: CapturedBody, asked: _Asked) -> Description:
    if not body.content_type.is_multipart:
        if not body.content_type.media_type.endswith("xml"):
            raise NotKnown(f"an HTTP body of type {body.content_type.media_type}")
        found = _xml(body.plain(), asked)
        return {"headers": _headers(body), **found}
    parts = body.parts()
    root = body.root(parts)
    if root.problem is not None:
        raise BodyProblem(f"the SOAP part cannot be decoded: {root.problem}")
    payloads: list[CapturedPart] = [part for part in parts if part is not root]
    envelope = read_envelope(bytes(root.octets))
    return {"headers": _headers(body), **describe_ebms(envelope, body, payloads, asked.agreement, asked.now)}


def _headers(body: CapturedBody) -> list[str]:
    return [f"{name}: {value}" for name, value in body.headers]


def _xml(data: bytes, asked: _Asked) -> Description:
    try:
        root = parse_xml(data, max_bytes=MAX_XML)
    except XmlRefused as refused:
        raise NotKnown(f"XML that cannot be read: {refused}") from refused
    name = etree.QName(root).localname
    if name == "CollaborationProtocolAgreement":
        return describe_cpa(parse_cpa(data), asked.now)
    if name == "Envelope":
        return describe_ebms(read_envelope(data), None, (), asked.agreement, asked.now)
    if name == "verzoekXML":
        return _verzoekbericht(data, asked)
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


def _verzoekbericht(data: bytes, asked: _Asked) -> Description:
    bericht = read_verzoekbericht(data, max_bytes=MAX_XML)
    shown = bericht if asked.shows_bsn else without_bsn(bericht)
    return describe_verzoek(shown) if asked.as_json else outline_verzoek(shown)
