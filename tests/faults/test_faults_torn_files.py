# SPDX-License-Identifier: EUPL-1.2

"""Files of the spool that are not what was written: noticed, said, and never delivered, not even in part."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Final

from adapter.simulator import ACTION, SERVICE, Payload
from tests.e2e.conftest import until
from tests.faults.house import FaultyChain

LARGE: Final = 1_000_000


def truncate(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)


def flip(path: Path) -> None:
    """Change one octet in the middle."""
    octets = bytearray(path.read_bytes())
    octets[len(octets) // 2] ^= 1
    path.write_bytes(octets)


DAMAGES: Final[Mapping[str, Callable[[Path], None]]] = {
    "truncated": truncate,
    "emptied": lambda path: os.truncate(path, 0),
    "removed": Path.unlink,
    "flipped": flip,
}


async def operate(chain: FaultyChain, *arguments: str) -> None:
    """Run a command, as an operator does."""
    command = (sys.executable, "-m", "adapter", *arguments, "--config", str(chain.world.config))
    assert await (await asyncio.create_subprocess_exec(*command)).wait() == 0


async def spooled(chain: FaultyChain, query: str) -> list[Path]:
    return [chain.state / "spool" / key[:2] / key for (key,) in await chain.rows(query)]


async def test_a_damaged_document_is_parked_with_the_reason_and_nothing_of_its_verzoek_is_delivered(
    chain: FaultyChain,
) -> None:
    await chain.adapter.start()
    await operate(chain, "lane", "pause", "sink:voorbeeldstad/archief", "--reason", "test")
    verzoeken = [chain.one(number) for number in range(1, len(DAMAGES) + 2)]
    for verzoek in verzoeken:
        await chain.accepted(await chain.announce(verzoek))

    async def all_wait() -> bool:
        return [job[:2] for job in await chain.jobs()] == [("deliver", "ready")] * len(verzoeken)

    await until(all_wait)
    files = await spooled(
        chain,
        "SELECT spool_key FROM delivery_file f JOIN delivery d ON d.id = f.delivery"
        " WHERE spool_key IS NOT NULL ORDER BY verzoeknummer",
    )
    assert len(files) == len(verzoeken)
    for damage, path in zip(DAMAGES.values(), files, strict=False):
        damage(path)
    await operate(chain, "lane", "resume", "sink:voorbeeldstad/archief")

    async def all_judged() -> bool:
        return {job[:2] for job in await chain.jobs()} == {("deliver", "parked")}

    await until(all_judged)
    whole = verzoeken[-1]
    assert [path.name for path in chain.in_sinks()] == [f"{whole.verzoeknummer}-000"]
    reasons = await chain.reasons("deliver", "parked")
    assert len(reasons) == len(DAMAGES)
    assert all("stored content of bijlagen/tekening.pdf" in reason for reason in reasons)
    states = dict(await chain.deliveries())
    assert [states[verzoek.verzoeknummer] for verzoek in verzoeken] == ["parked"] * len(DAMAGES) + [
        "delivered"
    ]
    assert await chain.adapter.stop() == 0


async def test_a_damaged_notification_is_parked_with_the_reason(chain: FaultyChain) -> None:
    await chain.adapter.start()
    await operate(chain, "lane", "pause", "route:voorbeeldstad", "--reason", "test")
    sent = [await chain.announce(chain.one(number), padding=LARGE) for number in range(1, len(DAMAGES) + 1)]
    assert {one.status for one in sent} == {204}
    for damage, path in zip(
        DAMAGES.values(),
        await spooled(chain, "SELECT spool_key FROM payload WHERE spool_key IS NOT NULL"),
        strict=True,
    ):
        damage(path)
    await operate(chain, "lane", "resume", "route:voorbeeldstad")

    async def all_judged() -> bool:
        return [job[:2] for job in await chain.jobs()] == [("route", "parked")] * len(DAMAGES)

    await until(all_judged)
    assert all(
        any(word in reason for word in ("gone", "octets", "digest")) for _, _, reason in await chain.jobs()
    )
    assert chain.in_sinks() == []
    assert chain.dso.api.requests == []
    assert await chain.adapter.stop() == 0


async def test_what_was_half_written_when_the_daemon_died_is_gone_after_its_start(chain: FaultyChain) -> None:
    await chain.adapter.start()
    payload = Payload(b"<x/>" + b" " * LARGE)
    authority = chain.world.authorities[0]
    prepared = await chain.dso.msh.send(authority.cpa_id, SERVICE, ACTION, [payload], is_lost=True)
    died = asyncio.Event()

    async def half() -> AsyncIterator[bytes]:
        sent = 0
        async for chunk in prepared.body.stream():
            yield chunk[: LARGE // 2 - sent]
            sent += len(chunk)
            if sent >= LARGE // 2:
                await died.wait()
                return

    async def send() -> None:
        endpoint = chain.world.adapter_endpoint
        headers = dict(prepared.body.headers)
        async with chain.dso.msh._connected().request("POST", endpoint, headers=headers, data=half()):
            raise AssertionError("it was answered before it ended")

    incoming = chain.state / "spool" / "incoming"

    async def is_half_written() -> bool:
        return any(path.stat().st_size for path in incoming.iterdir())

    sending = asyncio.create_task(send())
    await until(is_half_written)
    await chain.adapter.kill()
    died.set()
    await asyncio.wait((sending,))
    assert sending.exception() is not None
    await chain.adapter.start()
    assert list(incoming.iterdir()) == []
    sent = await chain.announce(verzoek := chain.one())
    await chain.accepted(sent)
    await chain.in_step([(sent, verzoek)])
