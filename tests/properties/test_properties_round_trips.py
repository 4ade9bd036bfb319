# SPDX-License-Identifier: EUPL-1.2

"""What we write and what we read are each other's inverse, whatever is written."""

import json
import tomllib
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from adapter.config import Config, Listen
from adapter.config.load import override
from adapter.delivery.manifest import is_same_delivery, manifest_bytes
from adapter.ebms import (
    Acknowledgment,
    AckRequested,
    EbmsError,
    ErrorCode,
    MessageHeader,
    MultipartParser,
    PartBegin,
    PartData,
    Party,
    SignalAction,
    StatusResponse,
    build_acknowledgment,
    build_business_message,
    build_message_error,
    build_signal,
    build_status_response,
    parse_content_type,
    read_envelope,
    reply_header,
    serialize,
)
from adapter.ebms.packaging import OutgoingPayload, package_message
from adapter.simulator import Applicant, DocumentSpec, Place, VerzoekSpec, make_verzoek, notification_xml
from adapter.verzoek import Doel, VerzoekType, read_notification, read_verzoekbericht
from cpa import PartyId, Profile, Service, SyncReplyMode, agreement_for, parse_cpa, write_cpa
from tests.config.conftest import WHOLE
from tests.cpa.conftest import OUR_OIN, THEIR_OIN, draft, them, us

ROUND_TRIP = settings(max_examples=60, deadline=None)

# What XML can carry and hands back unchanged, but for a CR, which it makes a line feed unless it is written as &#13;
LETTERS = st.characters(exclude_categories=("Cs", "Cc", "Cn", "Co"))
WORDS = st.text(LETTERS, min_size=1, max_size=30).map(str.strip).filter(bool)
MOMENTS = st.datetimes(datetime(1970, 1, 1), datetime(9990, 1, 1), timezones=st.just(UTC)).map(
    lambda moment: moment.replace(microsecond=moment.microsecond // 1000 * 1000)
)
PARTIES = st.builds(
    Party,
    st.lists(st.builds(PartyId, WORDS, WORDS), min_size=1, max_size=3, unique=True).map(tuple),
    st.none() | WORDS,
)
HEADERS = st.builds(
    MessageHeader,
    sender=PARTIES,
    receiver=PARTIES,
    cpa_id=WORDS,
    conversation_id=WORDS,
    service=st.builds(Service, WORDS, WORDS),
    action=WORDS,
    message_id=WORDS,
    timestamp=MOMENTS,
    ref_to_message_id=st.none() | WORDS,
    time_to_live=st.none() | MOMENTS,
    duplicate_elimination=st.booleans(),
)
CONTENT_IDS = st.from_regex(r"[a-z0-9%+=.]{1,20}@[a-z]{1,9}", fullmatch=True)


@ROUND_TRIP
@given(
    HEADERS,
    st.none() | st.builds(AckRequested, st.booleans()),
    st.booleans(),
    st.lists(CONTENT_IDS, max_size=3),
)
def test_a_business_message_is_read_as_it_was_built(
    header: MessageHeader, asked: AckRequested | None, sync: bool, content_ids: list[str]
) -> None:
    root = build_business_message(header, ack_requested=asked, sync_reply=sync, content_ids=content_ids)
    read = read_envelope(serialize(root))
    assert read.header == header
    assert (read.ack_requested.signed if read.ack_requested else None) == (asked.signed if asked else None)
    assert read.sync_reply is sync
    assert len(read.manifest or ()) == len(content_ids)


@ROUND_TRIP
@given(
    HEADERS, st.sampled_from(SignalAction), WORDS, MOMENTS, st.lists(st.sampled_from(ErrorCode), min_size=1)
)
def test_an_answer_is_read_as_it_was_built(
    about: MessageHeader, action: SignalAction, message_id: str, now: datetime, codes: list[ErrorCode]
) -> None:
    header = reply_header(about, action, message_id=message_id, now=now)
    errors = tuple(EbmsError(code, "/x") for code in codes)
    root = {
        SignalAction.ACKNOWLEDGMENT: lambda: build_acknowledgment(
            header, Acknowledgment(now, about.message_id)
        ),
        SignalAction.MESSAGE_ERROR: lambda: build_message_error(header, errors),
        SignalAction.STATUS_RESPONSE: lambda: build_status_response(
            header, StatusResponse(about.message_id, "Processed", now)
        ),
    }.get(action, lambda: build_signal(header))()
    read = read_envelope(serialize(root))
    assert read.header == header
    assert read.header.ref_to_message_id == about.message_id
    if read.error_list is not None:
        assert [error.code for error in read.error_list.errors] == [code.value for code in codes]
    if read.acknowledgment is not None:
        assert read.acknowledgment.ref_to_message_id == about.message_id


@ROUND_TRIP
@given(
    st.lists(
        st.tuples(CONTENT_IDS, st.binary(max_size=300)),
        min_size=1,
        max_size=4,
        unique_by=lambda each: each[0],
    ),
    st.lists(st.integers(1, 60), max_size=60),
)
def test_a_body_is_split_into_what_was_packed(payloads: list[tuple[str, bytes]], sizes: list[int]) -> None:
    def payload(content_id: str, octets: bytes) -> OutgoingPayload:
        return OutgoingPayload(content_id, "application/xml", len(octets), "a.xml", lambda: [octets])

    envelope = b"<a/>"
    body = package_message(
        envelope,
        [payload(*each) for each in payloads],
        start="s@us.example",
    )
    octets = b"".join(body.stream_sync())
    boundary = parse_content_type(dict(body.headers)["Content-Type"]).parameters["boundary"]
    parser, events, at = MultipartParser(boundary.encode()), [], 0
    for size in [*sizes, len(octets)]:
        events += parser.feed(octets[at : at + size])
        at += size
    found: list[tuple[str | None, bytes]] = []
    for event in events + parser.close():
        if isinstance(event, PartBegin):
            found.append((event.headers.content_id, b""))
        elif isinstance(event, PartData):
            found[-1] = found[-1][0], found[-1][1] + event.data
    assert found == [("s@us.example", envelope), *payloads]


@ROUND_TRIP
@given(
    st.sampled_from(Profile),
    st.sampled_from([SyncReplyMode.NONE, SyncReplyMode.MSH_SIGNALS_ONLY]),
    WORDS,
    st.lists(WORDS, min_size=1, max_size=3, unique=True),
    st.integers(0, 20),
    st.integers(60, 86_400).map(lambda seconds: timedelta(seconds=seconds)),
)
def test_a_cpa_is_read_as_it_was_drafted(
    profile: Profile, sync: SyncReplyMode, cpa_id: str, actions: list[str], retries: int, interval: timedelta
) -> None:
    wanted = draft(
        profile,
        cpa_id=cpa_id,
        first_sends=tuple(actions),
        second_sends=(),
        sync_reply=sync if profile.reliable else SyncReplyMode.NONE,
        retries=retries,
        retry_interval=interval,
        persist_duration=interval * (retries + 2),
        first=them(),
        second=us(),
    )
    document = parse_cpa(write_cpa(wanted))
    assert (document.cpa_id, document.start, document.end) == (wanted.cpa_id, wanted.start, wanted.end)
    ours = agreement_for(document, PartyId(OUR_OIN, "urn:osb:oin"))
    theirs = agreement_for(document, PartyId(THEIR_OIN, "urn:osb:oin"))
    for action in actions:
        exchange = ours.received(wanted.service, action)
        assert exchange is not None
        assert exchange == theirs.sent(wanted.service, action)
        assert exchange.profile is profile


VERZOEKEN = st.builds(
    VerzoekSpec,
    verzoeknummer=st.from_regex(r"[0-9]{13}", fullmatch=True),
    bevoegd_gezag=st.just(OUR_OIN),
    volgnummer=st.from_regex(r"[0-9]{3}", fullmatch=True),
    doel=st.sampled_from([doel.value for doel in Doel]),
    type=st.sampled_from([kind.value for kind in VerzoekType]),
    behandeldienst=st.sampled_from([None, THEIR_OIN]),
    documents=st.lists(st.builds(DocumentSpec, WORDS), max_size=3).map(tuple),
    seed=st.integers(0, 10**6),
    naam=WORDS,
    applicant=st.sampled_from(Applicant),
    places=st.lists(st.sampled_from(Place), min_size=1, max_size=2).map(tuple),
    activities=st.integers(1, 3),
)


@ROUND_TRIP
@given(VERZOEKEN)
def test_a_simulated_verzoek_is_read_as_it_was_specified(spec: VerzoekSpec) -> None:
    made = make_verzoek(spec)
    read = read_verzoekbericht(made.xml)
    announced = read_notification(notification_xml(made))
    for each in (read, announced):
        assert (each.verzoeknummer, each.volgnummer) == (spec.verzoeknummer, spec.volgnummer)
        assert (each.doel, each.type) == (spec.doel, spec.type)
    assert announced.uitvoerende_instantie == spec.behandeldienst
    named = {document.document_id: document.bestandsnaam for document in read.documents}
    assert named == {each.document_id: each.spec.bestandsnaam for each in made.documents}
    assert len(read.projectlocaties) == len(spec.places or ())


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=10,
)


