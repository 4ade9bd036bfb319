# SPDX-License-Identifier: EUPL-1.2

"""A model becomes a document for machines."""

import json

from adapter.simulator import DocumentSpec, VerzoekSpec, make_verzoek
from adapter.verzoek import (
    Crs,
    Point,
    Polygon,
    Surface,
    as_document,
    read_verzoekbericht,
)
from tests.verzoek.berichten import GEMEENTE, NUMBER


def test_a_geometry_reads_as_geojson_with_its_reference_system() -> None:
    ring = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 0.0))
    assert as_document(Point(Crs.RD, (1.0, 2.0))) == {"crs": "RD", "type": "Point", "coordinates": [1.0, 2.0]}
    assert as_document(Surface(Crs.ETRS89, (Polygon(ring),))) == {
        "crs": "ETRS89",
        "type": "MultiPolygon",
        "coordinates": [[[list(position) for position in ring]]],
    }


def test_a_whole_verzoekbericht_is_json() -> None:
    spec = VerzoekSpec(NUMBER, GEMEENTE, documents=(DocumentSpec("a.pdf"), DocumentSpec("b.pdf")))
    document = as_document(read_verzoekbericht(make_verzoek(spec).xml))
    assert json.loads(json.dumps(document)) == document
    specificatie = document["projectactiviteiten"][0]["specificaties"][0]
    assert "documentsoortDSO" in specificatie["gevraagdeBijlage"]
