# SPDX-License-Identifier: EUPL-1.2

"""Retention: what may be removed, found by reading, and its removal in small transactions that check it again.

Contents go first: their octets are removed, their sizes and digests stay. Then whole messages with their payloads,
answers and deliveries, and last the lines of the timeline of what is gone. What waits for anything, and what
a repeat could still be told by, stays however old it is.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import (
    BindParameter,
    Connection,
    Select,
    Table,
    bindparam,
    case,
    delete,
    func,
    literal,
    select,
    tuple_,
)
from sqlalchemy import update as sql_update

from adapter.store.columns import UtcDateTime
from adapter.store.ended import (
    Condition,
    Moment,
    answers,
    delivery_ended,
    delivery_has_octets,
    has_octets,
    is_remembered,
    message_ended,
    message_has_octets,
    message_may_go,
)
from adapter.store.reception import purge_received
from adapter.store.schema import (
    delivery,
    delivery_file,
    message,
    payload,
    received_id,
    refused_body,
    timeline,
)
from adapter.store.spooled import named_keys
from adapter.store.trail import count_old_audit, purge_audit

WINDOW: Final = 5000
"""How many rows are looked through in one read."""

CANDIDATES: Final = 500


class Purgeable(StrEnum):
    """What retention removes, in this order."""

    PAYLOADS = "payloads"
    FILES = "files"
    MESSAGE_IDS = "message_ids"
    MESSAGES = "messages"
    DELIVERIES = "deliveries"
    TIMELINE = "timeline"
    AUDIT = "audit"


BY_MOMENT: Final = frozenset({Purgeable.MESSAGE_IDS, Purgeable.AUDIT})
"""What goes by its moment alone, whatever else there is."""


@dataclass(frozen=True, slots=True)
class Periods:
    """How long is kept what came to its end: the octets of contents, the rows of messages, the timeline."""

    payloads: timedelta
    messages: timedelta
    timeline: timedelta


@dataclass(frozen=True, slots=True)
class RetentionPolicy:
    """The periods of every authority; `default` is for those that are not named, also of the past.

    `audit` is how long the audit trail is kept, which is of nobody in particular.
    """

    default: Periods
    authorities: Mapping[str, Periods] = field(default_factory=dict)
    audit: timedelta = timedelta(days=400)

    def before(self, period: str, authority: Any, now: datetime) -> Moment:
        """The moment before which something of an authority (a column) must have ended to go."""
        fallback = literal(now - getattr(self.default, period), UtcDateTime())
        named = {
            name: literal(now - getattr(periods, period), UtcDateTime())
            for name, periods in self.authorities.items()
            if periods != self.default
        }
        return case(named, value=authority, else_=fallback) if named else fallback

    def latest(self, period: str, now: datetime) -> datetime:
        """The moment from which on nothing of anybody goes."""
        shortest: timedelta = min(getattr(one, period) for one in (self.default, *self.authorities.values()))
        return now - shortest


@dataclass(frozen=True, slots=True)
class Found:
    """What may go, by the ids of its rows; `go_on` is where to look next, None at the end.

    `first` is the first row that was looked at: before it there is nothing of this kind.
    """

    ids: tuple[int, ...] = ()
    go_on: Any = None
    first: int | None = None


@dataclass(frozen=True, slots=True)
class Purged:
    """What was removed; `keys` are of the files of the spool that no row names any more."""

    counts: Mapping[Purgeable, int] = field(default_factory=dict)
    keys: tuple[str, ...] = ()


class PurgeRun:
    """One run: a policy at a moment, with the statements that follow from it.

    They are long, and putting one together takes longer than running it, so it is done once: the writer waits for it.
    """

    def __init__(self, policy: RetentionPolicy, now: datetime):
        self.policy = policy
        self.now = now
        self._guards: dict[Purgeable, Select[Any]] = {}

    def may_go(self, what: Purgeable) -> Select[Any]:
        """Select the ids of all that may go."""
        statement: Select[Any] = {
            Purgeable.PAYLOADS: _of_payloads,
            Purgeable.FILES: _of_files,
            Purgeable.MESSAGES: _of_messages,
            Purgeable.DELIVERIES: _of_deliveries,
            Purgeable.TIMELINE: _of_lines,
        }[what](self.policy, self.now)
        return statement

    def guard(self, what: Purgeable) -> Select[Any]:
        """Select and hold those of the parameter `ids` that still may go, and of contents their keys."""
        if what not in self._guards:
            table = _TABLES[what]
            statement = self.may_go(what).where(table.c.id.in_(bindparam("ids", expanding=True)))
            if what in {Purgeable.PAYLOADS, Purgeable.FILES}:
                statement = statement.add_columns(table.c.spool_key)
            elif what is Purgeable.MESSAGES:
                statement = statement.where(~message_has_octets(message))
            elif what is Purgeable.DELIVERIES:
                statement = statement.where(~delivery_has_octets(delivery))
            self._guards[what] = statement.with_for_update(of=table, skip_locked=True)
        return self._guards[what]


def find_purgeable(conn: Connection, what: Purgeable, run: PurgeRun, after: Any = None) -> Found:
    """Look for what may go, in a bounded number of rows.

    `after` is None at first, then the `go_on` of the answer before. MESSAGE_IDS and AUDIT need no looking for.
    """
    if what is Purgeable.MESSAGES:
        return _find_messages(conn, run, after or ("", None, 0))
    if what in BY_MOMENT:
        return Found()
    if what is Purgeable.TIMELINE:
        return _find_lines(conn, run, after or 0)
    table = _TABLES[what]
    wanted = table.c.message.is_(None) if what is Purgeable.DELIVERIES else has_octets(table)
    first = conn.execute(select(func.min(table.c.id)).where(table.c.id > (after or 0), wanted)).scalar_one()
    if first is None:
        return Found()
    last = first + WINDOW
    query = run.may_go(what).where(table.c.id.between(first, last))
    return Found(tuple(conn.execute(query.order_by(table.c.id)).scalars()), last, first)


def purge(conn: Connection, what: Purgeable, ids: Collection[int], run: PurgeRun) -> Purged:
    """Remove what was found, as far as it still may go; a few rows at a time, for others wait meanwhile."""
    if what in BY_MOMENT:
        return purge_by_moment(conn, what, run)
    rows = conn.execute(run.guard(what), {"ids": list(ids)}).all()
    going: list[int] = [row.id for row in rows]
    if not going:
        return Purged()
    if what is Purgeable.MESSAGES:
        return _remove_messages(conn, going)
    table = _TABLES[what]
    if what in {Purgeable.PAYLOADS, Purgeable.FILES}:
        keys = {row.spool_key for row in rows if row.spool_key is not None}
        return Purged({what: len(going)}, _remove_octets(conn, table, going, keys))
    return Purged({what: _delete(conn, table, going)})


def purge_by_moment(conn: Connection, what: Purgeable, run: PurgeRun, limit: int = 50) -> Purged:
    """Remove what goes by its moment alone, `limit` at most: MessageIds and refused contents to tell repeats by (of
    each so many), and the audit trail.
    """
    if what is Purgeable.AUDIT:
        return Purged({what: purge_audit(conn, run.now - run.policy.audit, limit)})
    return Purged({what: purge_received(conn, run.now, limit)})


def count_by_moment(conn: Connection, what: Purgeable, run: PurgeRun) -> int:
    """Count what `purge_by_moment` would remove in the end."""
    if what is Purgeable.AUDIT:
        return count_old_audit(conn, run.now - run.policy.audit)
    return sum(
        conn.execute(select(func.count()).select_from(table).where(table.c.keep_until < run.now)).scalar_one()
        for table in (received_id, refused_body)
    )


_TABLES: Final[Mapping[Purgeable, Table]] = {
    Purgeable.PAYLOADS: payload,
    Purgeable.FILES: delivery_file,
    Purgeable.MESSAGES: message,
    Purgeable.DELIVERIES: delivery,
    Purgeable.TIMELINE: timeline,
}


# --- what may go


def _of_payloads(policy: RetentionPolicy, now: datetime) -> Select[Any]:
    before = policy.before("payloads", message.c.authority, now)
    source = payload.join(message, payload.c.message == message.c.id)
    conditions = (has_octets(payload), message_ended(message, before), ~is_remembered(message, now))
    return select(payload.c.id).select_from(source).where(*conditions)


def _of_files(policy: RetentionPolicy, now: datetime) -> Select[Any]:
    before = policy.before("payloads", delivery.c.authority, now)
    source = delivery_file.join(delivery, delivery_file.c.delivery == delivery.c.id)
    conditions = (has_octets(delivery_file), delivery_ended(delivery, before))
    return select(delivery_file.c.id).select_from(source).where(*conditions)


def _of_messages(policy: RetentionPolicy, now: datetime) -> Select[Any]:
    before = policy.before("messages", message.c.authority, now)
    return select(message.c.id).where(message_may_go(message, before, now))


def _of_deliveries(policy: RetentionPolicy, now: datetime) -> Select[Any]:
    """Deliveries without a message; the others go with theirs."""
    before = policy.before("messages", delivery.c.authority, now)
    return select(delivery.c.id).where(delivery.c.message.is_(None), delivery_ended(delivery, before))


def _of_lines(policy: RetentionPolicy, now: datetime) -> Select[Any]:
    """Lines of what is gone, or was never there; those of what is kept are kept with it."""
    return select(timeline.c.id).where(
        timeline.c.message.is_(None),
        timeline.c.delivery.is_(None),
        timeline.c.at < policy.before("timeline", timeline.c.authority, now),
    )


def _find_lines(conn: Connection, run: PurgeRun, after: int) -> Found:
    first = conn.execute(select(func.min(timeline.c.id)).where(timeline.c.id > after)).scalar_one()
    if first is None:
        return Found()
    within = timeline.c.id.between(first, first + WINDOW)
    oldest = conn.execute(select(func.min(timeline.c.at)).where(within)).scalar_one()
    if oldest >= run.policy.latest("timeline", run.now):
        return Found()  # lines are written as things happen: the following ones are younger still
    ids = conn.execute(run.may_go(Purgeable.TIMELINE).where(within).order_by(timeline.c.id)).scalars()
    return Found(tuple(ids), first + WINDOW)


def _find_messages(conn: Connection, run: PurgeRun, after: tuple[str, datetime | None, int]) -> Found:
    """By authority and age, over the index: the rows of messages are too large to be looked through."""
    authority, moment, last = after
    if moment is None:
        following = select(func.min(message.c.authority)).where(message.c.authority > authority)
        authority = conn.execute(following).scalar_one()
        if authority is None:
            return Found()
    periods = run.policy.authorities.get(authority, run.policy.default)
    candidates = select(message.c.id, message.c.created_at).where(
        message.c.authority == authority, message.c.created_at < run.now - periods.messages
    )
    place = tuple_(message.c.created_at, message.c.id)
    if moment is not None:
        candidates = candidates.where(place > tuple_(literal(moment, UtcDateTime()), literal(last)))
    rows = conn.execute(candidates.order_by(message.c.created_at, message.c.id).limit(CANDIDATES)).all()
    if not rows:
        return Found((), (authority, None, 0))
    may_go = run.may_go(Purgeable.MESSAGES).where(message.c.id.in_([row.id for row in rows]))
    ids = tuple(conn.execute(may_go.order_by(message.c.id)).scalars())
    full = len(rows) == CANDIDATES
    return Found(ids, (authority, rows[-1].created_at, rows[-1].id) if full else (authority, None, 0))


# --- removing it


def _remove_octets(
    conn: Connection, table: Table, going: Collection[int], keys: Collection[str]
) -> tuple[str, ...]:
    """Remove the octets, and return the keys that no row names any more: of two rows the last one gives it away."""
    conn.execute(sql_update(table).where(table.c.id.in_(going)).values(inline=None, spool_key=None))
    return tuple(sorted(set(keys) - named_keys(conn, keys))) if keys else ()


def _remove_messages(conn: Connection, going: list[int]) -> Purged:
    """Remove messages with their payloads, notices, deliveries and answers."""
    going = [*going, *conn.execute(_ANSWERS, {"going": going}).scalars()]
    _keep_verzoeknummer(conn, going)
    deliveries = conn.execute(delete(delivery).where(delivery.c.message.in_(going))).rowcount
    return Purged({Purgeable.MESSAGES: _delete(conn, message, going), Purgeable.DELIVERIES: deliveries})


def _answers_to_going() -> Select[Any]:
    """The answers to messages that go, but not those that another message with that MessageId has too."""
    answer, asked, other = message.alias(), message.alias(), message.alias()
    going: BindParameter[int] = bindparam("going", expanding=True)
    shared: Condition = select(other.c.id).where(answers(answer, other), other.c.id.not_in(going)).exists()
    return (
        select(answer.c.id)
        .distinct()
        .select_from(answer.join(asked, answers(answer, asked)))
        .where(asked.c.id.in_(going), answer.c.id.not_in(going), ~shared, ~message_has_octets(answer))
    )


_ANSWERS: Final = _answers_to_going()


def _keep_verzoeknummer(conn: Connection, going: Collection[int]) -> None:
    """Write the verzoeknummer on the lines of messages, by which they were found through the delivery so far."""
    numbers = select(delivery.c.message, func.max(delivery.c.verzoeknummer)).where(
        delivery.c.message.in_(going), delivery.c.verzoeknummer.is_not(None)
    )
    for row_id, number in conn.execute(numbers.group_by(delivery.c.message)).all():
        # no IS NULL: the index of verzoeknummers would be taken for it, with most of the lines in it
        unnumbered = func.coalesce(timeline.c.verzoeknummer, "") == ""
        conn.execute(
            sql_update(timeline).where(timeline.c.message == row_id, unnumbered).values(verzoeknummer=number)
        )


def _delete(conn: Connection, table: Table, ids: Collection[int]) -> int:
    """Delete rows by their ids; what hangs on them goes, or forgets them, by its foreign key."""
    return conn.execute(delete(table).where(table.c.id.in_(ids))).rowcount if ids else 0
