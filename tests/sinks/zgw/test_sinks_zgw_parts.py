# SPDX-License-Identifier: EUPL-1.2

"""Large documents: sent by bestandsdelen as they are read, and gone on with where they stopped."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import Any

import pytest

from adapter.delivery import (
    ContentDamaged,
    ContentUnavailable,
    Delivered,
    Handover,
    HandoverFile,
    Permanent,
    Temporary,
)
from adapter.simulator import VerzoekSpec, make_verzoek
from tests.memory import measured_peak
from tests.sinks.handovers import MemoryCheckpoint
from tests.sinks.zgw.fake import FakeZgw, Fault
from tests.sinks.zgw.house import NUMBER, OIN, attempt, contents, delivered, generated, handed_over, sink_of

MIB = 1024 * 1024
LARGE, PART = 7 * MIB, 2 * MIB
PARTS = 4


def with_file(file: HandoverFile) -> Handover:
    return handed_over(make_verzoek(VerzoekSpec(NUMBER, OIN)), file)


@pytest.fixture
def large() -> HandoverFile:
    return generated("bijlagen/groot.bin", LARGE)


@pytest.fixture(autouse=True)
def parts(zgw: FakeZgw) -> None:
    zgw.part_size = PART


def uploads(zgw: FakeZgw) -> list[int]:
    """The numbers, counted from 1, of the requests that sent a part."""
    return [number for number, call in enumerate(zgw.calls, 1) if call.method == "PUT"]


def check_whole(zgw: FakeZgw, file: HandoverFile) -> None:
    last = zgw.made("enkelvoudiginformatieobjecten")[-1]
    assert (last["locked"], last["bestandsomvang"]) == (False, file.size)
    assert last["integriteit"]["waarde"] == file.sha256  # which the fake compares with the content
    assert len(zgw.made("enkelvoudiginformatieobjecten")) == 3


async def test_the_server_says_how_large_the_parts_are(
    zgw: FakeZgw, raw: dict[str, Any], large: HandoverFile
) -> None:
    await delivered(raw, with_file(large))
    check_whole(zgw, large)
    assert zgw.documents.parts_sent == [1, 2, 3, 4]
    assert len(contents(zgw)[-1]) == LARGE


async def test_a_file_as_large_as_the_limit_goes_in_one_request(zgw: FakeZgw, raw: dict[str, Any]) -> None:
    await delivered(raw, with_file(generated("net.bin", MIB)))
    assert uploads(zgw) == []
    await delivered(raw, with_file(generated("over.bin", MIB + 1, "e" * 64)))
    assert len(uploads(zgw)) == 1


async def test_a_large_file_is_never_in_memory(zgw: FakeZgw, raw: dict[str, Any]) -> None:
    large, zgw.part_size = generated("groot.bin", 64 * MIB), 1024 * MIB
    sink = sink_of(raw)
    await attempt(sink, with_file(generated("warm.bin", 2 * MIB, "w" * 64)), MemoryCheckpoint())
    with measured_peak() as peak:
        outcome = await attempt(sink, with_file(large), MemoryCheckpoint())
    await sink.close()
    assert isinstance(outcome, Delivered)
    assert peak.octets < 8 * MIB


@pytest.mark.parametrize("part", range(1, PARTS + 1))
@pytest.mark.parametrize("fault", [Fault.DROPPED, Fault.BROKEN, Fault.CUT], ids=lambda one: one.name.lower())
async def test_only_what_is_not_there_yet_is_sent_again(
    zgw: FakeZgw, raw: dict[str, Any], large: HandoverFile, part: int, fault: Fault
) -> None:
    await delivered(raw, handed_over(make_verzoek(VerzoekSpec("2023073100001", OIN)), large))
    first = uploads(zgw)[0]
    zgw.calls.clear()
    zgw.documents.parts_sent.clear()
    zgw.faults = {first - 1 + part: fault}
    _, ends = await delivered(raw, with_file(large))
    assert len(ends) == 2
    assert sorted(zgw.documents.parts_sent) == [1, 2, 3, 4]
    assert not zgw.made("enkelvoudiginformatieobjecten")[-1]["locked"]


@pytest.mark.parametrize("part", range(1, PARTS + 1))
async def test_a_crash_in_the_middle_of_a_part_costs_that_part_only(
    zgw: FakeZgw, raw: dict[str, Any], large: HandoverFile, part: int
) -> None:
    reached = asyncio.Event()

    async def standing_still() -> AsyncGenerator[bytes, None]:
        read = 0
        async for chunk in large.open():
            read += len(chunk)
            if read > (part - 1) * PART + PART // 4:
                reached.set()
                await asyncio.Event().wait()
            yield chunk

    checkpoint = MemoryCheckpoint()
    sink = sink_of(raw)
    running = asyncio.create_task(attempt(sink, with_file(replace(large, open=standing_still)), checkpoint))
    async with asyncio.timeout(10):
        await reached.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await sink.close()
    assert zgw.documents.parts_sent == list(range(1, part))
    sink = sink_of(raw)
    outcome = await attempt(sink, replace(with_file(large), attempt=2), checkpoint)
    await sink.close()
    assert isinstance(outcome, Delivered)
    assert zgw.documents.parts_sent == [1, 2, 3, 4]
    check_whole(zgw, large)


@pytest.mark.parametrize("problem", [ContentDamaged("bedorven"), ContentUnavailable("nu niet")])
async def test_content_that_cannot_be_read_is_said_and_not_sent_as_if_it_were_whole(
    zgw: FakeZgw, raw: dict[str, Any], large: HandoverFile, problem: Exception
) -> None:
    async def broken() -> AsyncGenerator[bytes, None]:
        """Breaks at its very end, where the digest shows that it was not what was stored."""
        async for chunk in large.open():
            yield chunk
        raise problem

    sink = sink_of(raw)
    with pytest.raises(type(problem)):
        await attempt(sink, with_file(replace(large, open=broken)), MemoryCheckpoint())
    await sink.close()
    assert zgw.documents.parts_sent == [1, 2, 3]
    assert zgw.made("enkelvoudiginformatieobjecten")[-1]["locked"]


async def test_a_file_that_ends_early_is_not_delivered(
    zgw: FakeZgw, raw: dict[str, Any], large: HandoverFile
) -> None:
    async def short() -> AsyncGenerator[bytes, None]:
        yield b"te kort"

    sink = sink_of(raw)
    outcome = await attempt(sink, with_file(replace(large, open=short)), MemoryCheckpoint())
    await sink.close()
    assert isinstance(outcome, Permanent)
    assert "ended before" in outcome.reason


async def test_a_document_that_somebody_has_checked_out_is_complete(
    zgw: FakeZgw, raw: dict[str, Any], large: HandoverFile
) -> None:
    await delivered(raw, with_file(large))
    (*_, last) = zgw.documents.objects["enkelvoudiginformatieobjecten"].values()
    last["locked"] = True
    await delivered(raw, with_file(large))
    assert last["locked"]
    assert len(uploads(zgw)) == PARTS


async def test_parts_that_do_not_make_up_the_file_are_for_people(
    zgw: FakeZgw, raw: dict[str, Any], large: HandoverFile
) -> None:
    original = zgw.documents.make

    def make(resource: str, body: dict[str, Any]) -> dict[str, Any]:
        made = original(resource, body)
        if made["bestandsdelen"]:
            made["bestandsdelen"].pop()
        return made

    zgw.documents.make = make  # type: ignore[method-assign]
    sink = sink_of(raw)
    outcome = await attempt(sink, with_file(large), MemoryCheckpoint())
    await sink.close()
    assert isinstance(outcome, Permanent)
    assert f"the file has {LARGE}" in outcome.reason


async def test_a_lock_that_was_taken_over_is_refused_with_its_reason(
    zgw: FakeZgw, raw: dict[str, Any], large: HandoverFile
) -> None:
    def take_over() -> None:
        for _, part, _ in zgw.documents.parts.values():
            part["lock"] = "van een ander"

    zgw.uploading = take_over
    sink = sink_of(raw)
    outcome = await attempt(sink, with_file(large), MemoryCheckpoint())
    assert isinstance(outcome, Permanent | Temporary)
    assert "incorrect-lock-id" in outcome.reason
    await sink.close()
