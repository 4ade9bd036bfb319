# SPDX-License-Identifier: EUPL-1.2

"""`inspect` shows a verzoekbericht: for people what matters in it, as JSON all of it."""

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from adapter.simulator import DocumentSpec, VerzoekSpec, make_verzoek, verzoeknummer
from adapter.verzoek import as_document, read_verzoekbericht
from tests.verzoek.berichten import DIENST, GEMEENTE, a_document, at_question, at_verzoek, bericht

Cli = Callable[..., Result]
BSN = "999990019"  # of the series for tests
PERSON = (
    "<initiatiefnemer><emailadres publiceerbaar='false'>a@voorbeeld.example</emailadres><natuurlijkPersoon>"
    "<geslachtsnaamNaamgebruik bron='DSO-LV'>Nietbestaand-Fictief</geslachtsnaamNaamgebruik>"
    "<geslachtsnaamNaamgebruik bron='gebruiker' publiceerbaar='true'>Nietbestaand</geslachtsnaamNaamgebruik>"
    f"<burgerservicenummer publiceerbaar='false'>{BSN}</burgerservicenummer>"
    "<verblijfsadres><straatnaam>Nergenslaan</straatnaam><huisnummer>1</huisnummer><huisletter>a</huisletter>"
    "<postcode publiceerbaar='false'>0000AA</postcode><woonplaatsnaam>Nergenshuizen</woonplaatsnaam>"
    "</verblijfsadres></natuurlijkPersoon></initiatiefnemer>"
)


@pytest.fixture
def shown(cli: Cli, tmp_path: Path) -> Callable[..., str]:
    def run(content: bytes, *options: str) -> str:
        file = tmp_path / "verzoek.xml"
        file.write_bytes(content)
        result = cli("inspect", file, *options)
        assert result.exit_code == 0, result.stderr
        return result.stdout

    return run


Shown = Callable[..., str]


def as_json(text: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(text)
    return found


def test_a_verzoekbericht_is_recognised(shown: Shown) -> None:
    spec = VerzoekSpec(
        verzoeknummer(date(2023, 7, 31), 48),
        GEMEENTE,
        documents=(DocumentSpec("tekening.pdf", 10, vertrouwelijk=True),),
    )
    found = as_json(shown(make_verzoek(spec).xml, "--json"))
    assert (found["kind"], found["verzoeknummer"]) == ("verzoekbericht", spec.verzoeknummer)
    assert found["bevoegdGezag"]["oin"] == GEMEENTE
    assert [(one["bestandsnaam"], one["vertrouwelijk"]) for one in found["documents"]] == [
        ("tekening.pdf", True)
    ]


def test_as_json_everything_is_there(shown: Shown) -> None:
    xml = make_verzoek(VerzoekSpec("2023073100048", GEMEENTE, behandeldienst=DIENST, seed=2)).xml
    found = as_json(shown(xml, "--json"))
    assert found.items() >= as_document(read_verzoekbericht(xml)).items()


def test_people_read_who_asks(shown: Shown) -> None:
    text = shown(bericht(PERSON))
    assert "Nietbestaand (DSO-LV: Nietbestaand-Fictief)\n" in text
    assert "Nergenslaan 1 a 0000AA Nergenshuizen [not publishable]\n" in text
    assert "a@voorbeeld.example [not publishable]\n" in text


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_a_burgerservicenummer_is_masked(shown: Shown, options: tuple[str, ...]) -> None:
    text = shown(bericht(PERSON), *options)
    assert BSN not in text
    assert "******019" in text


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_a_burgerservicenummer_is_shown_where_that_is_asked(shown: Shown, options: tuple[str, ...]) -> None:
    assert BSN in shown(bericht(PERSON), "--bsn", *options)


def test_people_read_questions_with_their_answers_and_what_they_were(shown: Shown) -> None:
    question = (
        "<specificatie><antwoord>Drie</antwoord><oorspronkelijkAntwoord>Twee</oorspronkelijkAntwoord>"
        "<vraagtekst>Hoeveel?</vraagtekst><publiceerbaar>true</publiceerbaar></specificatie>"
        "<specificatie><antwoord>Geheim</antwoord><vraagId>v2</vraagId></specificatie>"
    )
    text = shown(
        bericht(
            "<projectactiviteiten><projectactiviteit><activiteitnaam>Bouwen</activiteitnaam>"
            f"<specificaties>{question}</specificaties></projectactiviteit></projectactiviteiten>"
        )
    )
    assert "activiteit  Bouwen" in text
    lines = text.splitlines()
    assert any(line.split() == ["Hoeveel?", "Drie", "Twee"] for line in lines)
    assert any("v2" in line and "Geheim [not publishable]" in line for line in lines)


def test_people_read_documents_places_and_participation(shown: Shown) -> None:
    text = shown(
        bericht(
            "<projectlocaties><projectlocatie><coordinatenEtrs><puntlocatie>"
            "<pos srsName='urn:ogc:def:crs:EPSG::4258'>52.1 5.3</pos></puntlocatie></coordinatenEtrs>"
            "<kadastraleAanduiding><kadastraleGemeente>NGH00</kadastraleGemeente>"
            "<kadastraleSectie>Q</kadastraleSectie><kadastraalPerceelnummer>7</kadastraalPerceelnummer>"
            "</kadastraleAanduiding></projectlocatie></projectlocaties>"
            + at_question(a_document("1", "plan.pdf"))
            + "<participatie><geparticipeerd publiceerbaar='false'>true</geparticipeerd></participatie>"
            + at_verzoek(a_document("2", "akte.pdf", "true"))
        )
    )
    assert "NGH00 Q 7" in text
    assert "ETRS89 5.300000 52.100000" in text
    assert "geparticipeerd  true [not publishable]" in text
    assert any(line.split() == ["akte.pdf", "yes", "2"] for line in text.splitlines())


def test_a_geometry_that_cannot_be_read_is_said_so(shown: Shown) -> None:
    text = shown(
        bericht(
            "<projectlocaties><projectlocatie><coordinatenEtrs><puntlocatie/></coordinatenEtrs>"
            "</projectlocatie></projectlocaties>"
        )
    )
    assert "unreadable: the point has no gml:pos" in text


def test_names_of_files_cannot_drive_the_terminal(shown: Shown) -> None:
    text = shown(bericht(at_verzoek(a_document("1", "a\u009b31m\u202e.pdf"))))
    assert "a\ufffd31m\ufffd.pdf" in text


def test_a_verzoekbericht_without_an_oin_fails_with_the_reason(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "verzoek.xml"
    file.write_bytes(bericht(drop="bevoegdGezag"))
    result = cli("inspect", file)
    assert result.exit_code == 1
    assert "no bevoegdGezag/oin" in result.stderr
