# SPDX-License-Identifier: EUPL-1.2

import hashlib
from dataclasses import replace

import pytest

from adapter.delivery import Delivered, Permanent, SinkProblem
from adapter.store import FileKind
from adapter.verzoek import STAM_TYPES, Doel
from tests.sinks.handovers import MemoryCheckpoint
from tests.sinks.stuf.deliveries import (
    DRAWING,
    LETTER,
    NUMBER,
    MakeSink,
    a_delivery,
    a_file,
    after,
    attempt,
    make,
)
from tests.sinks.stuf.zaaksysteem import ZKN, Zaaksysteem

OWN = {"identificatie": "own", "gemeentecode": "0363"}


def said(element: object, path: str) -> str | None:
    steps = "/".join(f"{{{ZKN}}}{name}" for name in path.split("/"))
    return element.findtext(steps)  # type: ignore[attr-defined, no-any-return]


async def test_a_verzoek_becomes_a_zaak_with_its_documents(
    system: Zaaksysteem, a_sink: MakeSink, checkpoint: MemoryCheckpoint
) -> None:
    handover = a_delivery()
    sink = a_sink()
    assert await attempt(sink, handover, checkpoint) == Delivered(reference="0363zaak1")
    assert set(system.zaken) == {"0363zaak1"}
    assert {one.sha256 for one in system.documents.values()} == {file.sha256 for file in handover.files}
    assert {one.zaak for one in system.documents.values()} == {"0363zaak1"}
    assert system.operations == [
        "genereerZaakIdentificatie_Di02",
        "creeerZaak_Lk01",
        *["genereerDocumentIdentificatie_Di02", "voegZaakdocumentToe_Lk01"] * 4,
    ]


async def test_the_zaak_says_what_the_verzoek_says(
    system: Zaaksysteem, a_sink: MakeSink, checkpoint: MemoryCheckpoint
) -> None:
    await attempt(a_sink(), a_delivery(), checkpoint)
    zaak = system.zaken["0363zaak1"].made_by
    assert said(zaak, "omschrijving") == f"Simulatie aanvraag vergunning {NUMBER}"
    assert said(zaak, "toelichting") == "Gemaakt door een simulator."
    assert (said(zaak, "kenmerk/kenmerk"), said(zaak, "kenmerk/bron")) == (NUMBER, "DSO")
    assert said(zaak, "startdatum") == "20230731"
    assert said(zaak, "isVan/gerelateerde/code") == "B1"
    assert said(zaak, "heeft/gerelateerde/code") == "1"


async def test_a_document_keeps_its_name_type_and_confidentiality(
    system: Zaaksysteem, a_sink: MakeSink, checkpoint: MemoryCheckpoint
) -> None:
    await attempt(a_sink(), a_delivery(), checkpoint)
    found = {one.name: one.element for one in system.documents.values()}
    assert said(found["tekening.pdf"], "vertrouwelijkAanduiding") == "VERTROUWELIJK"
    assert said(found["brief.doc"], "vertrouwelijkAanduiding") == "ZAAKVERTROUWELIJK"
    assert said(found["brief.doc"], "formaat") == "application/msword"
    assert said(found["verzoek.xml"], "vertrouwelijkAanduiding") == "VERTROUWELIJK"
    assert said(found["verzoek.xml"], "dct.omschrijving") == "Aanvraag"
    assert said(found["verzoek.pdf"], "dct.omschrijving") == "Samenvatting"
    assert said(found["tekening.pdf"], "dct.omschrijving") == "Bijlage"


async def test_with_numbers_of_our_own_nothing_is_asked_for(
    system: Zaaksysteem, a_sink: MakeSink, checkpoint: MemoryCheckpoint
) -> None:
    await attempt(a_sink(**OWN), a_delivery(), checkpoint)
    assert not any("genereer" in operation for operation in system.operations)
    (number,) = system.zaken
    assert number.startswith(f"0363{NUMBER}-")
    assert max(len(one) for one in (*system.zaken, *system.documents)) <= 40


@pytest.mark.parametrize("soap", ["1.1", "1.2"])
async def test_both_versions_of_soap_are_spoken(
    system: Zaaksysteem, a_sink: MakeSink, checkpoint: MemoryCheckpoint, soap: str
) -> None:
    system.speak(soap)
    assert isinstance(await attempt(a_sink(soap=soap), a_delivery(), checkpoint), Delivered)


@pytest.mark.parametrize(
    ("doel", "code"), [("Conceptverzoek", "B2"), ("Initieren", "B1"), ("Vooroverleg", "B2")]
)
async def test_the_zaaktype_follows_the_rules(
    system: Zaaksysteem, a_sink: MakeSink, checkpoint: MemoryCheckpoint, doel: str, code: str
) -> None:
    await attempt(a_sink(), a_delivery(doel=doel), checkpoint)
    assert said(system.zaken["0363zaak1"].made_by, "isVan/gerelateerde/code") == code


