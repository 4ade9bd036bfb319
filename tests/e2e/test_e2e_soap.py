# SPDX-License-Identifier: EUPL-1.2

"""The adapter in a process of its own between DSO-LV and back-ends that speak SOAP, also when it is killed."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import web

from adapter.simulator import SimulatedVerzoek, make_verzoek
from tests.e2e.conftest import Chain, until
from tests.sinks.dai.back_end import BackEnd
from tests.sinks.stuf.zaaksysteem import Zaaksysteem

DIRECTORY = 'type = "directory"\npath = "verzoeken/voorbeeldstad"\n'

STUF = """type = "stuf-zds"
vrije_berichten = "{url}/vrij"
ontvang_asynchroon = "{url}/asynchroon"
zender = {{ organisatie = "0363", applicatie = "STAM" }}
ontvanger = {{ organisatie = "0363", applicatie = "ZS" }}
zaaktypen = [{{ zaaktype = {{ code = "B1" }} }}]
documenttypen = {{ verzoek = "Aanvraag", pdf = "Samenvatting", document = "Bijlage" }}
"""

DAI = """type = "dai"
url = "{url}/dai"
to = "urn:dkintern:0363:zaken:"
from = "urn:dkintern:dso"
"""


class Pausing(Zaaksysteem):
    """Does what it is asked, and does not answer the message with a number, counted from one, until it may."""

    def __init__(self) -> None:
        super().__init__()
        self.pause_at = 0
        self.reached = asyncio.Event()
        self.may_go_on = asyncio.Event()

    async def do(self, request: web.Request) -> web.Response:
        answer = await super().do(request)
        if len(self.operations) == self.pause_at:
            self.reached.set()
            await self.may_go_on.wait()
        return answer


@pytest.fixture
async def system(chain: Chain) -> AsyncIterator[Pausing]:
    system = Pausing()
    async with system.running():
        configure(chain, STUF.format(url=system.url))
        yield system
        system.may_go_on.set()
    assert system.problems == []


def configure(chain: Chain, table: str, flow: str = "stam") -> None:
    """Give the one route another sink."""
    text = chain.world.config.read_text()
    assert DIRECTORY in text
    chain.world.config.write_text(text.replace(DIRECTORY, table).replace('flow = "stam"', f'flow = "{flow}"'))


def followed(verzoek: SimulatedVerzoek, **changes: Any) -> SimulatedVerzoek:
    return make_verzoek(replace(verzoek.spec, **changes))


async def documents(system: Zaaksysteem, count: int) -> None:
    async def are_there() -> bool:
        return len(system.documents) >= count

    await until(are_there)


async def test_a_verzoek_and_what_follows_it_are_one_zaak(chain: Chain, system: Pausing) -> None:
    await chain.adapter.start()
    first = chain.verzoek()
    messages = [
        first,
        followed(first, volgnummer="001", doel="Aanvullen"),
        followed(first, volgnummer="002", doel="Intrekken"),
    ]
    for number, message in enumerate(messages):
        await chain.dso.announce(chain.world.authorities[0], message)
        await documents(system, 4 + 2 * number)  # only the XML and the PDF are new
    assert await chain.adapter.stop() == 0
    (zaak,) = system.zaken.values()
    assert len(zaak.changes) == 2
    assert len(system.documents) == 8


@pytest.mark.parametrize("message", [2, 4])
async def test_a_daemon_that_is_killed_before_it_hears_the_answer_goes_on_there(
    chain: Chain, system: Pausing, message: int
) -> None:
    system.pause_at = message
    await chain.adapter.start()
    await chain.dso.announce(chain.world.authorities[0], chain.verzoek())
    await system.reached.wait()
    await chain.adapter.kill()
    system.may_go_on.set()
    await chain.adapter.start()
    await documents(system, 4)
    assert await chain.adapter.stop() == 0
    assert len(system.zaken) == 1
    assert len(system.documents) == 4


async def test_a_notification_goes_to_a_back_end_as_it_came(chain: Chain) -> None:
    back_end = BackEnd()
    async with back_end.running():
        configure(chain, DAI.format(url=back_end.url), "message")
        await chain.adapter.start()
        verzoek = chain.verzoek()
        sent = await chain.dso.announce(chain.world.authorities[0], verzoek)

        async def is_there() -> bool:
            return bool(back_end.messages)

        await until(is_there)
        assert await chain.adapter.stop() == 0
    (message,) = back_end.messages
    assert message.headers["MessageID"] == f"urn:dkintern:{sent.message_id}"
    assert message.headers["RelatesTo urn:dkintern:ConversationId"] == f"urn:dkintern:{sent.conversation_id}"
    assert verzoek.verzoeknummer in "".join(message.payload.itertext())
    assert back_end.problems == []
