# SPDX-License-Identifier: EUPL-1.2

"""Where it is, in a made-up verzoek: points and surfaces in the middle of the country, addresses and parcels that do
not exist.
"""

from collections.abc import Callable, Sequence
from typing import Final

from adapter.simulator.specs import Place, VerzoekSpec
from adapter.simulator.writer import GML, IC, Writer

Position = tuple[float, float]

_APART: Final = 40.0  # metres between two locations of one verzoek
_OUTLINE: Final = ((0.0, 0.0), (30.0, 0.0), (30.0, 20.0), (12.0, 20.0), (12.0, 8.0), (0.0, 8.0), (0.0, 0.0))
_COURTYARD: Final = ((18.0, 10.0), (18.0, 15.0), (24.0, 15.0), (24.0, 10.0), (18.0, 10.0))


def write_locations(projectlocaties: Writer, spec: VerzoekSpec) -> None:
    """Adds a location of each kind that is asked, side by side."""
    x, y = spec.place
    for number, kind in enumerate(spec.kinds_of_places):
        _WRITERS[kind](projectlocaties.node("projectlocatie"), (x + number * _APART, y))


def _given_point(locatie: Writer, place: Position) -> None:
    _point(locatie.node("coordinatenEtrs", IC), place)
    _point(locatie.node("coordinatenOpgegeven"), place, is_rd=True)


def _given_surface(locatie: Writer, place: Position) -> None:
    _surface(locatie.node("coordinatenEtrs", IC), place)
    _surface(locatie.node("coordinatenOpgegeven"), place, is_rd=True)


def _given_address(locatie: Writer, place: Position) -> None:
    _point(locatie.node("coordinatenEtrs", IC), place)
    adres = locatie.node("adresaanduiding")
    adres.leaf("identificatiecodeNummeraanduiding", "0000200000000001")
    adres.leaf("opgegevenAdresHuisletter", "A")
    adres.leaf("opgegevenAdresHuisnummer", "1")
    adres.leaf("opgegevenAdresHuisnummerToevoeging", "bis")
    adres.leaf("opgegevenAdresPostcode", "0000AA")
    adres.leaf("opgegevenAdresStraatnaam", "Nergenslaan")
    adres.leaf("opgegevenAdresWoonplaatsNaam", "Nergenshuizen")


def _given_parcel(locatie: Writer, place: Position) -> None:
    _surface(locatie.node("coordinatenEtrs", IC), place)
    perceel = locatie.node("kadastraleAanduiding")
    perceel.leaf("BRKIdentificatie", "NL.IMKAD.KadastraalObject.0000000001")
    perceel.leaf("kadastraalPerceelnummer", "1")
    perceel.leaf("kadastraleGemeente", "Nergenshuizen")
    perceel.leaf("kadastraleSectie", "N")


_WRITERS: Final[dict[Place, Callable[[Writer, Position], None]]] = {
    Place.POINT: _given_point,
    Place.SURFACE: _given_surface,
    Place.ADDRESS: _given_address,
    Place.PARCEL: _given_parcel,
}


def _point(coordinates: Writer, place: Position, *, is_rd: bool = False) -> None:
    coordinates.node("puntlocatie", GML).leaf("pos", _written(place, is_rd=is_rd), srsName=_srs(is_rd=is_rd))
    coordinates.leaf("referentiestelsel", "RD" if is_rd else "ETRS89")


def _surface(coordinates: Writer, place: Position, *, is_rd: bool = False) -> None:
    coordinates.leaf("referentiestelsel", "RD" if is_rd else "ETRS89")
    polygon = (
        coordinates.node("vlaklocatie", GML).node("surfaceMember").node("Polygon", srsName=_srs(is_rd=is_rd))
    )
    for kind, ring in (("exterior", _OUTLINE), ("interior", _COURTYARD)):
        polygon.path(kind, "LinearRing").leaf("posList", _ring(ring, place, is_rd=is_rd))


def _ring(ring: Sequence[Position], place: Position, *, is_rd: bool) -> str:
    return " ".join(_written((place[0] + x, place[1] + y), is_rd=is_rd) for x, y in ring)


def _srs(*, is_rd: bool) -> str:
    return f"urn:ogc:def:crs:EPSG::{28992 if is_rd else 4258}"


def _written(place: Position, *, is_rd: bool) -> str:
    """A position as GML has it: x first in RD, latitude first in ETRS89, near enough for what does not exist."""
    x, y = place
    if is_rd:
        return f"{x:.3f} {y:.3f}"
    east, north = x - 155_000, y - 463_000  # metres from the centre of RD
    return f"{52.15517 + north / 111_200:.7f} {5.387206 + east / 68_400:.7f}"
