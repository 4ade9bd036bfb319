# SPDX-License-Identifier: EUPL-1.2

"""A daemon that has seen traffic of every kind, what it then shows, and what a real Prometheus makes of that."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from adapter.pki import client_context
from adapter.simulator import (
    AgreementPlan,
    DocumentSpec,
    SimulatedDso,
    VerzoekSpec,
    World,
    create_world,
    make_verzoek,
    running_adapter,
    verzoeknummer,
)
from tests.e2e.conftest import until
from tests.observe.expressions import ALERTS, expressions
from tests.postgresql import free_port

NONSENSE = 30


@dataclass
class Busy:
    """What was scraped before and after a flood of nonsense, the log, and the answers of Prometheus by expression."""

    before: str = ""
    after: str = ""
    log: str = ""
    asked: dict[str, dict[str, Any]] = field(default_factory=dict)
    rules: list[dict[str, Any]] = field(default_factory=list)


@pytest.fixture(scope="session")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Busy:
    return asyncio.run(_be_busy(tmp_path_factory.mktemp("busy")))


async def _be_busy(directory: Path) -> Busy:
    busy = Busy()
    world = await asyncio.to_thread(create_world, directory, {"voorbeeldstad": AgreementPlan()})
    async with SimulatedDso(world) as dso, running_adapter(world), aiohttp.ClientSession() as session:
        metrics = f"http://127.0.0.1:{world.ports.admin}/metrics"

        async def scrape() -> str:
            async with session.get(metrics) as response:
                return await response.text()

        ping = await dso.msh.ping(world.authorities[0].cpa_id)
        await dso.msh.wait_for(ping.message_id)
        spec = VerzoekSpec(
            verzoeknummer(datetime.now(UTC).date(), 1),
            world.authorities[0].oin,
            documents=(DocumentSpec("situatietekening.pdf", 20_000),),
        )
        sent = await dso.announce(world.authorities[0], make_verzoek(spec))
        await dso.msh.wait_for(sent.message_id)
        await dso.msh.resend(sent)

        async def delivered() -> bool:
            text = await scrape()
            return all(
                one in text
                for one in (
                    'outcome="delivered",sink=',
                    'outcome="duplicate"} 1.0',
                    'sent_again_total{authority="voorbeeldstad",kind="acknowledgment"} 1.0',
                )
            )

        await until(delivered)
        await _send_nonsense(world, session, "first")
        busy.before = await scrape()
        for number in range(NONSENSE):
            await _send_nonsense(world, session, f"nonsense-{number}")
        busy.after = await scrape()
        if shutil.which("prometheus") is not None:
            async with _prometheus(directory, world, session) as url:
                for expression in expressions():
                    async with session.get(
                        f"{url}/api/v1/query", params={"query": expression.text}
                    ) as answer:
                        busy.asked[expression.text] = await answer.json()
                async with session.get(f"{url}/api/v1/rules") as answer:
                    groups = (await answer.json())["data"]["groups"]
                busy.rules = [rule for group in groups for rule in group["rules"]]
    busy.log = world.adapter_log.read_text()
    return busy


async def _send_nonsense(world: World, session: aiohttp.ClientSession, word: str) -> None:
    """What an attacker with a certificate of a partner may try: names of his own wherever one can stand."""
    tls = client_context(world.dso_keys, world.trust)
    base = f"https://localhost:{world.ports.adapter}"
    headers = {"SOAPAction": '"ebXML"', "Content-Type": "text/xml"}
    soap = f'<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Header><{word}/></e:Header></e:Envelope>'
    requests = (
        ("GET", f"/{word}", {}, None),
        (f"X{word}".upper().replace("-", ""), "/ebms", {}, None),
        ("POST", "/ebms", headers | {"SOAPAction": word}, b""),
        ("POST", "/ebms", headers | {"Content-Type": f"text/{word}"}, b""),
        ("POST", "/ebms", headers, soap.encode()),
    )
    for method, path, extra, body in requests:
        async with session.request(method, base + path, headers=extra, data=body, ssl=tls) as response:
            assert response.status >= 400


@asynccontextmanager
async def _prometheus(directory: Path, world: World, session: aiohttp.ClientSession) -> AsyncIterator[str]:
    """A Prometheus that scraped the daemon a few times, with the rules of the project."""
    port = free_port()
    config = directory / "prometheus.yml"
    config.write_text(
        f"""
global: {{scrape_interval: 200ms, scrape_timeout: 200ms, evaluation_interval: 500ms}}
rule_files: ["{ALERTS}"]
scrape_configs:
  - job_name: stam-adapter
    static_configs: [{{targets: ["127.0.0.1:{world.ports.admin}"]}}]
"""
    )
    process = await asyncio.create_subprocess_exec(
        "prometheus",
        f"--config.file={config}",
        f"--storage.tsdb.path={directory / 'tsdb'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=error",
    )
    url = f"http://127.0.0.1:{port}"

    async def has_scraped_and_ruled() -> bool:
        try:
            async with session.get(
                f"{url}/api/v1/query", params={"query": "count_over_time(up[1m]) > 2"}
            ) as answer:
                if answer.status != 200 or not (await answer.json())["data"]["result"]:
                    return False
            async with session.get(f"{url}/api/v1/rules") as answer:
                groups = (await answer.json())["data"]["groups"]
        except aiohttp.ClientConnectionError:
            return False
        return all(rule["health"] != "unknown" for group in groups for rule in group["rules"])

    try:
        await until(has_scraped_and_ruled, 30.0)
        yield url
    finally:
        process.terminate()
        await process.wait()
