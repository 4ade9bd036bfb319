# SPDX-License-Identifier: EUPL-1.2

"""Geometry of GML becomes positions with x first, GeoJSON, and a middle."""

import pytest
from lxml import etree

from adapter.verzoek import Point, Projectlocatie, Surface, read_verzoekbericht
from adapter.verzoek.geometry import MAX_POSITIONS, Crs, GeometryProblem, read_point, read_surface
from tests.verzoek.berichten import bericht

ETRS89 = "urn:ogc:def:crs:EPSG::4258"
RD = "urn:ogc:def:crs:EPSG::28992"
SQUARE = "52 5 52 6 53 6 53 5 52 5"
HOLE = "52.4 5.4 52.4 5.6 52.6 5.6 52.6 5.4 52.4 5.4"


def ring(kind: str, positions: str) -> str:
    return f"<{kind}><LinearRing><posList>{positions}</posList></LinearRing></{kind}>"


def polygon(*rings: str, srs: str = ETRS89) -> str:
    return f'<surfaceMember><Polygon srsName="{srs}">{"".join(rings)}</Polygon></surfaceMember>'


def surface(*members: str, default: Crs | None = None) -> Surface:
    return read_surface(etree.fromstring(f"<vlaklocatie>{''.join(members)}</vlaklocatie>"), default)


def point(pos: str, default: Crs | None = None) -> Point:
    return read_point(etree.fromstring(f"<puntlocatie>{pos}</puntlocatie>"), default)


def test_a_polygon_with_a_hole_becomes_geojson() -> None:
    found = surface(polygon(ring("exterior", SQUARE), ring("interior", HOLE))).geojson
    assert found is not None
    assert found["type"] == "Polygon"
    assert found["coordinates"][0] == [[5, 52], [6, 52], [6, 53], [5, 53], [5, 52]]
    assert len(found["coordinates"]) == 2


def test_several_polygons_become_a_multi_polygon() -> None:
    other = SQUARE.replace("5", "4")
    found = surface(polygon(ring("exterior", SQUARE)), polygon(ring("exterior", other)))
    assert found.geojson is not None
    assert found.geojson["type"] == "MultiPolygon"
    assert len(found.geojson["coordinates"]) == 2


def test_a_ring_of_single_positions_is_read_and_closed() -> None:
    single = "".join(f"<pos>{x} {y}</pos>" for x, y in ((0, 0), (4, 0), (4, 4)))
    exterior = f"<exterior><LinearRing>{single}</LinearRing></exterior>"
    assert surface(polygon(exterior, srs=RD)).polygons[0].exterior == ((0, 0), (4, 0), (4, 4), (0, 0))


def test_a_surface_of_patches_is_read() -> None:
    patches = f"<patches><PolygonPatch>{ring('exterior', SQUARE)}</PolygonPatch></patches>"
    member = f'<surfaceMember><Surface srsName="{ETRS89}">{patches}</Surface></surfaceMember>'
    assert len(surface(member).polygons) == 1


def test_geometry_inside_an_element_of_gml_is_read() -> None:
    assert point(f'<Point srsName="{RD}"><pos>1 2</pos></Point>').position == (1, 2)
    assert surface(f"<MultiSurface>{polygon(ring('exterior', SQUARE))}</MultiSurface>").polygons


@pytest.mark.parametrize(
    ("name", "crs", "position"),
    [
        ("urn:ogc:def:crs:EPSG::4258", Crs.ETRS89, (5, 52)),
        ("urn:ogc:def:crs:EPSG:6.9:4326", Crs.WGS84, (5, 52)),
        ("http://www.opengis.net/def/crs/EPSG/0/4258", Crs.ETRS89, (5, 52)),
        ("http://www.opengis.net/gml/srs/epsg.xml#4258", Crs.ETRS89, (5, 52)),
        ("EPSG:4258", Crs.ETRS89, (5, 52)),
        ("urn:ogc:def:crs:OGC:1.3:CRS84", Crs.WGS84, (52, 5)),
        ("urn:ogc:def:crs:EPSG::28992", Crs.RD, (52, 5)),
    ],
)
def test_the_order_of_a_position_follows_its_reference_system(
    name: str, crs: Crs, position: tuple[float, float]
) -> None:
    assert point(f'<pos srsName="{name}">52 5</pos>') == Point(crs, position)


def test_the_nearest_srs_name_counts_and_without_one_the_referentiestelsel() -> None:
    assert point(f'<Point srsName="{ETRS89}"><pos srsName="{RD}">1 2</pos></Point>').crs is Crs.RD
    assert point("<pos>1 2</pos>", Crs.RD) == Point(Crs.RD, (1, 2))


