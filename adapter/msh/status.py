# SPDX-License-Identifier: EUPL-1.2

"""The Message Status Service, both ways: what became of a message (EB 7; STS-01 to STS-06)."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from sqlalchemy import Connection

from adapter.authorities import KnownAgreement
from adapter.ebms import (
    SignalAction,
    StatusResponse,
    build_status_request,
    serialize,
)
from adapter.msh.reply import IdMaker, message_row, new_message_id, own_host, party_text, request_header
from adapter.store import (
    Direction,
    MessageKind,
    MessageState,
    NewMessage,
    StoredMessage,
    find_messages,
)

STATUS_LIFE: Final = timedelta(seconds=60)
"""How long an answer to a StatusRequest is awaited by default."""


class MessageStatus(StrEnum):
    """What a StatusResponse can say (XSD messageStatus.type); Forwarded is for relays, which we are not."""

    UNAUTHORIZED = "UnAuthorized"
    NOT_RECOGNIZED = "NotRecognized"
    RECEIVED = "Received"
    PROCESSED = "Processed"
    FORWARDED = "Forwarded"


STATUS_OF: Final[Mapping[MessageState, MessageStatus]] = {
    MessageState.RECEIVED: MessageStatus.RECEIVED,
    MessageState.PROCESSED: MessageStatus.PROCESSED,
    MessageState.REFUSED: MessageStatus.RECEIVED,
}
"""What a partner is told about a message it sent us, by its state here."""


def status_of(conn: Connection, known: KnownAgreement, message_id: str) -> StatusResponse:
    """What became of a message that the partner of this agreement sent us.

    Only its own messages under the same agreement are known to a partner; of any other it learns no more than that we
    do not know it (STS-05).
    """
    theirs = {party_text(party) for party in known.agreement.them.ids}
    found: list[StoredMessage] = [
        message
        for message in find_messages(
            conn,
            direction=Direction.IN,
            kind=MessageKind.BUSINESS,
            cpa_id=known.cpa_id,
            message_id=message_id,
        )
        if message.from_party in theirs
    ]
    if not found:
        return StatusResponse(message_id, MessageStatus.NOT_RECOGNIZED)
    # the first that was accepted: refused ones with its MessageId may have come before and after
    first = min(found, key=lambda message: (message.state is MessageState.REFUSED, message.id))
    return StatusResponse(message_id, STATUS_OF[first.state], first.created_at)


def new_status_request(
    known: KnownAgreement,
    ref_to_message_id: str,
    now: datetime,
    *,
    life: timedelta = STATUS_LIFE,
    make_id: IdMaker = new_message_id,
) -> NewMessage:
    """A StatusRequest about a message we sent, to be stored with `reply.send_job` (STS-02)."""
    header = request_header(known, SignalAction.STATUS_REQUEST, message_id=make_id(own_host(known)), now=now)
    return message_row(
        known,
        header,
        serialize(build_status_request(header, ref_to_message_id)),
        direction=Direction.OUT,
        kind=MessageKind.STATUS_REQUEST,
        expires_at=now + life,
    )
