# SPDX-License-Identifier: EUPL-1.2

"""Delivers one large file by the s3 sink: `python large_delivery.py DIRECTORY URL ENDPOINT MIB`.

Prints by how many MiB memory grew. DIRECTORY has the file with the secret key.
"""

import asyncio
import sys
from collections.abc import AsyncGenerator
from dataclasses import replace
from pathlib import Path

from adapter.delivery import Delivered, make_sink
from adapter.sinks import SINK_TYPES
from tests.s3 import ACCESS
from tests.sinks.handovers import MemoryCheckpoint, make_context, make_file, make_handover
from tests.store.large_object import MIB, WARM, peak

BLOCK = bytes(range(256)) * 256


async def main(directory: Path, url: str, endpoint: str, size: int) -> None:
    table = {
        "type": "s3",
        "url": url,
        "endpoint": endpoint,
        "region": "us-east-1",
        "access_key": ACCESS,
        "secret_key_file": str(directory / "s3.secret"),
    }
    sink = make_sink(SINK_TYPES, "emmer", table, make_context(directory)).sink

    async def deliver(octets: int) -> None:
        async def read() -> AsyncGenerator[bytes, None]:
            for _ in range(octets // len(BLOCK)):
                yield BLOCK

        file = replace(make_file("verzoek.pdf", b""), size=octets, open=read)
        outcome = await sink.deliver(make_handover(file, key=str(octets)), MemoryCheckpoint())
        assert isinstance(outcome, Delivered)

    await deliver(WARM)
    before = peak()
    await deliver(size)
    print((peak() - before) // MIB)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4]) * MIB))
