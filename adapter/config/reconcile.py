# SPDX-License-Identifier: EUPL-1.2

"""The options of reconciliation: how often, how far back, where, and in which words Verzoek afhandelen is asked.

The OpenAPI document of Verzoek afhandelen is not public: that a search takes an area in RD or a verzoeknummer, and
dates, and answers in pages, is known; the names of its fields are not. So each name is an option, with the form that
the style of the other DSO APIs suggests as its default.
"""

from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Final

from pydantic import BeforeValidator, Field

from adapter.config.values import Duration, Section, Text

Point = tuple[float, float]

_X: Final = (-7_000.0, 300_000.0)
_Y: Final = (289_000.0, 629_000.0)
_FORM: Final = "write [x1, y1, x2, y2] or a list of at least three [x, y], in metres of RD"


def parse_area(value: object) -> tuple[Point, ...]:
    """Return the corners of a polygon in RD, anticlockwise and closed, from those or from a bounding box.

    Raises:
        ValueError: it is neither, lies outside RD, or encloses nothing.

    """
    if not isinstance(value, list | tuple) or not value:
        raise ValueError(f"is not an area; {_FORM}")
    corners = _box(value) if all(_is_number(one) for one in value) else [_point(one) for one in value]
    if corners[0] == corners[-1]:
        corners = corners[:-1]
    if any(not _X[0] <= x <= _X[1] or not _Y[0] <= y <= _Y[1] for x, y in corners):
        raise ValueError(
            "lies outside RD; write metres of EPSG:28992 with x before y, as [155000, 463000], not degrees"
        )
    surface = _surface(corners)
    if len(corners) < 3 or surface == 0:
        raise ValueError(f"encloses nothing; {_FORM}")
    if surface < 0:
        corners.reverse()
    return (*corners, corners[0])


def _box(value: list[float] | tuple[float, ...]) -> list[Point]:
    if len(value) != 4:
        raise ValueError(f"is not an area; {_FORM}")
    (west, east), (south, north) = sorted(map(float, value[::2])), sorted(map(float, value[1::2]))
    return [(west, south), (east, south), (east, north), (west, north)]


def _point(value: object) -> Point:
    if not isinstance(value, list | tuple) or len(value) != 2 or not all(_is_number(one) for one in value):
        raise ValueError(f"has {str(value)[:50]} for a corner; {_FORM}")
    return float(value[0]), float(value[1])


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _surface(corners: list[Point]) -> float:
    """Twice the enclosed surface; negative where the corners go clockwise."""
    following = [*corners[1:], corners[0]]
    return sum(x1 * y2 - x2 * y1 for (x1, y1), (x2, y2) in zip(corners, following, strict=True))


Texts = Annotated[tuple[Text, ...], Field(min_length=1)]


class AreaForm(StrEnum):
    """How a polygon is written."""

    GEOJSON = "geojson"
    WKT = "wkt"


class Paging(StrEnum):
    """Where the number and size of a page stand: in the address, or in the body."""

    QUERY = "query"
    BODY = "body"


class SearchRequestConfig(Section):
    """``[authorities.<name>.reconcile.request]``: the words of a question; a dot in a name goes one object deeper.

    `dates` is a pattern of strftime.
    """

    area: Text = "_geo.intersects"
    area_form: AreaForm = AreaForm.GEOJSON
    crs_header: str = "Content-Crs"
    crs: Text = "epsg:28992"
    verzoeknummer: Text = "verzoeknummer"
    since: Text = "datumVanaf"
    until: Text = "datumTot"
    dates: Text = "%Y-%m-%d"
    page: Text = "page"
    page_size: Text = "pageSize"
    first_page: Annotated[int, Field(ge=0, le=1)] = 1
    paging: Paging = Paging.QUERY


class SearchResponseConfig(Section):
    """``[authorities.<name>.reconcile.response]``: where a hit has what, the first that is there; letter case does
    not matter.
    """

    verzoeknummer: Texts = ("verzoeknummer",)
    volgnummer: Texts = ("volgnummer",)
    doel: Texts = ("doel",)
    bevoegd_gezag: Texts = ("bevoegdGezag.oin", "bevoegdGezagOin", "bevoegdGezag")
    behandeldienst: Texts = (
        "behandeldienst.oin",
        "behandeldienstOin",
        "behandeldienst",
        "uitvoerendeInstantie.oin",
        "uitvoerendeInstantieOin",
        "uitvoerendeInstantie",
    )


class ReconcileConfig(Section):
    """``[authorities.<name>.reconcile]``: asks for verzoeken that were never announced; absent is never.

    `area` is kept as the corners of a polygon. Without `sink`, it is that of the first route with flow ``stam``.
    """

    area: Annotated[tuple[Point, ...], BeforeValidator(parse_area)]
    every: Duration = timedelta(hours=6)
    days_back: Annotated[int, Field(ge=1, le=366)] = 7
    page_size: Annotated[int, Field(ge=1, le=1000)] = 50
    sink: str | None = None
    request: SearchRequestConfig = SearchRequestConfig()
    response: SearchResponseConfig = SearchResponseConfig()
