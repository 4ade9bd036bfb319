# SPDX-License-Identifier: EUPL-1.2

import codecs
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from adapter.config import Environment
from adapter.delivery import (
    POSSIBLY_REPEATED,
    Delivered,
    Handover,
    Outcome,
    Permanent,
    Sink,
    SinkProblem,
    Temporary,
    make_sink,
)
from adapter.sinks import SINK_TYPES
from tests.sinks.dai.back_end import BackEnd
from tests.sinks.dai.messages import PAYLOAD, a_message, attempt
from tests.sinks.handovers import MemoryCheckpoint, SimulatedCrash, make_context
from tests.sinks.receivers import Fault
from tests.sinks.soap_messages import confirmation, soap_answer, stuf_fault

MakeSink = Callable[..., Sink]


@pytest.mark.parametrize("code", ["Bv03", "Bv04"])
async def test_a_message_is_delivered_when_the_back_end_takes_it_over(
    back_end: BackEnd, a_sink: MakeSink, checkpoint: MemoryCheckpoint, code: str
) -> None:
    back_end.code = code
    outcome = await attempt(a_sink(), a_message(), checkpoint)
    assert outcome == Delivered(reference="urn:dkintern:m-1@partner.example")
    assert len(back_end.messages) == 1
    assert checkpoint.notes == []


async def test_the_headers_say_what_ebms_said(
    back_end: BackEnd, a_sink: MakeSink, checkpoint: MemoryCheckpoint
) -> None:
    await attempt(a_sink(), a_message(refToMessageId="m-0@ons"), checkpoint)
    (message,) = back_end.messages
    assert message.headers == {
        "To": "urn:dkintern:0363:zaken:",
        "From": "urn:dkintern:dso",
        "Action": "urn:dkintern:Meldingen:1:0:meld",
        "MessageID": "urn:dkintern:m-1@partner.example",
        "RelatesTo": "urn:dkintern:m-0@ons",
        "RelatesTo urn:dkintern:ConversationId": "urn:dkintern:c-1",
    }


async def test_what_is_no_response_relates_to_its_conversation_only(
    back_end: BackEnd, a_sink: MakeSink, checkpoint: MemoryCheckpoint
) -> None:
    await attempt(a_sink(), a_message(), checkpoint)
    assert "RelatesTo" not in back_end.messages[0].headers


async def test_what_may_not_stand_in_an_iri_is_encoded(
    back_end: BackEnd, a_sink: MakeSink, checkpoint: MemoryCheckpoint
) -> None:
    await attempt(a_sink(), a_message(messageId='a b"<é>', action="http://x/y#z"), checkpoint)
    headers = back_end.messages[0].headers
    assert headers["MessageID"] == "urn:dkintern:a%20b%22%3C%C3%A9%3E"
    assert headers["Action"] == "urn:dkintern:Meldingen:1:0:http://x/y#z"


async def test_the_payload_stands_in_the_body_to_the_last_sign(
    back_end: BackEnd, a_sink: MakeSink, checkpoint: MemoryCheckpoint
) -> None:
    await attempt(a_sink(), a_message(), checkpoint)
    assert PAYLOAD.partition(b"?>")[2] in back_end.messages[0].octets


ODD = {
    "a byte order mark": codecs.BOM_UTF8 + PAYLOAD,
    "no declaration": PAYLOAD.partition(b"?>\n")[2],
    "ISO-8859-1": PAYLOAD.decode().replace("UTF-8", "ISO-8859-1").encode("iso-8859-1"),
    "UTF-16": PAYLOAD.decode().replace("UTF-8", "UTF-16").encode("utf-16"),
    "windows-1252": PAYLOAD.decode().replace("UTF-8", "windows-1252").encode("windows-1252"),
    "a style sheet": PAYLOAD.replace(b"?>\n", b'?>\n<?xml-stylesheet href="a"?><!-- c -->', 1),
    "a declaration in CDATA": PAYLOAD.replace(b"1 &amp; 2", b"<![CDATA[<?xml version='1.0'?>]]>"),
    "no namespace": b"<melding><b>\r\n</b></melding>",
    "a default namespace": b'<melding xmlns="urn:b"><b xmlns=""/></melding>',
}


