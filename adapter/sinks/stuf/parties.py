# SPDX-License-Identifier: EUPL-1.2

"""Who a zaak is of, as StUF-BG writes people and companies."""

from typing import Final

from lxml import etree

from adapter.sinks.stuf.names import BG, STUF, ZKN, add, add_known, add_whole
from adapter.verzoek import (
    Answers,
    Binnenlandsadres,
    Initiatiefnemer,
    NatuurlijkPersoon,
    NietNatuurlijkPersoon,
    Vestiging,
    preferred_text,
)

_NAME: Final = 200
_TRADE_NAME: Final = 625
_TOWN: Final = 80
_POSTCODE: Final = 6


def add_party(zaak: etree._Element, role: str, entiteittype: str, party: Initiatiefnemer | None) -> None:
    """Name a party in a role (`heeftAlsInitiator`, `heeftAlsGemachtigde`); nothing where nobody is known."""
    if party is None:
        return
    person, company = party.natuurlijk_persoon, party.niet_natuurlijk_persoon
    if person is None and company is None:
        return
    relation = add(zaak, ZKN, role, entiteittype=entiteittype, verwerkingssoort="T")
    related = add(relation, ZKN, "gerelateerde")
    if person is not None:
        _add_person(related, person)
    elif company is not None:
        branch = company.vestiging
        number = None if branch is None else _number(branch.vestigingsnummer, 12)
        if branch is not None and number is not None:
            _add_branch(related, number, branch, company)
        else:
            _add_company(related, company)


def kvk_number(party: Initiatiefnemer | None) -> str | None:
    """The number of a company in the trade register, for which StUF-BG has no element."""
    company = None if party is None else party.niet_natuurlijk_persoon
    return None if company is None else preferred_text(company.kvk_nummer)


def _add_person(related: etree._Element, person: NatuurlijkPersoon) -> None:
    element = add(related, ZKN, "natuurlijkPersoon", entiteittype="NPS", verwerkingssoort="T")
    bsn = _number(() if person.burgerservicenummer is None else (person.burgerservicenummer,), 9)
    add_whole(element, BG, "inp.bsn", bsn, 9)
    _add_authentiek(element, known=bsn is not None)
    add_known(element, BG, "geslachtsnaam", preferred_text(person.geslachtsnaam_naamgebruik), _NAME)
    add_whole(element, BG, "voorvoegselGeslachtsnaam", preferred_text(person.voorvoegsel_naamgebruik), 10)
    add_whole(element, BG, "voorletters", preferred_text(person.voorletters_naamgebruik), 20)
    _add_address(element, "verblijfsadres", person.verblijfsadres)


def _add_branch(
    related: etree._Element, number: str, branch: Vestiging, company: NietNatuurlijkPersoon
) -> None:
    element = add(related, ZKN, "vestiging", entiteittype="VES", verwerkingssoort="T")
    add(element, BG, "vestigingsNummer", number)
    _add_authentiek(element, known=True)
    add_known(element, BG, "handelsnaam", preferred_text(company.handelsnaam), _TRADE_NAME)
    _add_address(element, "verblijfsadres", branch.locatie_adres_vestiging or company.bezoek_adres)


def _add_company(related: etree._Element, company: NietNatuurlijkPersoon) -> None:
    element = add(related, ZKN, "nietNatuurlijkPersoon", entiteittype="NNP", verwerkingssoort="T")
    rsin = _number(company.rsin, 9)
    add_whole(element, BG, "inn.nnpId", rsin, 9)
    _add_authentiek(element, known=rsin is not None)
    name = preferred_text(company.statutaire_naam) or preferred_text(company.handelsnaam)
    add_known(element, BG, "statutaireNaam", name, 500)
    _add_address(element, "bezoekadres", company.bezoek_adres)


def _add_authentiek(element: etree._Element, *, known: bool) -> None:
    """Whether what is said comes from a basisregistratie: it does where there is a number of one."""
    add(element, BG, "authentiek", "J" if known else "N", metagegeven="true")


def _add_address(element: etree._Element, name: str, address: Binnenlandsadres | None) -> None:
    """An address, where it has what finds a house: StUF takes none by half."""
    if address is None:
        return
    postcode = (preferred_text(address.postcode) or "").replace(" ", "").upper()
    number = _number(address.huisnummer, 5)
    if len(postcode) != _POSTCODE or number is None:
        return
    found = add(element, BG, name)
    street = preferred_text(address.straatnaam)
    add_known(found, BG, "wpl.woonplaatsNaam", preferred_text(address.woonplaatsnaam), _TOWN)
    add_known(found, BG, "gor.openbareRuimteNaam", street, _TOWN)
    add_whole(found, BG, "gor.straatnaam", street, 24)
    add(found, BG, "aoa.postcode", postcode)
    add(found, BG, "aoa.huisnummer", number)
    add_whole(found, BG, "aoa.huisletter", preferred_text(address.huisletter), 1)
    add_whole(found, BG, "aoa.huisnummertoevoeging", preferred_text(address.huisnummertoevoeging), 4)


def _number(answers: Answers, length: int) -> str | None:
    """A number of at most so many digits; None where what was filled in is no such number."""
    text = preferred_text(answers) or ""
    return text if text.isascii() and text.isdigit() and len(text) <= length else None


def add_extra(zaak: etree._Element, values: dict[str, str | None]) -> None:
    """What StUF has no element for, by name; nothing where nothing is known."""
    known = {name: value for name, value in values.items() if value}
    if not known:
        return
    extra = add(zaak, STUF, "extraElementen")
    for name, value in known.items():
        add(extra, STUF, "extraElement", value, naam=name)
