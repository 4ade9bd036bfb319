# SPDX-License-Identifier: EUPL-1.2

"""What goes wrong with each message of a delivery: afterwards there is one zaak with each document once."""

import pytest

from adapter.delivery import Delivered, Handover, Permanent, Temporary
from tests.sinks.handovers import MemoryCheckpoint, SimulatedCrash
from tests.sinks.receivers import Fault
from tests.sinks.soap_messages import SOAP_11, confirmation, soap_answer, stuf_fault
from tests.sinks.stuf.deliveries import MakeSink, a_delivery, after, attempt
from tests.sinks.stuf.zaaksysteem import ZDS, ZKN, Repeats, Zaaksysteem

OWN = {"identificatie": "own", "gemeentecode": "0363"}
MESSAGES = 10  # two for the zaak and two for each of the four files
FAULTS = [fault for fault in Fault if fault is not Fault.NONE]
NUMBERS = [pytest.param({}, id="generated"), pytest.param(OWN, id="own")]


def messages_of(numbers: dict[str, str]) -> int:
    return MESSAGES // 2 if numbers else MESSAGES


def assert_exactly_once(system: Zaaksysteem, handover: Handover) -> None:
    assert len(system.zaken) == 1
    digests = [one.sha256 for one in system.documents.values()]
    assert sorted(digests) == sorted(file.sha256 for file in handover.files)
    assert {one.zaak for one in system.documents.values()} == set(system.zaken)


@pytest.mark.parametrize("numbers", NUMBERS)
@pytest.mark.parametrize("repeats", Repeats)
@pytest.mark.parametrize("fault", FAULTS)
async def test_a_fault_at_any_message_leaves_each_thing_there_once(
    system: Zaaksysteem, a_sink: MakeSink, numbers: dict[str, str], repeats: Repeats, fault: Fault
) -> None:
    handover = a_delivery()
    sink = a_sink(**numbers)
    system.repeats = repeats
    for position in range(messages_of(numbers)):
        system.forget()
        system.faults = [Fault.NONE] * position + [fault]
        checkpoint = MemoryCheckpoint()
        assert isinstance(await attempt(sink, handover, checkpoint), Temporary), position
        attempts = 1
        while not isinstance(await attempt(sink, handover, checkpoint), Delivered):
            attempts += 1
            assert attempts < 3, position
        assert_exactly_once(system, handover)


@pytest.mark.parametrize("numbers", NUMBERS)
@pytest.mark.parametrize("repeats", Repeats)
@pytest.mark.parametrize("moment", ["before_set", "after_set"])
async def test_a_crash_at_any_step_leaves_each_thing_there_once(
    system: Zaaksysteem, a_sink: MakeSink, numbers: dict[str, str], repeats: Repeats, moment: str
) -> None:
    handover = a_delivery()
    sink = a_sink(**numbers)
    system.repeats = repeats
    for position in range(messages_of(numbers)):
        system.forget()
        checkpoint = MemoryCheckpoint()
        setattr(checkpoint, moment, crash_after(position))
        with pytest.raises(SimulatedCrash):
            await attempt(sink, handover, checkpoint)
        setattr(checkpoint, moment, lambda: None)
        while not isinstance(await attempt(sink, handover, checkpoint), Delivered):
            pass
        assert_exactly_once(system, handover)


def crash_after(count: int):  # type: ignore[no-untyped-def]
    left = count

    def crash() -> None:
        nonlocal left
        if left == 0:
            raise SimulatedCrash
        left -= 1

    return crash


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("doel", ["Aanvullen", "Intrekken"])
async def test_a_fault_at_any_message_of_a_later_delivery_is_made_good(
    system: Zaaksysteem, a_sink: MakeSink, doel: str, fault: Fault
) -> None:
    sink = a_sink()
    for position in range(5):  # the change, and two for each of the XML and the PDF, which are new
        system.forget()
        first, later = MemoryCheckpoint(), a_delivery(doel=doel, volgnummer="001")
        await attempt(sink, a_delivery(), first)
        system.faults = [Fault.NONE] * position + [fault]
        second = after(first)
        assert isinstance(await attempt(sink, later, second), Temporary)
        assert isinstance(await attempt(sink, later, second), Delivered)
        (zaak,) = system.zaken.values()
        assert len(zaak.changes) == 1
        assert len(system.documents) == 6


async def test_a_number_that_was_given_is_used_by_the_next_delivery_when_this_one_was_skipped(
    system: Zaaksysteem, a_sink: MakeSink, checkpoint: MemoryCheckpoint
) -> None:
    sink = a_sink()
    system.faults = [Fault.NONE, Fault.CUT_AFTER]
    await attempt(sink, a_delivery(), checkpoint)
    later = a_delivery(doel="Aanvullen", volgnummer="001")
    assert isinstance(await attempt(sink, later, after(checkpoint)), Delivered)
    assert set(system.zaken) == {"0363zaak1"}


