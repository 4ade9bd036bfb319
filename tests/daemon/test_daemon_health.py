# SPDX-License-Identifier: EUPL-1.2

"""What is said of a daemon that something is wrong with, by fault, and whose messages that stops: docs/health.md."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from adapter.delivery import BreakerOptions
from adapter.simulator import AgreementPlan, create_world
from adapter.store import sqlite
from adapter.work import utc_now
from tests.daemon.hosting import Hosting, hosted
from tests.e2e.conftest import until

MiB = 2**20


@pytest.fixture
async def hosting(tmp_path: Path) -> AsyncIterator[Hosting]:
    """A daemon for two authorities, to be started."""
    plans = dict.fromkeys(("adorp", "bestad"), AgreementPlan())
    world = await asyncio.to_thread(create_world, tmp_path, plans, apart=True)
    async with hosted(world) as made:
        yield made


def configure(hosting: Hosting, text: str) -> None:
    with hosting.world.config.open("a") as file:
        file.write(f"\n[health]\n{text}\n")


def texts(body: dict[str, Any], check: str) -> list[str]:
    return [detail["text"] for detail in body["checks"][check]["details"]]


async def test_of_a_daemon_that_is_well_every_check_is_ok_and_messages_come(hosting: Hosting) -> None:
    configure(hosting, 'free_warning = "256 MiB"\nsink_free = "1 B"')
    await hosting.start()
    await hosting.deliver("adorp")
    status, body = await hosting.health()
    assert (status, body["status"], body["reasons"], body["authorities_not_ready"]) == (200, "ready", [], [])
    not_ok = {name for name, check in body["checks"].items() if check["status"] != "ok"}
    assert not_ok <= {"ending", "event_loop"}  # the CPA of the simulation ends within 60 days


async def test_a_database_that_takes_no_writes_is_not_ready(
    hosting: Hosting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "_BUSY_TIMEOUT", 0.05)
    await hosting.start()
    other = sqlite3.connect(hosting.world.directory / "var" / "stam-adapter.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    status, body = await hosting.health()
    assert (status, body["checks"]["database"]["status"]) == (503, "failed")
    assert body["authorities_not_ready"] == ["adorp", "bestad"]
    other.execute("ROLLBACK")
    other.close()
    assert (await hosting.health())[0] == 200


async def test_little_room_is_a_warning_and_less_is_not_ready(hosting: Hosting) -> None:
    configure(hosting, 'free = "1 B"\nfree_warning = "999999999 GiB"')
    await hosting.start()
    status, body = await hosting.health()
    assert (status, body["checks"]["disk"]["status"]) == (200, "warning")
    assert "make room for at least" in texts(body, "disk")[0]
    await hosting.stop()
    text = hosting.world.config.read_text()
    hosting.world.config.write_text(text.replace('free = "1 B"', 'free = "999999999 GiB"'))
    await hosting.start()
    status, body = await hosting.health()
    assert status == 503
    assert "make room for at least" in body["reasons"][0]


async def test_a_sink_that_cannot_deliver_is_a_warning_and_stops_nobody(hosting: Hosting) -> None:
    hosting.authority("bestad").sink.rmdir()
    await hosting.start()
    await hosting.until_said("sink.unwell")
    status, body = await hosting.health()
    assert (status, body["checks"]["sinks"]["status"]) == (200, "warning")
    (detail,) = body["checks"]["sinks"]["details"]
    assert detail["about"] == "bestad/archief"
    assert "is not a directory; make or mount it" in detail["text"]
    await hosting.deliver("adorp")


async def test_a_sink_that_is_left_in_peace_is_a_warning(hosting: Hosting) -> None:
    await hosting.start()
    breaker = hosting.tenants["bestad"].sinks["bestad", "archief"].breaker
    for _ in range(BreakerOptions().failures):
        breaker.failed()
    status, body = await hosting.health()
    assert status == 200
    assert "bestad/archief: fails and fails, and is left in peace until" in texts(body, "sinks")[0]
    breaker.succeeded()
    assert texts((await hosting.health())[1], "sinks") == []


async def test_a_directory_without_room_is_a_warning(hosting: Hosting) -> None:
    configure(hosting, 'sink_free = "999999999 GiB"')
    await hosting.start()
    await hosting.until_said("sink.unwell", 2)
    status, body = await hosting.health()
    assert status == 200
    assert len(texts(body, "sinks")) == 2
    assert all("take away what was handled" in text for text in texts(body, "sinks"))


async def test_an_expired_certificate_stops_its_authority_alone(hosting: Hosting) -> None:
    ended = datetime.now(UTC) - timedelta(hours=1)
    authority = hosting.authority("bestad")
    issued = hosting.world.pki.issue("Bestad", authority.oin, not_after=ended)
    issued.write(hosting.world.directory / "tls", "bestad")
    await hosting.start()
    status, body = await hosting.health()
    assert (status, body["authorities_not_ready"]) == (200, ["bestad"])
    assert "bestad.pem is valid from" in texts(body, "certificates")[0]
    status, body = await hosting.health("?authority=bestad")
    assert (status, body["status"]) == (503, "not ready")
    assert (await hosting.health("?authority=adorp"))[0] == 200
    await hosting.deliver("adorp")


async def test_an_authority_without_an_agreement_is_stopped_alone(hosting: Hosting) -> None:
    hosting.edit("bestad", 'cpas = ["cpa/bestad.xml"]', "cpas = []")
    await hosting.start()
    status, body = await hosting.health()
    assert (status, body["authorities_not_ready"]) == (200, ["bestad"])
    assert texts(body, "agreements") == [
        "authority bestad: it has no agreement that can be used; add a CPA with `stam-adapter cpa add`"
    ]


@pytest.mark.parametrize("past", [timedelta(days=61), timedelta(days=-2)], ids=["ended", "not-begun"])
async def test_agreements_that_are_not_in_force_stop_everybody(hosting: Hosting, past: timedelta) -> None:
    await hosting.start(clock=lambda: utc_now() + past)
    status, body = await hosting.health()
    assert status == 503
    assert body["reasons"][0].startswith("no agreement can be used")
    assert body["authorities_not_ready"] == ["adorp", "bestad"]


async def test_a_clock_that_differs_from_the_answers_of_others_is_a_warning(hosting: Hosting) -> None:
    await hosting.start(clock=lambda: utc_now() + timedelta(seconds=40))
    assert texts((await hosting.health())[1], "clock") == []
    await hosting.deliver("adorp")
    status, body = await hosting.health()
    assert status == 200
    (text,) = texts(body, "clock")
    assert text.startswith("the clock of this host is ")
    assert "s ahead of what the answers of localhost say; let both keep time by NTP" in text


async def test_files_of_an_authority_that_cannot_be_used_are_a_warning(hosting: Hosting) -> None:
    await hosting.start()
    hosting.edit("bestad", "party =", "partij =")
    await hosting.reload()
    status, body = await hosting.health()
    assert (status, body["checks"]["configuration"]["details"][0]["about"]) == (200, "bestad")


async def test_what_died_in_the_background_is_neither_live_nor_ready(hosting: Hosting) -> None:
    await hosting.start()
    task = next(one for one in asyncio.all_tasks() if one.get_name() == "registry")
    task.cancel()

    async def is_noticed() -> bool:
        url = f"http://127.0.0.1:{hosting.daemon.admin_port}/health/live"
        async with aiohttp.ClientSession() as session, session.get(url) as response:
            return response.status == 503 and "registry does not run" in await response.text()

    await until(is_noticed)
    status, body = await hosting.health()
    assert (status, body["checks"]["processes"]["status"]) == (503, "failed")


async def test_a_daemon_that_does_not_listen_any_more_is_not_ready(hosting: Hosting) -> None:
    await hosting.start()
    seen: list[dict[str, Any]] = []
    gate: Callable[[], None] = hosting.sink_of("adorp").gate.clear
    gate()
    await hosting.announce("adorp")

    async def is_at_work() -> bool:
        return hosting.sink_of("adorp").at_work == 1

    await until(is_at_work)
    stopping = asyncio.create_task(hosting.daemon.stop())

    async def says_so() -> bool:
        try:
            seen.append((await hosting.health())[1])
        except aiohttp.ClientConnectionError:
            return True
        return "starting or stopping" in str(seen[-1]["reasons"])

    await until(says_so)
    hosting.sink_of("adorp").gate.set()
    await stopping
    hosting._daemon = None
