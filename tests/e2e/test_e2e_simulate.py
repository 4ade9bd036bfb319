# SPDX-License-Identifier: EUPL-1.2

"""Every kind of message of the simulated DSO-LV comes through the whole chain, and `simulate` sends them."""

import asyncio
import json
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

from adapter.simulator import OTHER_DIENST, VerzoekStream
from adapter.verzoek import Doel
from tests.e2e.conftest import Chain, assert_delivered, until


async def test_each_message_of_the_stream_is_delivered_octet_for_octet(chain: Chain) -> None:
    await chain.adapter.start()
    authority = chain.world.authorities[0]
    stream = VerzoekStream(authority.oin, datetime.now(UTC).date())
    sent = [stream.next() for _ in range(9)]
    for verzoek in sent:
        directory = chain.sink / f"{verzoek.verzoeknummer}-{verzoek.spec.volgnummer}"
        await chain.dso.announce(authority, verzoek)

        async def is_there(wanted: Path = directory) -> bool:
            return wanted in chain.delivered()

        await until(is_there)
        assert_delivered(directory, verzoek)
        manifest = json.loads((directory / "manifest.json").read_text())
        assert (manifest["doel"], manifest["type"]) == (verzoek.spec.doel, verzoek.spec.type)
    assert {each.spec.doel for each in sent} == {doel.value for doel in Doel}
    assert OTHER_DIENST in {each.spec.behandeldienst for each in sent}


@asynccontextmanager
async def running(log: Path, *arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A command in a process of its own, ended as systemd does it; it must end well."""
    with log.open("ab") as output:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "adapter", *arguments, stdout=output, stderr=output
        )
    try:
        yield process
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(30):
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_simulate_sends_supplements_and_sends_again_what_nobody_took(tmp_path: Path) -> None:
    directory, log = tmp_path / "simulation", tmp_path / "simulate.log"
    sink = directory / "verzoeken" / "voorbeeldstad"

    async def is_made() -> bool:
        return log.exists() and "the adapter must listen at" in log.read_text()

    async def has_a_supplement() -> bool:
        return any(sink.glob("*-001/manifest.json"))

    options = ("--directory", str(directory), "--adapter-port", "0", "--every", "0.2")
    async with running(log, "simulate", *options):
        await until(is_made)
        config = str(directory / "stam-adapter.toml")
        async with running(tmp_path / "adapter.log", "run", "--config", config):
            await until(has_a_supplement)
    said = log.read_text()
    assert "Aanvullen" in said
    assert "HTTP 204" in said
    assert re.search(r"^\d{13} again: HTTP 204$", said, re.MULTILINE)
    (manifest, *_) = sink.glob("*-001/manifest.json")
    assert json.loads(manifest.read_text())["doel"] in {Doel.AANVULLEN, Doel.INTREKKEN}