FINAL = ["StUF010", "StUF013", "StUF022", "StUF052", "StUF055", "StUF064"]
PASSING = ["StUF019", "StUF046", "StUF049", "StUF058", "StUF960", "Geheel onbekend"]


@pytest.mark.parametrize("code", FINAL)
async def test_a_refusal_that_stays_one_parks_the_delivery(
    system: Zaaksysteem, a_sink: MakeSink, checkpoint: MemoryCheckpoint, code: str
) -> None:
    system.refusals["creeerZaak_Lk01"] = [code]
    outcome = await attempt(a_sink(), a_delivery(), checkpoint)
    assert isinstance(outcome, Permanent)
    assert outcome.reason == f"creeerZaak: Fo03 {code}: niet goed"


@pytest.mark.parametrize("code", PASSING)
async def test_a_refusal_that_may_pass_is_tried_again(
    system: Zaaksysteem, a_sink: MakeSink, checkpoint: MemoryCheckpoint, code: str
) -> None:
    handover, sink = a_delivery(), a_sink()
    system.refusals["creeerZaak_Lk01"] = [code]
    outcome = await attempt(sink, handover, checkpoint)
    assert outcome == Temporary(f"creeerZaak: Fo03 {code}: niet goed")
    assert isinstance(await attempt(sink, handover, checkpoint), Delivered)
    assert_exactly_once(system, handover)


async def test_a_number_that_is_refused_is_told_as_fo02(
    system: Zaaksysteem, a_sink: MakeSink, checkpoint: MemoryCheckpoint
) -> None:
    system.refusals["genereerZaakIdentificatie_Di02"] = ["StUF052"]
    outcome = await attempt(a_sink(), a_delivery(), checkpoint)
    assert outcome == Permanent("genereerZaakIdentificatie: Fo02 StUF052: niet goed")


@pytest.mark.parametrize("operation", ["voegZaakdocumentToe_Lk01", "updateZaak_Lk01"])
async def test_a_zaak_that_is_not_found_yet_may_come(
    system: Zaaksysteem, a_sink: MakeSink, checkpoint: MemoryCheckpoint, operation: str
) -> None:
    system.refusals[operation] = ["StUF064"]
    handover, sink = a_delivery(doel="Intrekken"), a_sink()
    assert isinstance(await attempt(sink, handover, checkpoint), Temporary)
    assert isinstance(await attempt(sink, handover, checkpoint), Delivered)


async def test_what_was_refused_is_another_message_next_time(
    system: Zaaksysteem, a_sink: MakeSink, checkpoint: MemoryCheckpoint
) -> None:
    # Else a receiver that keeps the numbers of what it refused would say that it has it already.
    handover, sink = a_delivery(), a_sink()
    system.repeats = Repeats.REFUSED
    for _ in range(2):
        system.refusals["creeerZaak_Lk01"] = ["StUF058"]
        await attempt(sink, handover, checkpoint)
    assert isinstance(await attempt(sink, handover, checkpoint), Delivered)
    numbers = system.numbers("creeerZaak_Lk01")
    assert len(numbers) == len(set(numbers)) == 3


async def test_what_another_delivery_was_refused_is_another_message_too(
    system: Zaaksysteem, a_sink: MakeSink, checkpoint: MemoryCheckpoint
) -> None:
    sink = a_sink()
    system.repeats = Repeats.REFUSED
    system.refusals["creeerZaak_Lk01"] = ["StUF055"]
    await attempt(sink, a_delivery(), checkpoint)  # and then it was skipped
    later = a_delivery(doel="Aanvullen", volgnummer="001")
    assert isinstance(await attempt(sink, later, after(checkpoint)), Delivered)
    assert len(set(system.numbers("creeerZaak_Lk01"))) == 2


async def test_what_was_perhaps_done_is_the_same_message_next_time(
    system: Zaaksysteem, a_sink: MakeSink, checkpoint: MemoryCheckpoint
) -> None:
    handover, sink = a_delivery(), a_sink()
    system.faults = [Fault.NONE, Fault.CUT_AFTER]
    for _ in range(2):
        await attempt(sink, handover, checkpoint)
    numbers = system.numbers("creeerZaak_Lk01")
    assert (len(numbers), len(set(numbers))) == (2, 1)


async def test_what_a_receiver_writes_of_people_is_not_in_the_reason(
    system: Zaaksysteem, a_sink: MakeSink, checkpoint: MemoryCheckpoint
) -> None:
    system.refusals["creeerZaak_Lk01"] = ["StUF055"]
    system.details = "element inp.bsn: '123456782'\nis niet toegestaan"
    outcome = await attempt(a_sink(), a_delivery(), checkpoint)
    assert outcome == Permanent(
        "creeerZaak: Fo03 StUF055: niet goed: element inp.bsn: '(number)' is niet toegestaan"
    )


