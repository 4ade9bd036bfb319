# SPDX-License-Identifier: EUPL-1.2

"""A daemon in hard mode and its partner, whose TLS certificate and signing certificate have roots of their own."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from structlog.testing import capture_logs

from adapter.config import load_config
from adapter.daemon import Daemon, Materials
from adapter.net import HttpClient
from adapter.pki import IssuedCertificate, Layer, ThrowawayPki, TrustStore
from adapter.simulator import (
    ACTION,
    DSO_OIN,
    SERVICE,
    AgreementPlan,
    Payload,
    SimulatedDso,
    VerzoekSpec,
    World,
    create_world,
    make_verzoek,
    verzoeknummer,
)
from adapter.simulator.msh import SentMessage
from cpa import Profile
from tests.clock import Clock
from tests.crl_server import CrlServer, crl_server
from tests.e2e.conftest import until

HARD = '[trust.revocation]\nmode = "hard"\n'


@dataclass(frozen=True)
class Pkis:
    """Two roots that are trusted at a time: `old` issues for signatures, and to us; `new`, with RSASSA-PSS, for TLS."""

    port: int
    old: ThrowawayPki
    new: ThrowawayPki
    partner: IssuedCertificate


@pytest.fixture(scope="session")
def pkis() -> Pkis:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    base, now = f"http://127.0.0.1:{port}", datetime.now(UTC)
    old = ThrowawayPki(now, crl_bases=[f"{base}/old"], name="Old")
    new = ThrowawayPki(now, crl_bases=[f"{base}/new"], name="New", pss=True)
    return Pkis(port, old, new, new.issue("DSO-LV (TLS)", DSO_OIN))


@dataclass
class Stage:
    """The two of them, and the server of lists, which has every list at first."""

    pkis: Pkis
    world: World
    lists: CrlServer
    dso: SimulatedDso
    clock: Clock
    logs: list[Any]
    daemon: Daemon | None = None

    @property
    def signer(self) -> Any:
        """The certificate that the partner signs with."""
        return self.dso.msh.keys.certificate

    def serve_all(self, **options: Any) -> None:
        self.lists.serve(self.pkis.old, below="/old", **options)
        self.lists.serve(self.pkis.new, below="/new", **options)

    def revoke(self, pki: ThrowawayPki, layer: Layer, certificate: Any) -> None:
        below = "/old" if pki is self.pkis.old else "/new"
        self.lists.serve(pki, [layer], [certificate], below=below)

    async def start(self) -> None:
        config = load_config(self.world.config, {})
        self.daemon = Daemon(config, Materials(clock=self.clock))
        await self.daemon.start()

    async def stop(self) -> None:
        if self.daemon is not None:
            daemon, self.daemon = self.daemon, None
            await daemon.stop()

    async def send(self) -> SentMessage:
        """A message of the partner, about a verzoek that is there."""
        (authority,) = self.world.authorities
        return await self.dso.msh.send(authority.cpa_id, SERVICE, ACTION, [Payload(b"<melding/>")])

    async def deliver(self) -> None:
        """A verzoek comes the whole way."""
        (authority,) = self.world.authorities
        number = verzoeknummer(datetime.now(UTC).date(), 1)
        await self.dso.announce(authority, make_verzoek(VerzoekSpec(number, authority.oin)))

        async def is_there() -> bool:
            return (authority.sink / f"{number}-000") in list(authority.sink.iterdir())

        await until(is_there)

    def refused(self, reason: str) -> float:
        assert self.daemon is not None
        found = self.daemon.metrics.registry.get_sample_value(
            "stam_adapter_refused_total", {"reason": reason}
        )
        return found or 0.0

    async def readiness(self) -> tuple[int, str]:
        assert self.daemon is not None
        url = f"http://127.0.0.1:{self.daemon.admin_port}/health/ready"
        async with aiohttp.ClientSession() as session, session.get(url) as response:
            return response.status, await response.text()

    async def until_ready(self) -> None:
        async def is_ready() -> bool:
            return (await self.readiness())[0] == 200

        await until(is_ready)

    def said(self, action: str) -> list[Any]:
        return [line for line in self.logs if line.get("action") == action]


Open = Callable[..., Awaitable[Stage]]


@pytest.fixture
async def open_stage(pkis: Pkis, tmp_path: Path) -> AsyncIterator[Open]:
    async with AsyncExitStack() as stack:
        logs = stack.enter_context(capture_logs())
        lists = await stack.enter_async_context(crl_server(pkis.port))

        async def start(settings: str = HARD) -> Stage:
            world = await asyncio.to_thread(
                create_world,
                tmp_path,
                {"voorbeeldstad": AgreementPlan(profile=Profile.OSB_RM_S)},
                extra_config=settings,
                pki=pkis.old,
            )
            roots = tmp_path / "tls" / "root.pem"
            new_root = pkis.new.root_pem(tmp_path / "tls" / "new-root.pem")
            roots.write_bytes(roots.read_bytes() + new_root.read_bytes())
            trust = TrustStore([pkis.old.root, pkis.new.root])
            signing, shown = world.dso_keys, pkis.partner.key_pair(tmp_path / "tls", "dso-tls")
            dso = SimulatedDso(replace(world, dso_keys=shown, trust=trust))
            dso.msh.keys, dso.msh._client = signing, HttpClient(shown, trust)
            stage = Stage(pkis, world, lists, dso, Clock(), logs)
            await dso.start()
            stack.push_async_callback(dso.stop)
            stage.serve_all()
            stack.push_async_callback(stage.stop)
            return stage

        yield start


@pytest.fixture
async def stage(open_stage: Open) -> Stage:
    """Started later, by the test."""
    return await open_stage()
