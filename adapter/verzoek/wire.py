"""A model as a document for machines: JSON values under the names that STAM has on the wire."""

from dataclasses import fields, is_dataclass
from typing import Any, Final

from adapter.verzoek.geometry import Point, Polygon, Surface

_OWN_NAMES: Final = {"brk_identificatie": "BRKIdentificatie", "documentsoort_dso": "documentsoortDSO"}
_SHOWN: Final = 3


def wire_name(name: str) -> str:
    """The name on the wire of a field of the model: `vraag_id` is `vraagId`."""
    first, *others = name.split("_")
    return _OWN_NAMES.get(name) or first + "".join(part.capitalize() for part in others)


def masked(number: str) -> str:
    """A burgerservicenummer that can be told from another one, and not be used."""
    shown = number[-_SHOWN:] if len(number) > 2 * _SHOWN else ""
    return shown.rjust(len(number), "*")


def as_document(model: object, *, show_bsn: bool = False) -> Any:
    """Everything in a part of the model, as JSON has it; what is absent is null.

    A burgerservicenummer is masked except for its last three digits, unless `show_bsn`. A geometry has the form of
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
            return [as_document(each, show_bsn=show_bsn) for each in model]
    if not is_dataclass(model) or isinstance(model, type):
        return model
    document = {
        wire_name(f.name): as_document(getattr(model, f.name), show_bsn=show_bsn) for f in fields(model)
    }
    bsn = document.get("burgerservicenummer")
    if bsn is not None and not show_bsn:
        document["burgerservicenummer"] = {**bsn, "text": masked(bsn["text"])}
    return document


def _rings(polygon: Polygon) -> list[list[list[float]]]:
    return [[list(position) for position in ring] for ring in (polygon.exterior, *polygon.interior)]
