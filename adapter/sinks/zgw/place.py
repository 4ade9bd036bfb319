# SPDX-License-Identifier: EUPL-1.2

"""Where a verzoek is about: the zaakgeometrie of its zaak, and the addresses and parcels as zaakobjecten."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from adapter.delivery import Json
from adapter.sinks.zgw.client import text_in
from adapter.sinks.zgw.registration import Registration, Zaak
from adapter.verzoek import Adresaanduiding, KadastraleAanduiding, Projectlocatie

_MAX_NAME: Final = 80
_MAX_HUISNUMMER: Final = 99999
_MAX_TOEVOEGING: Final = 4
_MAX_POSTCODE: Final = 7


async def register_places(work: Registration, zaak: Zaak) -> None:
    """Makes a zaakobject for each address and each parcel that was given, where it is not there yet."""
    if not work.options.zaakobjecten:
        return
    objects: list[tuple[str, Json]] = []
    for locatie in work.verzoek.projectlocaties:
        objects += [found for found in _objects(locatie) if found not in objects]
    for number, (kind, identification) in enumerate(objects):

        async def register(kind: str = kind, identification: Json = identification) -> Json:
            return await _register(work, zaak, kind, identification)

        await work.steps.once(f"zaakobject/{number}", register)


async def _register(work: Registration, zaak: Zaak, kind: str, identification: Json) -> Json:
    url = work.client.url("zaken", "zaakobjecten")
    if not zaak.is_new:
        for one in await work.client.find(url, {"zaak": zaak.url}, "zaakobjecten of the zaak"):
            if one.get("objectType") == kind and _is_same(one.get("objectIdentificatie"), identification):
                return {"url": text_in(one, "url", "zaakobject")}
    body = {
        "zaak": zaak.url,
        "objectType": kind,
        "relatieomschrijving": "locatie van het verzoek",
        "objectIdentificatie": identification,
    }
    await work.begin(f"zaakobject ({kind})")
    made = await work.client.create(url, body, f"making the zaakobject ({kind})")
    return {"url": text_in(made, "url", "zaakobject")}


def _is_same(found: object, wanted: Json) -> bool:
    return isinstance(found, Mapping) and all(found.get(key) == value for key, value in wanted.items())


def _objects(locatie: Projectlocatie) -> Iterator[tuple[str, Json]]:
    if locatie.adresaanduiding is not None and (adres := _adres(locatie.adresaanduiding)) is not None:
        yield "adres", adres
    if locatie.kadastrale_aanduiding is not None:
        perceel = _perceel(locatie.kadastrale_aanduiding)
        if perceel is not None:
            yield "kadastrale_onroerende_zaak", perceel


def _adres(adres: Adresaanduiding) -> Json | None:
    """An address as the standard has it; None where it lacks what that requires."""
    straat, plaats = adres.opgegeven_adres_straatnaam, adres.opgegeven_adres_woonplaats_naam
    nummer = adres.opgegeven_adres_huisnummer or ""
    is_number = nummer.isascii() and nummer.isdigit() and len(nummer) <= len(str(_MAX_HUISNUMMER))
    if not straat or not plaats or not is_number:
        return None
    found: dict[str, Any] = {
        "identificatie": adres.identificatiecode_nummeraanduiding or "",
        "wplWoonplaatsNaam": plaats[:_MAX_NAME],
        "gorOpenbareRuimteNaam": straat[:_MAX_NAME],
        "huisnummer": int(nummer),
    }
    # what does not fit its field is left out: a number cut short is another house
    letter, toevoeging = adres.opgegeven_adres_huisletter, adres.opgegeven_adres_huisnummer_toevoeging
    postcode = (adres.opgegeven_adres_postcode or "").replace(" ", "")
    if letter and len(letter) == 1:
        found["huisletter"] = letter
    if toevoeging and len(toevoeging) <= _MAX_TOEVOEGING:
        found["huisnummertoevoeging"] = toevoeging
    if postcode and len(postcode) <= _MAX_POSTCODE:
        found["postcode"] = postcode
    return found


def _perceel(perceel: KadastraleAanduiding) -> Json | None:
    parts = (perceel.kadastrale_gemeente, perceel.kadastrale_sectie, perceel.kadastraal_perceelnummer)
    aanduiding = " ".join(part for part in parts if part)
    identificatie = perceel.brk_identificatie or aanduiding
    if not identificatie:
        return None
    return {
        "kadastraleIdentificatie": identificatie[:100],
        "kadastraleAanduiding": (aanduiding or identificatie)[:1000],
    }
