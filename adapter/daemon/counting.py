# SPDX-License-Identifier: EUPL-1.2

"""Counts what becomes of jobs, and how many wait."""

import asyncio
from dataclasses import dataclass

from adapter.observe import Metrics, get_logger
from adapter.store import Database, Done, Job, JobOutcome, JobState, Park, StoreProblem, count_jobs

log = get_logger(__name__)

_EVERY = 5.0


@dataclass(frozen=True, slots=True)
class JobCounter:
    """The observer of the worker."""

    metrics: Metrics

    def finished(self, job: Job, outcome: JobOutcome) -> None:
        """Count an attempt by its outcome."""
        word = "done" if isinstance(outcome, Done) else "parked" if isinstance(outcome, Park) else "retried"
        self.metrics.jobs_total.labels(kind=job.kind, outcome=word).inc()

    def crashed(self, job: Job, error: BaseException) -> None:  # noqa: ARG002 - the worker logs the error
        """Count an exception that no code expected."""
        self.metrics.unexpected_errors_total.labels(kind=job.kind).inc()

    def lost(self, job: Job) -> None:
        """Count a job whose lease was lost while it ran."""
        self.metrics.jobs_total.labels(kind=job.kind, outcome="lost").inc()


async def watch_backlog(db: Database, metrics: Metrics, kinds: tuple[str, ...]) -> None:
    """Keep the gauges of waiting, running and parked jobs up to date, until cancelled."""
    gauges = {
        JobState.READY: metrics.jobs_waiting,
        JobState.RUNNING: metrics.jobs_running,
        JobState.PARKED: metrics.jobs_parked,
    }
    while True:
        try:
            counts = await db.read(count_jobs)
        except StoreProblem as problem:
            log.warning(
                "the backlog cannot be counted now", action="backlog.not_counted", reason=str(problem)
            )
        else:
            for state, gauge in gauges.items():
                for kind in kinds:
                    gauge.labels(kind=kind).set(counts.get((kind, state), 0))
        await asyncio.sleep(_EVERY)
