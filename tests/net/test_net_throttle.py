# SPDX-License-Identifier: EUPL-1.2

"""Who asks a server waits for a turn: so many at a time, so many a second, and none while it wants to be left alone."""

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from adapter.net import Resting, Throttle
from adapter.net.throttle import PATIENCE

LONG = timedelta(minutes=5)


@dataclass
class Time:
    """Time that only passes by being slept."""

    now: float = 1000.0
    slept: list[float] = field(default_factory=list)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)

    def throttle(self, concurrency: int | None = None, rate: float | None = None) -> Throttle:
        return Throttle("de bron", concurrency, rate, now=lambda: self.now, sleep=self.sleep)


@pytest.fixture
def time() -> Time:
    return Time()


async def take(throttle: Throttle, number: int) -> None:
    for _ in range(number):
        async with throttle.turn():
            pass


async def test_no_more_have_a_turn_than_may(time: Time) -> None:
    throttle, running, most = time.throttle(concurrency=3), 0, 0

    async def ask() -> None:
        nonlocal running, most
        async with throttle.turn():
            running += 1
            most = max(most, running)
            await asyncio.sleep(0)
            running -= 1

    await asyncio.gather(*(ask() for _ in range(20)))
    assert most == 3


async def test_turns_come_in_the_order_in_which_they_were_wanted(time: Time) -> None:
    throttle, order = time.throttle(concurrency=1, rate=1), []

    async def ask(number: int) -> None:
        async with throttle.turn():
            order.append(number)

    await asyncio.gather(*(ask(number) for number in range(6)))
    assert order == [0, 1, 2, 3, 4, 5]


async def test_a_second_full_of_requests_may_go_at_once_and_then_they_go_by_the_rate(time: Time) -> None:
    throttle = time.throttle(rate=4)
    await take(throttle, 4)
    assert time.slept == []
    await take(throttle, 8)
    assert time.now == pytest.approx(1002.0)


async def test_a_rate_below_one_a_second_lets_one_through_at_once(time: Time) -> None:
    await take(time.throttle(rate=0.1), 3)
    assert time.now == pytest.approx(1020.0)


async def test_a_long_pause_does_not_save_up_more_than_a_second(time: Time) -> None:
    throttle = time.throttle(rate=4)
    time.now += 3600
    await take(throttle, 8)
    assert time.now == pytest.approx(4601.0)


async def test_a_turn_that_is_no_longer_wanted_costs_no_token_and_blocks_nobody() -> None:
    throttle = Throttle("de bron", concurrency=1, rate=1 / 3600)
    await take(throttle, 1)
    waiting = asyncio.create_task(take(throttle, 1))
    await asyncio.sleep(0)
    tokens = throttle._tokens
    waiting.cancel()
    await asyncio.wait([waiting])
    assert waiting.cancelled()
    assert throttle._tokens == pytest.approx(tokens, abs=0.01)
    assert not throttle._line.locked()
    assert throttle._slots.locked() is False


async def test_a_server_that_rests_for_long_is_not_asked_and_it_is_said_for_how_long(time: Time) -> None:
    throttle = time.throttle()
    throttle.rest(LONG)
    time.now += 60
    with pytest.raises(Resting, match="de bron asked to be left alone, for 240 s yet") as resting:
        await take(throttle, 1)
    assert resting.value.left == timedelta(minutes=4)
    time.now += 240
    await take(throttle, 1)


async def test_a_short_rest_is_waited_for(time: Time) -> None:
    throttle = time.throttle()
    throttle.rest(PATIENCE)
    await take(throttle, 1)
    assert time.slept == [PATIENCE.total_seconds()]


async def test_a_shorter_rest_does_not_end_a_longer_one(time: Time) -> None:
    throttle = time.throttle()
    throttle.rest(LONG)
    throttle.rest(timedelta(seconds=1))
    with pytest.raises(Resting):
        await take(throttle, 1)


async def test_who_waits_for_a_turn_when_a_long_rest_begins_gets_none(time: Time) -> None:
    throttle = time.throttle(concurrency=1)
    async with throttle.turn():
        waiting = asyncio.create_task(take(throttle, 1))
        await asyncio.sleep(0)
        throttle.rest(LONG)
    with pytest.raises(Resting):
        await waiting


async def test_a_rest_of_one_server_is_none_of_another(time: Time) -> None:
    time.throttle().rest(LONG)
    await take(time.throttle(), 1)
