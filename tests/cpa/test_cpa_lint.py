# SPDX-License-Identifier: EUPL-1.2

"""Each check of a CPA, provoked."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from lxml import etree

from cpa import (
    CollaborationProtocolAgreement,
    CpaStatus,
    PartyId,
    Profile,
    Service,
    Severity,
    SyncReplyMode,
    lint,
    parse_cpa,
)

ERROR, WARNING, INFO = Severity.ERROR, Severity.WARNING, Severity.INFO
Parsed = Callable[..., CollaborationProtocolAgreement]
NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)


def found(
    document: CollaborationProtocolAgreement, *, production: bool = True, now: datetime = NOW
) -> set[tuple[str, Severity]]:
    return {(finding.rule, finding.severity) for finding in lint(document, production=production, now=now)}


@pytest.mark.parametrize("profile", Profile)
@pytest.mark.parametrize("production", [True, False])
def test_a_good_cpa_has_no_findings(parsed: Parsed, profile: Profile, production: bool) -> None:
    assert lint(parsed(profile), production=production, now=NOW) == ()


DAMAGE = [
    ("NAM-05", INFO, ("demoMelding_A_B_6b0c2b64", "a/b.c")),
    ("HDR-14", ERROR, (">demo:melding:1.0<", ">demo:melding:1.0 <")),
    ("HDR-14", ERROR, ('cpa:action="aanleverenMelding"', 'cpa:action="aanleveren Melding"')),
    ("HDR-16", ERROR, (">demo:melding:1.0<", ">urn:oasis:names:tc:ebxml-msg:service<")),
    ("NAM-01", WARNING, ('cpa:type="urn:osb:services"', 'cpa:type="string"')),
    ("NAM-01", WARNING, (' cpa:type="urn:osb:services"', "")),
    ("CPA-10", ERROR, ("Binding>A_S_1_aanleverenMelding<", "Binding>A_S_2_intrekkenMelding<")),
    (
        "CPA-10",
        ERROR,
        ('A_S_1_aanleverenMelding" cpa:action="aan', 'A_S_1_aanleverenMelding" cpa:action="Aan'),
    ),
    ("PRF-01", WARNING, ('cpa:duplicateElimination="always"', 'cpa:duplicateElimination="never"')),
    ("CPA-08", WARNING, ('isNonRepudiationRequired="true"', 'isNonRepudiationRequired="false"')),
    ("CPA-08", WARNING, ('isConfidential="transient"', 'isConfidential="persistent"')),
    ("CPA-08", WARNING, ('isAuthenticated="transient-and-persistent"', 'isAuthenticated="transient"')),
    ("CPA-08", WARNING, ('ReceiptRequired="true"', 'ReceiptRequired="false"')),
    ("ACK-09", WARNING, ('ackSignatureRequested="always"', 'ackSignatureRequested="never"')),
    ("SYN-01", ERROR, ('cpa:syncReplyMode="none"', 'cpa:syncReplyMode="responseOnly"')),
    ("SYN-01", WARNING, ('cpa:syncReplyMode="none"', 'cpa:syncReplyMode="signalsOnly"')),
    ("SYN-01", WARNING, ('cpa:syncReplyMode="none"', 'cpa:syncReplyMode="signalsAndResponse"')),
    ("ORD-05", WARNING, (">NotGuaranteed<", ">Guaranteed<")),
    ("TRN-01", ERROR, ('cpa:uri="https:', 'cpa:uri="http:')),
    ("TRN-01", ERROR, ('cpa:uri="https://ebms.loket.example/ebms', 'cpa:uri="ebms')),
    ("TRN-01", ERROR, ("https://ebms.loket.example/ebms", "https://ebms.loket.example:x/ebms")),
    ("TRN-09", WARNING, ("https://ebms.loket.example/", "https://ebms.loket.example:8443/")),
    ("TRN-10", WARNING, (">HTTP<", ">SMTP<")),
    ("TRN-20", WARNING, ("https://ebms.loket.example/", "https://other.loket.example/")),
    ("CPA-11", WARNING, ('cpa:version="1.2">TLS', 'cpa:version="1.0">TLS')),
    ("CPA-11", WARNING, ('cpa:version="1.2">TLS', 'cpa:version="3.0">SSL')),
    ("CPA-12", ERROR, ('<cpa:ClientCertificateRef cpa:certId="A_CERT_TLSC"/>', "")),
    ("CPA-06", ERROR, ('cpa:type="allPurpose"', 'cpa:type="login"')),
    ("REL-11", WARNING, (">P2D<", ">P1D<")),
    ("REL-10", WARNING, (">PT3H<", ">PT1H<")),
    ("REL-09", INFO, ("<cpa:Retries>8</cpa:Retries>", "")),
    ("REL-19", WARNING, (">PT3H<", ">PT30S<")),
    ("SIG-04", ERROR, ("http://www.w3.org/2001/04/xmlenc#sha256", "http://www.w3.org/2000/09/xmldsig#sha1")),
    ("SIG-04", ERROR, ("xmldsig-more#rsa-sha256", "xmldsig-more#rsa-md5")),
    ("OIN-04", WARNING, ("00000001001100415000", "00000042001100415000")),
    ("HDR-05", ERROR, ("00000001001100415000", "1234")),
    ("HDR-07", WARNING, ("urn:osb:oin", "urn:other")),
    ("HDR-07", WARNING, (' cpa:type="urn:osb:oin"', "")),
    ("OIN-06", ERROR, ("00000001001100415000", "00000099001100415000")),
    ("OIN-07", ERROR, ("00000001001100415000", "00000001001100415000_OTA")),
    ("CPA-03", ERROR, ("00000003271247010000", "00000001001100415000")),
    ("CRT-21", WARNING, ("00000001001100415000", "00000001999999999000")),
    ("CPA-05", ERROR, ("2028-12-31", "2020-12-31")),
    ("CPA-05", WARNING, ("2028-12-31", "2040-12-31")),
]


@pytest.mark.parametrize(("rule", "severity", "damage"), DAMAGE, ids=[f"{d[0]} {d[2][1]}" for d in DAMAGE])
def test_a_deviation_is_found(parsed: Parsed, rule: str, severity: Severity, damage: tuple[str, str]) -> None:
    assert (rule, severity) in found(parsed(Profile.OSB_RM_S, damage))


def test_a_finding_says_where_and_why_in_one_line(parsed: Parsed) -> None:
    findings = lint(parsed(Profile.OSB_RM_S, (">P2D<", ">P1D<")), production=True, now=NOW)
    finding = next(finding for finding in findings if finding.rule == "REL-11")
    assert finding.where == "DocExchange 'A_DX_BUSINESS'"
    assert str(finding).startswith("warning: REL-11: DocExchange 'A_DX_BUSINESS': PersistDuration (1 day")
    assert all("\n" not in str(finding) for finding in findings)


def test_errors_come_first(parsed: Parsed) -> None:
    document = parsed(Profile.OSB_RM_S, (">P2D<", ">P1D<"), ('cpa:uri="https:', 'cpa:uri="http:'))
    severities = [finding.severity for finding in lint(document, production=True, now=NOW)]
    assert severities == sorted(severities, key=list(Severity).index)
    assert set(severities) == {ERROR, WARNING}


def test_how_long_a_process_may_take_is_free(parsed: Parsed) -> None:
    assert lint(parsed(Profile.OSB_RM_S, ('"P2D"', '"P90D"')), production=True, now=NOW) == ()


@pytest.mark.parametrize("status", [CpaStatus.PROPOSED, CpaStatus.SIGNED])
def test_a_cpa_that_is_not_agreed_is_found(parsed: Parsed, status: CpaStatus) -> None:
    assert ("CPA-04", WARNING) in found(parsed(status=status))


def test_a_cpa_outside_its_window_is_found(parsed: Parsed) -> None:
    document = parsed()
    assert ("LCY-06", ERROR) in found(document, now=document.end + timedelta(seconds=1))
    assert ("LCY-06", INFO) in found(document, now=document.start - timedelta(seconds=1))


def test_two_roles_of_a_party_are_found(parsed: Parsed) -> None:
    role = (
        "</cpa:CollaborationRole>",
        """</cpa:CollaborationRole><cpa:CollaborationRole>
        <cpa:ProcessSpecification cpa:name="p"/><cpa:Role cpa:name="ANDERS"/>
        <cpa:ServiceBinding><cpa:Service cpa:type="urn:osb:services">x</cpa:Service></cpa:ServiceBinding>
        </cpa:CollaborationRole>""",
    )
    assert found(parsed(Profile.OSB_RM_S, role)) == {("HDR-09", ERROR)}


def test_an_acknowledgment_that_cannot_be_signed_is_found(written: Callable[..., bytes]) -> None:
    for asked, severity in ((True, ERROR), (False, WARNING)):
        root = etree.fromstring(written(sign_acknowledgments=asked))
        for exchange in root.iter("{*}DocExchange"):
            if "MSH" in str(exchange.xpath("string(@*)")):
                binding = exchange.find("{*}ebXMLSenderBinding")
                assert binding is not None
                binding.clear()
        assert ("CPA-07", severity) in found(parse_cpa(etree.tostring(root)))


def test_synchronous_signals_in_best_effort_are_found(parsed: Parsed) -> None:
    damage = ('cpa:syncReplyMode="none"', 'cpa:syncReplyMode="mshSignalsOnly"')
    assert ("SYN-02", ERROR) in found(parsed(Profile.OSB_BE, damage))


def test_sides_with_different_sync_modes_are_found(parsed: Parsed) -> None:
    document = parsed(
        Profile.OSB_RM, ("mshSignalsOnly", "none"), count=1, sync_reply=SyncReplyMode.MSH_SIGNALS_ONLY
    )
    assert found(document) == {("SYN-03", WARNING)}


def test_message_order_in_best_effort_is_an_error(parsed: Parsed) -> None:
    damage = (">NotGuaranteed<", ">Guaranteed<"), ('ackRequested="always"', 'ackRequested="never"')
    assert ("ORD-05", ERROR) in found(parsed(Profile.OSB_RM, *damage))


def test_access_authentication_is_found(parsed: Parsed) -> None:
    access = "<cpa:AccessAuthentication>basic</cpa:AccessAuthentication><cpa:Endpoint"
    assert found(parsed(Profile.OSB_RM_S, ("<cpa:Endpoint", access))) == {("TRN-08", ERROR)}


@pytest.mark.parametrize(
    ("rule", "algorithm"),
    [
        ("ENC-03", "http://www.w3.org/2001/04/xmlenc#aes256-cbc"),
        ("ENC-03", "http://www.w3.org/2001/04/xmlenc#tripledes-cbc"),
        ("ENC-04", "http://www.w3.org/2001/04/xmlenc#rsa-1_5"),
    ],
)
def test_weak_encryption_is_found(parsed: Parsed, rule: str, algorithm: str) -> None:
    assert found(parsed(Profile.OSB_RM_E, encryption_algorithm=algorithm)) == {(rule, ERROR)}


def test_rsa_oaep_beside_gcm_is_no_deviation(parsed: Parsed) -> None:
    both = "aes256-gcm</cpa:EncryptionAlgorithm><cpa:EncryptionAlgorithm>http://www.w3.org/2009/xmlenc11#rsa-oaep<"
    assert found(parsed(Profile.OSB_RM_E, ("aes256-gcm<", both))) == set()


def test_what_is_for_tests_is_allowed_in_tests(parsed: Parsed) -> None:
    damage = ("00000001001100415000<", "00000099001100415000_T<")
    severities = found(parsed(Profile.OSB_RM_S, damage), production=False)
    assert severities == {("CRT-21", WARNING)}
    assert {("OIN-06", ERROR), ("OIN-07", ERROR)} <= found(parsed(Profile.OSB_RM_S, damage))


def test_a_suffix_does_not_hide_that_the_oin_is_the_same(parsed: Parsed) -> None:
    damage = ("00000001001100415000<", "00000001001100415000_T<")
    assert found(parsed(Profile.OSB_RM_S, damage), production=False) == set()


def test_a_party_of_another_scheme_is_not_compared_with_an_oin(parsed: Parsed, make: type) -> None:
    document = parsed(second=make.us(party_id=PartyId("voorbeeldstad", "urn:other")))
    assert found(document) == {("HDR-07", WARNING)}


@pytest.mark.parametrize(
    ("changes", "production", "finding"),
    [
        ({"oin": None}, True, ("CRT-21", ERROR)),
        ({"oin": None}, False, ("CRT-21", WARNING)),
        ({"key_size": 2048}, True, ("CRT-15", WARNING)),
        ({"key_size": 1024}, True, ("CRT-15", ERROR)),
        ({"self_signed": True}, True, ("CRT-09", ERROR)),
        ({"self_signed": True}, False, ("CRT-09", INFO)),
        ({"not_after": datetime(2028, 1, 1, tzinfo=UTC)}, True, ("CPA-05", WARNING)),
        ({"not_after": datetime(2026, 5, 1, tzinfo=UTC)}, True, ("CRT-03", ERROR)),
        ({"not_before": datetime(2026, 7, 1, tzinfo=UTC)}, True, ("CRT-03", WARNING)),
    ],
)
def test_a_weak_certificate_is_found(
    parsed: Parsed, make: type, changes: dict[str, object], production: bool, finding: tuple[str, Severity]
) -> None:
    document = parsed(second=make.us(signing_certificate=make.certificate(**changes)))
    assert found(document, production=production) == {finding}


def test_a_corrupt_certificate_is_found_and_stops_no_other_check(parsed: Parsed) -> None:
    damage = (
        ("<ds:X509Certificate>M", "<ds:X509Certificate>%"),
        (">P2D<", ">P1D<"),
    )
    assert found(parsed(Profile.OSB_RM_S, *damage)) == {("CPA-13", ERROR), ("REL-11", WARNING)}


def test_plain_http_is_a_warning_outside_production(parsed: Parsed, make: type) -> None:
    bare = dict.fromkeys(("client_certificate", "server_certificate"))
    document = parsed(Profile.OSB_RM, second=make.us(endpoint="http://127.0.0.1:9000/", **bare))
    assert found(document, production=False) == {("TRN-01", WARNING), ("CPA-12", WARNING)}
    assert ("TRN-01", ERROR) in found(document)


def test_a_wildcard_covers_one_label(parsed: Parsed, make: type) -> None:
    wildcard = make.certificate(host="*.voorbeeldstad.example")
    assert found(parsed(second=make.us(server_certificate=wildcard))) == set()
    deep = make.us(server_certificate=wildcard, endpoint="https://a.b.voorbeeldstad.example/")
    assert found(parsed(second=deep)) == {("TRN-20", WARNING)}


def test_a_service_without_type_is_compared_as_such(parsed: Parsed) -> None:
    assert found(parsed(service=Service("urn:demo:melding"))) == {("NAM-01", WARNING)}
