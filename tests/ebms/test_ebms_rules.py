# SPDX-License-Identifier: EUPL-1.2

"""The rules of a received message, each on its good and its bad side."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from adapter.ebms import (
    FIRST_TIME_RULES,
    HEADER_RULES,
    MSH_SERVICE,
    SKEW,
    Case,
    EbmsError,
    Envelope,
    ErrorCode,
    ReceivedPart,
    Severity,
    Strictness,
    check_manifest,
    check_parties,
    find_exchange,
    judge,
    read_envelope,
    refers_to,
)
from adapter.ebms.rules import (
    check_agreement_active,
    check_certificate_window,
    check_message_order,
    check_next_msh,
    check_reliability_flags,
    check_signed_acknowledgment,
    check_size,
    check_structure_noted,
    check_sync_reply,
    check_time_to_live,
    check_timestamp,
)
from cpa import (
    Agreement,
    CpaStatus,
    Exchange,
    Frequency,
    Profile,
    SyncReplyMode,
    agreement_for,
    format_datetime,
    parse_cpa,
    write_cpa,
)
from tests.cpa.conftest import draft
from tests.ebms.envelopes import (
    ACK_REQUESTED,
    MANIFEST,
    MESSAGE_ORDER,
    MUST,
    NEXT_MSH,
    NOW,
    OUR_OIN,
    STATUS_REQUEST,
    STATUS_RESPONSE,
    SYNC_REPLY,
    THEIR_OIN,
    WIRE,
    acknowledgment_entry,
    changed,
    error,
    error_list,
    message,
    party,
    signal,
)

HEADER = "/SOAP:Envelope/SOAP:Header"
MESSAGE_HEADER = f"{HEADER}/eb:MessageHeader"
SECOND = timedelta(seconds=1)
LENIENT = Strictness(lenient=True)
STRICT = Strictness(strict=True)
UNSIGNED_REQUEST = ACK_REQUESTED.replace('signed="true"', 'signed="false"')
NEXT_REQUEST = f'<eb:AckRequested {MUST} SOAP:actor="{NEXT_MSH}" eb:signed="false"/>'


def agreement(profile: Profile = Profile.OSB_RM_S, **changes: object) -> Agreement:
    """Our agreement, in which they send `aanleverenMelding` and `intrekkenMelding` to us."""
    return agreement_for(parse_cpa(write_cpa(draft(profile, **changes))), OUR_OIN)


RM_S = agreement()
BE = agreement(Profile.OSB_BE)
SYNC = agreement(sync_reply=SyncReplyMode.MSH_SIGNALS_ONLY)


def exchange_of(envelope: Envelope, agreed: Agreement) -> Exchange:
    found = find_exchange(envelope, agreed)
    assert isinstance(found, Exchange), found
    return found


def case(data: bytes = WIRE["business"], agreed: Agreement = RM_S, **changes: object) -> Case:
    envelope = read_envelope(data)
    fields: dict[str, object] = {
        "envelope": envelope,
        "agreement": agreed,
        "exchange": exchange_of(envelope, agreed),
        "parts": (part("p1@them"), part("p2@them")),
        "strictness": Strictness(),
        "now": NOW,
    }
    return Case(**(fields | changes))  # type: ignore[arg-type]


def part(content_id: str, size: int = 10, problem: str | None = None) -> ReceivedPart:
    return ReceivedPart(content_id, "application/xml", size, problem)


def per_message(one: Case) -> Case:
    """The case with a channel that leaves the flags of reliable messaging to each message."""
    channel = one.exchange.sender_channel
    characteristics = replace(
        channel.characteristics,
        ack_requested=Frequency.PER_MESSAGE,
        ack_signature_requested=Frequency.PER_MESSAGE,
        duplicate_elimination=Frequency.PER_MESSAGE,
    )
    changed_channel = replace(channel, characteristics=characteristics)
    return replace(one, exchange=replace(one.exchange, sender_channel=changed_channel))


def found(errors: object) -> list[tuple[ErrorCode, str | None, Severity]]:
    return [(e.code, e.location, e.severity) for e in errors]  # type: ignore[attr-defined]


def assert_refused(result: object, code: ErrorCode, location: str) -> None:
    assert isinstance(result, EbmsError), result
    assert (result.code, result.location, result.severity) == (code, location, Severity.ERROR)
    assert result.detail


# --- the rules as a whole


def test_the_header_rules_stand_in_the_order_of_the_algorithm() -> None:
    assert (
        check_structure_noted,
        check_message_order,
        check_sync_reply,
        check_next_msh,
        check_reliability_flags,
        check_signed_acknowledgment,
    ) == HEADER_RULES


def test_the_first_time_rules_stand_in_the_order_of_the_algorithm() -> None:
    assert (
        check_agreement_active,
        check_certificate_window,
        check_time_to_live,
        check_timestamp,
        check_manifest,
        check_size,
    ) == FIRST_TIME_RULES


def test_a_good_message_satisfies_all_rules() -> None:
    window = (NOW - timedelta(days=1), NOW + timedelta(days=1))
    good = case(certificate_window=window)
    assert judge(good, HEADER_RULES + FIRST_TIME_RULES) == ()


@pytest.mark.parametrize("name", [name for name in WIRE if name != "business"])
def test_a_good_signal_satisfies_all_rules(name: str) -> None:
    assert judge(case(WIRE[name], parts=()), HEADER_RULES + FIRST_TIME_RULES) == ()


def test_all_that_is_wrong_is_found_in_the_order_of_the_rules() -> None:
    data = message(
        ACK_REQUESTED.replace("2.0", "1.0") + SYNC_REPLY + MESSAGE_ORDER + NEXT_REQUEST,
        MANIFEST,
        data="<eb:Timestamp>2031-01-01T00:00:00Z</eb:Timestamp><eb:TimeToLive>2020-01-01T00:00:00Z</eb:TimeToLive>",
        after="",
    )
    wrong = case(
        data,
        parts=(part("p1@them", 20),),
        strictness=Strictness(strict=True, max_message=10),
        now=datetime(2030, 1, 1, tzinfo=UTC),
        certificate_window=(NOW, NOW),
    )
    assert [error.location for error in judge(wrong, HEADER_RULES + FIRST_TIME_RULES)] == [
        "//eb:AckRequested/@eb:version",
        f"{HEADER}/eb:MessageOrder",
        f"{HEADER}/eb:SyncReply",
        f"{HEADER}/eb:AckRequested/@SOAP:actor",
        f"{MESSAGE_HEADER}/eb:DuplicateElimination",
        f"{MESSAGE_HEADER}/eb:CPAId",
        f"{HEADER}/ds:Signature",
        f"{MESSAGE_HEADER}/eb:MessageData/eb:TimeToLive",
        f"{MESSAGE_HEADER}/eb:MessageData/eb:Timestamp",
        "cid:p2@them",
        "/SOAP:Envelope/SOAP:Body/eb:Manifest",
    ]


# --- step 14: parties


def test_the_parties_of_the_agreement_fit() -> None:
    assert check_parties(read_envelope(WIRE["business"]), RM_S) is None


@pytest.mark.parametrize("name", ["From", "To"])
def test_one_of_several_party_ids_is_enough(name: str) -> None:
    oin = THEIR_OIN if name == "From" else OUR_OIN
    more = f'<eb:{name}><eb:PartyId eb:type="urn:x-scheme">other</eb:PartyId><eb:PartyId>urn:x-other</eb:PartyId>'
    data = changed(WIRE["business"], (f"<eb:{name}>", more))
    assert oin.encode() in data
    assert check_parties(read_envelope(data), RM_S) is None


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (message(receiver=party("To", THEIR_OIN)), "To"),
        (message(sender=party("From", OUR_OIN)), "From"),
        (message(sender=party("From", OUR_OIN), receiver=party("To", THEIR_OIN)), "To"),
        (message(sender=party("From", "00000009000000000000")), "From"),
        (changed(WIRE["business"], (THEIR_OIN, f" {THEIR_OIN}")), "From"),
        (changed(WIRE["business"], ("urn:osb:oin", "urn:osb:OIN")), "To"),
        (changed(WIRE["business"], (' eb:type="urn:osb:oin"', "")), "To"),
    ],
    ids=["to them", "from us", "reversed", "stranger", "padded", "other type", "no type"],
)
def test_other_parties_are_inconsistent(data: bytes, name: str) -> None:
    result = check_parties(read_envelope(data), RM_S)
    assert_refused(result, ErrorCode.INCONSISTENT, f"{MESSAGE_HEADER}/eb:{name}/eb:PartyId")


@pytest.mark.parametrize("value", ["plain", "http", ":x", "1a:b", "//host", "a b:c", "\u00e9:b", "x:"])
def test_a_party_id_without_type_must_be_a_uri(value: str) -> None:
    data = changed(WIRE["business"], ("<eb:To>", f"<eb:To><eb:PartyId>{value}</eb:PartyId>"))
    result = check_parties(read_envelope(data), RM_S)
    assert_refused(result, ErrorCode.INCONSISTENT, f"{MESSAGE_HEADER}/eb:To/eb:PartyId")
    assert "no URI" in result.detail  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "value", ["urn:x", "http://[", "http://a/%", "tel:1", "a+b.c-d:e", "x:\u2100//[\u2100"]
)
def test_a_strange_uri_as_party_id_is_no_accident(value: str) -> None:
    data = changed(WIRE["business"], ("<eb:To>", f"<eb:To><eb:PartyId>{value}</eb:PartyId>"))
    assert check_parties(read_envelope(data), RM_S) is None


# --- steps 12 and 16: the exchange


@pytest.mark.parametrize("action", ["aanleverenMelding", "intrekkenMelding"])
def test_a_service_and_action_that_they_send_to_us_are_found(action: str) -> None:
    exchange = exchange_of(read_envelope(message(action=action)), RM_S)
    assert (exchange.action, exchange.sender, exchange.receiver) == (action, RM_S.them, RM_S.us)


@pytest.mark.parametrize(
    "action", ["bevestigenMelding", "AanleverenMelding", " aanleverenMelding", "onbekend", "Ping"]
)
def test_an_action_that_we_do_not_receive_is_not_recognized(action: str) -> None:
    result = find_exchange(read_envelope(message(action=action)), RM_S)
    assert_refused(result, ErrorCode.VALUE_NOT_RECOGNIZED, f"{MESSAGE_HEADER}/eb:Action")


@pytest.mark.parametrize(
    "service",
    [
        '<eb:Service eb:type="urn:osb:services">demo:melding:2.0</eb:Service>',
        '<eb:Service eb:type="urn:osb:services">demo:melding:1.0 </eb:Service>',
        '<eb:Service eb:type="urn:osb:service">demo:melding:1.0</eb:Service>',
        "<eb:Service>demo:melding:1.0</eb:Service>",
        f"<eb:Service>{MSH_SERVICE}:errors</eb:Service>",
    ],
)
def test_another_service_or_type_is_not_recognized(service: str) -> None:
    result = find_exchange(read_envelope(message(service=service)), RM_S)
    assert_refused(result, ErrorCode.VALUE_NOT_RECOGNIZED, f"{MESSAGE_HEADER}/eb:Service")


@pytest.mark.parametrize(
    ("name", "old", "new"), [("From", "LOKET", "BEVOEGDGEZAG"), ("To", "BEVOEGDGEZAG", "bevoegdgezag")]
)
def test_another_role_is_inconsistent(name: str, old: str, new: str) -> None:
    data = changed(WIRE["business"], (f"<eb:Role>{old}", f"<eb:Role>{new}"))
    assert_refused(
        find_exchange(read_envelope(data), RM_S),
        ErrorCode.INCONSISTENT,
        f"{MESSAGE_HEADER}/eb:{name}/eb:Role",
    )


def test_a_missing_role_is_accepted() -> None:
    data = message(sender=party("From", THEIR_OIN), receiver=party("To", OUR_OIN))
    assert exchange_of(read_envelope(data), RM_S).sender_role == "LOKET"


@pytest.mark.parametrize("name", [name for name in WIRE if name != "business"])
def test_a_signal_goes_by_the_default_channels(name: str) -> None:
    envelope = read_envelope(WIRE[name])
    exchange = exchange_of(envelope, RM_S)
    assert (exchange.service.name, exchange.action) == (MSH_SERVICE, envelope.header.action)
    assert (exchange.sender, exchange.sender_role) == (RM_S.them, None)


@pytest.mark.parametrize("action", ["ping", "Onbekend", "aanleverenMelding"])
def test_an_unknown_action_of_the_msh_is_not_recognized(action: str) -> None:
    result = find_exchange(read_envelope(signal(action)), RM_S)
    assert_refused(result, ErrorCode.VALUE_NOT_RECOGNIZED, f"{MESSAGE_HEADER}/eb:Action")


@pytest.mark.parametrize("action", ["Acknowledgment", "MessageError", "StatusRequest", "StatusResponse"])
def test_a_signal_without_its_element_is_inconsistent(action: str) -> None:
    result = find_exchange(read_envelope(signal(action)), RM_S)
    assert_refused(result, ErrorCode.INCONSISTENT, f"{MESSAGE_HEADER}/eb:Action")


@pytest.mark.parametrize(
    "data",
    [
        message(ACK_REQUESTED + acknowledgment_entry("")),
        message(ACK_REQUESTED + error_list(error())),
        message(body=STATUS_REQUEST),
        message(body=STATUS_RESPONSE),
        signal("Ping", acknowledgment_entry("")),
        signal("Acknowledgment", acknowledgment_entry("") + error_list(error())),
        signal("MessageError", acknowledgment_entry("") + error_list(error())),
        signal("StatusRequest", body=STATUS_REQUEST + STATUS_RESPONSE),
    ],
)
def test_an_element_of_another_signal_is_inconsistent(data: bytes) -> None:
    result = find_exchange(read_envelope(data), RM_S)
    assert_refused(result, ErrorCode.INCONSISTENT, f"{MESSAGE_HEADER}/eb:Action")


@pytest.mark.parametrize(
    "data",
    [
        signal(
            "Acknowledgment",
            acknowledgment_entry("") + error_list(error(severity="Warning"), highest="Warning"),
        ),
        message(ACK_REQUESTED + error_list(error(severity="Warning"), highest="Warning")),
    ],
)
def test_warnings_may_come_along_with_anything(data: bytes) -> None:
    assert isinstance(find_exchange(read_envelope(data), RM_S), Exchange)


# --- steps 10, 11 and 17


def test_what_reading_noted_is_reported() -> None:
    wrong = case(changed(WIRE["business"], ("<eb:DuplicateElimination/>", "<eb:Unknown/>")))
    assert tuple(check_structure_noted(wrong)) == wrong.envelope.problems != ()


def test_message_order_is_not_supported() -> None:
    assert found(check_message_order(case(message(ACK_REQUESTED + MESSAGE_ORDER)))) == [
        (ErrorCode.NOT_SUPPORTED, f"{HEADER}/eb:MessageOrder", Severity.ERROR)
    ]
    assert found(check_message_order(case())) == []


@pytest.mark.parametrize(
    ("agreed", "present", "right"),
    [
        (RM_S, False, True),
        (RM_S, True, False),
        (SYNC, True, True),
        (SYNC, False, False),
        (BE, True, False),
        (BE, False, True),
    ],
    ids=[
        "none, absent",
        "none, present",
        "sync, present",
        "sync, absent",
        "best effort, present",
        "best effort, absent",
    ],
)
def test_sync_reply_stands_there_exactly_when_it_was_agreed(
    agreed: Agreement, present: bool, right: bool
) -> None:
    one = case(message(SYNC_REPLY if present else ""), agreed)
    expected = [] if right else [(ErrorCode.INCONSISTENT, f"{HEADER}/eb:SyncReply", Severity.ERROR)]
    assert found(check_sync_reply(one)) == expected
    assert found(check_sync_reply(replace(one, strictness=LENIENT))) == []


def test_sync_reply_is_not_asked_of_signals() -> None:
    assert found(check_sync_reply(case(WIRE["ping"], SYNC))) == []
    assert found(check_sync_reply(case(signal("Ping", SYNC_REPLY), RM_S))) == []


def test_a_request_to_the_next_msh_is_refused_only_where_strict() -> None:
    one = case(message(ACK_REQUESTED + NEXT_REQUEST))
    where = f"{HEADER}/eb:AckRequested/@SOAP:actor"
    assert found(check_next_msh(one)) == [(ErrorCode.NOT_SUPPORTED, where, Severity.WARNING)]
    assert found(check_next_msh(replace(one, strictness=STRICT))) == [
        (ErrorCode.NOT_SUPPORTED, where, Severity.ERROR)
    ]
    assert found(check_next_msh(case(strictness=STRICT))) == []


ASKED = f"{HEADER}/eb:AckRequested"
ASKED_SIGNED = f"{HEADER}/eb:AckRequested/@eb:signed"
ELIMINATION = f"{MESSAGE_HEADER}/eb:DuplicateElimination"


@pytest.mark.parametrize(
    ("agreed", "entries", "after", "wrong"),
    [
        (RM_S, ACK_REQUESTED, "<eb:DuplicateElimination/>", []),
        (RM_S, "", "<eb:DuplicateElimination/>", [ASKED]),
        (RM_S, NEXT_REQUEST, "<eb:DuplicateElimination/>", [ASKED]),
        (RM_S, UNSIGNED_REQUEST, "<eb:DuplicateElimination/>", [ASKED_SIGNED]),
        (RM_S, ACK_REQUESTED, "", [ELIMINATION]),
        (RM_S, "", "", [ASKED, ELIMINATION]),
        (BE, "", "", []),
        (BE, UNSIGNED_REQUEST, "", [ASKED]),
        (BE, ACK_REQUESTED, "<eb:DuplicateElimination/>", [ASKED, ASKED_SIGNED, ELIMINATION]),
        (BE, "", "<eb:DuplicateElimination/>", [ELIMINATION]),
    ],
)
def test_the_flags_of_reliable_messaging_fit_the_channel(
    agreed: Agreement, entries: str, after: str, wrong: list[str]
) -> None:
    one = case(message(entries, after=after), agreed)
    assert found(check_reliability_flags(one)) == [
        (ErrorCode.INCONSISTENT, location, Severity.ERROR) for location in wrong
    ]
    assert found(check_reliability_flags(replace(one, strictness=LENIENT))) == []


@pytest.mark.parametrize("entries", ["", ACK_REQUESTED, UNSIGNED_REQUEST])
@pytest.mark.parametrize("after", ["", "<eb:DuplicateElimination/>"])
def test_a_flag_per_message_follows_the_header(entries: str, after: str) -> None:
    assert found(check_reliability_flags(per_message(case(message(entries, after=after))))) == []


@pytest.mark.parametrize("agreed", [RM_S, BE])
def test_a_signal_need_not_have_the_flags_and_may_have_them(agreed: Agreement) -> None:
    assert found(check_reliability_flags(case(WIRE["ping"], agreed))) == []
    old = changed(WIRE["pong"], ("</eb:MessageData>", "</eb:MessageData><eb:DuplicateElimination/>"))
    assert found(check_reliability_flags(case(old, agreed))) == []


def test_a_signed_acknowledgment_that_cannot_be_given_is_a_warning() -> None:
    unsigned = agreement(Profile.OSB_RM)
    assert found(check_signed_acknowledgment(case(message(ACK_REQUESTED), unsigned))) == [
        (ErrorCode.INCONSISTENT, ASKED_SIGNED, Severity.WARNING)
    ]
    assert found(check_signed_acknowledgment(case(message(UNSIGNED_REQUEST), unsigned))) == []
    assert found(check_signed_acknowledgment(case(message(""), unsigned))) == []
    assert found(check_signed_acknowledgment(case(signal("Ping", ACK_REQUESTED), unsigned))) == []
    assert found(check_signed_acknowledgment(case(message(ACK_REQUESTED), RM_S))) == []


# --- step 25: time


@pytest.mark.parametrize(
    ("now", "active"),
    [
        (RM_S.start - SKEW, True),
        (RM_S.start - SKEW - SECOND, False),
        (RM_S.start, True),
        (RM_S.end, True),
        (RM_S.end + SKEW, True),
        (RM_S.end + SKEW + SECOND, False),
    ],
)
def test_an_agreement_is_active_from_start_to_end_give_or_take_the_skew(now: datetime, active: bool) -> None:
    expected = [] if active else [(ErrorCode.INCONSISTENT, f"{MESSAGE_HEADER}/eb:CPAId", Severity.ERROR)]
    assert found(check_agreement_active(case(now=now))) == expected


@pytest.mark.parametrize("status", [CpaStatus.PROPOSED, CpaStatus.SIGNED])
def test_an_agreement_that_is_not_agreed_is_not_active(status: CpaStatus) -> None:
    (problem,) = check_agreement_active(case(agreed=agreement(status=status)))
    assert problem.code is ErrorCode.INCONSISTENT
    assert status.value in problem.detail


VALID_FROM, VALID_UNTIL = datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("now", "valid"),
    [
        (VALID_FROM - SKEW, True),
        (VALID_FROM - SKEW - SECOND, False),
        (VALID_UNTIL + SKEW, True),
        (VALID_UNTIL + SKEW + SECOND, False),
    ],
)
def test_the_certificate_is_valid_now_give_or_take_the_skew(now: datetime, valid: bool) -> None:
    one = case(now=now, certificate_window=(VALID_FROM, VALID_UNTIL))
    expected = [] if valid else [(ErrorCode.SECURITY_FAILURE, f"{HEADER}/ds:Signature", Severity.ERROR)]
    assert found(check_certificate_window(one)) == expected


def test_an_unsigned_message_has_no_certificate_to_judge() -> None:
    assert found(check_certificate_window(case(certificate_window=None))) == []


def living_until(moment: datetime) -> bytes:
    lives = f"<eb:TimeToLive>{format_datetime(moment)}</eb:TimeToLive>"
    return message(data=f"<eb:Timestamp>2026-06-01T12:00:00Z</eb:Timestamp>{lives}")


@pytest.mark.parametrize(
    ("moment", "alive"),
    [(NOW, True), (NOW - SKEW, True), (NOW - SKEW - SECOND, False), (NOW + timedelta(days=1), True)],
)
def test_a_message_lives_until_its_time_give_or_take_the_skew(moment: datetime, alive: bool) -> None:
    location = f"{MESSAGE_HEADER}/eb:MessageData/eb:TimeToLive"
    expected = [] if alive else [(ErrorCode.TIME_TO_LIVE_EXPIRED, location, Severity.ERROR)]
    assert found(check_time_to_live(case(living_until(moment)))) == expected


def test_a_message_without_time_to_live_lives_on() -> None:
    assert found(check_time_to_live(case())) == []


@pytest.mark.parametrize(
    ("now", "fine"),
    [(NOW, True), (NOW - SKEW, True), (NOW - SKEW - SECOND, False), (NOW + timedelta(900), True)],
)
def test_a_timestamp_in_the_future_is_a_warning(now: datetime, fine: bool) -> None:
    location = f"{MESSAGE_HEADER}/eb:MessageData/eb:Timestamp"
    expected = [] if fine else [(ErrorCode.INCONSISTENT, location, Severity.WARNING)]
    assert found(check_timestamp(case(now=now))) == expected


FIRST_MOMENT = datetime(1, 1, 1, tzinfo=UTC)
LAST_MOMENT = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"])
def test_the_first_and_the_last_moment_that_can_be_written_are_times_like_others(moment: str) -> None:
    data = changed(living_until(NOW), ("2026-06-01T12:00:00Z", moment))
    one = case(data, certificate_window=(FIRST_MOMENT, LAST_MOMENT))
    assert found(check_certificate_window(one)) == []
    past = moment.startswith("0001")
    assert len(tuple(check_time_to_live(one))) == (1 if past else 0)
    assert len(tuple(check_timestamp(one))) == (0 if past else 1)


# --- steps 26 and 27: payload


def manifest(*hrefs: str) -> bytes:
    references = "".join(f'<eb:Reference xlink:href="{href}"/>' for href in hrefs)
    return message(body=f'<eb:Manifest eb:version="2.0">{references}</eb:Manifest>')


def test_parts_in_another_order_and_parts_that_nothing_names_are_fine() -> None:
    parts = (part("extra@them"), part("p2@them"), part("p1@them"))
    assert found(check_manifest(case(parts=parts))) == []
    assert found(check_manifest(case(message()))) == []


@pytest.mark.parametrize(
    "href", ["http://127.0.0.1/p1", "file:///etc/passwd", "#p1", "", "p1@them", " cid:p1@them", "cid"]
)
def test_a_reference_that_is_not_a_cid_is_a_mime_problem(href: str) -> None:
    assert found(check_manifest(case(manifest("cid:p1@them", href)))) == [
        (ErrorCode.MIME_PROBLEM, "/SOAP:Envelope/SOAP:Body/eb:Manifest/eb:Reference[2]", Severity.ERROR)
    ]


@pytest.mark.parametrize(
    ("parts", "detail"),
    [
        ((), "no part"),
        ((part("P1@them"),), "no part"),
        ((part("p1@them"), part("p1@them")), "names 2 parts"),
        ((part("p1@them", problem="it cannot be decoded"),), "it cannot be decoded"),
    ],
)
def test_a_reference_to_no_sound_part_is_a_mime_problem(parts: tuple[ReceivedPart, ...], detail: str) -> None:
    (problem,) = check_manifest(case(manifest("cid:p1@them"), parts=parts))
    assert (problem.code, problem.location) == (ErrorCode.MIME_PROBLEM, "cid:p1@them")
    assert detail in problem.detail


def test_a_reference_that_may_mean_two_parts_is_a_mime_problem() -> None:
    (problem,) = check_manifest(case(manifest("cid:a%40b"), parts=(part("a@b"), part("a%40b"))))
    assert "names 2 parts" in problem.detail


@pytest.mark.parametrize(
    ("href", "content_id", "same"),
    [
        ("cid:a@b", "a@b", True),
        ("CID:a@b", "a@b", True),
        ("cid:a%40b", "a@b", True),
        ("cid:a%40b", "a%40b", True),
        ("cid:a%2540b", "a%40b", True),
        ("cid:a%2540b", "a@b", False),
        ("cid:A@b", "a@b", False),
        ("cid:%20a@b", "a@b", False),
        ("mid:a@b", "a@b", False),
        ("xcid:a@b", "a@b", False),
        ("a@b", "a@b", False),
        ("", "", False),
    ],
)
def test_a_cid_is_decoded_once(href: str, content_id: str, same: bool) -> None:
    assert refers_to(href, content_id) is same
    assert (found(check_manifest(case(manifest(href), parts=(part(content_id),)))) == []) is same


def test_a_manifest_of_more_parts_than_a_message_has_is_one_problem() -> None:
    one = case(manifest(*(f"cid:{number}" for number in range(5000))))
    assert found(check_manifest(one)) == [
        (ErrorCode.MIME_PROBLEM, "/SOAP:Envelope/SOAP:Body/eb:Manifest", Severity.ERROR)
    ]


@pytest.mark.parametrize(("limit", "fits"), [(None, True), (20, True), (19, False), (0, False)])
def test_the_payloads_together_stay_below_the_limit_of_the_agreement(limit: int | None, fits: bool) -> None:
    location = "/SOAP:Envelope/SOAP:Body/eb:Manifest"
    expected = [] if fits else [(ErrorCode.UNKNOWN, location, Severity.ERROR)]
    assert found(check_size(case(strictness=Strictness(max_message=limit)))) == expected
