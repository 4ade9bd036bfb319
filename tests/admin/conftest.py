# SPDX-License-Identifier: EUPL-1.2

"""A world of two authorities with a mailbox each, and the application API over a fresh store."""

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest
import structlog
from aiohttp import web

from adapter.admin import ApplicationApi, Health, Live, create_admin_app
from adapter.config import Config, load_config
from adapter.daemon.key_rings import load_keys
from adapter.daemon.registry import Registry
from adapter.msh import Submitter
from adapter.observe import Metrics
from adapter.simulator import AgreementPlan, World, create_world
from adapter.store import StoreClosed, migrate, open_database, open_spool
from cpa import Profile
from tests.admin.house import TOKENS, Api, Client, Entry
from tests.clock import Clock

ROLES = {
    "beheer": 'role = "administer"\nauthorities = ["*"]',
    "stad": 'role = "repair"\nauthorities = ["stad"]',
    "kijker": 'role = "look"\nauthorities = ["dorp"]',
    "wissel": 'roles = { stad = "administer", "*" = "look" }',
    "hersteller": 'roles = { stad = "look", dorp = "repair" }',
    "dorper": 'role = "administer"\nauthorities = ["dorp"]',
}


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Two authorities that send and receive; messages of both go to a mailbox."""
    plans = {"stad": AgreementPlan(), "dorp": AgreementPlan(profile=Profile.OSB_BE)}
    world = create_world(tmp_path_factory.mktemp("world"), plans)
    config = world.config.read_text().replace('flow = "stam"', 'flow = "message"')
    config = config.replace('sink = "archief"', 'sink = "postbus"').replace('first = "1s"', 'first = "20ms"')
    for name, token in TOKENS.items():
        (world.directory / f"{name}.token").write_text(f"{token}\n")
        config += f"""
[[admin.users]]
name = "{name}"
token_file = "{name}.token"
{ROLES[name]}
"""
    for name in plans:
        config += f'\n[authorities.{name}.sinks.postbus]\ntype = "mailbox"\n'
    world.config.write_text(config)
    return world


@pytest.fixture
def config(world: World, tmp_path: Path) -> Config:
    environ = {"STAM_ADAPTER__STATE": str(tmp_path / "state")}
    for name in ("stad", "dorp"):
        (tmp_path / name).mkdir()
        environ[f"STAM_ADAPTER__AUTHORITIES__{name.upper()}__SINKS__ARCHIEF__PATH"] = str(tmp_path / name)
    return load_config(world.config, environ)


@pytest.fixture
def logs() -> Iterator[list[Entry]]:
    """Every log line; each must have an action."""
    with structlog.testing.capture_logs() as lines:
        yield lines
    assert [line for line in lines if not line.get("action")] == []


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The state directory of a store in which nothing is; making its tables takes longer than most tests."""
    state = tmp_path_factory.mktemp("migrated") / "state"
    migrate("sqlite", state)
    return state


@pytest.fixture
async def api(
    world: World,
    config: Config,
    migrated: Path,
    logs: list[Entry],
    aiohttp_client: Callable[[web.Application], Awaitable[Client]],
) -> AsyncIterator[Api]:
    """The application over its store; agreements that are changed come in use as in the daemon."""
    shutil.copytree(migrated, config.state)
    db = open_database("sqlite", config.state, exclusive=True)
    spool = open_spool(config)
    metrics, clock = Metrics(), Clock()
    keys = load_keys(config)
    registry = Registry(lambda: config, lambda: keys, db, metrics, clock)
    await registry.import_files()
    await registry.refresh()
    watching = asyncio.create_task(registry.watch())
    submitter = Submitter(db, spool, registry.current, clock)
    parts = ApplicationApi(db, spool, registry.current, submitter, lambda: config, metrics, clock)
    live = Live(db, quiet=0.01, idle=0.2)
    app = create_admin_app(health=Health({}, metrics), metrics=metrics, api=parts, live=live)
    client = await aiohttp_client(app)
    yield Api(world, config, db, spool, registry, metrics, clock, parts, live, client, logs)
    await client.close()
    watching.cancel()
    with contextlib.suppress(asyncio.CancelledError, StoreClosed):  # a test may have closed the store
        await watching
    await db.close()
