# SPDX-License-Identifier: EUPL-1.2

"""Who asks, in a made-up verzoek: persons and companies that do not exist, with numbers of the series for tests."""

from random import Random
from typing import Final

from adapter.simulator.specs import Applicant, VerzoekSpec
from adapter.simulator.writer import IC, Writer

NO_BSN: Final = "000000000"  # nine zeros stand for none

_TEST_SERIES: Final = 999_990_000  # of burgerservicenummers; RSINs have the same check
_WEIGHTS: Final = (9, 8, 7, 6, 5, 4, 3, 2, -1)


def write_applicants(verzoek: Writer, spec: VerzoekSpec) -> None:
    """Adds contactpersoon, gemachtigde and initiatiefnemer, in the order of the schema."""
    chance, kind = spec.chance("people"), spec.kind_of_applicant
    if kind is not Applicant.PERSON:
        _contact(verzoek.node("contactpersoon"))
    if kind is Applicant.REPRESENTED:
        _party(verzoek.node("gemachtigde"), chance, "gemachtigde", is_company=True)
    _party(verzoek.node("initiatiefnemer"), chance, "aanvrager", is_company=kind is Applicant.COMPANY)


def checked_number(chance: Random) -> str:
    """A number of the test series that passes the check on burgerservicenummers and RSINs ("elfproef")."""
    number = _TEST_SERIES + chance.randrange(9_900)
    while not _is_checked(number):
        number += 1
    return str(number)


def _is_checked(number: int) -> bool:
    digits = f"{number:09d}"
    return sum(int(digit) * weight for digit, weight in zip(digits, _WEIGHTS, strict=True)) % 11 == 0


def _contact(contact: Writer) -> None:
    contact.text("achternaam", "Verzonnen", public=False)
    contact.text("emailadres", "contact@voorbeeld.example", public=False)
    contact.text("functie", "Projectleider")
    contact.text("telefoonnummer", "0000000000", public=False)
    contact.text("voorletters", "P.", public=False)
    contact.text("voorvoegsel", "van", public=False)
    _post_box(contact.node("contactadres", IC))


def _party(party: Writer, chance: Random, mailbox: str, *, is_company: bool) -> None:
    party.answer("emailadres", f"{mailbox}@voorbeeld.example")
    party.answer("telefoonnummer", "0000000000")
    if is_company:
        _company(party.node("nietNatuurlijkPersoon"), chance)
    else:
        _person(party.node("natuurlijkPersoon"), chance)


def _person(person: Writer, chance: Random) -> None:
    person.answer("geslachtsnaamNaamgebruik", "Nietbestaand", looked_up="Nietbestaand-Fictief")
    person.answer("voorlettersNaamgebruik", "X.Y.")
    person.text(
        "burgerservicenummer", checked_number(chance) if chance.random() < 0.75 else NO_BSN, public=False
    )
    if chance.random() < 0.5:
        person.answer("voorvoegselNaamgebruik", "de")
    if chance.random() < 0.3:
        _post_box(person.node("correspondentieAdres", IC))
    if chance.random() < 0.2:
        _abroad(person.node("verblijfsadresBuitenland", IC))
    else:
        _address(person.node("verblijfsadres", IC), chance)


def _company(company: Writer, chance: Random) -> None:
    number = chance.randrange(10_000)
    company.answer("rsin", checked_number(chance))
    company.answer("statutaireNaam", "Fictief Bouwbedrijf B.V.")
    company.answer("kvkNummer", f"0000{number:04d}")
    company.answer("handelsnaam", "Fictief Bouw", looked_up="Fictief Bouwbedrijf")
    if chance.random() < 0.3:
        company.answer("verkorteHandelsnaam", "FBB")
    if chance.random() < 0.5:
        _post_box(company.node("postadres", IC))
    _address(company.node("bezoekAdres", IC), chance)
    vestiging = company.node("vestiging", IC)
    vestiging.answer("vestigingsnummer", f"00000000{number:04d}")
    _address(vestiging.node("locatieAdresVestiging"), chance)


def _address(address: Writer, chance: Random) -> None:
    if chance.random() < 0.3:
        address.answer("huisletter", "A")
    address.answer("huisnummer", str(chance.randint(1, 199)))
    if chance.random() < 0.3:
        address.answer("huisnummertoevoeging", "bis")
    address.answer("postcode", "0000AA")
    address.answer("straatnaam", "Nergenslaan", looked_up="Nergenslaan Noord")
    address.answer("woonplaatsnaam", "Nergenshuizen")


def _post_box(address: Writer) -> None:
    box = address.node("afwijkendAdres")
    box.text("adrestype", "postbusnummer", public=False)
    box.answer("nummer", "1")
    box.answer("postcode", "0000AB")
    box.answer("woonplaatsnaam", "Nergenshuizen")


def _abroad(address: Writer) -> None:
    address.answer("adresBuitenland1", "Nirgendsstraße 1")
    address.answer("adresBuitenland2", "00000 Nirgendwo")
    address.answer("land", "Duitsland")
