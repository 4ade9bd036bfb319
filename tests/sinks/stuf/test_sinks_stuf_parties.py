# SPDX-License-Identifier: EUPL-1.2

"""Who a zaak is of, as the receiver is told."""

import pytest
from lxml import etree

from tests.sinks.handovers import MemoryCheckpoint
from tests.sinks.stuf.deliveries import MakeSink, a_delivery, attempt
from tests.sinks.stuf.zaaksysteem import BG, STUF, ZKN, Zaaksysteem
from tests.verzoek.berichten import bericht

ADDRESS = (
    "<straatnaam>Nergenslaan</straatnaam><huisnummer>12</huisnummer><huisletter>b</huisletter>"
    "<postcode>1234 ab</postcode><woonplaatsnaam>Nergenshuizen</woonplaatsnaam>"
)
PERSON = (
    "<natuurlijkPersoon><geslachtsnaamNaamgebruik bron='DSO-LV'>Anders</geslachtsnaamNaamgebruik>"
    "<geslachtsnaamNaamgebruik bron='gebruiker'>Nietbestaand</geslachtsnaamNaamgebruik>"
    "<voorlettersNaamgebruik>X.Y.</voorlettersNaamgebruik><voorvoegselNaamgebruik>van</voorvoegselNaamgebruik>"
    f"<burgerservicenummer>123456782</burgerservicenummer><verblijfsadres>{ADDRESS}</verblijfsadres>"
    "</natuurlijkPersoon>"
)
COMPANY = (
    "<nietNatuurlijkPersoon><rsin>123456782</rsin><statutaireNaam>Fictief B.V.</statutaireNaam>"
    "<kvkNummer>12345678</kvkNummer><handelsnaam>Fictief</handelsnaam>"
    f"<bezoekAdres>{ADDRESS}</bezoekAdres>BRANCH</nietNatuurlijkPersoon>"
)
BRANCH = "<vestiging><vestigingsnummer>000012345678</vestigingsnummer></vestiging>"


async def made(a_sink: MakeSink, system: Zaaksysteem, body: str, **options: object) -> etree._Element:
    """The zaak of a verzoek with such a body."""
    await attempt(a_sink(**options), a_delivery(xml=bericht(body)), MemoryCheckpoint())
    return system.zaken["0363zaak1"].made_by


def party(zaak: etree._Element, role: str) -> tuple[str, str, dict[str, str | None]]:
    """The kind of a party, its entiteittype, and what is said of it by element."""
    relation = zaak.find(f"{{{ZKN}}}{role}")
    assert relation is not None
    ((found,),) = relation
    texts = {etree.QName(one).localname: one.text for one in found.iter("{*}*") if not len(one)}
    return etree.QName(found).localname, str(found.get(f"{{{STUF}}}entiteittype")), texts


FOUND = {
    "wpl.woonplaatsNaam": "Nergenshuizen",
    "gor.openbareRuimteNaam": "Nergenslaan",
    "gor.straatnaam": "Nergenslaan",
    "aoa.postcode": "1234AB",
    "aoa.huisnummer": "12",
    "aoa.huisletter": "b",
}


async def test_a_person_is_named_by_number_and_name_as_the_applicant_gave_it(
    a_sink: MakeSink, system: Zaaksysteem
) -> None:
    zaak = await made(a_sink, system, f"<initiatiefnemer>{PERSON}</initiatiefnemer>")
    assert party(zaak, "heeftAlsInitiator") == (
        "natuurlijkPersoon",
        "NPS",
        {
            "inp.bsn": "123456782",
            "authentiek": "J",
            "geslachtsnaam": "Nietbestaand",
            "voorvoegselGeslachtsnaam": "van",
            "voorletters": "X.Y.",
            **FOUND,
        },
    )
    assert zaak.find(f"{{{ZKN}}}heeftAlsGemachtigde") is None


async def test_a_person_without_number_is_not_authentic(a_sink: MakeSink, system: Zaaksysteem) -> None:
    person = PERSON.replace("123456782", "000000000")
    zaak = await made(a_sink, system, f"<initiatiefnemer>{person}</initiatiefnemer>")
    _, _, said = party(zaak, "heeftAlsInitiator")
    assert "inp.bsn" not in said
    assert said["authentiek"] == "N"


