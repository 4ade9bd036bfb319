# SPDX-License-Identifier: EUPL-1.2

"""Where it is: the locations of a project, as coordinates, as an address or as a parcel (STAM 4.0)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from lxml import etree

from adapter.verzoek.elements import Fields
from adapter.verzoek.geometry import (
    Crs,
    GeometryProblem,
    Point,
    Position,
    Surface,
    read_point,
    read_surface,
)

_Geometry = TypeVar("_Geometry", Point, Surface)


@dataclass(frozen=True, slots=True)
class Coordinaten:
    """A place on the map (coordinatenEtrs and coordinatenOpgegeven).

    `problem` says why a geometry that stands there could not be read; it is then None here.
    """

    referentiestelsel: str | None = None
    puntlocatie: Point | None = None
    vlaklocatie: Surface | None = None
    problem: str | None = None

    @property
    def geometry(self) -> Point | Surface | None:
        """The surface, else the point."""
        return self.vlaklocatie or self.puntlocatie


@dataclass(frozen=True, slots=True)
class Adresaanduiding:
    """A place by its address; `identificatiecode_nummeraanduiding` is its id in the BAG."""

    identificatiecode_nummeraanduiding: str | None = None
    opgegeven_adres_straatnaam: str | None = None
    opgegeven_adres_huisnummer: str | None = None
    opgegeven_adres_huisletter: str | None = None
    opgegeven_adres_huisnummer_toevoeging: str | None = None
    opgegeven_adres_postcode: str | None = None
    opgegeven_adres_woonplaats_naam: str | None = None


@dataclass(frozen=True, slots=True)
class KadastraleAanduiding:
    """A place by its parcel in the land registry."""

    brk_identificatie: str | None = None
    kadastrale_gemeente: str | None = None
    kadastrale_sectie: str | None = None
    kadastraal_perceelnummer: str | None = None


@dataclass(frozen=True, slots=True)
class Projectlocatie:
    """A location: where it is on the map, and how the applicant gave it."""

    coordinaten_etrs: Coordinaten | None = None
    coordinaten_opgegeven: Coordinaten | None = None
    adresaanduiding: Adresaanduiding | None = None
    kadastrale_aanduiding: KadastraleAanduiding | None = None

    @property
    def geometry(self) -> Point | Surface | None:
        """Where it is: as DSO-LV found it, else as the applicant gave it."""
        given = (self.coordinaten_etrs, self.coordinaten_opgegeven)
        found = [each.geometry for each in given if each is not None and each.geometry is not None]
        return found[0] if found else None

    @property
    def geojson(self) -> dict[str, Any] | None:
        """Where it is as GeoJSON; None where only RD is known, or nothing."""
        return None if self.geometry is None else self.geometry.geojson

    @property
    def centre(self) -> Position | None:
        """The middle of where it is, in the reference system of `geometry`."""
        return None if self.geometry is None else self.geometry.centre


def read_projectlocatie(element: etree._Element) -> Projectlocatie:
    """Read a location."""
    fields = Fields(element)
    return Projectlocatie(
        coordinaten_etrs=_coordinaten(fields.first("coordinatenEtrs")),
        coordinaten_opgegeven=_coordinaten(fields.first("coordinatenOpgegeven")),
        adresaanduiding=_adresaanduiding(fields.first("adresaanduiding")),
        kadastrale_aanduiding=_kadastrale_aanduiding(fields.first("kadastraleAanduiding")),
    )


def _coordinaten(element: etree._Element | None) -> Coordinaten | None:
    if element is None:
        return None
    fields = Fields(element)
    stelsel = fields.text("referentiestelsel")
    default = Crs(stelsel) if stelsel in set(Crs) else None
    problems: list[str] = []
    return Coordinaten(
        referentiestelsel=stelsel,
        puntlocatie=_geometry(read_point, fields.first("puntlocatie"), default, problems),
        vlaklocatie=_geometry(read_surface, fields.first("vlaklocatie"), default, problems),
        problem="; ".join(problems) or None,
    )


def _geometry(
    read: Callable[[etree._Element, Crs | None], _Geometry],
    element: etree._Element | None,
    default: Crs | None,
    problems: list[str],
) -> _Geometry | None:
    """A geometry that cannot be read costs no verzoek: what is wrong with it is kept beside it."""
    if element is None:
        return None
    try:
        return read(element, default)
    except GeometryProblem as problem:
        problems.append(f"{problem} (line {element.sourceline})")
        return None


def _adresaanduiding(element: etree._Element | None) -> Adresaanduiding | None:
    if element is None:
        return None
    fields = Fields(element)
    return Adresaanduiding(
        identificatiecode_nummeraanduiding=fields.text("identificatiecodeNummeraanduiding"),
        opgegeven_adres_straatnaam=fields.text("opgegevenAdresStraatnaam"),
        opgegeven_adres_huisnummer=fields.text("opgegevenAdresHuisnummer"),
        opgegeven_adres_huisletter=fields.text("opgegevenAdresHuisletter"),
        opgegeven_adres_huisnummer_toevoeging=fields.text("opgegevenAdresHuisnummerToevoeging"),
        opgegeven_adres_postcode=fields.text("opgegevenAdresPostcode"),
        opgegeven_adres_woonplaats_naam=fields.text("opgegevenAdresWoonplaatsNaam"),
    )


def _kadastrale_aanduiding(element: etree._Element | None) -> KadastraleAanduiding | None:
    if element is None:
        return None
    fields = Fields(element)
    return KadastraleAanduiding(
        brk_identificatie=fields.text("BRKIdentificatie"),
        kadastrale_gemeente=fields.text("kadastraleGemeente"),
        kadastrale_sectie=fields.text("kadastraleSectie"),
        kadastraal_perceelnummer=fields.text("kadastraalPerceelnummer"),
    )
