# SPDX-License-Identifier: EUPL-1.2

"""Requirements of receiving that no other test shows."""

import asyncio
import json
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from lxml import etree

from adapter.msh import new_message_id
from adapter.pki import client_context
from adapter.store import Direction, find_messages, message_payloads
from tests.msh.conftest import Open
from tests.msh.house import (
    PATIENCE,
    PREPRODUCTION,
    XLINK,
    House,
    Part,
    Request,
    ask_next_msh,
    eb,
    envelope_of,
    errors_of,
    notification,
    wrap,
)
from tests.msh.receiving import accepted

DSO = "urn:osb:oin:00000099000000001000"


@pytest.mark.parametrize("name", ["rms", "rm", "be"])
@pytest.mark.parametrize("number", [0, 3])
async def test_payloads_are_optional_in_every_profile(name: str, number: int, house: House) -> None:
    made = house.draft(name, parts=[notification(str(one)) for one in range(number)]).make()
    assert (await house.send(made)).status == 204
    await house.at_rest()
    (message,) = await house.db.read(find_messages, direction=Direction.IN, message_id=made.id)
    assert len(await house.db.read(message_payloads, message.id)) == number


async def test_a_mime_header_of_http_is_ignored(house: House) -> None:
    made = house.draft().make()
    request = wrap(made)
    extra = {
        "MIME-Version": "1.0",
        "Content-ID": "<other@dso.example>",
        "Content-Transfer-Encoding": "base64",
    }
    await accepted(house, made, Request({**request.headers, **extra}, request.body))


async def test_a_payload_that_is_no_xml_is_accepted_like_any_other(house: House) -> None:
    await accepted(house, house.draft(parts=[Part(b"<verzoek><niet gesloten")]).make())


async def test_a_reference_to_a_message_that_we_never_sent_is_no_error(house: House) -> None:
    """It may answer what was sent by the adapter that was here before."""
    await accepted(house, house.draft(header={"ref_to_message_id": "long-ago@other.example"}).make())
    assert [line["ref"] for line in house.lines("message.reference_unknown")] == ["long-ago@other.example"]


@pytest.mark.parametrize("conversation_id", ["1", "a b  c", "urn:x/y?z#é", "2026-11-22T00:00:00Z" * 10])
async def test_any_text_is_a_conversation_and_comes_back_in_the_acknowledgment(
    conversation_id: str, house: House
) -> None:
    made = house.draft(header={"conversation_id": conversation_id}).make()
    await accepted(house, made)
    answer = await house.answer(made)
    assert envelope_of(answer.envelope).header.conversation_id == conversation_id


async def test_a_reference_may_have_role_schema_description_and_attributes_of_others(house: House) -> None:
    def add(root: etree._Element) -> None:
        for reference in root.iter(eb("Reference")):
            reference.set(f"{{{XLINK}}}role", "urn:demo:rol")
            reference.set("{urn:demo:extra}kenmerk", "1")
            etree.SubElement(
                reference, eb("Schema"), {eb("location"): "http://schema.example/x.xsd", eb("version"): "1"}
            )
            description = etree.SubElement(reference, eb("Description"))
            description.set("{http://www.w3.org/XML/1998/namespace}lang", "nl")
            description.text = "de melding"

    await accepted(house, house.draft(before=add).make())


@pytest.mark.parametrize("action", [" verzoeknotificatie", "verzoeknotificatie\n", "verzoek notificatie"])
async def test_an_action_with_white_space_is_another_action(action: str, house: House) -> None:
    made = house.draft(header={"action": action}).make()
    await house.send(made)
    answer = await house.answer(made)
    assert [code for code, _ in errors_of(answer.envelope)] == ["ValueNotRecognized"]


async def test_a_signature_that_nobody_agreed_on_is_accepted(house: House) -> None:
    await accepted(house, house.draft("rm", sign=True).make())
    assert len(house.lines("signature.not_agreed")) == 1


async def test_an_acknowledgment_asked_of_the_next_msh_is_in_the_log(house: House) -> None:
    await accepted(house, house.draft(before=ask_next_msh).make())
    (line,) = house.lines("message.warned")
    assert "NotSupported" in line["problem"]


async def test_nothing_of_a_payload_is_in_the_log(house: House) -> None:
    secret = "bsn-999990019-van-der-Geheim"
    part = Part(f"<melding>{secret}</melding>".encode(), content_type="text/xml")
    await accepted(house, house.draft(parts=[part]).make())
    await house.at_rest()
    assert house.logs
    assert secret not in repr(house.logs)


async def test_parties_and_media_types_are_kept_as_they_came(house: House) -> None:
    """An OIN is a text: its zeros stay, in the store and in what is handed over."""
    made = house.draft(parts=[Part(b"x", content_type="application/pdf")]).make()
    await accepted(house, made)
    await house.at_rest()
    (message,) = await house.db.read(find_messages, direction=Direction.IN, message_id=made.id)
    assert message.from_party == DSO
    (payload,) = await house.db.read(message_payloads, message.id)
    assert payload.content_type == "application/pdf"
    (path,) = _delivered(house)
    assert DSO in json.loads(path.read_text("utf-8"))["from"]


def _delivered(house: House) -> list[Path]:
    return list((house.state.parent / "rms").glob("*/manifest.json"))


async def test_a_certificate_in_a_header_identifies_nobody_without_trusted_proxies(open_house: Open) -> None:
    """Whoever writes it there: only the handshake counts."""
    house = await open_house(replacing=PREPRODUCTION)
    made = house.draft().make()
    request = wrap(made)
    pem = house.keys["dso"].certificate.public_bytes(Encoding.PEM).decode().replace("\n", "%0A")
    forged = dict.fromkeys(("X-SSL-Client-Cert", "X-Forwarded-Client-Cert", "SSL_CLIENT_CERT"), pem)
    response = await house.post(Request({**request.headers, **forged}, request.body), keys="stranger")
    assert (response.status, response.body) == (403, b"")


async def test_what_ends_within_sixty_days_is_in_the_log(open_house: Open) -> None:
    house = await open_house()
    house.clock.shift = timedelta(days=2)

    async def told() -> bool:
        return bool(house.lines("agreement.ends_soon"))

    await house.until(told)
    assert {line["log_level"] for line in house.lines("agreement.ends_soon")} == {"warning"}


@pytest.mark.parametrize("head", [b"", b"POST /ebms HT", b"POST /ebms HTTP/1.1\r\nHost: localhost\r\nX: "])
async def test_a_connection_that_brings_no_request_is_closed(
    head: bytes, open_house: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapter.daemon.listener.IDLE", 0.3)
    house = await open_house()
    reader, writer = await asyncio.open_connection(
        "localhost",
        house.world.ports.adapter,
        ssl=client_context(house.keys["dso"], house.world.trust),
        server_hostname="localhost",
    )
    try:
        writer.write(head)
        async with asyncio.timeout(PATIENCE):
            assert await reader.read() == b""
    finally:
        writer.transport.abort()


def test_message_ids_are_a_uuid_at_our_host_and_never_the_same() -> None:
    made = [new_message_id("ebms.voorbeeldstad.example") for _ in range(20_000)]
    assert len(set(made)) == len(made)
    uuid, _, host = made[0].partition("@")
    assert UUID(uuid).version == 4
    assert host == "ebms.voorbeeldstad.example"
    assert not set("<> ") & set("".join(made))
