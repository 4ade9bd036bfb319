# SPDX-License-Identifier: EUPL-1.2

"""What a crash left in the spool: contents that no row names, of a store that only this process uses.

What there is is looked up before anything is received; which of it a row names may take its time after that, for nobody
makes a row for an old content. So the start waits for the names only.
"""

from typing import Final

from adapter.store.database import Database
from adapter.store.spool import Spool, SpoolNames
from adapter.store.spooled import named_keys

_KEYS: Final = 500


async def remove_leftovers(db: Database, spool: Spool, names: SpoolNames) -> int:
    """Remove what was never finished, and what no row names; return how much.

    Raises:
        SpoolUnavailable: it cannot be removed now.

    """
    await spool.remove(names.unfinished)
    removed = len(names.unfinished)
    for start in range(0, len(names.keys), _KEYS):
        some = names.keys[start : start + _KEYS]
        leftovers = set(some) - await db.read(named_keys, some)
        await spool.delete_keys(leftovers)
        removed += len(leftovers)
    return removed
