# SPDX-License-Identifier: EUPL-1.2

"""Users of a running daemon that show a certificate."""

import asyncio
import ssl
from pathlib import Path

import aiohttp
import pytest

from adapter.config import ConfigProblem, load_config
from adapter.daemon import Daemon
from adapter.simulator import AgreementPlan, World, create_world


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A world with an admin listener that speaks TLS, and jan who uses it."""
    world = create_world(tmp_path, {"voorbeeldstad": AgreementPlan()})
    world.pki.issue("jan", None).write(tmp_path / "tls", "jan")
    world.config.write_text(
        world.config.read_text()
        + """
[admin.tls]
certificate = "tls/voorbeeldstad.pem"
key = "tls/voorbeeldstad.key"
client_roots = ["tls/root.pem"]

[[admin.users]]
name = "jan"
certificate = "tls/jan.pem"
roles = { "*" = "look" }
"""
    )
    return world


async def test_a_user_logs_in_with_a_certificate_and_health_goes_without(world: World) -> None:
    daemon = Daemon(load_config(world.config, {}))
    await daemon.start()
    tls = world.directory / "tls"
    url = f"https://localhost:{daemon.admin_port}"
    plain = ssl.create_default_context(cafile=str(tls / "root.pem"))
    jan = ssl.create_default_context(cafile=str(tls / "root.pem"))
    jan.load_cert_chain(tls / "jan.pem", tls / "jan.key")
    statuses = []
    try:
        async with aiohttp.ClientSession() as session:
            for context, path in (
                (plain, "/health/live"),
                (plain, "/service/rest/v19/cpas"),
                (jan, "/service/rest/v19/cpas"),
            ):
                async with session.get(url + path, ssl=context) as response:
                    statuses.append(response.status)
    finally:
        await daemon.stop()
    assert statuses == [200, 401, 200]


@pytest.mark.parametrize("roots", ["[]", '["tls/none.pem"]'])
async def test_users_with_certificates_need_roots_that_can_be_read(world: World, roots: str) -> None:
    text = world.config.read_text().replace('client_roots = ["tls/root.pem"]', f"client_roots = {roots}")
    world.config.write_text(text)
    with pytest.raises(ConfigProblem, match="client_roots"):
        await Daemon(await asyncio.to_thread(load_config, world.config, {})).start()
