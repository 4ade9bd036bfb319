# SPDX-License-Identifier: EUPL-1.2

"""Who may connect is decided per agreement; who may not learns nothing, and leaves what it showed in the log."""

from collections.abc import Mapping
from pathlib import Path

import aiohttp
import pytest

from adapter.pki import client_context
from tests.msh.bad_input import HUB, with_agreement
from tests.msh.conftest import Open
from tests.msh.house import House, wrap

Answer = tuple[int, Mapping[str, str], bytes]

REFUSED = {
    "stranger": "peer_unknown",
    "hub": "peer_unknown",
    "person": "peer_unknown",
    "neighbour": "peer_of_other_agreement",
}
"""Who is refused under the agreement of DSO-LV with `rms`, with the reason that is logged and counted."""


async def refused(house: House, who: str, directory: Path) -> Answer:
    """What this one is answered, without what differs from one moment to the next."""
    body = wrap(house.draft().make())
    if who != "person":
        response = await house.post(body, keys=who)
        return response.status, undated(response.headers), response.body
    # a personal certificate: trusted, and with a serialNumber that is no OIN (GAC ch07)
    pair = house.world.pki.issue("J. Jansen", "1234567890").key_pair(directory, "person")
    connector = aiohttp.TCPConnector(ssl=client_context(pair, house.world.trust))
    async with aiohttp.ClientSession(connector=connector) as session:
        url = f"https://localhost:{house.world.ports.adapter}/ebms"
        async with session.post(url, data=body.body, headers=body.headers) as answer:
            return answer.status, undated(answer.headers), await answer.read()


def undated(headers: Mapping[str, str]) -> Mapping[str, str]:
    return {name: value for name, value in headers.items() if name != "Date"}


async def test_everybody_who_is_refused_gets_the_same_answer(house: House, tmp_path: Path):
    answers = [await refused(house, who, tmp_path) for who in REFUSED]
    assert answers == [answers[0]] * len(REFUSED)
    status, _, body = answers[0]
    assert status == 403
    assert b"CPA" not in body
    assert b"OIN" not in body
    await house.assert_nothing_kept()


@pytest.mark.parametrize("who", REFUSED)
async def test_who_is_refused_is_counted_and_logged_with_what_was_shown(
    house: House, who: str, tmp_path: Path
):
    count = house.metrics.refused_total.labels(reason=REFUSED[who])
    before = count._value.get()
    await refused(house, who, tmp_path)
    assert count._value.get() == before + 1
    (line,) = house.lines("peer.refused")
    assert line["reason"] == REFUSED[who]
    shown = house.keys[who].oin if who != "person" else "CN=J. Jansen"
    assert shown is not None
    assert shown in line["peer"]
    assert "127.0.0.1" in line["peer"]


async def test_who_acts_for_a_partner_under_one_agreement_does_not_under_another(open_house: Open):
    house = await open_house(**with_agreement(HUB))
    assert (await house.send(house.draft().make(), keys="hub")).status == 204
    assert (await house.send(house.draft("rm").make(), keys="hub")).status == 403
    assert [line["reason"] for line in house.lines("peer.refused")] == ["peer_of_other_agreement"]
