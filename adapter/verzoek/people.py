# SPDX-License-Identifier: EUPL-1.2

"""Who asks, for whom, and whom to call: initiatiefnemer, gemachtigde and contactpersoon (STAM 4.0)."""

from dataclasses import dataclass, field
from typing import Final

from lxml import etree

from adapter.verzoek.addresses import (
    Binnenlandsadres,
    Buitenlandsadres,
    Contactadres,
    read_binnenlandsadres,
    read_buitenlandsadres,
    read_contactadres,
)
from adapter.verzoek.elements import Fields
from adapter.verzoek.values import Answer, Answers, read_answer, read_answers

_NO_BSN: Final = "0" * 9


@dataclass(frozen=True, slots=True)
class NatuurlijkPersoon:
    """A person. The burgerservicenummer comes in clear text, so it is left out of what is printed or logged."""

    geslachtsnaam_naamgebruik: Answers = ()
    voorletters_naamgebruik: Answers = ()
    voorvoegsel_naamgebruik: Answers = ()
    burgerservicenummer: Answer | None = field(default=None, repr=False)
    correspondentie_adres: Contactadres | None = None
    verblijfsadres: Binnenlandsadres | None = None
    verblijfsadres_buitenland: Buitenlandsadres | None = None


@dataclass(frozen=True, slots=True)
class Vestiging:
    """A branch of a company."""

    vestigingsnummer: Answers = ()
    postadres: Contactadres | None = None
    locatie_adres_vestiging: Binnenlandsadres | None = None
    locatie_adres_buitenland: Buitenlandsadres | None = None


@dataclass(frozen=True, slots=True)
class NietNatuurlijkPersoon:
    """A company or another body."""

    rsin: Answers = ()
    statutaire_naam: Answers = ()
    kvk_nummer: Answers = ()
    handelsnaam: Answers = ()
    verkorte_handelsnaam: Answers = ()
    postadres: Contactadres | None = None
    bezoek_adres: Binnenlandsadres | None = None
    bezoek_adres_buitenland: Buitenlandsadres | None = None
    vestiging: Vestiging | None = None


@dataclass(frozen=True, slots=True)
class Initiatiefnemer:
    """Who takes the initiative, or acts for them (Gemachtigde has the same shape): a person or a company."""

    emailadres: Answers = ()
    telefoonnummer: Answers = ()
    natuurlijk_persoon: NatuurlijkPersoon | None = None
    niet_natuurlijk_persoon: NietNatuurlijkPersoon | None = None


@dataclass(frozen=True, slots=True)
class Contactpersoon:
    """Whom to call at a company."""

    achternaam: Answer | None = None
    voorletters: Answer | None = None
    voorvoegsel: Answer | None = None
    functie: Answer | None = None
    emailadres: Answer | None = None
    telefoonnummer: Answer | None = None
    contactadres: Contactadres | None = None


def read_initiatiefnemer(element: etree._Element | None) -> Initiatiefnemer | None:
    """Read an initiatiefnemer or a gemachtigde; None where there is none."""
    if element is None:
        return None
    fields = Fields(element)
    return Initiatiefnemer(
        emailadres=read_answers(fields, "emailadres"),
        telefoonnummer=read_answers(fields, "telefoonnummer"),
        natuurlijk_persoon=_natuurlijk_persoon(fields.first("natuurlijkPersoon")),
        niet_natuurlijk_persoon=_niet_natuurlijk_persoon(fields.first("nietNatuurlijkPersoon")),
    )


def read_contactpersoon(element: etree._Element | None) -> Contactpersoon | None:
    """Read a contactpersoon; None where there is none."""
    if element is None:
        return None
    fields = Fields(element)
    return Contactpersoon(
        achternaam=read_answer(fields, "achternaam"),
        voorletters=read_answer(fields, "voorletters"),
        voorvoegsel=read_answer(fields, "voorvoegsel"),
        functie=read_answer(fields, "functie"),
        emailadres=read_answer(fields, "emailadres"),
        telefoonnummer=read_answer(fields, "telefoonnummer"),
        contactadres=read_contactadres(fields.first("contactadres")),
    )


def _natuurlijk_persoon(element: etree._Element | None) -> NatuurlijkPersoon | None:
    if element is None:
        return None
    fields = Fields(element)
    return NatuurlijkPersoon(
        geslachtsnaam_naamgebruik=read_answers(fields, "geslachtsnaamNaamgebruik"),
        voorletters_naamgebruik=read_answers(fields, "voorlettersNaamgebruik"),
        voorvoegsel_naamgebruik=read_answers(fields, "voorvoegselNaamgebruik"),
        burgerservicenummer=_bsn(fields),
        correspondentie_adres=read_contactadres(fields.first("correspondentieAdres")),
        verblijfsadres=read_binnenlandsadres(fields.first("verblijfsadres")),
        verblijfsadres_buitenland=read_buitenlandsadres(fields.first("verblijfsadresBuitenland")),
    )


def _bsn(fields: Fields) -> Answer | None:
    """The burgerservicenummer; nine zeros stand for none."""
    answer = read_answer(fields, "burgerservicenummer")
    return None if answer is None or answer.text == _NO_BSN else answer


def _niet_natuurlijk_persoon(element: etree._Element | None) -> NietNatuurlijkPersoon | None:
    if element is None:
        return None
    fields = Fields(element)
    return NietNatuurlijkPersoon(
        rsin=read_answers(fields, "rsin"),
        statutaire_naam=read_answers(fields, "statutaireNaam"),
        kvk_nummer=read_answers(fields, "kvkNummer"),
        handelsnaam=read_answers(fields, "handelsnaam"),
        verkorte_handelsnaam=read_answers(fields, "verkorteHandelsnaam"),
        postadres=read_contactadres(fields.first("postadres")),
        bezoek_adres=read_binnenlandsadres(fields.first("bezoekAdres")),
        bezoek_adres_buitenland=read_buitenlandsadres(fields.first("bezoekAdresBuitenland")),
        vestiging=_vestiging(fields.first("vestiging")),
    )


def _vestiging(element: etree._Element | None) -> Vestiging | None:
    if element is None:
        return None
    fields = Fields(element)
    return Vestiging(
        vestigingsnummer=read_answers(fields, "vestigingsnummer"),
        postadres=read_contactadres(fields.first("postadres")),
        locatie_adres_vestiging=read_binnenlandsadres(fields.first("locatieAdresVestiging")),
        locatie_adres_buitenland=read_buitenlandsadres(fields.first("locatieAdresBuitenland")),
    )
