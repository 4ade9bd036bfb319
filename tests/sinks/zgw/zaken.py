# SPDX-License-Identifier: EUPL-1.2

"""The Zaken API of the fake."""

import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from adapter.sinks.zgw.options import is_eleven_proof
from tests.sinks.zgw.rules import bounded, check_rsin, invalid, required
from tests.sinks.zgw.types import Types, Url

if TYPE_CHECKING:
    from tests.sinks.zgw.documents import Documents

_AARD = "Hoort bij, omgekeerd: kent"
_NO_PAYMENT = "Er is geen sprake van te betalen, met de zaak gemoeide, kosten."
_NATUURLIJK = (
    "inpBsn", "anpIdentificatie", "inpA_nummer", "geslachtsnaam", "voorvoegselGeslachtsnaam", "voorletters",
    "voornamen", "geslachtsaanduiding", "geboortedatum",
)  # fmt: skip


class Zaken:
    """The zaken and what hangs on them, by resource and uuid."""

    documents: "Documents"

    def __init__(self, url: Url, types: Types) -> None:
        self._url = url
        self._types = types
        self.numbered = 0
        self.objects: dict[str, dict[str, dict[str, Any]]] = {
            name: {} for name in ("zaken", "zaakinformatieobjecten", "rollen", "statussen", "zaakobjecten")
        }
        self._make: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "zaken": self._zaak,
            "zaakinformatieobjecten": self._relation,
            "rollen": self._rol,
            "statussen": self._status,
            "zaakobjecten": self._zaakobject,
        }

    def make(self, resource: str, body: dict[str, Any]) -> dict[str, Any]:
        """Make an object, as POST does; raises Problem."""
        made = self._make[resource](body)
        return self.add(resource, made)

    def add(self, resource: str, made: dict[str, Any], identity: str | None = None) -> dict[str, Any]:
        """Keep an object under a uuid."""
        identity = identity or str(uuid.uuid4())
        made = {"url": self._url("zaken", resource, identity), "uuid": identity, **made}
        self.objects[resource][identity] = made
        return made

    def find(self, resource: str, query: dict[str, str]) -> list[dict[str, Any]]:
        """What matches, as GET shows it."""
        exact = {key: value for key, value in query.items() if key != "page"}
        shown = (self.shown(resource, one) for one in self.objects[resource].values())
        return [one for one in shown if all(one[key] == value for key, value in exact.items())]

    def shown(self, resource: str, one: dict[str, Any]) -> dict[str, Any]:
        """An object as GET shows it: a zaak with everything that hangs on it."""
        if resource != "zaken":
            return one

        def of_zaak(kind: str) -> list[dict[str, Any]]:
            return [each for each in self.objects[kind].values() if each["zaak"] == one["url"]]

        statussen = sorted(of_zaak("statussen"), key=lambda each: str(each["datumStatusGezet"]))
        return {
            **one,
            "rollen": [each["url"] for each in of_zaak("rollen")],
            "zaakinformatieobjecten": [each["url"] for each in of_zaak("zaakinformatieobjecten")],
            "zaakobjecten": [each["url"] for each in of_zaak("zaakobjecten")],
            "status": statussen[-1]["url"] if statussen else None,
        }

    def _at(self, url: str, name: str = "zaak") -> dict[str, Any]:
        found = next((one for one in self.objects["zaken"].values() if one["url"] == url), None)
        if found is None:
            raise invalid((name, "object-does-not-exist", f"De URL {url} is geen zaak."))
        return found

    def _type_of(self, body: dict[str, Any]) -> str:
        return str(self._at(body["zaak"])["zaaktype"])

    def _zaak(self, body: dict[str, Any]) -> dict[str, Any]:
        required(body, "zaaktype", "bronorganisatie", "verantwoordelijkeOrganisatie", "startdatum")
        bounded(body, identificatie=40, omschrijving=80, toelichting=1000)
        for kenmerk in body.get("kenmerken", []):
            bounded(kenmerk, kenmerk=40, bron=40)
        check_rsin("bronorganisatie", body["bronorganisatie"])
        zaaktype = self._types.at("zaaktypen", body["zaaktype"], "zaaktype")
        today = datetime.now(UTC).date() + timedelta(days=1)
        if body.get("registratiedatum", "") > today.isoformat():
            raise invalid(("registratiedatum", "future_not_allowed", "Mag niet in de toekomst liggen."))
        self.numbered += 1
        identificatie = body.get("identificatie") or f"ZAAK-2026-{self.numbered:010d}"
        taken = {(one["identificatie"], one["bronorganisatie"]) for one in self.objects["zaken"].values()}
        if (identificatie, body["bronorganisatie"]) in taken:
            raise invalid(("identificatie", "identificatie-niet-uniek", "Deze identificatie bestaat al."))
        return _zaak_document({**body, "identificatie": identificatie}, zaaktype)

    def _relation(self, body: dict[str, Any]) -> dict[str, Any]:
        required(body, "zaak", "informatieobject")
        bounded(body, titel=200)
        document = self.documents.at(body["informatieobject"])
        zaaktype = self._types.at("zaaktypen", self._type_of(body), "zaak")
        types = [
            self._types.url_of("informatieobjecttypen", one) for one in zaaktype["informatieobjecttypen"]
        ]
        if document["informatieobjecttype"] not in types:  # zrc-017
            code = "missing-zaaktype-informatieobjecttype-relation"
            raise invalid(("nonFieldErrors", code, "Het informatieobjecttype hoort niet bij het zaaktype."))
        pair = (body["zaak"], body["informatieobject"])
        relations = self.objects["zaakinformatieobjecten"].values()
        if pair in {(one["zaak"], one["informatieobject"]) for one in relations}:
            raise invalid(("nonFieldErrors", "unique", "De velden zaak, informatieobject zijn niet uniek."))
        return {
            "informatieobject": body["informatieobject"],
            "zaak": body["zaak"],
            "aardRelatieWeergave": _AARD,
            "titel": body.get("titel", ""),
            "beschrijving": body.get("beschrijving", ""),
            "registratiedatum": _now(),
            "vernietigingsdatum": None,
            "status": None,
        }

    def _rol(self, body: dict[str, Any]) -> dict[str, Any]:
        required(body, "zaak", "betrokkeneType", "roltype", "roltoelichting")
        bounded(body, roltoelichting=1000)
        roltype = self._types.at("roltypen", body["roltype"], "roltype")
        if self._types.url_of("zaaktypen", roltype["zaaktype"]) != self._type_of(body):
            raise invalid(("nonFieldErrors", "zaaktype-mismatch", "Het roltype hoort niet bij het zaaktype."))
        identification = body.get("betrokkeneIdentificatie") or {}
        if not identification and not body.get("betrokkene"):
            raise invalid(("nonFieldErrors", "invalid-betrokkene", "betrokkene of betrokkeneIdentificatie"))
        if identification.get("innNnpId"):
            check_rsin("betrokkeneIdentificatie.innNnpId", identification["innNnpId"])
        if identification.get("inpBsn") and not is_eleven_proof(identification["inpBsn"]):
            raise invalid(("betrokkeneIdentificatie.inpBsn", "invalid", "Onjuist BSN nummer"))
        if body["betrokkeneType"] == "natuurlijk_persoon":
            empty: dict[str, Any] = dict.fromkeys(_NATUURLIJK, "")
            identification = {
                **empty,
                "verblijfsadres": None,
                "subVerblijfBuitenland": None,
                **identification,
            }
        contact = body.get("contactpersoonRol")
        if contact is not None:
            required(contact, "naam")
        return {
            "zaak": body["zaak"],
            "betrokkene": "",
            "betrokkeneType": body["betrokkeneType"],
            "afwijkendeNaamBetrokkene": "",
            "roltype": body["roltype"],
            "omschrijving": roltype["omschrijving"],
            "omschrijvingGeneriek": roltype["omschrijvingGeneriek"],
            "roltoelichting": body["roltoelichting"],
            "registratiedatum": _now(),
            "indicatieMachtiging": body.get("indicatieMachtiging", ""),
            "contactpersoonRol": {
                "emailadres": "", "functie": "", "telefoonnummer": "", "naam": "", **(contact or {}),
            },
            "statussen": [],
            "beginGeldigheid": None,
            "eindeGeldigheid": None,
            "betrokkeneIdentificatie": identification,
            "authenticatieContext": None,
        }  # fmt: skip

    def _status(self, body: dict[str, Any]) -> dict[str, Any]:
        required(body, "zaak", "statustype", "datumStatusGezet")
        bounded(body, statustoelichting=1000)
        statustype = self._types.at("statustypen", body["statustype"], "statustype")
        if self._types.url_of("zaaktypen", statustype["zaaktype"]) != self._type_of(body):
            raise invalid(
                ("nonFieldErrors", "zaaktype-mismatch", "Het statustype hoort niet bij het zaaktype.")
            )
        if statustype["isEindstatus"]:
            raise invalid(("nonFieldErrors", "resultaat-does-not-exist", "De zaak heeft geen resultaat."))
        moment = datetime.fromisoformat(body["datumStatusGezet"])
        if moment > datetime.now(UTC):
            raise invalid(("datumStatusGezet", "future_not_allowed", "Mag niet in de toekomst liggen."))
        shown = moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
        of_zaak = [one for one in self.objects["statussen"].values() if one["zaak"] == body["zaak"]]
        if shown in {one["datumStatusGezet"] for one in of_zaak}:
            raise invalid(("nonFieldErrors", "unique", "zaak en datumStatusGezet zijn niet uniek."))
        return {
            "zaak": body["zaak"],
            "statustype": body["statustype"],
            "datumStatusGezet": shown,
            "statustoelichting": body.get("statustoelichting", ""),
            "indicatieLaatstGezetteStatus": True,
            "gezetdoor": None,
            "zaakinformatieobjecten": [],
        }

    def _zaakobject(self, body: dict[str, Any]) -> dict[str, Any]:
        required(body, "zaak", "objectType")
        self._at(body["zaak"])
        identification = body.get("objectIdentificatie") or {}
        if body["objectType"] == "adres":
            required(identification, "wplWoonplaatsNaam", "gorOpenbareRuimteNaam", "huisnummer")
            bounded(identification, wplWoonplaatsNaam=80, gorOpenbareRuimteNaam=80, huisletter=1, postcode=7)
        else:
            required(identification, "kadastraleIdentificatie", "kadastraleAanduiding")
        return {
            "object": "",
            "zaakobjecttype": None,
            "relatieomschrijving": "",
            "objectTypeOverige": "",
            **body,
        }


