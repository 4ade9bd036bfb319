# SPDX-License-Identifier: EUPL-1.2

"""Requirements of agreements that no other test shows."""

import copy
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from lxml import etree

from adapter.authorities import AgreementDocument, Authorities, build_authorities
from adapter.config import load_config
from adapter.pki import load_key_pair
from adapter.simulator import World
from cpa import (
    CollaborationProtocolAgreement,
    PartyId,
    Profile,
    Service,
    Severity,
    agreement_for,
    lint,
    parse_cpa,
)
from cpa.names import CPPA

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
Parsed = Callable[..., CollaborationProtocolAgreement]
Written = Callable[..., bytes]


def name(local: str) -> str:
    return f"{{{CPPA}}}{local}"


def found(document: CollaborationProtocolAgreement, *, production: bool = True) -> list[tuple[str, Severity]]:
    return [(one.rule, one.severity) for one in lint(document, production=production, now=NOW)]


def with_best_effort_answers(octets: bytes) -> bytes:
    """A CPA of which the answers follow osb-be: each party gets one more channel for them."""
    root = etree.fromstring(octets)
    for party in root.iter(name("PartyInfo")):
        channels = list(party.iter(name("DeliveryChannel")))
        business = next(one for one in channels if "BUSINESS" in str(one.get(name("docExchangeId"))))
        exchange = next(
            one
            for one in party.iter(name("DocExchange"))
            if one.get(name("docExchangeId")) == business.get(name("docExchangeId"))
        )
        other, plain = copy.deepcopy(business), copy.deepcopy(exchange)
        ids = {key: f"{business.get(name(key))}_BE" for key in ("channelId", "docExchangeId")}
        for key, value in ids.items():
            other.set(name(key), value)
        plain.set(name("docExchangeId"), ids["docExchangeId"])
        for binding in plain:
            for child in list(binding):
                binding.remove(child)
        agreed = other.find(name("MessagingCharacteristics"))
        assert agreed is not None
        for key in ("ackRequested", "ackSignatureRequested", "duplicateElimination"):
            agreed.set(name(key), "never")
        business.addnext(other)
        exchange.addnext(plain)
        for binding in party.iter(name("ThisPartyActionBinding")):
            if binding.get(name("action")) == "bevestigenMelding":
                channel = binding.find(name("ChannelId"))
                assert channel is not None
                channel.text = ids["channelId"]
    return etree.tostring(root)


def test_two_actions_of_one_agreement_may_follow_two_profiles(written: Written) -> None:
    document = parse_cpa(with_best_effort_answers(written(Profile.OSB_RM_S)))
    agreement = agreement_for(document, "00000001001100415000")
    service = Service("demo:melding:1.0", "urn:osb:services")
    request = agreement.received(service, "aanleverenMelding")
    answer = agreement.sent(service, "bevestigenMelding")
    assert request is not None
    assert answer is not None
    assert (request.profile, answer.profile) == (Profile.OSB_RM_S, Profile.OSB_BE)


def test_one_certificate_may_serve_every_purpose(parsed: Parsed, make: type) -> None:
    uses = ("signing_certificate", "client_certificate", "server_certificate", "encryption_certificate")
    one = make.certificate(purpose="all")
    us = make.us(**dict.fromkeys(uses, one))
    assert found(parsed(Profile.OSB_RM_E, second=us)) == []


@pytest.mark.parametrize(
    "service", ["osb:aanleveren:1.1$1.0", "EchoService$1.0", "urn:demo:dienst", "Digimelding:1:0"]
)
def test_the_name_of_a_service_is_never_taken_apart(parsed: Parsed, service: str) -> None:
    wanted = Service(service, "urn:osb:services")
    document = parsed(service=wanted)
    assert found(document) == []
    agreement = agreement_for(document, "00000001001100415000")
    assert agreement.received(wanted, "aanleverenMelding") is not None
    assert agreement.received(Service(service[:-2], wanted.type), "aanleverenMelding") is None


@pytest.mark.parametrize(
    ("policy", "production", "findings"),
    [
        ("2.16.528.1.1003.1.2.8.6", True, []),
        ("2.16.528.1.1003.1.2.44.15.35.11", True, []),
        ("2.16.528.1.1003.1.2.5.1", True, [("CRT-11", Severity.WARNING)]),
        ("2.16.528.1.1003.1.2.5.1", False, [("CRT-11", Severity.INFO)]),
    ],
)
def test_a_certificate_that_is_not_for_servers_is_found_by_its_policy(
    parsed: Parsed,
    make: type,
    policy: str,
    production: bool,
    findings: list[tuple[str, Severity]],
) -> None:
    signing = with_policy(make.certificate(purpose="signing"), policy)
    us = make.us(signing_certificate=signing)
    assert found(parsed(second=us), production=production) == findings


def with_policy(certificate: x509.Certificate, policy: str) -> x509.Certificate:
    """The same holder in a certificate with a policy."""
    information = x509.PolicyInformation(x509.ObjectIdentifier(policy), None)
    key = rsa.generate_private_key(public_exponent=65537, key_size=3072)
    return (
        x509.CertificateBuilder()
        .subject_name(certificate.subject)
        .issuer_name(certificate.issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(certificate.not_valid_before_utc)
        .not_valid_after(certificate.not_valid_after_utc)
        .add_extension(x509.CertificatePolicies([information]), critical=False)
        .sign(key, hashes.SHA256())
    )


def known(world: World, *documents: AgreementDocument) -> Authorities:
    config = load_config(world.config, {})
    tls = world.directory / "tls"
    keys = {
        authority: load_key_pair(tls / f"{authority}.pem", tls / f"{authority}.key")
        for authority in config.authorities
    }
    authorities, problems = build_authorities(config.authorities, keys, documents, "1")
    assert problems == ()
    return authorities


def test_two_agreements_of_one_pair_are_active_at_the_same_time(world: World) -> None:
    one = world.authorities[0]
    octets = one.cpa_path.read_bytes()
    successor = f"{one.cpa_id}_2"
    authorities = known(
        world,
        AgreementDocument(one.name, one.cpa_id, octets),
        AgreementDocument(one.name, successor, octets.replace(one.cpa_id.encode(), successor.encode())),
    )
    for cpa_id in (one.cpa_id, successor):
        agreement = authorities.find_agreement(cpa_id)
        assert agreement is not None
        assert agreement.cpa_id == cpa_id


def test_a_partner_of_the_compliance_facility_is_known_by_its_oin(world: World) -> None:
    """Its agreements have other types of PartyId and Service than those of Digikoppeling."""
    one = world.authorities[0]
    octets = one.cpa_path.read_bytes()
    partner = b'<cpa:PartyId cpa:type="urn:osb:oin">00000099000000001000<'
    assert partner in octets
    octets = octets.replace(partner, partner.replace(b"urn:osb:oin", b"urn:cv:oin"))
    agreement = known(world, AgreementDocument(one.name, one.cpa_id, octets)).find_agreement(one.cpa_id)
    assert agreement is not None
    assert agreement.agreement.them.ids == (PartyId("00000099000000001000", "urn:cv:oin"),)
    assert agreement.admits("00000099000000001000", None, test=False)
