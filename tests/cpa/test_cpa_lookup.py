# SPDX-License-Identifier: EUPL-1.2

"""What was agreed for an action in one direction, from the right side's PartyInfo."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from cpa import (
    Agreement,
    Certificate,
    CollaborationProtocolAgreement,
    CpaError,
    CpaStatus,
    Exchange,
    NotAParty,
    PartyId,
    Profile,
    Service,
    agreement_for,
)

SERVICE = Service("demo:melding:1.0", "urn:osb:services")
MSH = "urn:oasis:names:tc:ebxml-msg:service"
Parsed = Callable[..., CollaborationProtocolAgreement]


@pytest.fixture
def agreed(parsed: Parsed, make: type) -> Callable[..., Agreement]:
    return lambda *args, **kwargs: agreement_for(parsed(*args, **kwargs), make.our_oin)


@pytest.fixture
def received(agreed: Callable[..., Agreement]) -> Callable[..., Exchange]:
    def look_up(*args: object, **kwargs: object) -> Exchange:
        exchange = agreed(*args, **kwargs).received(SERVICE, "aanleverenMelding")
        assert exchange is not None
        return exchange

    return look_up


def _id(certificate: Certificate | None) -> str | None:
    return certificate.id if certificate else None


def test_we_are_found_by_value_and_by_party_id(parsed: Parsed, make: type) -> None:
    document = parsed()
    assert agreement_for(document, make.our_oin).us is document.parties[1]
    assert agreement_for(document, PartyId(make.their_oin, "urn:osb:oin")).us is document.parties[0]
    with pytest.raises(NotAParty, match="neither party is"):
        agreement_for(document, PartyId(make.our_oin, "urn:other"))
    with pytest.raises(NotAParty, match=f"its parties are {make.their_oin}, {make.our_oin}"):
        agreement_for(document, "00000001999999999000")


def test_a_party_that_is_both_is_no_party(parsed: Parsed, make: type) -> None:
    document = parsed(Profile.OSB_RM_S, (make.their_oin, make.our_oin))
    with pytest.raises(NotAParty, match="both parties are"):
        agreement_for(document, make.our_oin)


def test_sender_and_receiver_parameters_come_from_their_own_party(
    agreed: Callable[..., Agreement],
) -> None:
    agreement = agreed(Profile.OSB_RM_E)
    received = agreement.received(SERVICE, "aanleverenMelding")
    sent = agreement.sent(SERVICE, "bevestigenMelding")
    assert received is not None
    assert sent is not None
    assert received.endpoint == "https://ebms.voorbeeldstad.example/ebms"
    assert _id(received.signing_certificate) == "A_CERT_SIGN"
    assert _id(received.client_certificate) == "A_CERT_TLSC"
    assert _id(received.encryption_certificate) == "B_CERT_ENC"
    assert (received.requires_signature, received.requires_encryption) == (True, True)
    assert sent.endpoint == "https://ebms.loket.example/ebms"
    assert _id(sent.signing_certificate) == "B_CERT_SIGN"
    assert _id(sent.client_certificate) == "B_CERT_TLSC"
    assert _id(sent.encryption_certificate) == "A_CERT_ENC"
    assert (sent.sender, sent.receiver) == (agreement.us, agreement.them)


@pytest.mark.parametrize(
    ("service", "action"),
    [
        (Service("demo:melding:1.0"), "aanleverenMelding"),
        (Service("demo:melding:2.0", "urn:osb:services"), "aanleverenMelding"),
        (SERVICE, "AanleverenMelding"),
        (SERVICE, "bevestigenMelding"),
    ],
    ids=["other type", "other name", "other case", "other direction"],
)
def test_what_was_not_agreed_is_not_found(
    agreed: Callable[..., Agreement], service: Service, action: str
) -> None:
    assert agreed().received(service, action) is None


def test_a_link_to_another_binding_is_no_match(agreed: Callable[..., Agreement]) -> None:
    wrong = ("Binding>A_S_1_aanleverenMelding<", "Binding>A_S_2_intrekkenMelding<")
    assert agreed(Profile.OSB_RM_S, wrong).received(SERVICE, "aanleverenMelding") is None


def test_without_links_service_and_action_are_enough(agreed: Callable[..., Agreement]) -> None:
    without = (
        ("<cpa:OtherPartyActionBinding>A_S_1_aanleverenMelding</cpa:OtherPartyActionBinding>", ""),
        ("<cpa:OtherPartyActionBinding>B_R_1_aanleverenMelding</cpa:OtherPartyActionBinding>", ""),
    )
    assert agreed(Profile.OSB_RM_S, *without).received(SERVICE, "aanleverenMelding") is not None


def test_the_agreement_is_active_from_start_to_end(agreed: Callable[..., Agreement]) -> None:
    agreement, second = agreed(), timedelta(seconds=1)
    assert agreement.is_active_at(agreement.start)
    assert agreement.is_active_at(agreement.end)
    assert not agreement.is_active_at(agreement.start - second)
    assert not agreement.is_active_at(agreement.end + second)
    assert agreement.is_active_at(agreement.end + second, skew=second)
    assert agreement.is_active_at(agreement.start - second, skew=second)


@pytest.mark.parametrize("status", [CpaStatus.PROPOSED, CpaStatus.SIGNED])
def test_only_an_agreed_agreement_is_active(agreed: Callable[..., Agreement], status: CpaStatus) -> None:
    agreement = agreed(status=status)
    assert not agreement.is_active_at(agreement.start)


def test_signals_go_over_the_default_channels(agreed: Callable[..., Agreement]) -> None:
    signal = agreed().sent_signal("Acknowledgment")
    assert (signal.service, signal.action) == (Service(MSH), "Acknowledgment")
    assert (signal.sender_role, signal.receiver_role) == (None, None)
    assert (signal.sender_channel.id, signal.receiver_channel.id) == ("B_CH_MSH", "A_CH_MSH")
    assert signal.endpoint == "https://ebms.loket.example/ebms"
    assert _id(signal.signing_certificate) == "B_CERT_SIGN"
    assert _id(agreed().received_signal("Ping").signing_certificate) == "A_CERT_SIGN"
    assert signal.retries == 0


def test_signals_of_an_unsigned_profile_are_not_signed(agreed: Callable[..., Agreement]) -> None:
    signal = agreed(Profile.OSB_RM).sent_signal("Acknowledgment")
    assert not signal.requires_signature
    assert signal.hash_function is None
    assert signal.signature_algorithms == ()


def test_an_override_changes_the_channel_of_one_signal(agreed: Callable[..., Agreement]) -> None:
    override = (
        '<cpa:OverrideMshActionBinding cpa:action="Ping" cpa:channelId="A_CH_BUSINESS"/></cpa:PartyInfo>'
    )
    agreement = agreed(Profile.OSB_RM_S, ("</cpa:PartyInfo>", override), count=1)
    assert agreement.sent_signal("Ping").receiver_channel.id == "A_CH_BUSINESS"
    assert agreement.sent_signal("Pong").receiver_channel.id == "A_CH_MSH"


ENDPOINT = '<cpa:Endpoint cpa:uri="https://ebms.loket.example/ebms" cpa:type="allPurpose"/>'


def test_an_error_goes_to_the_error_endpoint(agreed: Callable[..., Agreement]) -> None:
    error = '<cpa:Endpoint cpa:uri="https://ebms.loket.example/errors" cpa:type="error"/>'
    agreement = agreed(Profile.OSB_RM_S, (ENDPOINT, ENDPOINT + error))
    assert agreement.sent_signal("MessageError").endpoint == "https://ebms.loket.example/errors"
    assert agreement.sent_signal("Acknowledgment").endpoint == "https://ebms.loket.example/ebms"
    assert agreement.received_signal("MessageError").endpoint == "https://ebms.voorbeeldstad.example/ebms"


def test_a_business_message_prefers_the_request_endpoint(agreed: Callable[..., Agreement]) -> None:
    request = '<cpa:Endpoint cpa:uri="https://ebms.loket.example/requests" cpa:type="request"/>'
    exchange = agreed(Profile.OSB_RM_S, (ENDPOINT, ENDPOINT + request)).sent(SERVICE, "bevestigenMelding")
    assert exchange is not None
    assert exchange.endpoint == "https://ebms.loket.example/requests"


def test_a_party_without_an_endpoint_is_an_error_that_names_the_channel(
    agreed: Callable[..., Agreement],
) -> None:
    login = (ENDPOINT, ENDPOINT.replace("allPurpose", "login"))
    exchange = agreed(Profile.OSB_RM_S, login).sent(SERVICE, "bevestigenMelding")
    assert exchange is not None
    with pytest.raises(CpaError, match="'A_TR' of DeliveryChannel 'A_CH_BUSINESS': no Endpoint"):
        _ = exchange.endpoint


def test_reliable_messaging_without_values_spans_five_days(received: Callable[..., Exchange]) -> None:
    exchange = received(
        Profile.OSB_RM,
        ("<cpa:Retries>8</cpa:Retries>", ""),
        ("<cpa:RetryInterval>PT3H</cpa:RetryInterval>", ""),
        ("<cpa:PersistDuration>P2D</cpa:PersistDuration>", ""),
    )
    assert (1 + exchange.retries) * exchange.retry_interval == timedelta(days=5)
    assert exchange.persist_duration == exchange.duplicate_window == timedelta(days=5)


@pytest.mark.parametrize(
    "absent", ["<cpa:Retries>8</cpa:Retries>", "<cpa:RetryInterval>PT3H</cpa:RetryInterval>"]
)
def test_the_value_that_is_absent_makes_up_the_five_days(
    received: Callable[..., Exchange], absent: str
) -> None:
    exchange = received(Profile.OSB_RM, (absent, ""))
    total = (1 + exchange.retries) * exchange.retry_interval
    assert timedelta(days=5) - total < timedelta(seconds=1)


def test_best_effort_has_no_retries(received: Callable[..., Exchange]) -> None:
    exchange = received(Profile.OSB_BE)
    assert (exchange.retries, exchange.retry_interval) == (0, timedelta())
    assert not exchange.is_synchronous
    assert exchange.encryption_certificate is None
    assert exchange.encryption_algorithms == ()


def test_duplicates_are_recognised_as_long_as_the_sender_repeats(received: Callable[..., Exchange]) -> None:
    exchange = received(persist_duration=timedelta(hours=1))
    assert exchange.duplicate_window == timedelta(hours=27)
    assert received(persist_duration=timedelta(days=7)).duplicate_window == timedelta(days=7)


@pytest.mark.parametrize(
    "damage",
    [
        ('cpa:duplicateElimination="always"', 'cpa:duplicateElimination="never"'),
        ('cpa:ackRequested="always"', 'cpa:ackRequested="perMessage"'),
        ("actor:toPartyMSH", "actor:nextMSH"),
        ('cpa:syncReplyMode="none"', 'cpa:syncReplyMode="responseOnly"'),
        ('cpa:ackSignatureRequested="always"', 'cpa:ackSignatureRequested="perMessage"'),
    ],
)
def test_a_mixture_is_no_profile(received: Callable[..., Exchange], damage: tuple[str, str]) -> None:
    assert received(Profile.OSB_RM_S, damage).profile is None


def test_sides_that_differ_are_no_profile(received: Callable[..., Exchange]) -> None:
    assert received(Profile.OSB_RM_S, ("ReceiverNonRepudiation>", "Gone>")).profile is None


def test_encrypted_without_signed_is_no_profile(received: Callable[..., Exchange]) -> None:
    exchange = received(
        Profile.OSB_BE_E, ("ReceiverNonRepudiation>", "Gone>"), ("SenderNonRepudiation>", "Gone>")
    )
    assert exchange.profile is None


def test_a_signed_profile_may_go_without_signed_receipts(received: Callable[..., Exchange]) -> None:
    assert received(sign_acknowledgments=False).profile is Profile.OSB_RM_S
