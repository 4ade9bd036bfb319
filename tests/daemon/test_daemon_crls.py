# SPDX-License-Identifier: EUPL-1.2

"""Keeping revocation lists fresh, by the clock, from servers that do not always behave."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from adapter.authorities import Authorities
from adapter.config import Config, OutgoingConfig, RevocationConfig
from adapter.daemon import crl_source
from adapter.daemon.chains import ChainsInUse, Shown
from adapter.daemon.crls import CrlFetcher
from adapter.net import Timeouts
from adapter.observe import Metrics
from adapter.pki import (
    Chain,
    Crls,
    Flaw,
    Layer,
    Place,
    Revocation,
    RevocationMode,
    RevocationRefused,
    ThrowawayPki,
    TrustStore,
)
from tests.crl_server import (
    CrlServer,
    Misdeed,
    breakdown,
    compressed,
    crl_server,
    drip,
    flood,
    maintenance,
    to_a_file,
)

HOUR = timedelta(hours=1)
NOW = datetime.now(UTC).replace(microsecond=0)


@dataclass
class Stand:
    """A fetcher with its clock; `in_use` are the chains that the daemon has of its own."""

    pki: ThrowawayPki
    chain: Chain
    directory: Path
    config: RevocationConfig = field(default_factory=RevocationConfig)
    outgoing: OutgoingConfig = field(default_factory=OutgoingConfig)
    mode: RevocationMode = RevocationMode.HARD
    now: datetime = NOW
    in_use: tuple[tuple[Shown, Chain], ...] = ()
    metrics: Metrics = field(default_factory=Metrics)

    def __post_init__(self) -> None:
        stand, snapshot = self, Authorities({})

        class Known(ChainsInUse):
            def find(self) -> tuple[tuple[Shown, Chain], ...]:
                return stand.in_use

        def no_config() -> Config:
            raise AssertionError("the chains are given")

        trust = TrustStore([self.pki.root])
        chains = Known(no_config, lambda: snapshot, lambda _: (), trust, lambda: self.now)
        self.revocation = Revocation(self.mode, Crls(self.directory), lambda: self.now)
        self.fetcher = CrlFetcher(
            self.revocation, trust, self.config, self.outgoing, self.metrics, chains, chance=lambda: 0.0
        )

    async def pass_time(self, time: timedelta = timedelta()) -> None:
        """Let time pass, and everything be fetched that is due then."""
        self.now += time
        await self.fetcher.tick()
        await self.fetcher.finished()

    def flaw(self) -> Flaw | None:
        try:
            self.revocation.check(self.chain, Place.TLS_IN)
        except RevocationRefused as refused:
            return refused.flaw
        return None

    def value(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(f"stam_adapter_{name}", labels)

    def source(self, layer: str) -> crl_source.Source:
        return next(one for one in self.fetcher.sources if f"{layer} CA" in one.label)


@pytest.fixture
async def server() -> AsyncIterator[CrlServer]:
    async with crl_server() as server:
        yield server


@pytest.fixture
def logs() -> Iterator[list[Any]]:
    with capture_logs() as lines:
        yield lines


def stand_at(server: CrlServer, directory: Path, *bases: str, **options: Any) -> Stand:
    pki = ThrowawayPki(NOW, crl_bases=bases or (server.url,))
    issued = pki.issue("Stad", "00000001001100415000")
    chain = TrustStore([pki.root]).verify(issued.certificate, issued.chain, NOW)
    return Stand(pki, chain, directory, **options)


@pytest.fixture
def stand(server: CrlServer, tmp_path: Path) -> Stand:
    return stand_at(server, tmp_path)


def actions(logs: list[Any]) -> list[str]:
    return [line["action"] for line in logs]


async def test_the_lists_of_all_authorities_of_a_chain_are_fetched(stand: Stand, server: CrlServer) -> None:
    server.serve(stand.pki)
    assert stand.flaw() is Flaw.MISSING
    await stand.pass_time()
    assert stand.flaw() is None
    assert set(server.asked) == {"/tsp.crl", "/domain.crl", "/root.crl"}


async def test_a_revocation_takes_effect_with_the_next_fetch(stand: Stand, server: CrlServer) -> None:
    server.serve(stand.pki)
    assert stand.flaw() is Flaw.MISSING
    await stand.pass_time()
    server.serve(stand.pki, [Layer.DOMAIN], [stand.pki.intermediate], start=NOW)
    await stand.pass_time(4 * HOUR)
    assert stand.flaw() is Flaw.REVOKED


async def test_a_list_is_fetched_every_four_hours(stand: Stand, server: CrlServer) -> None:
    server.serve(stand.pki, end=NOW + 100 * HOUR)
    stand.flaw()
    await stand.pass_time()
    await stand.pass_time(4 * HOUR - timedelta(seconds=1))
    assert server.asked["/tsp.crl"] == 1
    await stand.pass_time(timedelta(seconds=1))
    assert server.asked["/tsp.crl"] == 2


async def test_a_list_that_expires_soon_is_fetched_before(stand: Stand, server: CrlServer) -> None:
    server.serve(stand.pki, end=NOW + HOUR)
    stand.flaw()
    await stand.pass_time()
    await stand.pass_time(HOUR / 2)
    assert server.asked["/tsp.crl"] == 2
    await stand.pass_time(HOUR / 4)
    assert server.asked["/tsp.crl"] == 3


async def test_the_same_list_again_is_no_news(stand: Stand, server: CrlServer) -> None:
    server.serve(stand.pki)
    stand.flaw()
    await stand.pass_time()
    version = stand.revocation.crls.version
    await stand.pass_time(4 * HOUR)
    assert server.asked["/tsp.crl"] == 2
    assert stand.revocation.crls.version == version


async def test_what_cannot_be_had_is_tried_again_later_and_later(stand: Stand, server: CrlServer) -> None:
    stand.flaw()
    await stand.pass_time()
    waits = []
    for _ in range(6):
        source = stand.source("TSP")
        waits.append(source.due - stand.now)
        await stand.pass_time(source.due - stand.now)
    assert [wait / timedelta(minutes=1) for wait in waits] == [1, 2, 4, 8, 15, 15]
    server.serve(stand.pki)
    await stand.pass_time(timedelta(minutes=15))
    assert stand.flaw() is None
    assert stand.source("TSP").failures == 0


@pytest.mark.parametrize("misdeed", [drip, flood, to_a_file, maintenance, breakdown, compressed])
async def test_a_hostile_server_of_lists_gives_none(
    server: CrlServer, tmp_path: Path, misdeed: Misdeed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crl_source, "_TIMEOUTS", Timeouts(read=timedelta(milliseconds=200)))
    stand = stand_at(server, tmp_path, config=RevocationConfig(max_size="1 MB"))  # type: ignore[arg-type]
    server.serve(stand.pki)
    server.misdeeds["/tsp.crl"] = misdeed
    stand.flaw()
    await stand.pass_time()
    assert stand.flaw() is Flaw.MISSING
    assert stand.source("TSP").problem is not None
    assert stand.source("Domain").problem is None
    assert len(stand.revocation.crls.all()) == 2


async def test_a_list_signed_by_another_is_not_taken(stand: Stand, server: CrlServer) -> None:
    server.serve(ThrowawayPki(NOW))
    stand.flaw()
    await stand.pass_time()
    assert stand.flaw() is Flaw.MISSING
    assert "whose key did not sign it" in (stand.source("TSP").problem or "")


async def test_an_older_list_is_not_taken(stand: Stand, server: CrlServer) -> None:
    server.serve(stand.pki, revoked=[stand.chain[0]])
    stand.flaw()
    await stand.pass_time()
    server.serve(stand.pki, [Layer.TSP], start=NOW - 3 * HOUR)
    await stand.pass_time(4 * HOUR)
    assert stand.flaw() is Flaw.REVOKED
    assert "older" in (stand.source("TSP").problem or "")


async def test_of_several_addresses_any_will_do(server: CrlServer, tmp_path: Path) -> None:
    stand = stand_at(server, tmp_path, f"{server.url}/gone", server.url)
    server.serve(stand.pki)
    stand.flaw()
    await stand.pass_time()
    assert stand.flaw() is None
    assert server.asked["/gone/tsp.crl"] == server.asked["/tsp.crl"] == 1


async def test_lists_come_through_the_proxy(server: CrlServer, tmp_path: Path) -> None:
    proxy = OutgoingConfig(proxy=server.url)
    stand = stand_at(server, tmp_path, "http://crl.voorbeeld.example", outgoing=proxy)
    server.serve(stand.pki)
    stand.flaw()
    await stand.pass_time()
    assert stand.flaw() is None


async def test_who_comes_first_waits_for_the_lists_and_one_request_serves_all(
    stand: Stand, server: CrlServer
) -> None:
    server.serve(stand.pki)
    await asyncio.gather(*(stand.revocation.admit(stand.chain, Place.TLS_IN) for _ in range(5)))
    assert dict(server.asked) == {"/tsp.crl": 1, "/domain.crl": 1, "/root.crl": 1}


async def test_who_waits_in_vain_is_refused(
    stand: Stand, server: CrlServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapter.daemon.crls.PATIENCE", timedelta(milliseconds=50))
    server.gate.clear()
    with pytest.raises(RevocationRefused):
        await stand.revocation.admit(stand.chain, Place.TLS_IN)
    server.gate.set()
    await stand.fetcher.finished()


async def test_what_just_failed_is_not_asked_for_by_each_request(stand: Stand, server: CrlServer) -> None:
    for _ in range(3):
        with pytest.raises(RevocationRefused):
            await stand.revocation.admit(stand.chain, Place.TLS_IN)
    assert server.asked["/tsp.crl"] == 1


async def test_a_list_that_cannot_be_renewed_alarms_before_it_expires(
    stand: Stand, server: CrlServer, logs: list[Any]
) -> None:
    server.serve(stand.pki, end=NOW + 24 * HOUR)
    stand.flaw()
    await stand.pass_time()
    server.misdeeds["/tsp.crl"] = breakdown
    await stand.pass_time(4 * HOUR)
    assert "crl.stale" not in actions(logs)
    await stand.pass_time(5 * HOUR)
    (line,) = [line for line in logs if line["action"] == "crl.stale"]
    assert line["log_level"] == "error"
    assert "answers 503" in line["reason"]
    assert stand.flaw() is None
    assert await stand.fetcher.troubles() == []


async def test_an_expired_list_refuses_alarms_and_makes_the_daemon_not_ready(
    stand: Stand, server: CrlServer, logs: list[Any]
) -> None:
    server.serve(stand.pki, end=NOW + 24 * HOUR)
    stand.flaw()
    await stand.pass_time()
    server.misdeeds["/tsp.crl"] = breakdown
    await stand.pass_time(25 * HOUR)
    assert stand.flaw() is Flaw.EXPIRED
    assert "crl.expired" in actions(logs)
    assert any("TSP CA" in one.text and "answers 503" in one.text for one in await stand.fetcher.troubles())


async def test_a_list_that_comes_expired_is_a_failure(stand: Stand, server: CrlServer) -> None:
    server.serve(stand.pki, end=NOW - timedelta(minutes=1))
    stand.flaw()
    await stand.pass_time()
    assert stand.flaw() is Flaw.EXPIRED
    assert "expired on" in (stand.source("TSP").problem or "")


async def test_a_restart_without_network_uses_what_is_on_disk_until_it_expires(
    stand: Stand, server: CrlServer, tmp_path: Path
) -> None:
    server.serve(stand.pki, end=NOW + 24 * HOUR)
    stand.flaw()
    await stand.pass_time()
    server.lists.clear()
    later = Stand(stand.pki, stand.chain, tmp_path, now=NOW + HOUR)
    assert later.revocation.crls.load(later.now) == ()
    assert later.flaw() is None
    await later.pass_time(22 * HOUR)
    assert later.flaw() is None
    await later.pass_time(2 * HOUR)
    assert later.flaw() is Flaw.EXPIRED


async def test_a_certificate_that_does_not_say_where_its_list_is_needs_a_configured_address(
    server: CrlServer, tmp_path: Path
) -> None:
    pki = ThrowawayPki(NOW)
    server.serve(pki)
    issued = pki.issue("Stad", "00000001001100415000")
    chain = TrustStore([pki.root]).verify(issued.certificate, issued.chain, NOW)
    lost = Stand(pki, chain, tmp_path)
    assert lost.flaw() is Flaw.MISSING
    await lost.pass_time()
    assert any("[trust.revocation] urls" in one.text for one in await lost.fetcher.troubles())
    urls = tuple(f"{server.url}/{layer}.crl" for layer in Layer)
    found = Stand(pki, chain, tmp_path, config=RevocationConfig(urls=urls))
    assert found.flaw() is Flaw.MISSING
    await found.pass_time()
    assert found.flaw() is None
    assert await found.fetcher.troubles() == []


async def test_our_own_certificate_that_was_revoked_alarms(
    stand: Stand, server: CrlServer, logs: list[Any]
) -> None:
    server.serve(stand.pki, revoked=[stand.chain[0]])
    stand.in_use = ((Shown("ebms.tls", stand.chain[0], own=True), stand.chain),)
    await stand.pass_time()
    await stand.pass_time()
    assert [line["name"] for line in logs if line["action"] == "certificate.revoked"] == ["ebms.tls"]
    (problem,) = await stand.fetcher.troubles()
    assert problem.text.startswith("ebms.tls: ")
    assert "was revoked on" in problem.text


async def test_a_chain_that_nobody_shows_any_more_is_forgotten(stand: Stand, server: CrlServer) -> None:
    server.serve(stand.pki)
    stand.flaw()
    await stand.pass_time()
    label = stand.source("TSP").label
    assert stand.value("crl_next_update_timestamp_seconds", issuer=label) is not None
    await stand.pass_time(timedelta(days=3))
    assert stand.fetcher.sources == ()
    assert stand.value("crl_next_update_timestamp_seconds", issuer=label) is None


async def test_the_age_of_a_list_is_in_the_metrics(stand: Stand, server: CrlServer) -> None:
    server.serve(stand.pki, start=NOW - HOUR, end=NOW + HOUR)
    stand.flaw()
    label = stand.source("TSP").label
    await stand.pass_time()
    assert stand.value("crl_this_update_timestamp_seconds", issuer=label) == (NOW - HOUR).timestamp()
    assert stand.value("crl_next_update_timestamp_seconds", issuer=label) == (NOW + HOUR).timestamp()
    assert stand.value("crl_fetches_total", issuer=label, outcome="fetched") == 1


async def test_a_refusal_is_counted_once_it_stands(stand: Stand, server: CrlServer) -> None:
    labels = {"place": "tls_in", "reason": "crl_missing", "outcome": "refused"}
    with pytest.raises(RevocationRefused):
        await stand.revocation.admit(stand.chain, Place.TLS_IN)
    assert stand.value("revocation_total", **labels) == 1
    server.serve(stand.pki)
    stand.now += timedelta(minutes=2)
    await stand.revocation.admit(stand.chain, Place.TLS_IN)
    assert stand.value("revocation_total", **labels) == 1


async def test_soft_mode_is_ready_and_says_whom_it_passes(
    server: CrlServer, tmp_path: Path, logs: list[Any]
) -> None:
    stand = stand_at(server, tmp_path, mode=RevocationMode.SOFT)
    assert stand.flaw() is None
    await stand.pass_time()
    assert await stand.fetcher.troubles() == []
    assert "revocation.passed" in actions(logs)


async def test_a_full_disk_costs_the_copy_and_not_the_list(
    stand: Stand, server: CrlServer, logs: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("adapter.pki.crls.os.fsync", full)
    server.serve(stand.pki)
    stand.flaw()
    await stand.pass_time()
    assert stand.flaw() is None
    assert "crl.not_kept" in actions(logs)
