# SPDX-License-Identifier: EUPL-1.2

"""Every request of the s3 sink is made to fail, and the attempt after it is judged; on a real server."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pytest

from adapter.delivery import Delivered, Handover, Outcome, StepFailed, Temporary
from adapter.sinks import S3Options
from adapter.sinks.bucket import BucketSink
from adapter.sinks.objects import Objects
from tests.s3 import Bucket
from tests.sinks.buckets import Consumer, assert_complete, objects_of, options_of, store_of
from tests.sinks.fence import Fence, FencedCheckpoint
from tests.sinks.handovers import MemoryCheckpoint, SimulatedCrash, make_file, make_handover

R = TypeVar("R")
Failure = Callable[[], Awaitable[None]]


async def crash() -> None:
    raise SimulatedCrash


async def busy() -> None:
    raise StepFailed(Temporary("SlowDown"), undone=False)


async def nothing() -> None:
    """No failure."""


class StepObjects(Objects):
    """Counts the requests, and calls `fail` before (or after) the one with the number `at`."""

    def __init__(
        self, options: S3Options, at: int = -1, after: bool = False, fail: Failure = nothing
    ) -> None:
        super().__init__(*store_of(options))
        self.trace: list[tuple[str, str]] = []
        self._at, self._after, self._fail = at, after, fail

    async def sizes(self, key: str) -> dict[str, int]:
        return await self._step("sizes", key, lambda: Objects.sizes(self, key))

    async def upload(
        self, path: str, content: AsyncGenerator[bytes, None], sha256: str, content_type: str | None
    ) -> None:
        await self._step("upload", path, lambda: Objects.upload(self, path, content, sha256, content_type))

    async def create(self, path: str, content: bytes, content_type: str) -> bool:
        return await self._step("create", path, lambda: Objects.create(self, path, content, content_type))

    async def read(self, path: str, limit: int) -> bytes | None:
        return await self._step("read", path, lambda: Objects.read(self, path, limit))

    async def delete(self, paths: Collection[str]) -> None:
        await self._step("delete", ",".join(paths), lambda: Objects.delete(self, paths))

    async def _step(self, name: str, path: str, request: Callable[[], Awaitable[R]]) -> R:
        number = len(self.trace)
        self.trace.append((name, path.rpartition("/")[2]))
        if number == self._at and not self._after:
            await self._fail()
        result = await request()
        if number == self._at and self._after:
            await self._fail()
        return result


FILES = (
    make_file("verzoek.xml", b"<verzoek/>"),
    make_file("verzoek.pdf", b"%PDF-"),
    make_file("bijlagen/tekening.pdf", b"tekening" * 20),
)


@pytest.fixture(params=[3, 0], ids=["with files", "without files"])
def delivery(request: pytest.FixtureRequest) -> Handover:
    return make_handover(*FILES[: request.param])


@pytest.fixture
def options(bucket: Bucket, tmp_path: Path) -> S3Options:
    return options_of(bucket, tmp_path)


@pytest.fixture
def consumer(options: S3Options) -> Consumer:
    return Consumer(options)


async def attempt(objects: Objects, delivery: Handover, checkpoint: MemoryCheckpoint) -> Outcome:
    try:
        return await BucketSink(objects).deliver(delivery, checkpoint)
    except StepFailed as failure:
        return failure.outcome


STEPS = range(7)  # at least as many as a delivery has; checked below


async def test_no_step_is_left_out(options: S3Options, checkpoint: MemoryCheckpoint) -> None:
    objects = StepObjects(options)
    delivery = make_handover(*FILES)
    assert isinstance(await attempt(objects, delivery, checkpoint), Delivered)
    assert len(objects.trace) == len(STEPS)
    assert objects.trace == [
        ("sizes", delivery.key),
        ("upload", "verzoek.xml"),
        ("upload", "verzoek.pdf"),
        ("upload", "tekening.pdf"),
        ("sizes", delivery.key),
        ("create", "manifest.json"),
        ("sizes", delivery.key),
    ]


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("at", STEPS)
async def test_a_crash_at_any_request_ends_in_exactly_one_complete_delivery(
    options: S3Options,
    consumer: Consumer,
    delivery: Handover,
    checkpoint: MemoryCheckpoint,
    at: int,
    after: bool,
) -> None:
    await crashed_attempt(StepObjects(options, at, after, crash), delivery, checkpoint)
    assert isinstance(await attempt(objects_of(options), delivery, checkpoint), Delivered)
    (found,) = (await consumer.deliveries()).values()
    assert_complete(found)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("at", STEPS)
async def test_a_consumer_that_takes_it_at_once_gets_it_exactly_once(
    options: S3Options,
    consumer: Consumer,
    delivery: Handover,
    checkpoint: MemoryCheckpoint,
    at: int,
    after: bool,
) -> None:
    await crashed_attempt(StepObjects(options, at, after, crash), delivery, checkpoint)
    await consumer.take_all()
    assert isinstance(await attempt(objects_of(options), delivery, checkpoint), Delivered)
    await consumer.take_all()
    assert len(consumer.taken) == 1
    assert await consumer.paths() == []


async def crashed_attempt(objects: StepObjects, delivery: Handover, checkpoint: MemoryCheckpoint) -> None:
    """An attempt that was killed; or that ended, where it has fewer requests."""
    try:
        await attempt(objects, delivery, checkpoint)
    except SimulatedCrash:
        return
    assert not delivery.files


@pytest.mark.parametrize("taken", [False, True], ids=["left there", "taken at once"])
@pytest.mark.parametrize("when", ["before_set", "after_set"])
@pytest.mark.parametrize("number", range(4))
async def test_a_crash_around_any_checkpoint_ends_in_exactly_one_delivery(
    options: S3Options, consumer: Consumer, checkpoint: MemoryCheckpoint, number: int, when: str, taken: bool
) -> None:
    delivery, passed = make_handover(*FILES), 0

    def crash_at_number() -> None:
        nonlocal passed
        passed += 1
        if passed == number + 1:
            raise SimulatedCrash

    setattr(checkpoint, when, crash_at_number)
    with pytest.raises(SimulatedCrash):
        await attempt(objects_of(options), delivery, checkpoint)
    assert await consumer.deliveries() == {}, "nothing is complete before its last checkpoint"
    if taken:
        await consumer.take_all()
    assert isinstance(await attempt(objects_of(options), delivery, checkpoint), Delivered)
    await consumer.take_all()
    assert len(consumer.taken) == 1


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("at", STEPS)
async def test_a_store_that_is_busy_at_any_request_is_temporary_and_the_next_attempt_delivers_once(
    options: S3Options, consumer: Consumer, checkpoint: MemoryCheckpoint, at: int, after: bool
) -> None:
    delivery = make_handover(*FILES)
    outcome = await attempt(StepObjects(options, at, after, busy), delivery, checkpoint)
    assert outcome == Temporary("SlowDown")
    await consumer.take_all()
    assert isinstance(await attempt(objects_of(options), delivery, checkpoint), Delivered)
    await consumer.take_all()
    assert len(consumer.taken) == 1


@pytest.mark.parametrize("first", STEPS)
async def test_two_crashes_in_a_row_are_no_worse_than_one(
    options: S3Options, consumer: Consumer, checkpoint: MemoryCheckpoint, first: int
) -> None:
    delivery = make_handover(*FILES)
    await crashed_attempt(StepObjects(options, first, True, crash), delivery, checkpoint)
    with pytest.raises(SimulatedCrash):
        await attempt(StepObjects(options, 0, True, crash), delivery, checkpoint)
    assert isinstance(await attempt(objects_of(options), delivery, checkpoint), Delivered)
    await consumer.take_all()
    assert len(consumer.taken) == 1


async def test_what_was_put_before_a_crash_is_not_put_again(
    options: S3Options, checkpoint: MemoryCheckpoint
) -> None:
    delivery = make_handover(*FILES)
    with pytest.raises(SimulatedCrash):
        await attempt(StepObjects(options, 3, False, crash), delivery, checkpoint)
    objects = StepObjects(options)
    assert isinstance(await attempt(objects, delivery, checkpoint), Delivered)
    assert [path for name, path in objects.trace if name == "upload"] == ["tekening.pdf"]


class StandingStill:
    """An attempt whose process stands still before (or after) its n-th request until it is told to go on."""

    def __init__(
        self, options: S3Options, delivery: Handover, checkpoint: FencedCheckpoint, at: int, after: bool
    ) -> None:
        self._reached, self._go_on = asyncio.Event(), asyncio.Event()
        objects = StepObjects(options, at, after, self._stand_still)
        handover = replace(delivery, attempt=checkpoint.number)
        self._running = asyncio.ensure_future(BucketSink(objects).deliver(handover, checkpoint))

    async def _stand_still(self) -> None:
        self._reached.set()
        await self._go_on.wait()

    async def reached(self) -> None:
        await asyncio.wait(
            [self._running, asyncio.ensure_future(self._reached.wait())], return_when=asyncio.FIRST_COMPLETED
        )

    async def go_on(self) -> None:
        self._go_on.set()
        await asyncio.gather(self._running, return_exceptions=True)


@pytest.mark.parametrize("goes_on", ["before it commits", "after it committed", "after it ended"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("at", STEPS)
async def test_an_attempt_that_stood_still_does_no_harm_to_the_one_that_took_over(
    options: S3Options, consumer: Consumer, at: int, after: bool, goes_on: str
) -> None:
    delivery, fence = make_handover(*FILES), Fence()
    first = StandingStill(options, delivery, fence.attempt(), at, after)
    await first.reached()
    second = fence.attempt()
    if goes_on == "after it committed":
        second.committed = first.go_on
    if goes_on == "before it commits":
        await first.go_on()
    again = replace(delivery, attempt=second.number)
    assert isinstance(await attempt(objects_of(options), again, second), Delivered)
    await consumer.take_all()
    await first.go_on()
    await consumer.take_all()
    assert len(consumer.taken) == 1
    left = [path for path in await consumer.paths() if path.endswith("manifest.json")]
    assert left == [], "what lies there again is no delivery"
