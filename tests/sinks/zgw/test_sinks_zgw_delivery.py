# SPDX-License-Identifier: EUPL-1.2

"""What becomes of a verzoek: its zaak, documents, rollen and status."""

import json
import re
from dataclasses import replace
from typing import Any

import pytest

from adapter.delivery import Handover, Permanent
from adapter.simulator import Applicant, DocumentSpec, Place, VerzoekSpec, make_verzoek
from adapter.simulator.specs import HOSTILE_NAMES
from adapter.store import FileKind
from adapter.verzoek import STAM_TYPES, Doel
from tests.sinks.handovers import MemoryCheckpoint
from tests.sinks.zgw.fake import FakeZgw
from tests.sinks.zgw.house import (
    NUMBER,
    OIN,
    RSIN,
    TYPES,
    attempt,
    contents,
    delivered,
    generated,
    handed_over,
    sink_of,
    stored,
)

DOCUMENTS = (
    DocumentSpec("situatie tekening.pdf", 3_000),
    DocumentSpec("BSN-verklaring.png", 900, "image/png", vertrouwelijk=True),
)
SPEC = VerzoekSpec(
    NUMBER,
    OIN,
    documents=DOCUMENTS,
    naam="Een dakkapel",
    applicant=Applicant.PERSON,
    places=(Place.POINT,),
    activities=1,
)


KIND = (r"(documenttypeGeneriek>)[^<]+", r"\1Tekening")


def xml_with(*changes: tuple[str, str], spec: VerzoekSpec = SPEC) -> Handover:
    """A handover whose verzoekbericht was changed, by patterns and what comes in their place."""
    verzoek = make_verzoek(spec)
    text = verzoek.xml.decode()
    for pattern, new in changes:
        text, count = re.subn(pattern, new, text)
        assert count, pattern
    handover = handed_over(verzoek)
    changed = stored("verzoek.xml", lambda: iter([text.encode()]), FileKind.VERZOEK)
    return replace(handover, files=(changed, *handover.files[1:]))


@pytest.mark.parametrize("doel", list(Doel))
@pytest.mark.parametrize("kind", STAM_TYPES)
async def test_every_kind_of_verzoek_becomes_a_zaak(
    zgw: FakeZgw, raw: dict[str, Any], doel: Doel, kind: str
) -> None:
    handover = handed_over(make_verzoek(replace(SPEC, doel=doel.value, type=kind)))
    place, ends = await delivered(raw, handover)
    (zaak,) = zgw.made("zaken")
    assert len(ends) == 1
    assert zaak["url"] == place
    assert len(zaak["zaakinformatieobjecten"]) == len(handover.files)
    assert len(zaak["rollen"]) == 1
    assert zaak["status"] is not None
    name = "OMG-OVERLEG" if doel is Doel.CONCEPTVERZOEK else "OMG-AANVRAAG"
    types = [one for one in zgw.types.find("zaaktypen", {}) if one["url"] == zaak["zaaktype"]]
    assert [(one["identificatie"], one["eindeGeldigheid"]) for one in types] == [(name, None)]


async def test_a_zaak_says_what_was_asked_where_and_by_which_message(
    zgw: FakeZgw, raw: dict[str, Any]
) -> None:
    await delivered(raw, handed_over(make_verzoek(SPEC)))
    (zaak,) = zgw.made("zaken")
    assert zaak["identificatie"].startswith(f"DSO-{NUMBER}-")
    assert zaak["bronorganisatie"] == zaak["verantwoordelijkeOrganisatie"] == RSIN
    assert zaak["omschrijving"] == "Een dakkapel"
    assert zaak["toelichting"] == "Gemaakt door een simulator."
    assert zaak["startdatum"] == "2023-07-31"
    assert {one["bron"]: one["kenmerk"] for one in zaak["kenmerken"]}.items() >= {
        ("DSO-LV verzoeknummer", NUMBER),
        ("ebMS MessageId", "m-1@dso"),
    }
    assert [one["bron"] for one in zaak["kenmerken"]][-1] == "DSO-LV projectId"
    longitude, latitude = zaak["zaakgeometrie"]["coordinates"]
    assert (round(longitude), round(latitude)) == (5, 52)


