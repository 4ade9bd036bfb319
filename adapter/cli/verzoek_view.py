# SPDX-License-Identifier: EUPL-1.2

"""A verzoekbericht as a person or a machine reads it."""

from collections.abc import Iterator
from typing import Any, Final

from adapter.verzoek import (
    Adresaanduiding,
    Afwijkendadres,
    Answer,
    Answers,
    Binnenlandsadres,
    Buitenlandsadres,
    Contactadres,
    Contactpersoon,
    Coordinaten,
    Document,
    GevraagdeBijlage,
    Initiatiefnemer,
    KadastraleAanduiding,
    NatuurlijkPersoon,
    NietNatuurlijkPersoon,
    Organisatie,
    Participatie,
    Point,
    Projectactiviteit,
    Projectlocatie,
    Specificatie,
    Verzoekbericht,
    VerzoekBijlage,
    as_document,
    preferred,
)

Description = dict[str, Any]

NOT_PUBLISHABLE: Final = "[not publishable]"


def describe_verzoek(bericht: Verzoekbericht) -> Description:
    """Everything in a verzoekbericht for machines, and each of its documents once."""
    return {
        "kind": "verzoekbericht",
        **as_document(bericht),
        "projectId": bericht.project_id,
        "documents": as_document(bericht.documents),
    }


def outline_verzoek(bericht: Verzoekbericht) -> Description:
    """What a person wants to know of a verzoekbericht, with what may not be published marked."""
    project = bericht.project
    return {
        "kind": "verzoekbericht",
        "verzoeknummer": bericht.verzoeknummer,
        "volgnummer": bericht.volgnummer,
        "doel": bericht.doel,
        "type": bericht.type,
        "naam": _one(bericht.naam),
        "indienDatum": bericht.indien_datum,
        "ambtshalve": bericht.ambtshalve,
        "akkoordverklaring": bericht.akkoordverklaring,
        "referentieAanvrager": _one(bericht.referentie_aanvrager),
        "toelichting": _one(bericht.toelichting_verzoek),
        "laterAanTeLeveren": _one(bericht.toelichting_later_aan_te_leveren_informatie),
        "nietAanTeLeveren": _one(bericht.toelichting_niet_aan_te_leveren_informatie),
        "project": None if project is None else _one(project.naam),
        "projectOmschrijving": None if project is None else _one(project.omschrijving),
        "projectId": bericht.project_id,
        "bevoegdGezag": _organisation(bericht.bevoegd_gezag),
        "vroegerBevoegdGezag": [_organisation(each) for each in bericht.bevoegd_gezag_historie],
        "uitvoerendeInstantie": _organisation(bericht.uitvoerende_instantie),
        "vroegereUitvoerendeInstantie": [
            _organisation(each) for each in bericht.uitvoerende_instantie_historie
        ],
        **{role: _person(person) for role, person in _people(bericht)},
        "contactpersoon": _contact(bericht.contactpersoon),
        "locaties": [_place(each) for each in bericht.projectlocaties],
        "activiteiten": [_activity(each) for each in bericht.projectactiviteiten],
        "participatie": _participation(bericht.participatie),
        "bijlagenBijVerzoek": [_attachment(each) for each in bericht.verzoek_bijlage],
        "documenten": [_document(each) for each in bericht.documents],
    }


def _people(bericht: Verzoekbericht) -> Iterator[tuple[str, Initiatiefnemer]]:
    for role, person in (
        ("initiatiefnemer", bericht.initiatiefnemer),
        ("gemachtigde", bericht.gemachtigde),
    ):
        if person is not None:
            yield role, person


def _one(answer: Answer | None) -> str | None:
    if answer is None:
        return None
    return f"{answer.text} {NOT_PUBLISHABLE}" if answer.publiceerbaar is False else answer.text


def _both(answers: Answers) -> str | None:
    """The answer to go by, and what others say where that differs."""
    first = preferred(answers)
    if first is None:
        return None
    others = [each for each in answers if each.text != first.text]
    found = "".join(f" ({each.bron or 'also'}: {each.text})" for each in others)
    return _one(Answer(f"{first.text}{found}", first.bron, first.publiceerbaar))


