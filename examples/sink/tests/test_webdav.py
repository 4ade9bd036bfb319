from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from aiohttp.test_utils import TestServer
from dav import PASSWORD, USER, DavServer
from stam_sink_webdav import WEBDAV

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
from adapter.delivery.testing import (
    MemoryCheckpoint,
    crash_at_every_step,
    make_context,
    make_file,
    make_handover,
)


@dataclass
class World:
    """A server, and the table of the configuration that leads to it."""

    dav: DavServer
    table: dict[str, str]
    base: Path

    def sink(self) -> Sink:
        return make_sink([WEBDAV], "dav", self.table, make_context(self.base)).sink


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    dav = DavServer()
    (tmp_path / "password").write_text(f"{PASSWORD}\n")
    async with TestServer(dav.app()) as server:
        url = str(server.make_url("/verzoeken"))
        table = {"type": "webdav", "url": url, "user": USER, "password_file": "password"}
        yield World(dav, table, tmp_path)


@pytest.fixture
async def sink(world: World) -> AsyncIterator[Sink]:
    sink = world.sink()
    yield sink
    await sink.close()


@pytest.fixture
def handover() -> Handover:
    return make_handover(
        make_file("verzoek.xml", b"<verzoek/>"), make_file("bijlagen/één tekening.pdf", b"tekening" * 20)
    )


async def test_a_delivery_becomes_one_collection(world: World, sink: Sink, handover: Handover) -> None:
    outcome = await sink.deliver(handover, MemoryCheckpoint())
    assert outcome == Delivered(f"{world.table['url']}/{handover.key}")
    found = world.dav.below(f"/verzoeken/{handover.key}")
    assert set(found) == {"verzoek.xml", "bijlagen/één tekening.pdf", "manifest.json"}
    assert found["bijlagen/één tekening.pdf"] == b"tekening" * 20
    assert world.dav.below(f"/verzoeken/.{handover.key}") == {}


async def test_after_a_crash_at_any_step_it_is_there_once(world: World, handover: Handover) -> None:
    moments = 0
    async for crash in crash_at_every_step(world.sink, handover):
        moments += 1
        assert isinstance(crash.outcome, Delivered), crash.moment
        assert len(world.dav.below(f"/verzoeken/{crash.handover.key}")) == 3, crash.moment
        assert not world.dav.below(f"/verzoeken/.{crash.handover.key}"), crash.moment
    assert moments == 2 * len(["collections", "file 0", "file 1", "manifest"])


async def test_what_was_moved_and_taken_before_the_crash_does_not_come_again(
    world: World, sink: Sink, handover: Handover
) -> None:
    checkpoint = MemoryCheckpoint()
    await sink.deliver(handover, checkpoint)
    world.dav.files.clear()
    world.dav.collections = {"/verzoeken"}
    assert isinstance(await sink.deliver(handover, checkpoint), Delivered)
    assert world.dav.files == {}


async def test_the_same_delivery_is_recognised(world: World, sink: Sink, handover: Handover) -> None:
    await sink.deliver(handover, MemoryCheckpoint())
    assert isinstance(await sink.deliver(handover, MemoryCheckpoint()), Delivered)
    assert world.dav.below(f"/verzoeken/.{handover.key}") == {}


async def test_another_delivery_of_that_name_is_for_an_operator(
    world: World, sink: Sink, handover: Handover
) -> None:
    world.dav.collections.add(f"/verzoeken/{handover.key}")
    world.dav.files[f"/verzoeken/{handover.key}/manifest.json"] = b"{}"
    outcome = await sink.deliver(handover, MemoryCheckpoint())
    assert isinstance(outcome, Permanent)
    assert outcome.reason.endswith("move it away, then retry")


@pytest.mark.parametrize("method", ["MKCOL", "PUT", "MOVE"])
@pytest.mark.parametrize(("status", "kind"), [(503, Temporary), (507, Temporary), (400, Permanent)])
async def test_what_the_server_refuses_is_temporary_or_permanent(
    world: World, sink: Sink, handover: Handover, method: str, status: int, kind: type
) -> None:
    checkpoint = MemoryCheckpoint()
    world.dav.refuse = {method: status}
    with pytest.raises(StepFailed) as failure:
        await sink.deliver(handover, checkpoint)
    assert isinstance(failure.value.outcome, kind)
    world.dav.refuse = {}
    assert isinstance(await sink.deliver(handover, checkpoint), Delivered)


@pytest.mark.parametrize(("method", "status"), [("PROPFIND", 404), ("PROPFIND", 401)])
async def test_a_probe_says_what_is_wrong(world: World, sink: Sink, method: str, status: int) -> None:
    await sink.probe()
    world.dav.refuse = {method: status}
    with pytest.raises(SinkProblem, match=str(status)):
        await sink.probe()
    assert world.dav.collections == {"/verzoeken"}


def without_password(world: World) -> None:
    (world.base / "password").unlink()


def with_empty_password(world: World) -> None:
    (world.base / "password").write_text("\n")


def with_an_unknown_key(world: World) -> None:
    world.table["pasword"] = "x"


@pytest.mark.parametrize("spoil", [without_password, with_empty_password, with_an_unknown_key])
async def test_a_configuration_that_is_wrong_is_refused(world: World, spoil: Callable[[World], None]) -> None:
    spoil(world)
    with pytest.raises(SinkProblem, match="pas"):
        world.sink()
