# SPDX-License-Identifier: EUPL-1.2

"""The tables of the store; the migrations lead to exactly these.

Keys are never used twice (AUTOINCREMENT on SQLite), so that what remembers a key of a row that is gone
never finds another row under it. There is deliberately no unique key on the MessageId of messages: what was
received twice is evidence twice, and only `received_id` decides what is a duplicate.
"""

from typing import Any, Final

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Connection,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    event,
    text,
)

from adapter.config import NotificationEvent
from adapter.store.columns import InlineOctets, Named, RowId, UtcDateTime
from adapter.store.states import (
    AgreementSource,
    AgreementState,
    AuditKind,
    AuditOutcome,
    AuditVia,
    DeliveryState,
    Direction,
    EventType,
    FileKind,
    Flow,
    JobState,
    MessageKind,
    MessageState,
    Origin,
)

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)


def _id() -> Column[int]:
    return Column("id", RowId, primary_key=True)


def _to(name: str, table: str, ondelete: str, **options: Any) -> Column[int]:
    return Column(name, RowId, ForeignKey(f"{table}.id", ondelete=ondelete), **options)


agreement = Table(
    "agreement",
    metadata,
    _id(),
    Column("authority", Text, nullable=False),
    Column("cpa_id", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("document", LargeBinary, nullable=False),
    Column("source", Named(AgreementSource), nullable=False),
    Column("origin_path", Text),
    Column("state", Named(AgreementState), nullable=False),
    Column("active_from", UtcDateTime, nullable=False),
    Column("active_until", UtcDateTime),
    _to("replaced_by", "agreement", "SET NULL"),
    Index("ix_agreement_cpa_id", "cpa_id"),
    Index(
        "uq_agreement_active",
        "cpa_id",
        unique=True,
        sqlite_where=text("state = 'active'"),
        postgresql_where=text("state = 'active'"),
    ),
    sqlite_autoincrement=True,
)

endpoint_override = Table(
    "endpoint_override",
    metadata,
    Column("authority", Text, primary_key=True),
    Column("source", Text, primary_key=True),
    Column("destination", Text, nullable=False),
)

certificate_override = Table(
    "certificate_override",
    metadata,
    Column("authority", Text, primary_key=True),
    Column("cpa_id", Text, primary_key=True),
    Column("source_digest", Text, primary_key=True),
    Column("source", LargeBinary, nullable=False),
    Column("destination", LargeBinary, nullable=False),
)

cpa_file = Table(
    "cpa_file",
    metadata,
    Column("authority", Text, primary_key=True),
    Column("path", Text, primary_key=True),
    Column("digest", Text, nullable=False),
    Column("imported_at", UtcDateTime, nullable=False),
)

message = Table(
    "message",
    metadata,
    _id(),
    Column("authority", Text, nullable=False),
    Column("direction", Named(Direction), nullable=False),
    Column("kind", Named(MessageKind), nullable=False),
    Column("cpa_id", Text, nullable=False),
    Column("message_id", Text, nullable=False),
    Column("conversation_id", Text, nullable=False),
    Column("ref_to_message_id", Text),
    Column("from_party", Text, nullable=False),
    Column("from_role", Text),
    Column("to_party", Text, nullable=False),
    Column("to_role", Text),
    Column("service", Text, nullable=False),
    Column("service_type", Text),
    Column("action", Text, nullable=False),
    Column("timestamp", UtcDateTime, nullable=False),
    Column("time_to_live", UtcDateTime),
    Column("state", Named(MessageState), nullable=False),
    Column("reason", Text),
    Column("profile", Text),
    Column("http_headers", JSON, nullable=False),
    Column("envelope", LargeBinary, nullable=False),
    Column("envelope_headers", JSON, nullable=False),
    Column("content_type", Text),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("expires_at", UtcDateTime),
    Index("ix_message_message_id", "message_id"),
    Index("ix_message_conversation_id", "conversation_id"),
    Index("ix_message_ref_to_message_id", "ref_to_message_id"),
    Index("ix_message_authority_created_at", "authority", "created_at"),
    Index("ix_message_authority_id", "authority", "id"),
    sqlite_autoincrement=True,
)

message_event = Table(
    "message_event",
    metadata,
    _id(),
    _to("message", "message", "CASCADE", nullable=False),
    Column("authority", Text, nullable=False),
    Column("type", Named(EventType), nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("processed_at", UtcDateTime),
    UniqueConstraint("message", "type"),
    Index(
        "ix_message_event_unprocessed",
        "authority",
        "type",
        "id",
        sqlite_where=text("processed_at IS NULL"),
        postgresql_where=text("processed_at IS NULL"),
    ),
    sqlite_autoincrement=True,
)

payload = Table(
    "payload",
    metadata,
    _id(),
    _to("message", "message", "CASCADE", nullable=False),
    Column("position", Integer, nullable=False),
    Column("content_id", Text),
    Column("content_type", Text),
    Column("name", Text),
    Column("headers", JSON, nullable=False),
    Column("size", RowId, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("inline", InlineOctets),
    Column("spool_key", Text),
    UniqueConstraint("message", "position"),
    Index("ix_payload_spool_key", "spool_key"),
    sqlite_autoincrement=True,
)

received_id = Table(
    "received_id",
    metadata,
    Column("authority", Text, primary_key=True),
    Column("cpa_id", Text, primary_key=True),
    Column("from_party", Text, primary_key=True),
    Column("message_id", Text, primary_key=True),
    Column("content_digest", Text, nullable=False),
    _to("message", "message", "SET NULL"),
    _to("response", "message", "SET NULL"),
    Column("received_at", UtcDateTime, nullable=False),
    Column("keep_until", UtcDateTime, nullable=False),
    Index("ix_received_id_keep_until", "keep_until"),
    Index("ix_received_id_message", "message"),
    Index("ix_received_id_response", "response"),
)

refused_body = Table(
    "refused_body",
    metadata,
    Column("authority", Text, primary_key=True),
    Column("cpa_id", Text, primary_key=True),
    Column("body_digest", Text, primary_key=True),
    _to("response", "message", "SET NULL"),
    Column("received_at", UtcDateTime, nullable=False),
    Column("keep_until", UtcDateTime, nullable=False),
    Index("ix_refused_body_keep_until", "keep_until"),
    Index("ix_refused_body_response", "response"),
)

delivery = Table(
    "delivery",
    metadata,
    _id(),
    Column("authority", Text, nullable=False),
    Column("sink", Text, nullable=False),
    Column("flow", Named(Flow), nullable=False),
    Column("origin", Named(Origin), nullable=False),
    _to("message", "message", "SET NULL"),
    Column("verzoeknummer", Text),
    Column("volgnummer", Text),
    Column("revision", Integer, nullable=False),
    Column("name", Text, nullable=False),
    Column("state", Named(DeliveryState), nullable=False),
    Column("reason", Text),
    Column("doel", Text),
    Column("type", Text),
    Column("bevoegd_gezag", Text),
    Column("uitvoerende_instantie", Text),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("processed_at", UtcDateTime),
    Column("announced", Text),
    Column("project_id", Text),
    Column("is_copy", Boolean),
    Column("lapsed", JSON),
    Index(
        "uq_delivery_verzoek",
        "authority",
        "sink",
        "verzoeknummer",
        "volgnummer",
        "revision",
        unique=True,
        sqlite_where=text("volgnummer IS NOT NULL"),
        postgresql_where=text("volgnummer IS NOT NULL"),
    ),
    Index("ix_delivery_verzoeknummer", "verzoeknummer"),
    Index("ix_delivery_message", "message"),
    Index("ix_delivery_project_id", "project_id"),
    Index("ix_delivery_state", "state", "authority"),
    Index("ix_delivery_authority_created_at", "authority", "created_at"),
    Index("ix_delivery_name", "authority", "sink", "name"),
    Index(
        "ix_delivery_unprocessed",
        "authority",
        "sink",
        "flow",
        "state",
        "id",
        sqlite_where=text("processed_at IS NULL"),
        postgresql_where=text("processed_at IS NULL"),
    ),
    sqlite_autoincrement=True,
)

delivery_file = Table(
    "delivery_file",
    metadata,
    _id(),
    _to("delivery", "delivery", "CASCADE", nullable=False),
    Column("position", Integer, nullable=False),
    Column("kind", Named(FileKind), nullable=False),
    Column("href", Text),
    Column("path", Text, nullable=False),
    Column("bestandsnaam", Text),
    Column("document_id", Text),
    Column("vertrouwelijk", Boolean),
    Column("content_type", Text),
    Column("size", RowId),
    Column("sha256", Text),
    Column("inline", InlineOctets),
    Column("spool_key", Text),
    UniqueConstraint("delivery", "position"),
    Index("ix_delivery_file_spool_key", "spool_key"),
    sqlite_autoincrement=True,
)

checkpoint = Table(
    "checkpoint",
    metadata,
    Column("delivery", RowId, ForeignKey("delivery.id", ondelete="CASCADE"), primary_key=True),
    Column("step", Text, primary_key=True),
    Column("value", JSON, nullable=False),
    Column("at", UtcDateTime, nullable=False),
)

job = Table(
    "job",
    metadata,
    _id(),
    Column("kind", Text, nullable=False),
    Column("authority", Text, nullable=False),
    Column("lane", Text, nullable=False),
    Column("order_key", Text),
    Column("subject", RowId, nullable=False),
    Column("state", Named(JobState), nullable=False),
    Column("not_before", UtcDateTime, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("reason", Text),
    Column("lease_owner", Text),
    Column("lease_until", UtcDateTime),
    Column("created_at", UtcDateTime, nullable=False),
    Column("first_attempt_at", UtcDateTime),
    Column("holds_key", Text),
    Column("position", Text),
    Index(
        "uq_job_running_order_key",
        "order_key",
        unique=True,
        sqlite_where=text("state = 'running' AND order_key IS NOT NULL"),
        postgresql_where=text("state = 'running' AND order_key IS NOT NULL"),
    ),
    Index("ix_job_state_not_before", "state", "not_before"),
    Index("ix_job_state_lane_not_before", "state", "lane", "not_before"),
    Index("ix_job_order_key", "order_key"),
    Index("ix_job_holds_key", "holds_key"),
    Index("ix_job_subject_kind", "subject", "kind"),
    sqlite_autoincrement=True,
)

lane = Table(
    "lane",
    metadata,
    Column("name", Text, primary_key=True),
    Column("paused", Boolean, nullable=False),
    Column("reason", Text),
)

timeline = Table(
    "timeline",
    metadata,
    _id(),
    Column("at", UtcDateTime, nullable=False),
    Column("authority", Text, nullable=False),
    _to("message", "message", "SET NULL"),
    _to("delivery", "delivery", "SET NULL"),
    Column("message_id", Text),
    Column("conversation_id", Text),
    Column("cpa_id", Text),
    Column("verzoeknummer", Text),
    Column("action", Text, nullable=False),
    Column("detail", JSON, nullable=False),
    Index("ix_timeline_message", "message"),
    Index("ix_timeline_delivery", "delivery"),
    Index("ix_timeline_message_id", "message_id"),
    Index("ix_timeline_conversation_id", "conversation_id"),
    Index("ix_timeline_verzoeknummer", "verzoeknummer"),
    sqlite_autoincrement=True,
)

audit = Table(
    "audit",
    metadata,
    _id(),
    Column("at", UtcDateTime, nullable=False),
    Column("actor", Text, nullable=False),
    Column("via", Named(AuditVia), nullable=False),
    Column("origin", Text, nullable=False),
    Column("kind", Named(AuditKind), nullable=False),
    Column("action", Text, nullable=False),
    Column("subject", Text),
    Column("authority", Text),
    Column("outcome", Named(AuditOutcome), nullable=False),
    Column("detail", JSON, nullable=False),
    Index("ix_audit_at", "at"),
    Index("ix_audit_subject", "subject"),
    sqlite_autoincrement=True,
)

# What people are told of: an alert is one thing that is so, until it has ended and every channel knows.
alert = Table(
    "alert",
    metadata,
    _id(),
    Column("key", Text, nullable=False),
    Column("event", Named(NotificationEvent), nullable=False),
    Column("authority", Text, nullable=False),
    Column("what", Text, nullable=False),
    Column("level", Integer, nullable=False),
    Column("detail", JSON, nullable=False),
    Column("job", RowId),
    Column("changed_at", UtcDateTime, nullable=False),
    Column("seen_at", UtcDateTime, nullable=False),
    Column("ended_at", UtcDateTime),
    UniqueConstraint("key"),
    sqlite_autoincrement=True,
)

alert_told = Table(
    "alert_told",
    metadata,
    Column("alert", RowId, ForeignKey("alert.id", ondelete="CASCADE"), primary_key=True),
    Column("channel", Text, primary_key=True),
    Column("level", Integer, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Index("ix_alert_told_channel", "channel"),
)

notification_channel = Table(
    "notification_channel",
    metadata,
    Column("name", Text, primary_key=True),
    Column("sent_at", UtcDateTime),
    Column("failures", Integer, nullable=False),
    Column("failing_since", UtcDateTime),
    Column("try_at", UtcDateTime),
    Column("reason", Text),
)

partner_contact = Table(
    "partner_contact",
    metadata,
    Column("authority", Text, primary_key=True),
    Column("cpa_id", Text, primary_key=True),
    _to("ping", "message", "SET NULL"),
    Column("next_at", UtcDateTime, nullable=False),
    Column("success_at", UtcDateTime),
    Column("failure_at", UtcDateTime),
    Column("failures", Integer, nullable=False),
    Column("reason", Text),
    Index("ix_partner_contact_ping", "ping"),
)

_AUDIT_GUARDS: Final = {
    "sqlite": (
        "CREATE TRIGGER audit_is_append_only BEFORE UPDATE ON audit "
        "BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END",
    ),
    "postgresql": (
        "CREATE FUNCTION audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'the audit trail is append-only'; END $$",
        "CREATE TRIGGER audit_is_append_only BEFORE UPDATE ON audit "
        "FOR EACH ROW EXECUTE FUNCTION audit_is_append_only()",
    ),
}


@event.listens_for(audit, "after_create")
def _guard_audit(_table: Table, connection: Connection, **_: Any) -> None:
    """As the migration does it."""
    for guard in _AUDIT_GUARDS[connection.dialect.name]:
        connection.execute(text(guard))
