# SPDX-License-Identifier: EUPL-1.2

"""Back-pressure: what is refused for now, so that what was accepted can be finished."""

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from adapter.msh import Load, Pressure, Room
from adapter.msh.pressure import Overloaded


@pytest.fixture
def busy() -> Iterator[tuple[Pressure, ExitStack]]:
    with ExitStack() as stack:
        yield Pressure(Room(requests=3, requests_per_partner=2, backlog=10, backlog_per_authority=5)), stack


def test_a_partner_gets_no_more_than_its_share(busy: tuple[Pressure, ExitStack]) -> None:
    pressure, stack = busy
    for _ in range(2):
        stack.enter_context(pressure.request("one"))
    with pytest.raises(Overloaded) as caught, pressure.request("one"):
        pass
    assert caught.value.reason == "requests"
    stack.enter_context(pressure.request("other"))


def test_all_partners_together_get_no_more_than_there_is(busy: tuple[Pressure, ExitStack]) -> None:
    pressure, stack = busy
    for partner in ("one", "two", "three"):
        stack.enter_context(pressure.request(partner))
    with pytest.raises(Overloaded), pressure.request("four"):
        pass


def test_a_request_that_ended_makes_room_whatever_its_end(busy: tuple[Pressure, ExitStack]) -> None:
    pressure, _ = busy
    for _ in range(10):
        with pytest.raises(asyncio.CancelledError), pressure.request("one"):
            raise asyncio.CancelledError
    with pressure.request("one"):
        pass


def test_an_authority_with_a_long_queue_is_refused_and_no_other(busy: tuple[Pressure, ExitStack]) -> None:
    pressure, _ = busy
    pressure.load = Load(backlog={"full": 5, "empty": 0})
    with pytest.raises(Overloaded) as caught:
        pressure.check_authority("full")
    assert caught.value.reason == "backlog"
    pressure.check_authority("empty")


def test_when_all_queues_together_are_too_long_everybody_waits(busy: tuple[Pressure, ExitStack]) -> None:
    pressure, _ = busy
    pressure.load = Load(backlog={"one": 4, "two": 4, "three": 2})
    with pytest.raises(Overloaded):
        pressure.check_authority("nobody")


def test_an_authority_that_fills_the_spool_is_refused_and_no_other() -> None:
    pressure = Pressure(Room(spool_per_authority=1000), Load(spool_of={"full": 1000, "empty": 999}))
    with pytest.raises(Overloaded) as caught:
        pressure.check_authority("full")
    assert caught.value.reason == "spool"
    pressure.check_authority("empty")


@pytest.mark.parametrize(
    ("room", "load", "reason"),
    [
        (Room(free=1000), Load(free=999), "disk"),
        (Room(spool=1000), Load(spool=1000), "spool"),
    ],
)
def test_a_full_disk_or_spool_takes_nothing_more(room: Room, load: Load, reason: str) -> None:
    pressure = Pressure(room, load)
    with pytest.raises(Overloaded) as caught, pressure.request("one"):
        pass
    assert caught.value.reason == reason
