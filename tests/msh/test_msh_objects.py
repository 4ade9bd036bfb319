# SPDX-License-Identifier: EUPL-1.2

"""Receiving and sending with payloads in an object store that is not always there."""

from pathlib import Path

import aiohttp
import pytest

from tests.msh.conftest import Open, Serve
from tests.msh.house import Part, wrap
from tests.msh.sending import INTERVAL, next_attempt, until_answered
from tests.msh.test_msh_encryption import by_us, with_parts
from tests.msh.test_msh_outbox import until_logged
from tests.road import Road, Way
from tests.s3 import Bucket

LARGE = bytes(range(256)) * 24_000
"""More than one part of an upload."""


@pytest.fixture
def environ(bucket: Bucket, road: Road, impatient: None, tmp_path: Path) -> dict[str, str]:
    settings = {
        f"STAM_ADAPTER__STORE__S3__{key.upper()}": str(value)
        for key, value in bucket.settings(tmp_path, road.url).items()
    }
    return {"STAM_ADAPTER__STORE__PAYLOADS": bucket.payloads, **settings}


@pytest.mark.parametrize("way", [Way.DEAF, Way.CUT])
@pytest.mark.parametrize("name", ["rms", "rme"])
async def test_nothing_is_accepted_while_the_object_store_cannot_be_reached(
    open_house: Open, environ: dict[str, str], road: Road, bucket: Bucket, name: str, way: Way
) -> None:
    house = await open_house(environ=environ)
    part = Part(LARGE)
    made = house.draft(name, parts=[part]).make()
    request = with_parts(made, by_us(house, part, name)) if name == "rme" else wrap(made)
    road.way = way
    response = await house.send(made, request)
    assert (response.status, response.headers["Retry-After"], response.body) == (503, "30", b"")
    assert house.refused("store") == 1
    await house.assert_nothing_kept()
    road.way = Way.OPEN
    assert (await house.send(made, request)).status == 204
    assert (await house.answer(made)).problems == ()
    assert await house.deliveries() == 1
    (delivered,) = (house.state.parent / name).glob("*/payloads/*")
    assert delivered.read_bytes() == LARGE
    assert len(bucket.objects()) == 1


async def test_what_fits_into_the_database_needs_no_object_store(
    open_house: Open, environ: dict[str, str], road: Road
) -> None:
    road.way = Way.CUT
    house = await open_house(environ=environ)
    made = house.draft(parts=[Part(b"<klein/>")]).make()
    assert (await house.send(made)).status == 204
    assert await house.deliveries() == 1


async def test_the_daemon_is_not_ready_while_the_object_store_cannot_be_reached(
    open_house: Open, environ: dict[str, str], road: Road
) -> None:
    road.way = Way.CUT
    house = await open_house(environ=environ)
    statuses = []
    for way in (Way.CUT, Way.OPEN):
        road.way = way
        url = f"http://127.0.0.1:{house.daemon.admin_port}/health/ready"
        async with aiohttp.ClientSession() as session, session.get(url) as response:
            statuses.append(response.status)
    assert statuses == [503, 200]


async def test_a_refused_message_leaves_no_objects(
    open_house: Open, environ: dict[str, str], bucket: Bucket
) -> None:
    house = await open_house(environ=environ)
    made = house.draft("be", parts=[Part(LARGE)]).make()
    assert (await house.send(made, keys="stranger")).status == 403
    await house.assert_nothing_kept()
    assert bucket.objects() == bucket.uploads() == []


async def test_an_attempt_to_send_does_not_count_while_a_payload_cannot_be_read(
    open_house: Open, environ: dict[str, str], road: Road, serve: Serve
) -> None:
    house = await open_house(environ=environ, dso=False)
    message = await until_answered(house, await house.submit("rm", LARGE))
    road.way = Way.CUT
    house.pass_time(INTERVAL)
    await until_logged(house, "business.unreadable")
    assert (await house.reload(message)).attempts == message.attempts
    road.way = Way.OPEN
    partner = await serve(house)
    house.pass_time(INTERVAL)
    await partner.until(1)
    assert LARGE in partner.received[0][1]


async def test_a_payload_that_was_changed_never_reaches_a_partner_whole(
    open_house: Open, environ: dict[str, str], bucket: Bucket, serve: Serve
) -> None:
    house = await open_house(environ=environ, dso=False)
    message = await until_answered(house, await house.submit("rm", LARGE))
    (path,) = bucket.objects()
    path.write_bytes(b"X" + LARGE[1:])
    partner = await serve(house)
    message = await next_attempt(house, message)
    path.write_bytes(LARGE)
    house.pass_time(INTERVAL)
    await partner.until(1)
    assert [LARGE in body for _, body in partner.received] == [True]
