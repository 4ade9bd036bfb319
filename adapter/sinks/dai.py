# SPDX-License-Identifier: EUPL-1.2

"""The dai sink: a message goes to a back-end by VNG's Digikoppeling Adapter Intern 1.0.

One SOAP call, `addressing`: the message untouched in the body, and what ebMS said about it in WS-Addressing headers
(DAI 3.1). The back-end takes the responsibility over (Bv03, Bv04) or refuses (Fo03). It may recognise a message that
comes twice by its wsa:MessageID, but need not.
"""

import asyncio
import codecs
import re
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, Literal
from urllib.parse import quote

from lxml import etree
from pydantic import BeforeValidator, Field

from adapter.config import ByteSize
from adapter.delivery import (
    Checkpoint,
    Delivered,
    Handover,
    HandoverFile,
    Outcome,
    Permanent,
    SinkContext,
    SinkOptions,
    SinkType,
    StepFailed,
    Steps,
    Temporary,
)
from adapter.sinks.connection import ConnectionOptions, ask, open_client, refusal
from adapter.sinks.rules import Texts
from adapter.sinks.soap import ANSWER, Place, SoapVersion, envelope, probe, read_body
from adapter.sinks.stuf import read_confirmation, read_refusal
from adapter.sinks.verzoek import content_of
from adapter.store import Flow
from cpa import XmlRefused, parse_xml

DAI_NAMESPACE: Final = "http://www.stufstandaarden.nl/koppelvlak/dai0100"
WSA: Final = "http://www.w3.org/2005/08/addressing"
PREFIX: Final = "urn:dkintern:"
CONVERSATION: Final = f"{PREFIX}ConversationId"

_STEP: Final = "addressing"
_IN_IRI: Final = ":/?#[]@!$&'()*+,;=-._~%"
_IN_URN: Final = "()+,-.:=@;$_!*'%"
_DECLARATION = re.compile(r"<\?xml\s.*?\?>", re.DOTALL)
_BOMS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def _iri(text: str) -> str:
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*:\S+$", text) is None:
        raise ValueError(f"{text!r} is not an IRI; write it as urn:dkintern:0363:zaaksysteem:")
    return text


Iri = Annotated[str, BeforeValidator(_iri)]


class DaiRoute(SinkOptions):
    """One of `routes`: where the messages go that it matches; the first that matches wins.

    `cpa_id`, `service` and `action` are one text or several, and match all when left out. What it does not say of
    `url`, `to` and `from` is as for the sink.
    """

    cpa_id: Texts = ()
    service: Texts = ()
    action: Texts = ()
    url: str | None = None
    to: Iri | None = None
    sender: Iri | None = Field(default=None, alias="from")

    def matches(self, manifest: Any) -> bool:
        """Whether a message meets every condition."""
        asked = ((self.cpa_id, "cpaId"), (self.service, "service"), (self.action, "action"))
        return all(not wanted or manifest.get(key) in wanted for wanted, key in asked)


class DaiOptions(ConnectionOptions):
    """The options of a dai sink; `docs/sinks.md` describes each."""

    url: str
    to: Iri
    sender: Iri = Field(alias="from")
    stuurgegevens: bool = False
    refused: Literal["retry", "park"] = "park"
    max_message: ByteSize = 10 * 1024 * 1024
    routes: tuple[DaiRoute, ...] = ()

    @property
    def urls(self) -> dict[str, str]:
        """Every address, by the name of its option."""
        named = {f"routes[{number}].url": route.url for number, route in enumerate(self.routes)}
        return {"url": self.url} | {name: url for name, url in named.items() if url is not None}

    def address(self, manifest: Any) -> "Address":
        """Where a message goes, by what ebMS said about it."""
        route = next((one for one in self.routes if one.matches(manifest)), DaiRoute())
        return Address(route.url or self.url, route.to or self.to, route.sender or self.sender)


@dataclass(frozen=True, slots=True)
class Address:
    """A back-end, what it is called there, and what the other side is called there."""

    url: str
    to: str
    sender: str


