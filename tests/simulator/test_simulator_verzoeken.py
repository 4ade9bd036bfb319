# SPDX-License-Identifier: EUPL-1.2

"""Made-up verzoeken are what DSO-LV would send, and the same every time."""

import hashlib
from datetime import date
from pathlib import Path

import pytest
from lxml import etree

from adapter.simulator import (
    DocumentSpec,
    VerzoekSpec,
    make_verzoek,
    notification_xml,
    random_spec,
    verzoeknummer,
)
from tests.memory import measured_peak

GEMEENTE = "00000099000000001000"
DIENST = "00000099000000002000"
VX = "{http://www.omgevingswet.nl/koppelvlak/stam-v4/verzoek}"
DOCUMENTS = (
    DocumentSpec("plattegrond.pdf", 3000),
    DocumentSpec("foto.png", 2000, "image/png", vertrouwelijk=True),
    DocumentSpec("brief.doc", 10, "application/msword"),
)


def a_spec(**changes: object) -> VerzoekSpec:
    values: dict[str, object] = {
        "verzoeknummer": "2023073100048",
        "bevoegd_gezag": GEMEENTE,
        "documents": DOCUMENTS,
        **changes,
    }
    return VerzoekSpec(**values)  # type: ignore[arg-type]


@pytest.fixture
def schema(shared: Path) -> etree.XMLSchema:
    return etree.XMLSchema(etree.parse(shared / "xsd" / "stam-4.0" / "imam-4.0.xsd"))


@pytest.mark.parametrize("doel", ["Initieren", "Conceptverzoek", "Aanvullen", "Intrekken"])
@pytest.mark.parametrize("behandeldienst", [None, DIENST])
def test_a_verzoekbericht_satisfies_the_schema(
    schema: etree.XMLSchema, doel: str, behandeldienst: str | None
) -> None:
    verzoek = make_verzoek(a_spec(doel=doel, behandeldienst=behandeldienst))
    schema.assertValid(etree.fromstring(verzoek.xml))


@pytest.mark.parametrize("seed", range(8))
def test_every_random_verzoek_satisfies_the_schema(schema: etree.XMLSchema, seed: int) -> None:
    verzoek = make_verzoek(random_spec("2023073100048", GEMEENTE, seed))
    schema.assertValid(etree.fromstring(verzoek.xml))
    assert verzoek.documents


def test_a_verzoek_without_documents_satisfies_the_schema(schema: etree.XMLSchema) -> None:
    schema.assertValid(etree.fromstring(make_verzoek(a_spec(documents=())).xml))


def test_applicants_are_natural_persons_and_companies() -> None:
    texts = [make_verzoek(a_spec(seed=seed)).xml for seed in range(10)]
    persons = sum(b"natuurlijkPersoon>" in text and b"nietNatuurlijkPersoon" not in text for text in texts)
    assert 0 < persons < len(texts)


def test_the_same_specification_gives_the_same_octets() -> None:
    first, second = make_verzoek(a_spec()), make_verzoek(a_spec())
    assert (first.xml, first.pdf) == (second.xml, second.pdf)
    assert [each.content.sha256() for each in first.documents] == [
        each.content.sha256() for each in second.documents
    ]


def test_an_aanvulling_keeps_the_document_ids() -> None:
    first = make_verzoek(a_spec())
    later = make_verzoek(a_spec(volgnummer="001", doel="Aanvullen"))
    assert [each.document_id for each in first.documents] == [each.document_id for each in later.documents]


def test_another_version_of_a_document_has_other_octets_under_the_same_id() -> None:
    first = make_verzoek(a_spec(documents=(DocumentSpec("a.bin", 100, "application/octet-stream"),)))
    second = make_verzoek(
        a_spec(documents=(DocumentSpec("a.bin", 100, "application/octet-stream", version=2),))
    )
    assert first.documents[0].document_id == second.documents[0].document_id
    assert first.documents[0].content.sha256() != second.documents[0].content.sha256()


def test_documents_are_named_in_both_places_of_the_schema() -> None:
    root = etree.fromstring(make_verzoek(a_spec()).xml)
    at_question = root.findall(f".//{VX}specificatie//{VX}documentId")
    at_verzoek = root.findall(f".//{VX}verzoekBijlage//{VX}documentId")
    assert len(at_question) == 2
    assert len(at_verzoek) == 2
    assert at_question[0].text in {each.text for each in at_verzoek}


def test_the_moment_of_submission_has_nine_fraction_digits_and_no_zone() -> None:
    text = etree.fromstring(make_verzoek(a_spec()).xml).findtext(f".//{VX}indienDatum")
    assert text is not None
    assert text.startswith("2023-07-31T")
    assert len(text.rpartition(".")[2]) == 9


@pytest.mark.parametrize("size", [0, 1, 5, 65_536, 65_537, 200_000])
def test_a_document_has_exactly_its_size(size: int) -> None:
    (document,) = make_verzoek(a_spec(documents=(DocumentSpec("x.pdf", size),))).documents
    data = b"".join(document.content.blocks())
    assert len(data) == size
    assert hashlib.sha256(data).hexdigest() == document.content.sha256()


def test_a_large_document_streams_in_fixed_memory() -> None:
    (document,) = make_verzoek(a_spec(documents=(DocumentSpec("x.bin", 200_000_000),))).documents
    with measured_peak() as peak:
        total = sum(len(block) for block in document.content.blocks())
    assert total == 200_000_000
    assert peak.octets < 1_000_000


def test_the_pdf_has_a_cross_reference_table_that_holds() -> None:
    pdf = make_verzoek(a_spec()).pdf
    assert pdf.startswith(b"%PDF-1.4")
    assert pdf.endswith(b"%%EOF\n")
    start = int(pdf.split(b"startxref\n")[1].split(b"\n")[0])
    assert pdf[start:].startswith(b"xref\n")
    entries = [line for line in pdf[start:].split(b"\n") if line.endswith(b" 00000 n ")]
    for number, entry in enumerate(entries, start=1):
        assert pdf[int(entry[:10]) :].startswith(b"%d 0 obj" % number)


def test_a_verzoeknummer_is_the_day_and_five_digits() -> None:
    assert verzoeknummer(date(2023, 7, 31), 48) == "2023073100048"


def test_only_bevoegd_gezag_and_behandeldienst_are_entitled() -> None:
    verzoek = make_verzoek(a_spec(behandeldienst=DIENST))
    assert verzoek.is_open_to(GEMEENTE)
    assert verzoek.is_open_to(DIENST)
    assert not verzoek.is_open_to("00000099000000003000")


def test_the_notification_names_the_verzoek() -> None:
    root = etree.fromstring(notification_xml(make_verzoek(a_spec())))
    assert etree.QName(root).localname == "verzoeknotificatie"
    assert root.findtext(".//{*}verzoeknummer") == "2023073100048"
    assert root.findtext(".//{*}bevoegdGezag/{*}oin") == GEMEENTE
    assert root.find("{*}stuurgegevens") is not None
