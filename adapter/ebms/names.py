# SPDX-License-Identifier: EUPL-1.2

"""Names that stand on the wire: namespaces, services, actions, actors and prefixes of ebMS 2.0."""

from enum import StrEnum
from typing import Final

SOAP_NS: Final = "http://schemas.xmlsoap.org/soap/envelope/"
EB_NS: Final = "http://www.oasis-open.org/committees/ebxml-msg/schema/msg-header-2_0.xsd"
DS_NS: Final = "http://www.w3.org/2000/09/xmldsig#"
XLINK_NS: Final = "http://www.w3.org/1999/xlink"
XML_NS: Final = "http://www.w3.org/XML/1998/namespace"

VERSION: Final = "2.0"
CID: Final = "cid:"

MSH_SERVICE: Final = "urn:oasis:names:tc:ebxml-msg:service"
"""The Service of every message that MSHs send each other; it has no type (EB 4.2.4.3, 6.3.2, 7, 8)."""

ERROR_CONTEXT: Final = "urn:oasis:names:tc:ebxml-msg:service:errors"
"""The only codeContext in use (ERR-01)."""

TO_PARTY_MSH: Final = "urn:oasis:names:tc:ebxml-msg:actor:toPartyMSH"
NEXT_MSH: Final = "urn:oasis:names:tc:ebxml-msg:actor:nextMSH"
NEXT_ACTOR: Final = "http://schemas.xmlsoap.org/soap/actor/next"

OUR_ACTORS: Final = frozenset({"", TO_PARTY_MSH, NEXT_MSH, NEXT_ACTOR})
"""Actors that aim a SOAP header at this MSH: an endpoint is the next MSH and the last one at once (HDR-29)."""

SOAP_ACTION: Final = '"ebXML"'
"""Value of the SOAPAction header with its quotes: some peers compare them too (TRN-05)."""


class SignalAction(StrEnum):
    """Actions of the MSH service."""

    ACKNOWLEDGMENT = "Acknowledgment"
    MESSAGE_ERROR = "MessageError"
    PING = "Ping"
    PONG = "Pong"
    STATUS_REQUEST = "StatusRequest"
    STATUS_RESPONSE = "StatusResponse"


def soap(name: str) -> str:
    """`name` in the SOAP 1.1 envelope namespace, as lxml writes it."""
    return f"{{{SOAP_NS}}}{name}"


def eb(name: str) -> str:
    """`name` in the ebMS 2.0 header namespace, as lxml writes it."""
    return f"{{{EB_NS}}}{name}"


def ds(name: str) -> str:
    """`name` in the XML-DSig namespace, as lxml writes it."""
    return f"{{{DS_NS}}}{name}"


def xlink(name: str) -> str:
    """`name` in the XLink namespace, as lxml writes it."""
    return f"{{{XLINK_NS}}}{name}"