@pytest.mark.parametrize("what", ODD)
async def test_a_payload_means_the_same_as_it_did(
    back_end: BackEnd, a_sink: MakeSink, checkpoint: MemoryCheckpoint, what: str
) -> None:
    assert isinstance(await attempt(a_sink(), a_message(ODD[what]), checkpoint), Delivered)
    was = etree.fromstring(ODD[what])
    (message,) = back_end.messages
    # exclusive: the namespaces of the envelope around it are no part of it
    assert etree.tostring(message.payload, method="c14n", exclusive=True, with_tail=False) == etree.tostring(
        was, method="c14n", exclusive=True
    )


async def test_a_comment_beside_the_root_stays(
    back_end: BackEnd, a_sink: MakeSink, checkpoint: MemoryCheckpoint
) -> None:
    await attempt(a_sink(), a_message(ODD["a style sheet"]), checkpoint)
    assert b'<?xml-stylesheet href="a"?><!-- c -->' in back_end.messages[0].octets


UNFIT = {
    "no XML": b"%PDF-1.4",
    "nothing": b"",
    "half": b"<a><b></a>",
    "a DTD": b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>',
    "an encoding that nobody knows": b'<?xml version="1.0" encoding="x-onbekend"?><a/>',
    "two roots": b"</dai:bericht><a/>",
}


@pytest.mark.parametrize("what", UNFIT)
async def test_a_payload_that_is_no_xml_parks_the_delivery(
    back_end: BackEnd, a_sink: MakeSink, checkpoint: MemoryCheckpoint, what: str
) -> None:
    outcome = await attempt(a_sink(), a_message(UNFIT[what]), checkpoint)
    assert isinstance(outcome, Permanent)
    assert "payloads/0 cannot be put into a SOAP message" in outcome.reason
    assert back_end.messages == []
    assert checkpoint.steps == {}


@pytest.mark.parametrize("payloads", [(PAYLOAD, PAYLOAD), (PAYLOAD, b"%PDF-")])
async def test_a_message_of_several_payloads_parks_the_delivery(
    back_end: BackEnd, a_sink: MakeSink, checkpoint: MemoryCheckpoint, payloads: tuple[bytes, ...]
) -> None:
    outcome = await attempt(a_sink(), a_message(*payloads), checkpoint)
    assert isinstance(outcome, Permanent)
    assert "this message has 2 payloads" in outcome.reason
    assert "sink of another type" in outcome.reason
    assert back_end.messages == []


async def test_a_fetched_verzoek_does_not_fit(
    a_sink: MakeSink, checkpoint: MemoryCheckpoint, handover: Handover
) -> None:
    outcome = await attempt(a_sink(), handover, checkpoint)
    assert isinstance(outcome, Permanent)
    assert "a fetched verzoek is several files" in outcome.reason


async def test_a_payload_that_is_too_large_parks_the_delivery(
    a_sink: MakeSink, checkpoint: MemoryCheckpoint
) -> None:
    outcome = await attempt(a_sink(max_message="10 B"), a_message(), checkpoint)
    assert isinstance(outcome, Permanent)
    assert "max_message allows 10; raise it" in outcome.reason


async def test_what_ebms_said_decides_where_a_message_goes(back_end: BackEnd, a_sink: MakeSink) -> None:
    sink = a_sink(
        routes=[
            {"cpa_id": "cpa-2", "action": ["meld", "wijzig"], "to": "urn:a:2", "url": f"{back_end.url}/twee"},
            {"service": "Meldingen:1:0", "action": "wijzig", "from": "urn:a:3"},
        ]
    )
    for facts in ({}, {"cpaId": "cpa-2"}, {"action": "wijzig"}, {"cpaId": "cpa-2", "action": "anders"}):
        await attempt(sink, a_message(**facts), MemoryCheckpoint())
    standard = ("/dai", "urn:dkintern:0363:zaken:", "urn:dkintern:dso")
    assert [(one.path, one.headers["To"], one.headers["From"]) for one in back_end.messages] == [
        standard,
        ("/twee", "urn:a:2", "urn:dkintern:dso"),
        ("/dai", "urn:dkintern:0363:zaken:", "urn:a:3"),
        standard,
    ]


