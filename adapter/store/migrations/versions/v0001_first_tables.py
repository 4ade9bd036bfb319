# SPDX-License-Identifier: EUPL-1.2

"""The first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None
step = "pre"

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.BigInteger()


def upgrade() -> None:
    """Make the tables."""
    _agreement()
    _cpa_file()
    _job()
    _lane()
    _message()
    _delivery()
    _payload()
    _received_id()
    _refused_body()
    _checkpoint()
    _delivery_file()
    _timeline()


def _agreement() -> None:
    op.create_table(
        "agreement",
        sa.Column("id", KEY, nullable=False),
        sa.Column("authority", sa.Text(), nullable=False),
        sa.Column("cpa_id", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("origin_path", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("active_from", MOMENT, nullable=False),
        sa.Column("active_until", MOMENT, nullable=True),
        sa.Column("replaced_by", KEY, nullable=True),
        sa.ForeignKeyConstraint(
            ["replaced_by"], ["agreement.id"], name="fk_agreement_replaced_by", ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_agreement"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_agreement_cpa_id", "agreement", ["cpa_id"], unique=False)
    op.create_index(
        "uq_agreement_active",
        "agreement",
        ["cpa_id"],
        unique=True,
        sqlite_where=sa.text("state = 'active'"),
        postgresql_where=sa.text("state = 'active'"),
    )


def _cpa_file() -> None:
    op.create_table(
        "cpa_file",
        sa.Column("authority", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("imported_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("authority", "path", name="pk_cpa_file"),
    )


def _job() -> None:
    op.create_table(
        "job",
        sa.Column("id", KEY, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("authority", sa.Text(), nullable=False),
        sa.Column("lane", sa.Text(), nullable=False),
        sa.Column("order_key", sa.Text(), nullable=True),
        sa.Column("subject", KEY, nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("not_before", MOMENT, nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("lease_owner", sa.Text(), nullable=True),
        sa.Column("lease_until", MOMENT, nullable=True),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("first_attempt_at", MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_job"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_job_order_key", "job", ["order_key"], unique=False)
    op.create_index("ix_job_state_lane_not_before", "job", ["state", "lane", "not_before"], unique=False)
    op.create_index("ix_job_state_not_before", "job", ["state", "not_before"], unique=False)
    op.create_index("ix_job_subject_kind", "job", ["subject", "kind"], unique=False)
    op.create_index(
        "uq_job_running_order_key",
        "job",
        ["order_key"],
        unique=True,
        sqlite_where=sa.text("state = 'running' AND order_key IS NOT NULL"),
        postgresql_where=sa.text("state = 'running' AND order_key IS NOT NULL"),
    )


def _lane() -> None:
    op.create_table(
        "lane",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("paused", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("name", name="pk_lane"),
    )


def _message() -> None:
    op.create_table(
        "message",
        sa.Column("id", KEY, nullable=False),
        sa.Column("authority", sa.Text(), nullable=False),
        sa.Column("direction", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("cpa_id", sa.Text(), nullable=False),
        sa.Column("message_id", sa.Text(), nullable=False),
        sa.Column("conversation_id", sa.Text(), nullable=False),
        sa.Column("ref_to_message_id", sa.Text(), nullable=True),
        sa.Column("from_party", sa.Text(), nullable=False),
        sa.Column("from_role", sa.Text(), nullable=True),
        sa.Column("to_party", sa.Text(), nullable=False),
        sa.Column("to_role", sa.Text(), nullable=True),
        sa.Column("service", sa.Text(), nullable=False),
        sa.Column("service_type", sa.Text(), nullable=True),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("timestamp", MOMENT, nullable=False),
        sa.Column("time_to_live", MOMENT, nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("profile", sa.Text(), nullable=True),
        sa.Column("http_headers", sa.JSON(), nullable=False),
        sa.Column("envelope", sa.LargeBinary(), nullable=False),
        sa.Column("envelope_headers", sa.JSON(), nullable=False),
        sa.Column("content_type", sa.Text(), nullable=True),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("expires_at", MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_message"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_message_authority_created_at", "message", ["authority", "created_at"], unique=False)
    op.create_index("ix_message_conversation_id", "message", ["conversation_id"], unique=False)
    op.create_index("ix_message_message_id", "message", ["message_id"], unique=False)
    op.create_index("ix_message_ref_to_message_id", "message", ["ref_to_message_id"], unique=False)


def _delivery() -> None:
    op.create_table(
        "delivery",
        sa.Column("id", KEY, nullable=False),
        sa.Column("authority", sa.Text(), nullable=False),
        sa.Column("sink", sa.Text(), nullable=False),
        sa.Column("flow", sa.Text(), nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("message", KEY, nullable=True),
        sa.Column("verzoeknummer", sa.Text(), nullable=True),
        sa.Column("volgnummer", sa.Text(), nullable=True),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("doel", sa.Text(), nullable=True),
        sa.Column("type", sa.Text(), nullable=True),
        sa.Column("bevoegd_gezag", sa.Text(), nullable=True),
        sa.Column("uitvoerende_instantie", sa.Text(), nullable=True),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["message"], ["message.id"], name="fk_delivery_message", ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id", name="pk_delivery"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_delivery_message", "delivery", ["message"], unique=False)
    op.create_index("ix_delivery_name", "delivery", ["authority", "sink", "name"], unique=False)
    op.create_index("ix_delivery_state", "delivery", ["state", "authority"], unique=False)
    op.create_index("ix_delivery_verzoeknummer", "delivery", ["verzoeknummer"], unique=False)
    op.create_index(
        "uq_delivery_verzoek",
        "delivery",
        ["authority", "sink", "verzoeknummer", "volgnummer", "revision"],
        unique=True,
        sqlite_where=sa.text("volgnummer IS NOT NULL"),
        postgresql_where=sa.text("volgnummer IS NOT NULL"),
    )


def _payload() -> None:
    op.create_table(
        "payload",
        sa.Column("id", KEY, nullable=False),
        sa.Column("message", KEY, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("content_id", sa.Text(), nullable=True),
        sa.Column("content_type", sa.Text(), nullable=True),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("headers", sa.JSON(), nullable=False),
        sa.Column("size", KEY, nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("inline", sa.LargeBinary(), nullable=True),
        sa.Column("spool_key", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["message"], ["message.id"], name="fk_payload_message", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_payload"),
        sa.UniqueConstraint("message", "position", name="uq_payload_message_position"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_payload_spool_key", "payload", ["spool_key"], unique=False)


def _received_id() -> None:
    op.create_table(
        "received_id",
        sa.Column("authority", sa.Text(), nullable=False),
        sa.Column("cpa_id", sa.Text(), nullable=False),
        sa.Column("from_party", sa.Text(), nullable=False),
        sa.Column("message_id", sa.Text(), nullable=False),
        sa.Column("content_digest", sa.Text(), nullable=False),
        sa.Column("message", KEY, nullable=True),
        sa.Column("response", KEY, nullable=True),
        sa.Column("received_at", MOMENT, nullable=False),
        sa.Column("keep_until", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(
            ["message"], ["message.id"], name="fk_received_id_message", ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["response"], ["message.id"], name="fk_received_id_response", ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("authority", "cpa_id", "from_party", "message_id", name="pk_received_id"),
    )
    op.create_index("ix_received_id_keep_until", "received_id", ["keep_until"], unique=False)
    op.create_index("ix_received_id_message", "received_id", ["message"], unique=False)
    op.create_index("ix_received_id_response", "received_id", ["response"], unique=False)


def _refused_body() -> None:
    op.create_table(
        "refused_body",
        sa.Column("authority", sa.Text(), nullable=False),
        sa.Column("cpa_id", sa.Text(), nullable=False),
        sa.Column("body_digest", sa.Text(), nullable=False),
        sa.Column("response", KEY, nullable=True),
        sa.Column("received_at", MOMENT, nullable=False),
        sa.Column("keep_until", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(
            ["response"], ["message.id"], name="fk_refused_body_response", ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("authority", "cpa_id", "body_digest", name="pk_refused_body"),
    )
    op.create_index("ix_refused_body_keep_until", "refused_body", ["keep_until"], unique=False)
    op.create_index("ix_refused_body_response", "refused_body", ["response"], unique=False)


def _checkpoint() -> None:
    op.create_table(
        "checkpoint",
        sa.Column("delivery", KEY, nullable=False),
        sa.Column("step", sa.Text(), nullable=False),
        sa.Column("value", sa.JSON(), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(
            ["delivery"], ["delivery.id"], name="fk_checkpoint_delivery", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("delivery", "step", name="pk_checkpoint"),
    )


def _delivery_file() -> None:
    op.create_table(
        "delivery_file",
        sa.Column("id", KEY, nullable=False),
        sa.Column("delivery", KEY, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("href", sa.Text(), nullable=True),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("bestandsnaam", sa.Text(), nullable=True),
        sa.Column("document_id", sa.Text(), nullable=True),
        sa.Column("vertrouwelijk", sa.Boolean(), nullable=True),
        sa.Column("content_type", sa.Text(), nullable=True),
        sa.Column("size", KEY, nullable=True),
        sa.Column("sha256", sa.Text(), nullable=True),
        sa.Column("inline", sa.LargeBinary(), nullable=True),
        sa.Column("spool_key", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["delivery"], ["delivery.id"], name="fk_delivery_file_delivery", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_delivery_file"),
        sa.UniqueConstraint("delivery", "position", name="uq_delivery_file_delivery_position"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_delivery_file_spool_key", "delivery_file", ["spool_key"], unique=False)


def _timeline() -> None:
    op.create_table(
        "timeline",
        sa.Column("id", KEY, nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("authority", sa.Text(), nullable=False),
        sa.Column("message", KEY, nullable=True),
        sa.Column("delivery", KEY, nullable=True),
        sa.Column("message_id", sa.Text(), nullable=True),
        sa.Column("conversation_id", sa.Text(), nullable=True),
        sa.Column("cpa_id", sa.Text(), nullable=True),
        sa.Column("verzoeknummer", sa.Text(), nullable=True),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["delivery"], ["delivery.id"], name="fk_timeline_delivery", ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(["message"], ["message.id"], name="fk_timeline_message", ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id", name="pk_timeline"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_timeline_conversation_id", "timeline", ["conversation_id"], unique=False)
    op.create_index("ix_timeline_delivery", "timeline", ["delivery"], unique=False)
    op.create_index("ix_timeline_message", "timeline", ["message"], unique=False)
    op.create_index("ix_timeline_message_id", "timeline", ["message_id"], unique=False)
    op.create_index("ix_timeline_verzoeknummer", "timeline", ["verzoeknummer"], unique=False)
