# SPDX-License-Identifier: EUPL-1.2

"""The API Verzoek afhandelen, silent, broken or wrong: what can pass passes, the rest waits with its reason."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from adapter.simulator import DEFAULT_BASE, SimulatedVerzoek
from tests.e2e.conftest import until
from tests.faults.dso import (
    FaultyApi,
    Misbehaviour,
    Script,
    announcing,
    answer,
    die,
    drip,
    hang,
    name_no_document,
)
from tests.faults.house import FaultyChain, running_chain

PAGE = answer(200, b"<html><body>Wij zijn zo terug</body></html>", Content_Type="text/html; charset=utf-8")
HAL = "application/hal+json"


class Fault(NamedTuple):
    """One answer that is wrong: to which request, what it is, and the reason that is said of it.

    No reason where the request is made again at once, as HTTP has it for a connection that was kept (RFC 9110 9.2.2).
    """

    name: str
    ends: str
    misbehaviour: Misbehaviour
    why: str


PASSING: Final = (
    Fault("silence before the answer", "/xml", hang, "no answer in time"),
    Fault("silence in the middle of a document", "/pdf", drip, "no answer in time"),
    Fault("500", "/xml", answer(500), "HTTP 500"),
    Fault("429 with Retry-After", "/pdf", answer(429, Retry_After="1"), "HTTP 429"),
    Fault("403 before the whitelist is right", "", answer(403), "on its whitelist"),
    Fault("404 before the verzoek is there", "", answer(404), "HTTP 404"),
    Fault("a connection that ends before the answer", "/pdf", die, ""),
    Fault("less than the Content-Length", "/pdf", announcing(1000, b"%PDF"), "the connection broke"),
    Fault("a page of HTML for the references", "", PAGE, "a page of HTML"),
    Fault("a page of HTML for the verzoekbericht", "/xml", PAGE, "a page of HTML"),
    Fault("a page of HTML for the PDF", "/pdf", PAGE, "a page of HTML"),
    Fault(
        "references without the verzoek", "", answer(200, b'{"_links": {}}', Content_Type=HAL), "no link to"
    ),
    Fault("references without a document", "", name_no_document, "has no reference yet"),
)

LASTING: Final = (
    Fault("references that are no JSON", "", answer(200, b"{", Content_Type=HAL), "references"),
    Fault("a verzoekbericht that is none", "/xml", answer(200, b"<x/>", Content_Type="text/xml"), "verzoek"),
    Fault("a document that is gone", "/pdf", answer(404), "HTTP 404"),
    Fault(
        "a redirect", "/xml", answer(302, Location="https://elders.example/"), "redirects are not followed"
    ),
)


@pytest.fixture
def script() -> Script:
    return Script()


@pytest.fixture
async def chain(tmp_path: Path, script: Script) -> AsyncIterator[FaultyChain]:
    async with running_chain(tmp_path, api=FaultyApi(script)) as made:
        text = made.world.config.read_text()
        made.world.config.write_text(text.replace(f'{DEFAULT_BASE}"\n', f'{DEFAULT_BASE}"\ntimeout = "1s"\n'))
        await made.adapter.start()
        yield made


def verzoeken_with(faults: tuple[Fault, ...], chain: FaultyChain, script: Script) -> list[SimulatedVerzoek]:
    """A verzoek for each fault, which happens to it once."""
    verzoeken = [chain.one(number, document=1000) for number in range(1, len(faults) + 1)]
    for fault, verzoek in zip(faults, verzoeken, strict=True):
        script.add(verzoek.verzoeknummer, fault.ends or verzoek.verzoeknummer, fault.misbehaviour)
    return verzoeken


async def test_what_can_pass_is_tried_again_and_the_verzoek_comes_once_and_whole(
    chain: FaultyChain, script: Script
) -> None:
    verzoeken = verzoeken_with(PASSING, chain, script)
    sent = [await chain.announce(verzoek) for verzoek in verzoeken]
    for one in sent:
        await chain.accepted(one)
    await chain.in_step(zip(sent, verzoeken, strict=True))
    assert not script.waiting
    said = chain.adapter.actions("verzoek.collect_retry")
    for fault, verzoek in zip(PASSING, verzoeken, strict=True):
        reasons = [line["reason"] for line in said if line["verzoeknummer"] == verzoek.verzoeknummer]
        assert len(reasons) == bool(fault.why), (fault.name, reasons)
        assert fault.why in "".join(reasons), fault.name


async def test_what_cannot_pass_is_parked_with_the_reason_and_nothing_of_it_is_delivered(
    chain: FaultyChain, script: Script
) -> None:
    verzoeken = verzoeken_with(LASTING, chain, script)
    for verzoek in verzoeken:
        assert (await chain.announce(verzoek)).status == 204

    async def all_parked() -> bool:
        return [job[:2] for job in await chain.jobs()] == [("collect", "parked")] * len(LASTING)

    await until(all_parked)
    assert chain.in_sinks() == []
    said = chain.adapter.actions("verzoek.collect_parked")
    for fault, verzoek in zip(LASTING, verzoeken, strict=True):
        (reason,) = [line["reason"] for line in said if line["verzoeknummer"] == verzoek.verzoeknummer]
        assert fault.why in reason, fault.name
    assert await chain.adapter.stop() == 0


async def test_a_daemon_that_dies_in_the_middle_of_a_document_fetches_it_again_and_delivers_once(
    chain: FaultyChain, script: Script
) -> None:
    verzoek = chain.one(1)
    script.add(verzoek.verzoeknummer, verzoek.documents[0].document_id, drip)
    sent = await chain.announce(verzoek)

    async def is_fetching() -> bool:
        return not script.waiting

    await until(is_fetching)
    await chain.adapter.kill()
    await chain.adapter.start()
    await chain.accepted(sent)
    await chain.in_step([(sent, verzoek)])
