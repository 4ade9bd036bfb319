# SPDX-License-Identifier: EUPL-1.2

"""Order per verzoek at a sink, parked messages and copies for another behandeldienst, through the whole line."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from adapter.simulator import OTHER_DIENST, SimulatedVerzoek, supplement
from adapter.store import DeliveryState
from tests.e2e.arrivals import name_of
from tests.e2e.conftest import until
from tests.e2e.line import Line, a_verzoek, running_line
from tests.e2e.way import Trouble

BY_VOLGNUMMER = 'references = "/verzoeken/{verzoeknummer}?volgnummer={volgnummer}"\n'


@pytest.fixture
async def line(tmp_path: Path, kind: str) -> AsyncIterator[Line]:
    """A line to a back-end, whose adapter asks for each message by its volgnummer."""
    async with running_line(tmp_path, kind) as made:
        config = made.chain.world.config
        head, table, rest = config.read_text().partition("[authorities.voorbeeldstad.dso]\n")
        config.write_text(f"{head}{table}{BY_VOLGNUMMER}{rest}")
        yield made


@pytest.fixture
def kind() -> str:
    """The type of the sink; a test may ask for another."""
    return "directory"


async def has(line: Line, state: DeliveryState, number: int) -> None:
    """Wait until so many deliveries have this state."""

    async def enough() -> bool:
        return (await line.states()).count(state) == number

    await until(enough)


async def names(line: Line) -> tuple[str, ...]:
    """What was delivered, in its order."""
    return (await line.back_end.arrived()).messages


def both(line: Line, number: int) -> tuple[SimulatedVerzoek, SimulatedVerzoek]:
    """A verzoek and its supplement."""
    first = a_verzoek(line, number)
    return first, supplement(first, answers={"vraag-1": "Anders."})


async def test_what_is_announced_in_the_wrong_order_while_a_sink_is_down_is_delivered_in_the_right_one(
    line: Line,
) -> None:
    sink, away = line.chain.sink, line.chain.sink.with_name("weg")
    sink.rename(away)
    await line.adapter.run()
    first, second = both(line, 1)
    line.chain.dso.faults.hold_notifications = 2
    await line.announce(first)
    await line.announce(second)
    released = await line.chain.dso.release()
    assert [one.message_id for one in released] == [one.sent.message_id for one in line.announced[::-1]]
    await has(line, DeliveryState.READY, 2)
    away.rename(sink)
    await line.all_delivered()
    await line.arrived_once()
    assert await line.adapter.stop() == 0


async def parked(line: Line, number: int) -> tuple[SimulatedVerzoek, SimulatedVerzoek]:
    """A verzoek of which the first message is parked, and the second has come; others pass."""
    first, second = both(line, number)
    line.back_end.way.expect({1: Trouble.DENIED})
    await line.announce(first)
    await has(line, DeliveryState.PARKED, 1)
    await line.announce(second)
    await line.announce(a_verzoek(line, number + 1))
    await has(line, DeliveryState.DELIVERED, 1)
    await has(line, DeliveryState.READY, 1)
    assert await names(line) == (name_of(a_verzoek(line, number + 1)),)
    return first, second


@pytest.mark.parametrize("kind", ["http"])
async def test_a_parked_message_holds_the_later_ones_until_it_is_retried(line: Line) -> None:
    await line.adapter.run()
    first, second = await parked(line, 1)
    await line.command("verzoek", "retry", first.verzoeknummer)
    await line.all_delivered()
    assert (await names(line))[1:] == (name_of(first), name_of(second))
    assert await line.adapter.stop() == 0


@pytest.mark.parametrize("kind", ["http"])
async def test_a_parked_message_holds_the_later_ones_until_it_is_skipped(line: Line) -> None:
    await line.adapter.run()
    _, second = await parked(line, 1)
    await line.command("verzoek", "skip", "--state", "parked", "--reason", "met de hand overgenomen", "--yes")
    await has(line, DeliveryState.DELIVERED, 2)
    assert (await names(line))[1:] == (name_of(second),)
    assert await line.states() == [
        DeliveryState.DELIVERED,
        DeliveryState.DELIVERED,
        DeliveryState.SKIPPED,
    ]
    assert await line.adapter.stop() == 0


async def test_a_copy_for_another_behandeldienst_goes_by_a_route_of_its_own(line: Line) -> None:
    copies = line.chain.world.directory / "kopieen"
    copies.mkdir()
    config = line.chain.world.config
    route = '[[authorities.voorbeeldstad.routes]]\nflow = "stam"\n'
    text = config.read_text()
    assert route in text
    config.write_text(
        text.replace(route, f'{route}copies = true\nsink = "kopieen"\n\n{route}')
        + f'\n[authorities.voorbeeldstad.sinks.kopieen]\ntype = "directory"\npath = "{copies}"\n'
    )
    await line.adapter.run()
    ours, other = a_verzoek(line, 1), a_verzoek(line, 2, behandeldienst=OTHER_DIENST)
    for verzoek in (ours, other):
        await line.deliver(verzoek)
    assert await names(line) == (name_of(ours),)
    assert [path.name for path in copies.iterdir()] == [name_of(other)]
    assert await line.adapter.stop() == 0
