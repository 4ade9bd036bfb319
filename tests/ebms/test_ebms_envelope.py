# SPDX-License-Identifier: EUPL-1.2

"""Reading envelopes: what is in them, what is a problem, and what is a SOAP fault."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from lxml import etree

from adapter.ebms import (
    AckRequested,
    Envelope,
    ErrorCode,
    FaultCode,
    ManifestReference,
    ReportedError,
    Severity,
    SignalAction,
    SoapFault,
    read_envelope,
    reference_digests,
)
from cpa import PartyId, Service
from tests.ebms.envelopes import (
    ACK_REQUESTED,
    CPA_ID,
    EB,
    MANIFEST,
    MESSAGE_ORDER,
    MUST,
    NEXT,
    NEXT_MSH,
    OUR_OIN,
    RICH,
    SOAP,
    SYNC_REPLY,
    THEIR_OIN,
    TO_PARTY,
    WIRE,
    acknowledgment_entry,
    changed,
    envelope,
    error,
    error_list,
    message,
    signal,
)

CORPUS = WIRE | RICH


def fault_of(data: bytes) -> SoapFault:
    with pytest.raises(SoapFault) as caught:
        read_envelope(data)
    return caught.value


def problem_of(data: bytes) -> tuple[ErrorCode, str | None]:
    (problem,) = read_envelope(data).problems
    return problem.code, problem.location


# --- the messages of the wire


def test_a_business_message_is_read() -> None:
    read = read_envelope(WIRE["business"])
    header = read.header
    assert (header.sender.party_ids, header.sender.role) == ((PartyId(THEIR_OIN, "urn:osb:oin"),), "LOKET")
    assert (header.receiver.party_ids, header.receiver.role) == (
        (PartyId(OUR_OIN, "urn:osb:oin"),),
        "BEVOEGDGEZAG",
    )
    assert (header.cpa_id, header.conversation_id, header.action) == (CPA_ID, "c1", "aanleverenMelding")
    assert header.service == Service("demo:melding:1.0", "urn:osb:services")
    assert (header.message_id, header.ref_to_message_id) == ("m1@them", None)
    assert header.timestamp == datetime(2026, 6, 1, 12, tzinfo=UTC)
    assert header.duplicate_elimination
    assert read.ack_requested == AckRequested(signed=True, actor=TO_PARTY)
    assert read.manifest == (ManifestReference("cid:p1@them"), ManifestReference("cid:p2@them"))
    assert (read.is_business, read.signal, read.problems) == (True, None, ())
    assert (read.sync_reply, read.message_order, read.next_ack_requested) == (False, False, False)


@pytest.mark.parametrize(
    ("name", "action"),
    [
        ("acknowledgment", SignalAction.ACKNOWLEDGMENT),
        ("message-error", SignalAction.MESSAGE_ERROR),
        ("ping", SignalAction.PING),
        ("pong", SignalAction.PONG),
        ("status-request", SignalAction.STATUS_REQUEST),
        ("status-response", SignalAction.STATUS_RESPONSE),
    ],
)
def test_a_signal_is_read_without_problems(name: str, action: SignalAction) -> None:
    read = read_envelope(WIRE[name])
    assert (read.signal, read.is_business, read.problems) == (action, False, ())
    assert (read.manifest, read.ack_requested, read.header.sender.role) == (None, None, None)
    assert (read.acknowledgment is not None) == (action is SignalAction.ACKNOWLEDGMENT)
    assert (read.error_list is not None) == (action is SignalAction.MESSAGE_ERROR)
    assert read.status_request == ("m0@us" if action is SignalAction.STATUS_REQUEST else None)
    answered = read.status_response.ref_to_message_id if read.status_response is not None else None
    assert answered == ("m0@us" if action is SignalAction.STATUS_RESPONSE else None)


def test_an_acknowledgment_is_read_with_its_references() -> None:
    acknowledgment = read_envelope(WIRE["acknowledgment"]).acknowledgment
    assert acknowledgment is not None
    assert acknowledgment.ref_to_message_id == "m0@us"
    assert acknowledgment.timestamp == datetime(2026, 6, 1, 12, tzinfo=UTC)
    assert [reference.get("URI") for reference in acknowledgment.references] == ["cid:p1@them"]
    parent = acknowledgment.references[0].getparent()
    assert parent is not None
    assert [digest.uri for digest in reference_digests(parent)] == ["cid:p1@them"]


def test_an_error_list_is_read_with_errors_and_warnings() -> None:
    errors = error_list(
        error("MimeProblem", "Error", 'eb:location="cid:p1@them" eb:codeContext="urn:x-context"'),
        error("Inconsistent", "Warning"),
    )
    read = read_envelope(signal("MessageError", errors)).error_list
    assert read is not None
    assert read.highest_severity is Severity.ERROR
    standard = "urn:oasis:names:tc:ebxml-msg:service:errors"
    assert read.errors == (
        ReportedError("MimeProblem", Severity.ERROR, "cid:p1@them", "Something", "urn:x-context"),
        ReportedError("Inconsistent", Severity.WARNING, None, "Something", standard),
    )


def test_what_is_not_plainly_a_warning_counts_as_an_error() -> None:
    data = signal("MessageError", error_list(error("MimeProblem", "Waarschuwing"), highest="warning"))
    read = read_envelope(data)
    assert read.error_list is not None
    assert read.error_list.highest_severity is Severity.ERROR
    assert read.error_list.errors[0].severity is Severity.ERROR
    assert {problem.code for problem in read.problems} == {ErrorCode.OTHER_XML}


def test_several_party_ids_are_all_read() -> None:
    header = read_envelope(RICH["every option of a business message"]).header
    assert header.sender.party_ids == (PartyId("urn:x-them"), PartyId(THEIR_OIN, "urn:osb:oin"))


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-06-01T12:00:00Z", datetime(2026, 6, 1, 12, tzinfo=UTC)),
        ("2026-06-01T12:00:00", datetime(2026, 6, 1, 12, tzinfo=UTC)),
        ("2026-06-01T14:00:00+02:00", datetime(2026, 6, 1, 12, tzinfo=UTC)),
        ("2026-06-01T12:00:00.5Z", datetime(2026, 6, 1, 12, 0, 0, 500000, tzinfo=UTC)),
        ("2026-06-01T12:00:00.1234567Z", datetime(2026, 6, 1, 12, 0, 0, 123456, tzinfo=UTC)),
        ("2026-06-01T12:00:00.123456789Z", datetime(2026, 6, 1, 12, 0, 0, 123456, tzinfo=UTC)),
        ("2026-06-01T24:00:00Z", datetime(2026, 6, 2, tzinfo=UTC)),
    ],
)
def test_a_timestamp_may_have_each_form_of_the_schema(text: str, moment: datetime) -> None:
    read = read_envelope(changed(WIRE["ping"], ("2026-06-01T12:00:00Z", text)))
    assert (read.header.timestamp, read.problems) == (moment, ())


@pytest.mark.parametrize(
    "text", ["gisteren", "2026-06-01", "2026-13-01T00:00:00Z", "2026-06-01T24:00:01Z", ""]
)
def test_a_timestamp_that_is_no_time_is_a_problem_and_not_a_fault(text: str) -> None:
    data = changed(WIRE["ping"], ("2026-06-01T12:00:00Z", text))
    assert read_envelope(data).header.timestamp is None
    location = "/SOAP:Envelope/SOAP:Header/eb:MessageHeader/eb:MessageData/eb:Timestamp"
    assert problem_of(data) == (ErrorCode.OTHER_XML, location)


def test_any_message_id_that_is_not_too_long_is_taken_as_it_is() -> None:
    assert read_envelope(message(message_id=" abc ")).header.message_id == " abc "
    assert read_envelope(message(message_id="a" * 1024)).header.message_id == "a" * 1024


def test_descriptions_and_foreign_elements_are_no_problem_and_stay_in_the_tree() -> None:
    read = read_envelope(RICH["every option of a business message"])
    assert read.problems == ()
    assert read.root.find(".//{urn:x-extra}deep") is not None


# --- acknowledgments asked for


@pytest.mark.parametrize("actor", [None, TO_PARTY, f" {TO_PARTY} ", ""])
def test_a_request_without_actor_is_for_the_to_party(actor: str | None) -> None:
    attribute = "" if actor is None else f'SOAP:actor="{actor}"'
    read = read_envelope(message(f'<eb:AckRequested {MUST} {attribute} eb:signed="0"/>'))
    assert read.ack_requested is not None
    assert not read.ack_requested.signed
    assert not read.next_ack_requested


@pytest.mark.parametrize("actor", [NEXT_MSH, NEXT, f"\n{NEXT_MSH} "])
def test_a_request_to_the_next_msh_is_not_one_to_us(actor: str) -> None:
    read = read_envelope(message(f'<eb:AckRequested {MUST} SOAP:actor="{actor}" eb:signed="true"/>'))
    assert read.ack_requested is None
    assert read.next_ack_requested


def test_a_request_to_somebody_else_is_ignored() -> None:
    read = read_envelope(message(f'<eb:AckRequested {MUST} SOAP:actor="urn:x-else" eb:signed="true"/>'))
    assert (read.ack_requested, read.next_ack_requested, read.problems) == (None, False, ())


def test_requests_to_both_the_next_msh_and_the_to_party_are_told_apart() -> None:
    other = f'<eb:AckRequested {MUST} SOAP:actor="{NEXT_MSH}" eb:signed="false"/>'
    for entries in (other + ACK_REQUESTED, ACK_REQUESTED + other):
        read = read_envelope(message(entries))
        assert read.ack_requested == AckRequested(signed=True, actor=TO_PARTY)
        assert read.next_ack_requested
        assert read.problems == ()


def test_two_requests_to_the_to_party_are_a_problem() -> None:
    twice = ACK_REQUESTED + f'<eb:AckRequested {MUST} eb:signed="false"/>'
    assert problem_of(message(twice)) == (ErrorCode.OTHER_XML, "/SOAP:Envelope/SOAP:Header/eb:AckRequested")


def test_sync_reply_and_message_order_are_seen() -> None:
    read = read_envelope(message(ACK_REQUESTED + SYNC_REPLY + MESSAGE_ORDER))
    assert read.sync_reply
    assert read.message_order
    assert read.problems == ()


# --- problems


def test_two_message_headers_are_a_problem() -> None:
    data = WIRE["ping"]
    start, end = data.index(b"<eb:MessageHeader"), data.index(b"</SOAP:Header>")
    other = changed(data[start:end], ("<eb:Action>Ping", "<eb:Action>Pong"))
    twice = data[:end] + other + data[end:]
    assert problem_of(twice) == (ErrorCode.OTHER_XML, "/SOAP:Envelope/SOAP:Header/eb:MessageHeader")
    assert read_envelope(twice).signal is SignalAction.PING


@pytest.mark.parametrize(
    ("data", "location"),
    [
        (message(MANIFEST), "/SOAP:Envelope/SOAP:Header/eb:Manifest"),
        (message(body=ACK_REQUESTED), "/SOAP:Envelope/SOAP:Body/eb:AckRequested"),
        (message(body=MANIFEST * 2), "/SOAP:Envelope/SOAP:Body/eb:Manifest"),
        (
            message('<eb:Via SOAP:mustUnderstand="0" eb:version="2.0"/>'),
            "/SOAP:Envelope/SOAP:Header/eb:Via",
        ),
        (
            signal("Acknowledgment", acknowledgment_entry("") * 2),
            "/SOAP:Envelope/SOAP:Header/eb:Acknowledgment",
        ),
    ],
)
def test_an_element_in_a_wrong_place_or_too_often_is_a_problem(data: bytes, location: str) -> None:
    assert problem_of(data) == (ErrorCode.OTHER_XML, location)


@pytest.mark.parametrize("version", ["1.0", "2.00", "3.0", " 2.0"])
def test_another_version_is_not_supported(version: str) -> None:
    request = ACK_REQUESTED.replace("2.0", version)
    assert problem_of(message(request)) == (ErrorCode.NOT_SUPPORTED, "//eb:AckRequested/@eb:version")


def test_an_address_or_schema_hint_of_another_tool_is_no_problem() -> None:
    hint = 'xmlns:i="http://www.w3.org/2001/XMLSchema-instance" i:schemaLocation="urn:x urn:y"'
    data = changed(
        WIRE["business"], ("<eb:MessageHeader ", f"<eb:MessageHeader {hint} "), ("<eb:To>", f"<eb:To {hint}>")
    )
    assert read_envelope(data).problems == ()


def test_a_comment_does_not_hide_part_of_a_value() -> None:
    data = changed(
        WIRE["business"],
        (CPA_ID, f"{CPA_ID[:4]}<!-- x -->{CPA_ID[4:]}"),
        ("<eb:Action>aanleveren", "<eb:Action><!-- x -->aan<![CDATA[leveren]]>"),
        (THEIR_OIN, f"{THEIR_OIN[:9]}<!---->{THEIR_OIN[9:]}"),
    )
    assert read_envelope(data).header == read_envelope(WIRE["business"]).header


# --- faults


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"hello",
        b"<a>",
        b"%PDF-1.4",
        b"\0\0\0\0",
        WIRE["ping"][:-1],
        WIRE["ping"] + b"<more/>",
        WIRE["ping"].replace(b"c1", b"c\x00"),
        WIRE["ping"].replace(b"c1", b"c\xff"),
        WIRE["ping"].replace(b"c1", b"&undefined;"),
        WIRE["ping"].replace(b'encoding="UTF-8"', b'encoding="nonsense"'),
    ],
)
def test_what_is_not_xml_is_a_fault(data: bytes) -> None:
    fault = fault_of(data)
    assert (fault.code, fault.reason) == (FaultCode.CLIENT, "xml")


DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'


@pytest.mark.parametrize(
    "declared",
    [
        "<!DOCTYPE a>",
        '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>',
        '<!DOCTYPE a SYSTEM "http://127.0.0.1:9/evil.dtd">',
        '<!DOCTYPE a [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;">]>',
        '<!DOCTYPE a [<!ENTITY % p SYSTEM "file:///etc/passwd"> %p;]>',
    ],
)
@pytest.mark.parametrize("text", ["c1", "&x;", "&c;"])
def test_a_document_type_with_or_without_entities_is_a_fault(declared: str, text: str) -> None:
    data = changed(
        WIRE["ping"],
        (DECLARATION, DECLARATION + declared),
        ("<eb:ConversationId>c1", f"<eb:ConversationId>{text}"),
    )
    fault = fault_of(data)
    assert (fault.code, fault.reason) == (FaultCode.CLIENT, "xml")
    assert "root:" not in fault.text + fault.detail


@pytest.mark.parametrize(
    "data",
    [
        changed(WIRE["ping"], (DECLARATION, DECLARATION + '<?xml-stylesheet href="a"?>')),
        changed(WIRE["ping"], ("<SOAP:Body>", "<?php x?><SOAP:Body>")),
        changed(WIRE["ping"], ("<eb:Action>Ping", "<eb:Action>Pi<?x?>ng")),
        WIRE["ping"] + b"<?after x?>",
    ],
)
def test_a_processing_instruction_anywhere_is_a_fault(data: bytes) -> None:
    assert fault_of(data).reason == "xml"


@pytest.mark.parametrize(
    "data",
    [
        changed(WIRE["ping"], ("UTF-8", "ISO-8859-1")),
        changed(WIRE["ping"], ("UTF-8", "UTF-16")).decode().encode("utf-16"),
        changed(WIRE["ping"], (DECLARATION, "")).decode().encode("utf-16"),
        changed(WIRE["ping"], (DECLARATION, "")).decode().encode("utf-16-le"),
        changed(WIRE["ping"], (DECLARATION, "")).decode().encode("utf-32"),
    ],
)
def test_another_encoding_than_utf_8_is_a_fault(data: bytes) -> None:
    fault = fault_of(data)
    assert fault.code is FaultCode.CLIENT
    assert fault.reason in {"charset", "xml"}


@pytest.mark.parametrize(
    "data",
    [
        WIRE["ping"].replace(b"UTF-8", b"utf-8"),
        changed(WIRE["ping"], (DECLARATION, "")),
        b"\xef\xbb\xbf" + WIRE["ping"],
        changed(WIRE["ping"], ("<eb:ConversationId>c1", "<eb:ConversationId>caf\u00e9")),
    ],
)
def test_utf_8_is_read_however_it_is_declared(data: bytes) -> None:
    assert read_envelope(data).signal is SignalAction.PING


@pytest.mark.parametrize("namespace", ["http://www.w3.org/2003/05/soap-envelope", "urn:x-other"])
def test_another_soap_version_is_a_version_mismatch(namespace: str) -> None:
    fault = fault_of(changed(WIRE["ping"], (SOAP, namespace)))
    assert (fault.code, fault.reason) == (FaultCode.VERSION_MISMATCH, "soap_version")


@pytest.mark.parametrize(
    "data",
    [
        b"<Envelop/>",
        f'<Body xmlns="{SOAP}"/>'.encode(),
        f'<Envelope xmlns="{SOAP}"/>'.encode(),
        f'<Envelope xmlns="{SOAP}"><Header/></Envelope>'.encode(),
        f'<Envelope xmlns="{SOAP}"><Body/></Envelope>'.encode(),
        f'<Envelope xmlns="{SOAP}"><Body/><Header/></Envelope>'.encode(),
        f'<Envelope xmlns="{SOAP}"><Header/><Header/><Body/></Envelope>'.encode(),
        f'<Envelope xmlns="{SOAP}"><Header/><Body/><Body/></Envelope>'.encode(),
        f'<Envelope xmlns="{SOAP}"><Header/><x:a xmlns:x="urn:x"/><Body/></Envelope>'.encode(),
    ],
)
def test_what_is_not_one_header_and_then_one_body_is_a_fault(data: bytes) -> None:
    fault = fault_of(data)
    assert (fault.code, fault.reason) == (FaultCode.CLIENT, "not_soap")


@pytest.mark.parametrize(
    "data",
    [
        envelope(""),
        envelope(ACK_REQUESTED),
        envelope("", WIRE["ping"].partition(b"<SOAP:Header>")[2].partition(b"</SOAP:Header>")[0].decode()),
        envelope(f"<eb:MessageHeader {MUST}/>"),
        *(
            changed(WIRE["business"], (f"<eb:{name}", f"<eb:x{name}"), (f"</eb:{name}>", f"</eb:x{name}>"))
            for name in ("From", "To", "PartyId", "CPAId", "ConversationId", "Service", "Action", "MessageId")
        ),
        changed(WIRE["business"], (CPA_ID, "")),
        changed(WIRE["business"], (THEIR_OIN, "")),
        changed(WIRE["business"], (THEIR_OIN, "<!-- -->")),
    ],
)
def test_a_header_that_cannot_be_used_is_a_fault(data: bytes) -> None:
    fault = fault_of(data)
    assert (fault.code, fault.reason) == (FaultCode.CLIENT, "header")
    assert "eb:" in fault.detail


@pytest.mark.parametrize("text", [CPA_ID, THEIR_OIN, "m1@them", "<eb:ConversationId>c1", "demo:melding:1.0"])
def test_a_text_too_long_to_be_a_key_is_a_fault(text: str) -> None:
    fault = fault_of(changed(WIRE["business"], (text, text + "x" * 2000)))
    assert (fault.code, fault.reason) == (FaultCode.CLIENT, "header")
    assert "1024" in fault.detail
    assert len(fault.detail) < 200


UNKNOWN = '<x:Unknown xmlns:x="urn:x-unknown" SOAP:mustUnderstand="{}" {}/>'


@pytest.mark.parametrize("must", ["1", "true", " 1 "])
@pytest.mark.parametrize("actor", [None, "", NEXT, NEXT_MSH, TO_PARTY, f" {TO_PARTY} "])
def test_an_unknown_header_for_us_that_must_be_understood_is_a_fault(must: str, actor: str | None) -> None:
    attribute = "" if actor is None else f'SOAP:actor="{actor}"'
    fault = fault_of(message(UNKNOWN.format(must, attribute)))
    assert (fault.code, fault.reason) == (FaultCode.MUST_UNDERSTAND, "must_understand")
    assert "urn:x-unknown" in fault.detail
    assert "urn:x-unknown" not in fault.text


@pytest.mark.parametrize(
    ("must", "actor"), [("0", TO_PARTY), ("false", NEXT), ("1", "urn:x-somebody-else"), ("", TO_PARTY)]
)
def test_an_unknown_header_for_another_or_without_must_is_ignored(must: str, actor: str) -> None:
    read = read_envelope(message(ACK_REQUESTED + UNKNOWN.format(must, f'SOAP:actor="{actor}"')))
    assert read.problems == ()
    assert read.root.find(".//{urn:x-unknown}Unknown") is not None


def test_an_unknown_header_is_reported_before_a_missing_message_header() -> None:
    assert fault_of(envelope(UNKNOWN.format("1", ""))).code is FaultCode.MUST_UNDERSTAND


def test_deep_nesting_is_a_fault() -> None:
    def nested(depth: int) -> bytes:
        return message(ACK_REQUESTED + '<x xmlns="urn:x">' * depth + "</x>" * depth)

    assert read_envelope(nested(40)).problems == ()
    assert fault_of(nested(60)).reason == "xml"
    assert fault_of(nested(100_000)).reason == "xml"


def test_a_flood_of_elements_is_a_fault() -> None:
    flood = '<eb:Manifest eb:version="2.0">' + '<eb:Reference xlink:href="a"/>' * 10_000 + "</eb:Manifest>"
    assert fault_of(message(body=flood)).reason == "envelope_size"


def test_a_flood_of_attributes_is_a_fault() -> None:
    attributes = " ".join(f'a{number}=""' for number in range(1000))
    assert fault_of(message(f'<x xmlns="urn:x" {attributes}/>')).reason == "xml"


# --- hostile input


def read_or_fault(data: bytes) -> None:
    """Each reading ends in an Envelope or a SoapFault; any other exception fails the test."""
    try:
        read = read_envelope(data)
    except SoapFault as fault:
        assert fault.text  # noqa: PT017
        return
    assert isinstance(read, Envelope)
    assert len(read.problems) <= 50
    assert (read.header.message_id, read.header.cpa_id) != ("", "")
    for problem in read.problems:
        etree.Element("a").text = problem.location  # can be written into an answer


@settings(max_examples=500, deadline=None)
@given(
    st.sampled_from(sorted(CORPUS)),
    st.lists(
        st.tuples(st.integers(0, 5000), st.integers(0, 40), st.binary(max_size=12)), min_size=1, max_size=4
    ),
)
@example("ping", [(0, 5000, b"")])
def test_changed_octets_end_in_an_envelope_or_a_fault(name: str, edits: list[tuple[int, int, bytes]]) -> None:
    data = CORPUS[name]
    for position, length, octets in edits:
        start = position % (len(data) + 1)
        data = data[:start] + octets + data[start + length :]
    read_or_fault(data)


FRAGMENTS = st.sampled_from(
    [
        "<",
        ">",
        "&",
        "&#0;",
        "&#x10FFFF;",
        "&lt;",
        "<!--",
        "-->",
        "<![CDATA[",
        "]]>",
        "<?x y?>",
        "<!DOCTYPE a>",
        "</eb:To>",
        "<eb:Error/>",
        "<eb:MessageHeader/>",
        "<eb:Reference/>",
        "<SOAP:Header/>",
        "<SOAP:Body/>",
        "<a/>",
        "<x:a/>",
        ' a="b"',
        ' eb:version="9"',
        ' xmlns=""',
        f' xmlns="{EB}"',
        ' xmlns:eb="urn:x"',
        ' SOAP:actor="x"',
        ' eb:id="a"',
        "\u2028",
        "{}",
        "\ufffe",
        "http://[",
        "9" * 400,
    ]
)


@settings(max_examples=500, deadline=None)
@given(
    st.sampled_from(sorted(CORPUS)),
    st.lists(st.tuples(st.integers(0, 3000), FRAGMENTS), min_size=1, max_size=4),
)
def test_markup_put_anywhere_ends_in_an_envelope_or_a_fault(name: str, edits: list[tuple[int, str]]) -> None:
    text = CORPUS[name].decode()
    for position, fragment in edits:
        start = position % (len(text) + 1)
        text = text[:start] + fragment + text[start:]
    read_or_fault(text.encode())


def _remove(element: etree._Element, _: etree._Element) -> None:
    parent = element.getparent()
    if parent is not None:
        parent.remove(element)


def _move(element: etree._Element, to: etree._Element) -> None:
    if element not in to.iterancestors() and element is not to:
        to.append(element)


def _rename(element: etree._Element, to: etree._Element) -> None:
    element.tag = to.tag


def _take_text(element: etree._Element, to: etree._Element) -> None:
    element.text, element.tail = to.tail, to.text


def _take_attributes(element: etree._Element, to: etree._Element) -> None:
    element.attrib.update(to.attrib)


def _forget_attributes(element: etree._Element, _: etree._Element) -> None:
    element.attrib.clear()


TREE_CHANGES: tuple[Callable[[etree._Element, etree._Element], None], ...] = (
    _remove,
    _move,
    _rename,
    _take_text,
    _take_attributes,
    _forget_attributes,
)


@settings(max_examples=500, deadline=None)
@given(
    st.sampled_from(sorted(CORPUS)),
    st.lists(
        st.tuples(st.integers(0, 99), st.integers(0, 99), st.sampled_from(TREE_CHANGES)),
        min_size=1,
        max_size=6,
    ),
)
def test_changed_trees_end_in_an_envelope_or_a_fault(
    name: str, edits: list[tuple[int, int, Callable[[etree._Element, etree._Element], None]]]
) -> None:
    root = etree.fromstring(CORPUS[name])
    for one, other, change in edits:
        elements = list(root.iter("*"))
        change(elements[one % len(elements)], elements[other % len(elements)])
    read_or_fault(etree.tostring(root))


@given(st.binary(max_size=200))
def test_arbitrary_octets_end_in_a_fault(data: bytes) -> None:
    fault_of(data)
