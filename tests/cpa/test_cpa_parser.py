# SPDX-License-Identifier: EUPL-1.2

"""Reading CPAs as they occur, and refusing what is none."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from lxml import etree

from cpa import (
    CollaborationProtocolAgreement,
    CpaError,
    EndpointType,
    Frequency,
    MessageOrder,
    MessagingCharacteristics,
    PartyId,
    Profile,
    Service,
    SyncReplyMode,
    agreement_for,
    lint,
    parse_cpa,
)

SERVICE = Service("demo:melding:1.0", "urn:osb:services")
Parsed = Callable[..., CollaborationProtocolAgreement]
Written = Callable[..., bytes]


def test_the_whole_document_is_read(parsed: Parsed, make: type) -> None:
    document = parsed(Profile.OSB_RM_E)
    first, second = document.parties
    assert document.version == "2_0b"
    assert (first.ids, second.ids) == (
        (PartyId(make.their_oin, "urn:osb:oin"),),
        (PartyId(make.our_oin, "urn:osb:oin"),),
    )
    assert first.default_channel is first.channels[0]
    assert first.default_packaging is document.packagings[0]
    assert first.roles[0].can_send[0].binding.packaging is document.packagings[1]
    assert first.roles[0].can_send[0].binding.channel is first.channels[1]
    assert first.roles[0].can_send[0].other_binding_id == second.roles[0].can_receive[0].binding.id
    assert first.roles[0].can_send[0].binding.characteristics.time_to_perform == timedelta(days=2)
    assert document.simple_parts[0].mime_type == "text/xml"
    assert document.packagings[1].composite_lists[0][0].constituents[1].min_occurs == 0
    assert [details.id for details in first.security_details] == ["A_SEC_MSG", "A_SEC_TLS"]
    assert len(first.certificates) == 4
    assert first.transports[0].receiver is not None
    assert first.transports[0].receiver.endpoints[0].type is EndpointType.ALL_PURPOSE


def test_a_certificate_is_the_octets_that_were_embedded(parsed: Parsed, make: type) -> None:
    certificate = parsed().parties[0].certificates[0]
    expected = make.certificate(make.their_oin, host="ebms.loket.example", purpose="signing")
    assert certificate.der == expected.public_bytes(Encoding.DER)
    assert certificate.x509 == expected
    assert certificate.x509 is certificate.x509


def test_line_ends_in_a_certificate_do_not_matter(written: Written) -> None:
    clean = parse_cpa(written())
    text = written().decode()
    broken = text.replace("<ds:X509Certificate>", "<ds:X509Certificate>\n\t&#13;\n ").replace(
        "</ds:X509Certificate>", "&#13;\n</ds:X509Certificate>"
    )
    certificates = [certificate.der for certificate in clean.parties[0].certificates]
    assert [c.der for c in parse_cpa(broken.encode()).parties[0].certificates] == certificates


def test_only_the_first_certificate_of_a_chain_counts(written: Written) -> None:
    data = written().replace(
        b"</ds:X509Certificate>", b"</ds:X509Certificate><ds:X509Certificate>AAAA</ds:X509Certificate>"
    )
    assert parse_cpa(data).parties == parse_cpa(written()).parties


@pytest.mark.parametrize(
    "text", ["MIID", "%%%%", "", "AAA"], ids=["no X.509", "no base64", "empty", "no pad"]
)
def test_a_corrupt_certificate_is_an_error_only_for_who_asks_for_it(written: Written, text: str) -> None:
    root = etree.fromstring(written())
    next(root.iter("{*}X509Certificate")).text = text
    certificate = parse_cpa(etree.tostring(root)).parties[0].certificates[0]
    with pytest.raises(CpaError, match=r"Certificate 'A_CERT_SIGN' \(line \d+\)"):
        _ = certificate.x509


def test_the_defaults_of_the_schema_apply(written: Written) -> None:
    root = etree.fromstring(written())
    for element in (*root.iter("{*}MessagingCharacteristics"), *root.iter("{*}Endpoint")):
        uri = {name: value for name, value in element.attrib.items() if name.endswith("uri")}
        element.attrib.clear()
        element.attrib.update(uri)
    channel = parse_cpa(etree.tostring(root)).parties[0].channels[1]
    assert channel.characteristics == MessagingCharacteristics(
        SyncReplyMode.NONE, Frequency.PER_MESSAGE, Frequency.PER_MESSAGE, Frequency.PER_MESSAGE, None
    )
    assert channel.transport.receiver is not None
    assert channel.transport.receiver.endpoints[0].type is EndpointType.ALL_PURPOSE


def test_white_space_in_tokens_collapses(parsed: Parsed) -> None:
    document = parsed(
        Profile.OSB_RM_S,
        (">NotGuaranteed<", ">NotGuaranteed\n      <"),
        (">A_CH_BUSINESS<", ">\n A_CH_BUSINESS\n<"),
        ('"always"', '" always "'),
        (">PT3H<", "> PT3H\n<"),
        (">8<", "> 8 <"),
    )
    binding = document.parties[0].channels[1].doc_exchange.sender
    assert binding is not None
    assert binding.reliable_messaging is not None
    assert binding.reliable_messaging.message_order is MessageOrder.NOT_GUARANTEED
    assert binding.reliable_messaging.retries == 8
    assert document.parties[0].roles[0].can_send[0].binding.channel.id == "A_CH_BUSINESS"


def test_white_space_in_a_service_stays(parsed: Parsed) -> None:
    document = parsed(Profile.OSB_RM_S, (">demo:melding:1.0<", "> demo:melding:1.0\n<"))
    assert document.parties[0].roles[0].service.name == " demo:melding:1.0\n"


def test_a_moment_without_zone_is_utc(parsed: Parsed) -> None:
    document = parsed(Profile.OSB_RM_S, ("2026-02-01T00:00:00Z", "2026-02-01T00:00:00"))
    assert document.start == datetime(2026, 2, 1, tzinfo=UTC)


def test_the_order_of_the_parties_has_no_meaning(written: Written, make: type) -> None:
    root = etree.fromstring(written())
    parties = root.findall("{*}PartyInfo")
    parties[0].addprevious(parties[1])
    swapped = agreement_for(parse_cpa(etree.tostring(root)), make.our_oin)
    usual = agreement_for(parse_cpa(written()), make.our_oin)
    assert swapped.us == usual.us
    assert swapped.received(SERVICE, "aanleverenMelding") == usual.received(SERVICE, "aanleverenMelding")


def test_comments_and_unknown_elements_are_ignored(parsed: Parsed) -> None:
    plain = parsed()
    extra = parsed(
        Profile.OSB_RM_S,
        ("<cpa:Service ", '<x:extra xmlns:x="urn:x"><x:Service/></x:extra><cpa:Unknown/><cpa:Service '),
        (">demo:melding:1.0<", ">demo:<!-- a comment -->melding:1.0<"),
        ("<cpa:CollaborationRole>", "<cpa:Comment>text</cpa:Comment><cpa:CollaborationRole>"),
    )
    assert extra == plain


@pytest.mark.parametrize(
    ("new", "uri"),
    [
        ("<cpa:SignatureAlgorithm>\n urn:alg \n<", "urn:alg"),
        ('<cpa:SignatureAlgorithm cpa:w3c="urn:w3c">RSA<', "urn:w3c"),
        ("<cpa:SignatureAlgorithm>RSA<", "RSA"),
        ('<cpa:SignatureAlgorithm cpa:w3c="urn:w3c">urn:alg<', "urn:alg"),
    ],
)
def test_the_algorithm_is_in_the_text_or_in_w3c(parsed: Parsed, make: type, new: str, uri: str) -> None:
    old = "<cpa:SignatureAlgorithm>http://www.w3.org/2001/04/xmldsig-more#rsa-sha256<"
    exchange = agreement_for(parsed(Profile.OSB_RM_S, (old, new)), make.our_oin).received(
        SERVICE, "aanleverenMelding"
    )
    assert exchange is not None
    assert exchange.signature_algorithms == (uri,)


def test_a_nested_synchronous_response_is_kept(written: Written, make: type) -> None:
    root = etree.fromstring(written())
    for party in root.findall("{*}PartyInfo"):
        sends = party.findall(".//{*}ServiceBinding/{*}CanSend")
        receives = party.findall(".//{*}ServiceBinding/{*}CanReceive")
        if len(sends) == 2:
            sends[0].append(receives[0])
        else:
            receives[0].append(sends[0])
    agreement = agreement_for(parse_cpa(etree.tostring(root)), make.our_oin)
    assert [reply.binding.action for reply in agreement.us.roles[0].can_receive[0].replies] == [
        "bevestigenMelding"
    ]
    assert agreement.us.roles[0].can_send == ()
    assert agreement.sent(SERVICE, "bevestigenMelding") is not None


def test_an_override_and_access_authentication_are_read(parsed: Parsed) -> None:
    document = parsed(
        Profile.OSB_RM_S,
        ("</cpa:PartyInfo>", OVERRIDE + "</cpa:PartyInfo>"),
        ("<cpa:TransportClientSecurity>", ACCESS + "<cpa:TransportClientSecurity>"),
        count=1,
    )
    party = document.parties[0]
    assert party.channel_for_signal("Acknowledgment") is party.channels[1]
    assert party.channel_for_signal("Ping") is party.default_channel
    assert party.transports[0].sender is not None
    assert party.transports[0].sender.access_authentication == ("basic",)


OVERRIDE = '<cpa:OverrideMshActionBinding cpa:action="Acknowledgment" cpa:channelId="A_CH_BUSINESS"/>'
ACCESS = "<cpa:AccessAuthentication>basic</cpa:AccessAuthentication>"


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (('cpa:cpaid="', 'cpa:other="'), r"CollaborationProtocolAgreement \(line \d+\): .*cpaid is missing"),
        (('cpa:cpaid="', 'cpaid="'), "cpaid has no namespace"),
        (('cpa:value="agreed"', 'cpa:value="maybe"'), r"Status \(line \d+\): value is 'maybe'; allowed"),
        (("2026-02-01T00:00:00Z", "yesterday"), r"Start \(line \d+\): the text: 'yesterday'"),
        (('cpa:transportId="A_TR"', 'cpa:transportId="A_XX" cpa:x="'), "cannot be read"),
        ((">A_CH_BUSINESS<", ">A_GONE<"), r"ChannelId in ThisPartyActionBinding 'A_S_1.*'A_GONE', but no"),
        ((">A_CH_BUSINESS<", ">A_TR<"), "which is a Transport and not a DeliveryChannel"),
        ((">A_CH_BUSINESS<", ">B_CH_BUSINESS<"), "is a DeliveryChannel of the other party"),
        ((">A_CH_BUSINESS<", "> <"), "refers to ''"),
        (('cpa:packageId="PKG_BUSINESS"', 'cpa:packageId="A_TR"'), "not a Packaging"),
        (('cpa:idref="PART_XML"', 'cpa:idref="PKG_SIGNAL"'), "not a SimplePart or Composite"),
        (
            ('cpa:channelId="A_CH_MSH"', 'cpa:channelId="A_TR"'),
            "the id is already that of the DeliveryChannel",
        ),
        (('cpa:id="PART_XML"', 'cpa:id="PART_BINARY"'), "the id is already that of the SimplePart on line"),
        (
            ('SigningCertificateRef cpa:certId="A_CERT_SIGN"', 'Gone cpa:x="x"'),
            "SigningCertificateRef is missing",
        ),
        (
            ('SigningCertificateRef cpa:certId="A_CERT_SIGN"', 'SigningCertificateRef cpa:certId="A_TR"'),
            "not a Cert",
        ),
        ((">8<", ">-1<"), r"Retries in DocExchange 'A_DX_BUSINESS' \(line \d+\): the text: '-1'"),
        ((">8<", ">99999<"), "span more than 10 years"),
        ((">PT3H<", ">-PT3H<"), "not a duration between 0 and 100 years"),
        ((">PT3H<", ">3 hours<"), "not an xs:duration"),
        ((">NotGuaranteed<", ">Perhaps<"), "allowed are Guaranteed, NotGuaranteed"),
        (
            ('isAuthorizationRequired="true"', 'isAuthorizationRequired="yes"'),
            "allowed are true, false, 1, 0",
        ),
        ((">demo:melding:1.0<", "> <"), r"Service \(line \d+\): the text is empty"),
        (
            ("<cpa:PersistDuration>", "<cpa:PersistDuration>P1D</cpa:PersistDuration><cpa:PersistDuration>"),
            "2 times",
        ),
        (
            ('cpa:defaultMshChannelId="A_CH_MSH"', ""),
            r"PartyInfo \(line \d+\): .*defaultMshChannelId is missing",
        ),
        (('cpa:partyName="DSO-LV (fictief)"', 'cpa:partyName=""'), "partyName is empty"),
        (("<cpa:Service ", "<cpa:Gone "), "cannot be read"),
        (
            ('cpa:uri="https', 'cpa:url="https'),
            r"Endpoint in Transport 'A_TR' .*: the attribute uri is missing",
        ),
        (('cpa:type="allPurpose"', 'cpa:type="any"'), "type is 'any'"),
    ],
)
def test_a_structural_error_names_element_id_and_line(
    parsed: Parsed, damage: tuple[str, str], problem: str
) -> None:
    with pytest.raises(CpaError, match=problem):
        parsed(Profile.OSB_RM_S, damage)


def test_a_channel_with_an_unknown_transport_is_refused(parsed: Parsed) -> None:
    old = 'cpa:transportId="A_TR" cpa:docExchangeId="A_DX_MSH"'
    with pytest.raises(CpaError, match=r"DeliveryChannel 'A_CH_MSH' \(line \d+\): refers to 'A_NO'"):
        parsed(Profile.OSB_RM_S, (old, old.replace("A_TR", "A_NO")))


@pytest.mark.parametrize("number", [1, 3])
def test_a_cpa_is_between_exactly_two_parties(written: Written, number: int) -> None:
    root = etree.fromstring(written())
    parties = root.findall("{*}PartyInfo")
    if number == 1:
        root.remove(parties[1])
    else:
        parties[1].addnext(etree.Element(parties[1].tag))
    with pytest.raises(CpaError, match=f"there are {number} PartyInfo elements"):
        parse_cpa(etree.tostring(root))


@pytest.mark.parametrize(
    ("data", "problem"),
    [(b"<a/>", "this is no CPA: its root is a"), (b"no xml", "cannot be read"), (b"<!DOCTYPE a><a/>", "DTD")],
)
def test_what_is_no_cpa_is_refused(data: bytes, problem: str) -> None:
    with pytest.raises(CpaError, match=problem):
        parse_cpa(data)


def test_whatever_is_left_out_gives_a_document_that_can_be_checked_or_a_cpa_error(
    written: Written, make: type
) -> None:
    data = written(Profile.OSB_RM_E)
    for number in range(1, len(list(etree.fromstring(data).iter()))):
        root = etree.fromstring(data)
        element = list(root.iter())[number]
        variants = [_without(data, number, name) for name in element.attrib]
        parent = element.getparent()
        assert parent is not None
        parent.remove(element)
        for variant in (etree.tostring(root), *variants):
            try:
                lint(parse_cpa(variant), production=True, now=make.now)
            except CpaError as error:
                assert "line" in str(error)  # noqa: PT017


def _without(data: bytes, number: int, attribute: str) -> bytes:
    root = etree.fromstring(data)
    del list(root.iter())[number].attrib[attribute]
    return etree.tostring(root)
