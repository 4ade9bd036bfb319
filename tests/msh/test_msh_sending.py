"""What is submitted is sent as agreed, again and again with the same octets, until the partner or time ends it."""

import asyncio
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from lxml import etree

from adapter.ebms import (
    EbmsError,
    ErrorCode,
    FaultCode,
    Party,
    Severity,
    SignalAction,
    SoapFault,
    build_fault,
    build_message_error,
    serialize,
)
from adapter.msh import SubmissionRefused, SubmittedPayload
from adapter.simulator import ACTION, SERVICE, World
from adapter.store import (
    Content,
    EndpointOverride,
    EventType,
    MessageState,
    StoredMessage,
    known_spool_keys,
    message_payloads,
    put_endpoint_override,
)
from cpa import Service
from tests.msh.conftest import SYNCHRONOUS, Open, Serve, close
from tests.msh.house import PATIENCE, House, Judge, Made, eb, envelope_of, other_party
from tests.msh.sending import acknowledgment, body_of, error, references_of, reply, say, with_cpa
from tests.msh.silence import silent_partner

HOUR = timedelta(hours=1)
INTERVAL = 3 * HOUR
RELIABLE = ("rm", "rms", "rme", *SYNCHRONOUS)
BEST_EFFORT = ("be", "bes", "bee")
TYPES = (
    "application/xml",
    "application/pdf",
    'text/plain; charset="iso-8859-1"',
    "image/png",
    "application/zip",
)
TO_PARTY = "urn:oasis:names:tc:ebxml-msg:actor:toPartyMSH"


def payloads() -> list[bytes]:
    """Five of which each goes wrong in its own way when it is not taken octet by octet; one has a file."""
    return [
        "<gemeente>Súdwest-Fryslân</gemeente>\r\n".encode(),
        b"%PDF-1.7\r\n\r\n--=_part_\n\x00\xff",
        "één\nregel".encode("latin-1"),
        b"",
        bytes(range(256)) * 512,
    ]


Changed = Callable[..., dict[str, Any]]


@pytest.fixture
def changed(world: World, tmp_path: Path) -> Changed:
    """Settings of a daemon whose authority has its agreement with changes in the text."""
    return lambda name, *changes: with_cpa(world, tmp_path, name, *changes)


async def until_answered(house: House, message: StoredMessage, attempt: int = 1) -> StoredMessage:
    """Wait until an attempt is over, and the next one is due at its time."""

    async def so() -> bool:
        if (await house.reload(message)).attempts != attempt:
            return False
        # In this order: a job seen ready before the attempt was counted may be under way by now.
        return [job.state for job in await house.jobs() if job.subject == message.id] == ["ready"]

    await house.until(so)
    return await house.reload(message)


async def next_attempt(house: House, message: StoredMessage) -> StoredMessage:
    """Let the interval pass, and wait until the attempt that is then due is over."""
    attempt = (await house.reload(message)).attempts
    house.pass_time(INTERVAL)
    return await until_answered(house, message, attempt + 1)


# --- delivered


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


# --- refused submissions


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


# --- tried again


async def refuses(house: House, body: bytes) -> web.Response:
    fault = SoapFault(FaultCode.SERVER, "later", "Later")
    return web.Response(status=500, body=build_fault(fault), content_type="text/xml")


@pytest.mark.parametrize(
    ("status", "level"),
    [
        *((status, "warning") for status in (408, 429, 500, 503)),
        *((status, "error") for status in (302, 400, 403, 404)),
    ],
)
async def test_a_reliable_message_keeps_its_schedule_whatever_http_says(
    status: int, level: str, open_house: Open, serve: Serve
):
    """Not sooner and not later than agreed; what does not pass by itself is an alarm at once (TRN-15)."""
    house = await open_house(dso=False)
    partner = await serve(house, status if status != 500 else partial(refuses, house))
    message = await house.submit("rms", *payloads(), types=TYPES)
    message = await until_answered(house, message)
    assert message.state is MessageState.CREATED
    (job,) = await house.jobs()
    assert abs(job.not_before - house.clock() - INTERVAL) < timedelta(seconds=PATIENCE)
    (line,) = house.lines("business.not_sent")
    assert (line["log_level"], str(status) in line["reason"]) == (level, True)
    message = await next_attempt(house, message)
    assert message.state is MessageState.SENT
    assert set(partner.paths) == {"/ebms"}
    assert {body for _, body in partner.received} == {await body_of(house, message)}
    assert partner.received[0][0] == partner.received[1][0]
    assert await say(house, acknowledgment(house, message)) == 204
    await house.until_state(message, MessageState.DELIVERED)
    assert await house.jobs() == []


