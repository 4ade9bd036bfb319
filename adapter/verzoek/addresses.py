# SPDX-License-Identifier: EUPL-1.2

"""Addresses of people and companies (STAM 4.0 common: Contactadres and what is in it)."""

from dataclasses import dataclass

from lxml import etree

from adapter.verzoek.elements import Fields
from adapter.verzoek.values import Answer, Answers, read_answer, read_answers


@dataclass(frozen=True, slots=True)
class Binnenlandsadres:
    """An address in the Netherlands."""

    straatnaam: Answers = ()
    huisnummer: Answers = ()
    huisletter: Answers = ()
    huisnummertoevoeging: Answers = ()
    postcode: Answers = ()
    woonplaatsnaam: Answers = ()


@dataclass(frozen=True, slots=True)
class Buitenlandsadres:
    """An address abroad: lines and a country."""

    adres_buitenland1: Answers = ()
    adres_buitenland2: Answers = ()
    adres_buitenland3: Answers = ()
    land: Answers = ()


@dataclass(frozen=True, slots=True)
class Afwijkendadres:
    """A number of the post: `adrestype` is `postbusnummer` or `antwoordnummer`."""

    adrestype: Answer | None = None
    nummer: Answers = ()
    postcode: Answers = ()
    woonplaatsnaam: Answers = ()


@dataclass(frozen=True, slots=True)
class Contactadres:
    """Where post goes to; each kind may be absent, all of them too."""

    afwijkend_adres: Afwijkendadres | None = None
    binnenlands_adres: Binnenlandsadres | None = None
    buitenlands_adres: Buitenlandsadres | None = None


def read_binnenlandsadres(element: etree._Element | None) -> Binnenlandsadres | None:
    """Read an address in the Netherlands; None where there is none."""
    if element is None:
        return None
    fields = Fields(element)
    return Binnenlandsadres(
        straatnaam=read_answers(fields, "straatnaam"),
        huisnummer=read_answers(fields, "huisnummer"),
        huisletter=read_answers(fields, "huisletter"),
        huisnummertoevoeging=read_answers(fields, "huisnummertoevoeging"),
        postcode=read_answers(fields, "postcode"),
        woonplaatsnaam=read_answers(fields, "woonplaatsnaam"),
    )


def read_buitenlandsadres(element: etree._Element | None) -> Buitenlandsadres | None:
    """Read an address abroad; None where there is none."""
    if element is None:
        return None
    fields = Fields(element)
    return Buitenlandsadres(
        adres_buitenland1=read_answers(fields, "adresBuitenland1"),
        adres_buitenland2=read_answers(fields, "adresBuitenland2"),
        adres_buitenland3=read_answers(fields, "adresBuitenland3"),
        land=read_answers(fields, "land"),
    )


def read_contactadres(element: etree._Element | None) -> Contactadres | None:
    """Read where post goes to; None where there is nothing."""
    if element is None:
        return None
    fields = Fields(element)
    return Contactadres(
        afwijkend_adres=_afwijkendadres(fields.first("afwijkendAdres")),
        binnenlands_adres=read_binnenlandsadres(fields.first("binnenlandsAdres")),
        buitenlands_adres=read_buitenlandsadres(fields.first("buitenlandsAdres")),
    )


def _afwijkendadres(element: etree._Element | None) -> Afwijkendadres | None:
    if element is None:
        return None
    fields = Fields(element)
    return Afwijkendadres(
        adrestype=read_answer(fields, "adrestype"),
        nummer=read_answers(fields, "nummer"),
        postcode=read_answers(fields, "postcode"),
        woonplaatsnaam=read_answers(fields, "woonplaatsnaam"),
    )
