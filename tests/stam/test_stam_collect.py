# SPDX-License-Identifier: EUPL-1.2

"""A verzoek is collected completely, once, and resumes where it stopped; what cannot be is retried or parked."""

import asyncio
import hashlib
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from adapter.net import HttpClient
from adapter.pki import ThrowawayPki, TrustStore, server_context
from adapter.simulator import DEFAULT_BASE, ApiSettings, DocumentSpec, SimulatedVerzoek, VerzoekAfhandelenApi
from adapter.stam import CollectSettings, Downloaded, DsoSettings, VerzoekAfhandelen
from adapter.store import (
    DeliveryState,
    Done,
    FileKind,
    FileSpool,
    JobKind,
    Park,
    Retry,
    events_for,
    jobs_for,
    park_job,
    retry_job,
    skip_delivery,
    unpark_jobs,
)
from tests.memory import measured_peak
from tests.road import Road, Way
from tests.s3 import Bucket
from tests.spooled import known_spool_keys
from tests.stam.house import AUTHORITY, GEMEENTE, NOW, NUMBER, House, MakeClient, a_verzoek

PATHS = ["verzoek.xml", "verzoek.pdf", "bijlagen/plattegrond.pdf", "bijlagen/foto.png"]
DOCUMENTS = (
    DocumentSpec("plattegrond.pdf", 300_000),
    DocumentSpec("foto.png", 2000, "image/png", vertrouwelijk=True),
)


@pytest.fixture
def verzoek(api: VerzoekAfhandelenApi) -> SimulatedVerzoek:
    verzoek = a_verzoek(*DOCUMENTS)
    api.publish(verzoek)
    return verzoek


def spool_files(house: House) -> set[str]:
    root = house.spool._root
    return {path.name for path in root.rglob("*") if path.is_file()}


async def again(house: House, outcome: object, job_of: int) -> object:
    """Do what the worker does after a Retry or a Park, and collect once more."""
    (job,) = await house.db.read(jobs_for, JobKind.COLLECT, job_of)
    assert isinstance(outcome, Retry | Park)
    if isinstance(outcome, Retry):
        await house.db.write(retry_job, job, house.now, outcome.reason, house.now)
    else:
        await house.db.write(park_job, job, outcome.reason, house.now)
        await house.db.write(unpark_jobs, [JobKind.COLLECT], [job_of], house.now)
    return await house.collector()(await house.claim())


async def test_a_verzoek_is_collected_completely(house: House, verzoek: SimulatedVerzoek) -> None:
    outcome, row_id = await house.collect()
    assert outcome == Done(already_finished=True)
    delivery = await house.delivery(row_id)
    assert delivery.state is DeliveryState.READY
    assert delivery.name == f"{NUMBER}-000"
    assert (delivery.volgnummer, delivery.doel, delivery.bevoegd_gezag) == ("000", "Initieren", GEMEENTE)
    files = await house.files(row_id)
    assert list(files) == PATHS
    assert await house.read(files["verzoek.xml"]) == verzoek.xml
    assert await house.read(files["verzoek.pdf"]) == verzoek.pdf
    for path, document in zip(PATHS[2:], verzoek.documents, strict=True):
        content = files[path].content
        assert content is not None
        assert content.sha256 == document.content.sha256()
        assert files[path].content_type == document.spec.content_type
        assert files[path].document_id == document.document_id
        assert files[path].vertrouwelijk is document.spec.vertrouwelijk


async def test_the_job_that_delivers_takes_the_place_of_the_one_that_collects(
    house: House, verzoek: SimulatedVerzoek
) -> None:
    _, row_id = await house.collect()
    assert await house.db.read(jobs_for, JobKind.COLLECT, row_id) == ()
    (job,) = await house.db.read(jobs_for, JobKind.DELIVER, row_id)
    assert (job.lane, job.order_key) == ("sink:voorbeeldstad/archief", f"voorbeeldstad/archief/{NUMBER}")


