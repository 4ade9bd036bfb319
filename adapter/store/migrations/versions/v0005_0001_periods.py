# SPDX-License-Identifier: EUPL-1.2

"""Deliveries of an authority by when they were made, for lists by period and the charts of the status page.

Only an addition.
"""

from alembic import op

revision = "0005_0001"
down_revision = "0004_0001"
branch_labels = None
depends_on = None
step = "pre"


def upgrade() -> None:
    """Add the index."""
    op.create_index("ix_delivery_authority_created_at", "delivery", ["authority", "created_at"], unique=False)
