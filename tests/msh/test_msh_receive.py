"""What is accepted, when it is acknowledged, and what a repeat is answered with."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from lxml import etree
from sqlalchemy.exc import OperationalError

from adapter.ebms import reference_digests, references_match
from adapter.pki import client_context
from adapter.store import (
    Database,
    MessageKind,
    MessageState,
    StoreProblem,
    StoreUnknown,
    accept,
    find_messages,
    known_spool_keys,
)
from tests.memory import measured_peak
from tests.msh.bad_input import HUB, texts, with_agreement
from tests.msh.conftest import Open, close
from tests.msh.house import (
    NEXT,
    SOAP,
    House,
    Judge,
    Made,
    Part,
    Request,
    ask_next_msh,
    eb,
    envelope_of,
    errors_of,
    looking,
    notification,
    wrap,
)

BINARY = Part(b"\x00\r\n\r--=_border\n\xff" * 40, content_type="application/octet-stream")


class Wrapped(Database):
    """A database whose transactions for receiving wait, or fail, as told."""

    def __init__(self, inner: Database) -> None:
        super().__init__()
        self.inner = inner
        self.changes = inner.changes  # type: ignore[misc]
        self.reached = asyncio.Event()
        self.go_on = asyncio.Event()
        self.failure: Exception | None = None
        self.after_commit: Exception | None = None
        self.blind = False

    async def write(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        if function is not accept:
            return await self.inner.write(function, *args, **kwargs)
        self.reached.set()
        await self.go_on.wait()
        if self.failure is not None:
            raise self.failure
        result = await self.inner.write(function, *args, **kwargs)
        if self.after_commit is not None:
            raise self.after_commit
        return result

    async def read(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        if self.blind and function is known_spool_keys:
            raise StoreProblem("the store does not answer")
        return await self.inner.read(function, *args, **kwargs)

    async def close(self) -> None:
        await self.inner.close()

    async def _changed_elsewhere(self) -> bool:
        return await self.inner._changed_elsewhere()


async def accepted(house: House, made: Made, request: Request | None = None, deliveries: int = 1) -> None:
    """Send a message; assert that it is taken, acknowledged in order, and delivered."""
    response = await house.send(made, request)
    assert (response.status, response.body) == (204, b"")
    signal = await house.answer(made)
    assert (signal.action, signal.problems) == ("Acknowledgment", ())
    assert await house.deliveries() == deliveries


async def acknowledgments(house: House, made: Made) -> list[bytes]:
    return [s.envelope for s in house.dso.msh.received if s.ref_to_message_id == made.id]


# --- in order


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


# --- who


async def test_who_acts_for_the_partner_may_send(open_house: Open):
    house = await open_house(**with_agreement(HUB))
    made = house.draft().make()
    assert (await house.send(made, keys="hub")).status == 204
    assert (await house.answer(made)).problems == ()


async def test_without_tls_a_test_set_up_takes_messages_of_anybody(open_house: Open):
    """The identity steps are skipped, with a warning at start; the signature still counts."""
    tls = '[ebms.tls]\ncertificate = "tls/rms.pem"\nkey = "tls/rms.key"\n'
    house = await open_house(replacing={tls: ""})
    assert len(house.lines("daemon.plain_http")) == 1
    made = house.draft().make()
    house.announce(made)
    assert (await house.post(wrap(made), scheme="http")).status == 204
    assert (await house.answer(made)).problems == ()
    unsigned = house.draft(sign=False).make()
    house.announce(unsigned)
    await house.post(wrap(unsigned), scheme="http")
    assert errors_of((await house.answer(unsigned)).envelope)[0][0] == "SecurityFailure"


async def test_who_does_not_act_for_the_partner_may_not_send(house: House):
    assert (await house.send(house.draft().make(), keys="hub")).status == 403


async def test_a_renewed_signing_certificate_of_the_same_oin_is_accepted(house: House):
    draft = house.draft()
    draft.keys = house.keys["renewed"]
    await accepted(house, draft.make())


async def test_a_renewed_signing_certificate_is_refused_where_only_the_agreed_one_counts(open_house: Open):
    house = await open_house(**with_agreement('certificate_renewal = "cpa"'))
    draft = house.draft()
    draft.keys = house.keys["renewed"]
    made = draft.make()
    await house.send(made)
    assert errors_of((await house.answer(made)).envelope)[0][0] == "SecurityFailure"
    await house.assert_nothing_kept()


async def test_a_renewed_tls_certificate_of_the_same_oin_is_accepted(house: House):
    made = house.draft().make()
    assert (await house.send(made, keys="renewed")).status == 204


async def test_a_self_made_certificate_with_the_oin_of_the_partner_cannot_sign(house: House, tmp_path: Path):
    draft = house.draft()
    issued = house.world.pki.issue("vals", "00000099000000001000", self_signed=True)
    draft.keys = issued.key_pair(tmp_path, "vals")
    made = draft.make()
    await house.send(made)
    assert errors_of((await house.answer(made)).envelope)[0][0] == "SecurityFailure"
    assert "self-signed" in house.lines("message.refused")[0]["problems"][0]


async def test_a_key_that_cannot_sign_accepts_nothing(open_house: Open):
    """The authority has another certificate than the agreement says, of another OIN."""
    house = await open_house(
        replacing={
            'cpas = ["cpa/rms.xml", "cpa/neighbour.xml"]\ncertificate = "tls/rms.pem"\nkey = "tls/rms.key"': (
                'cpas = ["cpa/rms.xml"]\ncertificate = "tls/stranger.pem"\nkey = "tls/stranger.key"'
            )
        }
    )
    made = house.draft(parts=[Part(bytes(300_000))]).make()
    response = await house.send(made)
    assert (response.status, response.headers["Retry-After"], response.body) == (503, "30", b"")
    assert house.refused("cannot_sign") == 1
    assert house.lines("request.postponed")[0]["reason"] == "cannot_sign"
    assert await house.count("message") == 0
    await house.assert_nothing_kept()


# --- not before it is stored


async def test_nothing_is_answered_before_the_commit(open_house: Open):
    wrapped: list[Wrapped] = []
    house = await open_house(database=lambda db: wrapped.append(Wrapped(db)) or wrapped[0])
    made = house.draft().make()
    sending = asyncio.create_task(house.send(made))
    async with asyncio.timeout(5):
        await wrapped[0].reached.wait()
    assert await house.count("message") == 0
    assert not sending.done()
    wrapped[0].go_on.set()
    assert (await sending).status == 204
    assert (await house.answer(made)).problems == ()


@pytest.mark.parametrize("name", ["rms", "sync"])
async def test_what_cannot_be_stored_is_not_acknowledged(name: str, open_house: Open):
    wrapped: list[Wrapped] = []
    house = await open_house(database=lambda db: wrapped.append(Wrapped(db)) or wrapped[0])
    wrapped[0].go_on.set()
    wrapped[0].failure = OperationalError("INSERT", {}, Exception("database or disk is full"))
    made = house.draft(name, parts=[Part(bytes(300_000))]).make()
    response = await house.send(made)
    assert (response.status, response.headers["Retry-After"], response.body) == (503, "30", b"")
    assert house.refused("store") == 1
    assert house.lines("request.postponed")[0]["reason"] == "store"
    assert await house.count("message") == 0
    await house.assert_nothing_kept()
    wrapped[0].failure = None
    again = await house.send(made)
    assert again.status == (200 if name == "sync" else 204)
    assert await house.received() == 1


async def test_a_fault_of_our_own_is_answered_as_one_that_passes(open_house: Open):
    wrapped: list[Wrapped] = []
    house = await open_house(database=lambda db: wrapped.append(Wrapped(db)) or wrapped[0])
    wrapped[0].go_on.set()
    wrapped[0].failure = ZeroDivisionError("secret detail")
    response = await house.send(house.draft(parts=[Part(bytes(300_000))]).make())
    assert (response.status, response.headers["Retry-After"], response.body) == (503, "30", b"")
    assert house.refused("unexpected") == 1
    assert len(house.lines("request.failed")) == 1
    await house.assert_nothing_kept()


async def test_payloads_of_an_uncertain_write_stay_until_the_next_start(open_house: Open):
    wrapped: list[Wrapped] = []
    house = await open_house(database=lambda db: wrapped.append(Wrapped(db)) or wrapped[0])
    wrapped[0].go_on.set()
    wrapped[0].failure = OperationalError("INSERT", {}, Exception("disk I/O error"))
    wrapped[0].blind = True
    assert (await house.send(house.draft(parts=[Part(bytes(300_000))]).make())).status == 503
    assert len(house.lines("spool.kept")) == 1
    assert len(house.spooled()) == 1
    await close(house)
    again = await open_house(dso=False)
    assert again.spooled() == []
    assert again.lines("spool.swept")[0]["files"] == 1


async def test_payloads_of_a_commit_that_was_cut_off_stay(open_house: Open):
    """Nobody knows whether a row names them: not even the store, while the commit may still be under way."""
    wrapped: list[Wrapped] = []
    house = await open_house(database=lambda db: wrapped.append(Wrapped(db)) or wrapped[0])
    wrapped[0].go_on.set()
    wrapped[0].failure = StoreUnknown("cut off in its commit")
    assert (await house.send(house.draft(parts=[Part(bytes(300_000))]).make())).status == 503
    assert len(house.spooled()) == 1


async def test_what_was_stored_after_all_keeps_its_payloads(open_house: Open):
    """The commit succeeds and the news of it is lost: the repeat finds its message, whole."""
    wrapped: list[Wrapped] = []
    house = await open_house(database=lambda db: wrapped.append(Wrapped(db)) or wrapped[0])
    wrapped[0].go_on.set()
    wrapped[0].after_commit = OperationalError("COMMIT", {}, Exception("lost"))
    payload = Part(bytes(300_000))
    made = house.draft(parts=[payload]).make()
    assert (await house.send(made)).status == 503
    await house.send(made)
    assert (await house.answer(made)).problems == ()
    assert await house.deliveries() == 1
    assert next((house.state.parent / "rms").glob("*/payloads/*")).stat().st_size == 300_000


async def test_message_acknowledgment_and_jobs_are_one_transaction(open_house: Open):
    """At the first moment that the message can be seen, so can all that follows from it."""
    wrapped: list[Wrapped] = []
    house = await open_house(database=lambda db: wrapped.append(Wrapped(db)) or wrapped[0])
    house.dso.faults.late_acknowledgment = 1000  # it stays to be sent
    wrapped[0].go_on.set()
    made = house.draft().make()
    await house.send(made)
    stored = await house.db.read(find_messages)
    assert {message.kind for message in stored} == {MessageKind.BUSINESS, MessageKind.ACKNOWLEDGMENT}
    (acknowledgment,) = [m for m in stored if m.kind is MessageKind.ACKNOWLEDGMENT]
    assert acknowledgment.state is MessageState.CREATED
    assert [job.subject for job in await house.jobs() if job.kind == "send"] == [acknowledgment.id]
    assert await house.count("timeline", "action = 'message.received'") == 1
    moments = {message.created_at for message in stored}
    assert len(moments) == 1
    house.dso.faults.late_acknowledgment = 0
    assert (await house.answer(made)).envelope == acknowledgment.envelope


async def test_a_body_that_breaks_off_leaves_nothing(house: House):
    made = house.draft(parts=[Part(bytes(600_000))]).make()
    request = wrap(made)
    context = client_context(house.keys["dso"], house.world.trust)
    _, writer = await asyncio.open_connection(
        "localhost", house.world.ports.adapter, ssl=context, server_hostname="localhost"
    )
    head = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
    head = f"POST /ebms HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(request.body)}\r\n{head}\r\n"
    writer.write(head.encode() + request.body[:500_000])
    await house.until_receiving()
    writer.transport.abort()
    await looking(lambda: house.refused("body_broken") == 1)
    assert house.lines("request.refused")[0]["reason"] == "body_broken"
    assert house.lines("request.not_stored") == []
    await house.assert_nothing_kept()


# --- repeats


async def test_a_repeat_gets_the_same_acknowledgment_and_is_not_delivered(house: House):
    made = house.draft(parts=[Part(bytes(300_000))]).make()
    await accepted(house, made)
    assert (await house.send(made)).status == 204
    await house.answer(made, 2)
    first, second = await acknowledgments(house, made)
    assert first == second
    assert await house.deliveries() == 1
    assert await house.count("payload") == 1
    assert len(house.spooled()) == 1
    assert len(house.lines("message.duplicate")) == 1


async def test_a_repeat_in_another_wrapping_is_a_repeat(house: House):
    made = house.draft(parts=[BINARY]).make()
    await accepted(house, made)
    coded = [replace(BINARY, encoding="base64")]
    await house.send(made, wrap(made, parts=coded, boundary="other", root_at=1))
    await house.answer(made, 2)
    assert await house.deliveries() == 1


async def test_a_repeat_after_a_restart_gets_the_same_acknowledgment(open_house: Open):
    first = await open_house()
    made = first.draft().make()
    await accepted(first, made)
    await close(first)
    second = await open_house(dso=False)
    second.dso = first.dso
    await second.send(made)
    await second.answer(made, 2)
    octets = await acknowledgments(second, made)
    assert octets[0] == octets[1]
    assert await second.deliveries() == 1


@pytest.mark.parametrize("name", ["rms", "rm", "sync"])
async def test_five_at_the_same_time_are_one_message(name: str, house: House):
    made = house.draft(name, parts=[Part(bytes(100_000))]).make()
    house.announce(made)
    request = wrap(made)
    answers = await asyncio.gather(*(house.post(request) for _ in range(5)))
    assert await house.deliveries() == 1
    assert await house.received() == 1
    assert len(house.spooled()) == 1
    octets = set(await acknowledgments(house, made)) | {a.body for a in answers if a.body}
    assert len(octets) == 1
    stored = await house.db.read(find_messages, kind=MessageKind.ACKNOWLEDGMENT)
    assert [message.envelope for message in stored] == list(octets)


async def test_a_repeat_after_agreement_and_time_to_live_ended_is_still_answered(house: House):
    """PersistDuration is longer here than what is left of the agreement when the message first comes."""
    house.clock.shift = timedelta(days=60) - timedelta(minutes=5)
    made = house.draft(header={"time_to_live": house.clock() + timedelta(minutes=2)}).make()
    await accepted(house, made)
    house.clock.shift += timedelta(hours=20)
    assert (await house.send(made)).status == 204
    await house.answer(made, 2)
    first, second = await acknowledgments(house, made)
    assert first == second
    fresh = house.draft().make()
    await house.send(fresh)
    assert errors_of((await house.answer(fresh)).envelope)[0][0] == "Inconsistent"
    assert await house.deliveries() == 1


async def test_a_repeat_in_the_margin_after_the_window_is_still_answered(house: House):
    """It is remembered a day longer than repeats may come, and so is its acknowledgment to be sent."""
    made = house.draft().make()
    await accepted(house, made)
    house.clock.shift = timedelta(days=2, hours=12)  # PersistDuration is two days
    await house.send(made)
    await house.answer(made, 2)
    assert house.lines("acknowledgment.expired") == []


@pytest.mark.parametrize("name", ["rms", "rm"])
async def test_the_message_id_of_another_message_is_no_repeat(name: str, house: House):
    made = house.draft(name).make()
    await accepted(house, made)
    other = house.draft(name, parts=[notification("2023073100049")], header={"message_id": made.id}).make()
    await house.send(other)
    signal = await house.answer(made, 2)
    assert errors_of(signal.envelope) == [
        ("ValueNotRecognized", "/SOAP:Envelope/SOAP:Header/eb:MessageHeader/eb:MessageData/eb:MessageId")
    ]
    assert await house.deliveries() == 1
    await house.send(made)
    assert (await house.answer(made, 3)).action == "Acknowledgment"


async def test_a_repeat_of_a_refused_message_gets_the_same_error(house: House):
    made = house.draft(header={"time_to_live": house.clock() - timedelta(hours=1)}).make()
    for number in (1, 2):
        await house.send(made)
        await house.answer(made, number)
    first, second = await acknowledgments(house, made)
    assert first == second
    assert await house.count("message", "direction = 'out'") == 1


async def test_a_repeat_of_a_message_refused_for_its_signature_gets_the_same_error(house: House):
    made = house.draft(after=texts("Timestamp", "2026-01-01T00:00:00Z")).make()
    for number in (1, 2):
        await house.send(made)
        await house.answer(made, number)
    first, second = await acknowledgments(house, made)
    assert first == second


async def test_a_forgery_does_not_occupy_the_message_id_of_the_real_one(house: House):
    made = house.draft().make()
    forged = replace(made, envelope=made.envelope.replace(b"Z</eb:Timestamp>", b"1Z</eb:Timestamp>", 1))
    assert forged.envelope != made.envelope
    await house.send(forged)
    assert errors_of((await house.answer(made)).envelope)[0][0] == "SecurityFailure"
    await house.send(made)
    assert (await house.answer(made, 2)).action == "Acknowledgment"
    assert await house.deliveries() == 1


async def test_two_best_effort_messages_that_differ_in_the_header_get_an_error_each(house: House):
    """The same payload in the same body, refused twice: an error about each, and about the repeat of one."""
    late = {"time_to_live": house.clock() - timedelta(hours=1)}
    part = notification()
    first = house.draft("be", parts=[part], header=late).make()
    second = house.draft("be", parts=[part], header=late).make()
    for made in (first, second):
        await house.send(made)
        assert errors_of((await house.answer(made)).envelope)[0][0] == "TimeToLiveExpired"
    await house.send(first)
    again = await house.answer(first, 2)
    assert again.envelope == (await house.answer(first)).envelope


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


# --- signals


@pytest.mark.parametrize("plain", [True, False])
@pytest.mark.parametrize("sign", [True, False])
async def test_a_ping_gets_a_pong(plain: bool, sign: bool, house: House):
    made = house.signal("Ping", sign=sign)
    response = await house.send(made, wrap(made, plain=plain))
    assert (response.status, response.body) == (204, b"")
    signal = await house.answer(made)
    assert (signal.action, signal.problems) == ("Pong", ())
    pong = envelope_of(signal.envelope)
    assert pong.manifest is None
    assert pong.ack_requested is None


async def test_a_ping_in_a_synchronous_channel_gets_its_pong_in_the_response(house: House):
    """Also without SyncReply in it."""
    made = house.signal("Ping", "sync")
    response = await house.send(made, wrap(made, plain=True))
    assert response.status == 200
    assert envelope_of(response.body).header.action == "Pong"
    assert envelope_of(response.body).header.ref_to_message_id == made.id


async def test_a_ping_under_an_expired_agreement_gets_silence(house: House):
    house.clock.shift = timedelta(days=61)
    made = house.signal("Ping")
    assert (await house.send(made)).status == 204
    assert len(house.lines("ping.ignored")) == 1
    assert await house.jobs() == []
    assert house.dso.msh.received == []


async def test_a_ping_with_a_broken_signature_is_refused(house: House):
    made = house.signal("Ping", sign=True)
    made = replace(made, envelope=made.envelope.replace(b"Z</eb:Timestamp>", b"1Z</eb:Timestamp>"))
    await house.send(made)
    assert errors_of((await house.answer(made)).envelope)[0][0] == "SecurityFailure"


def _acknowledge(root: etree._Element) -> None:
    attributes = {f"{{{SOAP}}}mustUnderstand": "1", eb("version"): "2.0"}
    entry = etree.SubElement(root[0], eb("Acknowledgment"), attributes)
    etree.SubElement(entry, eb("Timestamp")).text = "2026-06-01T12:00:00Z"
    etree.SubElement(entry, eb("RefToMessageId")).text = "unknown@adapter"


def _report(root: etree._Element) -> None:
    attributes = {
        f"{{{SOAP}}}mustUnderstand": "1",
        eb("version"): "2.0",
        eb("highestSeverity"): "Error",
    }
    entry = etree.SubElement(root[0], eb("ErrorList"), attributes)
    etree.SubElement(entry, eb("Error"), {eb("errorCode"): "Unknown", eb("severity"): "Error"})


@pytest.mark.parametrize(
    ("action", "edit", "line"),
    [
        ("Acknowledgment", _acknowledge, "signal.received"),
        ("MessageError", _report, "signal.received"),
        ("Pong", None, "signal.unexpected"),
    ],
)
async def test_a_signal_about_an_unknown_message_is_only_logged(
    action: str, edit: Any, line: str, house: House
):
    made = house.signal(action, edit=edit, ref_to_message_id="unknown@adapter")
    response = await house.send(made)
    assert (response.status, response.body) == (204, b"")
    assert len(house.lines(line)) == 1
    assert await house.count("message") == 0
    assert await house.jobs() == []


@pytest.mark.parametrize(("action", "edit"), [("Acknowledgment", _acknowledge), ("MessageError", _report)])
async def test_a_broken_signal_is_never_answered_with_an_error(action: str, edit: Any, house: House):
    made = house.signal(action, edit=edit, sign=True, ref_to_message_id="unknown@adapter")
    broken = replace(made, envelope=made.envelope.replace(b"unknown@adapter", b"changed@adapter"))
    assert (await house.send(broken)).status == 204
    assert house.lines("message.refused")[0]["reason"] == "SecurityFailure"
    assert house.refused("SecurityFailure") == 1
    assert await house.jobs() == []
    assert await house.count("message") == 0


async def test_an_acknowledgment_that_asks_for_one_gets_none(house: House):
    def ask(root: etree._Element) -> None:
        _acknowledge(root)
        attributes = {f"{{{SOAP}}}mustUnderstand": "1", eb("version"): "2.0", eb("signed"): "false"}
        etree.SubElement(root[0], eb("AckRequested"), attributes)

    made = house.signal("Acknowledgment", edit=ask, ref_to_message_id="unknown@adapter")
    assert (await house.send(made)).status == 204
    assert await house.jobs() == []
    assert await house.count("message") == 0


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
