# SPDX-License-Identifier: EUPL-1.2

"""Who asks and who acts for them, as rollen of the zaak (ZGW Zaken API)."""

import re
from typing import Any, Final

from adapter.delivery import Json
from adapter.sinks.naming import bounded
from adapter.sinks.zgw.client import text_in
from adapter.sinks.zgw.options import NOTHING, is_eleven_proof
from adapter.sinks.zgw.registration import Registration, Zaak
from adapter.verzoek import (
    Answers,
    Contactpersoon,
    Initiatiefnemer,
    NatuurlijkPersoon,
    NietNatuurlijkPersoon,
    preferred_text,
)

_KVK = re.compile(r"[0-9]{8}")
_VESTIGING = re.compile(r"[0-9]{12}")
_EMAIL = re.compile(r"[A-Za-z0-9._%+-]{1,64}@(?:[A-Za-z0-9-]+\.)+[A-Za-z]{2,24}")
_MAX_EMAIL: Final = 254
_MAX_PHONE: Final = 20
_MAX_CONTACT: Final = 40
_MAX_FUNCTIE: Final = 50


async def register_people(work: Registration, zaak: Zaak) -> None:
    """Makes the rollen of initiatiefnemer and gemachtigde that are configured, where they are not there yet.

    A zaak that has a rol of that type keeps it as it is: somebody may have corrected it.
    """
    rollen, verzoek = work.options.rollen, work.verzoek
    # whom to call works for whoever acts, which is the initiatiefnemer where nobody acts for them
    of_initiatiefnemer = verzoek.contactpersoon if verzoek.gemachtigde is None else None
    parties = (
        ("initiatiefnemer", rollen.initiatiefnemer, verzoek.initiatiefnemer, of_initiatiefnemer),
        ("gemachtigde", rollen.gemachtigde, verzoek.gemachtigde, verzoek.contactpersoon),
    )
    for name, roltype, party, contact in parties:
        described = _betrokkene(party)
        if roltype == NOTHING or party is None or described is None:
            continue
        body = {
            "zaak": zaak.url,
            "roltoelichting": f"{name} van verzoek {verzoek.verzoeknummer}",
            **described,
            **_contact(party, contact),
        }

        async def register(roltype: str = roltype, body: Json = body, name: str = name) -> Json:
            return await _register(work, zaak, roltype, body, name)

        await work.steps.once(f"rol/{name}", register)


def name_of(party: Initiatiefnemer | None) -> str:
    """What a person or company is called; empty where nothing says it."""
    if party is None:
        return ""
    if party.natuurlijk_persoon is not None:
        person = party.natuurlijk_persoon
        parts = (
            person.voorletters_naamgebruik,
            person.voorvoegsel_naamgebruik,
            person.geslachtsnaam_naamgebruik,
        )
        return " ".join(text for each in parts if (text := preferred_text(each)))
    if party.niet_natuurlijk_persoon is not None:
        company = party.niet_natuurlijk_persoon
        return preferred_text(company.statutaire_naam) or preferred_text(company.handelsnaam) or ""
    return ""


async def _register(work: Registration, zaak: Zaak, name: str, body: Json, who: str) -> Json:
    roltype = await work.catalogue.roltype(zaak.zaaktype, name, work.today)
    url = work.client.url("zaken", "rollen")
    if not zaak.is_new:
        found = await work.client.find(url, {"zaak": zaak.url, "roltype": roltype}, "rollen of the zaak")
        if found:
            return {"url": text_in(found[0], "url", "rol")}
    await work.begin(f"rol of the {who}")
    made = await work.client.create(url, {**body, "roltype": roltype}, f"making the rol of the {who}")
    return {"url": text_in(made, "url", "rol")}


def _betrokkene(party: Initiatiefnemer | None) -> dict[str, Any] | None:
    """Who a party is, in the fields of a rol; None where nothing is known.

    A number that servers refuse (a burgerservicenummer or RSIN that cannot be one) is left out: it would keep the
    whole verzoek from being delivered. Addresses need an aoaIdentificatie of the BAG, which STAM does not have.
    """
    if party is None:
        return None
    if party.natuurlijk_persoon is not None:
        return _person(party.natuurlijk_persoon)
    if party.niet_natuurlijk_persoon is not None:
        return _company(party.niet_natuurlijk_persoon)
    return None


def _person(person: NatuurlijkPersoon) -> dict[str, Any] | None:
    bsn = person.burgerservicenummer.text if person.burgerservicenummer is not None else ""
    identification = {
        "inpBsn": bsn if is_eleven_proof(bsn) else "",
        "geslachtsnaam": _text(person.geslachtsnaam_naamgebruik, 200),
        "voorvoegselGeslachtsnaam": _text(person.voorvoegsel_naamgebruik, 80),
        "voorletters": _text(person.voorletters_naamgebruik, 20),
    }
    return _described("natuurlijk_persoon", identification)


def _company(company: NietNatuurlijkPersoon) -> dict[str, Any] | None:
    rsin, kvk = preferred_text(company.rsin) or "", preferred_text(company.kvk_nummer) or ""
    vestiging = company.vestiging
    number = preferred_text(vestiging.vestigingsnummer) or "" if vestiging is not None else ""
    numbers = {
        "kvkNummer": kvk if _KVK.fullmatch(kvk) else "",
        "vestigingsNummer": number if _VESTIGING.fullmatch(number) else "",
    }
    handelsnaam = _text(company.handelsnaam, 625)
    if numbers["vestigingsNummer"] and not is_eleven_proof(rsin):
        names = [handelsnaam or _text(company.statutaire_naam, 625)]
        return _described("vestiging", {**numbers, "handelsnaam": [name for name in names if name]})
    identification = {
        "innNnpId": rsin if is_eleven_proof(rsin) else "",
        "statutaireNaam": _text(company.statutaire_naam, 500) or handelsnaam[:500],
        **numbers,
    }
    return _described("niet_natuurlijk_persoon", identification)


def _described(kind: str, identification: dict[str, Any]) -> dict[str, Any] | None:
    known = {key: value for key, value in identification.items() if value}
    return {"betrokkeneType": kind, "betrokkeneIdentificatie": known} if known else None


def _contact(party: Initiatiefnemer, contact: Contactpersoon | None) -> dict[str, Any]:
    """How a party is reached: through its contactpersoon where it has one."""
    email = (contact.emailadres.text if contact and contact.emailadres else None) or _text(
        party.emailadres, _MAX_EMAIL
    )
    phone = (contact.telefoonnummer.text if contact and contact.telefoonnummer else None) or _text(
        party.telefoonnummer, _MAX_PHONE
    )
    name = _contact_name(contact) or name_of(party)
    found = {
        "emailadres": email if len(email) <= _MAX_EMAIL and _EMAIL.fullmatch(email) else "",
        "telefoonnummer": phone if len(phone) <= _MAX_PHONE else "",
        "functie": bounded(contact.functie.text, _MAX_FUNCTIE) if contact and contact.functie else "",
    }
    known = {key: value for key, value in found.items() if value}
    return {"contactpersoonRol": {"naam": bounded(name, _MAX_CONTACT), **known}} if known and name else {}


def _contact_name(contact: Contactpersoon | None) -> str:
    if contact is None:
        return ""
    parts = (contact.voorletters, contact.voorvoegsel, contact.achternaam)
    return " ".join(part.text for part in parts if part is not None)


def _text(answers: Answers, length: int) -> str:
    return bounded(preferred_text(answers) or "", length)
