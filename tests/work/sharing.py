# SPDX-License-Identifier: EUPL-1.2

"""A worker in a process of its own: `python sharing.py URL STATE LEASE WHAT`.

Each run of a job is a line on the timeline before anything else happens. WHAT is `work` (the job is done at once) or
`hang` (it never ends). Ends when its standard input does.
"""

import asyncio
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from adapter.store import Done, Event, Job, JobOutcome, add_event, open_database
from adapter.work import Limits, RetryPolicy, Timing, Worker


async def main() -> None:
    url, state, lease, what = sys.argv[1:5]
    db = open_database(url, Path(state), exclusive=False)
    ended = asyncio.Event()

    async def handle(job: Job) -> JobOutcome:
        detail = {"job": job.id, "worker": worker.owner, "attempts": job.attempts}
        await db.write(add_event, Event(datetime.now(UTC), "x", "ran", verzoeknummer="runs", detail=detail))
        if what == "hang":
            await ended.wait()
        return Done()

    worker = Worker(
        db,
        {"x": handle},
        RetryPolicy(timedelta(seconds=1), timedelta(seconds=1), timedelta(days=1)),
        limits=Limits(concurrency=8, lane=8),
        timing=Timing(lease=timedelta(seconds=float(lease))),
    )
    await worker.start()
    print(worker.owner, flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    await worker.stop(timedelta(seconds=5))
    await db.close()


asyncio.run(main())
