# SPDX-License-Identifier: EUPL-1.2

"""Purges a store, and kills itself in the middle: `python killed_purge.py CONFIG NOW WRITES`."""

import asyncio
import os
import signal
import sys
from collections.abc import Collection
from datetime import datetime
from pathlib import Path

from adapter.config import load_config
from adapter.daemon import Purger, documents_of, effective_policy
from adapter.store import FileSpool, active_agreements, open_database


class KillingSpool(FileSpool):
    """Dies when the files of the n-th transaction, which was committed, are to be deleted."""

    left = 0

    async def delete_keys(self, keys: Collection[str]) -> None:
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        await super().delete_keys(keys)


async def main(path: Path, now: datetime, writes: int) -> None:
    config = load_config(path, {})
    db = open_database(config.store.url, config.state, exclusive=True)
    spool = KillingSpool(config.state / "spool")
    spool.left = writes
    policy, _ = effective_policy(config, documents_of(await db.read(active_agreements)))
    await Purger(db, spool, _size=1).run(policy, now)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), datetime.fromisoformat(sys.argv[2]), int(sys.argv[3])))
