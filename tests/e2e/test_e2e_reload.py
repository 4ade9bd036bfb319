# SPDX-License-Identifier: EUPL-1.2

"""A running adapter is told to reload as a service manager does."""

import asyncio
import os
import signal
from pathlib import Path

from adapter.simulator import AgreementPlan, SimulatedDso, VerzoekSpec, create_world, make_verzoek
from tests.e2e.conftest import Adapter, until


async def test_on_sighup_an_authority_is_added_and_the_process_goes_on(tmp_path: Path) -> None:
    plans = dict.fromkeys(("adorp", "bestad"), AgreementPlan())
    world = await asyncio.to_thread(create_world, tmp_path, plans, apart=True)
    late = world.authority_file("bestad")
    text = late.read_text()
    late.unlink()
    adapter = Adapter(world)
    async with SimulatedDso(world) as dso:
        try:
            await adapter.start()
            assert adapter.process is not None
            late.write_text(text)
            os.kill(adapter.process.pid, signal.SIGHUP)

            async def is_added() -> bool:
                return '"action": "authority.added"' in adapter.log.replace('":"', '": "')

            await until(is_added)
            authority = world.authorities[1]
            await dso.announce(authority, make_verzoek(VerzoekSpec("2026010100001", authority.oin)))

            async def is_delivered() -> bool:
                return (authority.sink / "2026010100001-000").is_dir()

            await until(is_delivered)
            assert await adapter.stop() == 0
        finally:
            await adapter.kill()