async def test_a_verzoek_without_documents_is_collected(house: House, api: VerzoekAfhandelenApi) -> None:
    api.publish(a_verzoek())
    _, row_id = await house.collect()
    assert list(await house.files(row_id)) == PATHS[:2]


async def test_the_references_are_asked_first_and_the_xml_second(
    house: House, api: VerzoekAfhandelenApi, verzoek: SimulatedVerzoek
) -> None:
    await house.collect()
    assert [request.path for request in api.requests[:2]] == [
        f"{DEFAULT_BASE}/verzoeken/{NUMBER}",
        f"{DEFAULT_BASE}/verzoeken/{NUMBER}/xml",
    ]
    assert {request.oin for request in api.requests} == {GEMEENTE}


async def test_eighty_documents_are_collected(house: House, api: VerzoekAfhandelenApi) -> None:
    api.publish(a_verzoek(*(DocumentSpec(f"{number}.pdf", 1000 + number) for number in range(80))))
    _, row_id = await house.collect()
    assert len(await house.files(row_id)) == 82


async def test_a_restart_fetches_only_what_is_missing(
    house: House, api: VerzoekAfhandelenApi, verzoek: SimulatedVerzoek
) -> None:
    api.faults.no_ranges = True
    api.faults.cut.add(verzoek.documents[0].document_id)
    outcome, row_id = await house.collect()
    assert isinstance(outcome, Retry)
    stored = {path for path, file in (await house.files(row_id)).items() if file.content is not None}
    assert "verzoek.xml" in stored
    assert "bijlagen/plattegrond.pdf" not in stored
    api.requests.clear()
    # A new collector has nothing but the store: as after a restart.
    assert await again(house, outcome, row_id) == Done(already_finished=True)
    expected = {file.href for path, file in (await house.files(row_id)).items() if path not in stored}
    assert len(api.requests) == len(expected)
    assert all(any(str(href).endswith(request.path) for href in expected) for request in api.requests)
    files = await house.files(row_id)
    assert files["bijlagen/plattegrond.pdf"].content is not None


async def test_a_connection_that_breaks_off_leaves_nothing_in_the_spool(
    house: House, api: VerzoekAfhandelenApi, verzoek: SimulatedVerzoek
) -> None:
    api.faults.no_ranges = True
    api.faults.cut.add(verzoek.documents[0].document_id)
    await house.collect()
    assert spool_files(house) == set(await house.db.read(known_spool_keys))


async def test_a_service_that_is_unavailable_is_asked_again_when_it_said(
    house: House,
    api: VerzoekAfhandelenApi,
    verzoek: SimulatedVerzoek,
    make_client: MakeClient,
    server: TestServer,
) -> None:
    api.faults.unavailable = 1
    api.faults.retry_after = timedelta(seconds=90)
    outcome, row_id = await house.collect()
    assert isinstance(outcome, Retry)
    assert outcome.after == timedelta(seconds=90)
    assert "503" in outcome.reason
    assert "maintenance" in outcome.reason
    house.client = make_client(str(server.make_url(DEFAULT_BASE)))  # for which the wait is over
    assert await again(house, outcome, row_id) == Done(already_finished=True)


async def test_after_a_failure_no_other_download_begins(
    house: House, api: VerzoekAfhandelenApi, verzoek: SimulatedVerzoek
) -> None:
    many = a_verzoek(*(DocumentSpec(f"{number}.pdf", 1000) for number in range(40)))
    api.publish(many)
    api.faults.no_ranges = True
    api.faults.cut.update({"pdf", *(document.document_id for document in many.documents)})
    outcome, _ = await house.collect()
    assert isinstance(outcome, Retry)
    assert len(api.requests) <= 2 + house.settings.parallel


async def test_a_verzoek_that_is_not_there_yet_is_retried(house: House, api: VerzoekAfhandelenApi) -> None:
    outcome, row_id = await house.collect()
    assert isinstance(outcome, Retry)
    assert "404" in outcome.reason
    api.publish(a_verzoek())
    assert await again(house, outcome, row_id) == Done(already_finished=True)


