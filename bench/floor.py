# SPDX-License-Identifier: EUPL-1.2

"""The floor: what a message costs without HTTP, jobs and logs: parse, verify, sign, commit, in a bare loop.

CPU only, one message after the other; the adapter cannot be cheaper, because it must do all of this.
"""

import hashlib
import sqlite3
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from lxml import etree

from adapter.ebms import (
    Acknowledgment,
    SignalAction,
    build_acknowledgment,
    read_envelope,
    reply_header,
    serialize,
    sign_envelope,
    signatures_of,
    verify_signature,
)
from adapter.msh import new_message_id
from adapter.pki import KeyPair
from bench.messages import PAYLOAD, ReadyMessage
from cpa import Agreement

_ROUNDS = 3


class _Payload:
    """The one payload that every message of the load has."""

    def digest(self, content_id: str, algorithm: str) -> bytes:  # noqa: ARG002 - a protocol
        return hashlib.sha256(PAYLOAD).digest()

    def read(self, content_id: str, limit: int) -> bytes:  # noqa: ARG002 - a protocol
        return PAYLOAD


def floor(directory: Path, agreement: Agreement, keys: KeyPair, messages: Sequence[ReadyMessage]) -> float:
    """CPU seconds per message; `agreement` is the receiver's view. The median of several rounds over the messages."""
    return median(
        _round(directory / f"floor-{number}.db", agreement, keys, messages) for number in range(_ROUNDS)
    )


def _round(path: Path, agreement: Agreement, keys: KeyPair, messages: Sequence[ReadyMessage]) -> float:
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=FULL")
    db.execute(
        "CREATE TABLE message (id INTEGER PRIMARY KEY, message_id TEXT UNIQUE, envelope BLOB, payload BLOB, ack BLOB)"
    )
    begun = time.process_time()
    for message in messages:
        acknowledgment = _process(agreement, keys, message)
        db.execute("BEGIN IMMEDIATE")
        row = (message.content_id, message.envelope, PAYLOAD, acknowledgment)
        db.execute("INSERT INTO message (message_id, envelope, payload, ack) VALUES (?, ?, ?, ?)", row)
        db.execute("COMMIT")
    seconds = time.process_time() - begun
    db.close()
    return seconds / len(messages)


def _process(agreement: Agreement, keys: KeyPair, message: ReadyMessage) -> bytes:
    envelope = read_envelope(message.envelope)
    now = datetime.now(UTC)
    references: tuple[etree._Element, ...] = ()
    signed = bool(signatures_of(envelope.root))
    if signed:
        exchange = agreement.received(envelope.header.service, envelope.header.action)
        if exchange is None or exchange.signing_certificate is None:
            raise ValueError("the agreement names no signing certificate")
        verified = verify_signature(
            envelope.root,
            certificate=exchange.signing_certificate.x509,
            payloads=_Payload(),
            required_cids=[message.content_id],
        )
        references = tuple(etree.fromstring(reference.element) for reference in verified.references)
    header = reply_header(
        envelope.header, SignalAction.ACKNOWLEDGMENT, message_id=new_message_id("bench.example"), now=now
    )
    root = build_acknowledgment(header, Acknowledgment(now, envelope.header.message_id, references))
    if signed:
        sign_envelope(root, private_key=keys.private_key, certificate=keys.certificate)
    return serialize(root)
