# SPDX-License-Identifier: EUPL-1.2

"""The walk: step after step, each with its evidence, until one fails.

What was done stays done: a step of which the evidence is there, for the same agreement, is not done again. So a walk
that stopped goes on where it was, and needs no memory but the evidence and the store.
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Final

from adapter.config import Environment
from adapter.connecting.agreeing import check_cpa, publish_cpa
from adapter.connecting.arrivals import deliver_verzoek, receive_notification
from adapter.connecting.evidence import Evidence, Result, Step, Subject
from adapter.connecting.folder import Folder
from adapter.connecting.ground import Ground
from adapter.connecting.pinging import ping_partner, shows_their_ping

STEPS: Final[Mapping[Step, Callable[[Ground], Awaitable[Result]]]] = MappingProxyType(
    {
        Step.CPA: check_cpa,
        Step.PUBLISH: publish_cpa,
        Step.PING: ping_partner,
        Step.NOTIFICATION: receive_notification,
        Step.VERZOEK: deliver_verzoek,
    }
)


class Progress(StrEnum):
    """How far a step is."""

    DONE = "done"
    DONE_BEFORE = "done before"
    FAILED = "failed"
    SKIPPED = "skipped"
    NOT_YET = "not yet"


@dataclass(frozen=True, slots=True)
class Walked:
    """A step of a walk: how far it is, and its evidence with the page where that is."""

    step: Step
    progress: Progress
    evidence: Evidence | None = None
    page: Path | None = None

    @property
    def holds(self) -> bool:
        """Whether the walk may go on after it, and end well."""
        return self.progress in {Progress.DONE, Progress.DONE_BEFORE, Progress.SKIPPED}


async def walk(
    ground: Ground, folder: Folder, steps: Sequence[Step] = tuple(Step), skip: Sequence[Step] = ()
) -> list[Walked]:
    """Take these steps in their order, until one fails, and write the index.

    Raises:
        FolderProblem: the evidence cannot be kept; nothing was done after that.

    """
    folder.prepare()
    walked: list[Walked] = []
    for step in (one for one in Step if one in steps):
        if step in skip:
            walked.append(Walked(step, Progress.SKIPPED))
        elif all(one.holds for one in walked):
            walked.append(await take_step(ground, folder, step))
        else:
            walked.append(Walked(step, Progress.NOT_YET))
    folder.write_index(ground.clock())
    return walked


async def take_step(ground: Ground, folder: Folder, step: Step) -> Walked:
    """Do a step, unless its evidence is there, and keep its evidence. Raises FolderProblem."""
    subject = ground.subject
    page = folder.path(step, subject.environment, subject.authority)
    before = folder.read(step, subject.environment, subject.authority)
    if before is not None and _suffices(before, ground):
        folder.translate(before)
        return Walked(step, Progress.DONE_BEFORE, before, page)
    started = ground.clock()
    result = await STEPS[step](ground)
    evidence = Evidence(
        step=step,
        subject=subject,
        result=result,
        started=started,
        ended=ground.clock(),
        language=folder.language,
    )
    folder.write(evidence)
    return Walked(step, Progress.DONE if evidence.is_done else Progress.FAILED, evidence, page)


def _suffices(before: Evidence, ground: Ground) -> bool:
    """Whether evidence from before shows all that is asked for now."""
    if ground.fresh or not before.shows(ground.subject):
        return False
    return before.step is not Step.PING or not ground.needs_their_ping or shows_their_ping(before.result)


def missing_before_production(folder: Folder, subject: Subject) -> Iterator[Step]:
    """The steps of which there is no evidence of pre-production, where this is production."""
    if subject.environment != Environment.PROD:
        return
    for step in Step:
        found = folder.read(step, Environment.PRE, subject.authority)
        if found is None or not found.is_done:
            yield step