def _line(*parts: Answers) -> str | None:
    """Several answers as one line, not publishable as soon as one of them is not."""
    found = [answer for answers in parts if (answer := preferred(answers)) is not None]
    if not found:
        return None
    is_hidden = any(answer.publiceerbaar is False for answer in found)
    return _one(Answer(" ".join(answer.text for answer in found), publiceerbaar=not is_hidden))


def _organisation(organisatie: Organisatie | None) -> str | None:
    if organisatie is None:
        return None
    named = organisatie.naam is not None and organisatie.naam != organisatie.oin
    return f"{organisatie.naam} ({organisatie.oin})" if named else organisatie.oin


def _person(person: Initiatiefnemer) -> Description:
    return {
        **_natural(person.natuurlijk_persoon),
        **_company(person.niet_natuurlijk_persoon),
        "emailadres": _both(person.emailadres),
        "telefoonnummer": _both(person.telefoonnummer),
    }


def _natural(person: NatuurlijkPersoon | None) -> Description:
    if person is None:
        return {}
    return {
        "voorletters": _both(person.voorletters_naamgebruik),
        "voorvoegsel": _both(person.voorvoegsel_naamgebruik),
        "geslachtsnaam": _both(person.geslachtsnaam_naamgebruik),
        "burgerservicenummer": _one(person.burgerservicenummer),
        "verblijfsadres": _address(person.verblijfsadres) or _abroad(person.verblijfsadres_buitenland),
        "correspondentieAdres": _contact_address(person.correspondentie_adres),
    }


def _company(company: NietNatuurlijkPersoon | None) -> Description:
    if company is None:
        return {}
    vestiging = company.vestiging
    described: Description = {
        "statutaireNaam": _both(company.statutaire_naam),
        "handelsnaam": _both(company.handelsnaam),
        "verkorteHandelsnaam": _both(company.verkorte_handelsnaam),
        "kvkNummer": _both(company.kvk_nummer),
        "rsin": _both(company.rsin),
        "bezoekAdres": _address(company.bezoek_adres) or _abroad(company.bezoek_adres_buitenland),
        "postadres": _contact_address(company.postadres),
    }
    if vestiging is not None:
        place = _address(vestiging.locatie_adres_vestiging) or _abroad(vestiging.locatie_adres_buitenland)
        described |= {
            "vestigingsnummer": _both(vestiging.vestigingsnummer),
            "vestigingsadres": place,
            "postadresVestiging": _contact_address(vestiging.postadres),
        }
    return described


def _contact(contact: Contactpersoon | None) -> Description | None:
    if contact is None:
        return None
    return {
        "voorletters": _one(contact.voorletters),
        "voorvoegsel": _one(contact.voorvoegsel),
        "achternaam": _one(contact.achternaam),
        "functie": _one(contact.functie),
        "emailadres": _one(contact.emailadres),
        "telefoonnummer": _one(contact.telefoonnummer),
        "contactadres": _contact_address(contact.contactadres),
    }


def _address(adres: Binnenlandsadres | None) -> str | None:
    if adres is None:
        return None
    number = (adres.huisnummer, adres.huisletter, adres.huisnummertoevoeging)
    return _line(adres.straatnaam, *number, adres.postcode, adres.woonplaatsnaam)


def _abroad(adres: Buitenlandsadres | None) -> str | None:
    if adres is None:
        return None
    return _line(adres.adres_buitenland1, adres.adres_buitenland2, adres.adres_buitenland3, adres.land)


def _contact_address(adres: Contactadres | None) -> list[str] | None:
    """Every address that post may go to."""
    if adres is None:
        return None
    kinds = (
        _address(adres.binnenlands_adres),
        _post(adres.afwijkend_adres),
        _abroad(adres.buitenlands_adres),
    )
    return [kind for kind in kinds if kind is not None]


def _post(adres: Afwijkendadres | None) -> str | None:
    if adres is None:
        return None
    kind = () if adres.adrestype is None else (adres.adrestype,)
    return _line(kind, adres.nummer, adres.postcode, adres.woonplaatsnaam)


