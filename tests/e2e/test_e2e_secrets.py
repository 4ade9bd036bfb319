# SPDX-License-Identifier: EUPL-1.2

"""No secret comes out anywhere: a daemon with secrets that are easy to find goes through work, failures and hostile
calls at log level debug, and everything that it and the commands say, log, serve and audit is searched.
"""

import asyncio
import base64
import hashlib
import re
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import aiohttp
import pytest

from adapter.simulator import (
    TOKEN_PATH,
    AgreementPlan,
    ApiSettings,
    SimulatedDso,
    TokenSettings,
    World,
    create_world,
)
from adapter.store import DeliveryState, JobState, find_deliveries, find_jobs, open_database
from tests.e2e.conftest import Adapter, Chain, until
from tests.sinks.receivers import HttpReceiver

SECRETS = {
    name: f"Geheim+{name}/{hashlib.sha256(name.encode()).hexdigest()[:32]}"
    for name in ("token", "bearer", "hmac", "links", "apikey", "oauth", "database", "s3", "basic")
}
API = "/service/rest/v19"


def shapes(secret: str) -> set[str]:
    """How a secret would look: as it is, escaped for a URL, in base64 (also in the midst of it), in hexadecimal."""
    octets = secret.encode()
    shifted = {base64.b64encode(bytes(shift) + octets).decode()[4:-4] for shift in range(3)}
    return {secret, quote(secret), quote(secret, safe=""), octets.hex(), repr(octets)[2:-1], *shifted}


def leaks(text: str) -> list[str]:
    """The names of the secrets that stand in a text."""
    return [name for name, secret in SECRETS.items() if any(shape in text for shape in shapes(secret))]


def test_a_leak_would_be_found() -> None:
    for name, secret in SECRETS.items():
        basic = base64.b64encode(f"beheer:{secret}".encode()).decode()
        for text in (secret, f"Basic {basic}", f"postgresql://stam:{quote(secret, safe='')}@host/db"):
            assert leaks(f"... {text} ...") == [name]
    assert leaks("nothing") == []


@dataclass
class Searched:
    """A chain with secrets, and what was said by it."""

    chain: Chain
    receiver: HttpReceiver
    said: list[str]

    async def command(self, *arguments: str, config: Path | None = None) -> str:
        """Run a command; what it said."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "adapter", *arguments),
            *("--config", str(config or self.chain.world.config)),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        async with asyncio.timeout(60):
            said = (await process.communicate())[0].decode(errors="replace")
        self.said.append(said)
        return said

    async def get(self, path: str, method: str = "GET", **headers: str) -> int:
        """Call the admin listener; what it answers is searched too."""
        url = f"http://127.0.0.1:{self.chain.world.ports.admin}{path}"
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, url, headers=headers) as response,
        ):
            self.said.append(f"{response.headers}\n{await response.text()}")
            return response.status

    async def deliveries(self) -> dict[str, DeliveryState]:
        db = open_database("sqlite", self.chain.world.directory / "var", exclusive=False)
        try:
            return {one.verzoeknummer or "": one.state for one in await db.read(find_deliveries)}
        finally:
            await db.close()

    async def reasons(self) -> list[str]:
        db = open_database("sqlite", self.chain.world.directory / "var", exclusive=False)
        try:
            jobs = await db.read(find_jobs)
            return [job.reason or "" for job in jobs if job.state is not JobState.RUNNING]
        finally:
            await db.close()


def configure(world: World, receiver: HttpReceiver) -> None:
    """Every option that a secret can be given by, of which the file with it is readable by its owner only."""
    for name, secret in SECRETS.items():
        path = world.directory / f"{name}.secret"
        path.write_text(f"{secret}\n")
        path.chmod(0o600)
    text = world.config.read_text()
    head, heading, _ = text.partition("[authorities.voorbeeldstad.sinks.archief]\n")
    head = re.sub(
        r"(\[authorities\.voorbeeldstad\.dso\]\n)",
        rf'\1api_key_file = "apikey.secret"\noauth.client_id = "adapter"\noauth.client_secret_file = "oauth.secret"\n'
        rf'oauth.token_url = "https://localhost:{world.ports.dso_api}{TOKEN_PATH}"\n',
        head,
    )
    sink = f"""type = "http"
