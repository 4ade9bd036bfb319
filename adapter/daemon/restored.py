# SPDX-License-Identifier: EUPL-1.2

"""The first start on a restored store: what the backup could not bring back is found, settled, and told.

A store was restored where the manifest of a backup lies in the state directory: `db restore` puts it there, and so does
whoever copies a backup back by hand.
"""

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from adapter.config import Config
from adapter.observe import Metrics, get_logger
from adapter.store import (
    MANIFEST,
    Backup,
    Database,
    JobKind,
    Loss,
    NamedFile,
    Spool,
    hasten_schedules,
    is_shared,
    named_files,
    read_manifest,
    release_all,
    settle_loss,
)

log = get_logger(__name__)

_ADVICE: Final = {
    Loss.PARKED: "parked; restore the file and retry, or `verzoek skip` and then `verzoek fetch`",
    Loss.COLLECTED_AGAIN: "it is fetched again",
    Loss.ENDED: "nothing waits for it",
}


@dataclass(slots=True)
class RestoredStore:
    """A store that was restored from a backup, at the first start on it."""

    config: Config
    backup: Backup
    db: Database
    spool: Spool
    metrics: Metrics
    clock: Callable[[], datetime]
    _lost: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def find(
        cls, config: Config, db: Database, spool: Spool, metrics: Metrics, clock: Callable[[], datetime]
    ) -> "RestoredStore | None":
        """The restored store, or None where this is none.

        Raises:
            StoreProblem: there is a manifest that cannot be read.

        """
        backup = read_manifest(config.state)
        return None if backup is None else cls(config, backup, db, spool, metrics, clock)

    async def settle(self) -> None:
        """Settle what waits for contents that are gone; before any work is done."""
        log.warning(
            "this store was restored from a backup; what came after that is not known to it",
            action="restore.found",
            backup=self.backup.made_at.isoformat(),
        )
        if not is_shared(self.config.store.url):
            await self.db.write(release_all)  # held by a process of the time of the backup
        counts: Counter[Loss] = Counter()
        for kind in ("payload", "file"):
            after = 0
            while page := await self.db.read(named_files, kind, after):
                for lost, reason in await self._missing(page):
                    counts[await self._settle(lost, reason)] += 1
                after = page[-1].id
        log.warning(
            "looked through the restored store",
            action="restore.reconciled",
            backup=self.backup.made_at.isoformat(),
            **{str(loss): counts[loss] for loss in Loss},
        )

    async def conclude(self) -> None:
        """Ask at once for what was announced since the backup, and remember that this start has been."""
        asked = await self.db.write(hasten_schedules, JobKind.RECONCILE, self.clock())
        gap = self.clock() - self.backup.made_at
        for name, authority in self.config.authorities.items():
            reconcile = authority.reconcile
            if authority.dso is not None and (reconcile is None or timedelta(days=reconcile.days_back) < gap):
                log.warning(
                    "verzoeken that were announced since the backup are not all looked for; let "
                    "`stam-adapter reconcile --days` ask for them, or `stam-adapter verzoek fetch`",
                    action="restore.not_asked",
                    authority=name,
                    since=self.backup.made_at.isoformat(),
                )
        path = await asyncio.to_thread(self._report)
        log.warning(
            "the daemon goes on from the restored store",
            action="restore.concluded",
            report=str(path),
            reconciliations=asked,
        )

    async def _missing(self, page: Sequence[NamedFile]) -> list[tuple[NamedFile, str]]:
        """What of these is gone, or has another size, with a sentence about it."""
        found = []
        sizes = await asyncio.gather(*(self.spool.stored_size(named.content) for named in page))
        for named, size in zip(page, sizes, strict=True):
            if size != named.content.size:
                what = "gone" if size is None else f"{size} octets instead of {named.content.size}"
                place = named.name or f"{named.kind} {named.position + 1}"
                found.append((named, f"stored content of {place} is {what} since the restore from a backup"))
        return found

    async def _settle(self, lost: NamedFile, reason: str) -> Loss:
        loss = await self.db.write(settle_loss, lost, reason, self.clock())
        log.error(
            "a stored content was not restored",
            action="restore.content_lost",
            reason=f"{reason}; {_ADVICE[loss]}",
            authority=lost.authority,
            kind=lost.kind,
            of=lost.of,
            position=lost.position,
            outcome=str(loss),
        )
        self.metrics.restore_lost_total.labels(outcome=str(loss)).inc()
        self._lost.append(
            {
                "kind": lost.kind,
                "authority": lost.authority,
                "of": lost.of,
                "position": lost.position,
                "sha256": lost.content.sha256,
                "reason": reason,
                "outcome": str(loss),
            }
        )
        return loss

    def _report(self) -> Path:
        """Turn the manifest into a report, so that the next start is one as any other. Blocking."""
        now = self.clock()
        path = self.config.state / f"restored-{now:%Y%m%dT%H%M%SZ}.json"
        told = {"backup": self.backup.made_at.isoformat(), "started": now.isoformat(), "lost": self._lost}
        path.write_text(json.dumps(told, indent=2, ensure_ascii=False) + "\n")
        (self.config.state / MANIFEST).unlink()
        return path
