# SPDX-License-Identifier: EUPL-1.2

"""What people are told of, by which channel, and when a partner last answered.

Only additions.
"""

import sqlalchemy as sa
from alembic import op

revision = "0006_0001"
down_revision = "0005_0001"
branch_labels = None
depends_on = None
step = "pre"

_ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add the tables."""
    op.create_table(
        "alert",
        sa.Column("id", _ROW_ID, nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("authority", sa.Text(), nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("level", sa.Integer(), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.Column("job", _ROW_ID, nullable=True),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alert")),
        sa.UniqueConstraint("key", name=op.f("uq_alert_key")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "alert_told",
        sa.Column("alert", _ROW_ID, nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("level", sa.Integer(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["alert"], ["alert.id"], name=op.f("fk_alert_told_alert"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("alert", "channel", name=op.f("pk_alert_told")),
    )
    op.create_index("ix_alert_told_channel", "alert_told", ["channel"], unique=False)
    op.create_table(
        "notification_channel",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("sent_at", sa.BigInteger(), nullable=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("failing_since", sa.BigInteger(), nullable=True),
        sa.Column("try_at", sa.BigInteger(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_notification_channel")),
    )
    op.create_table(
        "partner_contact",
        sa.Column("authority", sa.Text(), nullable=False),
        sa.Column("cpa_id", sa.Text(), nullable=False),
        sa.Column("ping", _ROW_ID, nullable=True),
        sa.Column("next_at", sa.BigInteger(), nullable=False),
        sa.Column("success_at", sa.BigInteger(), nullable=True),
        sa.Column("failure_at", sa.BigInteger(), nullable=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["ping"], ["message.id"], name=op.f("fk_partner_contact_ping"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("authority", "cpa_id", name=op.f("pk_partner_contact")),
    )
    op.create_index("ix_partner_contact_ping", "partner_contact", ["ping"], unique=False)
