# SPDX-License-Identifier: EUPL-1.2

# ruff: noqa: ASYNC240 - a test may look at its files from the event loop
import asyncio
import errno
import json
import os
import threading
from collections.abc import AsyncGenerator
from dataclasses import replace
from pathlib import Path

import pytest

from adapter.delivery import ContentDamaged, Delivered, Handover, Permanent, SinkProblem, Temporary, make_sink
from adapter.sinks import SINK_TYPES, DirectoryOptions, DirectorySink, Disk
from tests.memory import measured_peak
from tests.sinks.handovers import MemoryCheckpoint, make_context, make_file, make_handover

KNOWN = " or ".join(sorted(one.name for one in SINK_TYPES))


def sink_at(place: Path, disk: Disk | None = None) -> DirectorySink:
    return DirectorySink(DirectoryOptions(path=place), disk)


def snapshot(directory: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()
    }


async def test_a_delivery_becomes_one_directory(
    place: Path, handover: Handover, checkpoint: MemoryCheckpoint
) -> None:
    outcome = await sink_at(place).deliver(handover, checkpoint)
    target = place / "2023073100048-000"
    assert outcome == Delivered(str(target))
    assert list(place.iterdir()) == [target]
    found = snapshot(target)
    assert json.loads(found.pop("manifest.json")) == handover.manifest
    assert found == {
        "verzoek.xml": b"<verzoek/>",
        "verzoek.pdf": b"%PDF-" + b"x" * 100,
        "bijlagen/tekening.pdf": b"tekening" * 20,
        "bijlagen/leeg.txt": b"",
    }


async def test_delivered_again_is_delivered_once(place: Path, handover: Handover) -> None:
    sink = sink_at(place)
    await sink.deliver(handover, MemoryCheckpoint())
    before = snapshot(place)
    assert isinstance(await sink.deliver(handover, MemoryCheckpoint()), Delivered)
    assert snapshot(place) == before


async def test_the_same_verzoek_is_recognised_however_it_became_known(place: Path) -> None:
    """A store that was restored knows of no notification, and reconciliation finds the verzoek."""
    file = make_file("verzoek.xml", b"<verzoek/>")
    known = {"authority": "voorbeeldstad", "volgnummer": "000"}
    first = make_handover(file, **known, origin="notification", messageId="m1@dso", receivedAt="2026-03-01")
    await sink_at(place).deliver(first, MemoryCheckpoint())
    before = snapshot(place)
    again = make_handover(file, **known, origin="reconciliation", messageId=None, receivedAt=None)
    assert isinstance(await sink_at(place).deliver(again, MemoryCheckpoint()), Delivered)
    assert snapshot(place) == before
    other = make_handover(file, **(known | {"authority": "elders"}), origin="notification")
    assert isinstance(await sink_at(place).deliver(other, MemoryCheckpoint()), Permanent)
    assert snapshot(place) == before


async def test_what_is_no_verzoek_is_only_recognised_by_its_whole_manifest(place: Path) -> None:
    file = make_file("payloads/a.xml", b"<a/>")
    first = make_handover(file, verzoeknummer=None, messageId="m1@dso")
    await sink_at(place).deliver(first, MemoryCheckpoint())
    before = snapshot(place)
    other = make_handover(file, verzoeknummer=None, messageId="m2@dso")
    assert isinstance(await sink_at(place).deliver(other, MemoryCheckpoint()), Permanent)
    assert snapshot(place) == before


async def test_another_delivery_under_the_same_name_waits_for_an_operator(
    place: Path, handover: Handover, checkpoint: MemoryCheckpoint
) -> None:
    sink = sink_at(place)
    await sink.deliver(handover, MemoryCheckpoint())
    before = snapshot(place)
    outcome = await sink.deliver(make_handover(make_file("verzoek.xml", b"<other/>")), checkpoint)
    assert isinstance(outcome, Permanent)
    assert "move it away" in outcome.reason
    assert snapshot(place) == before


@pytest.mark.parametrize("content", [None, b"", b"{", b"[" * 100_000, b'{"files": []}', b" " * 1_000_000])
async def test_a_directory_with_another_or_no_manifest_is_never_ours(
    place: Path, handover: Handover, checkpoint: MemoryCheckpoint, content: bytes | None
) -> None:
    target = place / handover.key
    target.mkdir()
    if content is not None:
        (target / "manifest.json").write_bytes(content)
    assert isinstance(await sink_at(place).deliver(handover, checkpoint), Permanent)
    assert [path.name for path in place.iterdir()] == [handover.key]


