# SPDX-License-Identifier: EUPL-1.2

"""What is to be sent is sent until it is taken, always the same octets, and to nobody else."""

import asyncio
from datetime import timedelta

import pytest
from aiohttp import web

from adapter.ebms import SignalAction
from adapter.pki import server_context
from adapter.store import MessageKind, MessageState, StoredMessage, find_messages
from tests.msh.conftest import Open, Serve, close
from tests.msh.house import PATIENCE, PREPRODUCTION, Draft, House, Judge, Made, Partner, envelope_of
from tests.msh.silence import silent_partner


async def take(house: House, draft: Draft | None = None) -> Made:
    """Have the daemon accept a message."""
    made = (draft or house.draft()).make()
    assert (await house.send(made)).status == 204
    return made


async def response(house: House, made: Made) -> StoredMessage:
    (stored,) = await house.db.read(find_messages, ref_to_message_id=made.id)
    return stored


async def until_logged(house: House, action: str, number: int = 1) -> None:
    async with asyncio.timeout(PATIENCE):
        while len(house.lines(action)) < number:
            await house.db.wait_for_change(0.05)


async def test_an_acknowledgment_goes_out_with_the_headers_of_ebms(
    open_house: Open, serve: Serve, judge: Judge
):
    house = await open_house(dso=False)
    partner = await serve(house)
    made = await take(house)
    await partner.until(1)
    ((headers, body),) = partner.received
    assert partner.paths == ["/ebms"]
    assert headers["SOAPAction"] == '"ebXML"'
    assert headers["Content-Type"] == "text/xml; charset=UTF-8"
    assert headers["Content-Length"] == str(len(body))
    assert not {"MIME-Version", "Content-ID", "Content-Transfer-Encoding", "Authorization"} & set(headers)
    assert judge.check(body, house.keys["rms"])
    assert envelope_of(body).signal is SignalAction.ACKNOWLEDGMENT
    await house.at_rest()
    assert (await response(house, made)).state is MessageState.TRANSMITTED


@pytest.mark.parametrize("status", [200, 202, 204])
async def test_any_2xx_is_taken_whatever_it_says(status: int, open_house: Open, serve: Serve):
    house = await open_house(dso=False)
    partner = await serve(house, status)
    await take(house)
    await house.at_rest()
    assert len(partner.received) == 1


@pytest.mark.parametrize(
    ("status", "level"),
    [
        *((status, "warning") for status in (408, 429, 500, 502, 503, 504)),
        *((status, "error") for status in (301, 302, 307, 308, 400, 401, 403, 404)),
    ],
)
async def test_any_other_answer_is_tried_again_with_the_same_octets(
    status: int, level: str, open_house: Open, serve: Serve
):
    """What does not pass by itself is an alarm too; a redirect is not followed."""
    house = await open_house(dso=False)
    partner = await serve(house, status, status)
    made = await take(house)
    await partner.until(3)
    await house.at_rest()
    assert len({body for _, body in partner.received}) == 1
    assert set(partner.paths) == {"/ebms"}
    assert partner.received[0][1] == (await response(house, made)).envelope
    failed = house.lines("acknowledgment.not_sent")
    assert [(line["log_level"], str(status) in line["reason"]) for line in failed] == [(level, True)] * 2
    assert (await response(house, made)).state is MessageState.TRANSMITTED
    assert _sent(house, "failed") == 2
    assert _sent(house, "sent") == 1


async def test_an_acknowledgment_waits_for_a_partner_that_does_not_listen(open_house: Open, serve: Serve):
    house = await open_house(dso=False)
    made = await take(house)
    await until_logged(house, "acknowledgment.not_sent", 2)
    assert (await response(house, made)).state is MessageState.CREATED
    partner = await serve(house)
    await partner.until(1)
    await house.at_rest()
    assert len(partner.received) == 1


async def test_an_acknowledgment_survives_a_restart_and_is_sent_once(open_house: Open, serve: Serve):
    first = await open_house(dso=False)
    made = await take(first)
    await close(first)
    second = await open_house(dso=False)
    partner = await serve(second)
    await second.at_rest()
    assert len(partner.received) == 1
    assert partner.received[0][1] == (await response(second, made)).envelope


