# SPDX-License-Identifier: EUPL-1.2

"""The error table of ebMS 2.0: every code, its text on the wire, and what a refused message is answered with.

A *problem* is one finding about a received message; it carries two texts: a generic one for the partner
(`EbmsError.description`) and the detail for the log (`EbmsError.detail`). Only the first ever leaves the house.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Severity(StrEnum):
    """Weight of an ebMS error: Error means not processed, Warning means that processing went on (EB 4.2.3.2.4)."""

    WARNING = "Warning"
    ERROR = "Error"


class ErrorCode(StrEnum):
    """Codes of EB 4.2.3.4, and the only ones: `codeContext` never names another list (ERR-01)."""

    VALUE_NOT_RECOGNIZED = "ValueNotRecognized"
    NOT_SUPPORTED = "NotSupported"
    INCONSISTENT = "Inconsistent"
    OTHER_XML = "OtherXml"
    DELIVERY_FAILURE = "DeliveryFailure"
    TIME_TO_LIVE_EXPIRED = "TimeToLiveExpired"
    SECURITY_FAILURE = "SecurityFailure"
    MIME_PROBLEM = "MimeProblem"
    UNKNOWN = "Unknown"


DESCRIPTIONS: Final[dict[ErrorCode, str]] = {
    ErrorCode.VALUE_NOT_RECOGNIZED: "Element content or attribute value not recognized",
    ErrorCode.NOT_SUPPORTED: "Element or attribute not supported",
    ErrorCode.INCONSISTENT: "Element content or attribute value inconsistent with other elements or attributes",
    ErrorCode.OTHER_XML: "Other error in an element content or attribute value",
    ErrorCode.DELIVERY_FAILURE: "Message delivery failure",
    ErrorCode.TIME_TO_LIVE_EXPIRED: "Message time to live expired",
    ErrorCode.SECURITY_FAILURE: "Message security checks failed",
    ErrorCode.MIME_PROBLEM: "URI resolve error",
    ErrorCode.UNKNOWN: "Unknown error",
}
"""The generic text of each code, used on the wire: it says nothing that the code does not say (ERR-12)."""


@dataclass(frozen=True, slots=True)
class EbmsError:
    """One error as it goes into an ErrorList, with the detail that stays in the log.

    `location` is an XPath with the prefixes `SOAP`, `eb` and `ds`, or a `cid:` of a payload (ERR-07).
    """

    code: ErrorCode
    location: str | None = None
    detail: str = ""
    severity: Severity = Severity.ERROR

    @property
    def description(self) -> str:
        """The text for the partner."""
        return DESCRIPTIONS[self.code]

    def __str__(self) -> str:
        place = f" at {self.location}" if self.location else ""
        return f"{self.code.value}{place}: {self.detail or self.description}"


class FaultCode(StrEnum):
    """SOAP 1.1 fault codes that an MSH gives (SOAP 1.1 4.4.1)."""

    CLIENT = "Client"
    SERVER = "Server"
    VERSION_MISMATCH = "VersionMismatch"
    MUST_UNDERSTAND = "MustUnderstand"


class SoapFault(Exception):
    """What cannot be reported by an ErrorList: there is no usable header or no agreed address (ERR-06).

    Answered with HTTP 500. `reason` is a short stable word for the counter and the log, `text` the faultstring
    for the partner, `detail` what only the log may know.
    """

    def __init__(self, code: FaultCode, reason: str, text: str, detail: str = "") -> None:
        super().__init__(detail or text)
        self.code = code
        self.reason = reason
        self.text = text
        self.detail = detail or text


class Forbidden(Exception):
    """The peer is not who may send this; answered with HTTP 403 and nothing else (section "identity" of the rules).

    `reason` is a short stable word for counter and log, the exception text the detail for the log.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


LOCATION_HEADER: Final = "/SOAP:Envelope/SOAP:Header"
LOCATION_MESSAGE_HEADER: Final = f"{LOCATION_HEADER}/eb:MessageHeader"
LOCATION_MANIFEST: Final = "/SOAP:Envelope/SOAP:Body/eb:Manifest"
LOCATION_SIGNATURE: Final = f"{LOCATION_HEADER}/ds:Signature"


def highest_severity(errors: tuple[EbmsError, ...]) -> Severity:
    """The highest severity in a list (ERR-03)."""
    return Severity.ERROR if any(e.severity is Severity.ERROR for e in errors) else Severity.WARNING
