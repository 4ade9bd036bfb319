# SPDX-License-Identifier: EUPL-1.2

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import jsonschema
import pytest

from adapter.delivery import (
    Delivered,
    Handover,
    Permanent,
    Sink,
    SinkProblem,
    StepFailed,
    Temporary,
    make_sink,
)
from adapter.sinks import SINK_TYPES
from adapter.store import FileKind
from tests.sinks.handovers import MemoryCheckpoint, make_context, make_file, make_handover
from tests.sinks.receivers import Fault, ObjectsApi
from tests.verzoek.berichten import bericht

SCHEMAS = Path(__file__).parents[3] / "shared" / "zgw" / "request-schemas.json"
TYPE = "https://objecttypes.example/api/v2/objecttypes/5b9a4b16-9d4d-4f5a-9a77-b7fe4f3c0f0d"
NOW = datetime(2026, 3, 1, 23, 30, tzinfo=UTC)
KEY = "voorbeeldstad/archief/2023073100048-000"


@pytest.fixture
async def api() -> AsyncIterator[ObjectsApi]:
    api = ObjectsApi()
    async with api.running():
        yield api


ABOUT = """
<indienDatum>2026-02-03T10:11:12.123456789</indienDatum><naam>Schuur</naam>
<initiatiefnemer><natuurlijkPersoon><burgerservicenummer>999990019</burgerservicenummer></natuurlijkPersoon></initiatiefnemer>
<project><naam>Schuur achter het huis</naam><omschrijving>Een schuur.</omschrijving></project>
<projectlocaties><projectlocatie><coordinatenEtrs><referentiestelsel>ETRS89</referentiestelsel>
<puntlocatie><Point><pos>52.1 5.2</pos></Point></puntlocatie></coordinatenEtrs>
<adresaanduiding><opgegevenAdresStraatnaam>Dorpsstraat</opgegevenAdresStraatnaam>
<opgegevenAdresHuisnummer>1</opgegevenAdresHuisnummer><opgegevenAdresHuisletter>a</opgegevenAdresHuisletter>
<opgegevenAdresPostcode>1234AB</opgegevenAdresPostcode></adresaanduiding></projectlocatie></projectlocaties>
<projectactiviteiten><projectactiviteit><activiteitnaam>Bouwen</activiteitnaam></projectactiviteit>
</projectactiviteiten>"""


@pytest.fixture
def handover() -> Handover:
    """A verzoek that can be read."""
    return make_handover(replace(make_file("verzoek.xml", bericht(ABOUT)), kind=FileKind.VERZOEK))


Open = Callable[..., Any]


@pytest.fixture
def opened(api: ObjectsApi, tmp_path: Path) -> Open:
    (tmp_path / "token").write_text("0123456789\n")

    @asynccontextmanager
    async def open_sink(**options: Any) -> AsyncIterator[Sink]:
        table = {
            "type": "objecten",
            "url": f"{api.url}/api/v2",
            "token_file": "token",
            "objecttype": TYPE,
            "version": 3,
            **options,
        }
        context = make_context(tmp_path, clock=lambda: NOW)
        sink = make_sink(SINK_TYPES, "objecten", table, context).sink
        try:
            yield sink
        finally:
            await sink.close()

    return open_sink


async def failed(sink: Sink, handover: Handover) -> Temporary | Permanent:
    with pytest.raises(StepFailed) as caught:
        await sink.deliver(handover, MemoryCheckpoint())
    return caught.value.outcome


async def attempted(sink: Sink, handover: Handover) -> None:
    """An attempt that may succeed all the same, and is to be made again where it does not."""
    try:
        await sink.deliver(handover, MemoryCheckpoint())
    except StepFailed as failure:
        if not isinstance(failure.outcome, Temporary):
            raise


async def test_a_delivery_is_one_object_with_the_manifest_and_its_key(
    api: ObjectsApi, opened: Open, handover: Handover
) -> None:
    async with opened() as sink:
        outcome = await sink.deliver(handover, MemoryCheckpoint())
    (made,) = api.objects.values()
    assert outcome == Delivered(made["url"])
    assert made["type"] == TYPE
    record = made["record"]
    about = record["data"].pop("verzoek")
    assert about["naam"] == "Schuur"
    assert record == {
        "typeVersion": 3,
        "startAt": "2026-03-01",
        "data": {"key": KEY, **json.loads(json.dumps(handover.manifest))},
    }


async def test_the_uuid_is_one_of_version_4_and_the_same_for_the_same_delivery_only(
    api: ObjectsApi, opened: Open, handover: Handover
) -> None:
    others = [
        replace(handover, key="2023073100048-001"),
        replace(handover, sink="ander"),
        replace(handover, authority="dorp"),
    ]
    async with opened() as sink:
        for one in (handover, handover, *others):
            await sink.deliver(one, MemoryCheckpoint())
    assert len(api.objects) == 4
    for uuid in api.objects:
        assert UUID(uuid).version == 4
        assert UUID(uuid).variant == "specified in RFC 4122"


