# SPDX-License-Identifier: EUPL-1.2

"""Messages written by hand in the shapes that go over the wire, and ways to change them."""

from datetime import UTC, datetime
from typing import Any

from lxml import etree

from adapter.ebms import MSH_SERVICE, MessageHeader, Party, SignalAction
from cpa import PartyId, Service

SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
EB = "http://www.oasis-open.org/committees/ebxml-msg/schema/msg-header-2_0.xsd"
DS = "http://www.w3.org/2000/09/xmldsig#"
XLINK = "http://www.w3.org/1999/xlink"
TO_PARTY = "urn:oasis:names:tc:ebxml-msg:actor:toPartyMSH"
NEXT_MSH = "urn:oasis:names:tc:ebxml-msg:actor:nextMSH"
NEXT = "http://schemas.xmlsoap.org/soap/actor/next"

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
OUR_OIN = "00000001001100415000"
THEIR_OIN = "00000003271247010000"
CPA_ID = "demoMelding_A_B_6b0c2b64"
SERVICE = Service("demo:melding:1.0", "urn:osb:services")
ACTION = "aanleverenMelding"

MUST = 'SOAP:mustUnderstand="1" eb:version="2.0"'
ACK_REQUESTED = f'<eb:AckRequested {MUST} SOAP:actor="{TO_PARTY}" eb:signed="true"/>'
SYNC_REPLY = f'<eb:SyncReply {MUST} SOAP:actor="{NEXT}"/>'
MESSAGE_ORDER = (
    f'<eb:MessageOrder {MUST}><eb:SequenceNumber eb:status="Reset">0</eb:SequenceNumber></eb:MessageOrder>'
)
DS_REFERENCE = (
    f'<ds:Reference xmlns:ds="{DS}" URI="cid:p1@them">'
    '<ds:DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"/>'
    "<ds:DigestValue>EPIF0NofXh7fdGStJGE63nPzPg3cwkRm5VvZWeFU0dc=</ds:DigestValue></ds:Reference>"
)
MANIFEST = (
    '<eb:Manifest eb:version="2.0"><eb:Reference xlink:type="simple" xlink:href="cid:p1@them"/>'
    '<eb:Reference xlink:href="cid:p2@them"/></eb:Manifest>'
)


def party(name: str, oin: str, role: str | None = None) -> str:
    role_element = f"<eb:Role>{role}</eb:Role>" if role else ""
    return f'<eb:{name}><eb:PartyId eb:type="urn:osb:oin">{oin}</eb:PartyId>{role_element}</eb:{name}>'


def envelope(header: str, body: str = "") -> bytes:
    """A SOAP envelope around the XML of header entries and body."""
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<SOAP:Envelope xmlns:SOAP="{SOAP}" xmlns:eb="{EB}"'
        f' xmlns:xlink="{XLINK}"><SOAP:Header>{header}</SOAP:Header><SOAP:Body>{body}</SOAP:Body>'
        "</SOAP:Envelope>"
    ).encode()


def message(
    entries: str = ACK_REQUESTED,
    body: str = "",
    *,
    sender: str = party("From", THEIR_OIN, "LOKET"),
    receiver: str = party("To", OUR_OIN, "BEVOEGDGEZAG"),
    service: str = '<eb:Service eb:type="urn:osb:services">demo:melding:1.0</eb:Service>',
    action: str = ACTION,
    message_id: str = "m1@them",
    data: str = "<eb:Timestamp>2026-06-01T12:00:00Z</eb:Timestamp>",
    after: str = "<eb:DuplicateElimination/>",
) -> bytes:
    """A business message from them to us; `data` goes after the MessageId, `after` after the MessageData."""
    header = (
        f"<eb:MessageHeader {MUST}>{sender}{receiver}<eb:CPAId>{CPA_ID}</eb:CPAId>"
        f"<eb:ConversationId>c1</eb:ConversationId>{service}<eb:Action>{action}</eb:Action>"
        f"<eb:MessageData><eb:MessageId>{message_id}</eb:MessageId>{data}</eb:MessageData>{after}"
        "</eb:MessageHeader>"
    )
    return envelope(header + entries, body)


def signal(action: str, entries: str = "", body: str = "", *, ref: str | None = "m0@us") -> bytes:
    """An MSH signal from them to us."""
    reference = f"<eb:RefToMessageId>{ref}</eb:RefToMessageId>" if ref else ""
    return message(
        entries,
        body,
        sender=party("From", THEIR_OIN),
        receiver=party("To", OUR_OIN),
        service=f"<eb:Service>{MSH_SERVICE}</eb:Service>",
        action=action,
        data=f"<eb:Timestamp>2026-06-01T12:00:00Z</eb:Timestamp>{reference}",
        after="",
    )


def acknowledgment_entry(references: str = DS_REFERENCE) -> str:
    return (
        f'<eb:Acknowledgment {MUST} SOAP:actor="{TO_PARTY}"><eb:Timestamp>2026-06-01T12:00:00Z</eb:Timestamp>'
        f"<eb:RefToMessageId>m0@us</eb:RefToMessageId>{party('From', THEIR_OIN)}{references}</eb:Acknowledgment>"
    )