async def test_a_partner_that_does_not_listen_is_tried_again(open_house: Open, serve: Serve):
    house = await open_house(dso=False)
    message = await until_answered(house, await house.submit("rms"))
    assert message.state is MessageState.CREATED
    assert house.lines("business.not_sent")[0]["log_level"] == "warning"
    partner = await serve(house)
    await next_attempt(house, message)
    assert [body for _, body in partner.received] == [message.envelope]


async def test_a_2xx_is_not_delivery_and_attempts_end(open_house: Open, serve: Serve):
    """1 + 8 attempts, all the same; it was transmitted, so it may have been delivered: a warning (REL-15)."""
    house = await open_house(dso=False)
    partner = await serve(house)
    message = await until_answered(house, await house.submit("rms", b"<a/>"))
    assert message.state is MessageState.SENT
    for _ in range(8):
        message = await next_attempt(house, message)
    assert message.state is MessageState.SENT
    assert await house.told(message) == []
    house.pass_time(INTERVAL)
    message = await house.until_state(message, MessageState.EXPIRED)
    assert message.reason == (
        "DeliveryFailure: no acknowledgment after 9 attempts (Warning: it was transmitted)"
    )
    assert len(partner.received) == 9
    assert len({body for _, body in partner.received}) == 1
    assert await house.told(message) == [EventType.EXPIRED]
    assert house.lines("business.expired")[0]["log_level"] == "error"
    await house.at_rest()


async def test_what_was_never_transmitted_has_failed_for_certain(open_house: Open, changed: Changed):
    house = await open_house(dso=False, **changed("rms", ("Retries>8<", "Retries>1<")))
    message = await until_answered(house, await house.submit("rms"))
    message = await next_attempt(house, message)
    house.pass_time(INTERVAL)
    message = await house.until_state(message, MessageState.EXPIRED)
    assert message.reason is not None
    assert message.reason.startswith("DeliveryFailure: no acknowledgment after 2 attempts (Error: ")
    assert "localhost" in message.reason
    assert await house.told(message) == [EventType.EXPIRED]


async def test_nothing_is_sent_after_its_time_to_live(open_house: Open, serve: Serve):
    """The daemon was down while it passed."""
    house = await open_house(dso=False)
    message = await until_answered(house, await house.submit("rms"))
    partner = await serve(house)
    house.pass_time(28 * HOUR)
    message = await house.until_state(message, MessageState.EXPIRED)
    assert message.reason is not None
    assert message.reason.startswith("DeliveryFailure: its time has passed (Error: ")
    assert partner.received == []


async def test_nothing_is_sent_after_the_end_of_the_agreement(
    open_house: Open, serve: Serve, changed: Changed
):
    end = (datetime.now(UTC) + HOUR).isoformat().replace("+00:00", "Z")
    house = await open_house(dso=False, **changed("rms", (re.compile("(?<=<cpa:End>)[^<]*"), end)))
    partner = await serve(house)
    message = await until_answered(house, await house.submit("rms"))
    house.pass_time(INTERVAL)
    message = await house.until_state(message, MessageState.EXPIRED)
    assert message.reason == "DeliveryFailure: the agreement has ended (Warning: it was transmitted)"
    assert len(partner.received) == 1


