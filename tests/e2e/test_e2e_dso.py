# SPDX-License-Identifier: EUPL-1.2

"""The daemon at Verzoek afhandelen: with its own access, at its own pace, and not while it is asked to wait."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from adapter.simulator import (
    DEFAULT_BASE,
    TOKEN_PATH,
    AgreementPlan,
    ApiSettings,
    DocumentSpec,
    SimulatedDso,
    SimulatedVerzoek,
    TokenSettings,
    VerzoekSpec,
    World,
    WorldAuthority,
    create_world,
    make_verzoek,
    running_adapter,
    verzoeknummer,
)
from tests.e2e.conftest import assert_delivered, until

SECRET = "geheim-van-de-test"


@pytest.fixture
async def world(tmp_path: Path) -> World:
    plans = {"stad": AgreementPlan(), "dorp": AgreementPlan()}
    return await asyncio.to_thread(create_world, tmp_path / "world", plans)


def with_dso(world: World, options: str) -> None:
    """Add options to the table dso of every authority."""
    text = world.config.read_text()
    world.config.write_text(text.replace(f'{DEFAULT_BASE}"\n', f'{DEFAULT_BASE}"\n{options}'))


def verzoek_of(authority: WorldAuthority, number: int) -> SimulatedVerzoek:
    documents = (DocumentSpec("tekening.pdf", 200_000), DocumentSpec("foto.png", 3_000, "image/png"))
    numbered = verzoeknummer(datetime.now(UTC).date(), number)
    return make_verzoek(VerzoekSpec(numbered, authority.oin, documents=documents, seed=number))


def delivered(authority: WorldAuthority) -> list[Path]:
    return [path for path in authority.sink.iterdir() if not path.name.startswith(".")]


async def test_one_authority_that_must_wait_waits_with_all_it_has_and_delays_no_other(world: World) -> None:
    stad, dorp = world.authorities
    async with SimulatedDso(world) as dso, running_adapter(world):
        dso.faults.too_many = 1
        dso.faults.retry_after = timedelta(seconds=15)
        await dso.announce(stad, verzoek_of(stad, 1))

        async def was_refused() -> bool:
            return dso.faults.too_many == 0

        await until(was_refused)
        await dso.announce(stad, verzoek_of(stad, 2))
        await dso.announce(dorp, verzoek_of(dorp, 3))

        async def dorp_has_its_verzoek() -> bool:
            return len(delivered(dorp)) == 1

        await until(dorp_has_its_verzoek)
        assert delivered(stad) == []
        assert [request.oin for request in dso.api.requests].count(stad.oin) == 1

        async def stad_has_both() -> bool:
            return len(delivered(stad)) == 2

        await until(stad_has_both)


async def test_a_daemon_fetches_directly_with_a_token_and_keeps_what_it_was_promised(world: World) -> None:
    (world.directory / "geheim").write_text(SECRET)
    with_dso(
        world,
        f"""
strategy = "direct"
direct.pdf = "/verzoeken/{{verzoeknummer}}/pdf"
direct.document = "/verzoeken/{{verzoeknummer}}/documenten/{{documentId}}"
concurrency = 2
rate = "50/s"
oauth.token_url = "https://localhost:{world.ports.dso_api}{TOKEN_PATH}"
oauth.client_id = "adapter"
oauth.client_secret_file = "geheim"
""",
    )
    settings = ApiSettings(tokens=TokenSettings("adapter", SECRET), announces=True)
    async with SimulatedDso(world, settings=settings) as dso, running_adapter(world):
        dso.faults.cut = {"*"}
        dso.faults.corrupt_content = {"*"}
        verzoeken = [
            verzoek_of(authority, number) for number, authority in enumerate(world.authorities, start=1)
        ]
        for authority, verzoek in zip(world.authorities, verzoeken, strict=True):
            await dso.announce(authority, verzoek)

        async def refused_what_was_damaged() -> bool:
            return "it is not kept, as its sha-256 is" in world.adapter_log.read_text()

        await until(refused_what_was_damaged)
        dso.faults.corrupt_content = set()

        async def both_have_theirs() -> bool:
            return all(len(delivered(authority)) == 1 for authority in world.authorities)

        await until(both_have_theirs)
    for authority, verzoek in zip(world.authorities, verzoeken, strict=True):
        (directory,) = delivered(authority)
        assert_delivered(directory, verzoek)
    log = world.adapter_log.read_text()
    assert "verzoek.file_continued" in log
    assert SECRET not in log
    assert dso.api.most_at_once <= 2 * len(world.authorities)
