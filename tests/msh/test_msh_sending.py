# SPDX-License-Identifier: EUPL-1.2

"""What is submitted is sent as agreed, and arrives as it was submitted."""

from datetime import timedelta
from typing import Any

import pytest

from adapter.simulator import SERVICE
from adapter.store import EventType, MessageState, StoredMessage, message_payloads
from tests.msh.conftest import SYNCHRONOUS, Changed, Open, Serve
from tests.msh.house import House, Judge, envelope_of
from tests.msh.sending import HOUR, INTERVAL, TYPES, body_of, override, payloads, sent

RELIABLE = ("rm", "rms", "rme", *SYNCHRONOUS)
BEST_EFFORT = ("be", "bes", "bee")
TO_PARTY = "urn:oasis:names:tc:ebxml-msg:actor:toPartyMSH"


@pytest.mark.parametrize("name", [*RELIABLE, *BEST_EFFORT])
async def test_a_message_arrives_as_it_was_submitted_and_its_end_is_told(name: str, house: House):
    """With no payload, one and five; the partner checks, and the house judges all that was sent by other means."""
    contents = payloads()
    sent = [await house.submit(name, *contents[:number], types=TYPES[:number]) for number in (0, 1, 5)]
    ended = MessageState.DELIVERED if name in RELIABLE else MessageState.TRANSMITTED
    for number, submitted in zip((0, 1, 5), sent, strict=True):
        message = await house.until_state(submitted, ended)
        (taken,) = [t for t in house.dso.msh.taken if t.envelope.header.message_id == message.message_id]
        assert taken.octets == message.envelope
        assert taken.body == await body_of(house, message)
        assert list(house.plain(taken).values()) == contents[:number]
        clear = "application/xml" if name in {"rme", "rmesync", "bee"} else None
        assert list(taken.types.values()) == [clear or kind for kind in TYPES[:number]]
        assert message.attempts == 1
        assert await house.told(message) == [EventType.DELIVERED]
    assert house.lines("acknowledgment.refused") == []
    if name in SYNCHRONOUS or name in BEST_EFFORT:
        await house.at_rest()


def flags(message: StoredMessage) -> tuple[Any, ...]:
    """What the header asks: acknowledgment (signed), elimination of duplicates, a synchronous reply, a life."""
    envelope = envelope_of(message.envelope)
    asked = envelope.ack_requested
    return (
        asked.signed if asked else None,
        envelope.header.duplicate_elimination,
        envelope.sync_reply,
        envelope.header.time_to_live is not None,
    )


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("be", (None, False, False, False)),
        ("bes", (None, False, False, False)),
        ("bee", (None, False, False, False)),
        ("rm", (False, True, False, True)),
        ("rms", (True, True, False, True)),
        ("rme", (True, True, False, True)),
        ("rmsync", (False, True, True, True)),
        ("sync", (True, True, True, True)),
        ("rmesync", (True, True, True, True)),
    ],
)
async def test_the_header_says_what_is_agreed(name: str, expected: tuple[Any, ...], open_house: Open):
    house = await open_house(dso=False)
    message = await house.submit(name, b"<a/>")
    assert flags(message) == expected
    envelope = envelope_of(message.envelope)
    header, agreement = envelope.header, house.agreements[name]
    assert header.sender.party_ids == agreement.them.ids
    assert header.receiver.party_ids == agreement.us.ids
    assert (header.sender.role, header.receiver.role) == ("BevoegdGezag", "DSO-LV")
    assert (header.service, header.action, header.cpa_id) == (SERVICE, "bevestiging", agreement.cpa_id)
    assert envelope.ack_requested is None or envelope.ack_requested.actor == TO_PARTY


async def test_a_message_lives_longer_than_its_attempts_and_shorter_than_it_is_remembered(open_house: Open):
    """REL-13: 1 + 8 attempts, 3 hours apart; PersistDuration is two days."""
    house = await open_house(dso=False)
    header = envelope_of((await house.submit("rms")).envelope).header
    assert header.timestamp is not None
    assert header.time_to_live is not None
    assert 9 * INTERVAL < header.time_to_live - header.timestamp < 2 * 24 * HOUR


