# SPDX-License-Identifier: EUPL-1.2

"""What is accepted, and how it is acknowledged."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest
from lxml import etree

from adapter.ebms import reference_digests, references_match
from tests.memory import measured_peak
from tests.msh.bad_input import with_agreement
from tests.msh.conftest import Open
from tests.msh.house import (
    NEXT,
    SOAP,
    House,
    Judge,
    Part,
    ask_next_msh,
    eb,
    envelope_of,
    errors_of,
    notification,
    wrap,
)
from tests.msh.receiving import BINARY, accepted, acknowledgments


async def test_a_signed_message_gets_a_signed_acknowledgment_with_its_references(house: House, judge: Judge):
    made = house.draft(parts=[notification(), BINARY]).make()
    await accepted(house, made)
    (octets,) = await acknowledgments(house, made)
    assert judge.check(octets, house.keys["rms"])
    acknowledgment = envelope_of(octets).acknowledgment
    assert acknowledgment is not None
    copied = reference_digests(acknowledgment.references[0].getparent())
    assert references_match(house.dso.msh.sent[made.id].references, copied)
    assert len(copied) == 3
    assert house.lines("message.accepted")[0]["profile"] == "osb-rm-s"


async def test_an_acknowledgment_answers_the_header_of_the_message(house: House):
    made = house.draft().make()
    await accepted(house, made)
    header = envelope_of((await acknowledgments(house, made))[0]).header
    assert (header.cpa_id, header.conversation_id) == (made.header.cpa_id, made.header.conversation_id)
    assert header.sender.party_ids == made.header.receiver.party_ids
    assert header.receiver.party_ids == made.header.sender.party_ids
    assert (header.sender.role, header.receiver.role) == (None, None)
    assert header.message_id != made.id
    assert not header.duplicate_elimination


async def test_an_unsigned_reliable_message_gets_an_unsigned_acknowledgment(house: House, judge: Judge):
    made = house.draft("rm").make()
    await accepted(house, made)
    (octets,) = await acknowledgments(house, made)
    assert not judge.check(octets, house.keys["rm"])


async def test_best_effort_is_delivered_each_time_and_never_acknowledged(house: House):
    made = house.draft("be").make()
    for _ in range(2):
        assert (await house.send(made)).status == 204
    assert await house.deliveries() == 2
    assert house.dso.msh.received == []


async def test_a_message_without_payload_is_accepted(house: House):
    made = house.draft(parts=[]).make()
    await accepted(house, made, wrap(made, plain=True))
    assert await house.count("payload") == 0


@pytest.mark.parametrize("encoding", ["base64", "quoted-printable", "binary", "8bit"])
async def test_a_payload_keeps_its_octets_in_any_transfer_encoding(encoding: str, house: House):
    part = Part(b"een\r\ntwee\n\xc3\xab\rdrie\n" * 9) if encoding == "8bit" else BINARY
    made = house.draft(parts=[part]).make()
    await accepted(house, made, wrap(made, parts=[replace(part, encoding=encoding)]))
    sink = next((house.state.parent / "rms").glob("*/payloads/*"))
    assert sink.read_bytes() == part.content


async def test_the_soap_part_may_come_second_when_start_names_it(house: House):
    made = house.draft().make()
    await accepted(house, made, wrap(made, root_at=1))


async def test_without_start_the_first_part_is_the_soap_part(house: House):
    made = house.draft().make()
    await accepted(house, made, wrap(made, start=None))


async def test_the_order_of_the_parts_has_no_meaning(house: House):
    made = house.draft(parts=[notification(), BINARY]).make()
    await accepted(house, made, wrap(made, parts=made.parts[::-1]))


async def test_a_chunked_body_is_accepted(house: House):
    made = house.draft().make()
    request = wrap(made)
    house.announce(made)
    assert (await house.post(request, body=_in_chunks(request.body, 7))).status == 204
    assert (await house.answer(made)).problems == ()


@pytest.mark.parametrize("value", ['"ebXML"', "ebXML"])
async def test_the_soap_action_may_lack_its_quotes(value: str, house: House):
    made = house.draft().make()
    headers = {"soap_action": value, "MIME-Version": "1.0", "Content-ID": "<ignored@x>"}
    await accepted(house, made, wrap(made, **headers))


async def test_a_part_that_the_manifest_does_not_name_is_dropped(house: House):
    made = house.draft().make()
    extra = Part(bytes(200_000), content_type="application/octet-stream")
    await accepted(house, made, wrap(made, parts=[*made.parts, extra]))
    assert await house.count("payload") == 1
    assert [line["content_id"] for line in house.lines("message.part_dropped")] == [extra.content_id]
    assert house.spooled() == []


async def test_a_part_that_the_manifest_names_twice_is_kept_once(house: House):
    def again(root: etree._Element) -> None:
        reference = next(root.iter(eb("Reference")))
        reference.addnext(etree.fromstring(etree.tostring(reference)))

    made = house.draft("rm", before=again).make()
    await accepted(house, made)
    assert await house.count("payload") == 1


async def test_a_header_for_the_next_actor_may_be_added_after_signing(house: House):
    def add(root: etree._Element) -> None:
        etree.SubElement(root[0], "{urn:x-between}Trace", {f"{{{SOAP}}}actor": NEXT}).text = "via"

    await accepted(house, house.draft(after=add).make())


async def test_a_header_for_another_may_be_unknown(house: House):
    def add(root: etree._Element) -> None:
        attributes = {f"{{{SOAP}}}actor": "urn:somebody-else", f"{{{SOAP}}}mustUnderstand": "1"}
        etree.SubElement(root[0], "{urn:x-other}Header", attributes)

    await accepted(house, house.draft(before=add).make())


async def test_a_partner_may_differ_in_flags_where_the_agreement_is_lenient(open_house: Open):
    house = await open_house(**with_agreement("lenient = true"))
    made = house.draft(ack_signed=False).make()
    assert (await house.send(made)).status == 204
    assert (await house.answer(made)).problems == ()


async def test_an_acknowledgment_of_the_next_msh_is_ignored(house: House):
    await accepted(house, house.draft(before=ask_next_msh).make())


async def test_an_encrypted_profile_without_payload_is_accepted(house: House):
    made = house.draft("rme", parts=[]).make()
    await accepted(house, made, wrap(made, plain=True))


async def test_the_limit_of_one_agreement_is_not_that_of_another(open_house: Open):
    """`rm` has no limit of its own, so that of the listener is its limit, not the larger one of `rms`."""
    house = await open_house(
        **with_agreement('max_message = "1 MiB"'), environ={"STAM_ADAPTER__EBMS__MAX_MESSAGE": "64 KiB"}
    )
    payload = Part(bytes(100_000))
    await accepted(house, house.draft(parts=[payload]).make())
    made = house.draft("rm", parts=[payload]).make()
    await house.send(made)
    assert errors_of((await house.answer(made)).envelope)[0][0] == "Unknown"


# --- in the response of a synchronous channel


async def test_a_synchronous_channel_gets_its_acknowledgment_in_the_response(house: House, judge: Judge):
    made = house.draft("sync").make()
    response = await house.send(made)
    assert response.status == 200
    assert response.headers["Content-Type"].lower().replace('"', "") == "text/xml; charset=utf-8"
    envelope = envelope_of(response.body)
    assert envelope.acknowledgment is not None
    assert envelope.acknowledgment.ref_to_message_id == made.id
    assert judge.check(response.body, house.keys["sync"])
    assert (await house.send(made)).body == response.body
    assert await house.deliveries() == 1
    assert house.dso.msh.received == []


async def test_a_synchronous_channel_gets_its_message_error_in_the_response(house: House):
    made = house.draft("sync", header={"time_to_live": house.clock() - timedelta(hours=1)}).make()
    response = await house.send(made)
    assert response.status == 200
    assert errors_of(response.body)[0][0] == "TimeToLiveExpired"
    assert (await house.send(made)).body == response.body
    assert await house.jobs() == []


# --- large


async def test_memory_stays_flat_for_a_payload_of_64_mib(house: House):
    size = 64 * 2**20
    made = house.draft("rm", parts=[Part(b"MARK")]).make()
    before, after = wrap(made).body.split(b"MARK")
    chunk = bytes(range(256)) * 1024

    async def octets() -> AsyncIterator[bytes]:
        yield before
        for _ in range(size // len(chunk)):
            yield chunk
        yield after

    house.announce(made)
    with measured_peak() as peak:
        response = await house.post(wrap(made), body=octets())
    assert response.status == 204
    assert peak.octets < 16 * 2**20
    assert (await house.answer(made)).problems == ()
    assert await house.deliveries() == 1
    assert next((house.state.parent / "rm").glob("*/payloads/*")).stat().st_size == size


async def _in_chunks(body: bytes, size: int) -> AsyncIterator[bytes]:
    for at in range(0, len(body), size):
        yield body[at : at + size]
