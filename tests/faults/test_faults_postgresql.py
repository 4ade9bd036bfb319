# SPDX-License-Identifier: EUPL-1.2

"""PostgreSQL that crashes, stops, answers nothing, or is cut off in the middle of a commit."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.e2e.conftest import until
from tests.faults.conftest import only_chaos
from tests.faults.house import FaultyChain, running_chain
from tests.postgresql import Server
from tests.store.cutting import Cut, Proxy


@pytest.fixture
def server(postgresql: Server) -> Iterator[Server]:
    """The server, which runs again at the end of a test whatever was done to it."""
    yield postgresql
    if postgresql.process is None:
        postgresql.start()


@pytest.fixture
async def chain(tmp_path: Path, server: Server, postgres_url: str) -> AsyncIterator[FaultyChain]:
    async with running_chain(tmp_path, store=postgres_url) as made:
        yield made


@pytest.mark.parametrize(
    "how", [signal.SIGQUIT, pytest.param(signal.SIGINT, marks=only_chaos)], ids=["crash", "restart"]
)
async def test_a_server_that_goes_away_postpones_messages_until_it_is_back(
    chain: FaultyChain, server: Server, how: signal.Signals
) -> None:
    await chain.adapter.start()
    verzoeken = [chain.one(number) for number in range(1, 5)]
    before = [await chain.announce(verzoek) for verzoek in verzoeken[:2]]
    await asyncio.to_thread(server.stop, how)
    refused = [await chain.announce(verzoek) for verzoek in verzoeken[2:]]
    assert [(sent.status, sent.retry_after) for sent in refused] == [(503, "30")] * 2
    assert await chain.adapter.is_live()
    assert any("database" in reason for reason in await chain.adapter.unready())
    await asyncio.to_thread(server.start)
    for sent in (*before, *refused):
        await chain.accepted(sent)
    await chain.in_step(zip((*before, *refused), verzoeken, strict=True))


def processes_of(server: Server) -> list[int]:
    """The server and its children."""
    assert server.process is not None
    parent = server.process.pid
    return [parent, *map(int, Path(f"/proc/{parent}/task/{parent}/children").read_text().split())]


@asynccontextmanager
async def paused(server: Server) -> AsyncIterator[None]:
    """A server that is there and answers nothing."""
    stopped = processes_of(server)
    for process in stopped:
        os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        for process in stopped:
            os.kill(process, signal.SIGCONT)


async def test_a_server_that_is_slow_delays_the_answer_and_takes_the_message_once(
    chain: FaultyChain, server: Server
) -> None:
    await chain.adapter.start()
    verzoek = chain.one()
    async with paused(server):
        sending = asyncio.create_task(chain.announce(verzoek))
        assert any("no answer" in reason for reason in await chain.adapter.unready())
        assert await chain.adapter.is_live()
        assert not sending.done()
    sent = await sending
    assert sent.status == 204
    await chain.accepted(sent)
    await chain.in_step([(sent, verzoek)])


@only_chaos
async def test_a_server_that_answers_nothing_for_long_makes_the_partner_come_again(
    chain: FaultyChain, server: Server
) -> None:
    await chain.adapter.start()
    verzoek = chain.one()
    async with paused(server):
        sent = await chain.announce(verzoek)
        assert (sent.status, sent.retry_after) == (503, "30")
    await chain.accepted(sent)
    await chain.in_step([(sent, verzoek)])


@pytest.mark.parametrize(
    "cut",
    [pytest.param(Cut.BEFORE, marks=only_chaos), Cut.AFTER],
    ids=["before it was done", "after it was done"],
)
async def test_a_commit_that_is_cut_off_is_refused_and_accepted_once_when_it_comes_again(
    tmp_path: Path, postgres_url: str, cut: Cut
) -> None:
    async with (
        Proxy(postgres_url).running() as proxy,
        running_chain(tmp_path, store=postgres_url, through=proxy.url) as chain,
    ):
        await chain.adapter.start()
        verzoek = chain.one()
        proxy.cut = cut
        sent = await chain.announce(verzoek, padding=1_000_000)
        assert (sent.status, sent.retry_after) == (503, "30")
        assert len(await chain.messages()) == (1 if cut is Cut.AFTER else 0)
        proxy.cut = Cut.NEVER
        await chain.accepted(sent)
        # what a commit of unknown outcome may name stays until the spool is swept
        await chain.in_step([(sent, verzoek)], unnamed=True)


class Unreliable(Proxy):
    """Cuts every fourth commit, before and after it was done in turn, while it is told to."""

    def decide(self) -> Cut:
        if self.cut is Cut.NEVER or self.commits % 4:
            return Cut.NEVER
        return Cut.AFTER if self.commits % 8 else Cut.BEFORE


@only_chaos
async def test_commits_that_are_cut_off_all_the_time_lose_nothing_and_deliver_nothing_twice(
    tmp_path: Path, postgres_url: str
) -> None:
    async with (
        Unreliable(postgres_url).running() as proxy,
        running_chain(tmp_path, store=postgres_url, through=proxy.url) as chain,
    ):
        await chain.adapter.start()
        proxy.cut = Cut.AFTER
        verzoeken = [chain.one(number) for number in range(1, 6)]
        sent = [await chain.announce(verzoek) for verzoek in verzoeken]
        for one in sent:
            await chain.accepted(one)
        await until(lambda: _has_cut(proxy, 60))
        proxy.cut = Cut.NEVER
        await chain.in_step(zip(sent, verzoeken, strict=True), unnamed=True)


async def _has_cut(proxy: Proxy, commits: int) -> bool:
    return proxy.commits >= commits
