# SPDX-License-Identifier: EUPL-1.2

"""From notification to zaak: the daemon in a process of its own, and a server with the ZGW APIs."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from adapter.simulator import DocumentSpec, make_verzoek
from tests.e2e.conftest import Chain, until, with_sink
from tests.sinks.zgw.fake import CLIENT_ID, SECRET, FakeZgw
from tests.sinks.zgw.house import RSIN, furnish

LARGE = 3_000_000
DOCUMENTS = (DocumentSpec("situatietekening.pdf", LARGE), DocumentSpec("foto.jpg", 20_000, "image/jpeg"))


@pytest.fixture
async def zgw(chain: Chain, tmp_path: Path) -> AsyncIterator[FakeZgw]:
    directory, secret = tmp_path / "content", tmp_path / "zgw.secret"
    directory.mkdir()
    secret.write_text(SECRET)
    async with FakeZgw(directory).serving() as fake:
        furnish(fake)
        urls = "\n".join(
            f'{api} = "{fake.address}/{api}/api/v1"' for api in ("zaken", "documenten", "catalogi")
        )
        with_sink(
            chain,
            f"""
type = "zgw"
{urls}
client_id = "{CLIENT_ID}"
secret_file = "{secret}"
bronorganisatie = "{RSIN}"
catalogus = {{ domein = "OMGEV", rsin = "{RSIN}" }}
informatieobjecttypen = {{ verzoek = "Aanvraag", pdf = "Aanvraag", document = "Bijlage" }}
zaaktypen = [{{ zaaktype = "OMG-AANVRAAG", status_aanvullen = "Aangevuld" }}]
""",
        )
        yield fake


def check_zaak(zgw: FakeZgw, documents: int, statuses: int = 1) -> None:
    """One zaak with so many documents and statuses, and each only once."""
    (zaak,) = zgw.made("zaken")
    made = zgw.made("enkelvoudiginformatieobjecten")
    assert len({one["identificatie"] for one in made}) == len(made) == documents
    assert not any(one["locked"] for one in made)
    assert sorted(one["informatieobject"] for one in zgw.made("zaakinformatieobjecten")) == sorted(
        one["url"] for one in made
    )
    assert [one["zaak"] for one in zgw.made("rollen")] == [zaak["url"]]
    assert [one["zaak"] for one in zgw.made("statussen")] == [zaak["url"]] * statuses


async def announce(chain: Chain, zgw: FakeZgw) -> None:
    """Announce a verzoek, until its first status says that everything is there."""
    authority = chain.world.authorities[0]
    sent = await chain.dso.announce(authority, chain.verzoek(documents=DOCUMENTS))
    await chain.dso.msh.wait_for(sent.message_id)


async def test_a_verzoek_and_its_supplement_become_one_zaak(chain: Chain, zgw: FakeZgw) -> None:
    await chain.adapter.run()
    await announce(chain, zgw)

    async def has_statuses(number: int) -> bool:
        return len(zgw.made("statussen")) == number

    await until(lambda: has_statuses(1))
    spec = chain.verzoek(documents=DOCUMENTS).spec
    more = (*DOCUMENTS, DocumentSpec("nagekomen.pdf", 10))
    added = replace(spec, doel="Aanvullen", volgnummer="001", documents=more)
    await chain.dso.announce(chain.world.authorities[0], make_verzoek(added))
    await until(lambda: has_statuses(2))
    check_zaak(zgw, 7, statuses=2)
    assert await chain.adapter.stop() == 0


def changes(zgw: FakeZgw) -> int:
    """How many requests made something; the others are of a delivery, or of who asks whether it could be made."""
    return sum(call.method != "GET" for call in zgw.calls)


@pytest.mark.parametrize("number", [1, 2, 3, 5, 8, 10])
async def test_a_daemon_that_is_killed_after_a_request_was_done_makes_nothing_twice(
    chain: Chain, zgw: FakeZgw, number: int
) -> None:
    killed: list[str] = []

    async def kill(done: int) -> None:
        if changes(zgw) == number and not killed:
            killed.append(str(zgw.calls[done - 1]))
            await chain.adapter.kill()

    zgw.done = kill
    await chain.adapter.run()
    await announce(chain, zgw)

    async def is_killed() -> bool:
        return bool(killed)

    await until(is_killed)
    await chain.adapter.run()

    async def is_done() -> bool:
        return len(zgw.made("statussen")) == 1

    await until(is_done)
    assert await chain.adapter.stop() == 0
    check_zaak(zgw, 4)
