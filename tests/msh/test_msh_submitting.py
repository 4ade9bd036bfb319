# SPDX-License-Identifier: EUPL-1.2

"""What does not fit the agreement is refused when it is submitted, and leaves nothing."""

import re
from datetime import timedelta
from typing import Any

import pytest

from adapter.msh import SubmissionRefused, SubmittedPayload
from adapter.simulator import ACTION, SERVICE
from adapter.store import Content, message_payloads
from cpa import Service
from tests.msh.conftest import Changed, Open
from tests.msh.house import House
from tests.spooled import known_spool_keys

REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "unknown agreement": ({"cpa_id": "CPA-unknown"}, "rms has no agreement CPA-unknown in use"),
    "agreement of another authority": ({"authority": "be"}, "be has no agreement"),
    "action of the partner": ({"action": ACTION}, "does not say"),
    "service that is not agreed": ({"service": Service("Other:1:0", SERVICE.type)}, "does not say"),
    "our role": ({"from_role": "Burger"}, "the from role is 'Burger', agreed is 'BevoegdGezag'"),
    "role of the partner": ({"to_role": "Burger"}, "the to role is 'Burger', agreed is 'DSO-LV'"),
    "long MessageId": ({"message_id": "x" * 256}, "MessageId"),
    "long MessageId with our host": ({"message_id": "x" * 250}, "MessageId"),
    "MessageId in angle brackets": ({"message_id": "<a@b>"}, "MessageId"),
    "MessageId with a blank": ({"message_id": "a b@c"}, "MessageId"),
    "MessageId that XML cannot hold": ({"message_id": "a\x01@b"}, "MessageId"),
    "long ConversationId": ({"conversation_id": "x" * 256}, "ConversationId"),
    "ConversationId that XML cannot hold": ({"conversation_id": "a\ud800"}, "ConversationId"),
    "RefToMessageId that XML cannot hold": ({"ref_to_message_id": "a\x00"}, "RefToMessageId"),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_a_submission_that_does_not_fit_is_refused(case: str, open_house: Open):
    wishes, said = REFUSED[case]
    house = await open_house(dso=False)
    with pytest.raises(SubmissionRefused, match=said):
        await house.submit("rms", b"<a/>", **wishes)
    assert await house.count("message") == 0
    assert await house.jobs() == []


@pytest.mark.parametrize("content_type", ["multipart/mixed; boundary=x", "text/plain\r\nX: y", "no type", ""])
async def test_a_payload_whose_type_cannot_be_written_is_refused(content_type: str, open_house: Open):
    """At every attempt it would fail in the same way."""
    house = await open_house(dso=False)
    for name in ("rms", "rme"):
        with pytest.raises(SubmissionRefused, match="payload"):
            await house.submit(name, b"x", types=[content_type])


@pytest.mark.parametrize("id_", ["twice", "with blank", "soap-part"])
async def test_content_ids_that_cannot_be_used_are_refused(id_: str, open_house: Open):
    house = await open_house(dso=False)
    content = await spooled(house, b"<a/>")
    payload = SubmittedPayload(content, "application/xml", None, id_)
    with pytest.raises(SubmissionRefused, match="Content-ID"):
        await house.submit("rms", payloads=(payload, payload) if id_ == "twice" else (payload,))


async def spooled(house: House, octets: bytes) -> Content:
    async with house.spool().writer() as writer:
        await writer.write(octets)
        return await writer.commit()


@pytest.mark.parametrize("name", ["rms", "rme"])
async def test_a_message_id_is_used_once(name: str, open_house: Open):
    """The payloads stay with who submitted them, and nothing that was made of them is left."""
    house = await open_house(dso=False)
    await house.submit(name, message_id="1@a")
    content = await spooled(house, bytes(200_000))
    with pytest.raises(SubmissionRefused, match="1@a was used before"):
        await house.submit(name, message_id="1@a", payloads=(SubmittedPayload(content),))
    assert house.spooled() == [house.spool().path_of(content)]
    await house.submit("be", message_id="1@a")  # another agreement


async def test_of_an_encrypted_payload_only_the_encrypted_octets_stay(open_house: Open):
    house = await open_house(dso=False)
    message = await house.submit("rme", b"geheim" * 50_000)
    (stored,) = await house.db.read(message_payloads, message.id)
    assert house.spooled() == [house.spool().path_of(stored.content)]
    assert b"geheim" not in house.spooled()[0].read_bytes()
    assert {stored.content.key} == await house.db.read(known_spool_keys)


async def test_nothing_is_submitted_under_an_agreement_that_has_ended(open_house: Open):
    house = await open_house(dso=False)
    house.clock.shift = timedelta(days=61)
    with pytest.raises(SubmissionRefused, match="carries no traffic now"):
        await house.submit("rms")


async def test_nothing_is_submitted_with_a_key_that_is_not_the_agreed_one(open_house: Open):
    stranger = {
        'certificate = "tls/rms.pem"\nkey = "tls/rms.key"\n\n[authorities.rms.dso]': (
            'certificate = "tls/stranger.pem"\nkey = "tls/stranger.key"\n\n[authorities.rms.dso]'
        )
    }
    house = await open_house(dso=False, replacing=stranger)
    with pytest.raises(SubmissionRefused, match="is not the signing certificate of agreement"):
        await house.submit("rms", b"<a/>")


async def test_nothing_is_encrypted_for_a_partner_without_a_certificate_for_it(
    open_house: Open, changed: Changed
):
    without = re.compile(r"<cpa:ReceiverDigitalEnvelope.*?</cpa:ReceiverDigitalEnvelope>", re.DOTALL)
    house = await open_house(dso=False, **changed("rme", (without, "")))
    with pytest.raises(SubmissionRefused, match="names no certificate to encrypt for"):
        await house.submit("rme", b"<a/>")
