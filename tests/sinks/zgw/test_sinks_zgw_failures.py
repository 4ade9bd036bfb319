# SPDX-License-Identifier: EUPL-1.2

"""Whatever goes wrong at whichever call: in the end there is one zaak, and one of everything in it."""

import asyncio
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from adapter.delivery import Delivered, Handover, Permanent, Temporary
from adapter.simulator import Applicant, DocumentSpec, Place, VerzoekSpec, make_verzoek
from adapter.store import LeaseLost
from tests.sinks.fence import Fence
from tests.sinks.handovers import MemoryCheckpoint, SimulatedCrash
from tests.sinks.zgw.fake import SECRET, FakeZgw, Fault
from tests.sinks.zgw.house import NUMBER, OIN, attempt, contents, delivered, generated, handed_over, sink_of

SPEC = VerzoekSpec(
    NUMBER,
    OIN,
    documents=(DocumentSpec("tekening.pdf", 3_000),),
    applicant=Applicant.COMPANY,
    places=(Place.PARCEL,),
    activities=1,
)
LARGE, PART, INLINE = 150_000, 60_000, 100_000
CALLS = 26
"""Requests of one delivery of HANDOVER that meets no trouble."""

STEPS = 15
"""What is remembered of it: the zaak, 4 documents, 4 relations, and rol, zaakobject and status before and after."""

PATIENCE = 30.0
"""Seconds after which a test gives up waiting."""


@pytest.fixture
def whole(zgw: FakeZgw, raw: dict[str, Any]) -> dict[str, Any]:
    """A sink that uses everything: parts, zaakobjecten, rollen and a status."""
    zgw.part_size = PART
    return {**raw, "zaakobjecten": True, "inline": INLINE}


def large_handover() -> Handover:
    handover = handed_over(make_verzoek(SPEC))
    return replace(handover, files=(*handover.files, generated("bijlagen/groot.bin", LARGE)))


def check_one_of_each(zgw: FakeZgw) -> None:
    """One zaak with one of each, and every octet of every document."""
    (zaak,) = zgw.made("zaken")
    handover = large_handover()
    made = zgw.made("enkelvoudiginformatieobjecten")
    assert sorted(one["integriteit"]["waarde"] for one in made) == sorted(
        file.sha256 for file in handover.files
    )
    assert not any(one["locked"] for one in made)
    assert all(
        one["bestandsomvang"] == len(content) for one, content in zip(made, contents(zgw), strict=True)
    )
    related = Counter(one["informatieobject"] for one in zgw.made("zaakinformatieobjecten"))
    assert related == dict.fromkeys((one["url"] for one in made), 1)
    for kind in ("rollen", "statussen", "zaakobjecten"):
        assert [one["zaak"] for one in zgw.made(kind)] == [zaak["url"]], kind


async def test_without_trouble_there_is_one_of_each(zgw: FakeZgw, whole: dict[str, Any]) -> None:
    checkpoint, remembered = MemoryCheckpoint(), count()
    checkpoint.after_set = lambda: next(remembered, None)
    await delivered(whole, large_handover(), checkpoint)
    check_one_of_each(zgw)
    assert (len(zgw.calls), next(remembered)) == (CALLS, STEPS)


@pytest.mark.parametrize("number", range(1, CALLS + 1))
@pytest.mark.parametrize("fault", list(Fault), ids=lambda fault: fault.name.lower())
async def test_one_request_that_fails_is_made_good(
    zgw: FakeZgw, whole: dict[str, Any], number: int, fault: Fault
) -> None:
    zgw.faults = {number: fault}
    _, ends = await delivered(whole, large_handover())
    if len(ends) == 1:  # the client asks once more by itself where asking changes nothing
        assert (fault, zgw.calls[number - 1].method) == (Fault.DROPPED, "GET")
    else:
        assert isinstance(ends[0], Temporary)
        assert len(ends) == 2
    check_one_of_each(zgw)


@pytest.mark.parametrize("number", range(1, CALLS + 1))
async def test_the_answer_to_a_request_and_the_next_that_fail_are_made_good(
    zgw: FakeZgw, whole: dict[str, Any], number: int
) -> None:
    zgw.faults = {number: Fault.CUT, number + 1: Fault.DROPPED, number + 3: Fault.BROKEN}
    await delivered(whole, large_handover())
    check_one_of_each(zgw)


