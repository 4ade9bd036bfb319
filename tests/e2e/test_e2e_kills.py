# SPDX-License-Identifier: EUPL-1.2

"""SIGKILL between any two steps of the chain, and a restart: exactly one delivery, one valid acknowledgment.

The points are the labels of `killable.py`, in the order in which one verzoek passes them.
"""

import shutil

import pytest

from adapter.simulator import SentMessage
from tests.e2e.conftest import Chain, assert_delivered, until

POINTS = (
    "before spool",  # the payload of the notification
    "after spool",
    "before accept",
    "after accept",
    "before note_attempt",  # the acknowledgment goes out
    "after note_attempt",
    "before _end_and_finish",
    "after _end_and_finish",
    "before _create_and_finish",  # the message becomes a delivery
    "after _create_and_finish",
    "before _record_start",  # the references and the verzoekbericht came in
    "after _record_start",
    "before spool#3",  # the other files come in
    "after spool#3",
    "before record_file",
    "after record_file",
    "after record_file#2",
    "before complete_collection",
    "after complete_collection",
    "before make_directory",  # the sink
    "before create",
    "before write",
    "before create#3",
    "before sync",
    "before sync_directory",
    "before set_checkpoint",
    "after set_checkpoint",
    "before rename",
    "after rename",
    "before _finish",
    "after _finish",
)
"""Every step, by the name of the store function, spool or disk operation that makes it; `#n` is its n-th time."""


def label(point: str) -> str:
    """The label of a point, without its number."""
    return point.partition("#")[0]


async def send_until_acknowledged(chain: Chain, sent: SentMessage) -> None:
    """What a reliable sender does: the same octets again as long as no acknowledgment came."""
    for _ in range(10):
        await chain.dso.msh.resend(sent)
        try:
            signal = await chain.dso.msh.wait_for(sent.message_id, 3.0)
        except TimeoutError:
            continue
        assert (signal.action, signal.problems) == ("Acknowledgment", ())
        return
    raise AssertionError("no acknowledgment came")


@pytest.mark.parametrize("point", POINTS)
async def test_a_kill_and_a_restart_end_in_exactly_one_delivery(chain: Chain, point: str) -> None:
    await chain.adapter.start(point if "#" in point else f"{point}#1")
    verzoek = chain.verzoek()
    sent = await chain.dso.announce(chain.world.authorities[0], verzoek)
    await chain.adapter.died()
    await chain.adapter.start()
    await send_until_acknowledged(chain, sent)
    await until(chain.has_delivered)
    await chain.adapter.stop()
    (directory,) = chain.delivered()
    assert_delivered(directory, verzoek)
    assert chain.unfinished() == []
    acknowledgments = {s.envelope for s in chain.dso.msh.received if s.ref_to_message_id == sent.message_id}
    assert len(acknowledgments) == 1


async def test_the_points_are_all_the_steps_there_are(chain: Chain) -> None:
    await chain.adapter.start()
    sent = await chain.dso.announce(chain.world.authorities[0], chain.verzoek())
    await chain.dso.msh.wait_for(sent.message_id)

    async def ended() -> bool:
        return (
            "after _finish#1" in chain.adapter.passed()
            and "after _end_and_finish#1" in chain.adapter.passed()
        )

    await until(ended)
    await chain.adapter.stop()
    assert {label(name) for name in chain.adapter.passed()} == {label(point) for point in POINTS}


@pytest.mark.parametrize("point", ["after rename", "before _finish"])
async def test_a_directory_that_was_taken_away_before_the_restart_does_not_come_again(
    chain: Chain, point: str
) -> None:
    await chain.adapter.start(f"{point}#1")
    sent = await chain.dso.announce(chain.world.authorities[0], chain.verzoek())
    await chain.adapter.died()
    (directory,) = chain.delivered()
    shutil.rmtree(directory)  # the consumer took it
    await chain.adapter.start()
    await send_until_acknowledged(chain, sent)

    async def ended() -> bool:
        return '"action": "delivery.delivered"' in chain.adapter.log

    await until(ended)
    await chain.adapter.stop()
    assert chain.delivered() == []
    assert chain.unfinished() == []


async def test_a_consumer_that_takes_each_directory_at_once_never_sees_one_twice(chain: Chain) -> None:
    await chain.adapter.start("after rename#2")
    first = await chain.dso.announce(chain.world.authorities[0], chain.verzoek(1))
    await until(chain.has_delivered)
    shutil.rmtree(chain.delivered()[0])
    await chain.dso.announce(chain.world.authorities[0], chain.verzoek(2))
    await chain.adapter.died()
    shutil.rmtree(chain.delivered()[0])
    await chain.adapter.start()
    await send_until_acknowledged(chain, first)

    async def both_ended() -> bool:
        return chain.adapter.log.count('"action": "delivery.delivered"') >= 2

    await until(both_ended)
    await chain.adapter.stop()
    assert chain.delivered() == []
