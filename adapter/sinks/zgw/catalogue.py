# SPDX-License-Identifier: EUPL-1.2

"""The types of the Catalogi API that a verzoek needs: looked up by what people call them, and remembered for a
while.

Whether a type is valid on a day is judged here too: an older API does not do it (`datumGeldigheid` came with 1.2.0),
and concepts cannot be used.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

from adapter.delivery import Json, Permanent, StepFailed
from adapter.sinks.zgw.client import ZgwClient, text_in
from adapter.sinks.zgw.options import INITIAL_STATUS, ZgwOptions

_MOST: Final = 256
"""Most answers that are remembered; there are a few for each zaaktype."""

_DATED: Final = (1, 2, 0)
"""The first version of the Catalogi API that knows `datumGeldigheid`."""

Types = Sequence[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Zaaktype:
    """A version of a zaaktype; `informatieobjecttypen` are those that belong to it, None where it does not say."""

    url: str
    identificatie: str
    informatieobjecttypen: frozenset[str] | None = None


class Catalogue:
    """The types of one catalogus. What is not in it raises StepFailed, with a text that names it."""

    def __init__(self, options: ZgwOptions, client: ZgwClient, clock: Callable[[], datetime]) -> None:
        self._catalogus = options.catalogus
        self._client = client
        self._clock = clock
        self._lifetime: timedelta = options.cache
        self._known: dict[tuple[str, str, date], tuple[datetime, Types]] = {}

    def forget(self) -> None:
        """Look everything up again: a type was refused, so it may have been replaced."""
        self._known.clear()

    async def zaaktype(self, identificatie: str, day: date) -> Zaaktype:
        """The version of a zaaktype that is valid on a day."""

        async def look_up() -> Types:
            query = {"catalogus": await self._catalogus_url(day), "identificatie": identificatie}
            return await self._valid("zaaktypen", query, day)

        what = f"zaaktype {identificatie!r}"
        types = await self._remembered("zaaktype", identificatie, day, look_up)
        found = _only([one for one in types if one.get("identificatie") == identificatie], what, day)
        listed = found.get("informatieobjecttypen")
        urls = frozenset(map(str, listed)) if isinstance(listed, list) else None
        return Zaaktype(text_in(found, "url", what), identificatie, urls)

    async def informatieobjecttype(self, omschrijving: str, day: date) -> str:
        """The URL of the version of an informatieobjecttype that is valid on a day."""

        async def look_up() -> Types:
            query = {"catalogus": await self._catalogus_url(day), "omschrijving": omschrijving}
            return await self._valid("informatieobjecttypen", query, day)

        what = f"informatieobjecttype {omschrijving!r}"
        types = await self._remembered("informatieobjecttype", omschrijving, day, look_up)
        found = _only([one for one in types if one.get("omschrijving") == omschrijving], what, day)
        return text_in(found, "url", what)

    async def statustype(self, zaaktype: str, name: str, day: date) -> Json:
        """The statustype of a zaaktype with an omschrijving; for `"initial"` the one with the lowest volgnummer."""
        types = await self._of_zaaktype("statustypen", zaaktype, day)
        what = f"statustype {name!r} of {zaaktype}"
        if name == INITIAL_STATUS:
            if not types:
                raise _missing(f"no statustype of {zaaktype}", day)
            return min(types, key=_volgnummer)
        return _only([one for one in types if one.get("omschrijving") == name], what, day)

    async def roltype(self, zaaktype: str, name: str, day: date) -> str:
        """The URL of the roltype of a zaaktype with an omschrijving, else with that omschrijvingGeneriek."""
        types = await self._of_zaaktype("roltypen", zaaktype, day)
        what = f"roltype {name!r} of {zaaktype}"
        exact = [one for one in types if one.get("omschrijving") == name]
        generic = [one for one in types if one.get("omschrijvingGeneriek") == name]
        return text_in(_only(exact or generic, what, day), "url", what)

    async def _of_zaaktype(self, kind: str, zaaktype: str, day: date) -> Types:
        async def look_up() -> Types:
            return await self._client.find(
                self._client.url("catalogi", kind), {"zaaktype": zaaktype}, f"{kind} of {zaaktype}"
            )

        return await self._remembered(kind, zaaktype, day, look_up)

    async def _catalogus_url(self, day: date) -> str:
        wanted = self._catalogus
        if wanted.url is not None:
            return wanted.url

        async def look_up() -> Types:
            query = {"domein": wanted.domein or "", "rsin": wanted.rsin or ""}
            url = self._client.url("catalogi", "catalogussen")
            return await self._client.find(url, query, "catalogussen")

        what = f"catalogus {wanted.domein} of {wanted.rsin}"
        key = f"{wanted.domein} {wanted.rsin}"
        return text_in(_only(await self._remembered("catalogus", key, day, look_up), what, day), "url", what)

    async def _valid(self, kind: str, query: Mapping[str, str], day: date) -> Types:
        """The published types that a query finds, in the versions that are valid on a day."""
        knows_dates = self._client.version("catalogi") >= _DATED
        dated = {"datumGeldigheid": day.isoformat()} if knows_dates else {}
        url = self._client.url("catalogi", kind)
        found = await self._client.find(url, {**query, **dated}, kind)
        return [one for one in found if not one.get("concept") and _is_valid(one, day)]

    async def _remembered(
        self, kind: str, key: str, day: date, look_up: Callable[[], Awaitable[Types]]
    ) -> Types:
        """An answer, asked for again when it is older than `cache`; one that found nothing is not kept."""
        place, now = (kind, key, day), self._clock()
        known = self._known.get(place)
        if known is not None and now < known[0]:
            return known[1]
        types = await look_up()
        if types:
            while len(self._known) >= _MOST:
                del self._known[next(iter(self._known))]
            self._known[place] = (now + self._lifetime, types)
        return types


def _is_valid(one: Json, day: date) -> bool:
    """Whether a version is valid on a day; the day it ends is the first on which it is not."""
    begin, end = one.get("beginGeldigheid"), one.get("eindeGeldigheid")
    return (not begin or str(begin) <= day.isoformat()) and (not end or day.isoformat() < str(end))


def _volgnummer(one: Json) -> int:
    number = one.get("volgnummer")
    return number if isinstance(number, int) else 2**31


def _only(found: Types, what: str, day: date) -> dict[str, Any]:
    if not found:
        raise _missing(what, day)
    if len(found) > 1:
        raise StepFailed(
            Permanent(f"the Catalogi API has {len(found)} of {what} on {day}; make clear which one is meant"),
            undone=True,
        )
    return found[0]


def _missing(what: str, day: date) -> StepFailed:
    reason = f"the Catalogi API has no {what} that is published and valid on {day}"
    return StepFailed(
        Permanent(f"{reason}; publish it, or correct the configuration, then retry"), undone=True
    )
