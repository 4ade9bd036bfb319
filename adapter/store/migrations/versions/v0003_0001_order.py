# SPDX-License-Identifier: EUPL-1.2

"""The order of the messages of one verzoek, and what their verzoekberichten say of each other.

Only additions, and none that refuses a row as the versions before write it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003_0001"
down_revision = "0002"
branch_labels = None
depends_on = None
step = "pre"


def upgrade() -> None:
    """Add the columns and their indexes."""
    op.add_column("job", sa.Column("holds_key", sa.Text(), nullable=True))
    op.add_column("job", sa.Column("position", sa.Text(), nullable=True))
    op.create_index("ix_job_holds_key", "job", ["holds_key"], unique=False)
    op.add_column("delivery", sa.Column("announced", sa.Text(), nullable=True))
    op.add_column("delivery", sa.Column("project_id", sa.Text(), nullable=True))
    op.add_column("delivery", sa.Column("is_copy", sa.Boolean(), nullable=True))
    op.add_column("delivery", sa.Column("lapsed", sa.JSON(), nullable=True))
    op.create_index("ix_delivery_project_id", "delivery", ["project_id"], unique=False)
    op.create_index("ix_message_authority_id", "message", ["authority", "id"], unique=False)
