# SPDX-License-Identifier: EUPL-1.2

"""An archive is made while it is given out: whole, checkable, and in little memory."""

import hashlib
import io
import json
import subprocess
from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest

from adapter.store import Content, FileSpool, SpoolUnavailable
from adapter.views.archive import Entry, archive
from tests.memory import measured_peak

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SIZE = 64 * 2**20


@pytest.fixture
def spool(tmp_path: Path) -> FileSpool:
    return FileSpool(tmp_path / "spool", inline_limit=1000)


async def spooled(spool: FileSpool, octets: bytes, times: int = 1) -> Content:
    async with spool.writer() as writer:
        for _ in range(times):
            await writer.write(octets)
        return await writer.commit()


async def octets_of(spool: FileSpool, *entries: Entry) -> bytes:
    return b"".join([piece async for piece in archive(_each(*entries), spool, {"about": "m1@dso"}, NOW)])


async def _each(*entries: Entry) -> AsyncGenerator[Entry, None]:
    for entry in entries:
        yield entry


async def opened(spool: FileSpool, *entries: Entry) -> ZipFile:
    found = ZipFile(io.BytesIO(await octets_of(spool, *entries)))
    assert found.testzip() is None
    return found


def manifest(of: ZipFile) -> Any:
    return json.loads(of.read("manifest.json"))


def check_sums(directory: Path) -> tuple[int, int]:
    """The exit code of sha256sum, and how many files it found in order."""
    command = ["sha256sum", "--check", "--strict", "SHA256SUMS"]
    done = subprocess.run(command, cwd=directory, capture_output=True, check=False)
    return done.returncode, done.stdout.count(b": OK")


def damage(spool: FileSpool, content: Content) -> None:
    assert content.key is not None
    Path(spool.place_of(content.key)).write_bytes(bytes(content.size))


async def test_an_archive_has_what_was_put_into_it(spool: FileSpool) -> None:
    small, large = await spooled(spool, b"small"), await spooled(spool, b"large" * 1000)
    made = await opened(
        spool, Entry("a.txt", b"text"), Entry("b/small", content=small), Entry("c", content=large)
    )
    assert made.namelist() == ["a.txt", "b/small", "c", "manifest.json", "SHA256SUMS"]
    assert [made.read(name) for name in made.namelist()[:3]] == [b"text", b"small", b"large" * 1000]


async def test_the_manifest_has_size_and_digest_of_everything(spool: FileSpool) -> None:
    made = await opened(spool, Entry("a.txt", b"text"), Entry("b", content=await spooled(spool, b"b" * 2000)))
    listed = manifest(made)
    assert listed["about"] == "m1@dso"
    assert listed["problems"] == []
    assert [one["path"] for one in listed["files"]] == ["a.txt", "b"]
    for one in listed["files"]:
        octets = made.read(one["path"])
        assert (one["size"], one["sha256"]) == (len(octets), hashlib.sha256(octets).hexdigest())


async def test_the_sums_are_those_that_sha256sum_checks(spool: FileSpool, tmp_path: Path) -> None:
    made = await opened(
        spool, Entry("a.txt", b"text"), Entry("d/b", content=await spooled(spool, b"b" * 2000))
    )
    made.extractall(tmp_path / "out")
    assert check_sums(tmp_path / "out") == (0, 3)
    (tmp_path / "out" / "a.txt").write_bytes(b"other")
    assert check_sums(tmp_path / "out") == (1, 2)


async def test_what_retention_removed_is_named_and_left_out(spool: FileSpool) -> None:
    removed = Content(5, "ab" * 32)
    made = await opened(spool, Entry("gone", content=removed), Entry("a.txt", b"text"))
    assert made.namelist() == ["a.txt", "manifest.json", "SHA256SUMS"]
    (problem,) = manifest(made)["problems"]
    assert (problem["path"], problem["size"], problem["sha256"]) == ("gone", 5, "ab" * 32)
    assert "removed" in problem["problem"]


async def test_what_is_not_there_is_named_with_its_reason(spool: FileSpool) -> None:
    made = await opened(spool, Entry("messages/001", problem="it went"))
    assert manifest(made)["problems"] == [
        {"path": "messages/001", "size": None, "sha256": None, "problem": "it went"}
    ]


async def test_a_damaged_content_breaks_no_archive_and_is_named(spool: FileSpool) -> None:
    content = await spooled(spool, b"octets" * 1000)
    damage(spool, content)
    made = await opened(spool, Entry("bad", content=content), Entry("a.txt", b"text"))
    assert made.read("a.txt") == b"text"
    (problem,) = manifest(made)["problems"]
    assert (problem["path"], problem["sha256"]) == ("bad", content.sha256)
    assert {one["path"]: one["sha256"] for one in manifest(made)["files"]}["bad"] != content.sha256


async def test_a_spool_that_cannot_be_read_now_ends_the_archive(
    spool: FileSpool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(_content: Content) -> None:
        raise SpoolUnavailable("the store of objects does not answer")

    monkeypatch.setattr(spool, "require", away)
    with pytest.raises(SpoolUnavailable):
        await octets_of(spool, Entry("b", content=Content(1, "ab" * 32, b"b")))


async def test_an_archive_without_a_listener_lets_go_of_the_spool(spool: FileSpool) -> None:
    content = await spooled(spool, bytes(2**20))
    pieces = archive(_each(Entry("b", content=content)), spool, {}, NOW)
    await anext(pieces)
    await pieces.aclose()


async def test_a_payload_of_64_mib_passes_in_little_memory(spool: FileSpool) -> None:
    content = await spooled(spool, bytes(range(256)) * 1024, SIZE // 2**18)
    size, digest = 0, hashlib.sha256()
    with measured_peak() as peak:
        async for piece in archive(_each(Entry("large", content=content)), spool, {}, NOW):
            size += len(piece)
            digest.update(piece)
    assert size > SIZE
    assert peak.octets < 8 * 2**20


async def test_an_entry_of_gigabytes_is_written_with_sizes_of_64_bits(
    spool: FileSpool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapter.views.archive._LARGE", 100)
    made = await opened(spool, Entry("large", content=await spooled(spool, b"x" * 2000)))
    assert made.read("large") == b"x" * 2000
    assert made.getinfo("large").extract_version == 45