def _place(locatie: Projectlocatie) -> Description:
    return {
        "adres": _given_address(locatie.adresaanduiding),
        "nummeraanduiding": None
        if locatie.adresaanduiding is None
        else locatie.adresaanduiding.identificatiecode_nummeraanduiding,
        "perceel": _parcel(locatie.kadastrale_aanduiding),
        "brkIdentificatie": None
        if locatie.kadastrale_aanduiding is None
        else locatie.kadastrale_aanduiding.brk_identificatie,
        "coordinaten": _coordinates(locatie.coordinaten_etrs),
        "opgegeven": _coordinates(locatie.coordinaten_opgegeven),
    }


def _given_address(adres: Adresaanduiding | None) -> str | None:
    if adres is None:
        return None
    return _words(
        adres.opgegeven_adres_straatnaam,
        adres.opgegeven_adres_huisnummer,
        adres.opgegeven_adres_huisletter,
        adres.opgegeven_adres_huisnummer_toevoeging,
        adres.opgegeven_adres_postcode,
        adres.opgegeven_adres_woonplaats_naam,
    )


def _parcel(perceel: KadastraleAanduiding | None) -> str | None:
    if perceel is None:
        return None
    return _words(perceel.kadastrale_gemeente, perceel.kadastrale_sectie, perceel.kadastraal_perceelnummer)


def _words(*parts: str | None) -> str | None:
    return " ".join(part for part in parts if part) or None


def _coordinates(coordinaten: Coordinaten | None) -> str | None:
    """A point, or the middle and size of a surface, with x or longitude first."""
    if coordinaten is None:
        return None
    geometry = coordinaten.geometry
    if geometry is None:
        return coordinaten.problem and f"unreadable: {coordinaten.problem}"
    digits = 6 if geometry.crs.is_geographic else 2
    x, y = geometry.centre
    text = f"{geometry.crs} {x:.{digits}f} {y:.{digits}f}"
    if isinstance(geometry, Point):
        return text
    corners = sum(len(polygon.exterior) - 1 for polygon in geometry.polygons)
    return f"{text} (middle of a surface of {len(geometry.polygons)} parts, {corners} corners)"


def _activity(activiteit: Projectactiviteit) -> Description:
    part_of = activiteit.onderliggende_activiteit
    return {
        "activiteit": activiteit.activiteitnaam,
        "activiteitId": activiteit.activiteit_id,
        "imowId": activiteit.imow_id,
        "volgnummer": activiteit.volgnummer,
        "onderliggendeActiviteit": None
        if part_of is None
        else _words(part_of.activiteitnaam, part_of.activiteit_id),
        "vragen": [_question(each) for each in activiteit.specificaties],
    }


def _question(specificatie: Specificatie) -> Description:
    answer = specificatie.antwoord
    return {
        "vraag": specificatie.vraagtekst or specificatie.vraag_id,
        "antwoord": answer and _one(Answer(answer, publiceerbaar=specificatie.publiceerbaar)),
        "oorspronkelijkAntwoord": specificatie.oorspronkelijk_antwoord,
        "groepering": specificatie.groepering,
        "bijlagen": _names(specificatie.gevraagde_bijlage),
    }


def _names(bijlage: GevraagdeBijlage | None) -> list[str]:
    return [] if bijlage is None else [each.bestandsnaam for each in bijlage.documenten]


def _participation(participatie: Participatie | None) -> Description | None:
    if participatie is None:
        return None
    return {
        "geparticipeerd": _one(participatie.geparticipeerd),
        "wijze": _one(participatie.participatie_wijze),
        "resultaat": _one(participatie.participatie_resultaat),
    }


def _attachment(bijlage: VerzoekBijlage) -> Description:
    gevraagd = bijlage.gevraagde_bijlage
    if gevraagd is None:
        return {"vraagreferentie": bijlage.vraagreferentie}
    return {
        "soort": gevraagd.documentsoort_dso,
        "type": gevraagd.documenttype_generiek,
        "verplicht": gevraagd.verplicht,
        "bijlagen": _names(gevraagd),
    }


def _document(document: Document) -> Description:
    return {
        "bestandsnaam": document.bestandsnaam,
        "vertrouwelijk": document.vertrouwelijk,
        "documentId": document.document_id,
    }
