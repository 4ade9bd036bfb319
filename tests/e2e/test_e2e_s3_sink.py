# SPDX-License-Identifier: EUPL-1.2

"""The chain with an s3 sink at its end, on a real server: a process that is killed around any commit of a delivery."""

import json
from pathlib import Path

import pytest

from tests.e2e.conftest import Chain, until, with_sink
from tests.e2e.test_e2e_kills import send_until_acknowledged
from tests.s3 import Bucket
from tests.sinks.buckets import Consumer, options_of

POINTS = (
    "before set_checkpoint#1",  # each of the four files
    "after set_checkpoint#3",
    "before set_checkpoint#5",  # staged
    "after set_checkpoint#5",
    "before _finish#1",  # the manifest is there
    "after _finish#1",
)


@pytest.fixture
def to_bucket(chain: Chain, bucket: Bucket, tmp_path: Path) -> Chain:
    """A chain that ends in a bucket."""
    table = {"type": "s3", "url": bucket.payloads, **bucket.settings(tmp_path)}
    with_sink(chain, "\n".join(f'{key} = "{value}"' for key, value in table.items()))
    return chain


@pytest.mark.parametrize("point", POINTS)
async def test_a_kill_and_a_restart_end_in_exactly_one_delivery_for_who_takes_it_at_once(
    to_bucket: Chain, bucket: Bucket, tmp_path: Path, point: str
) -> None:
    consumer = Consumer(options_of(bucket, tmp_path))
    await to_bucket.adapter.start(point)
    verzoek = to_bucket.verzoek()
    sent = await to_bucket.dso.announce(to_bucket.world.authorities[0], verzoek)
    await to_bucket.adapter.died()
    await consumer.take_all()
    await to_bucket.adapter.start()
    await send_until_acknowledged(to_bucket, sent)

    async def is_delivered() -> bool:
        return '"delivery.delivered"' in to_bucket.adapter.log or point == "after _finish#1"

    await until(is_delivered)
    await to_bucket.adapter.stop()
    await consumer.take_all()
    (found,) = consumer.taken
    assert found["verzoek.xml"] == verzoek.xml
    assert found["verzoek.pdf"] == verzoek.pdf
    assert json.loads(found["manifest.json"])["verzoeknummer"] == verzoek.verzoeknummer
    assert await consumer.paths() == []
