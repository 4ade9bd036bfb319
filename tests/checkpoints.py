# SPDX-License-Identifier: EUPL-1.2

"""What a sink remembered, as a test asks for it."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection

from adapter.store import checkpoints


def get_checkpoint(conn: Connection, delivery: int, step: str) -> Mapping[str, Any] | None:
    """What was remembered of one step; None when the step was not done."""
    return {one.step: one.value for one in checkpoints(conn, delivery)}.get(step)
