# SPDX-License-Identifier: EUPL-1.2

"""A lost notification, as a user has it: the schedule finds the verzoek, and it is delivered exactly once."""

import json
from pathlib import Path

import pytest

from adapter.simulator import SentMessage, SimulatedVerzoek
from tests.e2e.conftest import Chain, assert_delivered, until


def reconciles(chain: Chain, every: str = "1s") -> None:
    """Give the authority of a chain a schedule; the daemon must not have started."""
    with chain.world.config.open("a") as file:
        file.write(
            "\n[authorities.voorbeeldstad.reconcile]\n"
            f'area = [150000, 460000, 160000, 468000]\nevery = "{every}"\npage_size = 2\n'
        )


async def lose(chain: Chain, verzoek: SimulatedVerzoek) -> SentMessage:
    chain.dso.faults.lose_notifications = 1
    sent = await chain.dso.announce(chain.world.authorities[0], verzoek)
    assert sent.status is None
    return sent


def searches(chain: Chain) -> int:
    return sum(request.path.endswith("/_zoek") for request in chain.dso.api.requests)


async def more_searches(chain: Chain, number: int) -> None:
    """Wait until so many searches began, so that one less have ended."""
    wanted = searches(chain) + number

    async def enough() -> bool:
        return searches(chain) >= wanted

    await until(enough)


def assert_reconciled(directory: Path) -> None:
    manifest = json.loads((directory / "manifest.json").read_text())
    assert manifest["origin"] == "reconciliation"
    nothing = dict.fromkeys(("cpaId", "messageId", "conversationId", "receivedAt"))
    assert {key: manifest[key] for key in nothing} == nothing


async def test_a_lost_notification_is_found_and_delivered_exactly_once(chain: Chain) -> None:
    reconciles(chain)
    await chain.adapter.start()
    verzoek = chain.verzoek()
    await lose(chain, verzoek)
    await until(chain.has_delivered)
    await more_searches(chain, 3)
    (directory,) = chain.delivered()
    assert directory.name == f"{verzoek.verzoeknummer}-000"
    assert_delivered(directory, verzoek)
    assert_reconciled(directory)
    xml = [request for request in chain.dso.api.requests if request.path.endswith("/xml")]
    assert len(xml) == 1
    assert await chain.adapter.stop() == 0


async def test_a_notification_that_arrives_after_all_gives_no_second_delivery(chain: Chain) -> None:
    reconciles(chain)
    await chain.adapter.start()
    verzoek = chain.verzoek()
    sent = await lose(chain, verzoek)
    await until(chain.has_delivered)
    assert (await chain.dso.msh.resend(sent)).status == 204
    assert not (await chain.dso.msh.wait_for(sent.message_id)).problems

    async def repeated() -> bool:
        return '"verzoek.repeated"' in chain.adapter.log

    await until(repeated)
    (directory,) = chain.delivered()
    assert_reconciled(directory)


async def test_of_many_only_what_got_lost_is_found(chain: Chain) -> None:
    reconciles(chain)
    await chain.adapter.start()
    verzoeken = [chain.verzoek(number) for number in range(1, 7)]
    for number, verzoek in enumerate(verzoeken):
        chain.dso.faults.lose_notifications = number % 2
        await chain.dso.announce(chain.world.authorities[0], verzoek)

    async def all_delivered() -> bool:
        return len(chain.delivered()) == len(verzoeken)

    await until(all_delivered)
    await more_searches(chain, 2)
    assert len(chain.delivered()) == len(verzoeken)
    for directory, verzoek in zip(chain.delivered(), verzoeken, strict=True):
        assert_delivered(directory, verzoek)


async def test_the_schedule_survives_a_restart(chain: Chain) -> None:
    reconciles(chain)
    await chain.adapter.start()
    await more_searches(chain, 1)
    assert await chain.adapter.stop() == 0
    before = searches(chain)
    verzoek = chain.verzoek()
    await lose(chain, verzoek)
    await chain.adapter.start()
    await until(chain.has_delivered)
    assert searches(chain) > before
    assert_reconciled(chain.delivered()[0])


@pytest.mark.parametrize("point", ["before _create", "after _create", "after complete_collection"])
async def test_a_kill_while_reconciling_and_a_restart_end_in_one_delivery(chain: Chain, point: str) -> None:
    reconciles(chain)
    await chain.adapter.start(f"{point}#1")
    verzoek = chain.verzoek()
    await lose(chain, verzoek)
    await chain.adapter.died()
    await chain.adapter.start()
    await until(chain.has_delivered)
    await more_searches(chain, 2)
    (directory,) = chain.delivered()
    assert_delivered(directory, verzoek)
    assert_reconciled(directory)
