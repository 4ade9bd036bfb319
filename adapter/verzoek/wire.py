# SPDX-License-Identifier: EUPL-1.2

"""A model as a document for machines: JSON values under the names that STAM has on the wire."""

from dataclasses import fields, is_dataclass
from typing import Any, Final

from adapter.verzoek.geometry import Point, Polygon, Surface

_OWN_NAMES: Final = {"brk_identificatie": "BRKIdentificatie", "documentsoort_dso": "documentsoortDSO"}


def wire_name(name: str) -> str:
    """The name on the wire of a field of the model: `vraag_id` is `vraagId`."""
    first, *others = name.split("_")
    return _OWN_NAMES.get(name) or first + "".join(part.capitalize() for part in others)


def as_document(model: object) -> Any:
    """Everything in a part of the model, as JSON has it; what is absent is null.

    Whoever shows it to people takes the burgerservicenummers out first (`without_bsn`). A geometry has the form of
    GeoJSON, with the name of its reference system: RD is no GeoJSON, but reads the same.
    """
    match model:
        case Point(crs, position):
            return {"crs": crs.value, "type": "Point", "coordinates": list(position)}
        case Surface(crs, polygons):
            return {
                "crs": crs.value,
                "type": "MultiPolygon",
                "coordinates": [_rings(each) for each in polygons],
            }
        case tuple():
            return [as_document(each) for each in model]
    if not is_dataclass(model) or isinstance(model, type):
        return model
    return {wire_name(each.name): as_document(getattr(model, each.name)) for each in fields(model)}


def _rings(polygon: Polygon) -> list[list[list[float]]]:
    return [[list(position) for position in ring] for ring in (polygon.exterior, *polygon.interior)]
