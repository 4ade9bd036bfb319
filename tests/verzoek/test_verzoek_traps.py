# SPDX-License-Identifier: EUPL-1.2

"""The traps that are known of STAM messages: each is stepped over."""

from datetime import UTC, datetime

import pytest

from adapter.delivery import unique_names
from adapter.verzoek import (
    Answer,
    Doel,
    NatuurlijkPersoon,
    Organisatie,
    Verzoekbericht,
    dutch_moment,
    preferred,
    preferred_text,
    read_verzoekbericht,
)
from tests.verzoek.berichten import DIENST, GEMEENTE, NUMBER, a_document, at_question, at_verzoek, bericht

BSN = "999990019"  # of the series for tests
INNER = "http://www.omgevingswet.nl/koppelvlak/stam-v4/common"
OUTER = "http://www.omgevingswet.nl/koppelvlak/stam-v4/verzoek"


def read(body: str) -> Verzoekbericht:
    return read_verzoekbericht(bericht(body))


def a_person(content: str) -> NatuurlijkPersoon:
    body = f"<initiatiefnemer><natuurlijkPersoon>{content}</natuurlijkPersoon></initiatiefnemer>"
    initiatiefnemer = read(body).initiatiefnemer
    assert initiatiefnemer is not None
    assert initiatiefnemer.natuurlijk_persoon is not None
    return initiatiefnemer.natuurlijk_persoon


def test_trap_1_a_moment_without_a_zone_and_with_nine_digits_is_dutch_time_and_its_text_is_kept() -> None:
    bericht = read("<indienDatum>2023-07-31T10:11:12.123456789</indienDatum>")
    assert bericht.indien_datum == "2023-07-31T10:11:12.123456789"
    assert bericht.submitted_at is not None
    assert bericht.submitted_at.astimezone(UTC) == datetime(2023, 7, 31, 8, 11, 12, 123456, UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2023-01-31T10:11:12", datetime(2023, 1, 31, 9, 11, 12, tzinfo=UTC)),
        ("2023-01-31T10:11:12Z", datetime(2023, 1, 31, 10, 11, 12, tzinfo=UTC)),
        ("2023-01-31T10:11:12.5+05:00", datetime(2023, 1, 31, 5, 11, 12, 500_000, UTC)),
        ("2023-10-29T02:30:00", datetime(2023, 10, 29, 0, 30, tzinfo=UTC)),
        ("2023-13-31T10:11:12", None),
        ("2023-07-31", None),
        ("31 juli", None),
        (None, None),
    ],
)
def test_trap_1_a_moment_is_read_or_is_none(text: str | None, expected: datetime | None) -> None:
    moment = dutch_moment(text)
    assert (moment and moment.astimezone(UTC)) == expected


def test_trap_2_both_texts_of_a_leaf_are_kept_and_the_applicant_goes_before_what_was_looked_up() -> None:
    person = a_person(
        '<geslachtsnaamNaamgebruik bron="DSO-LV" publiceerbaar="false">Jansen</geslachtsnaamNaamgebruik>'
        '<geslachtsnaamNaamgebruik bron="gebruiker" publiceerbaar="true">Janssen</geslachtsnaamNaamgebruik>'
    )
    assert person.geslachtsnaam_naamgebruik == (
        Answer("Jansen", "DSO-LV", False),
        Answer("Janssen", "gebruiker", True),
    )
    assert preferred_text(person.geslachtsnaam_naamgebruik) == "Janssen"


def test_trap_2_without_a_bron_the_first_goes_before_the_others() -> None:
    assert preferred((Answer("a"), Answer("b"))) == Answer("a")
    assert preferred(()) is None


def test_trap_3_what_looks_like_a_boolean_and_is_a_text_stays_a_text() -> None:
    bericht = read(
        "<akkoordverklaring>Ja, akkoord</akkoordverklaring><ambtshalve>0</ambtshalve>"
        "<verzoekBijlage><gevraagdeBijlage><verplicht>alleen als</verplicht></gevraagdeBijlage></verzoekBijlage>"
    )
    assert (bericht.akkoordverklaring, bericht.ambtshalve) == ("Ja, akkoord", "0")
    gevraagd = bericht.verzoek_bijlage[0].gevraagde_bijlage
    assert gevraagd is not None
    assert gevraagd.verplicht == "alleen als"


def test_trap_4_the_uitvoerende_instantie_may_be_absent_and_its_name_may_be_its_oin() -> None:
    assert read("").uitvoerende_instantie is None
    body = f"<uitvoerendeInstantie><naam>{DIENST}</naam><oin>{DIENST}</oin></uitvoerendeInstantie>"
    assert read(body).uitvoerende_instantie == Organisatie(DIENST, DIENST)


def test_trap_5_documents_stand_in_two_places_and_a_document_id_may_occur_more_than_once() -> None:
    body = at_question(a_document("1"), a_document("2")) + at_verzoek(a_document("1"), a_document("3"))
    bericht = read(body)
    assert [each.document_id for each in bericht.documents] == ["1", "2", "3"]
    gevraagd = bericht.verzoek_bijlage[0].gevraagde_bijlage
    assert gevraagd is not None
    assert [each.document_id for each in gevraagd.documenten] == ["1", "3"]


def test_trap_6_a_document_has_no_address_and_needs_none() -> None:
    (document,) = read(at_verzoek(a_document("e3b0c442" * 8))).documents
    assert document.document_id == "e3b0c442" * 8


def test_trap_7_a_bsn_of_nine_zeros_is_none() -> None:
    assert a_person("<burgerservicenummer>000000000</burgerservicenummer>").burgerservicenummer is None


