# SPDX-License-Identifier: EUPL-1.2

"""What is said of health without being asked: once, when it stands, and when it is over."""

from collections.abc import Iterator, MutableMapping
from typing import Any

import pytest
from structlog.testing import capture_logs

from adapter.admin import EVERYBODY, Health, Trouble
from adapter.daemon import ServiceManager
from adapter.daemon.health_watch import HealthWatch, status_line
from adapter.observe import Metrics

FULL = Trouble("only 1 MiB is free", "the spool", EVERYBODY)
SLOW = Trouble("a sink is slow", "adorp/archief")


class Stage:
    """A watch over one check, which finds what a test says."""

    def __init__(self) -> None:
        self.found: list[Trouble] = []
        self.metrics = Metrics()
        self.health = Health({"disk": self.check}, self.metrics, authorities=lambda: ("adorp",))
        self.watch = HealthWatch(self.health, self.metrics, ServiceManager())

    async def check(self) -> list[Trouble]:
        return self.found


@pytest.fixture
def stage() -> Stage:
    return Stage()


@pytest.fixture
def logs() -> Iterator[list[MutableMapping[str, Any]]]:
    with capture_logs() as lines:
        yield lines


def actions(logs: list[MutableMapping[str, Any]]) -> list[str]:
    return [line["action"] for line in logs]


async def test_what_two_looks_find_is_said_once_and_when_it_is_over(
    stage: Stage, logs: list[MutableMapping[str, Any]]
) -> None:
    stage.found = [FULL]
    await stage.watch.look()
    assert actions(logs) == []
    await stage.watch.look()
    await stage.watch.look()
    assert actions(logs) == ["health.trouble", "health.not_ready"]
    assert logs[1]["reasons"] == [FULL.text]
    stage.found = []
    await stage.watch.look()
    await stage.watch.look()
    assert actions(logs)[2:] == ["health.trouble_over", "health.ready"]


async def test_what_passes_in_a_moment_is_not_said(
    stage: Stage, logs: list[MutableMapping[str, Any]]
) -> None:
    for found in ([FULL], [], [FULL], []):
        stage.found = found
        await stage.watch.look()
    assert actions(logs) == []


async def test_the_metrics_say_what_is_found_now(stage: Stage) -> None:
    stage.found = [SLOW]
    await stage.watch.look()
    text = stage.metrics.render().decode()
    assert 'stam_adapter_health_troubles{check="disk",status="warning"} 1.0' in text
    assert "stam_adapter_ready 1.0" in text
    stage.found = [FULL]
    await stage.watch.look()
    text = stage.metrics.render().decode()
    assert 'stam_adapter_health_troubles{check="disk",status="warning"} 0.0' in text
    assert 'stam_adapter_health_troubles{check="disk",status="failed"} 1.0' in text
    assert "stam_adapter_ready 0.0" in text


async def test_one_line_says_how_it_is(stage: Stage) -> None:
    assert status_line(await stage.health.look()) == "ready, for 1 authority"
    stage.found = [SLOW]
    assert status_line(await stage.health.look()) == "ready, for 1 authority; 1 warnings: a sink is slow"
    stage.found = [FULL]
    assert status_line(await stage.health.look()) == "not ready: only 1 MiB is free"