async def test_a_name_that_is_too_long_is_whole_in_the_toelichting(zgw: FakeZgw, raw: dict[str, Any]) -> None:
    name = "Het verbouwen van een woning " * 5
    await delivered(raw, handed_over(make_verzoek(replace(SPEC, naam=name))))
    (zaak,) = zgw.made("zaken")
    assert len(zaak["omschrijving"]) <= 80
    assert zaak["omschrijving"].endswith("…")
    assert zaak["toelichting"].startswith(name.strip())


async def test_documents_have_their_content_type_and_confidentiality(
    zgw: FakeZgw, raw: dict[str, Any]
) -> None:
    handover = xml_with(KIND)
    await delivered(raw, handover)
    made = zgw.made("enkelvoudiginformatieobjecten")
    names = {url_of(zgw, name): name for name in TYPES}
    assert [(one["titel"], names[one["informatieobjecttype"]]) for one in made] == [
        ("verzoek.xml", "Aanvraag"),
        ("verzoek.pdf", "Publiceerbaar verzoek"),
        ("situatie tekening.pdf", "Tekening"),
        ("BSN-verklaring.png", "Tekening"),
    ]
    assert [one["vertrouwelijkheidaanduiding"] for one in made] == [
        "vertrouwelijk",  # the verzoekbericht has everything that the PDF leaves out
        "openbaar",
        "openbaar",
        "vertrouwelijk",
    ]
    assert [one["integriteit"]["waarde"] for one in made] == [file.sha256 for file in handover.files]
    assert all(one["identificatie"].startswith(f"DSO-{NUMBER}-") for one in made)
    assert len({one["identificatie"] for one in made}) == 4


async def test_a_kind_of_document_that_is_not_mapped_gets_the_default(
    zgw: FakeZgw, raw: dict[str, Any]
) -> None:
    await delivered(raw, xml_with((KIND[0], r"\1Akte")))
    last = zgw.made("enkelvoudiginformatieobjecten")[-1]
    assert last["informatieobjecttype"] == url_of(zgw, "Bijlage")


def url_of(fake: FakeZgw, name: str) -> str:
    (found,) = fake.types.find(
        "informatieobjecttypen", {"omschrijving": name, "datumGeldigheid": "2026-01-01"}
    )
    return str(found["url"])


async def test_the_name_of_a_file_brings_no_path_along(zgw: FakeZgw, raw: dict[str, Any]) -> None:
    file = replace(generated("x.pdf", 10), bestandsnaam="..\\..\\etc/plan.pdf")
    await delivered(raw, handed_over(make_verzoek(SPEC), file))
    last = zgw.made("enkelvoudiginformatieobjecten")[-1]
    assert (last["titel"], last["bestandsnaam"]) == ("plan.pdf", "plan.pdf")


async def test_names_that_are_hostile_are_only_names(zgw: FakeZgw, raw: dict[str, Any]) -> None:
    documents = tuple(DocumentSpec(name, 10) for name in HOSTILE_NAMES)
    verzoek = make_verzoek(replace(SPEC, documents=documents))
    files = handed_over(verzoek).files
    numbered = tuple(replace(file, path=f"{number}") for number, file in enumerate(files))
    await delivered(raw, replace(handed_over(verzoek), files=numbered))
    made = zgw.made("enkelvoudiginformatieobjecten")
    assert len(made) == 2 + len(HOSTILE_NAMES)
    for one in made:
        assert one["bestandsnaam"].isprintable()
        assert not set("/\\") & set(one["bestandsnaam"])


async def test_an_empty_file_is_a_document_too(zgw: FakeZgw, raw: dict[str, Any]) -> None:
    await delivered(raw, handed_over(make_verzoek(SPEC), generated("leeg.txt", 0)))
    assert contents(zgw)[-1] == b""


BSN = "111222333"
WITH_BSN = (r"(burgerservicenummer[^>]*>)\d+", rf"\g<1>{BSN}")
COMPANY = replace(SPEC, applicant=Applicant.COMPANY)


async def rol_of(zgw: FakeZgw, raw: dict[str, Any], handover: Handover) -> dict[str, Any]:
    """The one rol that a verzoek gets."""
    await delivered(raw, handover)
    (rol,) = zgw.made("rollen")
    return rol


