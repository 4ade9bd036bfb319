# SPDX-License-Identifier: EUPL-1.2

"""The references are a bag of links, whatever their shape."""

import json
from typing import Any

import pytest

from adapter.stam import Link, LinkRules, References, ReferencesProblem, read_references

URL = "https://dso.example/afhandelen/v2/verzoeken/1"


def read(document: Any, rules: LinkRules | None = None) -> References:
    return read_references(json.dumps(document).encode(), URL, rules)


def test_a_hal_document_is_read() -> None:
    found = read(
        {
            "_links": {
                "self": {"href": URL},
                "verzoek": {"href": "/x.xml", "type": "application/xml"},
                "pdf": {"href": "https://dso.example/x.pdf"},
                "document": [
                    {"href": "/d/1", "documentId": "1", "title": "a.pdf"},
                    {"href": "d/2"},
                ],
            }
        }
    )
    assert found.verzoek == Link("verzoek", "https://dso.example/x.xml", type="application/xml")
    assert found.pdf == Link("pdf", "https://dso.example/x.pdf")
    assert found.documents == (
        Link("document", "https://dso.example/d/1", "1", "a.pdf"),
        Link("document", "https://dso.example/afhandelen/v2/verzoeken/d/2"),
    )
    assert found.links[0].href == "https://dso.example/x.xml"


def test_a_flat_list_with_relations_is_read() -> None:
    found = read({"links": [{"rel": "stamXML", "href": "/x"}, {"rel": "bijlage", "href": "/d", "id": "7"}]})
    assert found.verzoek is not None
    assert found.documents == (Link("bijlage", "https://dso.example/d", "7"),)


def test_objects_anywhere_are_links_under_their_own_name() -> None:
    found = read({"verzoek": {"href": "/x"}, "bijlagen": [{"bestand": {"href": "/d"}}]})
    assert found.verzoek is not None
    assert [link.rel for link in found.documents] == ["bestand"]


def test_an_embedded_resource_that_links_only_to_itself_is_a_link() -> None:
    resource = {"documentId": "1", "bestandsnaam": "a.pdf", "_links": {"self": {"href": "/d/1"}}}
    found = read({"_links": {"self": {"href": URL}}, "_embedded": {"documenten": [resource]}})
    assert found.documents == (Link("documenten", "https://dso.example/d/1", "1", "a.pdf"),)


@pytest.mark.parametrize("rel", ["self", "curies", "next", "prev"])
def test_navigation_is_no_content(rel: str) -> None:
    assert read({"_links": {rel: {"href": "/x"}}}).links == ()


def test_templates_are_no_links() -> None:
    assert read({"_links": {"document": {"href": "/d/{id}", "templated": True}}}).links == ()


def test_an_unknown_relation_is_kept_as_a_document() -> None:
    assert [link.rel for link in read({"_links": {"toelichting": {"href": "/t"}}}).documents] == [
        "toelichting"
    ]


@pytest.mark.parametrize(
    "rel", ["publiceerbarePDF", "publiceerbare-pdf", "dso:pdf", "https://dso.example/rels/PDF"]
)
def test_relations_are_compared_without_case_punctuation_and_prefix(rel: str) -> None:
    assert read({"_links": {rel: {"href": "/x"}}}).pdf is not None


def test_relations_are_configurable() -> None:
    rules = LinkRules(verzoek=("aanvraag",), pdf=("afdruk",))
    found = read({"_links": {"aanvraag": {"href": "/x"}, "pdf": {"href": "/p"}}}, rules)
    assert found.verzoek is not None
    assert found.pdf is None
    assert len(found.documents) == 1


def test_an_address_that_is_named_twice_is_one_link() -> None:
    assert len(read({"document": [{"href": "/d", "id": "1"}, {"href": "/d"}]}).links) == 1


def test_a_second_pdf_is_kept_as_a_document() -> None:
    found = read({"_links": {"pdf": [{"href": "/1"}, {"href": "/2"}]}})
    assert found.pdf is not None
    assert [link.href for link in found.documents] == ["https://dso.example/2"]


@pytest.mark.parametrize("data", [b"", b"<xml/>", b"{", b"\xff\xfe\x00", b"[" * 100_000])
def test_what_is_no_json_is_refused(data: bytes) -> None:
    with pytest.raises(ReferencesProblem):
        read_references(data, URL)


def test_a_deep_document_is_refused() -> None:
    document: Any = {"href": "/x"}
    for _ in range(40):
        document = {"a": document}
    with pytest.raises(ReferencesProblem, match="deeper"):
        read(document)


def test_a_flood_of_links_is_refused() -> None:
    with pytest.raises(ReferencesProblem, match="2000"):
        read({"document": [{"href": f"/{number}"} for number in range(2001)]})


def test_a_forged_request_line_is_encoded() -> None:
    (link,) = read({"document": {"href": "/d/a b\r\nX-Y: z\u00e9?q=%20#deel"}}).documents
    assert link.href == "https://dso.example/d/a%20bX-Y:%20z%C3%A9?q=%20"


def test_an_impossible_address_is_refused() -> None:
    with pytest.raises(ReferencesProblem, match="not a URL"):
        read({"document": {"href": "https://[::1"}})