def error(code: str = "MimeProblem", severity: str = "Error", more: str = "") -> str:
    return (
        f'<eb:Error eb:errorCode="{code}" eb:severity="{severity}" {more}>'
        '<eb:Description xml:lang="en">Something</eb:Description></eb:Error>'
    )


def error_list(*errors: str, highest: str = "Error") -> str:
    return f'<eb:ErrorList {MUST} eb:highestSeverity="{highest}">{"".join(errors)}</eb:ErrorList>'


STATUS_REQUEST = (
    '<eb:StatusRequest eb:version="2.0"><eb:RefToMessageId>m0@us</eb:RefToMessageId></eb:StatusRequest>'
)
STATUS_RESPONSE = (
    '<eb:StatusResponse eb:version="2.0" eb:messageStatus="Processed">'
    "<eb:RefToMessageId>m0@us</eb:RefToMessageId>"
    "<eb:Timestamp>2026-06-01T11:59:59Z</eb:Timestamp></eb:StatusResponse>"
)

WIRE = {
    "business": message(ACK_REQUESTED, MANIFEST),
    "acknowledgment": signal("Acknowledgment", acknowledgment_entry()),
    "message-error": signal("MessageError", error_list(error())),
    "ping": signal("Ping", ref=None),
    "pong": signal("Pong"),
    "status-request": signal("StatusRequest", body=STATUS_REQUEST, ref=None),
    "status-response": signal("StatusResponse", body=STATUS_RESPONSE),
}
"""One message of each kind, as a peer sends it."""

_FOREIGN = '<x:extra xmlns:x="urn:x-extra" x:a="1">more<x:deep/></x:extra>'

RICH = {
    "every option of a business message": message(
        f'<eb:AckRequested {MUST} eb:signed="false" eb:id="a1">{_FOREIGN}</eb:AckRequested>'
        f"{SYNC_REPLY}{MESSAGE_ORDER}",
        '<eb:Manifest eb:version="2.0" eb:id="m1"><eb:Reference xlink:href="cid:p1@them" eb:id="r1"'
        ' xlink:role="urn:x-role"><eb:Schema eb:location="urn:x-schema" eb:version="1.1"/>'
        f'<eb:Description xml:lang="nl-NL">Eerste</eb:Description>{_FOREIGN}</eb:Reference>'
        f"{_FOREIGN}</eb:Manifest>",
        sender=f"<eb:From><eb:PartyId>urn:x-them</eb:PartyId>{party('From', THEIR_OIN)[9:]}",
        data="<eb:Timestamp>2026-06-01T12:00:00.123456789+02:00</eb:Timestamp>"
        "<eb:RefToMessageId>m0@us</eb:RefToMessageId>"
        "<eb:TimeToLive>2026-06-02T24:00:00</eb:TimeToLive>",
        after='<eb:DuplicateElimination/><eb:Description xml:lang="en">One</eb:Description>'
        f'<eb:Description xml:lang="nl">Twee</eb:Description>{_FOREIGN}',
    ),
    "an acknowledgment without references": signal("Acknowledgment", acknowledgment_entry("")),
    "an acknowledgment with two references": signal("Acknowledgment", acknowledgment_entry(DS_REFERENCE * 2)),
    "an error list with two errors": signal(
        "MessageError",
        error_list(
            error("MimeProblem", "Error", 'eb:location="cid:p1@them" eb:id="e1" eb:codeContext="urn:x-c"'),
            error("Inconsistent", "Warning"),
        ),
    ),
}
"""Messages with what the schema allows and few peers send."""


def changed(data: bytes, *changes: tuple[str, str], count: int = -1) -> bytes:
    """The message with texts replaced; each must occur, so that a test cannot miss its mark."""
    for old, new in changes:
        assert old.encode() in data, old
        data = data.replace(old.encode(), new.encode(), count)
    return data


def header(**changes: Any) -> MessageHeader:
    """A header of a business message from us to them."""
    fields: dict[str, Any] = {
        "sender": Party((PartyId(OUR_OIN, "urn:osb:oin"),), "BEVOEGDGEZAG"),
        "receiver": Party((PartyId(THEIR_OIN, "urn:osb:oin"),), "LOKET"),
        "cpa_id": CPA_ID,
        "conversation_id": "c1",
        "service": SERVICE,
        "action": ACTION,
        "message_id": "m1@us",
        "timestamp": NOW,
    }
    return MessageHeader(**(fields | changes))


def signal_header(action: SignalAction, **changes: Any) -> MessageHeader:
    """A header of a signal from us to them."""
    return header(
        sender=Party((PartyId(OUR_OIN, "urn:osb:oin"),)),
        receiver=Party((PartyId(THEIR_OIN, "urn:osb:oin"),)),
        service=Service(MSH_SERVICE),
        action=action.value,
        **changes,
    )


def schema_of(shared: Any, name: str = "msg-header-2_0.xsd") -> etree.XMLSchema:
    return etree.XMLSchema(etree.parse(shared / "xsd" / "ebms" / name))
