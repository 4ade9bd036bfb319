# SPDX-License-Identifier: EUPL-1.2

"""Each authority fetches over mutual TLS as itself: its own OIN, its own secrets, its own pace."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aiohttp.test_utils import TestServer
from structlog.testing import capture_logs

from adapter.config import Config, ConfigProblem, load_config
from adapter.daemon.collecting import Sources
from adapter.observe import Metrics
from adapter.pki import KeyPair, ThrowawayPki, TrustStore, load_key_pair, server_context
from adapter.simulator import (
    DEFAULT_BASE,
    TOKEN_PATH,
    ApiSettings,
    DocumentSpec,
    Faults,
    TokenSettings,
    VerzoekAfhandelenApi,
    VerzoekSpec,
    make_verzoek,
)
from adapter.stam import FetchProblem, Progress, VerzoekAfhandelen
from adapter.store import FileSpool
from tests.stam.scripted import problem_of

STAD, DORP, LEVERANCIER = "00000099000000001000", "00000099000000002000", "00000099000000009000"
OINS = {"stad": STAD, "dorp": DORP}
NUMBERS = {"stad": "2023073100048", "dorp": "2023073100049"}
WHITELIST = {LEVERANCIER: frozenset(OINS.values())}
DOCUMENTS = tuple(DocumentSpec(f"{number}.pdf", 1000) for number in range(12))
SECRET, KEY = "een geheim: met tekens & spaties", "een-sleutel"
OAUTH = """
[authorities.{name}.dso.oauth]
token_url = "{server}{path}"
client_id = "leverancier"
client_secret_file = "secret"
scope = "verzoeken"
"""


@dataclass
class Place:
    """A simulated DSO-LV over TLS, and the sources of two authorities that one supplier fetches for."""

    directory: Path
    pki: ThrowawayPki
    trust: TrustStore
    keys: KeyPair
    faults: Faults = field(default_factory=Faults)
    apis: list[VerzoekAfhandelenApi] = field(default_factory=list)
    servers: list[TestServer] = field(default_factory=list)
    made: list[Sources] = field(default_factory=list)

    @property
    def api(self) -> VerzoekAfhandelenApi:
        return self.apis[-1]

    async def serve(self, **settings: object) -> None:
        api = VerzoekAfhandelenApi(ApiSettings(whitelist=WHITELIST, **settings), self.faults)  # type: ignore[arg-type]
        for name, oin in OINS.items():
            api.publish(make_verzoek(VerzoekSpec(NUMBERS[name], oin, documents=DOCUMENTS)))
        server = TestServer(api.application(), scheme="https")
        await server.start_server(ssl=server_context(self.keys, self.trust))
        self.apis.append(api)
        self.servers.append(server)

    def config(self, dso: str = "", oauth: str = "") -> Config:
        lines = ['environment = "test"']
        server = str(self.servers[-1].make_url("/")).rstrip("/").replace("127.0.0.1", "localhost")
        for name, oin in OINS.items():
            lines += [
                f'[authorities.{name}]\nparty = "urn:osb:oin:{oin}"',
                'certificate = "tls/dso.pem"\nkey = "tls/dso.key"',
                f'[authorities.{name}.dso]\nurl = "{server}{DEFAULT_BASE}"',
                'certificate = "tls/leverancier.pem"\nkey = "tls/leverancier.key"',
                dso,
                oauth.format(name=name, server=server, path=TOKEN_PATH),
            ]
        path = self.directory / "stam-adapter.toml"
        path.write_text("\n".join(lines))
        return load_config(path, {})

    def sources(self, dso: str = "", oauth: str = "") -> Sources:
        config = self.config(dso, oauth)
        sources = Sources(
            config, dict.fromkeys(config.authorities, self.keys), self.trust, lambda: datetime.now(UTC)
        )
        self.made.append(sources)
        return sources

    async def close(self) -> None:
        for sources in self.made:
            await sources.close()
        for server in self.servers:
            await server.close()


@pytest.fixture(scope="module")
def pki() -> ThrowawayPki:
    return ThrowawayPki()


@pytest.fixture
async def place(tmp_path: Path, pki: ThrowawayPki) -> AsyncIterator[Place]:
    trust = TrustStore([pki.root])
    keys = load_key_pair(
        *pki.issue("DSO-LV (simulator)", "00000099000000004000").write(tmp_path / "tls", "dso")
    )
    pki.issue("Leverancier", LEVERANCIER).write(tmp_path / "tls", "leverancier")
    (tmp_path / "secret").write_text(SECRET + "\n")
    (tmp_path / "apikey").write_text(KEY)
    place = Place(tmp_path, pki, trust, keys)
    yield place
    await place.close()


def client_of(sources: Sources, name: str) -> VerzoekAfhandelen:
    source = sources.source(name)
    assert source is not None
    return source[0]


async def fetch(place: Place, client: VerzoekAfhandelen, name: str) -> None:
    """Everything that the references of the verzoek of this authority lead to, all at once."""
    spool = FileSpool(place.directory / "spool")

    async def one(address: str) -> None:
        with Progress(Metrics(), name, "bijlage") as progress:
            await client.download(address, spool, progress)

    references = await client.find(NUMBERS[name])
    async with asyncio.TaskGroup() as group:
        for link in references.links:
            group.create_task(one(link.address))


async def test_two_authorities_with_one_certificate_each_send_their_own_oin(place: Place) -> None:
    await place.serve()
    sources = place.sources()
    for name, oin in OINS.items():
        place.api.requests.clear()
        await fetch(place, client_of(sources, name), name)
        assert len(place.api.requests) == 3 + len(DOCUMENTS)
        assert {request.oin for request in place.api.requests} == {oin}


async def test_a_verzoek_of_the_one_is_not_for_the_other(place: Place) -> None:
    await place.serve()
    problem = await problem_of(client_of(place.sources(), "stad").find(NUMBERS["dorp"]))
    assert "403" in problem.reason


async def test_no_more_requests_run_at_a_time_than_is_configured(place: Place) -> None:
    await place.serve()
    client = client_of(place.sources("concurrency = 3"), "stad")
    await asyncio.gather(*(fetch(place, client, "stad") for _ in range(3)))
    assert place.api.most_at_once <= 3


async def test_one_that_is_asked_to_wait_leaves_the_source_alone_for_all_its_verzoeken(place: Place) -> None:
    await place.serve()
    sources = place.sources()
    stad, dorp = client_of(sources, "stad"), client_of(sources, "dorp")
    for fault in ("too_many", "unavailable"):
        sources = place.sources()
        stad, dorp = client_of(sources, "stad"), client_of(sources, "dorp")
        setattr(place.faults, fault, 1)
        place.faults.retry_after = timedelta(minutes=5)
        assert (await problem_of(stad.find(NUMBERS["stad"]))).after == timedelta(minutes=5)
        place.api.requests.clear()
        other = await problem_of(stad.find("2023073100050"))
        assert other.temporary
        assert other.after is not None
        assert timedelta(minutes=4) < other.after <= timedelta(minutes=5)
        assert "Verzoek afhandelen for stad asked to be left alone" in other.reason
        assert place.api.requests == []
        await fetch(place, dorp, "dorp")


async def test_nothing_is_taken_up_for_a_source_while_it_rests(place: Place) -> None:
    await place.serve()
    sources = place.sources()
    client = client_of(sources, "stad")
    assert (dict(sources.rooms()), sources.next_change()) == ({}, None)
    place.faults.unavailable = 1
    place.faults.retry_after = timedelta(minutes=5)
    await problem_of(client.find(NUMBERS["stad"]))
    assert dict(sources.rooms()) == {"dso:stad": 0}
    change = sources.next_change()
    assert change is not None
    assert timedelta(minutes=4) < change - datetime.now(UTC) <= timedelta(minutes=5)


async def test_who_may_ask_more_at_a_time_collects_more_verzoeken_at_a_time(place: Place) -> None:
    await place.serve()
    assert dict(place.sources("concurrency = 20").rooms()) == {"dso:stad": 20, "dso:dorp": 20}
    assert dict(place.sources("concurrency = 1").rooms()) == {}


async def test_a_refusal_without_a_time_rests_nobody(place: Place) -> None:
    await place.serve()
    client = client_of(place.sources(), "stad")
    place.faults.unavailable = 1
    assert (await problem_of(client.find(NUMBERS["stad"]))).after is None
    await client.find(NUMBERS["stad"])


async def test_an_api_key_from_a_file_goes_with_every_request(place: Place) -> None:
    await place.serve(api_key=KEY)
    await fetch(place, client_of(place.sources('api_key_file = "apikey"'), "stad"), "stad")
    problem = await problem_of(client_of(place.sources(), "stad").find(NUMBERS["stad"]))
    assert "401" in problem.reason


async def test_one_access_token_does_for_many_requests(place: Place) -> None:
    await place.serve(tokens=TokenSettings("leverancier", SECRET, "verzoeken"))
    client = client_of(place.sources(oauth=OAUTH), "stad")
    await asyncio.gather(*(fetch(place, client, "stad") for _ in range(2)))
    assert place.api.tokens is not None
    assert place.api.tokens.given == 1


async def test_a_token_that_ended_early_is_replaced_at_once(place: Place) -> None:
    await place.serve(tokens=TokenSettings("leverancier", SECRET, "verzoeken"))
    client = client_of(place.sources(oauth=OAUTH), "stad")
    await client.find(NUMBERS["stad"])
    place.faults.expire_tokens = 1
    await client.find(NUMBERS["stad"])
    assert place.api.tokens is not None
    assert place.api.tokens.given == 2


async def test_a_new_token_that_is_refused_too_is_not_replaced_again(place: Place) -> None:
    await place.serve(tokens=TokenSettings("leverancier", SECRET, "verzoeken"))
    client = client_of(place.sources(oauth=OAUTH), "stad")
    place.faults.expire_tokens = 2
    problem = await problem_of(client.find(NUMBERS["stad"]))
    assert "401" in problem.reason
    assert problem.temporary
    assert place.api.tokens is not None
    assert place.api.tokens.given == 2


async def test_a_token_that_is_not_given_is_temporary_and_says_what_to_check(place: Place) -> None:
    await place.serve(tokens=TokenSettings("leverancier", "een ander geheim", "verzoeken"))
    problem = await problem_of(client_of(place.sources(oauth=OAUTH), "stad").find(NUMBERS["stad"]))
    assert problem.temporary
    assert "HTTP 401: invalid_client; check [authorities.….dso.oauth]" in problem.reason


async def test_a_token_endpoint_that_asks_to_wait_is_left_alone_too(place: Place) -> None:
    await place.serve(tokens=TokenSettings("leverancier", SECRET, "verzoeken"))
    client = client_of(place.sources(oauth=OAUTH), "stad")
    place.faults.too_many = 1
    place.faults.retry_after = timedelta(minutes=5)
    assert (await problem_of(client.find(NUMBERS["stad"]))).after == timedelta(minutes=5)
    place.api.requests.clear()
    await problem_of(client.find(NUMBERS["stad"]))
    assert place.api.requests == []


async def test_no_link_may_lead_to_where_tokens_are_given(place: Place) -> None:
    await place.serve()
    client = client_of(place.sources(oauth=OAUTH.replace("{server}", "https://login.example")), "stad")
    with pytest.raises(FetchProblem, match="not where Verzoek afhandelen is"):
        client.check("https://login.example/d")


async def test_secrets_are_in_no_log_line_and_no_description(place: Place) -> None:
    await place.serve(
        api_key="een andere", tokens=TokenSettings("leverancier", "een ander geheim", "verzoeken")
    )
    sources = place.sources('api_key_file = "apikey"', OAUTH)
    with capture_logs() as lines:
        problem = await problem_of(client_of(sources, "stad").find(NUMBERS["stad"]))
    for shown in (repr(lines), problem.reason, repr(sources), repr(place.config(oauth=OAUTH))):
        assert SECRET not in shown
        assert KEY not in shown


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "cannot be read"),
        (b"\n", "is empty; write the secret into it"),
        (b"een\ntwee\n", "has more than one line"),
        (b"\xff", "is no text"),
    ],
)
async def test_a_secret_that_cannot_be_used_is_said_at_the_start(
    place: Place, content: bytes | None, reason: str
) -> None:
    await place.serve()
    path = place.directory / "apikey"
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigProblem, match=rf"authorities\.stad\.dso\.api_key_file: .*apikey {reason}"):
        place.sources('api_key_file = "apikey"')