async def test_a_document_without_a_reference_is_retried_and_named(
    house: House, api: VerzoekAfhandelenApi, verzoek: SimulatedVerzoek
) -> None:
    api.faults.lose_documents.add(verzoek.documents[1].document_id)
    outcome, row_id = await house.collect()
    assert isinstance(outcome, Retry)
    assert "'foto.png'" in outcome.reason
    assert "no reference yet" in outcome.reason
    assert await house.files(row_id) == {}
    assert spool_files(house) == set()
    api.faults.lose_documents.clear()
    assert await again(house, outcome, row_id) == Done(already_finished=True)
    assert list(await house.files(row_id)) == PATHS


async def test_another_verzoek_than_was_asked_for_is_parked(house: House, api: VerzoekAfhandelenApi) -> None:
    other = a_verzoek(verzoeknummer="2023073100049")
    api.publish(other)
    api._verzoeken[NUMBER] = other
    outcome, _ = await house.collect()
    assert isinstance(outcome, Park)
    assert NUMBER in outcome.reason
    assert "2023073100049" in outcome.reason


async def test_the_same_verzoek_again_is_a_repeat(house: House, verzoek: SimulatedVerzoek) -> None:
    _, first = await house.collect()
    outcome, second = await house.collect()
    assert outcome == Done(already_finished=True)
    assert (await house.delivery(second)).state is DeliveryState.REPEATED
    assert await house.db.read(jobs_for, JobKind.DELIVER, second) == ()
    actions = [event.action for event in await house.db.read(events_for, NUMBER)]
    assert "verzoek.repeated" in actions
    assert (await house.delivery(first)).state is DeliveryState.READY


async def test_the_same_verzoek_with_other_content_is_the_next_revision(
    house: House, api: VerzoekAfhandelenApi, verzoek: SimulatedVerzoek
) -> None:
    await house.collect()
    api.publish(a_verzoek(DocumentSpec("plattegrond.pdf", 300_000, version=2), DOCUMENTS[1]))
    _, second = await house.collect()
    delivery = await house.delivery(second)
    assert (delivery.name, delivery.revision) == (f"{NUMBER}-000-r2", 2)
    assert len(await house.db.read(jobs_for, JobKind.DELIVER, second)) == 1


async def test_an_aanvulling_may_be_the_first_that_is_seen(house: House, api: VerzoekAfhandelenApi) -> None:
    api.publish(a_verzoek(*DOCUMENTS, volgnummer="003", doel="Aanvullen"))
    _, row_id = await house.collect()
    delivery = await house.delivery(row_id)
    assert (delivery.name, delivery.doel, delivery.revision) == (f"{NUMBER}-003", "Aanvullen", 1)


async def test_a_copy_for_another_behandeldienst_is_collected_and_says_so(
    house: House, api: VerzoekAfhandelenApi
) -> None:
    api.publish(a_verzoek(behandeldienst="00000099000000002000"))
    _, row_id = await house.collect()
    assert (await house.delivery(row_id)).uitvoerende_instantie == "00000099000000002000"


async def test_unsafe_and_equal_names_of_documents_become_safe_and_distinct(
    house: House, api: VerzoekAfhandelenApi
) -> None:
    names = ("../../../etc/cron.d/x", "Foto.png", "foto.png", "a/b")
    api.publish(a_verzoek(*(DocumentSpec(name, 10 + index) for index, name in enumerate(names))))
    _, row_id = await house.collect()
    files = (await house.files(row_id)).values()
    bijlagen = [file for file in files if file.kind is FileKind.DOCUMENT]
    assert {file.bestandsnaam for file in bijlagen} == set(names)
    assert len({file.path.casefold() for file in bijlagen}) == len(names)
    assert all(file.path.count("/") == 1 and not Path(file.path).name.startswith(".") for file in bijlagen)


async def test_a_refused_oin_is_retried_with_advice(house: House, api: VerzoekAfhandelenApi) -> None:
    api.publish(a_verzoek(bevoegd_gezag="00000099000000005000"))
    outcome, _ = await house.collect()
    assert isinstance(outcome, Retry)
    assert "whitelist" in outcome.reason


