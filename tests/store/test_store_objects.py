# SPDX-License-Identifier: EUPL-1.2

"""What is of objects alone: faults of the store and of the way to it, and memory."""

import asyncio
import shutil
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from adapter.store import Content, FileSpool, Spool, SpoolUnavailable, payloads
from adapter.store.buckets import PART
from adapter.store.objects import ObjectSpool
from tests.postgresql import free_port
from tests.road import Road, Way
from tests.s3 import Bucket, S3Server
from tests.store.spools import put

BIG = bytes(range(256)) * 5000
LARGER = BIG * 10


@pytest.fixture
def spool(impatient: None, bucket: Bucket, road: Road, tmp_path: Path) -> ObjectSpool:
    return bucket.spool(tmp_path, road.url)


async def every_use_fails(spool: Spool, content: Content) -> None:
    """Nothing of it is a damage, and nothing waits for ever."""
    long_ago = datetime.now(UTC) - timedelta(days=9)
    for use in (
        lambda: put(spool, BIG),
        lambda: put(spool, LARGER),
        lambda: spool.read(content),
        lambda: spool.verify(content),
        lambda: spool.stored_size(content),
        lambda: spool.require(content),
        lambda: asyncio.to_thread(list, spool.chunks(content)),
        lambda: spool.delete_keys([content.key or ""]),
        lambda: anext(spool.stored(long_ago)),
        spool.reach,
    ):
        async with asyncio.timeout(60):
            with pytest.raises(SpoolUnavailable, match="cannot be used now"):
                await use()
    await spool.delete(content)  # what nobody needs holds up nothing


async def test_a_store_that_does_not_answer(spool: ObjectSpool, road: Road) -> None:
    content = await put(spool, BIG)
    road.way = Way.DEAF
    await every_use_fails(spool, content)
    road.way = Way.OPEN
    await spool.verify(content)


async def test_a_store_that_is_gone_and_comes_back(
    impatient: None, s3_server: S3Server, tmp_path: Path
) -> None:
    (tmp_path / "server").mkdir()
    server = S3Server(s3_server.binary, tmp_path / "server", free_port())
    server.start()
    try:
        spool = server.new_bucket().spool(tmp_path)
        content = await put(spool, BIG)
        server.stop(signal.SIGKILL)
        await every_use_fails(spool, content)
        server.start()
        await spool.verify(content)
    finally:
        server.stop()


async def test_a_store_that_refuses_us(impatient: None, bucket: Bucket, tmp_path: Path) -> None:
    content = await put(bucket.spool(tmp_path), BIG)
    settings = bucket.config(tmp_path)
    (tmp_path / "s3.secret").write_text("another")
    await every_use_fails(payloads.open_spool(settings), content)


async def test_a_bucket_that_is_gone(impatient: None, bucket: Bucket, tmp_path: Path) -> None:
    spool = bucket.spool(tmp_path)
    content = await put(spool, BIG)
    place = bucket.server.data / bucket.name
    place.rename(place.with_name("elsewhere"))
    await every_use_fails(spool, content)
    place.with_name("elsewhere").rename(place)
    await spool.verify(content)


@pytest.mark.parametrize("length", [100_000, PART + 100_000, 2 * PART + 100_000])
async def test_an_upload_that_is_cut_is_no_content(
    spool: ObjectSpool, road: Road, bucket: Bucket, length: int
) -> None:
    road.way, road.length = Way.CUT, length
    with pytest.raises(SpoolUnavailable):
        await put(spool, LARGER)
    assert bucket.objects() == []
    road.way = Way.OPEN
    content = await put(spool, LARGER)
    assert await spool.read(content) == LARGER


async def test_after_a_hiccup_an_upload_goes_on(spool: ObjectSpool, road: Road) -> None:
    async with spool.writer() as writer:
        await writer.write(LARGER[: PART + 1])
        road.way, road.length = Way.CUT, 0
        asyncio.get_running_loop().call_later(0.05, setattr, road, "way", Way.OPEN)
        await writer.write(LARGER[PART + 1 :])
        content = await writer.commit()
    assert await spool.read(content) == LARGER


async def test_a_download_that_is_cut_ends_before_its_end(spool: ObjectSpool, road: Road) -> None:
    content = await put(spool, LARGER)
    got = 0

    async def read() -> None:
        nonlocal got
        async for chunk in spool.open(content):
            got += len(chunk)
            road.way, road.length = Way.CUT, 0

    with pytest.raises(SpoolUnavailable):
        await read()
    assert 0 < got < len(LARGER)


async def test_a_commit_that_is_cancelled_leaves_nothing(spool: ObjectSpool, bucket: Bucket) -> None:
    async with spool.writer() as writer:
        await writer.write(LARGER)
        commit = asyncio.create_task(writer.commit())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        commit.cancel()
        await asyncio.wait([commit])
        assert commit.cancelled()
    assert bucket.objects() == bucket.uploads() == []


async def test_no_more_uploads_at_a_time_than_memory_has_room_for(
    spool: ObjectSpool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapter.store.objects._WAIT", 0.05)
    spool._uploads = asyncio.Semaphore(2)
    async with spool.writer() as one, spool.writer() as two, spool.writer() as three:
        await one.write(BIG)
        await two.write(BIG)
        with pytest.raises(SpoolUnavailable, match="under way"):
            await three.write(BIG)
        await one.discard()
        await two.commit()
    contents = await asyncio.gather(put(spool, BIG), put(spool, BIG))
    assert [content.size for content in contents] == [len(BIG)] * 2


async def test_files_that_are_copied_to_the_bucket_are_its_objects(bucket: Bucket, tmp_path: Path) -> None:
    files = FileSpool(tmp_path / "spool")
    content = await put(files, LARGER)
    shutil.copytree(tmp_path / "spool", bucket.root)
    assert await bucket.spool(tmp_path).read(content) == LARGER


def test_the_library_is_loaded_only_where_it_is_needed() -> None:
    code = "import sys, adapter.cli, adapter.daemon; print('obstore' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


async def test_a_process_that_ends_right_after_a_request_ends_well(bucket: Bucket, tmp_path: Path) -> None:
    config = tmp_path / "stam-adapter.toml"
    config.write_text(f'environment = "test"\n[store]\n{bucket.as_toml(tmp_path)}')
    code = (
        "import asyncio, sys; from pathlib import Path\n"
        "from adapter.config import load_config; from adapter.store import open_spool\n"
        "asyncio.run(open_spool(load_config(Path(sys.argv[1]), {})).reach())"
    )

    async def run() -> int:
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, str(config))
        return await process.wait()

    # a thread of the library that was too late made one in five abort
    assert [code for _ in range(5) for code in await asyncio.gather(run(), run())] == [0] * 10


def test_memory_does_not_grow_with_the_content(bucket: Bucket, tmp_path: Path) -> None:
    config = tmp_path / "stam-adapter.toml"
    config.write_text(f'environment = "test"\n[store]\n{bucket.as_toml(tmp_path)}')
    script = Path(__file__).with_name("large_object.py")
    done = subprocess.run(
        [sys.executable, str(script), str(config), "256"], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 16
