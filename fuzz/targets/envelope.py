# SPDX-License-Identifier: EUPL-1.2

"""The SOAP part of a message: whatever can be read can be answered, and the answer can be read."""

from datetime import UTC, datetime

from adapter.ebms import (
    Acknowledgment,
    EbmsError,
    ErrorCode,
    SignalAction,
    SignatureRefused,
    SoapFault,
    build_acknowledgment,
    build_fault,
    build_message_error,
    key_info_certificates,
    read_envelope,
    reference_digests,
    reply_header,
    serialize,
    signatures_of,
)
from adapter.ebms.names import ds

_NOW = datetime(2026, 1, 1, tzinfo=UTC)


def one_input(data: bytes) -> None:
    """Read an envelope, refuse it with a MessageError, and acknowledge it with the references of its signature."""
    try:
        envelope = read_envelope(data)
    except SoapFault as fault:
        assert build_fault(fault)
        return
    key_info_certificates(envelope.root)
    errors = (*envelope.problems, EbmsError(ErrorCode.UNKNOWN, "/"))
    about = envelope.header
    for action in (SignalAction.MESSAGE_ERROR, SignalAction.ACKNOWLEDGMENT):
        header = reply_header(about, action, message_id="answer@us.example", now=_NOW)
        if action is SignalAction.MESSAGE_ERROR:
            octets = serialize(build_message_error(header, errors))
        else:
            acknowledgment = Acknowledgment(_NOW, about.message_id, _references(envelope.root))
            octets = serialize(build_acknowledgment(header, acknowledgment))
        answer = read_envelope(octets)
        assert answer.header.ref_to_message_id == about.message_id
        assert answer.header.conversation_id == about.conversation_id
        assert answer.signal is action


def _references(root):  # type: ignore[no-untyped-def]
    """The references that an acknowledgment of a signed message copies, where they can be read."""
    for signature in signatures_of(root):
        signed_info = signature.find(ds("SignedInfo"))
        if signed_info is not None:
            try:
                reference_digests(signed_info)
            except SignatureRefused:
                continue
            return tuple(signed_info.findall(ds("Reference")))
    return ()