def test_trap_7_a_bsn_comes_in_clear_text_and_is_not_printed() -> None:
    person = a_person(f'<burgerservicenummer publiceerbaar="false">{BSN}</burgerservicenummer>')
    assert person.burgerservicenummer == Answer(BSN, None, False)
    assert BSN not in f"{person} {person!r}"


def test_trap_8_the_names_of_files_are_kept_as_they_came_and_are_not_yet_safe() -> None:
    names = ["../../etc/passwd", "CON.pdf", "n" * 300 + ".pdf", "a.pdf", "A.pdf"]
    body = at_verzoek(*(a_document(str(number), name) for number, name in enumerate(names)))
    read_names = [each.bestandsnaam for each in read(body).documents]
    assert read_names == names
    safe = unique_names(read_names)
    assert len({each.casefold() for each in safe}) == len(names)
    assert not any("/" in each or len(each) > 255 for each in safe)


def test_trap_9_latitude_comes_first_in_etrs89_and_x_in_rd() -> None:
    (locatie,) = read(
        "<projectlocaties><projectlocatie>"
        '<coordinatenEtrs><puntlocatie><pos srsName="urn:ogc:def:crs:EPSG::4258">52.1 5.3</pos></puntlocatie>'
        "</coordinatenEtrs>"
        '<coordinatenOpgegeven><puntlocatie><pos srsName="urn:ogc:def:crs:EPSG::28992">155000 463000</pos>'
        "</puntlocatie></coordinatenOpgegeven></projectlocatie></projectlocaties>"
    ).projectlocaties
    assert locatie.geojson == {"type": "Point", "coordinates": [5.3, 52.1]}
    assert locatie.coordinaten_opgegeven is not None
    assert locatie.coordinaten_opgegeven.puntlocatie is not None
    assert locatie.coordinaten_opgegeven.puntlocatie.position == (155000, 463000)


def test_trap_10_equal_names_in_other_namespaces_are_read_alike() -> None:
    def coordinates(name: str, namespace: str) -> str:
        return (
            f'<{name} xmlns:n="{namespace}"><n:puntlocatie><pos>52 5</pos></n:puntlocatie>'
            f"<n:referentiestelsel>ETRS89</n:referentiestelsel></{name}>"
        )

    (locatie,) = read(
        "<projectlocaties><projectlocatie>"
        f"{coordinates('coordinatenEtrs', INNER)}{coordinates('coordinatenOpgegeven', OUTER)}"
        "</projectlocatie></projectlocaties>"
    ).projectlocaties
    assert locatie.coordinaten_etrs is not None
    assert locatie.coordinaten_etrs.referentiestelsel == "ETRS89"
    assert locatie.coordinaten_etrs == locatie.coordinaten_opgegeven


def test_trap_11_a_name_that_occurs_at_several_levels_is_read_at_its_own() -> None:
    bericht = read(
        "<bevoegdGezagHistorie><bevoegdGezag><naam>Vroeger</naam><oin>1</oin></bevoegdGezag></bevoegdGezagHistorie>"
        "<project><naam>Project</naam></project>"
        "<contactpersoon><emailadres>contact@x.example</emailadres></contactpersoon>"
        "<gemachtigde><emailadres>gemachtigde@x.example</emailadres></gemachtigde>"
        "<initiatiefnemer><telefoonnummer>1</telefoonnummer></initiatiefnemer>" + at_question()
    )
    assert bericht.naam is None
    assert bericht.project is not None
    assert bericht.project.naam == Answer("Project")
    assert (bericht.bevoegd_gezag.oin, bericht.uitvoerende_instantie) == (GEMEENTE, None)
    assert bericht.bevoegd_gezag_historie == (Organisatie("1", "Vroeger"),)
    assert bericht.initiatiefnemer is not None
    assert bericht.initiatiefnemer.emailadres == ()
    assert (bericht.volgnummer, bericht.projectactiviteiten[0].volgnummer) == ("000", "9")


def test_trap_12_a_choice_of_addresses_may_be_empty() -> None:
    person = a_person("<correspondentieAdres/>")
    assert (person.verblijfsadres, person.verblijfsadres_buitenland) == (None, None)
    assert person.correspondentie_adres is not None
    assert person.correspondentie_adres.binnenlands_adres is None


@pytest.mark.parametrize(
    ("text", "doel"),
    [
        ("Vooroverleg", Doel.CONCEPTVERZOEK),
        ("Conceptverzoek", Doel.CONCEPTVERZOEK),
        ("Initieren", Doel.INITIEREN),
        ("Initiëren", Doel.INITIEREN),
        ("Aanvullen", Doel.AANVULLEN),
        ("Intrekken", Doel.INTREKKEN),
        ("Heroverwegen", None),
    ],
)
def test_trap_13_a_doel_is_known_whatever_its_version_calls_it(text: str, doel: Doel | None) -> None:
    read = read_verzoekbericht(bericht().replace(b"Initieren", text.encode()))
    assert (read.doel, read.known_doel) == (text, doel)


def test_trap_14_verzoek_bijlage_itself_is_repeated() -> None:
    bericht = read(at_verzoek(a_document("1")) + at_verzoek(a_document("2")))
    assert [each.document_id for each in bericht.documents] == ["1", "2"]


@pytest.mark.parametrize("version", ["stam-v2", "stam-v4", "stam-v9"])
def test_trap_15_an_unknown_version_with_unknown_elements_is_read(version: str) -> None:
    namespace = f"http://www.omgevingswet.nl/koppelvlak/{version}/verzoek"
    data = bericht("<nieuw><verzoeknummer>9</verzoeknummer></nieuw>", namespace=namespace)
    assert read_verzoekbericht(data).verzoeknummer == NUMBER