def test_a_height_is_left_out() -> None:
    assert point(f'<pos srsName="{RD}">1 2 3</pos>').position == (1, 2)
    heights = '<posList srsDimension="3">0 0 9 4 0 9 4 4 9 0 0 9</posList>'
    exterior = f"<exterior><LinearRing>{heights}</LinearRing></exterior>"
    assert surface(polygon(exterior, srs=RD)).polygons[0].exterior == ((0, 0), (4, 0), (4, 4), (0, 0))


def test_rd_has_no_geojson_but_a_middle() -> None:
    square = surface(polygon(ring("exterior", "0 0 4 0 4 2 0 2 0 0"), srs=RD))
    assert square.geojson is None
    assert square.centre == pytest.approx((2, 1))


def test_the_middle_of_several_polygons_weighs_their_areas_whichever_way_they_turn() -> None:
    large = polygon(ring("exterior", "0 0 4 0 4 4 0 4 0 0"), srs=RD)
    small = polygon(ring("exterior", "10 0 10 2 12 2 12 0 10 0"), srs=RD)
    assert surface(large, small).centre == pytest.approx(((2 * 16 + 11 * 4) / 20, (2 * 16 + 1 * 4) / 20))


def test_the_middle_of_a_ring_without_area_is_the_mean_of_its_corners() -> None:
    flat = surface(polygon(ring("exterior", "0 0 1 1 2 2 0 0"), srs=RD))
    assert flat.centre == pytest.approx((1, 1))


@pytest.mark.parametrize(
    ("pos", "reason"),
    [
        ("", "no gml:pos"),
        ("<pos>1 2</pos>", "no srsName"),
        ('<pos srsName="urn:ogc:def:crs:EPSG::31370">1 2</pos>', "31370.*not known"),
        (f'<pos srsName="{RD}">1 x</pos>', "not a number"),
        (f'<pos srsName="{RD}">1 NaN</pos>', "not a number"),
        (f'<pos srsName="{RD}">1</pos>', "1 numbers"),
        (f'<pos srsName="{RD}">1 2 3 4</pos>', "not one position"),
        (f'<pos srsName="{RD}" srsDimension="0">1 2</pos>', "'0'"),
        (f'<pos srsName="{ETRS89}">155000 463000</pos>', "outside of what ETRS89"),
        (f'<pos srsName="{RD}">1e300 463000</pos>', "outside of what RD"),
    ],
)
def test_a_point_that_cannot_be_read_says_why(pos: str, reason: str) -> None:
    with pytest.raises(GeometryProblem, match=reason):
        point(pos)


@pytest.mark.parametrize(
    ("member", "reason"),
    [
        ("", "no gml:Polygon"),
        (polygon(), "no gml:exterior"),
        (polygon(ring("exterior", "52 5 52 6 52 5")), "fewer than three"),
        ("<surfaceMember><Solid/></surfaceMember>", "gml:Solid"),
        (
            polygon(ring("exterior", SQUARE)) + polygon(ring("exterior", "0 0 1 1 2 0 0 0"), srs=RD),
            "in ETRS89 and in RD",
        ),
        (polygon(ring("exterior", "1 2 " * (MAX_POSITIONS + 1))), "more than 100000"),
    ],
)
def test_a_surface_that_cannot_be_read_says_why(member: str, reason: str) -> None:
    with pytest.raises(GeometryProblem, match=reason):
        surface(member)


def test_a_geometry_that_cannot_be_read_costs_no_verzoek() -> None:
    locatie = _locatie(
        "<coordinatenEtrs><puntlocatie><pos>hier</pos></puntlocatie>"
        "<referentiestelsel>ETRS89</referentiestelsel></coordinatenEtrs>"
        "<adresaanduiding><opgegevenAdresPostcode>0000AA</opgegevenAdresPostcode></adresaanduiding>"
    )
    assert locatie.geometry is None
    assert locatie.coordinaten_etrs is not None
    assert "not a number (line 1)" in (locatie.coordinaten_etrs.problem or "")
    assert locatie.adresaanduiding is not None


def test_a_location_is_where_dso_found_it_and_else_where_the_applicant_says() -> None:
    given = f'<coordinatenOpgegeven><puntlocatie><pos srsName="{RD}">1 2</pos></puntlocatie></coordinatenOpgegeven>'
    looked_up = (
        f"<coordinatenEtrs><vlaklocatie>{polygon(ring('exterior', SQUARE))}</vlaklocatie></coordinatenEtrs>"
    )
    assert _locatie(looked_up + given).centre == pytest.approx((5.5, 52.5))
    assert _locatie(given).centre == (1, 2)
    assert _locatie(given).geojson is None
    assert _locatie("").centre is None


def _locatie(content: str) -> Projectlocatie:
    body = f"<projectlocaties><projectlocatie>{content}</projectlocatie></projectlocaties>"
    (locatie,) = read_verzoekbericht(bericht(body)).projectlocaties
    return locatie