async def test_a_person_is_known_by_burgerservicenummer_and_name(zgw: FakeZgw, raw: dict[str, Any]) -> None:
    rol = await rol_of(zgw, raw, xml_with(WITH_BSN))
    assert rol["omschrijvingGeneriek"] == "initiator"
    assert rol["betrokkeneType"] == "natuurlijk_persoon"
    found = rol["betrokkeneIdentificatie"]
    assert (found["inpBsn"], found["geslachtsnaam"], found["voorletters"]) == (BSN, "Nietbestaand", "X.Y.")
    assert rol["contactpersoonRol"]["emailadres"] == "aanvrager@voorbeeld.example"
    assert rol["roltoelichting"] == f"initiatiefnemer van verzoek {NUMBER}"


async def test_a_number_that_is_no_burgerservicenummer_is_left_out(zgw: FakeZgw, raw: dict[str, Any]) -> None:
    rol = await rol_of(zgw, raw, xml_with((WITH_BSN[0], r"\g<1>123456789")))
    assert rol["betrokkeneIdentificatie"]["inpBsn"] == ""


RSIN_OF = (r"(<vx:rsin[^>]*>)\d+", r"\g<1>{}")


@pytest.mark.parametrize(("rsin", "sent"), [("123456782", "123456782"), ("12345678", None)])
async def test_a_company_has_its_rsin_only_where_it_can_be_one(
    zgw: FakeZgw, raw: dict[str, Any], rsin: str, sent: str | None
) -> None:
    no_branch = (r"(vestigingsnummer[^>]*>)\d+", r"\g<1>-")
    handover = xml_with((RSIN_OF[0], RSIN_OF[1].format(rsin)), no_branch, spec=COMPANY)
    rol = await rol_of(zgw, raw, handover)
    assert rol["betrokkeneType"] == "niet_natuurlijk_persoon"
    assert rol["betrokkeneIdentificatie"].get("innNnpId") == sent
    assert rol["betrokkeneIdentificatie"]["statutaireNaam"] == "Fictief Bouwbedrijf B.V."
    assert len(rol["betrokkeneIdentificatie"]["kvkNummer"]) == 8
    assert rol["contactpersoonRol"]["naam"] == "P. van Verzonnen"


async def test_a_branch_without_rsin_is_a_vestiging(zgw: FakeZgw, raw: dict[str, Any]) -> None:
    rol = await rol_of(zgw, raw, xml_with((r"<vx:rsin.*", ""), spec=COMPANY))
    assert rol["betrokkeneType"] == "vestiging"
    assert len(rol["betrokkeneIdentificatie"]["vestigingsNummer"]) == 12
    assert rol["betrokkeneIdentificatie"]["handelsnaam"] == ["Fictief Bouw"]


async def test_who_acts_for_another_has_a_rol_too_and_is_the_one_to_call(
    zgw: FakeZgw, raw: dict[str, Any]
) -> None:
    await delivered(raw, handed_over(make_verzoek(replace(SPEC, applicant=Applicant.REPRESENTED))))
    called = {one["omschrijving"]: one["contactpersoonRol"]["naam"] for one in zgw.made("rollen")}
    assert called == {"Aanvrager": "X.Y. de Nietbestaand", "Gemachtigde": "P. van Verzonnen"}


async def test_an_address_and_a_parcel_become_zaakobjecten_once(zgw: FakeZgw, raw: dict[str, Any]) -> None:
    spec = replace(SPEC, places=(Place.ADDRESS, Place.ADDRESS, Place.PARCEL))
    await delivered({**raw, "zaakobjecten": True}, handed_over(make_verzoek(spec)))
    made = [(one["objectType"], one["objectIdentificatie"]) for one in zgw.made("zaakobjecten")]
    assert made == [
        (
            "adres",
            {
                "identificatie": "0000200000000001",
                "wplWoonplaatsNaam": "Nergenshuizen",
                "gorOpenbareRuimteNaam": "Nergenslaan",
                "huisnummer": 1,
                "huisletter": "A",
                "huisnummertoevoeging": "bis",
                "postcode": "0000AA",
            },
        ),
        (
            "kadastrale_onroerende_zaak",
            {
                "kadastraleIdentificatie": "NL.IMKAD.KadastraalObject.0000000001",
                "kadastraleAanduiding": "Nergenshuizen N 1",
            },
        ),
    ]


