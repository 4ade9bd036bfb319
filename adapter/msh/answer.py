# SPDX-License-Identifier: EUPL-1.2

"""What goes back in the HTTP response."""

from dataclasses import dataclass
from typing import Final

from adapter.ebms import SOAP_CONTENT_TYPE, SoapFault, build_fault

RETRY_AFTER: Final = 30
"""Seconds after which a partner may try again when we cannot take anything now."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP response; an empty body has no type."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()

    @property
    def content_type(self) -> str | None:
        """The Content-Type: only SOAP is ever answered."""
        return SOAP_CONTENT_TYPE if self.body else None


TAKEN: Final = Answer(204)
"""Received; what is to be said about it comes in a session of its own (TRN-11)."""

FORBIDDEN: Final = Answer(403)
UNAVAILABLE: Final = Answer(503, headers=(("Retry-After", str(RETRY_AFTER)),))


def signal_answer(envelope: bytes) -> Answer:
    """A signal in the response of a synchronous channel (SYN-05)."""
    return Answer(200, envelope)


def fault_answer(fault: SoapFault) -> Answer:
    """A SOAP fault goes with HTTP 500 (TRN-16)."""
    return Answer(500, build_fault(fault))
