# SPDX-License-Identifier: EUPL-1.2

"""Every step of the directory sink is made to fail, and the attempt after it is judged."""
# ruff: noqa: ASYNC240 - a test may look at its files from the event loop

import asyncio
import errno
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from adapter.delivery import Delivered, Handover, Outcome, Temporary
from adapter.sinks import DirectoryOptions, DirectorySink, Disk
from tests.sinks.fence import Fence, FencedCheckpoint
from tests.sinks.handovers import MemoryCheckpoint, SimulatedCrash, make_file, make_handover

OPERATIONS = (
    "exists",
    "identity",
    "make_directory",
    "create",
    "write",
    "sync",
    "sync_directory",
    "rename",
    "wipe",
    "read",
)


class StepDisk(Disk):
    """A disk that counts its operations, and calls `fail` before (or after) the one with the number `at`."""

    def __init__(self, at: int = -1, after: bool = False, fail: Callable[[], None] = lambda: None) -> None:
        self.trace: list[tuple[str, str]] = []
        self._at, self._after, self._fail = at, after, fail

    def __getattribute__(self, name: str) -> Any:
        operation = super().__getattribute__(name)
        return self._stepped(name, operation) if name in OPERATIONS else operation

    def _stepped(self, name: str, operation: Callable[..., Any]) -> Callable[..., Any]:
        def step(*args: Any) -> Any:
            number = len(self.trace)
            self.trace.append((name, Path(getattr(args[0], "name", "")).name))
            if number == self._at and not self._after:
                self._fail()
            result = operation(*args)
            if number == self._at and self._after:
                if name == "create":
                    result.close()
                self._fail()
            return result

        return step


def crash() -> None:
    raise SimulatedCrash


def disk_full() -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def make() -> Handover:
    return make_handover(
        make_file("verzoek.xml", b"<verzoek/>"),
        make_file("verzoek.pdf", b"%PDF-"),
        make_file("bijlagen/tekening.pdf", b"tekening" * 20),
    )


async def attempt(place: Path, checkpoint: MemoryCheckpoint, disk: Disk | None = None) -> Outcome:
    sink = DirectorySink(DirectoryOptions(path=place), disk)
    try:
        return await sink.deliver(make(), checkpoint)
    finally:
        await sink.close()


def count_steps(tmp: Path) -> list[tuple[str, str]]:
    tmp.mkdir()
    disk = StepDisk()
    asyncio.run(attempt(tmp, MemoryCheckpoint(), disk))
    return disk.trace


@pytest.fixture(scope="module")
def steps(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, str]]:
    return count_steps(tmp_path_factory.mktemp("count") / "place")


STEPS = range(24)  # at least as many as a delivery has; checked below


def test_no_step_is_left_out(steps: list[tuple[str, str]]) -> None:
    assert len(steps) == len(STEPS)


def take_all(place: Path, taken: Path) -> None:
    """A consumer: takes everything that has its final name."""
    for found in sorted(place.iterdir()):
        if not found.name.startswith("."):
            assert is_complete(found)
            found.rename(taken / f"{len(list(taken.iterdir()))}")


def is_complete(directory: Path) -> bool:
    manifest = json.loads((directory / "manifest.json").read_bytes())
    sizes = {file["path"]: (directory / file["path"]).stat().st_size for file in manifest["files"]}
    return sizes == {file["path"]: file["size"] for file in manifest["files"]}


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("at", STEPS)
async def test_a_crash_at_any_step_ends_in_exactly_one_complete_directory(
    place: Path, checkpoint: MemoryCheckpoint, at: int, after: bool
) -> None:
    with pytest.raises(SimulatedCrash):
        await attempt(place, checkpoint, StepDisk(at, after, crash))
    assert isinstance(await attempt(place, checkpoint), Delivered)
    assert [path.name for path in place.iterdir()] == [make().key]
    assert is_complete(place / make().key)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("at", STEPS)
async def test_a_consumer_that_takes_it_at_once_gets_it_exactly_once(
    place: Path, checkpoint: MemoryCheckpoint, tmp_path: Path, at: int, after: bool
) -> None:
    taken = tmp_path / "taken"
    taken.mkdir()
    with pytest.raises(SimulatedCrash):
        await attempt(place, checkpoint, StepDisk(at, after, crash))
    take_all(place, taken)
    assert isinstance(await attempt(place, checkpoint), Delivered)
    take_all(place, taken)
    assert len(list(taken.iterdir())) == 1
    assert list(place.iterdir()) == []


@pytest.mark.parametrize("when", ["before_set", "after_set"])
async def test_a_crash_around_the_commit_of_the_checkpoint_ends_in_one_complete_directory(
    place: Path, checkpoint: MemoryCheckpoint, when: str
) -> None:
    setattr(checkpoint, when, crash)
    with pytest.raises(SimulatedCrash):
        await attempt(place, checkpoint)
    assert [path.name for path in place.iterdir()] == [f".{make().key}"]
    setattr(checkpoint, when, lambda: None)
    assert isinstance(await attempt(place, checkpoint), Delivered)
    assert [path.name for path in place.iterdir()] == [make().key]
    assert is_complete(place / make().key)


@pytest.mark.parametrize("at", STEPS)
async def test_a_disk_full_at_any_step_is_temporary_and_the_next_attempt_delivers(
    place: Path, checkpoint: MemoryCheckpoint, at: int
) -> None:
    outcome = await attempt(place, checkpoint, StepDisk(at, fail=disk_full))
    assert isinstance(outcome, Temporary)
    assert "free or add space" in outcome.reason
    if "staged" not in checkpoint.steps and at < len(STEPS) - 5:
        assert list(place.iterdir()) == [], "the space of an unfinished delivery is given back"
    assert isinstance(await attempt(place, checkpoint), Delivered)
    assert [path.name for path in place.iterdir()] == [make().key]


