# SPDX-License-Identifier: EUPL-1.2

"""What a verzoek is about, in a few lines and without the people in it, for receivers that take data and no files."""

from typing import Any, Final

from adapter.verzoek import (
    Adresaanduiding,
    Answer,
    Verzoekbericht,
)

SUMMARY_FIELDS: Final = ("naam", "indienDatum", "project", "omschrijving", "activiteiten", "adressen")
"""What a summary has."""


def summary_of(verzoek: Verzoekbericht) -> dict[str, Any]:
    """The fields of a summary, JSON-ready."""
    project, submitted = verzoek.project, verzoek.submitted_at
    places = [place.adresaanduiding for place in verzoek.projectlocaties]
    return {
        "naam": _text(verzoek.naam),
        "indienDatum": None if submitted is None else submitted.isoformat(),
        "project": None if project is None else _text(project.naam),
        "omschrijving": None if project is None else _text(project.omschrijving),
        "activiteiten": [one.activiteitnaam for one in verzoek.projectactiviteiten if one.activiteitnaam],
        "adressen": [_address(place) for place in places if place is not None],
    }


def _text(answer: Answer | None) -> str | None:
    return None if answer is None else answer.text


def _address(place: Adresaanduiding) -> str:
    number = "".join(
        part or "" for part in (place.opgegeven_adres_huisnummer, place.opgegeven_adres_huisletter)
    )
    if place.opgegeven_adres_huisnummer_toevoeging:
        number += f"-{place.opgegeven_adres_huisnummer_toevoeging}"
    street = " ".join(part for part in (place.opgegeven_adres_straatnaam, number) if part)
    town = (place.opgegeven_adres_postcode, place.opgegeven_adres_woonplaats_naam)
    where = " ".join(part for part in town if part)
    return ", ".join(part for part in (street, where) if part)
