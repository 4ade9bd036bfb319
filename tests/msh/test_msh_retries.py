# SPDX-License-Identifier: EUPL-1.2

"""A message is sent again and again with the same octets, as agreed, until the partner or time ends it."""

import asyncio
import re
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from aiohttp import web

from adapter.ebms import FaultCode, SoapFault, build_fault
from adapter.store import EventType, MessageState
from tests.msh.conftest import Changed, Open, Serve, close
from tests.msh.house import PATIENCE, House
from tests.msh.sending import (
    HOUR,
    INTERVAL,
    TYPES,
    acknowledgment,
    body_of,
    next_attempt,
    override,
    payloads,
    say,
    sent,
    until_answered,
)
from tests.msh.silence import silent_partner


async def refuses(house: House, body: bytes) -> web.Response:
    fault = SoapFault(FaultCode.SERVER, "later", "Later")
    return web.Response(status=500, body=build_fault(fault), content_type="text/xml")


@pytest.mark.parametrize(
    ("status", "level"),
    [
        *((status, "warning") for status in (408, 429, 500, 503)),
        *((status, "error") for status in (302, 400, 403, 404)),
    ],
)
async def test_a_reliable_message_keeps_its_schedule_whatever_http_says(
    status: int, level: str, open_house: Open, serve: Serve
):
    """Not sooner and not later than agreed; what does not pass by itself is an alarm at once (TRN-15)."""
    house = await open_house(dso=False)
    partner = await serve(house, status if status != 500 else partial(refuses, house))
    message = await house.submit("rms", *payloads(), types=TYPES)
    message = await until_answered(house, message)
    assert message.state is MessageState.CREATED
    (job,) = await house.jobs()
    assert abs(job.not_before - house.clock() - INTERVAL) < timedelta(seconds=PATIENCE)
    (line,) = house.lines("business.not_sent")
    assert (line["log_level"], str(status) in line["reason"]) == (level, True)
    message = await next_attempt(house, message)
    assert message.state is MessageState.SENT
    assert set(partner.paths) == {"/ebms"}
    assert {body for _, body in partner.received} == {await body_of(house, message)}
    assert partner.received[0][0] == partner.received[1][0]
    assert await say(house, acknowledgment(house, message)) == 204
    await house.until_state(message, MessageState.DELIVERED)
    assert await house.jobs() == []


async def test_a_partner_that_does_not_listen_is_tried_again(open_house: Open, serve: Serve):
    house = await open_house(dso=False)
    message = await until_answered(house, await house.submit("rms"))
    assert message.state is MessageState.CREATED
    assert house.lines("business.not_sent")[0]["log_level"] == "warning"
    partner = await serve(house)
    await next_attempt(house, message)
    assert [body for _, body in partner.received] == [message.envelope]


async def test_a_2xx_is_not_delivery_and_attempts_end(open_house: Open, serve: Serve):
    """1 + 8 attempts, all the same; it was transmitted, so it may have been delivered: a warning (REL-15)."""
    house = await open_house(dso=False)
    partner = await serve(house)
    message = await until_answered(house, await house.submit("rms", b"<a/>"))
    assert message.state is MessageState.SENT
    for _ in range(8):
        message = await next_attempt(house, message)
    assert message.state is MessageState.SENT
    assert await house.told(message) == []
    house.pass_time(INTERVAL)
    message = await house.until_state(message, MessageState.EXPIRED)
    assert message.reason == (
        "DeliveryFailure: no acknowledgment after 9 attempts (Warning: it was transmitted)"
    )
    assert len(partner.received) == 9
    assert len({body for _, body in partner.received}) == 1
    assert await house.told(message) == [EventType.EXPIRED]
    assert house.lines("business.expired")[0]["log_level"] == "error"
    await house.at_rest()


