# SPDX-License-Identifier: EUPL-1.2

"""The status page of a running daemon: its house style, and open pages when the daemon stops."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from adapter.config import ConfigProblem, load_config
from adapter.daemon import Daemon
from adapter.simulator import AgreementPlan, World, create_world

LOGIN = {"Authorization": aiohttp.encode_basic_auth("beheer", "the-token-of-beheer", "utf-8")}


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = create_world(tmp_path, {"voorbeeldstad": AgreementPlan()})
    (tmp_path / "beheer.token").write_text("the-token-of-beheer")
    shutil.copy("config/thema.css", tmp_path / "thema.css")
    user = 'name = "beheer"\ntoken_file = "beheer.token"\nrole = "look"\nauthorities = ["*"]\n'
    text = world.config.read_text().replace("[admin]\n", '[admin]\ntheme = "thema.css"\n')
    assert "thema.css" in text
    world.config.write_text(f"{text}\n[[admin.users]]\n{user}")
    return world


@pytest.fixture
async def daemon(world: World) -> AsyncIterator[Daemon]:
    daemon = Daemon(await asyncio.to_thread(load_config, world.config, {}))
    await daemon.start()
    yield daemon
    await daemon.stop()


async def test_the_house_style_is_laid_over_the_page(daemon: Daemon) -> None:
    async with aiohttp.ClientSession(f"http://127.0.0.1:{daemon.admin_port}", headers=LOGIN) as session:
        page = await (await session.get("/")).text()
        assert page.index("/static/style.css") < page.index("/static/theme.css")
        assert 'data-theme="house"' in page
        style = await session.get("/static/theme.css")
        assert "--utrecht-link-color: #1b6d35" in await style.text()


async def test_an_open_page_is_let_go_when_the_daemon_stops(world: World) -> None:
    daemon = Daemon(await asyncio.to_thread(load_config, world.config, {}))
    await daemon.start()
    async with aiohttp.ClientSession(f"http://127.0.0.1:{daemon.admin_port}", headers=LOGIN) as session:
        stream = await session.get("/events")
        assert stream.status == 200
        await daemon.stop()
        # to its end: it was not cut off
        assert (await stream.read()).startswith(b"retry: ")


async def test_a_house_style_that_cannot_be_used_keeps_the_daemon_from_starting(world: World) -> None:
    (world.directory / "thema.css").write_text("@import 'https://elsewhere.example/style.css'; a { b: c }")
    with pytest.raises(ConfigProblem, match=r"admin\.theme: .*thema\.css loads something"):
        await Daemon(await asyncio.to_thread(load_config, world.config, {})).start()