class DaiSink:
    """Delivers messages to one or more back-ends."""

    def __init__(self, options: DaiOptions, context: SinkContext) -> None:
        self._options = options
        self._clock = context.clock
        self._http = open_client(options, options.urls, context)

    async def deliver(self, handover: Handover, checkpoint: Checkpoint) -> Outcome:
        """Sends the message once, and again only where nobody knows whether it came across.

        ContentDamaged and ContentUnavailable, from reading the payload, pass through.
        """
        file = _only_payload(handover)
        if file.size > self._options.max_message:
            return Permanent(
                f"{file.path} has {file.size} bytes, and max_message allows {self._options.max_message}; raise it if "
                "the back-end takes so much, then retry"
            )
        data = await content_of(file, self._options.max_message)
        try:
            payload = await asyncio.to_thread(_read, data)
        except (XmlRefused, UnicodeError, LookupError) as problem:
            return Permanent(f"{file.path} cannot be put into a SOAP message: {problem}")
        address = self._options.address(handover.manifest)
        if self._options.stuurgegevens:
            address = Address(address.url, payload.to or address.to, payload.sender or address.sender)
        message = _written(handover.manifest, address, payload.text)

        async def addressing() -> dict[str, Any]:
            await self._send(address.url, message)
            return {}

        await Steps(checkpoint).unrecognised(_STEP, addressing)
        return Delivered(reference=_urn(handover.manifest["messageId"]))

    async def probe(self) -> None:
        """Checks that each back-end answers."""
        await probe(self._http, self._options.urls)

    async def close(self) -> None:
        """Closes its connections."""
        await self._http.close()

    async def _send(self, url: str, message: bytes) -> None:
        headers = SoapVersion.V1_1.headers("")
        answer = await ask(self._http, "POST", url, headers=headers, data=message, limit=ANSWER)
        body = read_body(answer)
        if body is not None and answer.is_success and read_confirmation(body) is not None:
            return
        said = None if body is None else read_refusal(body)
        if said is not None and said.berichtcode is not None:
            reason = f"the back-end refuses the message: {said.reason}"
            outcome = Permanent(reason) if self._options.refused == "park" else Temporary(reason)
            raise StepFailed(outcome, undone=True)
        what = "the back-end does not take the message over"
        if said is not None:
            what = f"{what}: {said.reason}"
        if not answer.is_success:
            raise refusal(answer, what, self._clock())
        raise StepFailed(Temporary(f"{what}: it answers neither Bv03 nor Bv04"), undone=False)


@dataclass(frozen=True, slots=True)
class _Payload:
    """The text of a payload as it goes into the body, and what its stuurgegevens call the two sides."""

    text: bytes = field(repr=False)
    to: str | None
    sender: str | None


def _only_payload(handover: Handover) -> HandoverFile:
    if handover.flow != Flow.MESSAGE:
        raise _not_deliverable("a fetched verzoek is several files")
    if len(handover.files) != 1:
        raise _not_deliverable(f"this message has {len(handover.files)} payloads")
    return handover.files[0]


def _not_deliverable(why: str) -> StepFailed:
    return StepFailed(
        Permanent(
            f"{why}, and Digikoppeling Adapter Intern 1.0 carries messages of one payload only (DAI 3.1.6): give this "
            "route a sink of another type"
        ),
        undone=True,
    )


def _read(data: bytes) -> _Payload:
    """Raises XmlRefused for what is no XML or has a DTD, and UnicodeError or LookupError for an unknown encoding."""
    root = parse_xml(data, max_bytes=len(data))
    found = next((codec for bom, codec in _BOMS if data.startswith(bom)), None)
    text = data.decode(found or root.getroottree().docinfo.encoding or "utf-8")
    declaration = _DECLARATION.match(text)
    # Taken as text and not written anew, so that it stays what it was to the last sign.
    bare = text if declaration is None else text[declaration.end() :]
    return _Payload(bare.encode(), _party(root, "ontvanger"), _party(root, "zender"))


def _party(root: etree._Element, name: str) -> str | None:
    """What StUF calls one side (DAI appendix B); None where the message does not say it."""
    found = _child(_child(root, "stuurgegevens"), name)
    if found is None:
        return None
    parts = [
        ("" if part is None else part.text or "").strip()
        for part in (_child(found, key) for key in ("organisatie", "applicatie", "administratie"))
    ]
    return f"{PREFIX}{quote(':'.join(parts), safe=_IN_URN)}" if any(parts) else None


def _child(element: etree._Element | None, name: str) -> etree._Element | None:
    children = () if element is None else element.iterchildren(f"{{*}}{name}")
    return next(iter(children), None)


def _written(manifest: Any, address: Address, payload: bytes) -> bytes:
    """The whole SOAP message (DAI 3.1)."""
    headers = [
        _header("To", address.to),
        _header("From"),
        _header("Action", _urn(f"{manifest['service']}:{manifest['action']}")),
        _header("MessageID", _urn(manifest["messageId"])),
    ]
    etree.SubElement(headers[1], f"{{{WSA}}}Address").text = address.sender
    if manifest.get("refToMessageId") is not None:
        headers.append(_header("RelatesTo", _urn(manifest["refToMessageId"])))
    conversation = _header("RelatesTo", _urn(manifest["conversationId"]))
    conversation.set("RelationshipType", CONVERSATION)
    headers.append(conversation)
    place = Place.make()
    body = etree.Element(f"{{{DAI_NAMESPACE}}}bericht", nsmap={"dai": DAI_NAMESPACE})
    body.text = place.mark
    head, tail = place.around(envelope(SoapVersion.V1_1, headers, body))
    return head + payload + tail


def _header(name: str, text: str | None = None) -> etree._Element:
    element = etree.Element(f"{{{WSA}}}{name}", nsmap={"wsa": WSA})
    element.text = text
    return element


def _urn(text: str) -> str:
    """A text of ebMS as an IRI: what may not stand in one is percent-encoded."""
    return f"{PREFIX}{quote(text, safe=_IN_IRI)}"


DAI: SinkType[DaiOptions] = SinkType("dai", DaiOptions, DaiSink, flows=frozenset({Flow.MESSAGE}))
