# SPDX-License-Identifier: EUPL-1.2

"""A store, a spool, a simulated DSO-LV on this machine, and a client between them."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp.test_utils import TestServer

from adapter.net import HttpClient
from adapter.observe import Metrics
from adapter.pki import TrustStore
from adapter.simulator import DEFAULT_BASE, ApiSettings, VerzoekAfhandelenApi
from adapter.stam import DsoSettings, VerzoekAfhandelen
from adapter.store import FileSpool, Spool, migrate, open_database
from tests.stam.house import GEMEENTE, NOW, House, MakeClient
from tests.stam.scripted import Dso


@pytest.fixture
def api() -> VerzoekAfhandelenApi:
    return VerzoekAfhandelenApi(ApiSettings(require_certificate=False))


@pytest.fixture
async def server(api: VerzoekAfhandelenApi) -> AsyncIterator[TestServer]:
    server = TestServer(api.application())
    await server.start_server()
    yield server
    await server.close()


@pytest.fixture
async def make_client() -> AsyncIterator[MakeClient]:
    """Makes clients of Verzoek afhandelen over plain HTTP."""
    https: list[HttpClient] = []

    def make(url: str, **changes: object) -> VerzoekAfhandelen:
        http = HttpClient(None, TrustStore.from_files([]), allow_plain=True)
        https.append(http)
        values: dict[str, object] = {"url": url, "oin": GEMEENTE, **changes}
        return VerzoekAfhandelen(http, DsoSettings(**values), lambda: NOW)  # type: ignore[arg-type]

    yield make
    for http in https:
        await http.close()


@pytest.fixture
async def client(make_client: MakeClient, server: TestServer) -> VerzoekAfhandelen:
    return make_client(str(server.make_url(DEFAULT_BASE)))


@pytest.fixture
async def house(tmp_path: Path, client: VerzoekAfhandelen) -> AsyncIterator[House]:
    state = tmp_path / "state"
    migrate("sqlite", state)
    db = open_database("sqlite", state, exclusive=True)
    yield House(db, FileSpool(state / "spool"), Metrics(), client)
    await db.close()


@pytest.fixture
async def dso() -> AsyncIterator[Dso]:
    dso = Dso()
    await dso.server.start_server()
    yield dso
    await dso.server.close()


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return FileSpool(tmp_path / "spool")


@pytest.fixture
async def dso_client(make_client: MakeClient, dso: Dso) -> VerzoekAfhandelen:
    return make_client(dso.url)