@pytest.mark.skipif(not SCHEMAS.exists(), reason="the schemas of the Objecten API are not here")
async def test_what_is_sent_is_as_the_schema_of_the_api_wants_it(
    api: ObjectsApi, opened: Open, handover: Handover
) -> None:
    async with opened(geometry=True) as sink:
        await sink.deliver(handover, MemoryCheckpoint())
    schema = json.loads(SCHEMAS.read_text())["objects-2.7.0.object_create"]["schema"]
    jsonschema.validate(api.posted[0], schema, format_checker=jsonschema.FormatChecker())


async def test_the_data_can_be_made_of_a_template(api: ObjectsApi, opened: Open, handover: Handover) -> None:
    manifest = {**handover.manifest, "volgnummer": "000", "doel": "Initieren", "messageId": None}
    data = {
        "kenmerk": "{key}",
        "titel": "{doel} van {verzoeknummer}{messageId}",
        "bericht": "{messageId}",
        "bestanden": "{files}",
        "bron": {"soort": "DSO", "nummers": ["{verzoeknummer}", 7, True, "{ }"]},
    }
    async with opened(data=data) as sink:
        await sink.deliver(replace(handover, manifest=manifest), MemoryCheckpoint())
    assert api.posted[0]["record"]["data"] == {
        "kenmerk": KEY,
        "titel": "Initieren van 2023073100048",
        "bericht": None,
        "bestanden": manifest["files"],
        "bron": {"soort": "DSO", "nummers": ["2023073100048", 7, True, "{ }"]},
    }


async def test_the_data_has_a_summary_of_the_verzoek_without_the_people_in_it(
    api: ObjectsApi, opened: Open, handover: Handover
) -> None:
    async with opened() as sink:
        await sink.deliver(handover, MemoryCheckpoint())
    (posted,) = api.posted
    assert posted["record"]["data"]["verzoek"] == {
        "naam": "Schuur",
        "indienDatum": "2026-02-03T10:11:12.123456+01:00",
        "project": "Schuur achter het huis",
        "omschrijving": "Een schuur.",
        "activiteiten": ["Bouwen"],
        "adressen": ["Dorpsstraat 1a, 1234AB"],
    }
    assert "999990019" not in json.dumps(posted)
    assert "geometry" not in posted["record"]


async def test_a_template_can_use_the_summary_and_the_object_can_have_the_location(
    api: ObjectsApi, opened: Open, handover: Handover
) -> None:
    async with opened(data={"titel": "{project} ({naam})", "wat": "{activiteiten}"}, geometry=True) as sink:
        await sink.deliver(handover, MemoryCheckpoint())
    (posted,) = api.posted
    assert posted["record"]["data"] == {"titel": "Schuur achter het huis (Schuur)", "wat": ["Bouwen"]}
    assert posted["record"]["geometry"] == {"type": "Point", "coordinates": [5.2, 52.1]}


@pytest.mark.parametrize("fault", [fault for fault in Fault if fault is not Fault.NONE])
async def test_whatever_goes_wrong_there_is_one_object(
    fault: Fault, api: ObjectsApi, opened: Open, handover: Handover
) -> None:
    api.faults = [fault]
    async with opened() as sink:
        await attempted(sink, handover)
        assert isinstance(await sink.deliver(handover, MemoryCheckpoint()), Delivered)
    assert len(api.objects) == 1
    assert [len(records) for records in api.records.values()] == [1]


@pytest.mark.parametrize("fault", [Fault.REFUSED, Fault.CUT_HALFWAY, Fault.CUT_AFTER])
async def test_where_the_object_cannot_be_looked_at_it_is_tried_again(
    fault: Fault, api: ObjectsApi, opened: Open, handover: Handover
) -> None:
    async with opened() as sink:
        await sink.deliver(handover, MemoryCheckpoint())
        # a GET on a connection that was used before is asked once more by the HTTP library itself
        api.faults = [Fault.NONE, fault, fault]
        assert isinstance(await failed(sink, handover), Temporary)
        api.faults = []
        assert isinstance(await sink.deliver(handover, MemoryCheckpoint()), Delivered)
    assert len(api.objects) == 1


@pytest.mark.parametrize("answer", [(400, {"title": "Invalid input"}), (409, {}), (500, {})])
async def test_however_a_duplicate_is_refused_it_is_recognised(
    answer: tuple[int, dict[str, Any]], api: ObjectsApi, opened: Open, handover: Handover
) -> None:
    api.says_of_a_duplicate = answer
    async with opened() as sink:
        await sink.deliver(handover, MemoryCheckpoint())
        assert isinstance(await sink.deliver(handover, MemoryCheckpoint()), Delivered)


@pytest.mark.parametrize(
    "change", [{"type": "https://objecttypes.example/other"}, {"record": {"data": {"key": "x"}}}]
)
async def test_an_object_that_is_not_ours_is_left_alone(
    change: dict[str, Any], api: ObjectsApi, opened: Open, handover: Handover
) -> None:
    async with opened() as sink:
        await sink.deliver(handover, MemoryCheckpoint())
        (made,) = api.objects.values()
        made |= change
        outcome = await failed(sink, handover)
    assert isinstance(outcome, Permanent)
    assert "remove it there, then retry" in outcome.reason
    assert [len(records) for records in api.records.values()] == [1]


