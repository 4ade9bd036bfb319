# SPDX-License-Identifier: EUPL-1.2

"""The s3 sink on a real server: what appears there, what is refused, and what is said of a store that fails."""

import asyncio
import hashlib
import json
import subprocess
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import obstore
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from adapter.config import Environment
from adapter.delivery import (
    ContentDamaged,
    ContentUnavailable,
    Delivered,
    Handover,
    HandoverFile,
    Outcome,
    Permanent,
    SinkProblem,
    StepFailed,
    Temporary,
)
from adapter.sinks import S3Options
from adapter.sinks.bucket import BucketSink
from adapter.store import LeaseLost, buckets
from adapter.store.buckets import PART
from tests.e2e.conftest import until
from tests.forwarding import Connection, Forwarder
from tests.road import Road, Way
from tests.s3 import SECRET, Bucket, S3Server
from tests.sinks.buckets import Consumer, assert_complete, options_of, sink_of
from tests.sinks.fence import Fence
from tests.sinks.handovers import MemoryCheckpoint, damaged, make_file, make_handover

LARGE = bytes(range(256)) * (2 * PART // 256 + 1000)
ROOT = Path(__file__).parents[2]


@pytest.fixture
def options(bucket: Bucket, tmp_path: Path) -> S3Options:
    return options_of(bucket, tmp_path)


@pytest.fixture
def sink(options: S3Options) -> BucketSink:
    return sink_of(options)


@pytest.fixture
def consumer(options: S3Options) -> Consumer:
    return Consumer(options)


async def outcome_of(sink: BucketSink, handover: Handover, checkpoint: MemoryCheckpoint) -> Outcome:
    try:
        return await sink.deliver(handover, checkpoint)
    except StepFailed as failure:
        return failure.outcome


async def test_a_delivery_becomes_the_objects_below_one_prefix(
    sink: BucketSink, options: S3Options, consumer: Consumer, handover: Handover, checkpoint: MemoryCheckpoint
) -> None:
    assert await sink.deliver(handover, checkpoint) == Delivered(f"{options.url}/2023073100048-000")
    ((key, found),) = (await consumer.deliveries()).items()
    assert key == "2023073100048-000"
    assert set(found) == {
        *("verzoek.xml", "verzoek.pdf", "bijlagen/tekening.pdf", "bijlagen/leeg.txt", "manifest.json")
    }
    assert json.loads(found["manifest.json"]) == handover.manifest
    assert_complete(found)


async def test_an_object_has_its_digest_and_media_type(
    sink: BucketSink, consumer: Consumer, checkpoint: MemoryCheckpoint
) -> None:
    file = replace(make_file("verzoek.pdf", LARGE, PART // 3), content_type="application/pdf")
    await sink.deliver(make_handover(file), checkpoint)
    found = await obstore.get_async(consumer.store, "2023073100048-000/verzoek.pdf")
    content = bytes(await found.bytes_async())
    assert content == LARGE
    assert found.attributes["sha256"] == hashlib.sha256(LARGE).hexdigest()
    assert found.attributes["Content-Type"] == "application/pdf"
    manifest = await obstore.get_async(consumer.store, "2023073100048-000/manifest.json")
    assert manifest.attributes["Content-Type"] == "application/json"


@pytest.mark.parametrize(
    "content_type", ["text/plain\r\nX-Evil: 1", "één/ding", "", "text", 'text/plain; a="b c\x00"']
)
async def test_a_media_type_that_is_none_is_left_out(
    sink: BucketSink, consumer: Consumer, checkpoint: MemoryCheckpoint, content_type: str
) -> None:
    file = replace(make_file("a.txt", b"a"), content_type=content_type)
    assert isinstance(await sink.deliver(make_handover(file), checkpoint), Delivered)
    found = await obstore.get_async(consumer.store, "2023073100048-000/a.txt")
    assert found.attributes["Content-Type"] == "binary/octet-stream"


@pytest.mark.parametrize(
    "key", ["1f2e@dso.example.nl", "één verzoek~0123456789", "100% a+b#c", "2023073100048-000-r2"]
)
async def test_names_stay_as_they_are(sink: BucketSink, consumer: Consumer, key: str) -> None:
    name = "bijlagen/één #1 100% ~0123456789 {a}+b&c=d'é.pdf"
    delivery = make_handover(make_file(name, b"a"), key=key)
    other = make_handover(make_file("a", b"a"), key=f"{key}-r2")
    for _ in range(2):
        assert isinstance(await sink.deliver(delivery, MemoryCheckpoint()), Delivered)
    assert isinstance(await sink.deliver(other, MemoryCheckpoint()), Delivered)
    assert set(await consumer.paths()) == {
        *(f"{key}/{name}", f"{key}/manifest.json", f"{key}-r2/a", f"{key}-r2/manifest.json")
    }


async def test_a_message_without_files_is_a_delivery(
    sink: BucketSink, consumer: Consumer, checkpoint: MemoryCheckpoint
) -> None:
    message = replace(make_handover(key="m-1@dso"), flow="message", verzoeknummer=None, volgnummer=None)
    assert isinstance(await sink.deliver(message, checkpoint), Delivered)
    assert await consumer.paths() == ["m-1@dso/.empty", "m-1@dso/manifest.json"]


async def test_delivered_again_it_is_the_same_delivery(
    sink: BucketSink, consumer: Consumer, handover: Handover
) -> None:
    first = await sink.deliver(handover, MemoryCheckpoint())
    before = await consumer.deliveries()
    assert await sink.deliver(handover, MemoryCheckpoint()) == first
    assert await consumer.deliveries() == before


async def test_the_same_verzoek_is_recognised_however_it_became_known(
    sink: BucketSink, handover: Handover
) -> None:
    await sink.deliver(handover, MemoryCheckpoint())
    found = replace(handover, manifest={**handover.manifest, "origin": "reconciliation"})
    assert isinstance(await sink.deliver(found, MemoryCheckpoint()), Delivered)


@pytest.mark.parametrize("manifest", [b"{}", b"no json", b"[" * 100_000, b""])
async def test_what_is_there_already_and_is_another_delivery_stays(
    sink: BucketSink, consumer: Consumer, handover: Handover, checkpoint: MemoryCheckpoint, manifest: bytes
) -> None:
    path = "2023073100048-000/manifest.json"
    await obstore.put_async(consumer.store, path, manifest)
    outcome = await sink.deliver(handover, checkpoint)
    assert isinstance(outcome, Permanent)
    assert "exists and is not this delivery: move it away, then retry" in outcome.reason
    assert await consumer.paths() == [path]
    await obstore.delete_async(consumer.store, [path])
    assert isinstance(await sink.deliver(handover, checkpoint), Delivered)


async def test_another_delivery_that_appears_meanwhile_stays_and_is_not_taken_for_ours(
    sink: BucketSink, consumer: Consumer, handover: Handover, checkpoint: MemoryCheckpoint
) -> None:
    directory = "2023073100048-000"

    def somebody_else() -> None:
        if "staged" in checkpoint.steps:
            checkpoint.after_set = lambda: None
            obstore.put(consumer.store, f"{directory}/manifest.json", b"{}")

    checkpoint.after_set = somebody_else
    assert isinstance(await sink.deliver(handover, checkpoint), Permanent)
    assert await consumer.content(f"{directory}/manifest.json") == b"{}"
    await obstore.delete_async(consumer.store, [f"{directory}/{path}" for path in await consumer.paths()])
    await obstore.delete_async(consumer.store, await consumer.paths())
    assert isinstance(await sink.deliver(handover, checkpoint), Delivered)
    assert_complete((await consumer.deliveries())[directory])


async def test_content_that_proves_damaged_is_not_delivered_and_nothing_is_left(
    sink: BucketSink, consumer: Consumer, bucket: Bucket, checkpoint: MemoryCheckpoint
) -> None:
    files = (make_file("verzoek.xml", b"<verzoek/>"), damaged(make_file("verzoek.pdf", LARGE, PART // 3)))
    with pytest.raises(ContentDamaged):
        await sink.deliver(make_handover(*files), checkpoint)
    assert await consumer.paths() == []
    assert bucket.uploads() == []


async def test_an_attempt_that_was_overtaken_removes_nothing(sink: BucketSink, consumer: Consumer) -> None:
    whole, fence = make_file("verzoek.xml", b"<verzoek/>"), Fence()
    first = fence.attempt()
    second = fence.attempt()
    assert isinstance(await sink.deliver(make_handover(whole), second), Delivered)
    before = await consumer.deliveries()
    await obstore.delete_async(consumer.store, ["2023073100048-000/manifest.json"])
    with pytest.raises(LeaseLost):
        await sink.deliver(make_handover(damaged(whole)), first)
    assert await consumer.paths() == ["2023073100048-000/verzoek.xml"]
    assert before.keys() == {"2023073100048-000"}


def unavailable(file: HandoverFile) -> HandoverFile:
    async def read() -> AsyncGenerator[bytes, None]:
        async for chunk in file.open():
            yield chunk
        raise ContentUnavailable("the spool is gone")

    return replace(file, open=read)


async def test_content_that_cannot_be_read_now_leaves_nothing_of_itself(
    sink: BucketSink, consumer: Consumer, bucket: Bucket, checkpoint: MemoryCheckpoint
) -> None:
    xml, pdf = make_file("verzoek.xml", b"<verzoek/>"), make_file("verzoek.pdf", LARGE, PART // 3)
    with pytest.raises(ContentUnavailable):
        await sink.deliver(make_handover(xml, unavailable(pdf)), checkpoint)
    assert await consumer.paths() == ["2023073100048-000/verzoek.xml"]
    assert bucket.uploads() == []
    assert isinstance(await sink.deliver(make_handover(xml, pdf), checkpoint), Delivered)
    assert_complete((await consumer.deliveries())["2023073100048-000"])


async def test_a_delivery_that_is_cancelled_leaves_no_upload(
    sink: BucketSink, consumer: Consumer, bucket: Bucket, checkpoint: MemoryCheckpoint
) -> None:
    async def read() -> AsyncGenerator[bytes, None]:
        yield LARGE
        await asyncio.Event().wait()

    file = replace(make_file("verzoek.pdf", LARGE), open=read)
    delivering = asyncio.create_task(sink.deliver(make_handover(file), checkpoint))

    async def has_begun() -> bool:
        return bucket.uploads() != []

    await until(has_begun)
    delivering.cancel()
    await asyncio.wait([delivering])
    assert bucket.uploads() == []
    assert await consumer.paths() == []


async def test_what_was_removed_before_it_was_complete_is_put_again(
    sink: BucketSink, consumer: Consumer, checkpoint: MemoryCheckpoint
) -> None:
    xml, pdf = make_file("verzoek.xml", b"<verzoek/>"), make_file("verzoek.pdf", b"%PDF-")
    with pytest.raises(ContentUnavailable):
        await sink.deliver(make_handover(xml, unavailable(pdf)), checkpoint)
    await obstore.delete_async(consumer.store, ["2023073100048-000/verzoek.xml"])
    assert isinstance(await sink.deliver(make_handover(xml, pdf), checkpoint), Delivered)
    assert_complete((await consumer.deliveries())["2023073100048-000"])


async def staged(sink: BucketSink, consumer: Consumer, handover: Handover) -> MemoryCheckpoint:
    """The checkpoint of a delivery of which everything is there but the manifest."""
    checkpoint = MemoryCheckpoint()
    await sink.deliver(handover, checkpoint)
    await obstore.delete_async(consumer.store, ["2023073100048-000/manifest.json"])
    return checkpoint


async def test_what_is_being_taken_with_its_manifest_first_waits(
    sink: BucketSink, consumer: Consumer, handover: Handover
) -> None:
    checkpoint = await staged(sink, consumer, handover)
    await obstore.delete_async(consumer.store, ["2023073100048-000/verzoek.xml"])
    outcome = await sink.deliver(handover, checkpoint)
    assert isinstance(outcome, Temporary)
    assert "let manifest.json be removed last" in outcome.reason
    await obstore.delete_async(consumer.store, await consumer.paths())
    assert isinstance(await sink.deliver(handover, checkpoint), Delivered)
    assert await consumer.paths() == []


async def test_what_was_made_ready_in_another_place_waits_for_that_place(
    options: S3Options, consumer: Consumer, handover: Handover
) -> None:
    checkpoint = await staged(sink_of(options), consumer, handover)
    elsewhere = options.model_copy(update={"url": f"{options.url}/elders"})
    outcome = await sink_of(elsewhere).deliver(handover, checkpoint)
    assert isinstance(outcome, Temporary)
    assert "set them back until this is delivered" in outcome.reason
    assert isinstance(await sink_of(options).deliver(handover, checkpoint), Delivered)


@pytest.mark.parametrize(
    ("key", "path"),
    [
        ("..", "a"),
        (".a", "a"),
        ("a/b", "a"),
        ("a", "../b"),
        ("a", "b/.c"),
        ("a", "manifest.json"),
        ("a", "b//c"),
    ],
)
async def test_a_name_that_is_unsafe_is_refused(
    sink: BucketSink, consumer: Consumer, checkpoint: MemoryCheckpoint, key: str, path: str
) -> None:
    outcome = await sink.deliver(make_handover(make_file(path, b"a"), key=key), checkpoint)
    assert isinstance(outcome, Permanent)
    assert await consumer.paths() == []


async def test_a_name_that_is_too_long_for_a_key_is_refused_with_the_fix(
    options: S3Options, consumer: Consumer, handover: Handover, checkpoint: MemoryCheckpoint
) -> None:
    deep = options.model_copy(update={"url": f"{options.url}/{'d' * 990}"})
    outcome = await sink_of(deep).deliver(handover, checkpoint)
    assert isinstance(outcome, Permanent)
    assert outcome.reason.endswith("shorten the prefix")


async def test_a_store_that_does_not_answer_is_temporary(
    impatient: None,
    bucket: Bucket,
    road: Road,
    tmp_path: Path,
    handover: Handover,
    checkpoint: MemoryCheckpoint,
) -> None:
    sink = sink_of(options_of(bucket, tmp_path, road.url))
    road.way = Way.DEAF
    outcome = await outcome_of(sink, handover, checkpoint)
    assert isinstance(outcome, Temporary)
    assert "check endpoint, region and keys of this sink" in outcome.reason
    road.way = Way.OPEN
    assert isinstance(await sink.deliver(handover, checkpoint), Delivered)


@pytest.mark.parametrize("length", [100_000, PART + 100_000])
async def test_an_upload_that_is_cut_is_no_object_and_is_made_again(
    impatient: None, bucket: Bucket, road: Road, tmp_path: Path, checkpoint: MemoryCheckpoint, length: int
) -> None:
    options = options_of(bucket, tmp_path, road.url)
    sink, consumer = sink_of(options), Consumer(options_of(bucket, tmp_path))
    delivery = make_handover(make_file("verzoek.pdf", LARGE, PART // 3))
    road.way, road.length = Way.CUT, length
    assert isinstance(await outcome_of(sink, delivery, checkpoint), Temporary)
    assert await consumer.paths() == []
    road.way = Way.OPEN
    assert isinstance(await sink.deliver(delivery, checkpoint), Delivered)
    assert_complete((await consumer.deliveries())["2023073100048-000"])


class Twisting(Forwarder):
    """Changes octets on their way to the server."""

    def __init__(self, server: S3Server) -> None:
        super().__init__("127.0.0.1", server.port)

    async def passes(self, data: bytes, connection: Connection) -> bool:
        return await super().passes(data.replace(b"verzoeker", b"verwerker"), connection)


async def test_what_is_changed_on_its_way_is_not_stored(
    impatient: None, bucket: Bucket, tmp_path: Path, checkpoint: MemoryCheckpoint, consumer: Consumer
) -> None:
    async with Twisting(bucket.server).running() as way:
        sink = sink_of(options_of(bucket, tmp_path, f"http://127.0.0.1:{way.port}"))
        delivery = make_handover(make_file("verzoek.xml", b"<verzoeker/>", 100))
        assert isinstance(await outcome_of(sink, delivery, checkpoint), Temporary)
    assert await consumer.paths() == []


@pytest.fixture
async def refusing() -> AsyncIterator[TestServer]:
    """A store that shows an empty bucket, and answers every PUT with the status and code in its prefix."""

    async def answer(request: web.Request) -> web.Response:
        if request.method == "GET":
            return web.Response(text="<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>")
        _, _, status, code, *_ = request.path.split("/")
        return web.Response(status=int(status), text=f"<Error><Code>{code}</Code></Error>")

    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", answer)
    async with TestServer(app) as server:
        yield server


@pytest.mark.parametrize(
    ("prefix", "kind", "fix"),
    [
        ("503/SlowDown", Temporary, "check endpoint"),
        ("403/AccessDenied", Temporary, "allow GetObject, PutObject"),
        ("403/SignatureDoesNotMatch", Temporary, "correct the secret key, or the region, of this sink"),
        ("404/NoSuchBucket", Temporary, "make the bucket, or correct url"),
        ("501/NotImplemented", Permanent, "conditional writes"),
        ("400/EntityTooLarge", Permanent, "EntityTooLarge"),
    ],
)
async def test_what_the_store_refuses_is_told_with_the_fix(
    monkeypatch: pytest.MonkeyPatch,
    refusing: TestServer,
    options: S3Options,
    handover: Handover,
    checkpoint: MemoryCheckpoint,
    prefix: str,
    kind: type[Outcome],
    fix: str,
) -> None:
    monkeypatch.setitem(buckets._RETRIES, "max_retries", 0)
    monkeypatch.setitem(buckets._RETRIES, "retry_timeout", timedelta(milliseconds=1))
    to_it = options.model_copy(
        update={"endpoint": str(refusing.make_url("")), "url": f"s3://bucket/{prefix}"}
    )
    outcome = await outcome_of(sink_of(to_it), handover, checkpoint)
    assert isinstance(outcome, kind)
    assert fix in outcome.reason
    assert SECRET not in outcome.reason


async def test_a_sink_that_works_passes_its_probe_which_writes_nothing(
    sink: BucketSink, consumer: Consumer
) -> None:
    await sink.probe()
    assert await consumer.paths() == []


@pytest.mark.parametrize(
    ("change", "fix"),
    [
        ({"url": "s3://is-er-niet/stad"}, "NoSuchBucket; make the bucket, or correct url"),
        ({"access_key": "onbekend"}, "XAdminUserNotFound; correct access_key of this sink"),
        ({"endpoint": "http://127.0.0.1:1"}, "check endpoint, region and keys of this sink"),
    ],
)
async def test_a_probe_says_what_mends_it(
    impatient: None, options: S3Options, change: dict[str, str], fix: str
) -> None:
    with pytest.raises(SinkProblem) as problem:
        await sink_of(options.model_copy(update=change)).probe()
    assert fix in str(problem.value)


async def test_a_wrong_secret_is_said(impatient: None, options: S3Options) -> None:
    assert options.secret_key_file is not None
    options.secret_key_file.write_text("another")
    with pytest.raises(SinkProblem, match="SignatureDoesNotMatch; correct the secret key"):
        await sink_of(options).probe()


@pytest.mark.parametrize("environment", [Environment.PRE, Environment.PROD])
def test_plain_http_is_for_tests_only(options: S3Options, environment: Environment) -> None:
    with pytest.raises(SinkProblem, match=r"endpoint: plain HTTP is not allowed in environment p.*https://"):
        sink_of(options, environment=environment)


@pytest.mark.parametrize(
    "url", ["verzoeken", "https://s3.example.nl/a", "s3://", "s3://A/b", "s3://bucket/../b"]
)
def test_a_url_that_is_no_place_in_an_object_store_is_refused(options: S3Options, url: str) -> None:
    with pytest.raises(SinkProblem, match="emmer: url: is not a place in an object store"):
        sink_of(options.model_copy(update={"url": url}))


def test_half_a_pair_of_keys_is_refused(options: S3Options) -> None:
    with pytest.raises(SinkProblem, match="access_key and secret_key_file go together"):
        sink_of(options.model_copy(update={"access_key": None}))


def test_memory_does_not_grow_with_a_file(bucket: Bucket, tmp_path: Path, options: S3Options) -> None:
    script = Path(__file__).with_name("large_delivery.py")
    command = [sys.executable, str(script), str(tmp_path), bucket.payloads, bucket.server.url, "256"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={"PYTHONPATH": str(ROOT)})
    assert int(done.stdout) < 16
