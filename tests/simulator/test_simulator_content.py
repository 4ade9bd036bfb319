# SPDX-License-Identifier: EUPL-1.2

"""Made-up verzoeken have the variety of real ones, and are valid whatever is in them."""

from pathlib import Path
from random import Random

import pytest
from lxml import etree

from adapter.simulator import (
    HOSTILE_NAMES,
    LONG_NAME,
    Applicant,
    DocumentSpec,
    Place,
    SimulatedVerzoek,
    VerzoekSpec,
    hostile_documents,
    make_verzoek,
    supplement,
    withdrawal,
)
from adapter.simulator.applicants import checked_number
from adapter.verzoek import (
    STAM_TYPES,
    Doel,
    Point,
    Specificatie,
    Surface,
    Verzoekbericht,
    preferred_text,
    read_verzoekbericht,
)

NUMBER = "2023073100048"
GEMEENTE = "00000099000000001000"
DIENST = "00000099000000002000"
DOCUMENTS = (DocumentSpec("plattegrond.pdf", 3000), DocumentSpec("foto.png", 2000, "image/png"))


def a_verzoek(**changes: object) -> SimulatedVerzoek:
    values: dict[str, object] = {"verzoeknummer": NUMBER, "bevoegd_gezag": GEMEENTE, **changes}
    return make_verzoek(VerzoekSpec(**values))  # type: ignore[arg-type]


def read(verzoek: SimulatedVerzoek) -> Verzoekbericht:
    return read_verzoekbericht(verzoek.xml)


def questions_of(verzoek: SimulatedVerzoek) -> dict[str, Specificatie]:
    return {
        str(question.vraag_id): question
        for activity in read(verzoek).projectactiviteiten
        for question in activity.specificaties
    }


@pytest.fixture
def schema(shared: Path) -> etree.XMLSchema:
    return etree.XMLSchema(etree.parse(shared / "xsd" / "stam-4.0" / "imam-4.0.xsd"))


@pytest.mark.parametrize("stam_type", STAM_TYPES)
@pytest.mark.parametrize("doel", list(Doel))
def test_every_type_with_every_doel_satisfies_the_schema(
    schema: etree.XMLSchema, stam_type: str, doel: Doel
) -> None:
    verzoek = a_verzoek(type=stam_type, doel=doel.value, documents=DOCUMENTS)
    schema.assertValid(etree.fromstring(verzoek.xml))
    assert (read(verzoek).type, read(verzoek).known_doel) == (stam_type, doel)


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("applicant", list(Applicant))
def test_every_kind_of_applicant_satisfies_the_schema(
    schema: etree.XMLSchema, applicant: Applicant, seed: int
) -> None:
    schema.assertValid(etree.fromstring(a_verzoek(applicant=applicant, seed=seed).xml))


@pytest.mark.parametrize("place", list(Place))
def test_every_kind_of_place_satisfies_the_schema(schema: etree.XMLSchema, place: Place) -> None:
    schema.assertValid(etree.fromstring(a_verzoek(places=(place,)).xml))


@pytest.mark.parametrize("activities", [1, 2, 5])
def test_any_number_of_activities_satisfies_the_schema(schema: etree.XMLSchema, activities: int) -> None:
    verzoek = a_verzoek(activities=activities, documents=DOCUMENTS)
    schema.assertValid(etree.fromstring(verzoek.xml))
    assert [each.volgnummer for each in read(verzoek).projectactiviteiten] == [
        str(number) for number in range(1, activities + 1)
    ]


def test_a_person_has_a_burgerservicenummer_of_the_test_series_or_none() -> None:
    found = set()
    for seed in range(20):
        initiatiefnemer = read(a_verzoek(applicant=Applicant.PERSON, seed=seed)).initiatiefnemer
        assert initiatiefnemer is not None
        assert initiatiefnemer.natuurlijk_persoon is not None
        answer = initiatiefnemer.natuurlijk_persoon.burgerservicenummer
        found.add(answer and answer.text[:5])
    assert found == {None, "99999"}


def test_a_made_up_number_passes_the_check_on_such_numbers() -> None:
    numbers = [checked_number(Random(seed)) for seed in range(50)]
    weights = (9, 8, 7, 6, 5, 4, 3, 2, -1)
    assert {len(number) for number in numbers} == {9}
    sums = [sum(int(d) * w for d, w in zip(number, weights, strict=True)) for number in numbers]
    assert all(total % 11 == 0 for total in sums)


def test_a_company_has_its_numbers_a_branch_and_whom_to_call() -> None:
    bericht = read(a_verzoek(applicant=Applicant.COMPANY))
    assert bericht.contactpersoon is not None
    assert bericht.gemachtigde is None
    assert bericht.initiatiefnemer is not None
    company = bericht.initiatiefnemer.niet_natuurlijk_persoon
    assert company is not None
    assert company.vestiging is not None
    for numbers, length in (
        (company.kvk_nummer, 8),
        (company.rsin, 9),
        (company.vestiging.vestigingsnummer, 12),
    ):
        assert len(preferred_text(numbers) or "") == length


def test_who_is_represented_has_a_gemachtigde_and_whom_to_call() -> None:
    bericht = read(a_verzoek(applicant=Applicant.REPRESENTED))
    assert bericht.contactpersoon is not None
    assert bericht.gemachtigde is not None
    assert bericht.gemachtigde.niet_natuurlijk_persoon is not None
    assert bericht.initiatiefnemer is not None
    assert bericht.initiatiefnemer.natuurlijk_persoon is not None


