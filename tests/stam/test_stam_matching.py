# SPDX-License-Identifier: EUPL-1.2

"""Links and documents find each other by documentId, and files get names that are safe and stay the same."""

from adapter.stam.matching import files_of, match_documents
from adapter.stam.references import Link, References
from adapter.store import FileKind
from adapter.verzoek import Document

BASE = "https://dso.example/d/"
VERZOEK = Link("verzoek", "https://dso.example/x")
PDF = Link("pdf", "https://dso.example/p")


def a_document(document_id: str, name: str = "a.pdf", vertrouwelijk: bool = False) -> Document:
    return Document(document_id, name, vertrouwelijk)


def paths(documents: list[Document], links: list[Link]) -> list[str]:
    files = files_of(References(VERZOEK, PDF, tuple(links)), match_documents(documents, links))
    return [file.path for file in files]


def test_the_property_of_a_link_is_its_document_id() -> None:
    link = Link("document", BASE + "inhoud", "1")
    assert match_documents([a_document("1")], [link]).links == ((link, a_document("1")),)


def test_else_the_last_segment_of_its_address_is_percent_decoded() -> None:
    link = Link("document", BASE + "a%2Fb%20c?x=1")
    match = match_documents([a_document("a/b c")], [link])
    assert match.links[0][1] == a_document("a/b c")


def test_else_its_name_is() -> None:
    assert match_documents([a_document("1")], [Link("document", BASE + "x", None, "1")]).missing == ()


def test_a_property_wins_over_the_address_of_another_link() -> None:
    by_address, by_property = Link("document", BASE + "1"), Link("document", BASE + "inhoud", "1")
    match = match_documents([a_document("1")], [by_address, by_property])
    assert match.links == ((by_property, a_document("1")), (by_address, None))


def test_a_document_without_a_link_is_missing() -> None:
    match = match_documents([a_document("1"), a_document("2")], [Link("document", BASE + "2")])
    assert match.missing == (a_document("1"),)


def test_files_are_in_the_layout_with_the_verzoek_first() -> None:
    links = [Link("document", BASE + "1"), Link("toelichting", BASE + "extra", None, "uitleg.txt")]
    match = match_documents([a_document("1", "tekening.pdf", True)], links)
    files = files_of(References(VERZOEK, PDF, tuple(links)), match)
    assert [(file.kind, file.path) for file in files] == [
        (FileKind.VERZOEK, "verzoek.xml"),
        (FileKind.PDF, "verzoek.pdf"),
        (FileKind.DOCUMENT, "bijlagen/tekening.pdf"),
        (FileKind.DOCUMENT, "bijlagen/uitleg.txt"),
    ]
    assert (files[2].document_id, files[2].vertrouwelijk) == ("1", True)
    assert (files[3].document_id, files[3].vertrouwelijk) == (None, None)


def test_names_do_not_depend_on_the_order_of_the_links() -> None:
    documents = [a_document("1"), a_document("2")]
    links = [Link("document", BASE + each) for each in ("1", "2", "9", "8")]
    one = files_of(References(VERZOEK, None, tuple(links)), match_documents(documents, links))
    links.reverse()
    other = files_of(References(VERZOEK, None, tuple(links)), match_documents(documents, links))
    assert one == other


def test_equal_names_are_told_apart_without_regard_to_case() -> None:
    documents = [a_document("1", "Foto.png"), a_document("2", "foto.PNG")]
    names = paths(documents, [Link("document", BASE + "1"), Link("document", BASE + "2")])[2:]
    assert len({name.casefold() for name in names}) == 2


def test_a_path_traversal_in_a_bestandsnaam_stays_in_the_directory() -> None:
    names = ["../../etc/passwd", "..", "/etc/passwd", "a\\..\\b", ".hidden", "CON", "a\nb.pdf", "", "x" * 400]
    documents = [a_document(str(number), name) for number, name in enumerate(names)]
    links = [Link("document", f"{BASE}{number}") for number in range(len(names))]
    for path in paths(documents, links)[2:]:
        directory, _, name = path.partition("/")
        assert directory == "bijlagen"
        assert name
        assert "/" not in name
        assert "\\" not in name
        assert not name.startswith(".")
        assert name.isprintable()
        assert len(name.encode()) <= 255


def test_a_document_without_a_name_is_called_by_its_id() -> None:
    assert paths([a_document("1", "")], [Link("document", BASE + "1")])[2:] == ["bijlagen/1"]