async def test_a_company_is_named_by_rsin_and_its_number_in_the_trade_register_is_extra(
    a_sink: MakeSink, system: Zaaksysteem
) -> None:
    company = COMPANY.replace("BRANCH", "")
    zaak = await made(a_sink, system, f"<initiatiefnemer>{company}</initiatiefnemer>")
    said = {"inn.nnpId": "123456782", "authentiek": "J", "statutaireNaam": "Fictief B.V."}
    assert party(zaak, "heeftAlsInitiator") == ("nietNatuurlijkPersoon", "NNP", {**said, **FOUND})
    (extra,) = zaak.findall(f"{{{STUF}}}extraElementen/{{{STUF}}}extraElement")
    assert (extra.get(f"{{{STUF}}}naam"), extra.text) == ("kvkNummer", "12345678")


async def test_extra_elements_can_be_left_out(a_sink: MakeSink, system: Zaaksysteem) -> None:
    body = f"<initiatiefnemer>{COMPANY.replace('BRANCH', '')}</initiatiefnemer>"
    zaak = await made(a_sink, system, body, extra_elementen=False)
    assert zaak.find(f"{{{STUF}}}extraElementen") is None


async def test_a_company_with_a_branch_is_named_by_the_branch(a_sink: MakeSink, system: Zaaksysteem) -> None:
    company = COMPANY.replace("BRANCH", BRANCH)
    zaak = await made(a_sink, system, f"<initiatiefnemer>{company}</initiatiefnemer>")
    said = {"vestigingsNummer": "000012345678", "authentiek": "J", "handelsnaam": "Fictief"}
    assert party(zaak, "heeftAlsInitiator") == ("vestiging", "VES", {**said, **FOUND})


async def test_who_acts_for_another_is_gemachtigde(a_sink: MakeSink, system: Zaaksysteem) -> None:
    body = f"<gemachtigde>{COMPANY.replace('BRANCH', BRANCH)}</gemachtigde><initiatiefnemer>{PERSON}</initiatiefnemer>"
    zaak = await made(a_sink, system, body)
    assert party(zaak, "heeftAlsGemachtigde")[:2] == ("vestiging", "VES")
    assert party(zaak, "heeftAlsInitiator")[:2] == ("natuurlijkPersoon", "NPS")


@pytest.mark.parametrize(
    "broken",
    [
        "<huisnummer>12a</huisnummer><postcode>1234AB</postcode>",
        "<huisnummer>12</huisnummer>",
        "<huisnummer>12</huisnummer><postcode>B-1000 Brussel</postcode>",
    ],
)
async def test_an_address_by_half_is_left_out(a_sink: MakeSink, system: Zaaksysteem, broken: str) -> None:
    person = PERSON.replace(ADDRESS, broken)
    zaak = await made(a_sink, system, f"<initiatiefnemer>{person}</initiatiefnemer>")
    assert zaak.find(f".//{{{BG}}}verblijfsadres") is None


async def test_what_would_mean_something_else_when_cut_is_left_out(
    a_sink: MakeSink, system: Zaaksysteem
) -> None:
    person = (
        PERSON.replace("123456782", "1234567821")
        .replace(">b<", ">bis<")
        .replace(">van<", ">van den hoge<")
        .replace("Nergenslaan", "L" * 30)
    )
    zaak = await made(a_sink, system, f"<initiatiefnemer>{person}</initiatiefnemer>")
    _, _, said = party(zaak, "heeftAlsInitiator")
    left_out = {"inp.bsn", "aoa.huisletter", "voorvoegselGeslachtsnaam", "gor.straatnaam"}
    assert not left_out & set(said)
    assert said["authentiek"] == "N"
    assert said["gor.openbareRuimteNaam"] == "L" * 30


async def test_long_texts_are_cut_where_the_receiver_would_refuse_them(
    a_sink: MakeSink, system: Zaaksysteem
) -> None:
    name, why = "n" * 90, "t" * 1200
    body = f"<naam>{name}</naam><toelichtingVerzoek>{why}</toelichtingVerzoek>"
    zaak = await made(a_sink, system, body)
    assert zaak.findtext(f"{{{ZKN}}}omschrijving") == "n" * 79 + "…"
    explained = zaak.findtext(f"{{{ZKN}}}toelichting") or ""
    assert explained.startswith(f"{name} — ttt")
    assert len(explained) == 1000


async def test_nobody_is_named_where_nobody_is_known(a_sink: MakeSink, system: Zaaksysteem) -> None:
    zaak = await made(a_sink, system, "")
    assert zaak.find(f"{{{ZKN}}}heeftAlsInitiator") is None