async def test_an_authority_without_dso_settings_is_parked(house: House) -> None:
    await house.ask(authority="elders")
    outcome = await house.collector()(await house.claim())
    assert isinstance(outcome, Park)
    assert "[authorities.elders.dso]" in outcome.reason


async def test_a_delivery_that_was_skipped_is_not_collected(
    house: House, api: VerzoekAfhandelenApi, verzoek: SimulatedVerzoek
) -> None:
    row_id = await house.ask()
    job = await house.claim()
    await house.db.write(skip_delivery, row_id, "not ours", house.now)
    assert await house.collector()(job) == Done()
    assert api.requests == []


async def test_a_job_that_another_worker_took_over_ends_quietly(
    house: House, verzoek: SimulatedVerzoek
) -> None:
    await house.ask()
    job = await house.claim()
    house.now += timedelta(minutes=10)
    await house.claim()
    assert await house.collector()(job) == Done(already_finished=True)


async def test_outcomes_and_octets_are_counted(house: House, verzoek: SimulatedVerzoek) -> None:
    await house.collect()
    text = house.metrics.render().decode()
    assert 'collected_total{authority="voorbeeldstad",outcome="collected"} 1.0' in text
    size = len(verzoek.xml) + len(verzoek.pdf) + sum(each.content.size for each in verzoek.documents)
    assert f'collected_bytes_total{{authority="voorbeeldstad"}} {float(size)}' in text


async def test_the_timeline_tells_how_it_went(house: House, verzoek: SimulatedVerzoek) -> None:
    await house.collect()
    actions = [event.action for event in await house.db.read(events_for, NUMBER)]
    assert actions == [
        "verzoek.created",
        "verzoek.referenced",
        *["verzoek.file_fetched"] * 4,
        "verzoek.collected",
    ]


async def test_a_full_spool_is_temporary(house: House, verzoek: SimulatedVerzoek, tmp_path: Path) -> None:
    in_the_way = tmp_path / "full"
    broken = FileSpool(in_the_way, inline_limit=0)
    (in_the_way / "incoming").rmdir()
    (in_the_way / "incoming").write_text("a file where a directory should be")
    house.spool = broken
    outcome, _ = await house.collect()
    assert isinstance(outcome, Retry)
    assert "spool" in outcome.reason


async def test_an_object_store_that_cannot_be_reached_is_temporary(
    house: House,
    verzoek: SimulatedVerzoek,
    bucket: Bucket,
    road: Road,
    impatient: None,
    tmp_path: Path,
) -> None:
    house.spool = spool = bucket.spool(tmp_path, road.url)
    spool._inline_limit = 0
    road.way = Way.CUT
    outcome, row_id = await house.collect()
    assert isinstance(outcome, Retry)
    assert "cannot be used now" in outcome.reason
    road.way = Way.OPEN
    assert await again(house, outcome, row_id) == Done(already_finished=True)
    assert {path.name for path in bucket.objects()} == set(await house.db.read(known_spool_keys))


async def test_a_collection_that_is_cancelled_resumes(house: House, api: VerzoekAfhandelenApi) -> None:
    # So many small files, one at a time, that it is still busy when the first row is seen.
    api.publish(a_verzoek(*(DocumentSpec(f"{number}.pdf", 100) for number in range(200))))
    house.settings = CollectSettings(parallel=1)
    row_id = await house.ask()
    running = asyncio.create_task(house.collector()(await house.claim()))
    async with asyncio.timeout(10):
        while not await house.files(row_id):
            await house.db.wait_for_change(5)
    assert not running.done()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert await again(house, Retry("stopped"), row_id) == Done(already_finished=True)
    assert set(await house.db.read(known_spool_keys)) <= spool_files(house)


async def test_a_large_document_goes_through_in_fixed_memory(house: House, api: VerzoekAfhandelenApi) -> None:
    big = a_verzoek(DocumentSpec("groot.bin", 60_000_000, "application/octet-stream"))
    api.publish(big)
    with measured_peak() as peak:
        outcome, row_id = await house.collect()
    assert outcome == Done(already_finished=True)
    content = (await house.files(row_id))["bijlagen/groot.bin"].content
    assert content is not None
    assert content.sha256 == big.documents[0].content.sha256()
    assert peak.octets < 15_000_000