@pytest.mark.parametrize("number", range(1, CALLS + 1))
async def test_a_server_that_takes_a_document_twice_is_given_it_once(
    zgw: FakeZgw, whole: dict[str, Any], number: int
) -> None:
    zgw.documents.unique = False
    zgw.faults = {number: Fault.CUT}
    await delivered(whole, large_handover())
    check_one_of_each(zgw)


@pytest.mark.parametrize("number", range(1, STEPS + 1))
@pytest.mark.parametrize("moment", ["before_set", "after_set"])
async def test_a_crash_at_a_checkpoint_is_made_good(
    zgw: FakeZgw, whole: dict[str, Any], number: int, moment: str
) -> None:
    checkpoint = MemoryCheckpoint()
    left = [number]

    def crash() -> None:
        left[0] -= 1
        if left[0] == 0:
            raise SimulatedCrash

    setattr(checkpoint, moment, crash)
    _, ends = await delivered(whole, large_handover(), checkpoint)
    assert ends[0] is None
    check_one_of_each(zgw)
    assert checkpoint.notes == []


@pytest.mark.parametrize("number", range(1, CALLS + 1))
async def test_an_attempt_that_stood_still_makes_nothing_that_a_later_one_made(
    zgw: FakeZgw, whole: dict[str, Any], number: int
) -> None:
    still, go_on = asyncio.Event(), asyncio.Event()

    async def stand_still(done: int) -> None:
        if done == number:
            still.set()
            await go_on.wait()

    zgw.done = stand_still
    fence, sink = Fence(), sink_of(whole)
    first = asyncio.create_task(attempt(sink, large_handover(), fence.attempt()))
    async with asyncio.timeout(PATIENCE):
        await still.wait()
        outcome = await attempt(sink, replace(large_handover(), attempt=2), fence.attempt())
        go_on.set()
        with suppress(LeaseLost):
            await first
    await sink.close()
    assert isinstance(outcome, Delivered)
    check_one_of_each(zgw)


async def test_a_delivery_that_was_forgotten_altogether_is_recognised(
    zgw: FakeZgw, whole: dict[str, Any]
) -> None:
    first, _ = await delivered(whole, large_handover())
    again, _ = await delivered(whole, large_handover(), MemoryCheckpoint())
    assert first == again
    check_one_of_each(zgw)


async def test_a_server_that_is_away_is_tried_again(
    tmp_path: Path, raw: dict[str, Any], zgw: FakeZgw
) -> None:
    away = "http://127.0.0.1:9"
    sink = sink_of({**raw, **{api: f"{away}/{api}/api/v1" for api in ("zaken", "documenten", "catalogi")}})
    outcome = await attempt(sink, large_handover(), MemoryCheckpoint())
    assert isinstance(outcome, Temporary)
    assert "no connection" in outcome.reason
    await sink.close()


async def one_attempt(raw: dict[str, Any], **context: Any) -> Any:
    sink = sink_of(raw, **context)
    try:
        return await attempt(sink, handed_over(make_verzoek(SPEC)), MemoryCheckpoint())
    finally:
        await sink.close()


async def test_a_busy_server_is_left_in_peace_for_as_long_as_it_asks(
    zgw: FakeZgw, raw: dict[str, Any]
) -> None:
    zgw.faults = {2: Fault.BUSY}
    outcome = await one_attempt(raw)
    assert isinstance(outcome, Temporary)
    assert (outcome.after, outcome.of_sink) == (timedelta(seconds=7), True)


@pytest.mark.parametrize(
    ("shift", "code"), [(timedelta(minutes=5), "nog niet geldig"), (timedelta(hours=-2), "verlopen")]
)
async def test_a_token_refused_for_its_time_is_no_verdict_on_the_verzoek(
    zgw: FakeZgw, raw: dict[str, Any], shift: timedelta, code: str
) -> None:
    outcome = await one_attempt(raw, clock=lambda: datetime.now(UTC) + shift)
    assert isinstance(outcome, Temporary)
    assert code in outcome.reason
    assert zgw.made("zaken") == []


