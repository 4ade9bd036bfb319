# SPDX-License-Identifier: EUPL-1.2

"""The cases of docs/bad-input.md: each makes its request against a house, and hands back what was answered."""

import asyncio
import copy
import gzip
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from lxml import etree

from adapter.ebms import EncryptionPlan, encrypt_payload
from adapter.pki import client_context
from adapter.simulator import SERVICE
from cpa import Service
from tests.msh.house import (
    DS,
    EB,
    HEADER,
    SOAP,
    XLINK,
    House,
    Made,
    Part,
    Request,
    Response,
    ask_next_msh,
    eb,
    notification,
    other_party,
    wrap,
)

STRANGER = other_party("00000099000000004000")


@dataclass(frozen=True)
class Tried:
    """What a case came to: the HTTP answer, and the message where a MessageError about it is to come."""

    response: Response
    made: Made | None = None


Case = Callable[[House], Awaitable[Tried]]
CASES: dict[str, Case] = {}
SETTINGS: dict[str, dict[str, Any]] = {}


def case(name: str, **settings: Any) -> Callable[[Case], Case]:
    """A case by its name in the table; `settings` are of the daemon it is played against."""

    def register(function: Case) -> Case:
        CASES[name] = function
        SETTINGS[name] = settings
        return function

    return register


def small(**values: str) -> dict[str, dict[str, str]]:
    return {"environ": {f"STAM_ADAPTER__EBMS__{name.upper()}": value for name, value in values.items()}}


async def refused(house: House, made: Made, request: Request | None = None, **options: Any) -> Tried:
    return Tried(await house.send(made, request, **options), made)


# --- before the sender is known


@case("other-path")
async def other_path(house: House) -> Tried:
    return Tried(await house.post(wrap(house.draft().make()), path="/ebms/other"))


@case("get")
async def get(house: House) -> Tried:
    response = await house.post(Request({}, b""), method="GET")
    assert response.headers["Allow"] == "POST"
    return Tried(response)


@case("foreign-oin")
async def foreign_oin(house: House) -> Tried:
    """The answer comes while the body goes on and on."""
    async with never_ending(wrap(house.draft().make()).body) as body:
        return Tried(await house.post(wrap(house.draft().make()), keys="stranger", body=body))


class never_ending:  # noqa: N801 - reads as a word
    """A body that starts as given and does not end until the block does."""

    def __init__(self, first: bytes) -> None:
        self.first = first
        self.over = asyncio.Event()

    async def __aenter__(self) -> AsyncIterator[bytes]:
        return self.octets()

    async def __aexit__(self, *_: object) -> None:
        self.over.set()

    async def octets(self) -> AsyncIterator[bytes]:
        yield self.first
        await self.over.wait()


# --- before the message is known


@case("wrong-soap-action")
async def wrong_soap_action(house: House) -> Tried:
    return Tried(await house.post(wrap(house.draft().make(), soap_action='"ebxml"')))


@case("wrong-content-type")
async def wrong_content_type(house: House) -> Tried:
    return Tried(await house.post(wrap(house.draft().make(), content_type="application/soap+xml")))


@case("no-content-type")
async def no_content_type(house: House) -> Tried:
    return Tried(await raw(house, head("Content-Length: 1"), b"x"))


@case("compressed")
async def compressed(house: House) -> Tried:
    request = wrap(house.draft().make())
    headers = {**request.headers, "Content-Encoding": "gzip"}
    return Tried(await house.post(Request(headers, gzip.compress(request.body))))


@case("too-large-announced", **small(max_message="64 KiB"))
async def too_large_announced(house: House) -> Tried:
    return Tried(await house.post(wrap(house.draft(parts=[Part(bytes(2**21))]).make())))


@case("too-large-chunked", **small(max_message="64 KiB"))
async def too_large_chunked(house: House) -> Tried:
    request = wrap(house.draft(parts=[Part(bytes(2**21))]).make())
    return Tried(await house.post(request, body=in_chunks(request.body)))


@case("trickling-body", **small(read_timeout="300ms"))
async def trickling_body(house: House) -> Tried:
    """It is never silent for as long as a partner may be, and will not end."""
    return Tried(await house.post(wrap(house.draft().make()), body=trickle(b"--=_border\r\n")))


