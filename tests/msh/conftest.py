# SPDX-License-Identifier: EUPL-1.2

"""A world with one authority per kind of agreement, and daemons over fresh state in it."""

import asyncio
import contextlib
import functools
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog
from aiohttp import web
from cryptography.hazmat.primitives.serialization import Encoding

from adapter.config import load_config
from adapter.daemon import Daemon, Materials
from adapter.pki import KeyPair, load_key_pair, server_context
from adapter.simulator import (
    ACTION,
    DSO_OIN,
    SERVICE,
    AgreementPlan,
    Faults,
    SimulatedDso,
    World,
    create_world,
)
from adapter.store import Database, open_database
from cpa import (
    Agreement,
    CpaDraft,
    PartyDraft,
    PartyId,
    Profile,
    SyncReplyMode,
    agreement_for,
    parse_cpa,
    write_cpa,
)
from cpa.names import OIN_TYPE
from tests.clock import Clock
from tests.msh.house import Entry, House, Judge, Partner, Reply
from tests.msh.sending import with_cpa

NEIGHBOUR_OIN = "00000099000000002000"
HUB_OIN = "00000099000000003000"
STRANGER_OIN = "00000099000000004000"

PLANS = {
    "rms": AgreementPlan(),
    "rm": AgreementPlan(profile=Profile.OSB_RM),
    "be": AgreementPlan(profile=Profile.OSB_BE),
    "sync": AgreementPlan(sync_reply=SyncReplyMode.MSH_SIGNALS_ONLY),
    "rme": AgreementPlan(profile=Profile.OSB_RM_E),
    "bes": AgreementPlan(profile=Profile.OSB_BE_S),
    "bee": AgreementPlan(profile=Profile.OSB_BE_E),
    "rmsync": AgreementPlan(profile=Profile.OSB_RM, sync_reply=SyncReplyMode.MSH_SIGNALS_ONLY),
    "rmesync": AgreementPlan(profile=Profile.OSB_RM_E, sync_reply=SyncReplyMode.MSH_SIGNALS_ONLY),
}
SYNCHRONOUS = ("sync", "rmsync", "rmesync")

Open = Callable[..., Awaitable[House]]
Serve = Callable[..., Awaitable[Partner]]
Changed = Callable[..., dict[str, Any]]


@pytest.fixture(scope="session")
def judge(request: pytest.FixtureRequest) -> Judge:
    shared: Path | None = None
    with contextlib.suppress(pytest.skip.Exception):
        shared = request.getfixturevalue("shared")
    return Judge(shared)


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Its messages go to their sink as they are; `rms` has a second agreement, with a neighbour of DSO-LV."""
    world = create_world(tmp_path_factory.mktemp("world"), PLANS)
    for name in SYNCHRONOUS:
        sync = world.directory / "cpa" / f"{name}.xml"
        sync.write_text(sync.read_text().replace('syncReplyMode="none"', 'syncReplyMode="mshSignalsOnly"'))
    for name, oin in (
        ("stranger", STRANGER_OIN),
        ("neighbour", NEIGHBOUR_OIN),
        ("hub", HUB_OIN),
        ("renewed", DSO_OIN),
    ):
        world.pki.issue(f"{name} (simulatie)", oin).write(world.directory / "tls", name)
    (world.directory / "cpa" / "neighbour.xml").write_bytes(_neighbour_cpa(world))
    config = world.config.read_text().replace('flow = "stam"', 'flow = "message"')
    config = config.replace('cpas = ["cpa/rms.xml"]', 'cpas = ["cpa/rms.xml", "cpa/neighbour.xml"]')
    world.config.write_text(config.replace('first = "1s"', 'first = "20ms"'))
    return world


def _neighbour_cpa(world: World) -> bytes:
    us = world.authorities[0]
    now = datetime.now(UTC)

    def party(name: str, oin: str, role: str, port: int) -> PartyDraft:
        certificate = load_key_pair(
            world.directory / "tls" / f"{name}.pem", world.directory / "tls" / f"{name}.key"
        ).certificate
        return PartyDraft(
            name=name,
            party_id=PartyId(oin, OIN_TYPE),
            role=role,
            endpoint=f"https://localhost:{port}/ebms",
            signing_certificate=certificate,
            client_certificate=certificate,
            server_certificate=certificate,
        )

    return write_cpa(
        CpaDraft(
            cpa_id="CPA_neighbour",
            start=now - timedelta(days=1),
            end=now + timedelta(days=60),
            first=party("neighbour", NEIGHBOUR_OIN, "Buur", world.ports.dso_api),
            second=party("rms", us.oin, "BevoegdGezag", world.ports.adapter),
            service=SERVICE,
            first_sends=(ACTION,),
            second_sends=(),
            profile=Profile.OSB_RM_S,
        )
    )


@pytest.fixture(scope="session")
def keys(world: World) -> Mapping[str, KeyPair]:
    """Every key pair of the world by the name of its file."""
    tls = world.directory / "tls"
    return {
        path.stem: load_key_pair(path, path.with_suffix(".pem").with_suffix(".key"))
        for path in tls.glob("*.pem")
        if path.stem != "root"
    }


@pytest.fixture(scope="session")
def agreements(world: World) -> Mapping[str, Agreement]:
    """The agreements as the partner sees them, by the name of their file."""
    found: dict[str, Agreement] = {}
    for path in (world.directory / "cpa").glob("*.xml"):
        partner = NEIGHBOUR_OIN if path.stem == "neighbour" else DSO_OIN
        found[path.stem] = agreement_for(parse_cpa(path.read_bytes()), PartyId(partner, OIN_TYPE))
    return found


@pytest.fixture
def logs() -> Iterator[list[Entry]]:
    """Every log line; each must have an action."""
    with structlog.testing.capture_logs() as lines:
        yield lines
    assert [line for line in lines if not line.get("action")] == []


_load_once = functools.cache(load_key_pair)
_parse_once = functools.cache(parse_cpa)


@pytest.fixture(autouse=True)
def keys_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading keys and CPAs takes a while, and every daemon here reads the same ones; elsewhere their files change."""
    monkeypatch.setattr("adapter.config.key_files.load_key_pair", _load_once)
    for module in ("adapter.daemon.registry", "adapter.authorities.snapshot", "adapter.simulator.world"):
        monkeypatch.setattr(f"{module}.parse_cpa", _parse_once)