async def test_an_object_that_somebody_went_on_with_is_still_ours(
    api: ObjectsApi, opened: Open, handover: Handover
) -> None:
    async with opened() as sink:
        await sink.deliver(handover, MemoryCheckpoint())
        (made,) = api.objects.values()
        made["record"]["data"]["status"] = "in behandeling"
        assert isinstance(await sink.deliver(handover, MemoryCheckpoint()), Delivered)


async def test_data_that_the_objecttype_refuses_is_final_and_only_names_fields(
    api: ObjectsApi, opened: Open, handover: Handover
) -> None:
    api.required = {"bsn"}
    async with opened() as sink:
        outcome = await failed(sink, handover)
    assert isinstance(outcome, Permanent)
    assert "POST (non_field_errors): HTTP 400" in outcome.reason
    assert "required property" not in outcome.reason


async def test_with_update_a_verzoek_is_one_object_with_a_record_for_each_delivery(
    api: ObjectsApi, opened: Open, handover: Handover
) -> None:
    first = replace(handover, manifest={**handover.manifest, "doel": "Initieren", "messageId": "m-1"})
    second = replace(
        handover,
        key="2023073100048-001",
        manifest={**handover.manifest, "doel": "Intrekken", "messageId": None},
    )
    async with opened(update=True) as sink:
        for one in (first, first, second, second):
            assert isinstance(await sink.deliver(one, MemoryCheckpoint()), Delivered)
    (records,) = api.records.values()
    assert [record["data"]["doel"] for record in records] == ["Initieren", "Intrekken"]
    assert "messageId" not in records[1]["data"]


async def test_a_message_that_comes_after_a_later_one_changes_nothing(
    api: ObjectsApi, opened: Open, handover: Handover
) -> None:
    late, later = (
        replace(handover, key=f"2023073100048-{number}", manifest={**handover.manifest, "volgnummer": number})
        for number in ("009", "010")
    )
    async with opened(update=True) as sink:
        for one in (later, late):
            assert isinstance(await sink.deliver(one, MemoryCheckpoint()), Delivered)
    (records,) = api.records.values()
    assert [record["data"]["volgnummer"] for record in records] == ["010"]


@pytest.mark.parametrize("step", range(3))
@pytest.mark.parametrize("fault", [fault for fault in Fault if fault is not Fault.NONE])
async def test_whatever_goes_wrong_with_an_update_there_is_one_record_of_it(
    fault: Fault, step: int, api: ObjectsApi, opened: Open, handover: Handover
) -> None:
    second = replace(handover, key="2023073100048-001", manifest={**handover.manifest, "doel": "Aanvullen"})
    async with opened(update=True) as sink:
        await sink.deliver(handover, MemoryCheckpoint())
        api.faults = [Fault.NONE] * step + [fault]
        await attempted(sink, second)
        assert isinstance(await sink.deliver(second, MemoryCheckpoint()), Delivered)
    (records,) = api.records.values()
    assert [record["data"].get("doel") for record in records] == [None, "Aanvullen"]


async def test_a_message_has_no_verzoek_to_update(api: ObjectsApi, opened: Open, handover: Handover) -> None:
    async with opened(update=True) as sink:
        outcome = await sink.deliver(
            replace(handover, flow="message", verzoeknummer=None), MemoryCheckpoint()
        )
    assert isinstance(outcome, Permanent)
    assert api.objects == {}


async def test_a_probe_changes_nothing_and_tells_a_wrong_token(
    api: ObjectsApi, opened: Open, tmp_path: Path
) -> None:
    async with opened() as sink:
        await sink.probe()
        (tmp_path / "token").write_text("anders")
        with pytest.raises(SinkProblem, match=r"url: .*/objects answers 401 Unauthorized"):
            await sink.probe()
        (tmp_path / "token").unlink()
        with pytest.raises(SinkProblem, match=r"token_file: .* cannot be read"):
            await sink.probe()
    assert api.objects == {}


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"data": {"nummer": "{verzoeknumer}"}}, "data: there is no {verzoeknumer}; there are {action}, "),
        ({"data": {"dag": datetime(2026, 1, 1, tzinfo=UTC)}}, "data: has a value that JSON does not know"),
        ({"objecttype": "verzoek"}, "objecttype: "),
        ({"update": True, "data": {"n": "{doel}"}}, 'add volgnummer = "{volgnummer}" to it'),
        ({"version": 0}, "version: "),
        ({"url": "https://objecten.example/api/v2?x=1"}, "url has a query"),
    ],
)
def test_an_option_that_is_wrong_is_said_with_its_fix(
    options: dict[str, Any], problem: str, tmp_path: Path
) -> None:
    table = {
        "type": "objecten",
        "url": "https://objecten.example/api/v2",
        "token_file": "token",
        "objecttype": TYPE,
        "version": 1,
        **options,
    }
    with pytest.raises(SinkProblem) as caught:
        make_sink(SINK_TYPES, "objecten", table, make_context(tmp_path))
    assert problem in str(caught.value)