@case("slow-body", **small(read_timeout="300ms"))
async def slow_body(house: House) -> Tried:
    request = wrap(house.draft(parts=[Part(bytes(2**19))]).make())
    async with never_ending(request.body[:400_000]) as body:
        return Tried(await house.post(request, body=body))


@case("broken-chunks", **small(read_timeout="300ms"))
async def broken_chunks(house: House) -> Tried:
    request = wrap(house.draft().make())
    headers = head("Transfer-Encoding: chunked", f"Content-Type: {request.headers['Content-Type']}")
    return Tried(await raw(house, headers, b"5\r\nhello\r\n", b"no size\r\n"))


@case("no-boundary")
async def no_boundary(house: House) -> Tried:
    return Tried(await house.post(wrap(house.draft().make(), boundary=None)))


@case("wrong-boundary")
async def wrong_boundary(house: House) -> Tried:
    other = 'multipart/related; type="text/xml"; boundary="other"'
    return Tried(await house.post(wrap(house.draft().make(), content_type=other)))


@case("unfinished-multipart")
async def unfinished_multipart(house: House) -> Tried:
    request = wrap(house.draft(parts=[Part(bytes(300_000))]).make())
    return Tried(await house.post(replace(request, body=request.body[:-20])))


@case("many-parts")
async def many_parts(house: House) -> Tried:
    made = house.draft().make()
    return Tried(await house.post(wrap(made, parts=[Part(b"", f"{number}@x") for number in range(10_000)])))


@case("root-is-multipart")
async def root_is_multipart(house: House) -> Tried:
    made = house.draft().make()
    return Tried(await house.post(wrap(made, root_type='multipart/mixed; boundary="inner"')))


@case("root-is-json")
async def root_is_json(house: House) -> Tried:
    return Tried(await house.post(wrap(house.draft().make(), root_type="application/json")))


@case("latin-1-part")
async def latin_1_part(house: House) -> Tried:
    return Tried(await house.post(wrap(house.draft().make(), root_type='text/xml; charset="ISO-8859-1"')))


@case("latin-1-body")
async def latin_1_body(house: House) -> Tried:
    made = house.signal("Ping")
    return Tried(await house.post(wrap(made, plain=True, content_type="text/xml; charset=iso-8859-1")))


@case("latin-1-declared")
async def latin_1_declared(house: House) -> Tried:
    return Tried(await house.post(edited(house, b"UTF-8", b"ISO-8859-1")))


@case("large-envelope")
async def large_envelope(house: House) -> Tried:
    return Tried(await house.post(edited(house, b"</SOAP:Body>", b" " * 2**22 + b"</SOAP:Body>")))


@case("not-xml")
async def not_xml(house: House) -> Tried:
    return Tried(await house.post(edited(house, b"</SOAP:Envelope>", b"")))


@case("doctype")
async def doctype(house: House) -> Tried:
    attack = b'<!DOCTYPE x [<!ENTITY file SYSTEM "file:///etc/hostname">]><SOAP:Envelope '
    return Tried(await house.post(edited(house, b"<SOAP:Envelope ", attack)))


@case("entity-bomb")
async def entity_bomb(house: House) -> Tried:
    entities = '<!ENTITY a0 "lol">' + "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10))
    attack = f"<!DOCTYPE x [{entities}]><SOAP:Envelope ".encode()
    return Tried(await house.post(edited(house, b"<SOAP:Envelope ", attack)))


@case("processing-instruction")
async def processing_instruction(house: House) -> Tried:
    return Tried(await house.post(edited(house, b"</SOAP:Header>", b"<?php 1?></SOAP:Header>")))


@case("soap-1.2")
async def soap_12(house: House) -> Tried:
    return Tried(await house.post(edited(house, SOAP.encode(), b"http://www.w3.org/2003/05/soap-envelope")))


@case("not-soap")
async def not_soap(house: House) -> Tried:
    made = replace(house.signal("Ping"), envelope=b"<verzoeknotificatie/>")
    return Tried(await house.post(wrap(made, plain=True)))