@pytest.fixture
async def open_house(
    world: World,
    keys: Mapping[str, KeyPair],
    agreements: Mapping[str, Agreement],
    judge: Judge,
    logs: list[Entry],
    tmp_path: Path,
) -> AsyncIterator[Open]:
    """Start daemons: `extra` is TOML after the configuration, `replacing` texts in it, `environ` its overrides.

    `database` wraps the store. With `dso=False` the partner does not listen. `grace` is what running work gets
    when a daemon stops; all it has sent is then judged.
    """
    async with AsyncExitStack() as stack:

        async def start(
            *,
            extra: str = "",
            replacing: Mapping[str, str] | None = None,
            environ: Mapping[str, str] | None = None,
            database: Callable[[Database], Database] | None = None,
            dso: bool = True,
            clock: Clock | None = None,
            grace: timedelta = timedelta(seconds=20),
        ) -> House:
            clock = clock or Clock()
            config = configuration(world, tmp_path, extra, replacing or {}, environ or {})
            opened: list[Database] = []

            def open_store(_: object) -> Database:
                opened.append(open_database("sqlite", tmp_path / "state", exclusive=True))
                return opened[0] if database is None else database(opened[0])

            partner = SimulatedDso(world, clock, Faults())
            if dso:
                await partner.start()
                stack.push_async_callback(partner.stop)
            daemon = Daemon(config, Materials(open_database=open_store, clock=clock, grace=grace))
            await daemon.start()
            house = House(
                world, keys, agreements, daemon, partner, clock, tmp_path / "state", logs, opened[0]
            )
            stack.callback(house.judge_all, judge)
            stack.push_async_callback(close, house)
            return house

        yield start


async def close(house: House) -> None:
    """Stop a daemon; once is enough."""
    await house.hang_up()
    async with asyncio.timeout(60):
        await house.daemon.stop()


def configuration(
    world: World, folder: Path, extra: str, replacing: Mapping[str, str], environ: Mapping[str, str]
) -> Any:
    text = world.config.read_text()
    for old, new in replacing.items():
        assert old in text, old
        text = text.replace(old, new)
    path = world.directory / f"{folder.name}-{os.urandom(4).hex()}.toml"
    path.write_text(f"{text}\n{extra}")
    sinks = {
        f"STAM_ADAPTER__AUTHORITIES__{name.upper()}__SINKS__ARCHIEF__PATH": str(folder / name)
        for name in PLANS
    }
    for name in PLANS:
        (folder / name).mkdir(exist_ok=True)
    state = {"STAM_ADAPTER__STATE": str(folder / "state")}
    return load_config(path, sinks | state | dict(environ))


@pytest.fixture
async def house(open_house: Open) -> House:
    """A daemon and its partner, in order."""
    return await open_house()


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Start an endpoint that answers as told, where DSO-LV listens or at another port, with a certificate."""
    async with AsyncExitStack() as stack:

        async def start(
            house: House, *answers: Reply, keys: KeyPair | None = None, port: int | None = None
        ) -> Partner:
            partner = Partner(list(answers))
            app = web.Application(client_max_size=2**27)
            app.router.add_route("*", "/{path:.*}", partner.handle)
            runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            context = server_context(keys or house.keys["dso"], house.world.trust)
            site = web.TCPSite(runner, "127.0.0.1", port or house.world.ports.dso_ebms, ssl_context=context)
            await site.start()
            return partner

        yield start


@pytest.fixture
async def waiting(open_house: Open, serve: Serve) -> House:
    """A house whose partner takes messages and says nothing."""
    house = await open_house(dso=False)
    await serve(house)
    return house


@pytest.fixture
def authorities(world: World, tmp_path: Path) -> dict[str, str]:
    """Settings of a daemon that knows the authorities below the root."""
    path = tmp_path / "authorities.pem"
    below = (world.pki.intermediate, world.pki.domain)
    path.write_bytes(b"".join(one.public_bytes(Encoding.PEM) for one in below))
    return {"STAM_ADAPTER__TRUST__INTERMEDIATES": json.dumps([str(path)])}


@pytest.fixture
def changed(world: World, tmp_path: Path) -> Changed:
    """Settings of a daemon whose authority has its agreement with changes in the text."""
    return lambda name, *changes: with_cpa(world, tmp_path, name, *changes)
