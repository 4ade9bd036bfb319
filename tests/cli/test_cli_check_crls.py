# SPDX-License-Identifier: EUPL-1.2

"""`check` fetches every revocation list that will be needed, and says how it is."""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import Result

from adapter.pki import Layer, ThrowawayPki
from adapter.simulator import AgreementPlan, World, create_world
from tests.crl_server import CrlServer, crl_server

Cli = Callable[..., Result]


@pytest.fixture
def server() -> Iterator[CrlServer]:
    """In a loop of its own: the command has another."""
    ready, over = threading.Event(), threading.Event()
    found: list[CrlServer] = []

    async def serve() -> None:
        async with crl_server() as made:
            found.append(made)
            ready.set()
            await asyncio.to_thread(over.wait)

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    assert ready.wait(10)
    yield found[0]
    over.set()
    thread.join()


@pytest.fixture
def world(server: CrlServer, tmp_path: Path) -> World:
    pki = ThrowawayPki(crl_bases=[server.url])
    server.serve(pki)
    return create_world(
        tmp_path,
        {"voorbeeldstad": AgreementPlan()},
        pki=pki,
        extra_config='[trust.revocation]\nmode = "hard"\n',
    )


def lines(cli: Cli, world: World) -> tuple[int, dict[str, tuple[str, str]]]:
    """The exit code, and of each line about a list its result and detail by its name."""
    result = cli("check", "--config", world.config, "--json")
    found = [line for line in json.loads(result.stdout) if line["what"] == "crl"]
    return result.exit_code, {line["name"]: (line["result"], line["detail"]) for line in found}


def test_each_list_is_fetched_once_and_its_age_told(cli: Cli, world: World, server: CrlServer) -> None:
    code, found = lines(cli, world)
    assert code == 0
    assert {name.rpartition("/")[2] for name in found} == {"tsp.crl", "domain.crl", "root.crl"}
    result, detail = found[f"{server.url}/tsp.crl"]
    assert result == "ok"
    assert "Throw-away TSP CA, 1 hours old, 0 revoked, next by " in detail
    assert server.asked["/tsp.crl"] == 1


def test_a_list_that_cannot_be_had_is_an_error_with_the_fix(
    cli: Cli, world: World, server: CrlServer
) -> None:
    del server.lists["/domain.crl"]
    code, found = lines(cli, world)
    assert code == 1
    result, detail = found[f"{server.url}/domain.crl"]
    assert result == "error"
    assert "answers 404" in detail
    assert "[outgoing] proxy" in detail


def test_an_expired_list_is_an_error(cli: Cli, world: World, server: CrlServer) -> None:
    server.serve(world.pki, [Layer.TSP], end=datetime.now(UTC) - timedelta(minutes=1))
    code, found = lines(cli, world)
    assert code == 1
    assert "expired" in found[f"{server.url}/tsp.crl"][1]


def test_a_certificate_of_ours_that_was_revoked_is_an_error(
    cli: Cli, world: World, server: CrlServer
) -> None:
    server.serve(world.pki, [Layer.DOMAIN], [world.pki.intermediate])
    code, found = lines(cli, world)
    assert code == 1
    result, detail = found["voorbeeldstad"]
    assert result == "error"
    assert "revoked on" in detail
    assert "ask for a new certificate" in detail
