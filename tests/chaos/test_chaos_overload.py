# SPDX-License-Identifier: EUPL-1.2

"""Overload, in the bounded form; `make chaos` is the long one."""

from pathlib import Path

from tests.chaos.overload import CONNECTIONS, GROWTH, REQUESTS_PER_PARTNER, STRANGERS, overload

SECONDS = 6.0


async def test_under_overload_what_was_accepted_is_delivered_once_and_memory_stays_flat(
    tmp_path: Path,
) -> None:
    endured = await overload(tmp_path, SECONDS)
    watched = endured.watched
    assert endured.report.is_clean, str(endured.report)
    assert endured.delivered == endured.counts.messages
    assert set(watched.lives) == {"200"}
    assert watched.growth <= GROWTH
    # it was an overload: everything that has a limit was at it, and a partner was told when to come again
    assert endured.refused.keys() == {"requests", "backlog", "connections"}
    assert min(endured.refused.values()) > 0
    assert watched.statuses[503] > 0
    assert watched.retry_after == {"30"}
    assert watched.strangers_turned_away >= STRANGERS - CONNECTIONS
    # the slow senders had their share of the requests to the end, and no more than that
    assert watched.slow_begun - watched.slow_ended == REQUESTS_PER_PARTNER