@case("must-understand")
async def must_understand(house: House) -> Tried:
    def add(root: etree._Element) -> None:
        etree.SubElement(root[0], "{urn:x-unknown}Header", {f"{{{SOAP}}}mustUnderstand": "1"})

    return Tried(await house.post(wrap(house.draft(before=add).make())))


@case("no-message-header")
async def no_message_header(house: House) -> Tried:
    def remove(root: etree._Element) -> None:
        root[0].remove(root[0][0])

    return Tried(await house.post(wrap(house.draft(after=remove).make())))


@case("unknown-cpa")
async def unknown_cpa(house: House) -> Tried:
    return Tried(await house.post(wrap(house.draft(header={"cpa_id": "CPA-unknown"}).make())))


@case("other-partner")
async def other_partner(house: House) -> Tried:
    """A neighbour learns nothing of the agreement that its message names, and of what is wrong with it."""
    response = await house.post(wrap(house.draft(sign=False).make()), keys="neighbour")
    assert response.body == b""
    return Tried(response)


def edited(house: House, old: bytes, new: bytes) -> Request:
    made = house.draft().make()
    assert old in made.envelope
    return wrap(replace(made, envelope=made.envelope.replace(old, new)))


async def in_chunks(body: bytes) -> AsyncIterator[bytes]:
    for at in range(0, len(body), 65536):
        yield body[at : at + 65536]


async def trickle(octets: bytes) -> AsyncIterator[bytes]:
    """One octet now and then, without end."""
    for octet in itertools.cycle(octets):
        yield bytes([octet])
        await asyncio.sleep(0.05)


def head(*headers: str) -> bytes:
    lines = ("POST /ebms HTTP/1.1", "Host: localhost", 'SOAPAction: "ebXML"', "Connection: close", *headers)
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


async def raw(house: House, *octets: bytes) -> Response:
    """Send octets as they are, and read the status of the answer; the third piece once the second is read."""
    context = client_context(house.keys["dso"], house.world.trust)
    reader, writer = await asyncio.open_connection(
        "localhost", house.world.ports.adapter, ssl=context, server_hostname="localhost"
    )
    try:
        writer.write(octets[0] + octets[1])
        if octets[2:]:
            await house.until_receiving()
            writer.write(b"".join(octets[2:]))
        status = int((await reader.readline()).split()[1])
    finally:
        writer.transport.abort()
    return Response(status, {}, b"")


# --- a message of a partner


@case("wrong-from")
async def wrong_from(house: House) -> Tried:
    draft = house.draft()
    draft.header = {"sender": replace(draft.make().header.sender, party_ids=STRANGER)}
    return await refused(house, draft.make())


@case("wrong-to")
async def wrong_to(house: House) -> Tried:
    draft = house.draft()
    draft.header = {"receiver": replace(draft.make().header.receiver, party_ids=STRANGER)}
    return await refused(house, draft.make())


@case("reversed-parties")
async def reversed_parties(house: House) -> Tried:
    header = house.draft().make().header
    return await refused(
        house, house.draft(header={"sender": header.receiver, "receiver": header.sender}).make()
    )


HUB = 'acts_for = ["00000099000000003000"]'


def with_agreement(setting: str, number: int = 1) -> dict[str, str]:
    cpa_id = f"Verzoeknotificatie_00000099000000001000_0000009910000000{number}000_simulatie"
    return {"extra": f'[authorities.rms.agreements."{cpa_id}"]\n{setting}\n'}


@case("wrong-parties-of-another", **with_agreement(HUB))
async def wrong_parties_of_another(house: House) -> Tried:
    draft = house.draft()
    draft.header = {"sender": replace(draft.make().header.sender, party_ids=STRANGER)}
    return Tried(await house.post(wrap(draft.make()), keys="hub"))


@case("unknown-service")
async def unknown_service(house: House) -> Tried:
    return await refused(house, house.draft(header={"service": Service("Other:1:0", SERVICE.type)}).make())


@case("unknown-action")
async def unknown_action(house: House) -> Tried:
    return await refused(house, house.draft(header={"action": "other"}).make())


@case("our-own-action")
async def our_own_action(house: House) -> Tried:
    return await refused(house, house.draft(header={"action": "bevestiging"}).make())


@case("unknown-signal")
async def unknown_signal(house: House) -> Tried:
    return await refused(house, house.signal("Pang"))