@pytest.mark.parametrize("status", [None, 302, 404, 500, 503])
@pytest.mark.parametrize("name", ["be", "bes"])
async def test_a_best_effort_message_is_tried_once(
    status: int | None, name: str, open_house: Open, serve: Serve
):
    house = await open_house(dso=False)
    partner = None if status is None else await serve(house, status)
    message = await house.until_state(await house.submit(name), MessageState.FAILED)
    assert message.reason is not None
    assert message.reason.startswith("DeliveryFailure: ")
    assert status is None or str(status) in message.reason
    assert await house.told(message) == [EventType.FAILED]
    await house.at_rest()
    assert partner is None or len(partner.received) == 1


# --- what the partner says of it


async def sent(house: House, name: str = "rms", *octets: bytes) -> StoredMessage:
    """A message that was sent once and waits."""
    return await until_answered(house, await house.submit(name, *octets))


@pytest.fixture
async def waiting(open_house: Open, serve: Serve) -> House:
    """A house whose partner takes messages and says nothing."""
    house = await open_house(dso=False)
    await serve(house)
    return house


async def test_an_error_ends_a_message_and_its_codes_are_told(waiting: House):
    message = await sent(waiting)
    made = error(waiting, message, ErrorCode.SECURITY_FAILURE, ErrorCode.MIME_PROBLEM)
    assert await say(waiting, made) == 204
    message = await waiting.until_state(message, MessageState.FAILED)
    assert message.reason == (
        "SecurityFailure /place/of/SecurityFailure: Message security checks failed; "
        "MimeProblem /place/of/MimeProblem: URI resolve error"
    )
    assert await waiting.told(message) == [EventType.FAILED]
    assert await waiting.jobs() == []
    assert waiting.lines("message.rejected")[0]["log_level"] == "error"
    assert await say(waiting, acknowledgment(waiting, message)) == 204
    assert (await waiting.reload(message)).state is MessageState.FAILED


async def test_one_error_among_warnings_ends_a_message(waiting: House):
    message = await sent(waiting)
    made = error(waiting, message, ErrorCode.UNKNOWN, ErrorCode.NOT_SUPPORTED, severity=Severity.WARNING)
    octets = made.envelope.replace(b'eb:severity="Warning"', b'eb:severity="Error"', 1)
    await say(waiting, replace(made, envelope=octets))
    await waiting.until_state(message, MessageState.FAILED)


async def test_a_warning_is_logged_and_the_message_waits_on(waiting: House):
    message = await sent(waiting)
    made = error(waiting, message, ErrorCode.NOT_SUPPORTED, severity=Severity.WARNING)
    assert await say(waiting, made) == 204
    assert "NotSupported" in waiting.lines("message.warned_about")[0]["reason"]
    message = await next_attempt(waiting, message)
    assert message.state is MessageState.SENT
    assert await waiting.told(message) == []


async def test_a_warning_beside_an_acknowledgment_does_not_undo_it(waiting: House):
    message = await sent(waiting)
    header = reply(message, SignalAction.MESSAGE_ERROR, waiting)
    warning = EbmsError(ErrorCode.INCONSISTENT, severity=Severity.WARNING)
    listed = build_message_error(header, (warning,)).find(f".//{eb('ErrorList')}")
    assert listed is not None
    made = acknowledgment(waiting, message, before=lambda root: root[0].append(listed))
    assert await say(waiting, made) == 204
    await waiting.until_state(message, MessageState.DELIVERED)
    assert "Inconsistent" in waiting.lines("message.warned_about")[0]["reason"]


async def test_an_error_about_an_unknown_message_is_only_logged(waiting: House):
    message = await sent(waiting)
    made = error(waiting, message, ErrorCode.UNKNOWN, ref_to_message_id="other@localhost")
    assert await say(waiting, made) == 204
    assert waiting.lines("signal.received")[0]["errors"] == ["Error: Unknown"]
    assert (await waiting.reload(message)).state is MessageState.SENT
    assert await waiting.count("message", "kind = 'error'") == 0


