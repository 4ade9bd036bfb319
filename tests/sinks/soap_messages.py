# SPDX-License-Identifier: EUPL-1.2

"""SOAP as the fakes of the tests read and write it."""

from dataclasses import dataclass

from lxml import etree

SOAP_11 = "http://schemas.xmlsoap.org/soap/envelope/"
SOAP_12 = "http://www.w3.org/2003/05/soap-envelope"
STUF = "http://www.egem.nl/StUF/StUF0301"


@dataclass(frozen=True)
class SoapRequest:
    """A request as it came: the version by its envelope, its headers, and the one element of its body."""

    namespace: str
    headers: tuple[etree._Element, ...]
    body: etree._Element


def read_request(data: bytes) -> SoapRequest:
    root = etree.fromstring(data, etree.XMLParser(huge_tree=True, resolve_entities=False))
    namespace = etree.QName(root).namespace
    assert namespace in {SOAP_11, SOAP_12}
    assert root.tag == f"{{{namespace}}}Envelope"
    *header, body = root
    assert [one.tag for one in header] in ([], [f"{{{namespace}}}Header"])
    assert body.tag == f"{{{namespace}}}Body"
    (message,) = body
    return SoapRequest(str(namespace), tuple(header[0]) if header else (), message)


def soap_answer(body: str, namespace: str = SOAP_11) -> bytes:
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><s:Envelope xmlns:s="{namespace}" xmlns:StUF="{STUF}">'
        f"<s:Body>{body}</s:Body></s:Envelope>"
    ).encode()


def confirmation(code: str, cross: str | None, number: str = "antwoord-1") -> str:
    crossed = "" if cross is None else f"<StUF:crossRefnummer>{cross}</StUF:crossRefnummer>"
    return (
        f"<StUF:{code}Bericht><StUF:stuurgegevens><StUF:berichtcode>{code}</StUF:berichtcode>"
        f"<StUF:referentienummer>{number}</StUF:referentienummer>{crossed}</StUF:stuurgegevens></StUF:{code}Bericht>"
    )


def stuf_fault(fo: str, code: str, details: str = "", namespace: str = SOAP_11) -> bytes:
    """A refusal in a SOAP fault of either version; without a code where that is empty."""
    named = f"<StUF:code>{code}</StUF:code>" if code else ""
    refusal = (
        f"<StUF:{fo}Bericht><StUF:stuurgegevens><StUF:berichtcode>{fo}</StUF:berichtcode></StUF:stuurgegevens>"
        f"<StUF:body>{named}<StUF:plek>server</StUF:plek>"
        f"<StUF:omschrijving>niet goed</StUF:omschrijving><StUF:details>{details}</StUF:details></StUF:body>"
        f"</StUF:{fo}Bericht>"
    )
    if namespace == SOAP_11:
        return soap_answer(
            f"<s:Fault><faultcode>s:Client</faultcode><faultstring>niet goed</faultstring><detail>{refusal}</detail>"
            "</s:Fault>"
        )
    return soap_answer(
        "<s:Fault><s:Code><s:Value>s:Sender</s:Value></s:Code><s:Reason><s:Text>niet goed</s:Text></s:Reason>"
        f"<s:Detail>{refusal}</s:Detail></s:Fault>",
        namespace,
    )