@pytest.mark.parametrize("doel", [*Doel, "Vooroverleg", "Iets nieuws"])
@pytest.mark.parametrize("kind", STAM_TYPES)
async def test_every_type_and_doel_is_delivered(
    system: Zaaksysteem, a_sink: MakeSink, checkpoint: MemoryCheckpoint, kind: str, doel: str
) -> None:
    handover = a_delivery(type=kind, doel=doel, seed=len(kind) + len(doel))
    assert isinstance(await attempt(a_sink(), handover, checkpoint), Delivered)
    assert len(system.zaken) == 1
    assert len(system.documents) == len(handover.files)


async def test_a_verzoek_that_no_rule_matches_is_parked_before_anything_is_sent(
    system: Zaaksysteem, a_sink: MakeSink, checkpoint: MemoryCheckpoint
) -> None:
    rules = [{"type": "Melding", "zaaktype": {"code": "B1"}}]
    outcome = await attempt(a_sink(zaaktypen=rules), a_delivery(), checkpoint)
    assert isinstance(outcome, Permanent)
    assert "no rule of zaaktypen matches type 'Aanvraag vergunning'" in outcome.reason
    assert system.operations == []


@pytest.mark.parametrize("numbers", [{}, OWN])
async def test_an_aanvulling_changes_the_zaak_and_adds_what_is_new(
    system: Zaaksysteem, a_sink: MakeSink, checkpoint: MemoryCheckpoint, numbers: dict[str, str]
) -> None:
    sink = a_sink(**numbers)
    await attempt(sink, a_delivery(DRAWING), checkpoint)
    before = len(system.documents)
    later = after(checkpoint)
    outcome = await attempt(sink, a_delivery(DRAWING, LETTER, doel="Aanvullen", volgnummer="001"), later)
    assert isinstance(outcome, Delivered)
    (zaak,) = system.zaken.values()
    (change,) = zaak.changes
    assert (said(change, "toelichting") or "").startswith(f"Aanvullen {NUMBER}-001, ontvangen 2")
    assert said(change, "heeft/gerelateerde/code") == "2"
    names = [one.name for one in system.documents.values()]
    # The XML and the PDF are others than before; the drawing is the same one.
    assert names[before:] == ["verzoek.xml", "verzoek.pdf", "brief.doc"]


async def test_an_aanvulling_that_is_the_first_thing_seen_makes_the_zaak(
    system: Zaaksysteem, a_sink: MakeSink, checkpoint: MemoryCheckpoint
) -> None:
    await attempt(a_sink(), a_delivery(doel="Aanvullen", volgnummer="003"), checkpoint)
    (zaak,) = system.zaken.values()
    assert len(zaak.changes) == 1
    assert len(system.documents) == 4


async def test_an_aanvulling_that_finds_nothing_in_an_emptied_store_finds_the_zaak_by_its_number(
    system: Zaaksysteem, a_sink: MakeSink
) -> None:
    sink = a_sink(**OWN)
    await attempt(sink, a_delivery(), MemoryCheckpoint())
    outcome = await attempt(sink, a_delivery(doel="Aanvullen", volgnummer="001"), MemoryCheckpoint())
    assert isinstance(outcome, Delivered)
    (zaak,) = system.zaken.values()
    assert len(zaak.changes) == 1
    assert [one.name for one in system.documents.values()].count("tekening.pdf") == 1


@pytest.mark.parametrize("is_known", [True, False])
async def test_an_intrekking_says_so_on_the_zaak(
    system: Zaaksysteem, a_sink: MakeSink, checkpoint: MemoryCheckpoint, *, is_known: bool
) -> None:
    sink = a_sink()
    if is_known:
        await attempt(sink, a_delivery(), checkpoint)
    outcome = await attempt(sink, a_delivery(doel="Intrekken", volgnummer="001"), after(checkpoint))
    assert isinstance(outcome, Delivered)
    (zaak,) = system.zaken.values()
    (change,) = zaak.changes
    assert (said(change, "toelichting") or "").startswith("Intrekken ")
    assert said(change, "heeft/gerelateerde/omschrijving") == "Ingetrokken"


async def test_a_change_says_that_what_it_was_is_unknown(
    system: Zaaksysteem, a_sink: MakeSink, checkpoint: MemoryCheckpoint
) -> None:
    await attempt(a_sink(), a_delivery(doel="Intrekken"), checkpoint)
    body = next(one for one in system.bodies if b"<StUF:mutatiesoort>W<" in one)
    assert body.count(b'StUF:noValue="waardeOnbekend"') == 2