async def test_an_error_about_a_best_effort_message_comes_after_it_was_transmitted(waiting: House):
    """Without an acknowledgment to wait for, the error is the first that is heard of it."""
    message = await waiting.until_state(await waiting.submit("bes"), MessageState.TRANSMITTED)
    assert await say(waiting, error(waiting, message, ErrorCode.SECURITY_FAILURE)) == 204
    message = await waiting.until_state(message, MessageState.FAILED)
    assert message.reason is not None
    assert "SecurityFailure" in message.reason
    assert await waiting.told(message) == [EventType.DELIVERED, EventType.FAILED]


def _no_references(house: House, message: StoredMessage) -> Made:
    return acknowledgment(house, message, references=())


def _other_references(house: House, message: StoredMessage) -> Made:
    references = references_of(message)
    for value in references[-1].iter("{*}DigestValue"):
        value.text = "AAAA" + (value.text or "")[4:]
    return acknowledgment(house, message, references=references)


def _one_reference_less(house: House, message: StoredMessage) -> Made:
    return acknowledgment(house, message, references=references_of(message)[:-1])


def _unsigned(house: House, message: StoredMessage) -> Made:
    return acknowledgment(house, message, signed=False)


def _changed(house: House, message: StoredMessage) -> Made:
    made = acknowledgment(house, message)
    root = etree.fromstring(made.envelope)
    root.find(f".//{eb('Timestamp')}").text = "2026-01-01T00:00:00Z"
    return replace(made, envelope=etree.tostring(root))


def _of_a_stranger(house: House, message: StoredMessage) -> Made:
    return acknowledgment(house, message, signer=house.keys["stranger"])


FLAWS = {
    "unsigned": (_unsigned, "acknowledgment.refused", "is not signed"),
    "no references": (_no_references, "acknowledgment.refused", "not those of the message"),
    "other references": (_other_references, "acknowledgment.refused", "not those of the message"),
    "one reference less": (_one_reference_less, "acknowledgment.refused", "not those of the message"),
    "broken signature": (_changed, "message.refused", "SecurityFailure"),
    "signed by a stranger": (_of_a_stranger, "message.refused", "SecurityFailure"),
}


@pytest.mark.parametrize("flaw", FLAWS)
async def test_an_acknowledgment_that_does_not_hold_is_not_believed(flaw: str, waiting: House):
    """An alarm, no answer, and the message is sent again (ACK-10)."""
    make, action, said = FLAWS[flaw]
    message = await sent(waiting, "rms", *payloads()[:2])
    assert await say(waiting, make(waiting, message)) == 204
    (line,) = waiting.lines(action)
    assert line["log_level"] == "error"
    assert said in line["reason"]
    message = await next_attempt(waiting, message)
    assert message.state is MessageState.SENT
    assert await waiting.count("message") == 1
    assert await say(waiting, acknowledgment(waiting, message)) == 204
    await waiting.until_state(message, MessageState.DELIVERED)


async def test_the_references_of_an_acknowledgment_may_come_in_any_order(waiting: House):
    message = await sent(waiting, "rms", *payloads())
    made = acknowledgment(waiting, message, references=references_of(message)[::-1])
    await say(waiting, made)
    await waiting.until_state(message, MessageState.DELIVERED)


async def test_an_acknowledgment_that_nobody_asked_for_is_not_believed(waiting: House):
    message = await waiting.until_state(await waiting.submit("be"), MessageState.TRANSMITTED)
    await say(waiting, acknowledgment(waiting, message, signed=False))
    assert "no acknowledgment was asked for" in waiting.lines("acknowledgment.refused")[0]["reason"]
    assert (await waiting.reload(message)).state is MessageState.TRANSMITTED


async def test_a_late_acknowledgment_corrects_what_was_given_up(waiting: House):
    message = await sent(waiting)
    waiting.pass_time(28 * HOUR)
    message = await waiting.until_state(message, MessageState.EXPIRED)
    await waiting.at_rest()
    assert await say(waiting, acknowledgment(waiting, message)) == 204
    message = await waiting.until_state(message, MessageState.DELIVERED)
    assert message.reason == "acknowledged late"
    assert await waiting.told(message) == [EventType.EXPIRED, EventType.DELIVERED]
    assert waiting.lines("acknowledgment.late")[0]["log_level"] == "warning"