@pytest.mark.parametrize("attempt", ["", ".2", ".3"])
async def test_a_leftover_that_was_not_staged_is_written_again(
    place: Path, handover: Handover, checkpoint: MemoryCheckpoint, attempt: str
) -> None:
    leftover = place / f".{handover.key}{attempt}"
    (leftover / "bijlagen").mkdir(parents=True)
    (leftover / "old.txt").write_text("of an earlier attempt")
    await sink_at(place).deliver(replace(handover, attempt=3), checkpoint)
    assert [path.name for path in place.iterdir()] == [handover.key]
    assert "old.txt" not in snapshot(place / handover.key)


async def test_what_a_version_staged_that_named_no_attempt_is_renamed(
    place: Path, handover: Handover, checkpoint: MemoryCheckpoint
) -> None:
    staged = place / f".{handover.key}"
    staged.mkdir()
    (staged / "verzoek.xml").write_bytes(b"<verzoek/>")
    await checkpoint.set("staged", {"inode": place.stat().st_ino})
    assert isinstance(await sink_at(place).deliver(replace(handover, attempt=2), checkpoint), Delivered)
    assert snapshot(place / handover.key) == {"verzoek.xml": b"<verzoek/>"}


async def test_a_leftover_that_is_a_link_is_removed_and_not_followed(
    place: Path, handover: Handover, checkpoint: MemoryCheckpoint, tmp_path: Path
) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").write_text("keep")
    (place / f".{handover.key}").symlink_to(precious)
    assert isinstance(await sink_at(place).deliver(handover, checkpoint), Delivered)
    assert snapshot(precious) == {"file": b"keep"}


async def test_damaged_content_is_never_delivered(place: Path, checkpoint: MemoryCheckpoint) -> None:
    async def read() -> AsyncGenerator[bytes, None]:
        yield b"part"
        raise ContentDamaged("the digest differs")

    file = replace(make_file("verzoek.xml", b"whole"), open=read)
    with pytest.raises(ContentDamaged):
        await sink_at(place).deliver(make_handover(file), checkpoint)
    assert list(place.iterdir()) == []
    assert checkpoint.steps == {}


@pytest.mark.parametrize(
    "path",
    ["../escape", "/etc/passwd", "a/../../b", "a//b", "", ".hidden", "bijlagen/.x", "a\0b", "Manifest.json"],
)
async def test_a_path_that_leaves_the_delivery_is_refused(
    place: Path, checkpoint: MemoryCheckpoint, path: str
) -> None:
    outcome = await sink_at(place).deliver(make_handover(make_file(path, b"x")), checkpoint)
    assert isinstance(outcome, Permanent)
    assert list(place.parent.rglob("*")) == [place]


@pytest.mark.parametrize("key", ["..", "", "a/b", ".x"])
async def test_a_key_that_is_no_name_is_refused(place: Path, checkpoint: MemoryCheckpoint, key: str) -> None:
    assert isinstance(await sink_at(place).deliver(make_handover(key=key), checkpoint), Permanent)


async def test_two_files_with_one_path_are_refused(place: Path, checkpoint: MemoryCheckpoint) -> None:
    twice = make_handover(make_file("a.txt", b"1"), make_file("A.TXT", b"2"))
    assert isinstance(await sink_at(place).deliver(twice, checkpoint), Permanent)


async def test_modes_follow_the_umask(place: Path, handover: Handover, checkpoint: MemoryCheckpoint) -> None:
    previous = os.umask(0o027)
    try:
        await sink_at(place).deliver(handover, checkpoint)
    finally:
        os.umask(previous)
    target = place / handover.key
    assert target.stat().st_mode & 0o777 == 0o750
    assert (target / "manifest.json").stat().st_mode & 0o777 == 0o640


async def test_a_path_that_is_gone_is_temporary_and_not_made(
    tmp_path: Path, handover: Handover, checkpoint: MemoryCheckpoint
) -> None:
    outcome = await sink_at(tmp_path / "unmounted").deliver(handover, checkpoint)
    assert isinstance(outcome, Temporary)
    assert "mount" in outcome.reason
    assert not (tmp_path / "unmounted").exists()


async def test_another_directory_at_the_path_is_not_taken_for_an_emptied_one(
    place: Path, handover: Handover, checkpoint: MemoryCheckpoint
) -> None:
    checkpoint.steps["staged"] = {"inode": place.stat().st_ino, "attempt": 1}
    place.rename(place.with_name("still-there"))
    place.mkdir()
    outcome = await sink_at(place).deliver(handover, checkpoint)
    assert isinstance(outcome, Temporary)
    assert "another directory" in outcome.reason


