# SPDX-License-Identifier: EUPL-1.2

"""Nothing is acknowledged before it is stored, and what cannot be stored leaves nothing behind."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from adapter.pki import client_context
from adapter.store import (
    Database,
    MessageKind,
    MessageState,
    StoreProblem,
    StoreUnknown,
    accept,
    find_messages,
    named_keys,
)
from tests.msh.conftest import Open, close
from tests.msh.house import House, Part, looking, wrap


class Wrapped(Database):
    """A database whose transactions for receiving wait, or fail, as told."""

    def __init__(self, inner: Database) -> None:
        super().__init__()
        self.inner = inner
        self.changes = inner.changes  # type: ignore[misc]
        self.reached = asyncio.Event()
        self.go_on = asyncio.Event()
        self.failure: Exception | None = None
        self.after_commit: Exception | None = None
        self.blind = False

    async def write(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        if function is not accept:
            return await self.inner.write(function, *args, **kwargs)
        self.reached.set()
        await self.go_on.wait()
        if self.failure is not None:
            raise self.failure
        result = await self.inner.write(function, *args, **kwargs)
        if self.after_commit is not None:
            raise self.after_commit
        return result

    async def read(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        if self.blind and function is named_keys:
            raise StoreProblem("the store does not answer")
        return await self.inner.read(function, *args, **kwargs)

    async def close(self) -> None:
        await self.inner.close()

    async def _changed_elsewhere(self) -> bool:
        return await self.inner._changed_elsewhere()


async def test_nothing_is_answered_before_the_commit(open_house: Open):
    wrapped: list[Wrapped] = []
    house = await open_house(database=lambda db: wrapped.append(Wrapped(db)) or wrapped[0])
    made = house.draft().make()
    sending = asyncio.create_task(house.send(made))
    async with asyncio.timeout(5):
        await wrapped[0].reached.wait()
    assert await house.count("message") == 0
    assert not sending.done()
    wrapped[0].go_on.set()
    assert (await sending).status == 204
    assert (await house.answer(made)).problems == ()


@pytest.mark.parametrize("name", ["rms", "sync"])
async def test_what_cannot_be_stored_is_not_acknowledged(name: str, open_house: Open):
    wrapped: list[Wrapped] = []
    house = await open_house(database=lambda db: wrapped.append(Wrapped(db)) or wrapped[0])
    wrapped[0].go_on.set()
    wrapped[0].failure = OperationalError("INSERT", {}, Exception("database or disk is full"))
    made = house.draft(name, parts=[Part(bytes(300_000))]).make()
    response = await house.send(made)
    assert (response.status, response.headers["Retry-After"], response.body) == (503, "30", b"")
    assert house.refused("store") == 1
    assert house.lines("request.postponed")[0]["reason"] == "store"
    assert await house.count("message") == 0
    await house.assert_nothing_kept()
    wrapped[0].failure = None
    again = await house.send(made)
    assert again.status == (200 if name == "sync" else 204)
    assert await house.received() == 1


async def test_a_fault_of_our_own_is_answered_as_one_that_passes(open_house: Open):
    wrapped: list[Wrapped] = []
    house = await open_house(database=lambda db: wrapped.append(Wrapped(db)) or wrapped[0])
    wrapped[0].go_on.set()
    wrapped[0].failure = ZeroDivisionError("secret detail")
    response = await house.send(house.draft(parts=[Part(bytes(300_000))]).make())
    assert (response.status, response.headers["Retry-After"], response.body) == (503, "30", b"")
    assert house.refused("unexpected") == 1
    assert len(house.lines("request.failed")) == 1
    await house.assert_nothing_kept()


async def test_payloads_of_an_uncertain_write_stay_until_the_next_start(open_house: Open):
    wrapped: list[Wrapped] = []
    house = await open_house(database=lambda db: wrapped.append(Wrapped(db)) or wrapped[0])
    wrapped[0].go_on.set()
    wrapped[0].failure = OperationalError("INSERT", {}, Exception("disk I/O error"))
    wrapped[0].blind = True
    assert (await house.send(house.draft(parts=[Part(bytes(300_000))]).make())).status == 503
    assert len(house.lines("spool.kept")) == 1
    assert len(house.spooled()) == 1
    await close(house)
    again = await open_house(dso=False)
    assert again.spooled() == []
    assert again.lines("spool.swept")[0]["files"] == 1


async def test_payloads_of_a_commit_that_was_cut_off_stay(open_house: Open):
    """Nobody knows whether a row names them: not even the store, while the commit may still be under way."""
    wrapped: list[Wrapped] = []
    house = await open_house(database=lambda db: wrapped.append(Wrapped(db)) or wrapped[0])
    wrapped[0].go_on.set()
    wrapped[0].failure = StoreUnknown("cut off in its commit")
    assert (await house.send(house.draft(parts=[Part(bytes(300_000))]).make())).status == 503
    assert len(house.spooled()) == 1


async def test_what_was_stored_after_all_keeps_its_payloads(open_house: Open):
    """The commit succeeds and the news of it is lost: the repeat finds its message, whole."""
    wrapped: list[Wrapped] = []
    house = await open_house(database=lambda db: wrapped.append(Wrapped(db)) or wrapped[0])
    wrapped[0].go_on.set()
    wrapped[0].after_commit = OperationalError("COMMIT", {}, Exception("lost"))
    payload = Part(bytes(300_000))
    made = house.draft(parts=[payload]).make()
    assert (await house.send(made)).status == 503
    await house.send(made)
    assert (await house.answer(made)).problems == ()
    assert await house.deliveries() == 1
    assert next((house.state.parent / "rms").glob("*/payloads/*")).stat().st_size == 300_000


async def test_message_acknowledgment_and_jobs_are_one_transaction(open_house: Open):
    """At the first moment that the message can be seen, so can all that follows from it."""
    wrapped: list[Wrapped] = []
    house = await open_house(database=lambda db: wrapped.append(Wrapped(db)) or wrapped[0])
    house.dso.faults.late_acknowledgment = 1000  # it stays to be sent
    wrapped[0].go_on.set()
    made = house.draft().make()
    await house.send(made)
    stored = await house.db.read(find_messages)
    assert {message.kind for message in stored} == {MessageKind.BUSINESS, MessageKind.ACKNOWLEDGMENT}
    (acknowledgment,) = [m for m in stored if m.kind is MessageKind.ACKNOWLEDGMENT]
    assert acknowledgment.state is MessageState.CREATED
    assert [job.subject for job in await house.jobs() if job.kind == "send"] == [acknowledgment.id]
    assert await house.count("timeline", "action = 'message.received'") == 1
    moments = {message.created_at for message in stored}
    assert len(moments) == 1
    house.dso.faults.late_acknowledgment = 0
    assert (await house.answer(made)).envelope == acknowledgment.envelope


async def test_a_body_that_breaks_off_leaves_nothing(house: House):
    made = house.draft(parts=[Part(bytes(600_000))]).make()
    request = wrap(made)
    context = client_context(house.keys["dso"], house.world.trust)
    _, writer = await asyncio.open_connection(
        "localhost", house.world.ports.adapter, ssl=context, server_hostname="localhost"
    )
    head = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
    head = f"POST /ebms HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(request.body)}\r\n{head}\r\n"
    writer.write(head.encode() + request.body[:500_000])
    await house.until_receiving()
    writer.transport.abort()
    await looking(lambda: house.refused("body_broken") == 1)
    assert house.lines("request.refused")[0]["reason"] == "body_broken"
    assert house.lines("request.not_stored") == []
    await house.assert_nothing_kept()