@pytest.mark.parametrize("persist", ["PT27H1M", "P1D"])
async def test_a_short_persist_duration_does_not_shorten_the_attempts(
    persist: str, open_house: Open, changed: Changed
):
    house = await open_house(dso=False, **changed("rm", (">P2D<", f">{persist}<")))
    header = envelope_of((await house.submit("rm")).envelope).header
    assert header.timestamp is not None
    assert header.time_to_live is not None
    life = header.time_to_live - header.timestamp
    assert life > 9 * INTERVAL
    if persist != "P1D":
        assert life < timedelta(hours=27, minutes=1)


@pytest.mark.parametrize("reliable", [True, False])
async def test_what_is_left_to_each_message_goes_with_reliable_messaging(
    reliable: bool, open_house: Open, changed: Changed
):
    """perMessage: asked where the channel has reliable messaging, a signed acknowledgment where messages are signed."""
    name = "rms" if reliable else "bes"
    flags_of_cpa = [
        (f'cpa:{flag}="{"always" if reliable else "never"}"', f'cpa:{flag}="perMessage"')
        for flag in ("ackRequested", "ackSignatureRequested", "duplicateElimination")
    ]
    house = await open_house(dso=False, **changed(name, *flags_of_cpa))
    message = await house.submit(name, b"<a/>")
    assert flags(message) == ((True, True, False, True) if reliable else (None, False, False, False))


async def test_ids_are_made_where_none_are_given_and_kept_where_they_are(open_house: Open):
    house = await open_house(dso=False)
    made = await house.submit("rms")
    assert made.message_id.endswith("@localhost")
    assert made.conversation_id == made.message_id
    given = await house.submit(
        "rms", message_id="123", conversation_id="Aanvraag 7".replace(" ", "-"), ref_to_message_id="a@b"
    )
    header = envelope_of(given.envelope).header
    assert (header.message_id, header.conversation_id, header.ref_to_message_id) == (
        "123@localhost",
        "Aanvraag-7",
        "a@b",
    )
    assert (given.message_id, given.conversation_id, given.ref_to_message_id) == (
        "123@localhost",
        "Aanvraag-7",
        "a@b",
    )
    full = await house.submit("rms", message_id="456@elders.example")
    assert full.message_id == "456@elders.example"


async def test_an_endpoint_that_is_overridden_is_sent_to_elsewhere(open_house: Open, serve: Serve):
    """For one authority; the others go by their agreements."""
    house = await open_house(dso=False)
    ports = house.world.ports
    usual, elsewhere = await serve(house), await serve(house, port=ports.dso_api)
    await override(house, "bes", f"https://localhost:{ports.dso_api}/gateway?to=dso")
    await house.until_state(await house.submit("bes", b"<a/>"), MessageState.TRANSMITTED)
    await house.until_state(await house.submit("be", b"<a/>"), MessageState.TRANSMITTED)
    assert elsewhere.paths == ["/gateway"]
    assert usual.paths == ["/ebms"]


async def test_requests_have_the_headers_of_ebms_and_no_others_of_mime(
    open_house: Open, serve: Serve, judge: Judge
):
    house = await open_house(dso=False)
    partner = await serve(house)
    message = await sent(house, "rms", b"<a/>")
    ((headers, body),) = partner.received
    assert headers["SOAPAction"] == '"ebXML"'
    assert headers["Content-Type"].startswith('multipart/related; type="text/xml"; boundary="')
    assert headers["Content-Length"] == str(len(body))
    assert not {"MIME-Version", "Content-ID", "Content-Transfer-Encoding", "Authorization"} & set(headers)
    (stored,) = await house.db.read(message_payloads, message.id)
    assert judge.check(message.envelope, house.keys["rms"], {stored.content_id or "": b"<a/>"})