url = "{receiver.url}/verzoeken"
form = "manifest"
bearer = {{ token_file = "bearer.secret" }}
hmac = {{ secret_file = "hmac.secret" }}
links = {{ url = "http://127.0.0.1:{world.ports.admin}", secret_file = "links.secret" }}
"""
    user = '[[admin.users]]\nname = "beheer"\ntoken_file = "token.secret"\nroles = { "*" = "administer" }\n'
    world.config.write_text(f'{head}{heading}{sink}\n[log]\nlevel = "debug"\n\n{user}')


@pytest.fixture
async def searched(tmp_path: Path, plan: AgreementPlan) -> AsyncIterator[Searched]:
    world = await asyncio.to_thread(create_world, tmp_path, {"voorbeeldstad": plan})
    receiver = HttpReceiver()
    receiver.authorization = f"Bearer {SECRETS['bearer']}"
    receiver.statuses = [500]
    settings = ApiSettings(api_key=SECRETS["apikey"], tokens=TokenSettings("adapter", SECRETS["oauth"]))
    async with SimulatedDso(world, settings=settings) as dso, receiver.running():
        configure(world, receiver)
        made = Searched(Chain(world, dso, Adapter(world)), receiver, [])
        try:
            yield made
        finally:
            await made.chain.adapter.kill()


async def go_wrong(searched: Searched) -> None:
    """Credentials in every wrong place, and what no handler foresees."""
    token = SECRETS["token"]
    basic = base64.b64encode(f"{token}:beheer".encode()).decode()
    assert await searched.get(f"{API}/cpas", Authorization=f"Basic {basic}") == 401
    assert await searched.get(f"{API}/cpas", Authorization=f"Digest {token}") == 401
    assert await searched.get(f"{API}/cpas", Authorization=f"Bearer {token}x") == 401
    assert await searched.get(f"{API}/cpas", Authorization=f"Bearer {token}") == 200
    assert await searched.get(f"{API}/nothing", Authorization=f"Bearer {token}") == 404
    assert await searched.get(f"{API}/cpas", "PUT", Authorization=f"Bearer {token}") == 405
    assert (
        await searched.get(f"{API}/cpas", Origin="https://evil.example", Authorization=f"Bearer {token}")
        == 403
    )
    assert await searched.get("/deliveries/x.y", Authorization=f"Bearer {token}") == 404
    for path in ("/health/live", "/health/ready", "/metrics"):
        await searched.get(path, Authorization=f"Bearer {token}")


async def test_no_secret_and_no_bsn_is_said_logged_served_or_audited(searched: Searched) -> None:
    chain = searched.chain
    verzoek = chain.verzoek(documents=())
    bsns = set(re.findall(rb"\b99999\d{4}\b|\b9999[0-9]{5}\b", verzoek.xml))
    assert bsns, "the verzoek names nobody: choose another seed"
    await searched.command("check")
    await searched.command("check", "--json")
    await chain.adapter.run()
    await chain.dso.announce(chain.world.authorities[0], verzoek)

    async def is_delivered() -> bool:
        return DeliveryState.DELIVERED in (await searched.deliveries()).values()

    await until(is_delivered)
    assert searched.receiver.statuses == [], "no delivery failed first"
    await go_wrong(searched)
    searched.receiver.authorization = "Bearer another"  # from now on what we send is refused
    second = chain.verzoek(2, documents=())
    await chain.dso.announce(chain.world.authorities[0], second)

    async def has_failed() -> bool:
        return any("401" in reason for reason in await searched.reasons())

    await until(has_failed)
    number = verzoek.verzoeknummer
    for command in (
        ("verzoek", "show", number),
        ("verzoek", "show", second.verzoeknummer, "--json"),
        ("verzoek", "list", "--json"),
        ("message", "list", "--json"),
        ("audit", "list", "--json"),
        ("lane", "list", "--json"),
        ("check", "--json"),
    ):
        await searched.command(*command)
    await chain.adapter.stop()
    assert '"level": "debug"' in chain.adapter.log, "the log has nothing of level debug"
    for text in (*searched.said, chain.adapter.log):
        assert leaks(text) == []
        assert [bsn for bsn in bsns if bsn.decode() in text] == []


STORES = {
    "database": 'url = "postgresql://stam:{secret}@127.0.0.1:1/stam"',
    "s3": 'payloads = "s3://bucket/prefix"\n[store.s3]\nendpoint = "http://127.0.0.1:1"\nregion = "nl"\n'
    'access_key = "stam"\nsecret_key_file = "s3.secret"',
}


@pytest.mark.parametrize("store", STORES)
async def test_a_store_that_cannot_be_reached_is_told_without_its_secret(
    searched: Searched, store: str
) -> None:
    config = searched.chain.world.config
    table = STORES[store].format(secret=quote(SECRETS[store], safe=""))
    config.write_text(f"{config.read_text()}\n[store]\n{table}\n")
    for command in (("check",), ("check", "--json"), ("run",), ("message", "list"), ("db", "migrate")):
        if store == "s3" and command[0] == "run":
            continue  # it starts, and waits for the bucket
        assert await searched.command(*command)
    for text in searched.said:
        assert leaks(text) == []


WRONG = {
    "a table in the place of a file": 'token_file = {{ secret = "{secret}" }}',
    "an option that there is not": 'token = "{secret}"',
    "a number of lines": 'token_file = "lines.secret"',
}


@pytest.mark.parametrize("wrong", WRONG)
async def test_a_configuration_that_is_wrong_is_told_without_what_stands_in_it(
    searched: Searched, wrong: str
) -> None:
    config = searched.chain.world.config
    (config.parent / "lines.secret").write_text(f"{SECRETS['token']}\n{SECRETS['basic']}\n")
    config.write_text(
        config.read_text().replace(
            'token_file = "token.secret"', WRONG[wrong].format(secret=SECRETS["token"])
        )
    )
    said = await searched.command("check")
    assert "beheer" in said or "admin.users" in said
    await searched.command("run")
    for text in searched.said:
        assert leaks(text) == []