@case("wrong-role")
async def wrong_role(house: House) -> Tried:
    draft = house.draft()
    draft.header = {"sender": replace(draft.make().header.sender, role="Burger")}
    return await refused(house, draft.make())


@case("no-ack-requested")
async def no_ack_requested(house: House) -> Tried:
    return await refused(house, house.draft(ack=False).make())


@case("unsigned-ack-requested")
async def unsigned_ack_requested(house: House) -> Tried:
    return await refused(house, house.draft(ack_signed=False).make())


@case("no-duplicate-elimination")
async def no_duplicate_elimination(house: House) -> Tried:
    return await refused(house, house.draft(header={"duplicate_elimination": False}).make())


@case("ack-in-best-effort")
async def ack_in_best_effort(house: House) -> Tried:
    return await refused(house, house.draft("be", ack=True).make())


@case("sync-in-asynchronous")
async def sync_in_asynchronous(house: House) -> Tried:
    return await refused(house, house.draft(sync=True).make())


@case("no-sync-in-synchronous")
async def no_sync_in_synchronous(house: House) -> Tried:
    return await refused(house, house.draft("sync", sync=False).make())


@case("message-order")
async def message_order(house: House) -> Tried:
    def add(root: etree._Element) -> None:
        order = etree.SubElement(
            root[0], eb("MessageOrder"), {f"{{{SOAP}}}mustUnderstand": "1", eb("version"): "2.0"}
        )
        etree.SubElement(order, eb("SequenceNumber"), {eb("status"): "Reset"}).text = "0"

    return await refused(house, house.draft(before=add).make())


@case("version-1.0")
async def version_10(house: House) -> Tried:
    def change(root: etree._Element) -> None:
        root[0][0].set(eb("version"), "1.0")

    return await refused(house, house.draft(before=change).make())


@case("bad-timestamp")
async def bad_timestamp(house: House) -> Tried:
    return await refused(house, house.draft(before=texts("Timestamp", "gisteren")).make())


@case("no-signature")
async def no_signature(house: House) -> Tried:
    return await refused(house, house.draft(sign=False).make())


@case("broken-signature")
async def broken_signature(house: House) -> Tried:
    return await refused(house, house.draft(after=texts("Timestamp", "2026-01-01T00:00:00Z")).make())


@case("swapped-payloads")
async def swapped_payloads(house: House) -> Tried:
    first, second = notification("1"), notification("2")
    made = house.draft(parts=[first, second]).make()
    swapped = [replace(first, content=second.content), replace(second, content=first.content)]
    return await refused(house, made, wrap(made, parts=swapped))


@case("changed-large-payload")
async def changed_large_payload(house: House) -> Tried:
    part = Part(b"x" * 300_000)
    made = house.draft(parts=[part]).make()
    return await refused(house, made, wrap(made, parts=[replace(part, content=b"x" * 299_999 + b"y")]))


@case("other-signer")
async def other_signer(house: House) -> Tried:
    draft = house.draft()
    draft.keys = house.keys["stranger"]
    return await refused(house, draft.make())


@case("clear-payload")
async def clear_payload(house: House) -> Tried:
    return await refused(house, house.draft("rme").make())


@case("missing-payload")
async def missing_payload(house: House) -> Tried:
    parts = [Part(bytes(100_000)), notification()]
    made = house.draft(parts=parts).make()
    return await refused(house, made, wrap(made, parts=parts[:1]))


@case("duplicate-content-id")
async def duplicate_content_id(house: House) -> Tried:
    part = Part(bytes(100_000))
    made = house.draft(parts=[part]).make()
    return await refused(house, made, wrap(made, parts=[part, part]))


@case("content-id-of-the-envelope")
async def content_id_of_the_envelope(house: House) -> Tried:
    return await refused(house, house.draft(parts=[Part(b"<a/>", "soap@dso.example")]).make())


@case("nested-multipart")
async def nested_multipart(house: House) -> Tried:
    inner = b"--i\r\n\r\nx\r\n--i--\r\n"
    return await refused(
        house, house.draft(parts=[Part(inner, content_type='multipart/mixed; boundary="i"')]).make()
    )


