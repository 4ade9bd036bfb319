# SPDX-License-Identifier: EUPL-1.2

"""Where things are: points and surfaces, read from GML 3.1.1 as far as STAM uses it.

Positions are kept as (x, y): longitude and latitude, or metres east and north. On the wire the order follows the
reference system, so that latitude comes first in ETRS89 and WGS84 (EPSG 4258 and 4326).
"""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import Any, Final

from lxml import etree

from adapter.verzoek.elements import child, children, local_name, text_of

MAX_POSITIONS: Final = 100_000
"""Most positions of one surface; the outline of a municipality has a few thousand."""

Position = tuple[float, float]
Ring = tuple[Position, ...]

_EPSG = re.compile(r"EPSG.*[:/#](\d+)$", re.ASCII | re.IGNORECASE)
_WORLD: Final = (180.0, 90.0)
_RD_REACH: Final = (1e7, 1e7)  # far wider than the country: what lies outside is another reference system
_CORNERS = 3


class GeometryProblem(ValueError):
    """A geometry that cannot be read; the message is the reason."""


class Crs(StrEnum):
    """A reference system, by its name in STAM (STAM 4.0 Referentiestelsels)."""

    ETRS89 = "ETRS89"
    WGS84 = "WGS84"
    RD = "RD"

    @property
    def is_geographic(self) -> bool:
        """Whether positions are longitude and latitude; the two such systems differ by less than a metre."""
        return self is not Crs.RD


_BY_EPSG: Final = {"4258": Crs.ETRS89, "4326": Crs.WGS84, "28992": Crs.RD}


@dataclass(frozen=True, slots=True)
class Point:
    """One position."""

    crs: Crs
    position: Position

    @property
    def centre(self) -> Position:
        """The position itself."""
        return self.position

    @property
    def geojson(self) -> dict[str, Any] | None:
        """The point as GeoJSON (RFC 7946: longitude first); None for RD, which GeoJSON does not have."""
        if not self.crs.is_geographic:
            return None
        return {"type": "Point", "coordinates": list(self.position)}


@dataclass(frozen=True, slots=True)
class Polygon:
    """An outline and the holes in it; each ring ends where it begins."""

    exterior: Ring
    interior: tuple[Ring, ...] = ()


@dataclass(frozen=True, slots=True)
class Surface:
    """One or more polygons (a gml:MultiSurface)."""

    crs: Crs
    polygons: tuple[Polygon, ...]

    @property
    def centre(self) -> Position:
        """The centre of gravity, holes left out of account; it may lie beside a surface that is bent."""
        return _centre([polygon.exterior for polygon in self.polygons])

    @property
    def geojson(self) -> dict[str, Any] | None:
        """The surface as a GeoJSON Polygon, or MultiPolygon where it has several parts; None for RD."""
        if not self.crs.is_geographic:
            return None
        parts = [
            [[list(position) for position in ring] for ring in (polygon.exterior, *polygon.interior)]
            for polygon in self.polygons
        ]
        if len(parts) == 1:
            return {"type": "Polygon", "coordinates": parts[0]}
        return {"type": "MultiPolygon", "coordinates": parts}


def read_point(element: etree._Element, default: Crs | None) -> Point:
    """Read a gml:PointType; `default` is the system where no srsName names one.

    Raises GeometryProblem.
    """
    holder = _unwrapped(element, "Point")
    pos = child(holder, "pos")
    if pos is None:
        raise GeometryProblem("the point has no gml:pos")
    crs, swapped = _system(pos, default)
    positions = _positions(pos, crs, 0, is_swapped=swapped)
    if len(positions) != 1:
        raise GeometryProblem("the gml:pos of the point is not one position")
    return Point(crs, positions[0])


def read_surface(element: etree._Element, default: Crs | None) -> Surface:
    """Read a gml:MultiSurfaceType of polygons; `default` is the system where no srsName names one.

    Raises GeometryProblem.
    """
    holder = _unwrapped(element, "MultiSurface")
    reader = _RingReader(default)
    polygons = tuple(reader.polygon(each) for each in _polygons(holder))
    if not polygons or reader.crs is None:
        raise GeometryProblem("the surface has no gml:Polygon")
    return Surface(reader.crs, polygons)


class _RingReader:
    """Reads the rings of one surface, which are all in one reference system and bounded together."""

    def __init__(self, default: Crs | None) -> None:
        self.crs: Crs | None = None
        self._default = default
        self._read = 0

    def polygon(self, element: etree._Element) -> Polygon:
        exterior = child(element, "exterior", "LinearRing")
        if exterior is None:
            raise GeometryProblem("a polygon has no gml:exterior/gml:LinearRing")
        holes = (child(interior, "LinearRing") for interior in children(element, "interior"))
        return Polygon(self._ring(exterior), tuple(self._ring(hole) for hole in holes if hole is not None))

    def _ring(self, ring: etree._Element) -> Ring:
        found: list[Position] = []
        for element in ring:
            if local_name(element) in {"pos", "posList"}:
                crs, swapped = _system(element, self._default)
                if self.crs not in {None, crs}:
                    raise GeometryProblem(f"the surface is in {self.crs} and in {crs}")
                self.crs = crs
                found += _positions(element, crs, self._read + len(found), is_swapped=swapped)
        self._read += len(found)
        if len(set(found)) < _CORNERS:
            raise GeometryProblem("a ring has fewer than three different positions")
        return tuple(found) if found[0] == found[-1] else (*found, found[0])


