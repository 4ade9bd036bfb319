# SPDX-License-Identifier: EUPL-1.2

"""The messages of ZDS 1.2 that a sink sends: their stuurgegevens, and the body of each operation."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Final
from zoneinfo import ZoneInfo

from lxml import etree

from adapter.delivery import HandoverFile
from adapter.sinks.naming import bounded
from adapter.sinks.soap import Place
from adapter.sinks.stuf.names import STUF, XMIME, XSI, ZDS, ZKN, add, add_known, clean, root
from adapter.sinks.stuf.options import StufZdsOptions, Systeem, Type
from adapter.sinks.stuf.parties import add_extra, add_party, kvk_number
from adapter.sinks.verzoek import explanation_of
from adapter.store import FileKind
from adapter.verzoek import Verzoekbericht
from adapter.verzoek.values import DUTCH_TIME

_OMSCHRIJVING: Final = 80
_TOELICHTING: Final = 1000
_KENMERK: Final = 40
_TITEL: Final = 200
_BESTANDSNAAM: Final = 255
_DSO: Final = "DSO"


@dataclass(frozen=True, slots=True)
class Stuurgegevens:
    """Who sends a message to whom, what it is called, and when it is sent."""

    zender: Systeem
    ontvanger: Systeem
    referentienummer: str
    moment: datetime

    @property
    def today(self) -> str:
        """The date of the message, as it is in the Netherlands."""
        return _day(self.moment.astimezone(ZoneInfo(DUTCH_TIME)).date())


def number_request(stuurgegevens: Stuurgegevens, what: str) -> etree._Element:
    """Di02 that asks for the number of a new `zaak` or `document`."""
    message = root(ZDS, f"genereer{what.capitalize()}Identificatie_Di02")
    functie = f"genereer{what.capitalize()}identificatie"
    _add_stuurgegevens(message, ZDS, stuurgegevens, "Di02", functie=functie)
    return message


def new_zaak(
    stuurgegevens: Stuurgegevens,
    identificatie: str,
    verzoek: Verzoekbericht,
    options: StufZdsOptions,
    zaaktype: Type,
    status: Type | None,
) -> etree._Element:
    """Lk01 that makes a zaak."""
    message = _kennisgeving(stuurgegevens, "ZAK", "T", "V")
    zaak = _object(message, "ZAK", "T")
    add(zaak, ZKN, "identificatie", identificatie)
    add(zaak, ZKN, "omschrijving", description(verzoek))
    add_known(zaak, ZKN, "toelichting", explanation(verzoek), _TOELICHTING)
    for kenmerk in (verzoek.verzoeknummer, verzoek.project_id):
        # Cut, a number would be that of something else.
        if kenmerk is not None and len(kenmerk) <= _KENMERK:
            mark = add(zaak, ZKN, "kenmerk")
            add(mark, ZKN, "kenmerk", kenmerk)
            add(mark, ZKN, "bron", _DSO if kenmerk == verzoek.verzoeknummer else f"{_DSO} project")
    submitted = verzoek.submitted_at
    start = stuurgegevens.today
    if submitted is not None:
        start = _day(submitted.astimezone(ZoneInfo(DUTCH_TIME)).date())
    add(zaak, ZKN, "startdatum", start)
    add(zaak, ZKN, "registratiedatum", stuurgegevens.today)
    add(zaak, ZKN, "zaakniveau", "1")
    add(zaak, ZKN, "deelzakenIndicatie", "N")
    if options.extra_elementen:
        add_extra(zaak, {"kvkNummer": kvk_number(verzoek.initiatiefnemer)})
    relation = add(zaak, ZKN, "isVan", entiteittype="ZAKZKT", verwerkingssoort="T")
    _add_type(relation, "ZKT", zaaktype)
    add_party(zaak, "heeftAlsGemachtigde", "ZAKBTRGMC", verzoek.gemachtigde)
    add_party(zaak, "heeftAlsInitiator", "ZAKBTRINI", verzoek.initiatiefnemer)
    _add_status(zaak, status, stuurgegevens)
    return message


def changed_zaak(
    stuurgegevens: Stuurgegevens, identificatie: str, verzoek: Verzoekbericht, status: Type | None
) -> etree._Element:
    """Lk01 that changes a zaak to what an Aanvulling or Intrekking says (StUF 3.01: as it was, then as it is).

    What it was is not asked for, so the former values are unknown here.
    """
    message = _kennisgeving(stuurgegevens, "ZAK", "W", "V")
    before = _object(message, "ZAK", "W")
    add(before, ZKN, "identificatie", identificatie)
    for name in ("omschrijving", "toelichting"):
        add(before, ZKN, name, noValue="waardeOnbekend").set(f"{{{XSI}}}nil", "true")
    after = _object(message, "ZAK", "W")
    add(after, ZKN, "identificatie", identificatie)
    add(after, ZKN, "omschrijving", description(verzoek))
    add(after, ZKN, "toelichting", bounded(_change(verzoek, stuurgegevens), _TOELICHTING))
    _add_status(after, status, stuurgegevens)
    return message


def new_document(
    stuurgegevens: Stuurgegevens,
    identificatie: str,
    zaak: str,
    file: HandoverFile,
    verzoek: Verzoekbericht,
    options: StufZdsOptions,
    documenttype: str,
) -> tuple[etree._Element, Place]:
    """Lk01 that adds a document to a zaak, and the place of its content."""
    place = Place.make()
    message = _kennisgeving(stuurgegevens, "EDC", "T", "I")
    document = _object(message, "EDC", "T")
    name = file.bestandsnaam or file.path.rpartition("/")[2]
    add(document, ZKN, "identificatie", identificatie)
    add(document, ZKN, "dct.omschrijving", bounded(documenttype, _OMSCHRIJVING))
    add(document, ZKN, "creatiedatum", stuurgegevens.today)
    add(document, ZKN, "ontvangstdatum", stuurgegevens.today)
    add(document, ZKN, "titel", bounded(name, _TITEL))
    add(document, ZKN, "beschrijving", bounded(_about(file, verzoek), _TOELICHTING))
    media_type = file.content_type or "application/octet-stream"
    add(document, ZKN, "formaat", bounded(media_type, 85))
    add(document, ZKN, "taal", "nld")
    add(document, ZKN, "status", "definitief")
    # The STAM XML names people; anything but a clear "no" counts as confidential.
    is_open = file.vertrouwelijk is False or file.kind is FileKind.PDF
    add(document, ZKN, "vertrouwelijkAanduiding", options.openbaar if is_open else options.vertrouwelijk)
    add(document, ZKN, "auteur", _author(verzoek))
    content = add(document, ZKN, "inhoud", place.mark, bestandsnaam=name[-_BESTANDSNAAM:])
    content.set(f"{{{XMIME}}}contentType", clean(media_type))
    relation = add(document, ZKN, "isRelevantVoor", entiteittype="EDCZAK", verwerkingssoort="T")
    related = add(relation, ZKN, "gerelateerde", entiteittype="ZAK", verwerkingssoort="I")
    add(related, ZKN, "identificatie", zaak)
    return message, place


def description(verzoek: Verzoekbericht) -> str:
    """What a zaak is called: the name of the verzoek, else its type."""
    return bounded(verzoek.type if verzoek.naam is None else verzoek.naam.text, _OMSCHRIJVING)


def explanation(verzoek: Verzoekbericht) -> str:
    """The name in full where it was cut, and what the applicant explains."""
    return explanation_of(verzoek, "" if verzoek.naam is None else verzoek.naam.text, _OMSCHRIJVING)


def _change(verzoek: Verzoekbericht, stuurgegevens: Stuurgegevens) -> str:
    head = f"{verzoek.doel} {verzoek.verzoeknummer}-{verzoek.volgnummer}, ontvangen {stuurgegevens.today}"
    said = explanation(verzoek)
    return f"{head} — {said}" if said else head


def _about(file: HandoverFile, verzoek: Verzoekbericht) -> str:
    numbers = f"{verzoek.doel} {verzoek.verzoeknummer}-{verzoek.volgnummer}"
    return numbers if file.document_id is None else f"{numbers}, document {file.document_id}"


def _author(verzoek: Verzoekbericht) -> str:
    system = None if verzoek.stuurgegevens is None else verzoek.stuurgegevens.zender
    return bounded((system.organisatie if system is not None else None) or "DSO-LV", _TITEL)


def _kennisgeving(
    stuurgegevens: Stuurgegevens, entiteittype: str, mutatiesoort: str, overname: str
) -> etree._Element:
    message = root(ZKN, f"{entiteittype.lower()}Lk01")
    _add_stuurgegevens(message, ZKN, stuurgegevens, "Lk01", entiteittype=entiteittype)
    parameters = add(message, ZKN, "parameters")
    add(parameters, STUF, "mutatiesoort", mutatiesoort)
    add(parameters, STUF, "indicatorOvername", overname)
    return message


def _object(message: etree._Element, entiteittype: str, verwerkingssoort: str) -> etree._Element:
    return add(message, ZKN, "object", entiteittype=entiteittype, verwerkingssoort=verwerkingssoort)


def _add_stuurgegevens(
    message: etree._Element, namespace: str, stuurgegevens: Stuurgegevens, berichtcode: str, **last: str
) -> None:
    element = add(message, namespace, "stuurgegevens")
    add(element, STUF, "berichtcode", berichtcode)
    for name, system in (("zender", stuurgegevens.zender), ("ontvanger", stuurgegevens.ontvanger)):
        party = add(element, STUF, name)
        add(party, STUF, "organisatie", system.organisatie)
        add(party, STUF, "applicatie", system.applicatie)
        add_known(party, STUF, "administratie", system.administratie, 50)
        add_known(party, STUF, "gebruiker", system.gebruiker, 100)
    add(element, STUF, "referentienummer", stuurgegevens.referentienummer)
    add(element, STUF, "tijdstipBericht", _tijdstip(stuurgegevens.moment))
    for name, value in last.items():
        add(element, STUF, name, value)


def _add_type(relation: etree._Element, entiteittype: str, found: Type) -> None:
    related = add(relation, ZKN, "gerelateerde", entiteittype=entiteittype, verwerkingssoort="I")
    if entiteittype == "ZKT":
        add_known(related, ZKN, "omschrijving", found.omschrijving, _OMSCHRIJVING)
        add(related, ZKN, "code", found.code)
    else:
        add(related, ZKN, "code", found.code)
        add_known(related, ZKN, "omschrijving", found.omschrijving, _OMSCHRIJVING)


def _add_status(zaak: etree._Element, status: Type | None, stuurgegevens: Stuurgegevens) -> None:
    if status is None:
        return
    relation = add(zaak, ZKN, "heeft", entiteittype="ZAKSTT", verwerkingssoort="T")
    _add_type(relation, "STT", status)
    add(relation, ZKN, "datumStatusGezet", stuurgegevens.today)


def _tijdstip(moment: datetime) -> str:
    """A moment of StUF 3.01: local time, to the millisecond, without signs."""
    return moment.astimezone(ZoneInfo(DUTCH_TIME)).strftime("%Y%m%d%H%M%S%f")[:-3]


def _day(day: date) -> str:
    return day.strftime("%Y%m%d")
