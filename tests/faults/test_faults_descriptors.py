# SPDX-License-Identifier: EUPL-1.2

"""No file descriptor is left: the daemon says so once, survives, and goes on when there are some again."""

import asyncio
import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.e2e.conftest import until
from tests.faults.house import FaultyChain

LIMIT = 128


@contextmanager
def crowd(*ports: int) -> Iterator[None]:
    """More connections than the daemon may have, by somebody who says nothing."""
    with ExitStack() as closing:
        for port in ports:
            for _ in range(LIMIT):
                one = closing.enter_context(socket.socket())
                one.setblocking(False)
                one.connect_ex(("127.0.0.1", port))
        yield


async def test_without_file_descriptors_the_daemon_says_so_once_and_goes_on_when_there_are_some(
    chain: FaultyChain,
) -> None:
    chain.adapter.prefix = ("sh", "-c", 'ulimit -n "$0" && exec "$@"', str(LIMIT))
    await chain.adapter.start()
    assert chain.adapter.process is not None
    descriptors = Path(f"/proc/{chain.adapter.process.pid}/fd")
    chain.orders.give("sink.voorbeeldstad", "slow")
    first = chain.one(1)
    before = await chain.announce(first)
    await chain.called(f"sink.voorbeeldstad {first.verzoeknummer} slow")
    with crowd(chain.world.ports.adapter, chain.world.ports.admin):

        async def is_out() -> bool:
            return bool(chain.adapter.actions("daemon.no_descriptors"))

        await until(is_out)
        assert len(await asyncio.to_thread(os.listdir, descriptors)) >= LIMIT - 1
        chain.orders.give("sink.voorbeeldstad", "")

        async def fails() -> bool:
            return bool(chain.adapter.actions("delivery.temporary"))

        await until(fails)
        meanwhile = asyncio.create_task(chain.announce(second := chain.one(2)))
    sent = await meanwhile
    assert sent.status == 204
    for one in (before, sent):
        await chain.accepted(one)
    assert await chain.adapter.unready() == []
    await chain.in_step([(before, first), (sent, second)])
    assert len(chain.adapter.actions("daemon.no_descriptors")) == 1
    assert (
        len(chain.adapter.actions("worker.failed")) <= 4
    )  # of each of its two tasks, as the reason may change
    assert chain.adapter.actions("log.asyncio") == []