OK = soap_answer(confirmation("Bv03", None))
STRANGE = {
    "nothing": b"",
    "a web page": b"<html><body>Welkom</body></html>",
    "no XML": b"welkom",
    "a DTD": b'<!DOCTYPE a [<!ENTITY b "c">]>' + OK.partition(b"?>")[2],
    "another namespace": OK.replace(b"StUF0301", b"StUF0204"),
    "the answer to another": soap_answer(confirmation("Bv03", "een-ander")),
    "Bv04": soap_answer(confirmation("Bv04", None)),
    "no code": OK.replace(b"<StUF:berichtcode>Bv03</StUF:berichtcode>", b""),
    "an empty body": soap_answer(""),
    "a fault with status 200": soap_answer("<s:Fault><faultstring>stuk</faultstring></s:Fault>", SOAP_11),
}


@pytest.mark.parametrize("what", STRANGE)
async def test_an_answer_that_is_no_confirmation_confirms_nothing(
    system: Zaaksysteem, a_sink: MakeSink, checkpoint: MemoryCheckpoint, what: str
) -> None:
    handover, sink = a_delivery(), a_sink(**OWN)
    system.answers = [STRANGE[what]]
    outcome = await attempt(sink, handover, checkpoint)
    assert isinstance(outcome, Temporary)
    assert isinstance(await attempt(sink, handover, checkpoint), Delivered)
    assert_exactly_once(system, handover)


@pytest.mark.parametrize("what", STRANGE)
async def test_an_answer_that_is_no_number_is_not_used_as_one(
    system: Zaaksysteem, a_sink: MakeSink, checkpoint: MemoryCheckpoint, what: str
) -> None:
    handover, sink = a_delivery(), a_sink()
    system.answers = [STRANGE[what]]
    assert isinstance(await attempt(sink, handover, checkpoint), Temporary)
    assert isinstance(await attempt(sink, handover, checkpoint), Delivered)
    assert_exactly_once(system, handover)


@pytest.mark.parametrize("number", ["", " ", "0" * 41, "0363&#10;1"])
async def test_a_number_that_cannot_be_one_is_not_used(
    system: Zaaksysteem, a_sink: MakeSink, checkpoint: MemoryCheckpoint, number: str
) -> None:
    operation = "genereerZaakIdentificatie"
    zaak = f"<z:zaak><k:identificatie>{number}</k:identificatie></z:zaak>"
    system.answers = [
        soap_answer(f'<z:{operation}_Du02 xmlns:z="{ZDS}" xmlns:k="{ZKN}">{zaak}</z:{operation}_Du02>')
    ]
    assert isinstance(await attempt(a_sink(), a_delivery(), checkpoint), Temporary)
    assert system.zaken == {}


async def test_a_number_may_come_in_the_namespace_of_an_older_version(
    system: Zaaksysteem, a_sink: MakeSink, checkpoint: MemoryCheckpoint
) -> None:
    operation = "genereerZaakIdentificatie"
    zaak = "<k:zaak><k:identificatie>0363-1</k:identificatie></k:zaak>"
    system.answers = [soap_answer(f'<k:{operation}_Du02 xmlns:k="{ZKN}">{zaak}</k:{operation}_Du02>')]
    await attempt(a_sink(), a_delivery(), checkpoint)
    assert set(system.zaken) == {"0363-1"}


async def test_a_refusal_without_a_code_may_pass(
    system: Zaaksysteem, a_sink: MakeSink, checkpoint: MemoryCheckpoint
) -> None:
    system.refusals["creeerZaak_Lk01"] = [""]
    outcome = await attempt(a_sink(), a_delivery(), checkpoint)
    assert outcome == Temporary("creeerZaak: Fo03 without a code: niet goed")


async def test_a_confirmation_that_names_no_message_confirms_the_one_it_answers(
    system: Zaaksysteem, a_sink: MakeSink, checkpoint: MemoryCheckpoint
) -> None:
    system.answers = [OK] * 5
    assert isinstance(await attempt(a_sink(**OWN), a_delivery(), checkpoint), Delivered)


async def test_an_answer_without_end_is_not_read(
    system: Zaaksysteem, a_sink: MakeSink, checkpoint: MemoryCheckpoint
) -> None:
    system.answers = [b" " * 300_000 + OK]
    outcome = await attempt(a_sink(**OWN), a_delivery(), checkpoint)
    assert not isinstance(outcome, Delivered)
    assert "262144" in outcome.reason


async def test_a_refusal_may_stand_outside_a_fault(
    system: Zaaksysteem, a_sink: MakeSink, checkpoint: MemoryCheckpoint
) -> None:
    bare = stuf_fault("Fo03", "StUF055").partition(b"<detail>")[2].partition(b"</detail>")[0].decode()
    system.answers = [soap_answer(bare)]
    outcome = await attempt(a_sink(**OWN), a_delivery(), checkpoint)
    assert isinstance(outcome, Permanent)


async def test_a_server_that_does_not_let_us_in_is_tried_again(
    system: Zaaksysteem, a_sink: MakeSink, checkpoint: MemoryCheckpoint
) -> None:
    system.status = 401
    outcome = await attempt(a_sink(), a_delivery(), checkpoint)
    assert outcome == Temporary("genereerZaakIdentificatie: HTTP 401 Unauthorized")
