# SPDX-License-Identifier: EUPL-1.2

"""The zaak of a verzoek: found where it is there, made where it is not, never twice (ZGW Zaken API)."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from adapter.delivery import Json
from adapter.sinks.naming import bounded
from adapter.sinks.verzoek import explanation_of, geometry_of
from adapter.sinks.zgw.client import Refused, text_in
from adapter.sinks.zgw.registration import Registration, Zaak, first_ours, permanent

_STEP: Final = "zaak"
_TAKEN: Final = "identificatie-niet-uniek"
_EARLIER: Final = 100
"""Most earlier messages of a verzoek that are looked for where the server numbers the zaken."""

KENMERK_BRON: Final = "DSO-LV verzoeknummer"
_MAX_KENMERK: Final = 40
_MAX_OMSCHRIJVING: Final = 80
_MAX_TOELICHTING: Final = 1000


async def zaak_for(work: Registration) -> Zaak:
    """The zaak of the verzoek, made when it is not there yet."""
    known = work.steps.result(_STEP)
    if known is not None:
        return Zaak.remembered(known)
    # the usual case costs no question: a server that has the zaak refuses another with its identificatie
    is_expected = not (work.starts_a_zaak and work.is_first_attempt) or work.options.is_numbered_by_server
    found = await _found(work) if is_expected else None
    if found is not None:
        result = _result(found)
        return Zaak.remembered(await work.steps.once(_STEP, lambda: _at_once(result)))
    zaaktype = await work.catalogue.zaaktype(work.rule.zaaktype, work.today)
    made: list[str] = []

    async def make() -> Json:
        zaak, is_new = await _made(work, zaaktype.url)
        made.extend([text_in(zaak, "url", "zaak")] if is_new else [])
        return _result(zaak)

    # nothing tells a second zaak from the first where the server numbers them: what is not known to have ended may be
    # done twice
    take = work.steps.unrecognised if work.options.is_numbered_by_server else work.steps.once
    result = await take(_STEP, make)
    return Zaak(result["url"], result["zaaktype"], is_new=result["url"] in made)


def _result(zaak: Json) -> Json:
    """What is remembered of a zaak."""
    return {"url": text_in(zaak, "url", "zaak"), "zaaktype": text_in(zaak, "zaaktype", "zaak")}


async def _at_once(result: Json) -> Json:
    return result


async def _found(work: Registration) -> dict[str, Any] | None:
    if work.options.is_numbered_by_server:
        return await _found_by_documents(work)
    query = {"identificatie": work.identificatie(), "bronorganisatie": work.options.bronorganisatie}
    found = await work.client.find(work.client.url("zaken", "zaken"), query, "zaak by its identificatie")
    zaak = first_ours(found, query)
    return None if zaak is None else _ours(zaak, work)


async def _found_by_documents(work: Registration) -> dict[str, Any] | None:
    """The zaak that an earlier message of the verzoek was put in, by the verzoekbericht that lies in it."""
    client = work.client
    for volgnummer in _this_and_earlier(work.verzoek.volgnummer):
        query = {
            "identificatie": work.identificatie("verzoek", volgnummer),
            "bronorganisatie": work.options.bronorganisatie,
        }
        documents = client.url("documenten", "enkelvoudiginformatieobjecten")
        document = first_ours(
            await client.find(documents, query, "verzoekbericht of an earlier message"), query
        )
        if document is None:
            continue
        relations = await client.find(
            client.url("zaken", "zaakinformatieobjecten"),
            {"informatieobject": text_in(document, "url", "document")},
            "zaak of a document",
        )
        if relations:
            return _ours(await client.get(text_in(relations[0], "zaak", "relation"), "zaak"), work)
    return None


def _this_and_earlier(volgnummer: str) -> Iterator[str]:
    """The volgnummers that came before one, the latest first; only itself where it is no number."""
    yield volgnummer
    if volgnummer.isascii() and volgnummer.isdigit():
        last = int(volgnummer)
        for number in range(last - 1, max(-1, last - 1 - _EARLIER), -1):
            yield str(number).zfill(len(volgnummer))


async def _made(work: Registration, zaaktype: str) -> tuple[dict[str, Any], bool]:
    """A zaak, and whether it was made here; one that appeared meanwhile is adopted."""
    try:
        body = _body(work, zaaktype)
        return await work.client.create(work.client.url("zaken", "zaken"), body, "making the zaak"), True
    except Refused as refused:
        if _TAKEN not in refused.codes:
            raise
        found = await _found(work)
        if found is None:
            raise
        return found, False


def _ours(zaak: dict[str, Any], work: Registration) -> dict[str, Any]:
    """The zaak, when it is that of the verzoek; another that has its place is for people to look at."""
    listed = zaak.get("kenmerken")
    kenmerken = [one for one in listed if isinstance(one, Mapping)] if isinstance(listed, list) else []
    wanted = _kenmerk(work.verzoek.verzoeknummer, KENMERK_BRON)
    is_ours = any(all(one.get(key) == value for key, value in wanted.items()) for one in kenmerken)
    if zaak.get("bronorganisatie") == work.options.bronorganisatie and is_ours:
        return zaak
    raise permanent(
        f"zaak {zaak.get('identificatie')!r} ({zaak.get('url')}) is there, but does not have verzoeknummer "
        f"{work.verzoek.verzoeknummer} among its kenmerken; give it the kenmerk of {KENMERK_BRON!r} when it is that of "
        "the verzoek, else change the prefix of the sink, then retry"
    )


def _body(work: Registration, zaaktype: str) -> dict[str, Any]:
    options, verzoek, today = work.options, work.verzoek, work.today
    submitted = verzoek.submitted_at
    naam = " ".join(verzoek.naam.text.split()) if verzoek.naam is not None else ""
    naam = naam or f"{verzoek.type} {verzoek.verzoeknummer}"
    body: dict[str, Any] = {
        "zaaktype": zaaktype,
        "bronorganisatie": options.bronorganisatie,
        "verantwoordelijkeOrganisatie": options.verantwoordelijke_organisatie or options.bronorganisatie,
        # a clock that is behind that of DSO-LV makes no zaak of tomorrow
        "startdatum": (today if submitted is None else min(today, submitted.date())).isoformat(),
        "registratiedatum": today.isoformat(),
        "omschrijving": bounded(naam, _MAX_OMSCHRIJVING),
        "toelichting": bounded(explanation_of(verzoek, naam, _MAX_OMSCHRIJVING), _MAX_TOELICHTING),
        "kenmerken": list(_kenmerken(work)),
    }
    if not options.is_numbered_by_server:
        body["identificatie"] = work.identificatie()
    if work.rule.vertrouwelijkheidaanduiding is not None:
        body["vertrouwelijkheidaanduiding"] = work.rule.vertrouwelijkheidaanduiding.value
    geometry = geometry_of(verzoek) if options.zaakgeometrie else None
    if geometry is not None:
        body["zaakgeometrie"] = geometry
    return body


def _kenmerken(work: Registration) -> Iterator[dict[str, str]]:
    yield _kenmerk(work.verzoek.verzoeknummer, KENMERK_BRON)
    message_id = work.handover.manifest.get("messageId")
    if isinstance(message_id, str):
        yield _kenmerk(message_id, "ebMS MessageId")
    if work.verzoek.project_id is not None:
        yield _kenmerk(work.verzoek.project_id, "DSO-LV projectId")


def _kenmerk(text: str, bron: str) -> dict[str, str]:
    return {"kenmerk": text[:_MAX_KENMERK], "bron": bron}