async def test_what_nobody_takes_in_time_is_given_up(open_house: Open, serve: Serve):
    house = await open_house(dso=False)
    made = await take(house)
    await until_logged(house, "acknowledgment.not_sent")
    house.clock.shift = timedelta(days=4)  # PersistDuration is two days, and there is a margin of one
    await until_logged(house, "acknowledgment.expired")
    await house.at_rest()
    stored = await response(house, made)
    assert stored.state is MessageState.EXPIRED
    assert stored.reason
    assert house.lines("acknowledgment.expired")[0]["log_level"] == "error"
    partner = await serve(house)
    await take(house)
    await partner.until(1)
    await house.at_rest()
    assert [envelope_of(body).header.ref_to_message_id == made.id for _, body in partner.received] == [False]


async def test_a_repeat_makes_a_waiting_acknowledgment_due(open_house: Open, serve: Serve):
    """The back-off of an hour does not count once the partner shows that it is there."""
    house = await open_house(dso=False, replacing={'first = "20ms"\nmax = "1m"': 'first = "1h"\nmax = "1h"'})
    made = await take(house)
    await until_logged(house, "acknowledgment.not_sent")
    await house.until(lambda: _is_ready(house))
    partner = await serve(house)
    await house.send(made)
    await partner.until(1)
    await house.at_rest()
    assert len(partner.received) == 1


async def test_an_error_is_retried_like_an_acknowledgment(open_house: Open, serve: Serve):
    house = await open_house(dso=False)
    partner = await serve(house, 503)
    await take(house, house.draft(header={"action": "other"}))
    await partner.until(2)
    await house.at_rest()
    assert len({body for _, body in partner.received}) == 1
    assert envelope_of(partner.received[0][1]).signal is SignalAction.MESSAGE_ERROR
    stored = await house.db.read(find_messages, kind=MessageKind.ERROR)
    assert [message.state for message in stored] == [MessageState.TRANSMITTED]


async def test_a_server_with_another_oin_gets_not_one_octet(open_house: Open):
    """Its certificate is trusted and has the right host name; only the OIN is another."""
    house = await open_house(dso=False, replacing=PREPRODUCTION)
    received = bytearray()
    connected = asyncio.Event()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connected.set()
        received.extend(await reader.read())
        writer.close()

    context = server_context(house.keys["stranger"], house.world.trust)
    server = await asyncio.start_server(listen, "127.0.0.1", house.world.ports.dso_ebms, ssl=context)
    async with server:
        made = await take(house)
        await until_logged(house, "acknowledgment.not_sent", 2)
        assert connected.is_set()
        assert received == b""
    line = house.lines("acknowledgment.not_sent")[0]
    assert line["log_level"] == "error"
    assert "00000099000000004000" in line["reason"]
    assert (await response(house, made)).state is MessageState.CREATED


async def test_a_server_that_acts_for_the_partner_is_sent_to(open_house: Open, serve: Serve):
    cpa_id = "Verzoeknotificatie_00000099000000001000_00000099100000001000_simulatie"
    house = await open_house(
        dso=False,
        replacing=PREPRODUCTION,
        extra=f'[authorities.rms.agreements."{cpa_id}"]\nacts_for = ["00000099000000003000"]',
    )
    partner = await serve(house, keys=house.keys["hub"])
    await take(house)
    await partner.until(1)


async def test_a_dead_partner_does_not_delay_the_acknowledgments_of_another(open_house: Open):
    """The neighbour takes connections and then says nothing, not even in the handshake."""
    house = await open_house(dso=False)
    async with silent_partner(house.world.ports.dso_api) as busy:
        for _ in range(8):
            draft = Draft(house.agreements["neighbour"], house.keys["neighbour"])
            assert (await house.send(draft.make(), keys="neighbour")).status == 204
        async with asyncio.timeout(PATIENCE):
            await busy.wait()
        await _serve_signals(house)
    assert house.lines("acknowledgment.not_sent") == []


async def _serve_signals(house: House) -> None:
    """DSO-LV listens, sends five messages, and has its acknowledgments while the neighbour keeps silent."""
    partner = Partner([])
    app = web.Application()
    app.router.add_post("/ebms", partner.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        context = server_context(house.keys["dso"], house.world.trust)
        await web.TCPSite(runner, "127.0.0.1", house.world.ports.dso_ebms, ssl_context=context).start()
        async with asyncio.timeout(5):
            for _ in range(5):
                await take(house)
            await partner.until(5)
    finally:
        await runner.cleanup()


async def _is_ready(house: House) -> bool:
    return all(job.state == "ready" for job in await house.jobs() if job.kind == "send")


def _sent(house: House, outcome: str) -> float | None:
    labels = {"authority": "rms", "outcome": outcome}
    return house.metrics.registry.get_sample_value("stam_adapter_acknowledgments_sent_total", labels)