def _polygons(holder: etree._Element) -> Iterator[etree._Element]:
    for members in ("surfaceMember", "surfaceMembers"):
        for member in children(holder, members):
            for surface in member:
                match local_name(surface):
                    case "Polygon":
                        yield surface
                    case "Surface":
                        yield from _patches(surface)
                    case "":
                        pass
                    case other:
                        raise GeometryProblem(f"the surface has a gml:{other[:50]}; a gml:Polygon is read")


def _patches(surface: etree._Element) -> Iterator[etree._Element]:
    for patches in children(surface, "patches"):
        yield from children(patches, "PolygonPatch")


def _unwrapped(element: etree._Element, name: str) -> etree._Element:
    """The element of GML itself, where it stands inside the element of STAM and not in place of it."""
    inner = child(element, name)
    return element if inner is None else inner


def _system(element: etree._Element, default: Crs | None) -> tuple[Crs, bool]:
    """The reference system of an element, and whether latitude comes first: what the nearest srsName says."""
    for holder in (element, *element.iterancestors()):
        name = holder.get("srsName")
        if name is not None:
            return _named(name.strip())
    if default is None:
        raise GeometryProblem("no srsName and no known referentiestelsel says what the positions mean")
    return default, default.is_geographic


def _named(name: str) -> tuple[Crs, bool]:
    if name.endswith("CRS84"):
        return Crs.WGS84, False
    match = _EPSG.search(name)
    crs = None if match is None else _BY_EPSG.get(match[1])
    if crs is None:
        raise GeometryProblem(f"the reference system {name[:100]!r} is not known")
    return crs, crs.is_geographic


def _positions(element: etree._Element, crs: Crs, before: int, *, is_swapped: bool) -> list[Position]:
    numbers = _numbers(element)
    dimension = _dimension(element, len(numbers))
    if not numbers or len(numbers) % dimension:
        raise GeometryProblem(f"{len(numbers)} numbers are no positions of {dimension}")
    if before + len(numbers) // dimension > MAX_POSITIONS:
        raise GeometryProblem(f"the surface has more than {MAX_POSITIONS} positions")
    pairs = zip(numbers[0::dimension], numbers[1::dimension], strict=True)
    found = [(second, first) if is_swapped else (first, second) for first, second in pairs]
    width, height = _WORLD if crs.is_geographic else _RD_REACH
    if any(abs(x) > width or abs(y) > height for x, y in found):
        raise GeometryProblem(f"a position lies outside of what {crs} covers")
    return found


def _numbers(element: etree._Element) -> list[float]:
    try:
        numbers = [float(part) for part in (text_of(element) or "").split()]
    except ValueError:
        raise GeometryProblem("a position is not a number") from None
    if not all(map(math.isfinite, numbers)):
        raise GeometryProblem("a position is not a number")
    return numbers


def _dimension(element: etree._Element, count: int) -> int:
    """How many numbers make a position: two, or three with a height."""
    for holder in (element, *element.iterancestors()):
        text = holder.get("srsDimension")
        if text is not None:
            if text.strip() not in {"2", "3"}:
                raise GeometryProblem(f"positions of {text[:20]!r} numbers are not read")
            return int(text)
    is_single = local_name(element) == "pos"
    return 3 if is_single and count == 3 else 2


def _centre(rings: Sequence[Ring]) -> Position:
    """The centre of gravity of rings together; the mean of their positions where they have no area."""
    area = x = y = 0.0
    origin_x, origin_y = rings[0][0]  # near the numbers, so that little precision is lost
    for ring in rings:
        shifted = [(px - origin_x, py - origin_y) for px, py in ring]
        crosses = [(a, b, a[0] * b[1] - b[0] * a[1]) for a, b in pairwise(shifted)]
        sign = 1.0 if sum(cross for _, _, cross in crosses) >= 0 else -1.0
        for (ax, ay), (bx, by), cross in crosses:
            area += sign * cross / 2
            x += sign * (ax + bx) * cross / 6
            y += sign * (ay + by) * cross / 6
    if area <= 0:
        corners = [position for ring in rings for position in ring[:-1]]
        return (sum(p[0] for p in corners) / len(corners), sum(p[1] for p in corners) / len(corners))
    return origin_x + x / area, origin_y + y / area