async def test_several_places_are_one_geometry(zgw: FakeZgw, raw: dict[str, Any]) -> None:
    await delivered(raw, handed_over(make_verzoek(replace(SPEC, places=(Place.SURFACE, Place.POINT)))))
    (zaak,) = zgw.made("zaken")
    assert zaak["zaakgeometrie"]["type"] == "GeometryCollection"
    assert [one["type"] for one in zaak["zaakgeometrie"]["geometries"]] == ["Polygon", "Point"]


async def test_a_status_that_the_zaaksysteem_set_itself_is_left_alone(
    zgw: FakeZgw, raw: dict[str, Any]
) -> None:
    class SetsItself:
        def __init__(self) -> None:
            self.make = zgw.zaken.make

        def __call__(self, resource: str, body: dict[str, Any]) -> dict[str, Any]:
            made = self.make(resource, body)
            if resource == "zaken":
                moment = "2026-01-01T00:00:00+00:00"
                (found,) = [
                    one
                    for one in zgw.types.find("statustypen", {"zaaktype": made["zaaktype"]})
                    if one["omschrijving"] == "In behandeling"
                ]
                status = {"zaak": made["url"], "statustype": found["url"], "datumStatusGezet": moment}
                self.make("statussen", status)
            return made

    zgw.zaken.make = SetsItself()  # type: ignore[method-assign]
    await delivered(raw, handed_over(make_verzoek(SPEC)))
    assert len(zgw.made("statussen")) == 1


async def test_the_first_status_is_that_with_the_lowest_volgnummer(zgw: FakeZgw, raw: dict[str, Any]) -> None:
    await delivered(raw, handed_over(make_verzoek(SPEC)))
    (status,) = zgw.made("statussen")
    (kind,) = [one for one in zgw.types.find("statustypen", {}) if one["url"] == status["statustype"]]
    assert (kind["omschrijving"], kind["volgnummer"]) == ("Ontvangen", 1)
    assert str(zgw.calls[-1]) == "POST /zaken/api/v1/statussen"


async def test_a_verzoek_costs_few_requests(zgw: FakeZgw, raw: dict[str, Any]) -> None:
    sink = sink_of(raw)
    for number in ("2023073100001", "2023073100002"):
        zgw.calls.clear()
        handover = handed_over(make_verzoek(replace(SPEC, verzoeknummer=number)))
        await attempt(sink, handover, MemoryCheckpoint())
    # the types are known by now: zaak, 4 documents, 4 relations, rol, look at the zaak, status
    assert len(zgw.calls) == 12
    await sink.close()


async def test_the_dates_of_types_are_asked_for_where_the_server_knows_them(
    zgw: FakeZgw, raw: dict[str, Any]
) -> None:
    for version, asked in (("1.1.0", False), ("1.2.0", True)):
        zgw.version = version
        zgw.calls.clear()
        await delivered(raw, handed_over(make_verzoek(replace(SPEC, verzoeknummer=f"2023-{version}"))))
        typed = [call for call in zgw.calls if call.path.endswith("/zaaktypen")]
        assert [("datumGeldigheid" in call.query) for call in typed] == [asked]
    assert len({zaak["zaaktype"] for zaak in zgw.made("zaken")}) == 1


async def test_a_catalogus_may_be_given_by_its_address(zgw: FakeZgw, raw: dict[str, Any]) -> None:
    (url,) = [one["url"] for one in zgw.types.find("catalogussen", {"domein": "OMGEV"})]
    await delivered({**raw, "catalogus": {"url": url}}, handed_over(make_verzoek(SPEC)))
    assert not [call for call in zgw.calls if call.path.endswith("/catalogussen")]


async def test_neither_secret_nor_token_nor_person_is_shown(
    zgw: FakeZgw, raw: dict[str, Any], capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    zgw.denied = frozenset({"POST rollen"})
    sink = sink_of(raw)
    handover = xml_with(WITH_BSN)
    outcome = await attempt(sink, handover, MemoryCheckpoint())
    assert isinstance(outcome, Permanent)
    token = zgw.calls[0].headers["Authorization"].removeprefix("Bearer ")
    shown = f"{outcome} {sink!r} {vars(sink)} {caplog.text} {json.dumps(capsys.readouterr())}"
    for secret in (token, "een geheim", BSN):
        assert secret not in shown
    await sink.close()