async def _serve(body: dict[str, object], **files: bytes) -> TestServer:
    """A DSO-LV whose references are `body`, and whose files are at /<name>."""
    app = web.Application()

    async def references(_: web.Request) -> web.Response:
        return web.json_response(body)

    async def file(request: web.Request) -> web.Response:
        return web.Response(body=files[request.match_info["name"]])

    app.router.add_get("/verzoeken/{number}", references)
    app.router.add_get("/{name}", file)
    server = TestServer(app)
    await server.start_server()
    return server


async def test_a_link_to_a_foreign_host_is_parked_and_nothing_is_fetched(
    house: House, make_client: MakeClient
) -> None:
    links = {"verzoek": {"href": "/xml"}, "document": {"href": "http://169.254.169.254/latest"}}
    server = await _serve({"_links": links}, xml=a_verzoek().xml)
    house.client = make_client(str(server.make_url("")))
    try:
        outcome, row_id = await house.collect()
    finally:
        await server.close()
    assert isinstance(outcome, Park)
    assert "169.254.169.254" in outcome.reason
    assert await house.files(row_id) == {}


async def test_references_without_the_xml_are_retried_and_name_what_was_found(
    house: House, make_client: MakeClient
) -> None:
    server = await _serve({"_links": {"publiceerbarePdf": {"href": "/p"}}})
    house.client = make_client(str(server.make_url("")))
    try:
        outcome, _ = await house.collect()
    finally:
        await server.close()
    assert isinstance(outcome, Retry)
    assert "publiceerbarePdf" in outcome.reason


async def test_an_xml_that_is_none_is_parked(house: House, make_client: MakeClient) -> None:
    server = await _serve({"_links": {"verzoek": {"href": "/xml"}}}, xml=b"<html/>")
    house.client = make_client(str(server.make_url("")))
    try:
        outcome, _ = await house.collect()
    finally:
        await server.close()
    assert isinstance(outcome, Park)
    assert "verzoekXML" in outcome.reason


async def test_a_link_that_no_document_is_named_for_is_kept(house: House, make_client: MakeClient) -> None:
    links = {"verzoek": {"href": "/xml"}, "toelichting": {"href": "/uitleg.txt"}}
    server = await _serve({"_links": links}, xml=a_verzoek().xml, **{"uitleg.txt": b"uitleg"})
    house.client = make_client(str(server.make_url("")))
    try:
        _, row_id = await house.collect()
    finally:
        await server.close()
    files = await house.files(row_id)
    assert files["bijlagen/uitleg.txt"].document_id is None


async def test_a_verzoek_is_collected_over_mutual_tls(house: House, tmp_path: Path) -> None:
    pki = ThrowawayPki()
    trust = TrustStore.from_files([pki.root_pem(tmp_path / "root.pem")])
    server_keys = pki.issue("DSO-LV (simulator)", "00000099000000004000").key_pair(tmp_path, "dso")
    client_keys = pki.issue("Gemeente", GEMEENTE).key_pair(tmp_path, "gemeente")
    api = VerzoekAfhandelenApi()
    api.publish(a_verzoek(*DOCUMENTS))
    server = TestServer(api.application(), scheme="https")
    await server.start_server(ssl=server_context(server_keys, trust))
    http = HttpClient(client_keys, trust, frozenset({"00000099000000004000"}), frozenset({"127.0.0.1"}))
    settings = DsoSettings(url=str(server.make_url(DEFAULT_BASE)), oin=GEMEENTE)
    house.client = VerzoekAfhandelen(http, settings, lambda: NOW)
    try:
        outcome, row_id = await house.collect()
    finally:
        await http.close()
        await server.close()
    assert outcome == Done(already_finished=True)
    content = (await house.files(row_id))["bijlagen/foto.png"].content
    assert content is not None
    assert (
        content.sha256
        == hashlib.sha256(b"".join(a_verzoek(*DOCUMENTS).documents[1].content.blocks())).hexdigest()
    )


