# SPDX-License-Identifier: EUPL-1.2

"""Envelopes that we build: valid by the schemas, and what Digikoppeling wants of each kind."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from lxml import etree

from adapter.ebms import (
    LOCATION_MESSAGE_HEADER,
    MSH_SERVICE,
    Acknowledgment,
    AckRequested,
    EbmsError,
    ErrorCode,
    FaultCode,
    MessageHeader,
    Party,
    Severity,
    SignalAction,
    SoapFault,
    build_acknowledgment,
    build_business_message,
    build_fault,
    build_message_error,
    build_signal,
    format_moment,
    read_envelope,
    reference_digests,
    refers_to,
    reply_header,
    serialize,
)
from cpa import PartyId
from tests.ebms.envelopes import (
    DS,
    EB,
    NEXT,
    NEXT_MSH,
    NOW,
    OUR_OIN,
    SOAP,
    THEIR_OIN,
    TO_PARTY,
    WIRE,
    XLINK,
    acknowledgment_entry,
    header,
    schema_of,
    signal,
    signal_header,
)

Q = {"SOAP": SOAP, "eb": EB, "ds": DS, "xlink": XLINK}
ERRORS = (
    EbmsError(ErrorCode.MIME_PROBLEM, "cid:p1@them", "the secret detail"),
    EbmsError(ErrorCode.INCONSISTENT, None, "another detail", Severity.WARNING),
)


def received_references() -> tuple[etree._Element, ...]:
    acknowledgment = read_envelope(WIRE["acknowledgment"]).acknowledgment
    assert acknowledgment is not None
    return acknowledgment.references


def reply(action: SignalAction) -> MessageHeader:
    received = read_envelope(WIRE["business"]).header
    return reply_header(received, action, message_id="m2@us", now=NOW)


BUILT: dict[str, Callable[[], etree._Element]] = {
    "business, best effort": lambda: build_business_message(header()),
    "business, all": lambda: build_business_message(
        header(
            ref_to_message_id="m0@them",
            time_to_live=NOW + timedelta(days=2),
            duplicate_elimination=True,
            sender=Party((PartyId("urn:x-us"), PartyId(OUR_OIN, "urn:osb:oin")), "BEVOEGDGEZAG"),
        ),
        ack_requested=AckRequested(signed=True),
        sync_reply=True,
        content_ids=("p1@us", "p2@us"),
    ),
    "acknowledgment": lambda: build_acknowledgment(
        reply(SignalAction.ACKNOWLEDGMENT), Acknowledgment(NOW, "m1@them")
    ),
    "signed acknowledgment": lambda: build_acknowledgment(
        reply(SignalAction.ACKNOWLEDGMENT), Acknowledgment(NOW, "m1@them", received_references())
    ),
    "message error": lambda: build_message_error(reply(SignalAction.MESSAGE_ERROR), ERRORS),
    "ping": lambda: build_signal(signal_header(SignalAction.PING)),
    "pong": lambda: build_signal(reply(SignalAction.PONG)),
}
SIGNALS = [name for name in BUILT if "business" not in name]


@pytest.fixture(scope="session")
def schema(shared: Path) -> etree.XMLSchema:
    return schema_of(shared)


@pytest.fixture(scope="session")
def soap_schema(shared: Path) -> etree.XMLSchema:
    return schema_of(shared, "envelope.xsd")


@pytest.mark.parametrize("name", BUILT)
def test_every_envelope_is_valid_by_both_schemas(
    schema: etree.XMLSchema, soap_schema: etree.XMLSchema, name: str
) -> None:
    document = etree.fromstring(serialize(BUILT[name]()))
    schema.assertValid(document)
    soap_schema.assertValid(document)


@pytest.mark.parametrize("name", BUILT)
def test_every_envelope_is_read_back_without_problems(name: str) -> None:
    octets = serialize(BUILT[name]())
    assert octets.startswith(b"<?xml")
    assert read_envelope(octets).problems == ()


@pytest.mark.parametrize("name", BUILT)
def test_header_entries_must_be_understood_and_have_the_version(name: str) -> None:
    built = BUILT[name]()
    entries = built.findall("SOAP:Header/*", Q)
    assert entries[0].tag == f"{{{EB}}}MessageHeader"
    for entry in entries:
        assert entry.get(f"{{{SOAP}}}mustUnderstand") == "1"
        assert entry.get(f"{{{EB}}}version") == "2.0"


def test_the_children_of_the_header_stand_in_their_order() -> None:
    names = [etree.QName(child).localname for child in BUILT["business, all"]().find("SOAP:Header/*", Q)]
    assert names == [
        "From",
        "To",
        "CPAId",
        "ConversationId",
        "Service",
        "Action",
        "MessageData",
        "DuplicateElimination",
    ]
    data = [etree.QName(child).localname for child in BUILT["business, all"]().find(".//eb:MessageData", Q)]
    assert data == ["MessageId", "Timestamp", "RefToMessageId", "TimeToLive"]


def test_a_business_message_keeps_what_it_was_given() -> None:
    given = header(
        ref_to_message_id="m0@them", time_to_live=NOW + timedelta(days=2), duplicate_elimination=True
    )
    built = build_business_message(given, ack_requested=AckRequested(signed=False), sync_reply=True)
    read = read_envelope(serialize(built))
    assert read.header == given
    assert read.ack_requested == AckRequested(signed=False, actor=TO_PARTY)
    assert read.sync_reply


def test_sync_reply_goes_to_the_next_actor_and_the_request_to_the_to_party() -> None:
    built = BUILT["business, all"]()
    assert built.find(".//eb:SyncReply", Q).get(f"{{{SOAP}}}actor") == NEXT
    assert built.find(".//eb:AckRequested", Q).get(f"{{{SOAP}}}actor") == TO_PARTY


def test_a_manifest_stands_only_where_there_are_payloads() -> None:
    assert build_business_message(header()).find(".//eb:Manifest", Q) is None
    manifest = read_envelope(serialize(BUILT["business, all"]())).manifest
    assert manifest is not None
    assert [reference.href for reference in manifest] == ["cid:p1@us", "cid:p2@us"]


@pytest.mark.parametrize("content_id", ["p1@us", "a%40b", "a b@us", "a<b>&@us", "a+b/c=@us", "\u00e9@us"])
def test_a_content_id_survives_its_url(content_id: str) -> None:
    read = read_envelope(serialize(build_business_message(header(), content_ids=(content_id,))))
    assert read.manifest is not None
    (reference,) = read.manifest
    assert refers_to(reference.href, content_id)
    assert reference.href.isascii()
    assert " " not in reference.href


@pytest.mark.parametrize("name", SIGNALS)
def test_a_signal_has_no_roles_and_no_flags_of_reliable_messaging(name: str) -> None:
    built = BUILT[name]()
    for absent in ("Role", "AckRequested", "DuplicateElimination", "SyncReply", "TimeToLive", "Manifest"):
        assert built.find(f".//eb:{absent}", Q) is None
    service = built.find(".//eb:Service", Q)
    assert (service.text, dict(service.attrib)) == (MSH_SERVICE, {})
    assert len(built.find("SOAP:Body", Q)) == 0


def test_a_reply_swaps_the_parties_and_keeps_agreement_and_conversation() -> None:
    received = read_envelope(WIRE["business"]).header
    answer = reply_header(received, SignalAction.PONG, message_id="m2@us", now=NOW)
    assert answer.sender == Party((PartyId(OUR_OIN, "urn:osb:oin"),))
    assert answer.receiver == Party((PartyId(THEIR_OIN, "urn:osb:oin"),))
    assert (answer.cpa_id, answer.conversation_id) == (received.cpa_id, received.conversation_id)
    assert (answer.message_id, answer.ref_to_message_id) == ("m2@us", "m1@them")
    assert (answer.service.name, answer.service.type, answer.action) == (MSH_SERVICE, None, "Pong")
    assert (answer.timestamp, answer.time_to_live, answer.duplicate_elimination) == (NOW, None, False)


def test_an_acknowledgment_names_the_message_twice_and_who_acknowledges() -> None:
    built = BUILT["acknowledgment"]()
    entry = built.find(".//eb:Acknowledgment", Q)
    assert [etree.QName(child).localname for child in entry] == ["Timestamp", "RefToMessageId", "From"]
    assert entry.findtext("eb:RefToMessageId", namespaces=Q) == "m1@them"
    assert entry.findtext("eb:From/eb:PartyId", namespaces=Q) == OUR_OIN
    assert built.findtext(".//eb:MessageData/eb:RefToMessageId", namespaces=Q) == "m1@them"
    assert entry.get(f"{{{SOAP}}}actor") == TO_PARTY


def test_an_acknowledgment_without_time_has_that_of_its_message() -> None:
    built = build_acknowledgment(reply(SignalAction.ACKNOWLEDGMENT), Acknowledgment(None, "m1@them"))
    assert built.findtext(".//eb:Acknowledgment/eb:Timestamp", namespaces=Q) == format_moment(NOW)


REFERENCE = (
    '<{ds}:Reference xmlns:{ds}="http://www.w3.org/2000/09/xmldsig#" URI=""><{ds}:Transforms>'
    '<{ds}:Transform Algorithm="http://www.w3.org/TR/1999/REC-xpath-19991116">'
    f'<{{ds}}:XPath>not(ancestor-or-self::node()[@{{soap}}:actor="{NEXT_MSH}"])</{{ds}}:XPath></{{ds}}:Transform>'
    '</{ds}:Transforms><{ds}:DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"/>'
    "<{ds}:DigestValue>EPIF0NofXh7fdGStJGE63nPzPg3cwkRm5VvZWeFU0dc=</{ds}:DigestValue></{ds}:Reference>"
)


@pytest.mark.parametrize(
    ("ds", "soap"), [("ds", "SOAP"), ("dsig", "soapenv"), ("x", "SOAP-ENV"), ("eb9", "s")]
)
def test_a_copied_reference_keeps_the_namespaces_of_its_text(ds: str, soap: str) -> None:
    text = REFERENCE.format(ds=ds, soap=soap)
    received = etree.fromstring(f'<root xmlns:{soap}="{SOAP}">{text} tail</root>')
    acknowledgment = Acknowledgment(NOW, "m1@them", (received[0], received[0]))
    built = etree.fromstring(
        serialize(build_acknowledgment(reply(SignalAction.ACKNOWLEDGMENT), acknowledgment))
    )
    xpath = built.find(".//ds:XPath", Q)
    assert xpath.nsmap[soap] == SOAP
    assert f"@{soap}:actor" in xpath.text
    copies = built.findall(".//eb:Acknowledgment/ds:Reference", Q)
    assert [copy.tail for copy in copies] == [None, None]
    assert [digest.digest_value for digest in reference_digests(built.find(".//eb:Acknowledgment", Q))] == [
        digest.digest_value for digest in reference_digests(received)
    ] * 2
    assert len(received) == 1
    assert received[0].tail == " tail"


def test_copying_references_changes_nothing_in_the_received_tree() -> None:
    read = read_envelope(WIRE["acknowledgment"])
    before = etree.tostring(read.root)
    assert read.acknowledgment is not None
    build_acknowledgment(reply(SignalAction.ACKNOWLEDGMENT), read.acknowledgment)
    assert etree.tostring(read.root) == before


def test_a_message_error_has_all_errors_and_no_detail() -> None:
    octets = serialize(BUILT["message error"]())
    assert b"detail" not in octets
    entry = etree.fromstring(octets).find(".//eb:ErrorList", Q)
    assert entry.get(f"{{{EB}}}highestSeverity") == "Error"
    errors = entry.findall("eb:Error", Q)
    assert [error.get(f"{{{EB}}}errorCode") for error in errors] == ["MimeProblem", "Inconsistent"]
    assert [error.get(f"{{{EB}}}severity") for error in errors] == ["Error", "Warning"]
    assert [error.get(f"{{{EB}}}location") for error in errors] == ["cid:p1@them", None]
    context = "urn:oasis:names:tc:ebxml-msg:service:errors"
    assert {error.get(f"{{{EB}}}codeContext") for error in errors} == {context}
    assert errors[0].findtext("eb:Description", namespaces=Q) == "URI resolve error"


def test_a_message_error_of_warnings_is_a_warning() -> None:
    built = build_message_error(reply(SignalAction.MESSAGE_ERROR), ERRORS[1:])
    assert built.find(".//eb:ErrorList", Q).get(f"{{{EB}}}highestSeverity") == "Warning"


def test_a_message_error_without_errors_is_not_built() -> None:
    with pytest.raises(ValueError, match="at least one error"):
        build_message_error(reply(SignalAction.MESSAGE_ERROR), ())


def test_every_code_can_be_reported(schema: etree.XMLSchema) -> None:
    errors = tuple(EbmsError(code, LOCATION_MESSAGE_HEADER) for code in ErrorCode)
    schema.assertValid(build_message_error(reply(SignalAction.MESSAGE_ERROR), errors))


def test_a_hostile_header_cannot_break_out_of_its_answer(schema: etree.XMLSchema) -> None:
    read = read_envelope(
        signal("Ping").replace(b"c1", b"&lt;/eb:ConversationId&gt;&amp;amp;").replace(b"m1@", b"]]&gt;@")
    )
    answer = reply_header(read.header, SignalAction.PONG, message_id="m2@us", now=NOW)
    octets = serialize(build_signal(answer))
    schema.assertValid(etree.fromstring(octets))
    assert read_envelope(octets).header == answer


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (datetime(2026, 6, 1, 12, tzinfo=UTC), "2026-06-01T12:00:00.000Z"),
        (datetime(2026, 6, 1, 12, 0, 0, 999999, tzinfo=UTC), "2026-06-01T12:00:00.999Z"),
        (datetime(2026, 6, 1, 1, tzinfo=timezone(timedelta(hours=2))), "2026-05-31T23:00:00.000Z"),
        (datetime(1, 1, 1, tzinfo=UTC), "0001-01-01T00:00:00.000Z"),
        (datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC), "9999-12-31T23:59:59.000Z"),
    ],
)
def test_a_time_is_written_in_utc_with_z(moment: datetime, text: str) -> None:
    assert format_moment(moment) == text


def test_a_time_without_zone_is_not_written() -> None:
    with pytest.raises(ValueError, match="no time zone"):
        format_moment(datetime(2026, 6, 1, 12))


@pytest.mark.parametrize("build", [build_signal, build_business_message])
def test_a_message_without_time_is_not_built(build: Callable[[MessageHeader], etree._Element]) -> None:
    with pytest.raises(ValueError, match="timestamp"):
        build(header(timestamp=None))


def test_a_local_time_is_sent_as_utc() -> None:
    moment = datetime(2026, 6, 1, 14, tzinfo=timezone(timedelta(hours=2)))
    built = build_business_message(header(timestamp=moment, time_to_live=moment))
    assert built.findtext(".//eb:Timestamp", namespaces=Q) == "2026-06-01T12:00:00.000Z"
    assert built.findtext(".//eb:TimeToLive", namespaces=Q) == "2026-06-01T12:00:00.000Z"


@pytest.mark.parametrize("code", FaultCode)
def test_a_fault_has_the_shape_of_soap_and_only_the_generic_text(
    soap_schema: etree.XMLSchema, code: FaultCode
) -> None:
    octets = build_fault(SoapFault(code, "reason", "Text < for & them", "the secret detail"))
    document = etree.fromstring(octets)
    soap_schema.assertValid(document)
    fault = document.find("SOAP:Body/SOAP:Fault", Q)
    assert [(child.tag, child.text) for child in fault] == [
        ("faultcode", f"SOAP:{code.value}"),
        ("faultstring", "Text < for & them"),
    ]
    assert fault.nsmap["SOAP"] == SOAP
    assert b"secret" not in octets
    assert b"reason" not in octets


def test_an_acknowledgment_that_we_build_is_the_one_of_the_wire() -> None:
    assert acknowledgment_entry("").count("eb:RefToMessageId") == 2
    read = read_envelope(serialize(BUILT["signed acknowledgment"]()))
    assert read.acknowledgment is not None
    assert len(read.acknowledgment.references) == 1
    assert read.signal is SignalAction.ACKNOWLEDGMENT
