# SPDX-License-Identifier: EUPL-1.2

"""A notification of another shape than the usual is read as the configuration says."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

from adapter.simulator import (
    ACTION,
    SERVICE,
    AgreementPlan,
    Payload,
    SimulatedDso,
    VerzoekSpec,
    create_world,
    make_verzoek,
    running_adapter,
    verzoeknummer,
)
from tests.e2e.conftest import assert_delivered, until

SHAPE = """
[authorities.voorbeeldstad.notification]
roots = ["melding"]
verzoeknummer = ["trigger/verzoeknummer", "zaak/nummer"]
volgnummer = "zaak/volg"
"""


async def test_the_configured_path_leads_to_the_verzoek(tmp_path: Path) -> None:
    world = await asyncio.to_thread(
        create_world, tmp_path, {"voorbeeldstad": AgreementPlan()}, extra_config=SHAPE
    )
    (authority,) = world.authorities
    verzoek = make_verzoek(VerzoekSpec(verzoeknummer(datetime.now(UTC).date(), 1), authority.oin))
    payload = (
        '<m:melding xmlns:m="urn:m"><m:verzoeknummer>ander</m:verzoeknummer>'
        f"<m:zaak><m:nummer>{verzoek.verzoeknummer}</m:nummer><m:volg>000</m:volg></m:zaak></m:melding>"
    )

    async def is_there() -> bool:
        return (authority.sink / f"{verzoek.verzoeknummer}-000") in list(authority.sink.iterdir())

    async with SimulatedDso(world) as dso, running_adapter(world):
        dso.api.publish(verzoek)
        sent = await dso.msh.send(authority.cpa_id, SERVICE, ACTION, [Payload(payload.encode())])
        assert sent.status == 204
        await until(is_there)
    assert_delivered(authority.sink / f"{verzoek.verzoeknummer}-000", verzoek)
