# SPDX-License-Identifier: EUPL-1.2

"""Users that show a certificate: over real TLS, with the context of the admin listener."""

import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp.test_utils import TestServer

from adapter.admin import create_admin_app, load_users
from adapter.admin.health import Health
from adapter.config import AdminUser, ConfigProblem, Role
from adapter.pki import IssuedCertificate, ThrowawayPki, TrustStore, server_context
from tests.admin.house import API, TOKENS, Api


@dataclass
class House:
    """An admin listener with TLS: jan is known by his key, piet by his subject, beheer by a token."""

    api: Api
    pki: ThrowawayPki
    directory: Path
    port: int
    people: dict[str, IssuedCertificate]

    async def get(
        self, path: str = "/cpas", *, shows: IssuedCertificate | None = None, **headers: str
    ) -> Any:
        """Ask for something; the status and headers of the answer."""
        context = ssl.create_default_context(cafile=str(self.pki.root_pem(self.directory / "root.pem")))
        if shows is not None:
            context.load_cert_chain(*shows.write(self.directory, "shown"))
        url = f"https://localhost:{self.port}{API}{path}"
        async with (
            aiohttp.ClientSession() as session,
            session.get(url, ssl=context, headers=headers) as response,
        ):
            return response.status, response.headers


@pytest.fixture
async def house(api: Api, tmp_path: Path) -> AsyncIterator[House]:
    pki, directory = ThrowawayPki(), tmp_path / "tls"
    people = {name: pki.issue(name, None) for name in ("jan", "piet", "klaas")}
    certificate, _ = people["jan"].write(directory, "jan")
    subject = people["piet"].certificate.subject.rfc4514_string()
    users = (
        *(one for one in api.config.admin.users if one.name == "beheer"),
        AdminUser(name="jan", certificate=certificate, role=Role.LOOK, authorities=("stad",)),
        AdminUser(name="piet", certificate_subject=subject, role=Role.LOOK, authorities=("dorp",)),
    )
    config = api.config.model_copy(update={"admin": api.config.admin.model_copy(update={"users": users})})
    app = create_admin_app(
        health=Health({}, api.metrics), metrics=api.metrics, api=replace(api.parts, config=lambda: config)
    )
    keys = pki.issue("server", None).key_pair(directory, "server")
    server = TestServer(app, scheme="https")
    await server.start_server(ssl=server_context(keys, TrustStore([pki.root]), required=False))
    assert server.port is not None
    yield House(api, pki, directory, server.port, people)
    await server.close()


async def test_a_user_is_known_by_the_key_or_the_subject_of_the_certificate(house: House) -> None:
    cpa = {name: f"/cpas/{house.api.authority(name).cpa_id}" for name in ("stad", "dorp")}
    for person, own, other in (("jan", "stad", "dorp"), ("piet", "dorp", "stad")):
        shown = house.people[person]
        assert (await house.get(cpa[own], shows=shown))[0] == 200
        assert (await house.get(cpa[other], shows=shown))[0] == 404


async def test_a_certificate_of_nobody_is_a_failed_login_and_a_token_goes_without(house: House) -> None:
    assert (await house.get(shows=house.people["klaas"]))[0] == 401
    assert [line["reason"] for line in house.api.logs if line["action"] == "admin.login_failed"] == [
        f"no user has the certificate of {house.people['klaas'].certificate.subject.rfc4514_string()}"
    ]
    assert (await house.get())[0] == 401
    assert (await house.get(Authorization=f"Bearer {TOKENS['beheer']}"))[0] == 200


async def test_a_certificate_with_the_name_of_a_user_from_elsewhere_ends_the_handshake(house: House) -> None:
    foreign = ThrowawayPki().issue("piet", None)
    with pytest.raises(aiohttp.ClientError):
        await house.get(shows=foreign)
    same_name = house.pki.issue("jan", None)
    assert (await house.get(shows=same_name))[0] == 401


async def test_over_tls_browsers_are_told_to_stay_with_it(house: House) -> None:
    assert (await house.get())[1]["Strict-Transport-Security"] == "max-age=31536000"


def test_two_users_may_not_share_a_certificate(tmp_path: Path) -> None:
    certificate, _ = ThrowawayPki().issue("jan", None).write(tmp_path, "jan")
    users = [
        AdminUser(name=name, certificate=certificate, role=Role.LOOK, authorities=("*",))
        for name in ("een", "twee")
    ]
    with pytest.raises(ConfigProblem, match="has the certificate of user een"):
        load_users(users, strict=True)


def test_a_certificate_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    one = AdminUser(name="jan", certificate=tmp_path / "jan.pem", role=Role.LOOK, authorities=("*",))
    with pytest.raises(ConfigProblem, match=r"admin.users jan: .*jan\.pem"):
        load_users([one], strict=True)