@ROUND_TRIP
@given(st.dictionaries(st.text(max_size=10), JSON, max_size=5))
def test_a_manifest_that_was_written_is_of_the_same_delivery(manifest: dict[str, object]) -> None:
    octets = manifest_bytes(manifest)
    assert octets == manifest_bytes(dict(manifest))
    read = json.loads(octets)
    assert read == manifest
    assert is_same_delivery(read, manifest)


@ROUND_TRIP
@given(
    st.integers(1, 10**12),
    st.integers(1, 9 * 10**4),
    st.sampled_from(["ms", "s", "m"]),
    st.integers(0, 65535),
    st.sampled_from(["127.0.0.1", "[::1]", "localhost", "adapter.example"]),
)
def test_a_configuration_says_the_same_in_its_file_and_in_the_environment(
    size: int, number: int, unit: str, port: int, host: str
) -> None:
    values = {"max_message": str(size), "read_timeout": f"{number}{unit}", "listen": f"{host}:{port}"}
    in_file, in_environment = tomllib.loads(WHOLE), tomllib.loads(WHOLE)
    in_file["ebms"] |= values
    override(in_environment, {f"STAM_ADAPTER__EBMS__{name.upper()}": value for name, value in values.items()})
    config = Config.model_validate(in_file)
    assert Config.model_validate(in_environment) == config
    assert config.ebms.max_message == size
    assert config.ebms.listen == Listen.parse(str(config.ebms.listen))
    assert str(config.ebms.listen) == values["listen"]


@ROUND_TRIP
@given(st.text(LETTERS, max_size=50), st.text(LETTERS, max_size=50))
def test_text_of_an_envelope_is_what_was_written_after_another_round(one: str, other: str) -> None:
    """Reading and writing again changes nothing that a signature covers."""
    root = etree.Element("{urn:x}a", {"b": one})
    root.text = other
    once = etree.tostring(root, method="c14n")
    assert etree.tostring(etree.fromstring(serialize(root)), method="c14n") == once
