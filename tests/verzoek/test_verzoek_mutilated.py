# SPDX-License-Identifier: EUPL-1.2

"""Whatever is done to a verzoekbericht, it is read or refused with a reason."""

import json
from copy import deepcopy

from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from adapter.simulator import DocumentSpec, Place, VerzoekSpec, make_verzoek
from adapter.verzoek import (
    Verzoekbericht,
    VerzoekberichtProblem,
    as_document,
    read_verzoekbericht,
    without_bsn,
)
from tests.verzoek.berichten import DIENST, GEMEENTE, NUMBER

WHOLE = etree.fromstring(
    make_verzoek(
        VerzoekSpec(
            NUMBER,
            GEMEENTE,
            behandeldienst=DIENST,
            documents=(DocumentSpec("a.pdf"), DocumentSpec("b.pdf")),
            places=tuple(Place),
        )
    ).xml
)
TEXTS = st.one_of(
    st.sampled_from(["", " ", "true", "0", "NaN", "1e999", "-1 -1", "52 5 " * 9, "000000000", "9" * 400]),
    st.text(st.characters(exclude_categories=("Cs", "Cc", "Cn")), max_size=20),
)


@st.composite
def mutilated(draw: st.DrawFn) -> bytes:
    """The message with a few elements dropped, doubled, emptied, renamed, moved or given another text."""
    root = deepcopy(WHOLE)
    for _ in range(draw(st.integers(1, 6))):
        elements = list(root.iterdescendants(etree.Element))
        if not elements:
            break
        element = draw(st.sampled_from(elements))
        parent = element.getparent()
        match draw(st.sampled_from(["drop", "double", "empty", "rename", "move", "text", "attributes"])):
            case "drop":
                parent.remove(element)
            case "double":
                parent.insert(0, deepcopy(element))
            case "empty":
                element.clear()
            case "rename":
                element.tag = draw(st.sampled_from(elements)).tag
            case "move":
                draw(st.sampled_from([each for each in (root, *root) if each is not element])).append(element)
            case "text":
                element.text = draw(TEXTS)
            case "attributes":
                element.attrib.clear()
                element.set(draw(st.sampled_from(["srsName", "srsDimension", "bron", "x"])), draw(TEXTS))
    return etree.tostring(root)


def read_or_reason(data: bytes) -> Verzoekbericht | str:
    try:
        return read_verzoekbericht(data)
    except VerzoekberichtProblem as problem:
        return problem.reason


@settings(max_examples=300, deadline=None)
@given(mutilated())
def test_a_mutilated_verzoekbericht_is_read_or_refused_with_a_reason(data: bytes) -> None:
    read = read_or_reason(data)
    if isinstance(read, str):
        assert read
        return
    json.dumps(as_document(without_bsn(read)), allow_nan=False)
    for locatie in read.projectlocaties:
        json.dumps([locatie.centre, locatie.geojson], allow_nan=False)
