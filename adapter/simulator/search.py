# SPDX-License-Identifier: EUPL-1.2

"""What the simulated Verzoek afhandelen makes of a search (`_zoek`): the question as it came, checked, and its hits.

The words are the defaults of the adapter, since those of DSO-LV are not public. Whether a verzoek lies in an area is
judged by the bounding box of the polygon.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from adapter.simulator.verzoeken import SimulatedVerzoek

CRS: Final = "epsg:28992"
MAX_SIZE: Final = 100


class WrongQuestion(ValueError):
    """A question cannot be answered; `name` is the parameter that is wrong."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name}: {reason}")
        self.name = name
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in RD."""

    west: float
    south: float
    east: float
    north: float

    def has(self, x: float, y: float) -> bool:
        """Whether a point lies in it, or on its edge."""
        return self.west <= x <= self.east and self.south <= y <= self.north


@dataclass(frozen=True, slots=True)
class SearchQuestion:
    """A question that can be answered: in an area or about one verzoek, from one day to another, which page."""

    since: date
    until: date
    page: int
    size: int
    box: Box | None = None
    verzoeknummer: str | None = None

    def finds(self, verzoek: SimulatedVerzoek) -> bool:
        """Whether a verzoek is what is asked for."""
        if not self.since <= verzoek.spec.submitted.date() <= self.until:
            return False
        if self.verzoeknummer is not None:
            return verzoek.verzoeknummer == self.verzoeknummer
        return self.box is not None and self.box.has(*verzoek.spec.place)


def read_question(body: object, parameters: Mapping[str, str], crs: str | None) -> SearchQuestion:
    """Check a question. Raises WrongQuestion."""
    if not isinstance(body, dict):
        raise WrongQuestion("body", "is no JSON object")
    number = body.get("verzoeknummer")
    box = None
    if number is None:
        if crs is None or crs.lower() != CRS:
            raise WrongQuestion("Content-Crs", f"must be {CRS}")
        box = _box(body)
    elif not isinstance(number, str):
        raise WrongQuestion("verzoeknummer", "is no text")
    since, until = _day(body, "datumVanaf"), _day(body, "datumTot")
    if since > until:
        raise WrongQuestion("datumTot", "is before datumVanaf")
    page, size = _whole(parameters, "page", 1), _whole(parameters, "pageSize", 10)
    return SearchQuestion(since, until, page, min(size, MAX_SIZE), box, number)


def page_of(
    found: Iterable[SimulatedVerzoek], question: SearchQuestion
) -> tuple[list[SimulatedVerzoek], int]:
    """The verzoeken of the page that is asked for, and how many there are in all."""
    everything = list(found)
    start = (question.page - 1) * question.size
    return everything[start : start + question.size], len(everything)


def describe_hit(verzoek: SimulatedVerzoek, href: str) -> dict[str, Any]:
    """A verzoek as a search gives it, to whoever asks."""
    spec = verzoek.spec
    found: dict[str, Any] = {
        "verzoeknummer": spec.verzoeknummer,
        "volgnummer": spec.volgnummer,
        "doel": spec.doel,
        "bevoegdGezag": {"oin": spec.bevoegd_gezag},
        "_links": {"self": {"href": href}},
    }
    if spec.behandeldienst is not None:
        found["behandeldienst"] = {"oin": spec.behandeldienst}
    return found


def _box(body: Mapping[str, Any]) -> Box:
    name = "_geo.intersects"
    geo = body.get("_geo")
    shape = geo.get("intersects") if isinstance(geo, dict) else None
    if not isinstance(shape, dict) or shape.get("type") != "Polygon":
        raise WrongQuestion(name, "is no GeoJSON polygon, and there is no verzoeknummer")
    try:
        (ring,) = shape["coordinates"]
        corners = [(float(x), float(y)) for x, y in ring]
    except (KeyError, TypeError, ValueError) as problem:
        raise WrongQuestion(name, "is no polygon of one ring of [x, y]") from problem
    if len(corners) < 4 or corners[0] != corners[-1]:
        raise WrongQuestion(name, "is not closed")
    across, up = zip(*corners, strict=True)
    return Box(min(across), min(up), max(across), max(up))


def _day(body: Mapping[str, Any], name: str) -> date:
    try:
        return date.fromisoformat(body[name])
    except (KeyError, TypeError, ValueError) as problem:
        raise WrongQuestion(name, "is no date as 2024-01-31") from problem


def _whole(parameters: Mapping[str, str], name: str, default: int) -> int:
    text = parameters.get(name, str(default))
    if not (text.isascii() and text.isdecimal()) or int(text[:9]) < 1:
        raise WrongQuestion(name, "is no number of 1 or more")
    return int(text[:9])
