# SPDX-License-Identifier: EUPL-1.2

"""When a message or a delivery has ended: nothing waits for it, and nobody can need its contents any more.

Conditions over a table or an alias of it, so that the same words select what may go and guard its removal.
"""

from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, FromClause, and_, or_, select

from adapter.store.outgoing import OPEN
from adapter.store.schema import delivery, delivery_file, job, message, payload, received_id, refused_body
from adapter.store.states import DeliveryState, JobKind, MessageKind, MessageState

Condition = ColumnElement[bool]
Moment = ColumnElement[Any]

_OF_MESSAGES: Final = (JobKind.SEND, JobKind.ROUTE)
_OF_DELIVERIES: Final = (JobKind.COLLECT, JobKind.DELIVER)


def delivery_ended(of: FromClause, before: Moment) -> Condition:
    """Delivered and taken, skipped or repeated, and no work waits: since before a moment.

    What waits in a mailbox is delivered, but was not taken yet.
    """
    taken = and_(of.c.state == DeliveryState.DELIVERED, of.c.processed_at.is_not(None))
    left = of.c.state.in_((DeliveryState.SKIPPED, DeliveryState.REPEATED))
    return and_(of.c.updated_at < before, or_(taken, left), ~_has_job(of, _OF_DELIVERIES))


def message_ended(of: FromClause, before: Moment) -> Condition:
    """Received or sent with all that followed from it, since before a moment.

    A received business message of which no delivery was made and that was not refused waits for somebody to
    see to that, however old it is.
    """
    its = delivery.alias()
    waiting = select(its.c.id).where(its.c.message == of.c.id, ~delivery_ended(its, before)).exists()
    any_delivery = select(its.c.id).where(its.c.message == of.c.id).exists()
    return and_(
        of.c.updated_at < before,
        of.c.state.not_in(OPEN),
        ~_has_job(of, _OF_MESSAGES),
        ~waiting,
        or_(of.c.kind != MessageKind.BUSINESS, of.c.state != MessageState.RECEIVED, any_delivery),
    )


def is_remembered(of: FromClause, now: datetime) -> Condition:
    """A repeat of the message may still come, which is told by it or answered with it (EB 6.5.5)."""
    ids, bodies = received_id.alias(), refused_body.alias()
    return or_(
        select(ids.c.message_id).where(ids.c.message == of.c.id, ids.c.keep_until >= now).exists(),
        select(ids.c.message_id).where(ids.c.response == of.c.id, ids.c.keep_until >= now).exists(),
        select(bodies.c.body_digest).where(bodies.c.response == of.c.id, bodies.c.keep_until >= now).exists(),
    )


def has_octets(of: FromClause) -> Condition:
    """A payload or file whose octets are still there."""
    return or_(of.c.inline.is_not(None), of.c.spool_key.is_not(None))


def message_has_octets(of: FromClause) -> Condition:
    """A message with a payload, or a delivery with a file, whose octets are still there."""
    its, whole, file = payload.alias(), delivery.alias(), delivery_file.alias()
    in_files = file.join(whole, file.c.delivery == whole.c.id)
    return or_(
        select(its.c.id).where(its.c.message == of.c.id, has_octets(its)).exists(),
        select(file.c.id).select_from(in_files).where(whole.c.message == of.c.id, has_octets(file)).exists(),
    )


def delivery_has_octets(of: FromClause) -> Condition:
    """A delivery with a file whose octets are still there."""
    file = delivery_file.alias()
    return select(file.c.id).where(file.c.delivery == of.c.id, has_octets(file)).exists()


def answers(signal: FromClause, of: FromClause) -> Condition:
    """A signal that is about a message: its acknowledgment, error or Pong, which was stored after it."""
    return and_(
        signal.c.ref_to_message_id == of.c.message_id,
        signal.c.authority == of.c.authority,
        signal.c.cpa_id == of.c.cpa_id,
        signal.c.kind != MessageKind.BUSINESS,
        signal.c.id > of.c.id,
    )


def message_may_go(of: FromClause, before: Moment, now: datetime) -> Condition:
    """A message that ended, with its answers; an answer to what is still there goes with that, and not alone."""
    answer, asked = message.alias(), message.alias()
    held = ~and_(message_ended(answer, before), ~is_remembered(answer, now))
    return and_(
        message_ended(of, before),
        ~is_remembered(of, now),
        ~select(answer.c.id).where(answers(answer, of), held).exists(),
        ~select(asked.c.id).where(answers(of, asked)).exists(),
    )


def _has_job(of: FromClause, kinds: tuple[str, ...]) -> Condition:
    work = job.alias()
    return select(work.c.id).where(work.c.subject == of.c.id, work.c.kind.in_(kinds)).exists()
