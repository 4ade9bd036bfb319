# SPDX-License-Identifier: EUPL-1.2

"""Contacts: when the partner of each agreement last answered a scheduled Ping, and how often it did not since."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, and_, delete, insert, or_, select
from sqlalchemy import update as sql_update

from adapter.store.jobs import NewJob, jobs_for, remove_jobs
from adapter.store.locking import lock_name
from adapter.store.messages import NewMessage, get_message, insert_message
from adapter.store.schema import message, partner_contact, timeline
from adapter.store.states import JobKind, MessageKind


@dataclass(frozen=True, slots=True)
class Contact:
    """How it is with the partner of an agreement.

    `ping` is the Ping that is on its way, `next_at` when the next is sent. `failures` are those in a row, and `reason`
    is that of the last of them.
    """

    authority: str
    cpa_id: str
    ping: int | None
    next_at: datetime
    success_at: datetime | None = None
    failure_at: datetime | None = None
    failures: int = 0
    reason: str | None = None


def contacts(conn: Connection, authority: str | None = None) -> tuple[Contact, ...]:
    """Every contact, or those of one authority, by authority and CPAId."""
    query = select(partner_contact).order_by(partner_contact.c.authority, partner_contact.c.cpa_id)
    if authority is not None:
        query = query.where(partner_contact.c.authority == authority)
    return tuple(Contact(**row._mapping) for row in conn.execute(query))


def keep_contacts(
    conn: Connection, authority: str, wanted: Mapping[str, tuple[datetime, datetime]]
) -> tuple[Contact, ...]:
    """See to it that an authority has a contact for these agreements and no other; return them.

    With each stands when a new one is first due, and the latest that any is due: later than that, it was scheduled when
    the period was longer.
    """
    lock_name(conn, "contacts", authority)
    mine = partner_contact.c.authority == authority
    conn.execute(delete(partner_contact).where(mine, partner_contact.c.cpa_id.not_in(list(wanted))))
    known = {one.cpa_id: one for one in contacts(conn, authority)}
    for cpa_id, (first, latest) in wanted.items():
        if cpa_id not in known:
            row = {"authority": authority, "cpa_id": cpa_id, "next_at": first, "failures": 0}
            conn.execute(insert(partner_contact).values(**row))
        elif known[cpa_id].next_at > latest:
            conn.execute(sql_update(partner_contact).where(_of(known[cpa_id])).values(next_at=first))
    return contacts(conn, authority)


def forget_contacts(conn: Connection, authorities: Collection[str]) -> None:
    """Remove the contacts of all authorities but these."""
    conn.execute(delete(partner_contact).where(partner_contact.c.authority.not_in(authorities)))


def begin_ping(
    conn: Connection, contact: Contact, ping: NewMessage, send: NewJob, next_at: datetime, now: datetime
) -> bool:
    """Store a scheduled Ping to be sent; return False where another daemon did so meanwhile."""
    begun = _of(contact), partner_contact.c.ping.is_(None), partner_contact.c.next_at == contact.next_at
    if not conn.execute(sql_update(partner_contact).where(*begun).values(next_at=next_at)).rowcount:
        return False
    row_id = insert_message(conn, ping, send, now)
    conn.execute(sql_update(partner_contact).where(_of(contact)).values(ping=row_id))
    return True


def end_ping(
    conn: Connection, contact: Contact, failure: str | None, next_at: datetime, now: datetime
) -> bool:
    """Note how a scheduled Ping ended; return False where that was noted already.

    A Ping that was answered goes, with its Pong and their lines: there is one every few minutes.
    """
    ended = _of(contact), partner_contact.c.ping == contact.ping
    if failure is None:
        result = {"success_at": now, "failures": 0, "reason": None}
    else:
        result = {"failure_at": now, "failures": contact.failures + 1, "reason": failure}
    statement = sql_update(partner_contact).where(*ended).values(ping=None, next_at=next_at, **result)
    if not conn.execute(statement).rowcount:
        return False
    if failure is None and contact.ping is not None:
        _remove_ping(conn, contact.ping)
    return True


def _remove_ping(conn: Connection, row_id: int) -> None:
    remove_jobs(conn, (JobKind.SEND,), row_id)
    if jobs_for(conn, JobKind.SEND, row_id):
        return  # it is being sent at this very moment; retention takes it
    ping = get_message(conn, row_id)
    of_answer = and_(
        message.c.ref_to_message_id == ping.message_id,
        message.c.kind == MessageKind.PONG,
        message.c.cpa_id == ping.cpa_id,
    )
    rows = list(conn.scalars(select(message.c.id).where(or_(message.c.id == row_id, of_answer))))
    conn.execute(delete(timeline).where(timeline.c.message.in_(rows)))
    conn.execute(delete(message).where(message.c.id.in_(rows)))


def _of(contact: Contact) -> ColumnElement[bool]:
    return and_(partner_contact.c.authority == contact.authority, partner_contact.c.cpa_id == contact.cpa_id)