def test_places_are_points_surfaces_addresses_and_parcels_in_the_middle_of_the_country() -> None:
    point, surface, address, parcel = read(a_verzoek(places=tuple(Place))).projectlocaties
    assert isinstance(point.geometry, Point)
    assert isinstance(surface.geometry, Surface)
    assert surface.geometry.polygons[0].interior
    assert address.adresaanduiding is not None
    assert parcel.kadastrale_aanduiding is not None
    for place in (point, surface, address, parcel):
        assert place.geojson is not None
        assert place.centre == pytest.approx((5.387, 52.155), abs=0.02)


def test_the_coordinates_that_were_given_are_those_that_were_found() -> None:
    (surface,) = read(a_verzoek(places=(Place.SURFACE,))).projectlocaties
    given = surface.coordinaten_opgegeven
    assert given is not None
    assert given.vlaklocatie is not None
    assert surface.centre is not None
    x, y = given.vlaklocatie.centre
    assert surface.centre == pytest.approx(
        (5.387206 + (x - 155_000) / 68_400, 52.15517 + (y - 463_000) / 111_200), abs=1e-6
    )


def test_hostile_names_of_files_come_through_as_they_are(schema: etree.XMLSchema) -> None:
    verzoek = a_verzoek(documents=hostile_documents())
    schema.assertValid(etree.fromstring(verzoek.xml))
    names = {each.document_id: each.bestandsnaam for each in read(verzoek).documents}
    assert [names[each.document_id] for each in verzoek.documents] == list(HOSTILE_NAMES)
    assert max(map(len, HOSTILE_NAMES)) == 300
    assert len(set(HOSTILE_NAMES)) < len(HOSTILE_NAMES)


def test_a_name_can_be_longer_than_eighty_characters() -> None:
    naam = read(a_verzoek(naam=LONG_NAME)).naam
    assert naam is not None
    assert len(naam.text) > 80


def test_verzoeken_of_one_project_share_its_id() -> None:
    one, other = a_verzoek(project="p-1"), a_verzoek(verzoeknummer="2023073100049", project="p-1")
    assert read(one).project_id == read(other).project_id == "p-1"
    assert read(a_verzoek()).project_id != read(a_verzoek(verzoeknummer="2023073100049")).project_id


def test_a_copy_names_the_behandeldienst_that_handles_it() -> None:
    instantie = read(a_verzoek(behandeldienst=DIENST)).uitvoerende_instantie
    assert instantie is not None
    assert instantie.oin == DIENST


def test_a_supplement_is_a_full_snapshot_with_documents_kept_added_and_dropped(
    schema: etree.XMLSchema,
) -> None:
    first = a_verzoek(documents=DOCUMENTS)
    dropped, kept = (each.document_id for each in first.documents)
    later = supplement(first, dropped={dropped}, added=[DocumentSpec("nieuw.pdf")])
    schema.assertValid(etree.fromstring(later.xml))
    bericht = read(later)
    assert (bericht.verzoeknummer, bericht.volgnummer, bericht.known_doel) == (NUMBER, "001", Doel.AANVULLEN)
    assert {each.document_id for each in bericht.documents} == {kept, later.documents[1].document_id}
    assert later.documents[0].content.sha256() == first.documents[1].content.sha256()
    assert later.documents[1].document_id not in {dropped, kept}
    assert (bericht.initiatiefnemer, bericht.projectlocaties) == (
        read(first).initiatiefnemer,
        read(first).projectlocaties,
    )


def test_a_supplement_that_changes_nothing_has_the_same_content() -> None:
    first = a_verzoek(documents=DOCUMENTS)
    assert read(supplement(first)).documents == read(first).documents
    assert questions_of(supplement(first)) == questions_of(first)


def test_documents_added_by_two_supplements_differ() -> None:
    first = supplement(a_verzoek(documents=DOCUMENTS), added=[DocumentSpec("a.pdf")])
    second = supplement(first, added=[DocumentSpec("a.pdf")])
    assert second.spec.volgnummer == "002"
    assert len({each.document_id for each in second.documents}) == 4


def test_a_changed_answer_says_what_it_was_and_stays_changed() -> None:
    first = a_verzoek()
    was = questions_of(first)["vraag-1"].antwoord
    later = supplement(first, answers={"vraag-1": "Een toren."})
    for each in (later, supplement(later), withdrawal(later)):
        question = questions_of(each)["vraag-1"]
        assert (question.antwoord, question.oorspronkelijk_antwoord) == ("Een toren.", was)


def test_a_withdrawal_follows_with_the_same_content(schema: etree.XMLSchema) -> None:
    later = supplement(a_verzoek(documents=DOCUMENTS))
    withdrawn = withdrawal(later)
    schema.assertValid(etree.fromstring(withdrawn.xml))
    bericht = read(withdrawn)
    assert (bericht.volgnummer, bericht.known_doel) == ("002", Doel.INTREKKEN)
    assert bericht.documents == read(later).documents


def test_later_messages_of_a_verzoek_are_submitted_later() -> None:
    first = a_verzoek()
    moments = [read(each).submitted_at for each in (first, supplement(first), withdrawal(supplement(first)))]
    assert None not in moments
    assert moments == sorted(moments, key=lambda moment: moment.timestamp() if moment else 0)
    assert len(set(moments)) == 3
