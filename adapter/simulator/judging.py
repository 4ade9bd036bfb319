# SPDX-License-Identifier: EUPL-1.2

"""Judging what the adapter sends back: a signal must be about a message of ours, and say what was asked for (2.3)."""

from collections.abc import Mapping
from dataclasses import dataclass

from adapter.ebms import (
    Acknowledgment,
    Envelope,
    SignatureRefused,
    read_envelope,
    reference_digests,
    references_match,
    signatures_of,
    verify_signature,
)
from adapter.simulator.records import SentMessage
from cpa import Agreement


class _NoPayloads:
    """A signal has no payloads; a signature over one that refers to any does not hold."""

    def digest(self, content_id: str, algorithm: str) -> bytes:  # noqa: ARG002 - a protocol
        raise KeyError(content_id)

    def read(self, content_id: str, limit: int) -> bytes:  # noqa: ARG002 - a protocol
        raise KeyError(content_id)


@dataclass(frozen=True, slots=True)
class SignalJudge:
    """Judges signals about the messages that were sent under some agreements, by CPAId and MessageId."""

    agreements: Mapping[str, Agreement]
    sent: Mapping[str, SentMessage]

    def judge(self, envelope: Envelope) -> list[str]:
        """What is wrong with a signal about a message of ours (2.3)."""
        found = [str(problem) for problem in envelope.problems]
        original = self.sent.get(envelope.header.ref_to_message_id or "")
        if original is None:
            return [*found, "it is about no message of ours"]
        if original.conversation_id != envelope.header.conversation_id:
            found.append("it has another ConversationId than the message")
        found.extend(self._about_signature(envelope))
        if envelope.acknowledgment is not None:
            found.extend(_about_acknowledgment(envelope.acknowledgment, original))
        return found

    def _about_signature(self, envelope: Envelope) -> list[str]:
        exchange = self.agreements[envelope.header.cpa_id].received_signal(envelope.header.action)
        original = read_envelope(self.sent[envelope.header.ref_to_message_id or ""].envelope)
        asked = original.ack_requested is not None and original.ack_requested.signed
        if not signatures_of(envelope.root):
            return ["it is not signed"] if asked and envelope.acknowledgment is not None else []
        if exchange.signing_certificate is None:
            return ["it is signed, but the agreement names no certificate"]
        try:
            verify_signature(
                envelope.root,
                certificate=exchange.signing_certificate.x509,
                payloads=_NoPayloads(),
                required_cids=(),
            )
        except SignatureRefused as refused:
            return [f"its signature does not hold: {refused}"]
        return []


def _about_acknowledgment(acknowledgment: Acknowledgment, original: SentMessage) -> list[str]:
    if acknowledgment.ref_to_message_id != original.message_id:
        return ["eb:Acknowledgment and its header are about two messages"]
    asked = read_envelope(original.envelope).ack_requested
    if asked is None:
        return ["no acknowledgment was asked for"]
    if not asked.signed:
        return []
    parent = acknowledgment.references[0].getparent() if acknowledgment.references else None
    copied = reference_digests(parent) if parent is not None else ()
    return (
        []
        if references_match(original.references, copied)
        else ["its references are not those of the message"]
    )
