# SPDX-License-Identifier: EUPL-1.2

"""The model holds every element of the schema of STAM 4.0, under its name on the wire."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from adapter.verzoek import Doel, as_document, read_verzoekbericht
from adapter.verzoek.kinds import STAM_TYPES
from tests.verzoek.from_schema import Made, Schema

WRAPPERS = {  # elements that do nothing but hold others of one name, which the model has as a list
    "projectlocaties/projectlocatie": "projectlocaties",
    "projectactiviteiten/projectactiviteit": "projectactiviteiten",
    "specificaties/specificatie": "specificaties",
    "documenten/document": "documenten",
    "bevoegdGezagHistorie/bevoegdGezag": "bevoegdGezagHistorie",
    "uitvoerendeInstantieHistorie/uitvoerendeInstantie": "uitvoerendeInstantieHistorie",
}


@pytest.fixture
def directory(shared: Path) -> Path:
    return shared / "xsd" / "stam-4.0"


@pytest.fixture(params=[0, 1, 2], ids=["first-choice", "second-choice", "third-choice"])
def made(request: pytest.FixtureRequest, directory: Path) -> Made:
    return Schema(directory, alternative=request.param).message()


def leaves_of(value: Any, path: str = "") -> Counter[tuple[str, str]]:
    """Every text of a document with the path to it; booleans as they are written in XML."""
    found: Counter[tuple[str, str]] = Counter()
    if isinstance(value, dict) and "text" in value:
        found[path, value["text"]] += 1
    elif isinstance(value, dict):
        for key, item in value.items():
            found += leaves_of(item, f"{path}/{key}")
    elif isinstance(value, list):
        for item in value:
            found += leaves_of(item, path)
    elif value is not None:
        found[path, str(value).lower() if isinstance(value, bool) else str(value)] += 1
    return found


def expected_path(path: str) -> str:
    for wrapped, name in WRAPPERS.items():
        path = path.replace(wrapped, name)
    return path.removeprefix("/verzoek") if path.startswith("/verzoek/") else path


def test_the_made_message_is_valid(made: Made, directory: Path) -> None:
    etree.XMLSchema(etree.parse(directory / "imam-4.0.xsd")).assertValid(etree.fromstring(made.xml))


def test_every_element_of_the_schema_is_in_the_model(made: Made) -> None:
    found = leaves_of(as_document(read_verzoekbericht(made.xml)))
    expected = Counter((expected_path(path), text) for path, text in made.leaves)
    assert expected - found == Counter()


def test_every_geometry_of_the_schema_is_in_the_model(made: Made) -> None:
    for locatie in read_verzoekbericht(made.xml).projectlocaties:
        for coordinaten in (locatie.coordinaten_etrs, locatie.coordinaten_opgegeven):
            if coordinaten is not None:
                assert coordinaten.problem is None
                assert coordinaten.puntlocatie is not None
                assert coordinaten.vlaklocatie is not None


def test_types_and_doelen_are_those_of_the_schema(directory: Path) -> None:
    common = etree.parse(directory / "common-4.0.xsd")
    values = {
        name: common.xpath(f"//*[@name='{name}']//*[local-name()='enumeration']/@value")
        for name in ("TypeVerzoek", "DoelVerzoek")
    }
    assert list(STAM_TYPES) == values["TypeVerzoek"]
    assert [each.value for each in Doel] == values["DoelVerzoek"]