STUF = (
    b'<z:zakLk01 xmlns:z="urn:z" xmlns:s="urn:s"><z:stuurgegevens><s:zender><s:organisatie>0363</s:organisatie>'
    b"<s:applicatie>App 1</s:applicatie></s:zender><s:ontvanger><s:organisatie>0344</s:organisatie>"
    b"<s:applicatie>B</s:applicatie><s:administratie>C</s:administratie></s:ontvanger></z:stuurgegevens></z:zakLk01>"
)


@pytest.mark.parametrize(
    ("payload", "to", "sender"),
    [
        (STUF, "urn:dkintern:0344:B:C", "urn:dkintern:0363:App%201:"),
        (PAYLOAD, "urn:dkintern:0363:zaken:", "urn:dkintern:dso"),
    ],
)
async def test_the_stuurgegevens_of_stuf_can_name_both_sides(
    back_end: BackEnd, a_sink: MakeSink, checkpoint: MemoryCheckpoint, payload: bytes, to: str, sender: str
) -> None:
    await attempt(a_sink(stuurgegevens=True), a_message(payload), checkpoint)
    headers = back_end.messages[0].headers
    assert (headers["To"], headers["From"]) == (to, sender)


async def test_the_stuurgegevens_are_not_looked_at_unless_asked(
    back_end: BackEnd, a_sink: MakeSink, checkpoint: MemoryCheckpoint
) -> None:
    await attempt(a_sink(), a_message(STUF), checkpoint)
    assert back_end.messages[0].headers["To"] == "urn:dkintern:0363:zaken:"


@pytest.mark.parametrize(("refused", "kind"), [("park", Permanent), ("retry", Temporary)])
async def test_what_a_refusal_leads_to_is_configured(
    back_end: BackEnd, a_sink: MakeSink, checkpoint: MemoryCheckpoint, refused: str, kind: type[Outcome]
) -> None:
    back_end.answers = [(500, stuf_fault("Fo03", "StUF058", "bsn 123456782"))]
    sink = a_sink(refused=refused)
    outcome = await attempt(sink, a_message(), checkpoint)
    assert outcome == kind("the back-end refuses the message: Fo03 StUF058: niet goed: bsn (number)")
    assert isinstance(await attempt(sink, a_message(), checkpoint), Delivered)
    assert checkpoint.notes == []  # it said that it had not taken it


async def test_a_refusal_without_a_code_is_one_all_the_same(
    back_end: BackEnd, a_sink: MakeSink, checkpoint: MemoryCheckpoint
) -> None:
    back_end.answers = [(500, stuf_fault("Fo03", ""))]
    outcome = await attempt(a_sink(), a_message(), checkpoint)
    assert outcome == Permanent("the back-end refuses the message: Fo03 without a code: niet goed")


NOT_TAKEN = {
    "nothing": (200, b""),
    "accepted without a word": (202, b""),
    "a web page": (200, b"<html/>"),
    "Bv02": (200, soap_answer(confirmation("Bv02", None))),
    "a confirmation with status 500": (500, soap_answer(confirmation("Bv03", None))),
    "a fault of no StUF": (500, soap_answer("<s:Fault><faultstring>stuk</faultstring></s:Fault>")),
    "a DTD": (200, b"<!DOCTYPE a>" + soap_answer(confirmation("Bv03", None)).partition(b"?>")[2]),
    "another namespace": (200, soap_answer(confirmation("Bv03", None)).replace(b"StUF0301", b"StUF0204")),
    "an error": (502, b"Bad Gateway"),
}


@pytest.mark.parametrize("what", NOT_TAKEN)
async def test_no_other_answer_counts_as_taken_over(
    back_end: BackEnd, a_sink: MakeSink, checkpoint: MemoryCheckpoint, what: str
) -> None:
    back_end.answers = [NOT_TAKEN[what]]
    outcome = await attempt(a_sink(), a_message(), checkpoint)
    assert isinstance(outcome, Temporary)
    assert "does not take the message over" in outcome.reason


