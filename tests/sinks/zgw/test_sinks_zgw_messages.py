# SPDX-License-Identifier: EUPL-1.2

"""Several messages of one verzoek: they all go into one zaak."""

from dataclasses import replace
from typing import Any

import pytest

from adapter.delivery import Delivered, Temporary
from adapter.simulator import DocumentSpec, VerzoekSpec, make_verzoek
from tests.sinks.handovers import MemoryCheckpoint
from tests.sinks.zgw.fake import FakeZgw, Fault
from tests.sinks.zgw.house import NUMBER, OIN, attempt, delivered, handed_over, sink_of

PLAN = DocumentSpec("plan.pdf", 3_000)
PHOTO = DocumentSpec("foto.png", 900, "image/png")
FIRST = VerzoekSpec(NUMBER, OIN, documents=(PLAN,))
ADDED = replace(FIRST, volgnummer="001", doel="Aanvullen", documents=(PLAN, PHOTO))
WITHDRAWN = replace(FIRST, volgnummer="002", doel="Intrekken", documents=())


async def deliver(raw: dict[str, Any], spec: VerzoekSpec, **manifest: Any) -> str:
    place, ends = await delivered(raw, handed_over(make_verzoek(spec), **manifest))
    assert len(ends) == 1
    return place


def titles(zgw: FakeZgw) -> list[str]:
    return [one["titel"] for one in zgw.made("enkelvoudiginformatieobjecten")]


def statuses(zgw: FakeZgw) -> list[str]:
    names = {one["url"]: one["omschrijving"] for one in zgw.types.find("statustypen", {})}
    return [names[one["statustype"]] for one in zgw.made("statussen")]


async def test_an_aanvulling_and_an_intrekking_go_into_the_zaak_that_is_there(
    zgw: FakeZgw, raw: dict[str, Any]
) -> None:
    places = {await deliver(raw, spec) for spec in (FIRST, ADDED, WITHDRAWN)}
    (zaak,) = zgw.made("zaken")
    assert places == {zaak["url"]}
    assert titles(zgw) == [
        "verzoek.xml", "verzoek.pdf", "plan.pdf",
        "verzoek.xml", "verzoek.pdf", "foto.png",
        "verzoek.xml", "verzoek.pdf",
    ]  # fmt: skip
    assert len(zaak["zaakinformatieobjecten"]) == len(titles(zgw))
    assert statuses(zgw) == ["Ontvangen", "Aangevuld", "Ingetrokken"]
    assert len(zaak["rollen"]) == 1


@pytest.mark.parametrize("spec", [ADDED, WITHDRAWN], ids=lambda one: one.doel)
async def test_a_later_message_that_is_the_first_seen_makes_the_zaak(
    zgw: FakeZgw, raw: dict[str, Any], spec: VerzoekSpec
) -> None:
    await deliver(raw, spec)
    later = {"Aanvullen": "Aangevuld", "Intrekken": "Ingetrokken"}[spec.doel]
    assert len(zgw.made("zaken")) == 1
    assert statuses(zgw) == ["Ontvangen", later]
    await deliver(raw, replace(FIRST, documents=()))
    assert len(zgw.made("zaken")) == 1


async def test_each_of_two_aanvullingen_sets_its_status(zgw: FakeZgw, raw: dict[str, Any]) -> None:
    for spec in (FIRST, ADDED, replace(ADDED, volgnummer="002")):
        await deliver(raw, spec)
    assert statuses(zgw) == ["Ontvangen", "Aangevuld", "Aangevuld"]


async def test_a_document_with_new_content_becomes_a_document_that_names_the_old_one(
    zgw: FakeZgw, raw: dict[str, Any]
) -> None:
    await deliver(raw, FIRST)
    checkpoint = MemoryCheckpoint()
    changed = replace(ADDED, documents=(replace(PLAN, version=2),))
    handover = handed_over(make_verzoek(changed))
    await delivered(raw, handover, checkpoint)
    old, new = [one for one in zgw.made("enkelvoudiginformatieobjecten") if one["titel"] == "plan.pdf"]
    assert old["identificatie"] != new["identificatie"]
    assert f"gewijzigde inhoud van document {old['identificatie']}" in new["beschrijving"]
    step = checkpoint.steps["document/bijlagen/plan.pdf"]["result"]
    assert step["revision_of"] == old["identificatie"]
    again = replace(changed, volgnummer="002")
    await deliver(raw, again)
    assert titles(zgw).count("plan.pdf") == 2