async def test_a_third_delivery_finds_what_the_second_only_found(
    system: Zaaksysteem, a_sink: MakeSink, checkpoint: MemoryCheckpoint
) -> None:
    sink = a_sink()
    await attempt(sink, a_delivery(), checkpoint)
    second = after(checkpoint)
    await attempt(sink, a_delivery(doel="Aanvullen", volgnummer="001"), second)
    third = MemoryCheckpoint()
    third.earlier_steps = second.steps
    await attempt(sink, a_delivery(doel="Aanvullen", volgnummer="002"), third)
    assert len(system.zaken) == 1
    assert [one.name for one in system.documents.values()].count("tekening.pdf") == 1


async def test_a_document_that_is_too_large_parks_the_delivery_before_anything_is_sent(
    system: Zaaksysteem, a_sink: MakeSink, checkpoint: MemoryCheckpoint
) -> None:
    handover = a_delivery(replace(DRAWING, size=200_000))
    outcome = await attempt(a_sink(max_document="100 kB"), handover, checkpoint)
    assert isinstance(outcome, Permanent)
    assert "bijlagen/tekening.pdf (200000 bytes); raise max_document" in outcome.reason
    assert system.operations == []


async def test_a_document_that_is_too_large_can_be_left_out_and_the_timeline_says_so_once(
    system: Zaaksysteem, a_sink: MakeSink, checkpoint: MemoryCheckpoint
) -> None:
    handover = a_delivery(replace(DRAWING, size=200_000), LETTER)
    sink = a_sink(max_document="100 kB", too_large="skip")
    for _ in range(2):
        assert isinstance(await attempt(sink, handover, checkpoint), Delivered)
    assert {one.name for one in system.documents.values()} == {"verzoek.xml", "verzoek.pdf", "brief.doc"}
    assert [note for note, _ in checkpoint.notes] == ["document_skipped"]


async def test_the_same_content_under_another_id_is_another_document(
    system: Zaaksysteem, a_sink: MakeSink, checkpoint: MemoryCheckpoint
) -> None:
    handover = a_delivery(DRAWING)
    twin = a_file("bijlagen/kopie.pdf", b"x", FileKind.DOCUMENT, document_id="b")
    other = replace(twin, path="bijlagen/kopie-2.pdf", document_id="c")
    await attempt(a_sink(), replace(handover, files=(*handover.files, twin, other)), checkpoint)
    digest = hashlib.sha256(b"x").hexdigest()
    assert [one.sha256 for one in system.documents.values()].count(digest) == 2


async def test_text_that_xml_cannot_hold_is_replaced(
    system: Zaaksysteem, a_sink: MakeSink, checkpoint: MemoryCheckpoint
) -> None:
    handover = a_delivery(DRAWING)
    odd = a_file("bijlagen/x", b"x", FileKind.DOCUMENT, document_id="b", bestandsnaam='a\x00"<b>\ud800.pdf')
    await attempt(a_sink(), replace(handover, files=(*handover.files, odd)), checkpoint)
    assert 'a\ufffd"<b>\ufffd.pdf' in {one.name for one in system.documents.values()}


async def test_a_repeat_has_the_number_of_the_first_and_a_later_time(
    system: Zaaksysteem, a_sink: MakeSink, checkpoint: MemoryCheckpoint
) -> None:
    system.grows = True
    handover = a_delivery()
    sink = a_sink()
    await attempt(sink, handover, checkpoint)
    await attempt(sink, handover, MemoryCheckpoint())  # as from a store that was lost
    assert len(system.zaken) == 1
    assert len(system.documents) == 4


async def test_a_probe_asks_both_services(system: Zaaksysteem, a_sink: MakeSink) -> None:
    sink = a_sink()
    await sink.probe()
    assert system.operations == []


async def test_a_probe_tells_what_cannot_be_reached(a_sink: MakeSink) -> None:
    sink = a_sink(vrije_berichten="http://127.0.0.1:1/vrij")
    with pytest.raises(SinkProblem, match=r"^vrije_berichten: http://127\.0\.0\.1:1/vrij: no connection"):
        await sink.probe()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"identificatie": "own"}, "needs gemeentecode"),
        ({"gemeentecode": "363"}, "not a gemeentecode"),
        ({"documenttypen": None}, r"zaaktypen\[0\] has no documenttypen"),
        ({"zaaktypen": [{"zaaktype": {"code": "1"}}] * 2}, r"zaaktypen\[0\] has no condition"),
        ({"vrije_berichten": "vrij"}, "vrije_berichten: 'vrij' is not the address"),
        ({"zaaktypen": [{"doel": "Weggooien", "zaaktype": {"code": "1"}}]}, "is not a doel"),
    ],
)
def test_options_that_cannot_work_are_refused_with_the_fix(changes: dict[str, object], reason: str) -> None:
    with pytest.raises(SinkProblem, match=reason):
        make(Zaaksysteem(), **{"vrije_berichten": "http://a/", "ontvang_asynchroon": "http://a/", **changes})