@pytest.mark.parametrize(
    ("fault", "copies", "notes"),
    [
        (Fault.FAILED_AFTER, 2, 1),
        (Fault.CUT_AFTER, 2, 1),
        (Fault.CUT_HALFWAY, 1, 1),
        (Fault.REFUSED, 1, 1),
    ],
)
async def test_a_message_whose_fate_is_unknown_comes_once_more_and_the_timeline_says_so(
    back_end: BackEnd, a_sink: MakeSink, checkpoint: MemoryCheckpoint, fault: Fault, copies: int, notes: int
) -> None:
    back_end.faults = [fault]
    sink = a_sink()
    assert isinstance(await attempt(sink, a_message(), checkpoint), Temporary)
    assert isinstance(await attempt(sink, a_message(), checkpoint), Delivered)
    assert [one.headers["MessageID"] for one in back_end.messages] == [
        "urn:dkintern:m-1@partner.example"
    ] * copies
    assert [note for note, _ in checkpoint.notes] == [POSSIBLY_REPEATED] * notes


async def test_a_back_end_that_was_not_reached_gets_it_once_without_a_note(
    back_end: BackEnd, a_sink: MakeSink, checkpoint: MemoryCheckpoint
) -> None:
    assert isinstance(await attempt(a_sink(url="http://127.0.0.1:1/"), a_message(), checkpoint), Temporary)
    assert isinstance(await attempt(a_sink(), a_message(), checkpoint), Delivered)
    assert checkpoint.notes == []


@pytest.mark.parametrize(("position", "copies"), [(0, 1), (1, 2)])
@pytest.mark.parametrize("moment", ["before_set", "after_set"])
async def test_a_crash_repeats_the_message_at_most_once(
    back_end: BackEnd,
    a_sink: MakeSink,
    checkpoint: MemoryCheckpoint,
    moment: str,
    position: int,
    copies: int,
) -> None:
    left = position

    def crash() -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise SimulatedCrash

    setattr(checkpoint, moment, crash)
    sink = a_sink()
    with pytest.raises(SimulatedCrash):
        await attempt(sink, a_message(), checkpoint)
    setattr(checkpoint, moment, lambda: None)
    assert isinstance(await attempt(sink, a_message(), checkpoint), Delivered)
    is_known = moment == "after_set" and position == 1
    assert len(back_end.messages) == (1 if is_known else copies)
    is_noted = (moment, position) in {("after_set", 0), ("before_set", 1)}
    assert [note for note, _ in checkpoint.notes] == [POSSIBLY_REPEATED] * is_noted


async def test_what_was_delivered_is_not_sent_again(
    back_end: BackEnd, a_sink: MakeSink, checkpoint: MemoryCheckpoint
) -> None:
    for _ in range(2):
        assert isinstance(await attempt(a_sink(), a_message(), checkpoint), Delivered)
    assert len(back_end.messages) == 1


async def test_a_probe_asks_every_back_end(back_end: BackEnd, a_sink: MakeSink) -> None:
    routes = [{"action": "a", "url": "http://127.0.0.1:1/"}]
    with pytest.raises(SinkProblem, match=r"^routes\[0\].url: ") as told:
        await a_sink(routes=routes).probe()
    assert len(told.value.problems) == 1
    assert back_end.messages == []


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"to": "zaken"}, "to: 'zaken' is not an IRI"),
        ({"from": "urn:a b"}, "from: 'urn:a b' is not an IRI"),
        ({"url": "dai"}, "url: 'dai' is not the address"),
        ({"routes": [{"url": "http://zaken.example/"}]}, r"routes\[0\].url: plain HTTP shows"),
        ({"refused": "drop"}, "refused: "),
        ({"sender": "urn:a"}, "sender: unknown key"),
    ],
)
def test_options_that_cannot_work_are_refused_with_the_fix(changes: dict[str, Any], reason: str) -> None:
    table = {"type": "dai", "url": "https://a.example/", "to": "urn:a", "from": "urn:b", **changes}
    context = make_context(Path("/"), environment=Environment.PROD)
    with pytest.raises(SinkProblem, match=reason):
        make_sink(SINK_TYPES, "intern", table, context)
