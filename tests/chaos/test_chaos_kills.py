# SPDX-License-Identifier: EUPL-1.2

"""Load under kills, in the bounded form; `make chaos` is the long one."""

from pathlib import Path

from tests.chaos.campaign import Outcome, Plan, run_campaign
from tests.chaos.stage import build_stage

PLAN = Plan(kills=6, seed=1)


def assert_nothing_went_wrong(outcome: Outcome) -> None:
    assert outcome.report.is_clean, f"seed {outcome.plan.seed}: {outcome.report}"
    assert outcome.kills.total() >= PLAN.kills
    assert outcome.counts.messages >= outcome.delivered > 0
    assert outcome.counts.resends > 0, "the kills were not felt by any partner"


async def test_nothing_is_lost_or_twice_when_a_daemon_on_sqlite_is_killed_under_load(tmp_path: Path) -> None:
    assert_nothing_went_wrong(await run_campaign(build_stage(tmp_path), PLAN))


async def test_nothing_is_lost_or_twice_when_two_daemons_on_postgresql_are_killed_under_load(
    tmp_path: Path, postgres_url: str
) -> None:
    assert_nothing_went_wrong(await run_campaign(build_stage(tmp_path, postgres_url, hosts=2), PLAN))
