# SPDX-License-Identifier: EUPL-1.2

"""The verzoekbericht is read by exact paths, with the traps of STAM avoided."""

import pytest

from adapter.simulator import DocumentSpec, VerzoekSpec, make_verzoek
from adapter.verzoek import Document, Organisatie, VerzoekberichtProblem, read_verzoekbericht
from adapter.verzoek.elements import MAX_REPEATS
from tests.verzoek.berichten import DIENST, GEMEENTE, NUMBER, a_document, at_question, at_verzoek, bericht


def test_a_verzoekbericht_of_the_simulator_is_read_completely() -> None:
    documents = (DocumentSpec("a.pdf"), DocumentSpec("b.pdf", vertrouwelijk=True), DocumentSpec("c.pdf"))
    verzoek = make_verzoek(VerzoekSpec(NUMBER, GEMEENTE, behandeldienst=DIENST, documents=documents))
    read = read_verzoekbericht(verzoek.xml)
    assert (read.verzoeknummer, read.volgnummer, read.doel) == (NUMBER, "000", "Initieren")
    assert read.type == "Aanvraag vergunning"
    assert (read.bevoegd_gezag.oin, read.bevoegd_gezag.naam) == (GEMEENTE, "Gemeente Nergenshuizen")
    assert read.project_id
    assert [(each.document_id, each.bestandsnaam, each.vertrouwelijk) for each in read.documents] == [
        (each.document_id, each.spec.bestandsnaam, each.spec.vertrouwelijk) for each in verzoek.documents
    ]


def test_the_uitvoerende_instantie_may_be_absent() -> None:
    assert read_verzoekbericht(bericht()).uitvoerende_instantie is None


def test_the_name_of_the_uitvoerende_instantie_may_be_its_oin() -> None:
    body = f"<uitvoerendeInstantie><naam>{DIENST}</naam><oin>{DIENST}</oin></uitvoerendeInstantie>"
    assert read_verzoekbericht(bericht(body)).uitvoerende_instantie == Organisatie(DIENST, DIENST)


def test_the_history_of_the_bevoegd_gezag_is_not_taken_for_the_present() -> None:
    history = (
        "<bevoegdGezagHistorie><bevoegdGezag><oin>1</oin></bevoegdGezag></bevoegdGezagHistorie>"
        "<uitvoerendeInstantieHistorie><uitvoerendeInstantie><oin>2</oin></uitvoerendeInstantie>"
        "</uitvoerendeInstantieHistorie>"
    )
    read = read_verzoekbericht(bericht(history))
    assert read.bevoegd_gezag.oin == GEMEENTE
    assert read.uitvoerende_instantie is None


def test_the_volgnummer_of_an_activity_is_not_that_of_the_verzoek() -> None:
    with pytest.raises(VerzoekberichtProblem, match="volgnummer"):
        read_verzoekbericht(bericht(at_question(a_document("1")), drop="volgnummer"))


def test_documents_of_both_places_are_folded_by_id() -> None:
    body = at_question(a_document("1"), a_document("2", "b.pdf")) + at_verzoek(
        a_document("1"), a_document("3", "c.pdf")
    )
    ids = [each.document_id for each in read_verzoekbericht(bericht(body)).documents]
    assert ids == ["1", "2", "3"]


def test_verzoek_bijlage_may_be_repeated() -> None:
    body = at_verzoek(a_document("1")) + at_verzoek(a_document("2"))
    assert len(read_verzoekbericht(bericht(body)).documents) == 2


def test_a_document_is_confidential_when_one_of_its_places_says_so() -> None:
    body = at_question(a_document("1")) + at_verzoek(a_document("1", vertrouwelijk="true"))
    assert read_verzoekbericht(bericht(body)).documents == (Document("1", "a.pdf", True),)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("true", True), ("1", True), ("false", False), ("0", False), ("", True), ("ja", True)],
)
def test_what_is_not_clearly_public_is_confidential(text: str, expected: bool) -> None:
    (document,) = read_verzoekbericht(bericht(at_verzoek(a_document("1", vertrouwelijk=text)))).documents
    assert document.vertrouwelijk is expected


def test_documents_without_an_id_are_refused() -> None:
    with pytest.raises(VerzoekberichtProblem, match="documentId"):
        read_verzoekbericht(bericht(at_verzoek(a_document(""))))


@pytest.mark.parametrize("namespace", ["urn:anders", "http://www.omgevingswet.nl/koppelvlak/stam-v5/verzoek"])
def test_an_unknown_version_is_read(namespace: str) -> None:
    assert read_verzoekbericht(bericht(namespace=namespace)).verzoeknummer == NUMBER


def test_a_doel_of_an_older_version_is_kept_as_it_is() -> None:
    data = bericht().replace(b"Initieren", b"Vooroverleg")
    assert read_verzoekbericht(data).doel == "Vooroverleg"


@pytest.mark.parametrize("name", ["doel", "type", "verzoeknummer", "volgnummer", "bevoegdGezag"])
def test_what_identifies_a_verzoek_is_required(name: str) -> None:
    with pytest.raises(VerzoekberichtProblem, match=name):
        read_verzoekbericht(bericht(drop=name))


@pytest.mark.parametrize("data", [b"", b"<html/>", b"<verzoekXML/>", b"%PDF-1.4", b"<a><verzoek/></a>"])
def test_what_is_no_verzoekbericht_is_refused(data: bytes) -> None:
    with pytest.raises(VerzoekberichtProblem):
        read_verzoekbericht(data)


def test_a_dtd_is_refused() -> None:
    with pytest.raises(VerzoekberichtProblem, match="DTD"):
        read_verzoekbericht(b'<!DOCTYPE verzoekXML [<!ENTITY a "b">]>' + bericht())


def test_more_repetitions_than_any_verzoek_has_are_refused() -> None:
    documents = [a_document(str(number)) for number in range(MAX_REPEATS + 1)]
    assert len(read_verzoekbericht(bericht(at_verzoek(*documents[1:]))).documents) == MAX_REPEATS
    with pytest.raises(VerzoekberichtProblem, match="10001 elements <document>"):
        read_verzoekbericht(bericht(at_verzoek(*documents)))