@pytest.mark.parametrize("first", STEPS)
async def test_two_crashes_in_a_row_are_no_worse_than_one(
    place: Path, checkpoint: MemoryCheckpoint, first: int
) -> None:
    with pytest.raises(SimulatedCrash):
        await attempt(place, checkpoint, StepDisk(first, True, crash))
    with pytest.raises(SimulatedCrash):
        await attempt(place, checkpoint, StepDisk(1, False, crash))
    assert isinstance(await attempt(place, checkpoint), Delivered)
    assert [path.name for path in place.iterdir()] == [make().key]
    assert is_complete(place / make().key)


async def test_everything_is_on_the_disk_before_the_checkpoint_and_the_rename(
    place: Path, checkpoint: MemoryCheckpoint
) -> None:
    disk = StepDisk()
    key = make().key
    at_commit: list[tuple[str, str]] = []
    checkpoint.before_set = lambda: at_commit.extend(disk.trace)
    await attempt(place, checkpoint, disk)
    synced = [step for step in at_commit if step[0].startswith("sync")]
    assert synced == [
        ("sync", "verzoek.xml"),
        ("sync", "verzoek.pdf"),
        ("sync", "tekening.pdf"),
        ("sync_directory", "bijlagen"),
        ("sync", "manifest.json"),
        ("sync_directory", f".{key}"),
        ("sync_directory", place.name),
    ]
    assert "rename" not in {name for name, _ in at_commit}
    assert disk.trace[-2:] == [("rename", f".{key}"), ("sync_directory", place.name)]


async def test_staged_and_taken_already_is_delivered_and_not_written_again(
    place: Path, checkpoint: MemoryCheckpoint
) -> None:
    checkpoint.steps["staged"] = {"inode": place.stat().st_ino, "attempt": 1}
    disk = StepDisk()
    assert isinstance(await attempt(place, checkpoint, disk), Delivered)
    assert not {"create", "make_directory", "rename"} & {name for name, _ in disk.trace}
    assert list(place.iterdir()) == []


async def test_staged_with_the_name_taken_by_an_equal_delivery_keeps_one(
    place: Path, checkpoint: MemoryCheckpoint
) -> None:
    await attempt(place, MemoryCheckpoint())
    checkpoint.after_set = crash
    (place / make().key).rename(place.parent / "aside")
    with pytest.raises(SimulatedCrash):
        await attempt(place, checkpoint)
    (place.parent / "aside").rename(place / make().key)
    assert isinstance(await attempt(place, checkpoint), Delivered)
    assert [path.name for path in place.iterdir()] == [make().key]


class StandingStill:
    """A sink whose process stands still at the n-th operation on its disk until it is told to go on."""

    def __init__(self, place: Path, checkpoint: FencedCheckpoint, at: int) -> None:
        self._reached, self._go_on = Event(), Event()
        self._sink = DirectorySink(DirectoryOptions(path=place), StepDisk(at, False, self._stand_still))
        handover = replace(make(), attempt=checkpoint.number)
        self._running = asyncio.ensure_future(self._sink.deliver(handover, checkpoint))

    def _stand_still(self) -> None:
        self._reached.set()
        self._go_on.wait()

    async def reached(self) -> None:
        await asyncio.to_thread(self._reached.wait)

    async def go_on(self) -> Outcome | BaseException:
        self._go_on.set()
        (result,) = await asyncio.gather(self._running, return_exceptions=True)
        await self._sink.close()
        return result


@pytest.mark.parametrize("goes_on", ["before it commits", "after it committed", "after it ended"])
@pytest.mark.parametrize("at", STEPS)
async def test_an_attempt_that_stood_still_does_no_harm_to_the_one_that_took_over(
    place: Path, tmp_path: Path, at: int, goes_on: str
) -> None:
    taken = tmp_path / "taken"
    taken.mkdir()
    fence = Fence()
    first = StandingStill(place, fence.attempt(), at)
    await first.reached()
    second = fence.attempt()

    async def let_the_first_go_on() -> None:
        await first.go_on()

    if goes_on == "after it committed":
        second.committed = let_the_first_go_on
    sink = DirectorySink(DirectoryOptions(path=place))
    delivering = asyncio.ensure_future(sink.deliver(replace(make(), attempt=second.number), second))
    if goes_on == "before it commits":
        await first.go_on()
    outcome = await delivering
    if isinstance(outcome, Temporary):  # both were at it in the same moment
        outcome = await sink.deliver(replace(make(), attempt=second.number), second)
    await sink.close()
    assert isinstance(outcome, Delivered)
    take_all(place, taken)
    await first.go_on()
    take_all(place, taken)
    assert len(list(taken.iterdir())) == 1
    assert list(place.iterdir()) == []


async def test_what_an_attempt_wrote_that_was_overtaken_and_then_killed_is_removed(place: Path) -> None:
    fence = Fence()
    fence.attempt()
    second = fence.attempt()

    async def the_first_writes_and_is_killed() -> None:
        (place / f".{make().key}").mkdir()
        (place / f".{make().key}" / "verzoek.xml").write_bytes(b"<verzoek/>")

    second.committed = the_first_writes_and_is_killed
    sink = DirectorySink(DirectoryOptions(path=place))
    assert isinstance(await sink.deliver(replace(make(), attempt=second.number), second), Delivered)
    await sink.close()
    assert [path.name for path in place.iterdir()] == [make().key]