async def test_a_late_error_corrects_what_was_given_up(waiting: House):
    message = await sent(waiting)
    waiting.pass_time(28 * HOUR)
    message = await waiting.until_state(message, MessageState.EXPIRED)
    await say(waiting, error(waiting, message, ErrorCode.TIME_TO_LIVE_EXPIRED))
    message = await waiting.until_state(message, MessageState.FAILED)
    assert len(waiting.lines("message.rejected_late")) == 1


async def test_a_second_answer_changes_nothing(waiting: House):
    message = await sent(waiting)
    await say(waiting, acknowledgment(waiting, message))
    delivered = await waiting.until_state(message, MessageState.DELIVERED)
    assert await say(waiting, acknowledgment(waiting, message)) == 204
    assert await say(waiting, error(waiting, message, ErrorCode.UNKNOWN)) == 204
    assert await waiting.reload(message) == delivered
    assert len(waiting.lines("acknowledgment.known")) == 1
    assert await waiting.told(message) == [EventType.DELIVERED]


async def test_an_acknowledgment_may_come_before_the_response(open_house: Open, serve: Serve):
    house = await open_house(dso=False)

    async def acknowledge_first(_: bytes) -> web.Response:
        assert await say(house, acknowledgment(house, message)) == 204
        await house.until_state(message, MessageState.DELIVERED)
        return web.Response(status=204)

    submitted = asyncio.Event()

    async def when_submitted(body: bytes) -> web.Response:
        await submitted.wait()
        return await acknowledge_first(body)

    partner = await serve(house, when_submitted)
    message = await house.submit("rms", b"<a/>")
    submitted.set()
    await house.until_state(message, MessageState.DELIVERED)
    await house.at_rest()
    assert len(partner.received) == 1
    assert await house.told(message) == [EventType.DELIVERED]


@pytest.mark.parametrize("who", ["neighbour", "stranger"])
async def test_who_is_not_the_partner_cannot_stop_retries(who: str, waiting: House):
    """Not even with an acknowledgment that the partner itself signed; nothing is told of the message."""
    message = await sent(waiting)
    assert await say(waiting, error(waiting, message, ErrorCode.UNKNOWN), who) == 403
    assert await say(waiting, acknowledgment(waiting, message), who) == 403
    message = await next_attempt(waiting, message)
    assert message.state is MessageState.SENT


async def test_a_partner_cannot_end_what_was_sent_under_the_agreement_of_another(waiting: House):
    message = await sent(waiting)
    neighbour = waiting.agreements["neighbour"]
    header = replace(
        reply(message, SignalAction.MESSAGE_ERROR, waiting),
        cpa_id=neighbour.cpa_id,
        sender=Party(neighbour.us.ids),
        receiver=Party(neighbour.them.ids),
    )
    made = Made(header, serialize(build_message_error(header, (EbmsError(ErrorCode.UNKNOWN),))), ())
    assert await say(waiting, made, "neighbour") == 204
    assert len(waiting.lines("signal.received")) == 1
    assert (await waiting.reload(message)).state is MessageState.SENT


# --- in the response


async def answered(house: House, serve: Serve, name: str, make: Callable[..., Made | bytes]) -> StoredMessage:
    """A message whose first attempt is answered with this in the response."""
    submitted: asyncio.Future[StoredMessage] = asyncio.get_running_loop().create_future()

    async def respond(_: bytes) -> web.Response:
        said = make(house, await submitted)
        body = said if isinstance(said, bytes) else said.envelope
        return web.Response(body=body, content_type="text/xml")

    await serve(house, respond)
    message = await house.submit(name, b"<a/>")
    submitted.set_result(message)
    return message


@pytest.mark.parametrize("name", ["sync", "rms"])
async def test_an_error_in_the_response_ends_a_message(name: str, open_house: Open, serve: Serve):
    """Also where it comes out of turn (pitfall 23)."""
    house = await open_house(dso=False)
    message = await answered(house, serve, name, lambda h, m: error(h, m, ErrorCode.SECURITY_FAILURE))
    message = await house.until_state(message, MessageState.FAILED)
    assert message.reason is not None
    assert "SecurityFailure" in message.reason
    await house.at_rest()


