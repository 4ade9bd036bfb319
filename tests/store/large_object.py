# SPDX-License-Identifier: EUPL-1.2

"""Uploads and downloads one large content: `python large_object.py CONFIG MIB`; prints by how many MiB memory grew."""

import asyncio
import sys
from pathlib import Path

from adapter.config import load_config
from adapter.store import open_spool

MIB = 1024 * 1024
WARM = 32 * MIB


def peak() -> int:
    """The most memory of this process so far, in octets."""
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM"))


async def main(path: Path, size: int) -> None:
    spool = open_spool(load_config(path, {}))
    block = bytes(range(256)) * 256

    async def there_and_back(octets: int) -> None:
        async with spool.writer() as writer:
            for _ in range(octets // len(block)):
                await writer.write(block)
            content = await writer.commit()
        await spool.verify(content)
        read = await asyncio.to_thread(lambda: sum(map(len, spool.chunks(content))))
        assert read == content.size == octets
        await spool.delete(content)

    await there_and_back(WARM)
    before = peak()
    await there_and_back(size)
    print((peak() - before) // MIB)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]) * MIB))
