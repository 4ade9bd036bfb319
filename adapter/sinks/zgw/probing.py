# SPDX-License-Identifier: EUPL-1.2

"""Whether a zgw sink could deliver: every type that its configuration names is looked up, and nothing is made."""

from collections.abc import AsyncIterator
from datetime import date, datetime

from adapter.delivery import StepFailed
from adapter.sinks.naming import identificatie
from adapter.sinks.zgw.catalogue import Catalogue
from adapter.sinks.zgw.client import ZgwClient
from adapter.sinks.zgw.options import INITIAL_STATUS, ZaaktypeRule, ZgwOptions
from adapter.sinks.zgw.registration import dutch_day


async def problems_of(
    options: ZgwOptions, client: ZgwClient, catalogue: Catalogue, now: datetime
) -> tuple[str, ...]:
    """What would keep the sink from delivering now, each problem once; reads only."""
    probe = _Probe(options, client, catalogue, dutch_day(now))
    found = [problem async for problem in probe.reading()]
    if not found:  # else each of the types would fail for the same reason
        found = [problem for rule in options.zaaktypen for problem in await probe.rule(rule)]
    return tuple(dict.fromkeys(found))


class _Probe:
    def __init__(self, options: ZgwOptions, client: ZgwClient, catalogue: Catalogue, day: date) -> None:
        self._options = options
        self._client = client
        self._catalogue = catalogue
        self._day = day

    async def reading(self) -> AsyncIterator[str]:
        """Whether the APIs can be reached and read."""
        query = {
            "identificatie": identificatie(self._options.prefix, "probe", "probe"),
            "bronorganisatie": self._options.bronorganisatie,
        }
        for api, resource in (("zaken", "zaken"), ("documenten", "enkelvoudiginformatieobjecten")):
            try:
                await self._client.find(self._client.url(api, resource), query, f"reading {resource}")
            except StepFailed as failed:
                yield failed.outcome.reason
        try:
            await self._client.find(self._client.url("catalogi", "catalogussen"), {}, "reading catalogussen")
        except StepFailed as failed:
            yield failed.outcome.reason

    async def rule(self, rule: ZaaktypeRule) -> list[str]:
        """What is wrong with the types of a rule."""
        try:
            zaaktype = await self._catalogue.zaaktype(rule.zaaktype, self._day)
        except StepFailed as failed:
            return [failed.outcome.reason]
        problems = []
        for omschrijving in self._options.types_of(rule).all:
            try:
                url = await self._catalogue.informatieobjecttype(omschrijving, self._day)
            except StepFailed as failed:
                problems.append(failed.outcome.reason)
                continue
            listed = zaaktype.informatieobjecttypen
            if listed is not None and url not in listed:
                problems.append(
                    f"informatieobjecttype {omschrijving!r} does not belong to zaaktype {rule.zaaktype!r}; "
                    "add it there, or correct the configuration"
                )
        problems += await self._statuses(rule, zaaktype.url)
        for roltype in self._options.rollen.all:
            try:
                await self._catalogue.roltype(zaaktype.url, roltype, self._day)
            except StepFailed as failed:
                problems.append(failed.outcome.reason)
        return problems

    async def _statuses(self, rule: ZaaktypeRule, zaaktype: str) -> list[str]:
        problems = []
        for name in rule.statuses:
            try:
                statustype = await self._catalogue.statustype(zaaktype, name, self._day)
            except StepFailed as failed:
                problems.append(failed.outcome.reason)
                continue
            if statustype.get("isEindstatus") is True and name != INITIAL_STATUS:
                problems.append(
                    f"statustype {name!r} of zaaktype {rule.zaaktype!r} ends a zaak, which needs a resultaat that "
                    "nobody gives here; name another one"
                )
        return problems