@case("broken-base64")
async def broken_base64(house: House) -> Tried:
    part = notification()
    made = house.draft(parts=[part]).make()
    request = wrap(made, parts=[replace(part, encoding="base64")])
    return await refused(house, made, replace(request, body=request.body.replace(b"PHZl", b"P!!!", 1)))


@case("http-href")
async def http_href(house: House) -> Tried:
    def point_elsewhere(root: etree._Element) -> None:
        for reference in root.iter(eb("Reference")):
            reference.set(f"{{{XLINK}}}href", f"https://localhost:{house.world.ports.dso_api}/x")

    tried = await refused(house, house.draft(before=point_elsewhere).make())
    assert house.dso.api.requests == []
    return tried


@case("relative-namespace")
async def relative_namespace(house: House) -> Tried:
    """A namespace that is no absolute URI has no canonical form (C14N 1.3), and so no digest."""

    def add(root: etree._Element) -> None:
        etree.SubElement(root[1][0], "{relative}extra")

    return await refused(house, house.draft("rm", after=add).make())


@case("expired-time-to-live")
async def expired_time_to_live(house: House) -> Tried:
    gone = house.clock() - timedelta(minutes=6)
    return await refused(house, house.draft(header={"time_to_live": gone}).make())


@case("expired-agreement")
async def expired_agreement(house: House) -> Tried:
    house.clock.shift = timedelta(days=61)
    return await refused(house, house.draft().make())


@case("larger-than-agreed", **with_agreement('max_message = "64 KiB"'))
async def larger_than_agreed(house: House) -> Tried:
    return await refused(house, house.draft(parts=[Part(bytes(65_537))]).make())


@case("foreign-signal")
async def foreign_signal(house: House) -> Tried:
    """A business message that acknowledges something by the way."""

    def acknowledge(root: etree._Element) -> None:
        entry = etree.SubElement(
            root[0], eb("Acknowledgment"), {f"{{{SOAP}}}mustUnderstand": "1", eb("version"): "2.0"}
        )
        etree.SubElement(entry, eb("Timestamp")).text = "2026-01-01T00:00:00Z"
        etree.SubElement(entry, eb("RefToMessageId")).text = "some@message"

    return await refused(house, house.draft(before=acknowledge).make())


@case("ack-of-next-msh", **with_agreement("strict = true"))
async def ack_of_next_msh(house: House) -> Tried:
    return await refused(house, house.draft(before=ask_next_msh).make())


@case("many-references")
async def many_references(house: House) -> Tried:
    def add(root: etree._Element) -> None:
        manifest = root[1][0]
        for number in range(2_000):
            reference = copy.deepcopy(manifest[0])
            reference.set(f"{{{XLINK}}}href", f"cid:{number}@x")
            manifest.append(reference)

    return await refused(house, house.draft(before=add).make())


def _encrypted(house: House, part: Part, name: str) -> Part:
    plan = EncryptionPlan(house.keys[name].certificate, part.content_type, part.content_id)
    octets = b"".join(encrypt_payload([part.content], plan))
    return replace(part, content=octets, content_type="application/xml")


@case("encrypted-for-another")
async def encrypted_for_another(house: House) -> Tried:
    part = notification()
    made = house.draft("rme", parts=[part]).make()
    return await refused(house, made, wrap(made, parts=[_encrypted(house, part, "rms")]))


@case("changed-encrypted-payload")
async def changed_encrypted_payload(house: House) -> Tried:
    part = Part(b"x" * 300_000)
    made = house.draft("rme", parts=[part]).make()
    encrypted = _encrypted(house, part, "rme")
    octets = encrypted.content
    middle = len(octets) // 2
    changed = b"A" if octets[middle : middle + 1] != b"A" else b"B"
    octets = octets[:middle] + changed + octets[middle + 1 :]
    return await refused(house, made, wrap(made, parts=[replace(encrypted, content=octets)]))


def texts(name: str, value: str) -> Callable[[etree._Element], None]:
    """An edit that sets the text of an element of the ebXML namespace."""

    def change(root: etree._Element) -> None:
        for element in root.iter(eb(name)):
            element.text = value

    return change


__all__ = ["CASES", "DS", "EB", "HEADER", "SETTINGS", "Tried", "never_ending", "raw", "with_agreement"]
