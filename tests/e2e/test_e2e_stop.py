# SPDX-License-Identifier: EUPL-1.2

"""SIGTERM, as systemd sends it: nothing new is taken, what runs may end, the rest is put back, within a bound."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from adapter.daemon.daemon import GRACE, STOP
from adapter.daemon.draining import CUT
from adapter.daemon.listener import REQUEST_GRACE
from tests.e2e import killable
from tests.e2e.conftest import Chain, assert_delivered, until

UNIT = Path(__file__).resolve().parents[2] / "systemd" / "stam-adapter.service"


async def passed(chain: Chain, label: str) -> None:
    async def so() -> bool:
        return label in chain.adapter.passed()

    await until(so)


async def stopping(chain: Chain) -> None:
    """Tell the daemon to stop, and wait until it began to."""
    assert chain.adapter.process is not None
    chain.adapter.process.process.terminate()

    async def so() -> bool:
        return '"action": "daemon.stopping"' in chain.adapter.log

    await until(so)


async def test_a_message_on_its_way_in_is_taken_and_no_other(chain: Chain) -> None:
    await chain.adapter.start()
    chain.dso.faults.lose_notifications = 1
    verzoek = chain.verzoek()
    sent = await chain.dso.announce(chain.world.authorities[0], verzoek)
    whole = b"".join([chunk async for chunk in sent.body.stream()])
    go = asyncio.Event()

    async def octets() -> AsyncIterator[bytes]:
        yield whole[:1000]
        await go.wait()
        yield whole[1000:]

    async def send() -> int:
        url = f"https://127.0.0.1:{chain.world.ports.adapter}/ebms"
        client = chain.dso.msh._connected()
        async with client.request("POST", url, headers=dict(sent.body.headers), data=octets()) as response:
            return response.status

    sending = asyncio.create_task(send())

    async def receiving() -> bool:
        url = f"http://127.0.0.1:{chain.world.ports.admin}/metrics"
        async with aiohttp.ClientSession() as session, session.get(url) as response:
            return "stam_adapter_receiving 1.0" in await response.text()

    await until(receiving)
    await stopping(chain)

    async def is_closed() -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", chain.world.ports.adapter)
        except ConnectionRefusedError:
            return True
        writer.close()
        return False

    await until(is_closed)
    go.set()
    assert await sending in {200, 204}
    assert chain.adapter.process is not None
    assert await chain.adapter.process.wait() == 0
    await chain.adapter.start()
    await until(chain.has_delivered)
    (directory,) = chain.delivered()
    assert_delivered(directory, verzoek)


async def test_what_does_not_end_in_time_is_put_back_and_goes_on_at_the_start(
    chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(killable.GRACE, "0.5")
    await chain.adapter.start("hang:before record_file#1")
    verzoek = chain.verzoek()
    await chain.dso.announce(chain.world.authorities[0], verzoek)
    await passed(chain, "before record_file#1")
    assert await chain.adapter.stop() == 0
    assert "put back the jobs that did not end in time" in chain.adapter.log
    await chain.adapter.start()
    await until(chain.has_delivered)
    assert "released the jobs that a dead process left running" not in chain.adapter.log
    assert_delivered(chain.delivered()[0], verzoek)


async def test_a_thread_that_never_ends_does_not_hold_the_stop(
    chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A directory on a file system that is gone: its thread can be neither waited for nor cut off."""
    monkeypatch.setenv(killable.GRACE, "0.5")
    monkeypatch.setenv(killable.STOP, "2")
    await chain.adapter.start("hang:before rename#1")
    verzoek = chain.verzoek()
    await chain.dso.announce(chain.world.authorities[0], verzoek)
    await passed(chain, "before rename#1")
    assert await chain.adapter.stop() == 1
    assert '"action": "daemon.stop_overdue"' in chain.adapter.log
    await chain.adapter.start()
    await until(chain.has_delivered)
    (directory,) = chain.delivered()
    assert_delivered(directory, verzoek)
    assert chain.unfinished() == []


def test_the_bound_is_longer_than_its_parts_and_systemd_waits_longer_still() -> None:
    unit = re.search(r"^TimeoutStopSec=(\d+)s$", UNIT.read_text(), re.MULTILINE)
    assert unit is not None
    a_listener = REQUEST_GRACE + 2 * CUT
    assert 2 * a_listener + GRACE < STOP
    assert STOP.total_seconds() < int(unit[1])
