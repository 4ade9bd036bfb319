# SPDX-License-Identifier: EUPL-1.2

"""The status of the zaak: set last, when everything is there, and only where the configuration says so (ZGW Zaken
API).
"""

from typing import Final

from adapter.delivery import Json
from adapter.sinks.zgw.client import text_in
from adapter.sinks.zgw.options import NOTHING
from adapter.sinks.zgw.registration import Registration, Zaak
from adapter.verzoek import Doel

_FIRST: Final = "status"
_LATER: Final = "status/later"


async def register_status(work: Registration, zaak: Zaak) -> None:
    """Sets the status that belongs to the doel of the message, where it is not set yet."""
    rule = work.rule
    later = {Doel.AANVULLEN: rule.status_aanvullen, Doel.INTREKKEN: rule.status_intrekken}
    # a zaak has its first status before any other, also when it was an Aanvulling or Intrekking that made it
    wanted = [(_FIRST, rule.status), (_LATER, later.get(work.doel, NOTHING))]
    for step, name in wanted:

        async def register(name: str = name, step: str = step) -> Json:
            return await _register(work, zaak, name, is_first=step == _FIRST)

        if name != NOTHING:
            await work.steps.once(step, register)


async def _register(work: Registration, zaak: Zaak, name: str, *, is_first: bool) -> Json:
    client = work.client
    statustype = await work.catalogue.statustype(zaak.zaaktype, name, work.today)
    statustype_url = text_in(statustype, "url", "statustype")
    toelichting = f"{work.doel.value} {work.verzoek.verzoeknummer}, volgnummer {work.verzoek.volgnummer}"
    if is_first:
        # some zaaksystemen set the first status themselves, and whoever works on the zaak sets others
        current = (await client.get(zaak.url, "zaak")).get("status")
        if isinstance(current, str) and current:
            return {"url": current}
    url = client.url("zaken", "statussen")
    if not zaak.is_new:
        query = {"zaak": zaak.url, "statustype": statustype_url}
        for one in await client.find(url, query, "statussen of the zaak"):
            if one.get("statustoelichting") == toelichting:
                return {"url": text_in(one, "url", "status")}
    body = {
        "zaak": zaak.url,
        "statustype": statustype_url,
        # the moment itself: two statuses of one zaak cannot have the same one
        "datumStatusGezet": work.clock().isoformat(),
        "statustoelichting": toelichting,
    }
    await work.begin(f"status {name!r}")
    made = await client.create(url, body, f"setting the status {statustype.get('omschrijving')!r}")
    return {"url": text_in(made, "url", "status")}