async def test_what_was_never_transmitted_has_failed_for_certain(open_house: Open, changed: Changed):
    house = await open_house(dso=False, **changed("rms", ("Retries>8<", "Retries>1<")))
    message = await until_answered(house, await house.submit("rms"))
    message = await next_attempt(house, message)
    house.pass_time(INTERVAL)
    message = await house.until_state(message, MessageState.EXPIRED)
    assert message.reason is not None
    assert message.reason.startswith("DeliveryFailure: no acknowledgment after 2 attempts (Error: ")
    assert "localhost" in message.reason
    assert await house.told(message) == [EventType.EXPIRED]


async def test_nothing_is_sent_after_its_time_to_live(open_house: Open, serve: Serve):
    """The daemon was down while it passed."""
    house = await open_house(dso=False)
    message = await until_answered(house, await house.submit("rms"))
    partner = await serve(house)
    house.pass_time(28 * HOUR)
    message = await house.until_state(message, MessageState.EXPIRED)
    assert message.reason is not None
    assert message.reason.startswith("DeliveryFailure: its time has passed (Error: ")
    assert partner.received == []


async def test_nothing_is_sent_after_the_end_of_the_agreement(
    open_house: Open, serve: Serve, changed: Changed
):
    end = (datetime.now(UTC) + HOUR).isoformat().replace("+00:00", "Z")
    house = await open_house(dso=False, **changed("rms", (re.compile("(?<=<cpa:End>)[^<]*"), end)))
    partner = await serve(house)
    message = await until_answered(house, await house.submit("rms"))
    house.pass_time(INTERVAL)
    message = await house.until_state(message, MessageState.EXPIRED)
    assert message.reason == "DeliveryFailure: the agreement has ended (Warning: it was transmitted)"
    assert len(partner.received) == 1


@pytest.mark.parametrize("status", [None, 302, 404, 500, 503])
@pytest.mark.parametrize("name", ["be", "bes"])
async def test_a_best_effort_message_is_tried_once(
    status: int | None, name: str, open_house: Open, serve: Serve
):
    house = await open_house(dso=False)
    partner = None if status is None else await serve(house, status)
    message = await house.until_state(await house.submit(name), MessageState.FAILED)
    assert message.reason is not None
    assert message.reason.startswith("DeliveryFailure: ")
    assert status is None or str(status) in message.reason
    assert await house.told(message) == [EventType.FAILED]
    await house.at_rest()
    assert partner is None or len(partner.received) == 1


async def test_a_restart_goes_on_where_it_was(open_house: Open, serve: Serve):
    """The partner may have had the message before: same MessageId, same octets, so it is one delivery there."""
    first = await open_house(dso=False)
    partner = await serve(first)
    message = await sent(first, "rms", *payloads())
    await close(first)
    second = await open_house(dso=False, clock=first.clock)
    assert len(partner.received) == 1
    message = await next_attempt(second, message)
    assert message.attempts == 2
    assert len({body for _, body in partner.received}) == 1
    await say(second, acknowledgment(second, message))
    await second.until_state(message, MessageState.DELIVERED)


async def test_a_daemon_that_stops_while_it_sends_sends_the_same_again(open_house: Open, serve: Serve):
    first = await open_house(dso=False, grace=timedelta())
    never = asyncio.Event()

    async def say_nothing(_: bytes) -> web.Response:
        await never.wait()
        raise ConnectionAbortedError

    partner = await serve(first, say_nothing)
    message = await first.submit("rms", b"<a/>")
    await partner.until(1)
    await close(first)
    never.set()
    second = await open_house(dso=False)
    await until_answered(second, message, 2)
    assert len(partner.received) == 2
    assert len({body for _, body in partner.received}) == 1


async def test_a_dead_partner_delays_no_other(open_house: Open, serve: Serve):
    """It takes connections and then says nothing, not even in the handshake."""
    house = await open_house(dso=False)
    ports = house.world.ports
    await override(house, "rm", f"https://localhost:{ports.dso_api}/ebms")
    async with silent_partner(ports.dso_api) as busy:
        for _ in range(8):
            await house.submit("rm")
        async with asyncio.timeout(PATIENCE):
            await busy.wait()
        partner = await serve(house)
        for _ in range(5):
            await house.until_state(await house.submit("bes"), MessageState.TRANSMITTED)
        assert len(partner.received) == 5
