# SPDX-License-Identifier: EUPL-1.2

"""Two daemons on PostgreSQL and an object store: no directory of theirs is shared but the one they deliver to."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from adapter.simulator import AgreementPlan, DocumentSpec, SimulatedDso, World, create_world
from tests.e2e.conftest import Adapter, Chain, assert_delivered, until
from tests.e2e.killable import LEASE
from tests.e2e.test_e2e_kills import send_until_acknowledged
from tests.e2e.test_e2e_shared import LEASE_SECONDS, Balancer, Pair, ended, host, jobs_left
from tests.s3 import Bucket

LARGE = 12_000_000
"""Octets of a document that is three parts of an upload."""


def two_hosts(directory: Path, plan: AgreementPlan, url: str, bucket: Bucket) -> tuple[World, World, World]:
    store = f'\n[store]\nurl = "{url}"\n{bucket.as_toml(directory)}'
    world = create_world(directory, {"voorbeeldstad": plan}, extra_config=store)
    return world, host(world, "one"), host(world, "two")


@pytest.fixture
async def pair(
    tmp_path: Path,
    plan: AgreementPlan,
    postgres_url: str,
    bucket: Bucket,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Pair]:
    monkeypatch.setenv(LEASE, str(LEASE_SECONDS))
    world, *hosts = await asyncio.to_thread(two_hosts, tmp_path, plan, postgres_url, bucket)
    one, two = (Adapter(host) for host in hosts)
    balancer = Balancer(*(host.ports.adapter for host in hosts))
    async with SimulatedDso(world) as dso, balancer.listening(world.ports.adapter), ended(one, two):
        yield Pair(Chain(world, dso, one), one, two, postgres_url)


@pytest.mark.parametrize("point", ["before spool#3", "after spool#4", "before rename#1"])
async def test_what_one_daemon_received_the_other_delivers_when_it_is_killed(
    pair: Pair, bucket: Bucket, point: str
) -> None:
    chain, survivor = pair.chain, pair.second
    await asyncio.gather(pair.first.start(point), survivor.start())
    documents = (DocumentSpec("situatietekening.pdf", LARGE), DocumentSpec("foto.jpg", 200_000, "image/jpeg"))
    verzoeken = [chain.verzoek(number, documents=documents) for number in range(1, 7)]
    authority = chain.world.authorities[0]
    sent = await asyncio.gather(*(chain.dso.announce(authority, verzoek) for verzoek in verzoeken))
    await pair.first.died()
    await asyncio.gather(*(send_until_acknowledged(chain, one) for one in sent))

    async def all_is_done() -> bool:
        delivered = len(chain.delivered()) == len(verzoeken)
        return delivered and not chain.unfinished() and await jobs_left(pair.url) == 0

    await until(all_is_done)
    assert await survivor.stop() == 0
    for directory, verzoek in zip(chain.delivered(), verzoeken, strict=True):
        assert_delivered(directory, verzoek)
    assert len(bucket.objects()) >= 2 * len(verzoeken)
    for adapter in (pair.first, pair.second):
        assert not (adapter.world.directory / "var" / "spool").exists()
