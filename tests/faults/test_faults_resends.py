# SPDX-License-Identifier: EUPL-1.2

"""A partner that sends the same message again: over several connections at once, while it is worked on, in a crash."""

import asyncio

from tests.e2e.conftest import until
from tests.faults.house import FaultyChain

AT_ONCE = 8
LARGE = 1_000_000


async def test_a_message_that_comes_over_several_connections_at_once_is_accepted_once(
    chain: FaultyChain,
) -> None:
    await chain.adapter.start()
    chain.orders.give("sink.voorbeeldstad", "slow")
    verzoek = chain.one()
    sent = await chain.prepare(verzoek, padding=LARGE)
    posted = await asyncio.gather(*(chain.dso.msh.resend(sent) for _ in range(AT_ONCE)))
    assert [one.status for one in posted] == [204] * AT_ONCE
    assert [message_id for message_id, _ in await chain.messages()] == [sent.message_id]
    await chain.called(f"sink.voorbeeldstad {verzoek.verzoeknummer} slow")
    again = await asyncio.gather(*(chain.dso.msh.resend(sent) for _ in range(AT_ONCE)))
    assert [one.status for one in again] == [204] * AT_ONCE
    chain.orders.give("sink.voorbeeldstad", "")
    await chain.accepted(sent)
    await chain.in_step([(sent, verzoek)])


async def test_a_message_that_is_sent_again_and_again_through_a_crash_is_accepted_once(
    chain: FaultyChain,
) -> None:
    await chain.adapter.start()
    verzoeken = [chain.one(number) for number in range(1, 4)]
    sent = [await chain.prepare(verzoek, padding=LARGE) for verzoek in verzoeken]
    stop = asyncio.Event()

    async def resend(number: int) -> None:
        while not stop.is_set():
            await chain.dso.msh.resend(sent[number % len(sent)])
            await asyncio.sleep(0.05)

    resending = [asyncio.create_task(resend(number)) for number in range(AT_ONCE)]

    async def is_accepting() -> bool:
        return bool(await chain.messages())

    await until(is_accepting)
    await chain.adapter.kill()
    await chain.adapter.start()
    for one in sent:
        await chain.accepted(one)
    stop.set()
    await asyncio.gather(*resending)
    await chain.in_step(zip(sent, verzoeken, strict=True))