@pytest.mark.parametrize("fault", ["wrong_size", "wrong_digest"])
async def test_a_file_that_is_not_what_was_announced_is_not_kept_and_tried_again(
    house: House,
    api: VerzoekAfhandelenApi,
    verzoek: SimulatedVerzoek,
    make_client: MakeClient,
    server: TestServer,
    fault: str,
) -> None:
    getattr(api.faults, fault).add(verzoek.documents[0].document_id)
    outcome, row_id = await house.collect()
    assert isinstance(outcome, Retry)
    assert "announced" in outcome.reason
    files = await house.files(row_id)
    assert files["bijlagen/plattegrond.pdf"].content is None
    assert spool_files(house) == set(await house.db.read(known_spool_keys))
    # What was announced was noted with the address: another attempt, from the store alone, holds to it.
    getattr(api.faults, fault).clear()
    outcome = await again(house, outcome, row_id)
    assert isinstance(outcome, Retry)
    assert "check_announced = false" in outcome.reason
    house.client = make_client(str(server.make_url(DEFAULT_BASE)), check_announced=False)
    assert await again(house, outcome, row_id) == Done(already_finished=True)


@pytest.mark.parametrize("fault", ["truncate", "extend", "corrupt_content"])
async def test_a_file_that_comes_otherwise_than_announced_comes_right_later(
    house: House, verzoek: SimulatedVerzoek, api: VerzoekAfhandelenApi, fault: str
) -> None:
    api.settings = ApiSettings(require_certificate=False, announces=True)
    getattr(api.faults, fault).add(verzoek.documents[0].document_id)
    outcome, row_id = await house.collect()
    assert isinstance(outcome, Retry)
    assert "announced" in outcome.reason
    getattr(api.faults, fault).clear()
    assert await again(house, outcome, row_id) == Done(already_finished=True)
    content = (await house.files(row_id))["bijlagen/plattegrond.pdf"].content
    assert content is not None
    assert content.sha256 == verzoek.documents[0].content.sha256()


async def test_every_download_that_breaks_off_is_continued(
    house: House, verzoek: SimulatedVerzoek, api: VerzoekAfhandelenApi
) -> None:
    large = a_verzoek(*(DocumentSpec(f"{number}.bin", 3_000_000) for number in range(3)))
    api.publish(large)
    api.faults.cut.update(document.document_id for document in large.documents)
    outcome, row_id = await house.collect()
    assert outcome == Done(already_finished=True)
    assert 'downloads_continued_total{authority="voorbeeldstad"} 3.0' in house.metrics.render().decode()
    files = await house.files(row_id)
    assert [file.content.sha256 for file in list(files.values())[2:] if file.content is not None] == [
        document.content.sha256() for document in large.documents
    ]


async def test_how_many_files_are_left_is_shown_while_they_are_fetched(
    house: House, api: VerzoekAfhandelenApi, verzoek: SimulatedVerzoek
) -> None:
    left: list[float] = []
    gauge = house.metrics.files_left.labels(authority=AUTHORITY)
    download = house.client.download

    async def look(*args: Any, **options: Any) -> Downloaded:
        left.append(gauge._value.get())
        return await download(*args, **options)

    house.client.download = look  # type: ignore[method-assign]
    house.settings = CollectSettings(parallel=1)
    await house.collect()
    # The STAM XML, of which nobody knows yet what comes with it; then the PDF and the two documents.
    assert left == [0, 3, 2, 1]
    assert gauge._value.get() == 0


async def test_after_a_failure_no_file_counts_as_left(
    house: House, api: VerzoekAfhandelenApi, verzoek: SimulatedVerzoek
) -> None:
    api.faults.no_ranges = True
    api.faults.cut.add(verzoek.documents[0].document_id)
    assert isinstance((await house.collect())[0], Retry)
    assert 'files_left{authority="voorbeeldstad"} 0.0' in house.metrics.render().decode()
