"""What a crash left in the spool: files that no row names, of a store that only this process uses.

Which files there are is looked up before anything is received; which of them a row names may take its time after that,
for nobody makes a row for an old file. So the start waits for the names of the files only.
"""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from adapter.store.database import Database
from adapter.store.retention import named_keys
from adapter.store.spool import Spool

_KEYS: Final = 500
_SHARD: Final = re.compile(r"[0-9a-f]{2}")
_KEY: Final = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class SpoolNames:
    """The names of the files of a spool at a moment: finished ones by their keys, and unfinished ones."""

    keys: tuple[str, ...]
    parts: tuple[Path, ...]


def names_in(root: Path) -> SpoolNames:
    """The files that are there now; only while nobody writes there all of them are known to be old. Blocking."""
    # the names are enough, and there may be very many: a path for each takes ten times as long
    shards = (entry.path for entry in os.scandir(root) if _SHARD.fullmatch(entry.name))
    keys = tuple(name for shard in shards for name in os.listdir(shard) if _KEY.fullmatch(name))  # noqa: PTH208
    return SpoolNames(keys, tuple((root / "incoming").glob("*.part")))


async def remove_leftovers(db: Database, spool: Spool, names: SpoolNames) -> int:
    """Remove those that were never finished, and those that no row names; return how many."""
    for part in names.parts:
        part.unlink(missing_ok=True)
    removed = len(names.parts)
    for start in range(0, len(names.keys), _KEYS):
        some = names.keys[start : start + _KEYS]
        leftovers = set(some) - await db.read(named_keys, some)
        await spool.delete_keys(leftovers)
        removed += len(leftovers)
    return removed