async def test_another_secret_can_be_put_right_without_losing_verzoeken(
    zgw: FakeZgw, raw: dict[str, Any]
) -> None:
    sink = sink_of(raw)
    handover, checkpoint = handed_over(make_verzoek(SPEC)), MemoryCheckpoint()
    for secret, reason in (("iets anders", "Client credentials"), ("", "is empty"), (None, "cannot be read")):
        write_secret(raw, secret)
        outcome = await attempt(sink, handover, checkpoint)
        assert isinstance(outcome, Temporary)
        assert reason in outcome.reason
    write_secret(raw, SECRET)
    await attempt(sink, handover, checkpoint)
    assert len(zgw.made("zaken")) == 1
    await sink.close()


def write_secret(raw: dict[str, Any], secret: str | None) -> None:
    """Change the file with the secret; None removes it."""
    path = Path(raw["secret_file"])
    if secret is None:
        path.unlink()
    else:
        path.write_text(secret)


async def test_a_missing_scope_is_for_people(zgw: FakeZgw, raw: dict[str, Any]) -> None:
    zgw.denied = frozenset({"POST rollen"})
    outcome = await one_attempt(raw)
    assert isinstance(outcome, Permanent)
    assert outcome.reason.startswith("making the rol of the initiatiefnemer: HTTP 403 Forbidden")


async def test_a_type_that_is_not_there_is_named(zgw: FakeZgw, raw: dict[str, Any]) -> None:
    outcome = await one_attempt({**raw, "zaaktypen": [{"zaaktype": "OMG-CONCEPT"}]})
    assert isinstance(outcome, Permanent)
    assert "no zaaktype 'OMG-CONCEPT' that is published and valid" in outcome.reason
    assert zgw.made("zaken") == []


async def test_an_informatieobjecttype_of_another_zaaktype_is_refused_with_the_reason(
    zgw: FakeZgw, raw: dict[str, Any]
) -> None:
    outcome = await one_attempt(
        {**raw, "informatieobjecttypen": {**raw["informatieobjecttypen"], "pdf": "Los"}}
    )
    assert isinstance(outcome, Permanent)
    assert "missing-zaaktype-informatieobjecttype-relation" in outcome.reason


async def test_types_are_looked_up_again_after_one_was_refused(zgw: FakeZgw, raw: dict[str, Any]) -> None:
    sink = sink_of(raw)
    await attempt(sink, handed_over(make_verzoek(SPEC)), MemoryCheckpoint())
    (current,) = [
        one
        for one in zgw.types.objects["zaaktypen"].values()
        if one["identificatie"] == "OMG-AANVRAAG" and one["eindeGeldigheid"] is None
    ]
    del zgw.types.objects["zaaktypen"][current["uuid"]]
    newer = {key: value for key, value in current.items() if key != "uuid"}
    replaced = zgw.types.add("zaaktypen", **newer)
    for kind in ("statustypen", "roltypen"):
        for one in zgw.types.objects[kind].values():
            if one["zaaktype"] is current:
                one["zaaktype"] = replaced
    handover = handed_over(make_verzoek(replace(SPEC, verzoeknummer="2023073100049")))
    checkpoint = MemoryCheckpoint()
    assert isinstance(await attempt(sink, handover, checkpoint), Permanent)
    await attempt(sink, replace(handover, attempt=2), checkpoint)
    assert len(zgw.made("zaken")) == 2
    await sink.close()


async def test_a_zaak_that_only_has_the_name_of_ours_is_not_touched(
    zgw: FakeZgw, raw: dict[str, Any]
) -> None:
    await delivered(raw, handed_over(make_verzoek(SPEC)))
    (zaak,) = zgw.zaken.objects["zaken"].values()
    zaak["kenmerken"] = []
    outcome = await one_attempt(raw)
    assert isinstance(outcome, Permanent)
    assert f"does not have verzoeknummer {NUMBER} among its kenmerken" in outcome.reason


async def test_a_server_that_answers_for_another_host_is_not_followed(
    zgw: FakeZgw, raw: dict[str, Any]
) -> None:
    zgw.origin = "http://intern.example:8000"
    outcome = await one_attempt(raw)
    assert isinstance(outcome, Permanent)
    assert "this host is not among the allowed" in outcome.reason


@pytest.mark.parametrize("answer", [[["no object"]], [{"url": 7}]])
async def test_an_answer_that_makes_no_sense_may_pass(
    zgw: FakeZgw, raw: dict[str, Any], answer: list[Any]
) -> None:
    def find(resource: str, query: dict[str, str]) -> list[Any]:
        return answer

    zgw.types.find = find  # type: ignore[method-assign]
    assert isinstance(await one_attempt(raw), Temporary)