async def test_a_big_file_passes_in_little_memory(place: Path, checkpoint: MemoryCheckpoint) -> None:
    block = b"x" * 65536

    async def read() -> AsyncGenerator[bytes, None]:
        for _ in range(1024):
            yield bytes(block)

    file = replace(make_file("verzoek.pdf", b""), size=64 * 1024 * 1024, open=read)
    with measured_peak() as peak:
        await sink_at(place).deliver(make_handover(file), checkpoint)
    assert (place / "2023073100048-000" / "verzoek.pdf").stat().st_size == file.size
    assert peak.octets < 8 * 1024 * 1024


async def test_a_cancelled_delivery_leaves_no_thread_writing(
    place: Path, handover: Handover, checkpoint: MemoryCheckpoint
) -> None:
    entered, go_on, left = threading.Event(), threading.Event(), threading.Event()

    class SlowDisk(Disk):
        def make_directory(self, path: Path) -> None:
            entered.set()
            go_on.wait(10)
            super().make_directory(path)
            left.set()

    task = asyncio.create_task(sink_at(place, SlowDisk()).deliver(handover, checkpoint))
    await asyncio.to_thread(entered.wait, 10)
    task.cancel()
    await asyncio.sleep(0)
    assert not task.done()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert left.is_set()


async def test_probe_is_content_with_a_writable_directory_and_makes_nothing(place: Path) -> None:
    await sink_at(place).probe()
    assert list(place.iterdir()) == []


@pytest.mark.parametrize("kind", ["missing", "file"])
async def test_probe_names_a_path_that_is_no_directory(tmp_path: Path, kind: str) -> None:
    path = tmp_path / kind
    if kind == "file":
        path.write_text("")
    with pytest.raises(SinkProblem, match="is not a directory"):
        await sink_at(path).probe()


async def test_probe_names_a_directory_that_is_not_writable(place: Path) -> None:
    class ReadOnly(Disk):
        def is_writable_directory(self, path: Path) -> bool:
            return False

    with pytest.raises(SinkProblem, match="not writable"):
        await sink_at(place, ReadOnly()).probe()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_directory_without_write_permission_is_not_writable(place: Path) -> None:
    place.chmod(0o500)
    assert not Disk().is_writable_directory(place)


async def test_close_lets_the_threads_go(place: Path) -> None:
    sink = sink_at(place)
    await sink.probe()
    await sink.close()
    with pytest.raises(RuntimeError):
        await sink.probe()


@pytest.mark.parametrize("number", [errno.EIO, errno.EACCES, errno.ENOSPC, errno.EDQUOT, errno.EROFS])
async def test_an_error_of_the_file_system_is_temporary_with_its_reason(
    place: Path, handover: Handover, checkpoint: MemoryCheckpoint, number: int
) -> None:
    class Failing(Disk):
        def create(self, path: Path) -> None:  # type: ignore[override]
            raise OSError(number, os.strerror(number), str(path))

    outcome = await sink_at(place, Failing()).deliver(handover, checkpoint)
    assert isinstance(outcome, Temporary)
    assert os.strerror(number) in outcome.reason
    assert list(place.iterdir()) == []


def test_a_table_of_the_configuration_becomes_a_sink(place: Path) -> None:
    raw = {"type": "directory", "path": str(place)}
    sink = make_sink(SINK_TYPES, "archief", raw, make_context(place)).sink
    assert isinstance(sink, DirectorySink)
    assert sink.path == place


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ({"path": "/a"}, f"archief: type: must say what kind of sink this is: {KNOWN}"),
        (
            {"type": "directry", "path": "/a"},
            "archief: type: unknown sink type 'directry'; did you mean `directory`?",
        ),
        ({"type": "directory"}, "archief: path: is missing; add it"),
        ({"type": "directory", "path": "/a", "paht": 1}, "archief: paht: unknown key; did you mean `path`?"),
        (
            {"type": "directory", "path": "/a", "zzz": 1},
            "archief: zzz: unknown key; known are `breaker`, `concurrency`, `path`, `timeout`",
        ),
    ],
)
def test_a_wrong_option_is_named_with_its_fix(raw: dict[str, object], expected: str) -> None:
    with pytest.raises(SinkProblem) as problem:
        make_sink(SINK_TYPES, "archief", raw, make_context(Path("/")))
    assert problem.value.problems == (expected,)
