# SPDX-License-Identifier: EUPL-1.2

"""The embedded database, locked, read-only, damaged, or wanted by two daemons."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.e2e.conftest import until
from tests.faults.conftest import only_chaos
from tests.faults.faulty import BUSY
from tests.faults.house import FaultyAdapter, FaultyChain
from tests.faults.small_disk import SIZE, small_disk


@pytest.fixture
def database(chain: FaultyChain) -> Path:
    return chain.state / "stam-adapter.db"


@contextmanager
def locked(database: Path) -> Iterator[None]:
    """A program that writes, and does not come to an end."""
    with closing(sqlite3.connect(database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


async def test_a_database_that_another_program_has_locked_postpones_messages_until_it_lets_go(
    chain: FaultyChain, database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(BUSY, "0.3")
    await chain.adapter.start()
    before = await chain.announce(first := chain.one(1))
    with locked(database):
        sent = await chain.announce(second := chain.one(2))
        assert (sent.status, sent.retry_after) == (503, "30")
        assert await chain.adapter.is_live()
    await chain.accepted(before)
    await chain.accepted(sent)
    await chain.in_step([(before, first), (sent, second)])
    assert any("another program has it locked" in line["exception"] for line in not_stored(chain))


def not_stored(chain: FaultyChain) -> list[dict[str, str]]:
    return chain.adapter.actions("request.not_stored")


def write(path: Path, octets: bytes) -> None:
    path.write_bytes(octets)


async def refusal(adapter: FaultyAdapter) -> str:
    """Start a daemon that cannot start: one line, no traceback, and exit code 1."""
    await adapter.launch()
    assert await adapter.ended() == 1, adapter.log
    last = adapter.log.splitlines()[-1]
    assert "Traceback" not in adapter.log
    return last


async def test_a_database_on_a_read_only_disk_is_refused_at_start_with_the_fix(chain: FaultyChain) -> None:
    async with small_disk(chain.state, SIZE) as disk:
        chain.adapter.prefix = disk.prefix
        await chain.adapter.start()
        assert await chain.adapter.stop() == 0
        await disk.make_read_only()
        assert "Read-only file system" in await refusal(chain.adapter)


@pytest.mark.parametrize(
    "size", [pytest.param(100, marks=only_chaos), 6000], ids=["in its head", "behind it"]
)
async def test_a_truncated_database_is_refused_at_start_with_the_fix(
    chain: FaultyChain, database: Path, size: int
) -> None:
    await chain.adapter.start()
    assert await chain.adapter.stop() == 0
    with database.open("r+b") as file:
        file.truncate(size)
    assert "restore it from a backup" in await refusal(chain.adapter)


@only_chaos
async def test_a_file_that_is_no_database_is_refused_at_start_with_the_fix(
    chain: FaultyChain, database: Path
) -> None:
    await chain.adapter.start()
    assert await chain.adapter.stop() == 0
    write(database, b"not a database" * 1000)
    assert "restore it from a backup" in await refusal(chain.adapter)


async def test_a_second_daemon_on_one_database_is_refused_and_the_first_goes_on(chain: FaultyChain) -> None:
    await chain.adapter.start()
    second = FaultyAdapter(chain.world)
    await second.launch()
    assert await second.ended() == 1
    assert "is in use by another daemon" in second.log
    assert "stop that one" in second.log
    sent = await chain.announce(verzoek := chain.one())
    await chain.accepted(sent)
    await chain.in_step([(sent, verzoek)])


@pytest.mark.parametrize(
    "torn", [100, pytest.param(4000, marks=only_chaos)], ids=lambda octets: f"{octets} octets"
)
async def test_after_a_power_cut_that_tears_the_log_of_the_database_everything_acknowledged_is_there(
    chain: FaultyChain, database: Path, torn: int
) -> None:
    """What was being written when the power went, and was not yet synced, is in the file in part or not at all."""
    await chain.adapter.start()
    verzoeken = [chain.one(number) for number in range(1, 4)]
    sent = [await chain.announce(verzoek) for verzoek in verzoeken]
    for one in sent:
        await chain.accepted(one)
    await until(chain.all_ended)
    await chain.adapter.kill()
    log = database.with_name(database.name + "-wal")
    with log.open("ab") as file:
        file.write(log.read_bytes()[-4120:][:torn].ljust(torn, b"\xa5"))
    await chain.adapter.start()
    for one in sent:
        await chain.accepted(one)
    await chain.in_step(zip(sent, verzoeken, strict=True))
