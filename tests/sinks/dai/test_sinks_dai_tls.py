# SPDX-License-Identifier: EUPL-1.2

"""Two of the three ways to connect that the standard asks for: TLS, and TLS with a certificate. The third is plain."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from adapter.config import Environment
from adapter.delivery import Delivered, Sink, SinkProblem, Temporary, make_sink
from adapter.pki import KeyPair, ThrowawayPki, TrustStore, server_context
from adapter.sinks import SINK_TYPES
from tests.sinks.dai.back_end import BackEnd
from tests.sinks.dai.messages import a_message, attempt
from tests.sinks.handovers import MemoryCheckpoint, make_context

OIN = "00000001001100415000"


@pytest.fixture(scope="module")
def pki() -> ThrowawayPki:
    return ThrowawayPki()


@pytest.fixture
def server_keys(pki: ThrowawayPki, tmp_path: Path) -> KeyPair:
    return pki.issue("localhost", OIN).key_pair(tmp_path, "server")


@pytest.fixture
def own(pki: ThrowawayPki, tmp_path: Path) -> dict[str, str]:
    """The options that name our certificate."""
    certificate, key = pki.issue("adapter", OIN).write(tmp_path, "own")
    return {"certificate": str(certificate), "key": str(key)}


def a_sink(back_end: BackEnd, roots: Path, **changes: Any) -> Sink:
    table = {"type": "dai", "url": f"{back_end.url}/dai", "to": "urn:a", "from": "urn:b", **changes}
    context = make_context(roots.parent, environment=Environment.PROD)
    return make_sink(SINK_TYPES, "intern", table | {"roots": str(roots)}, context).sink


@pytest.mark.parametrize("is_mutual", [False, True])
async def test_a_message_is_delivered_by_tls(
    pki: ThrowawayPki,
    server_keys: KeyPair,
    own: dict[str, str],
    tmp_path: Path,
    checkpoint: MemoryCheckpoint,
    *,
    is_mutual: bool,
) -> None:
    roots = await asyncio.to_thread(pki.root_pem, tmp_path / "root.pem")
    back_end = BackEnd()
    trust = TrustStore([pki.root]) if is_mutual else None
    async with back_end.running(server_context(server_keys, trust)):
        sink = a_sink(back_end, roots, **(own if is_mutual else {}))
        await sink.probe()
        assert isinstance(await attempt(sink, a_message(), checkpoint), Delivered)
        await sink.close()
    assert len(back_end.messages) == 1


async def test_a_server_of_somebody_else_gets_nothing(
    pki: ThrowawayPki, server_keys: KeyPair, tmp_path: Path, checkpoint: MemoryCheckpoint
) -> None:
    roots = await asyncio.to_thread(ThrowawayPki().root_pem, tmp_path / "root.pem")
    back_end = BackEnd()
    async with back_end.running(server_context(server_keys, None)):
        sink = a_sink(back_end, roots)
        with pytest.raises(SinkProblem, match="TLS failed"):
            await sink.probe()
        outcome = await attempt(sink, a_message(), checkpoint)
        await sink.close()
    assert isinstance(outcome, Temporary)
    assert back_end.messages == []


async def test_a_server_that_wants_a_certificate_of_ours_says_so_in_the_probe(
    pki: ThrowawayPki, server_keys: KeyPair, tmp_path: Path
) -> None:
    roots = await asyncio.to_thread(pki.root_pem, tmp_path / "root.pem")
    back_end = BackEnd()
    async with back_end.running(server_context(server_keys, TrustStore([pki.root]))):
        sink = a_sink(back_end, roots)
        with pytest.raises(SinkProblem, match=r"^url: "):
            await sink.probe()
        await sink.close()
