# SPDX-License-Identifier: EUPL-1.2

"""The stream of messages has all that DSO-LV sends, in an order that it would be sent in."""

from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
from lxml import etree

from adapter.simulator import HOSTILE_NAMES, LONG_NAME, OTHER_DIENST, SimulatedVerzoek, VerzoekStream
from adapter.verzoek import STAM_TYPES, Doel, VerzoekType, read_verzoekbericht

GEMEENTE = "00000099000000001000"
DAY = date(2023, 7, 31)


def messages(count: int, stream: Callable[[], VerzoekStream] | None = None) -> list[SimulatedVerzoek]:
    made = stream() if stream else VerzoekStream(GEMEENTE, DAY)
    return [made.next() for _ in range(count)]


def test_every_type_and_doel_comes_by() -> None:
    sent = messages(45)
    assert {each.spec.type for each in sent} == set(STAM_TYPES)
    assert {each.spec.doel for each in sent} == {doel.value for doel in Doel}


def test_every_message_satisfies_the_schema(shared: Path) -> None:
    schema = etree.XMLSchema(etree.parse(shared / "xsd" / "stam-4.0" / "imam-4.0.xsd"))
    for each in messages(45):
        schema.assertValid(etree.fromstring(each.xml))


def test_supplements_and_withdrawals_are_of_earlier_verzoeken_that_were_not_withdrawn() -> None:
    known: dict[str, str] = {}
    for each in messages(90):
        number, volgnummer, doel = each.verzoeknummer, each.spec.volgnummer, each.spec.doel
        if doel in {Doel.INITIEREN, Doel.CONCEPTVERZOEK}:
            assert (volgnummer, number in known) == ("000", False)
        else:
            assert int(volgnummer) == int(known[number]) + 1
        known[number] = volgnummer if doel != Doel.INTREKKEN else "withdrawn"


def test_supplements_keep_add_and_drop_documents_and_change_an_answer() -> None:
    earlier: dict[str, set[str]] = {}
    kept = added = dropped = False
    for each in messages(45):
        ids = {document.document_id for document in each.documents}
        if each.spec.doel == Doel.AANVULLEN:
            kept |= bool(ids & earlier[each.verzoeknummer])
            added |= bool(ids - earlier[each.verzoeknummer])
            dropped |= bool(earlier[each.verzoeknummer] - ids)
            assert b"oorspronkelijkAntwoord" in each.xml
        earlier[each.verzoeknummer] = ids
    assert (kept, added, dropped) == (True, True, True)


def test_some_share_a_project_are_copies_or_have_names_that_are_long_or_hostile() -> None:
    sent = [each for each in messages(45) if each.spec.volgnummer == "000"]
    projects = [read_verzoekbericht(each.xml).project_id for each in sent]
    assert len(set(projects)) < len(projects)
    assert {each.spec.behandeldienst for each in sent} == {None, OTHER_DIENST}
    assert any(each.spec.naam == LONG_NAME for each in sent)
    assert any(tuple(d.spec.bestandsnaam for d in each.documents) == HOSTILE_NAMES for each in sent)


def test_a_stream_that_runs_for_long_leaves_old_verzoeken_alone() -> None:
    created: list[str] = []
    for each in messages(300):
        if each.spec.volgnummer == "000":
            created.append(each.verzoeknummer)
        assert each.verzoeknummer in created[-60:]


def test_the_same_stream_makes_the_same_messages() -> None:
    assert [each.xml for each in messages(12)] == [each.xml for each in messages(12)]


@pytest.mark.parametrize("doel", list(Doel))
def test_with_a_doel_every_message_has_it_and_a_verzoek_of_its_own(doel: Doel) -> None:
    sent = messages(9, lambda: VerzoekStream(GEMEENTE, DAY, doel=doel))
    assert {each.spec.doel for each in sent} == {doel.value}
    assert len({each.verzoeknummer for each in sent}) == len(sent)
    volgnummer = "000" if doel in {Doel.INITIEREN, Doel.CONCEPTVERZOEK} else "001"
    assert {each.spec.volgnummer for each in sent} == {volgnummer}


def test_with_a_type_every_message_has_it() -> None:
    sent = messages(9, lambda: VerzoekStream(GEMEENTE, DAY, type=VerzoekType.MELDING))
    assert {each.spec.type for each in sent} == {"Melding"}
