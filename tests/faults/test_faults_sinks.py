# SPDX-License-Identifier: EUPL-1.2

"""Sinks that are slow, dead, stuck, broken or unwilling: each delivery comes once, and no other authority notices."""

import asyncio
import sys

import pytest

from adapter.simulator import SentMessage, SimulatedVerzoek
from tests.e2e.conftest import until
from tests.faults.conftest import only_chaos
from tests.faults.house import FaultyChain

Announced = tuple[SentMessage, SimulatedVerzoek]


@pytest.fixture
def authorities() -> tuple[str, ...]:
    return ("ziekestad", "gezondestad")


@pytest.fixture
def options() -> str:
    return '\n[limits]\ndelivery_time = "1s"\n'


@pytest.fixture
def chain(chain: FaultyChain) -> FaultyChain:
    """A chain whose sinks are not left in peace for long."""
    text = chain.world.config.read_text().replace('max = "1m"', 'max = "1s"')
    kind = 'type = "directory"\n'
    assert kind in text
    rest = 'breaker = { rest = "1s", longest = "1s" }\n'
    chain.world.config.write_text(text.replace(kind, f"{kind}{rest}"))
    return chain


async def announced(chain: FaultyChain, number: int, name: str = "ziekestad") -> Announced:
    authority = next(one for one in chain.world.authorities if one.name == name)
    verzoek = chain.one(number, authority=authority)
    sent = await chain.announce(verzoek, authority)
    assert sent.status == 204
    await chain.accepted(sent)
    return sent, verzoek


async def others_go_on(chain: FaultyChain, number: int) -> Announced:
    """A verzoek of the other authority is delivered, whatever is the matter with the first."""
    one = await announced(chain, number, "gezondestad")
    name = f"{one[1].verzoeknummer}-000"

    async def is_delivered() -> bool:
        return name in {path.name for path in chain.delivered()}

    await until(is_delivered)
    return one


@pytest.mark.parametrize(
    ("word", "why"),
    [
        ("raise", "RuntimeError"),
        ("hang", "[limits] delivery_time"),
    ],
)
async def test_a_sink_that_fails_is_tried_again_and_delays_nobody_else(
    chain: FaultyChain, word: str, why: str
) -> None:
    chain.orders.give("sink.ziekestad", word)
    await chain.adapter.start()
    sick = [await announced(chain, number) for number in range(1, 7)]  # more than a lane has room for
    await chain.waits("deliver", "ready", why)
    well = await others_go_on(chain, 7)
    chain.orders.give("sink.ziekestad", "")
    await chain.in_step([*sick, well])


@only_chaos
async def test_a_sink_that_is_slow_is_waited_for(chain: FaultyChain) -> None:
    text = chain.world.config.read_text()
    chain.world.config.write_text(text.replace('delivery_time = "1s"', 'delivery_time = "1h"'))
    chain.orders.give("sink.ziekestad", "slow")
    await chain.adapter.start()
    slow = await announced(chain, 1)
    well = await others_go_on(chain, 2)
    chain.orders.give("sink.ziekestad", "")
    await chain.in_step([slow, well])
    assert chain.orders.calls().count(f"sink.ziekestad {slow[1].verzoeknummer} slow") == 1


async def test_a_file_system_that_does_not_answer_holds_its_own_deliveries_only(chain: FaultyChain) -> None:
    chain.orders.give("disk.ziekestad", "stuck")
    await chain.adapter.start()
    stuck = [await announced(chain, number) for number in range(1, 7)]

    async def is_said() -> bool:
        return bool(chain.adapter.actions("sink.stuck"))

    await until(is_said)
    well = await others_go_on(chain, 7)
    chain.orders.give("disk.ziekestad", "")
    await chain.in_step([*stuck, well])


async def test_a_sink_that_is_gone_is_tried_again_until_it_is_back(chain: FaultyChain) -> None:
    await chain.adapter.start()
    away = chain.sink.with_name("weg")
    await asyncio.to_thread(chain.sink.rename, away)
    gone = await announced(chain, 1)
    await chain.waits("deliver", "ready", "make or mount the directory")
    await asyncio.to_thread(away.rename, chain.sink)
    well = await others_go_on(chain, 2)
    await chain.in_step([gone, well])


async def test_what_a_sink_refuses_for_good_waits_for_an_operator_and_is_delivered_once_he_says_so(
    chain: FaultyChain,
) -> None:
    chain.orders.give("sink.ziekestad", "refuse")
    await chain.adapter.start()
    refused = await announced(chain, 1)
    await chain.waits("deliver", "parked", "does not want it")
    well = await others_go_on(chain, 2)
    chain.orders.give("sink.ziekestad", "")
    number = refused[1].verzoeknummer
    arguments = ("verzoek", "retry", number, "--authority", "ziekestad", "--config", str(chain.world.config))
    operator = await asyncio.create_subprocess_exec(sys.executable, "-m", "adapter", *arguments)
    assert await operator.wait() == 0
    await chain.in_step([refused, well])


async def test_a_daemon_that_dies_after_the_sink_took_it_and_before_it_said_so_delivers_once(
    chain: FaultyChain,
) -> None:
    chain.orders.give("sink.ziekestad", "die")
    await chain.adapter.start()
    verzoek = chain.one(1)
    sent = await chain.announce(verzoek)
    assert await chain.adapter.ended() == -9
    assert [path.name for path in chain.delivered()] == [f"{verzoek.verzoeknummer}-000"]
    chain.orders.give("sink.ziekestad", "")
    await chain.adapter.start()
    await chain.accepted(sent)
    await chain.in_step([(sent, verzoek)])
    assert len([line for line in chain.orders.calls() if verzoek.verzoeknummer in line]) == 2