def _octets(octets: bytes) -> Callable[[House, StoredMessage], bytes]:
    return lambda *_: octets


RESPONSES: dict[str, tuple[Callable[..., Made | bytes], str]] = {
    "a page": (_octets(b"<html>Welkom</html>"), "warning"),
    "no XML": (_octets(b"OK"), "warning"),
    "about another message": (
        lambda h, m: acknowledgment(h, m, ref_to_message_id="other@localhost"),
        "warning",
    ),
    "under another agreement": (lambda h, m: acknowledgment(h, m, cpa_id="CPA-2"), "warning"),
    "of another party": (
        lambda h, m: acknowledgment(h, m, sender=Party(other_party("00000099000000002000"))),
        "warning",
    ),
    "the message itself": (lambda _, m: m.envelope, "warning"),
    "broken signature": (_changed, "error"),
}


@pytest.mark.parametrize("case", RESPONSES)
async def test_an_odd_response_changes_nothing(case: str, open_house: Open, serve: Serve):
    house = await open_house(dso=False)
    make, level = RESPONSES[case]
    message = await until_answered(house, await answered(house, serve, "sync", make))
    assert message.state is MessageState.SENT
    (line,) = house.lines("response.odd")
    assert line["log_level"] == level


async def test_a_wrong_acknowledgment_in_the_response_is_not_believed(open_house: Open, serve: Serve):
    house = await open_house(dso=False)
    message = await until_answered(house, await answered(house, serve, "sync", _other_references))
    assert message.state is MessageState.SENT
    assert house.lines("acknowledgment.refused")[0]["log_level"] == "error"


# --- others and restarts


async def test_a_restart_goes_on_where_it_was(open_house: Open, serve: Serve):
    """The partner may have had the message before: same MessageId, same octets, so it is one delivery there."""
    first = await open_house(dso=False)
    partner = await serve(first)
    message = await sent(first, "rms", *payloads())
    await close(first)
    second = await open_house(dso=False, clock=first.clock)
    assert len(partner.received) == 1
    message = await next_attempt(second, message)
    assert message.attempts == 2
    assert len({body for _, body in partner.received}) == 1
    await say(second, acknowledgment(second, message))
    await second.until_state(message, MessageState.DELIVERED)


async def test_a_daemon_that_stops_while_it_sends_sends_the_same_again(
    open_house: Open, serve: Serve, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("adapter.daemon.daemon.GRACE", timedelta())
    first = await open_house(dso=False)
    never = asyncio.Event()

    async def say_nothing(_: bytes) -> web.Response:
        await never.wait()
        raise ConnectionAbortedError

    partner = await serve(first, say_nothing)
    message = await first.submit("rms", b"<a/>")
    await partner.until(1)
    await close(first)
    never.set()
    second = await open_house(dso=False)
    await until_answered(second, message, 2)
    assert len(partner.received) == 2
    assert len({body for _, body in partner.received}) == 1


async def test_a_dead_partner_delays_no_other(open_house: Open, serve: Serve):
    """It takes connections and then says nothing, not even in the handshake."""
    house = await open_house(dso=False)
    ports = house.world.ports
    await override(house, "rm", f"https://localhost:{ports.dso_api}/ebms")
    async with silent_partner(ports.dso_api) as busy:
        for _ in range(8):
            await house.submit("rm")
        async with asyncio.timeout(PATIENCE):
            await busy.wait()
        partner = await serve(house)
        for _ in range(5):
            await house.until_state(await house.submit("bes"), MessageState.TRANSMITTED)
        assert len(partner.received) == 5


async def override(house: House, authority: str, destination: str) -> None:
    source = f"https://localhost:{house.world.ports.dso_ebms}/ebms"
    await house.db.write(
        put_endpoint_override, EndpointOverride(authority, source, destination), house.clock()
    )


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
