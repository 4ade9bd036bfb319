# SPDX-License-Identifier: EUPL-1.2

"""One delivery on its way to a ZGW server: everything its steps share."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from adapter.delivery import Checkpoint, Handover, Json, Permanent, StepFailed, Steps
from adapter.sinks.naming import identificatie
from adapter.sinks.zgw.catalogue import Catalogue
from adapter.sinks.zgw.client import ZgwClient
from adapter.sinks.zgw.options import ZaaktypeRule, ZgwOptions
from adapter.verzoek import DUTCH_TIME, Doel, Verzoekbericht

_MAKING: Final = "making"
_NEW = frozenset({Doel.INITIEREN, Doel.CONCEPTVERZOEK})


@dataclass(frozen=True, slots=True)
class Zaak:
    """The zaak of a verzoek; `is_new`: this attempt made it, so nobody can have put anything in it before."""

    url: str
    zaaktype: str
    is_new: bool

    @classmethod
    def remembered(cls, result: Json) -> "Zaak":
        """A zaak from what a step remembered, in this attempt or an earlier one."""
        return cls(result["url"], result["zaaktype"], is_new=False)


@dataclass(frozen=True, slots=True)
class Registration:
    """One delivery, with what it is registered by.

    `oin` is that of the authority; `today` the day it is in the Netherlands, which types are to be valid on.
    """

    handover: Handover
    verzoek: Verzoekbericht
    doel: Doel
    rule: ZaaktypeRule
    options: ZgwOptions
    client: ZgwClient
    catalogue: Catalogue
    steps: Steps
    checkpoint: Checkpoint
    oin: str
    today: date
    clock: Callable[[], datetime]

    @property
    def starts_a_zaak(self) -> bool:
        """Whether a zaak is expected not to be there."""
        return self.doel in _NEW

    @property
    def is_first_attempt(self) -> bool:
        """Whether nothing of this delivery can be there already."""
        return self.handover.attempt <= 1

    async def begin(self, what: str) -> None:
        """Remembers what is made next, where servers would take it twice; raises LeaseLost where a later attempt has
        taken over, which then makes it, or has.
        """
        await self.checkpoint.set(_MAKING, {"what": what})

    def identificatie(self, *parts: str) -> str:
        """The identificatie of something of this verzoek; `parts` tell it apart within the verzoek."""
        number = self.verzoek.verzoeknummer
        return identificatie(self.options.prefix, number, self.oin, number, *parts)


def dutch_day(moment: datetime) -> date:
    """The day it is in the Netherlands at a moment."""
    return moment.astimezone(ZoneInfo(DUTCH_TIME)).date()


def first_ours(found: Iterable[dict[str, Any]], query: Mapping[str, str]) -> dict[str, Any] | None:
    """The first of what a query found that has what was asked for: a server may leave out of account what it does not
    know.
    """
    return next((one for one in found if all(one.get(key) == value for key, value in query.items())), None)


def permanent(reason: str) -> StepFailed:
    """What ends a delivery until somebody changes something; nothing was done."""
    return StepFailed(Permanent(reason), undone=True)