async def test_documents_that_lapsed_are_named_and_left_where_they_are(
    zgw: FakeZgw, raw: dict[str, Any]
) -> None:
    await deliver(raw, FIRST)
    lapsed = [{"documentId": "d", "bestandsnaam": "plan.pdf"}, {"documentId": "e", "bestandsnaam": None}]
    await deliver(raw, replace(ADDED, documents=(PHOTO,)), vervallen=lapsed)
    said = [one["beschrijving"] for one in zgw.made("enkelvoudiginformatieobjecten")]
    assert [text for text in said if "vervallen" in text] == [
        f"Aanvullen {NUMBER}, volgnummer 001; vervallen documenten: plan.pdf, e"
    ]
    assert "plan.pdf" in titles(zgw)


async def test_the_same_verzoek_of_another_authority_is_another_zaak(
    zgw: FakeZgw, raw: dict[str, Any]
) -> None:
    handover = handed_over(make_verzoek(FIRST))
    for oin in (OIN, "00000099000000002000"):
        sink = sink_of(raw, oin=oin)
        assert isinstance(await attempt(sink, handover, MemoryCheckpoint()), Delivered)
        await sink.close()
    assert len(zgw.made("zaken")) == 2


@pytest.mark.parametrize("number", range(1, 25))
@pytest.mark.parametrize("fault", [Fault.BROKEN, Fault.CUT], ids=lambda one: one.name.lower())
async def test_an_aanvulling_that_fails_at_any_request_is_made_good(
    zgw: FakeZgw, raw: dict[str, Any], number: int, fault: Fault
) -> None:
    await deliver(raw, FIRST)
    zgw.calls.clear()
    zgw.faults = {number: fault}
    await delivered(raw, handed_over(make_verzoek(ADDED)))
    (zaak,) = zgw.made("zaken")
    assert sorted(titles(zgw)) == sorted(
        ["verzoek.xml", "verzoek.pdf", "plan.pdf", "verzoek.xml", "verzoek.pdf", "foto.png"]
    )
    assert len(zaak["zaakinformatieobjecten"]) == 6
    assert statuses(zgw) == ["Ontvangen", "Aangevuld"]
    assert len(zaak["rollen"]) == 1


class TestNumberedByTheServer:
    @pytest.fixture
    def numbered(self, raw: dict[str, Any]) -> dict[str, Any]:
        return {**raw, "identificatie": "server"}

    async def test_the_zaak_has_the_number_of_the_server(
        self, zgw: FakeZgw, numbered: dict[str, Any]
    ) -> None:
        await deliver(numbered, FIRST)
        assert zgw.made("zaken")[0]["identificatie"] == "ZAAK-2026-0000000001"

    async def test_a_later_message_finds_its_zaak_by_the_documents_of_an_earlier_one(
        self, zgw: FakeZgw, numbered: dict[str, Any]
    ) -> None:
        await deliver(numbered, FIRST)
        await deliver(numbered, replace(ADDED, volgnummer="003"))
        await deliver(numbered, replace(FIRST, verzoeknummer="2023073100049"))
        assert len(zgw.made("zaken")) == 2
        assert zgw.made("zaken")[0]["kenmerken"][0]["kenmerk"] == NUMBER

    async def test_a_zaak_of_which_nobody_knows_is_made_again_and_the_timeline_says_so(
        self, zgw: FakeZgw, numbered: dict[str, Any]
    ) -> None:
        made = next(
            number
            for number, call in enumerate(await calls_of(zgw, numbered), 1)
            if str(call) == "POST /zaken/api/v1/zaken"
        )
        zgw.faults = {made: Fault.CUT}
        zgw.calls.clear()
        checkpoint = MemoryCheckpoint()
        _, ends = await delivered(numbered, handed_over(make_verzoek(FIRST)), checkpoint)
        assert isinstance(ends[0], Temporary)
        assert checkpoint.notes == [("possibly_repeated", "zaak")]

    async def test_a_zaak_that_was_refused_is_not_said_to_be_repeated(
        self, zgw: FakeZgw, numbered: dict[str, Any]
    ) -> None:
        zgw.denied = frozenset({"POST zaken"})
        checkpoint = MemoryCheckpoint()
        sink = sink_of(numbered)
        await attempt(sink, handed_over(make_verzoek(FIRST)), checkpoint)
        zgw.denied = frozenset()
        await attempt(sink, replace(handed_over(make_verzoek(FIRST)), attempt=2), checkpoint)
        await sink.close()
        assert checkpoint.notes == []
        assert len(zgw.made("zaken")) == 1


async def calls_of(zgw: FakeZgw, raw: dict[str, Any]) -> list[Any]:
    """The requests of a first delivery."""
    await deliver(raw, replace(FIRST, verzoeknummer="2023073100001"))
    return list(zgw.calls)
