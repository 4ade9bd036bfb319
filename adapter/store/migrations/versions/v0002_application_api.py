# SPDX-License-Identifier: EUPL-1.2

"""What applications poll, and what operators override.

Only additions, and none that refuses a row as the version before writes it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None
step = "pre"

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.BigInteger()


def upgrade() -> None:
    """Add the tables, the column and its index."""
    _message_event()
    _processed_at()
    _endpoint_override()
    _certificate_override()


def _message_event() -> None:
    op.create_table(
        "message_event",
        sa.Column("id", KEY, nullable=False),
        sa.Column("message", KEY, nullable=False),
        sa.Column("authority", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("processed_at", MOMENT, nullable=True),
        sa.ForeignKeyConstraint(
            ["message"], ["message.id"], name="fk_message_event_message", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_message_event"),
        sa.UniqueConstraint("message", "type", name="uq_message_event_message_type"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_message_event_unprocessed",
        "message_event",
        ["authority", "type", "id"],
        unique=False,
        sqlite_where=sa.text("processed_at IS NULL"),
        postgresql_where=sa.text("processed_at IS NULL"),
    )


def _processed_at() -> None:
    op.add_column("delivery", sa.Column("processed_at", MOMENT, nullable=True))
    # There were no mailboxes: whatever was delivered was taken then. A sink that becomes a mailbox later must
    # not offer it again.
    op.execute("UPDATE delivery SET processed_at = updated_at WHERE state = 'delivered'")
    op.create_index(
        "ix_delivery_unprocessed",
        "delivery",
        ["authority", "sink", "flow", "state", "id"],
        unique=False,
        sqlite_where=sa.text("processed_at IS NULL"),
        postgresql_where=sa.text("processed_at IS NULL"),
    )


def _endpoint_override() -> None:
    op.create_table(
        "endpoint_override",
        sa.Column("authority", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("destination", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("authority", "source", name="pk_endpoint_override"),
    )


def _certificate_override() -> None:
    op.create_table(
        "certificate_override",
        sa.Column("authority", sa.Text(), nullable=False),
        sa.Column("cpa_id", sa.Text(), nullable=False),
        sa.Column("source_digest", sa.Text(), nullable=False),
        sa.Column("source", sa.LargeBinary(), nullable=False),
        sa.Column("destination", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("authority", "cpa_id", "source_digest", name="pk_certificate_override"),
    )