def _zaak_document(body: dict[str, Any], zaaktype: dict[str, Any]) -> dict[str, Any]:
    return {
        "identificatie": body["identificatie"],
        "bronorganisatie": body["bronorganisatie"],
        "omschrijving": body.get("omschrijving", ""),
        "toelichting": body.get("toelichting", ""),
        "zaaktype": body["zaaktype"],
        "registratiedatum": body.get("registratiedatum") or _now()[:10],
        "verantwoordelijkeOrganisatie": body["verantwoordelijkeOrganisatie"],
        "startdatum": body["startdatum"],
        "vertrouwelijkheidaanduiding": body.get("vertrouwelijkheidaanduiding")
        or zaaktype["vertrouwelijkheidaanduiding"],
        "zaakgeometrie": body.get("zaakgeometrie"),
        "kenmerken": body.get("kenmerken", []),
        "betalingsindicatie": body.get("betalingsindicatie", ""),
        "betalingsindicatieWeergave": _NO_PAYMENT if body.get("betalingsindicatie") == "nvt" else "",
        "uiterlijkeEinddatumAfdoening": None,
        "laatstGemuteerd": _now(),
        "opschorting": {"indicatie": False, "eerdereOpschorting": False, "reden": ""},
        "processobject": {"datumkenmerk": "", "identificatie": "", "objecttype": "", "registratie": ""},
        "archiefstatus": "nog_te_archiveren",
        **dict.fromkeys(
            ("productenOfDiensten", "deelzaken", "relevanteAndereZaken", "gerelateerdeZaken", "eigenschappen"),
            (),
        ),
        **dict.fromkeys(
            ("communicatiekanaal", "communicatiekanaalNaam", "selectielijstklasse",
             "opdrachtgevendeOrganisatie", "processobjectaard"), "",
        ),
        **dict.fromkeys(
            ("einddatum", "einddatumGepland", "publicatiedatum", "laatstGeopend", "laatsteBetaaldatum",
             "verlenging", "hoofdzaak", "archiefnominatie", "archiefactiedatum", "resultaat",
             "startdatumBewaartermijn"), None,
        ),
    }  # fmt: skip


def _now() -> str:
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")
