# SPDX-License-Identifier: EUPL-1.2

"""The checker finds what it is there for: a clean end of a real adapter, and each violation planted in it."""

import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

import pytest

from adapter.simulator import SimulatedDso
from tests.chaos.checker import Believed, Report, check, read_sinks, read_spool, read_sqlite
from tests.chaos.partner import NO_MISCHIEF, Partners
from tests.chaos.stage import STAM, Stage, build_stage
from tests.e2e.conftest import Adapter, until
from tests.postgresql import apart


@dataclass(frozen=True)
class End:
    """A copy of what a run left behind; `believed` is what its partners believe."""

    state: Path
    sinks: dict[str, tuple[Path]]
    believed: list[Believed]

    def check(self) -> Report:
        store = read_sqlite(self.state / "stam-adapter.db")
        return check(self.believed, store, read_sinks(self.sinks), read_spool(self.state / "spool"))

    @property
    def verzoek(self) -> Path:
        (found,) = self.sinks["stamdorp"][0].iterdir()
        return found

    @property
    def spooled(self) -> Path:
        return max((path for path in (self.state / "spool").rglob("*") if path.is_file()), key=str)

    def execute(self, statement: str) -> None:
        with closing(sqlite3.connect(self.state / "stam-adapter.db")) as connection, connection:
            assert connection.execute(statement).rowcount > 0


async def run(directory: Path) -> tuple[Stage, list[Believed]]:
    """One message for each authority, delivered by a real adapter."""
    stage = build_stage(directory)
    adapter = Adapter(stage.world)
    async with SimulatedDso(stage.world) as dso:
        partners = Partners(dso, STAM, Random(4), NO_MISCHIEF, sizes=(100_000,))
        await adapter.start()
        for authority in stage.world.authorities:
            await partners.deliver(await partners.announce(authority))
        await until(stage.is_settled)
        assert await adapter.stop() == 0
    return stage, partners.believed()


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Stage, list[Believed]]:
    return apart(lambda: run(tmp_path_factory.mktemp("finished")))


@pytest.fixture
def end(finished: tuple[Stage, list[Believed]], tmp_path: Path) -> End:
    stage, believed = finished
    shutil.copytree(stage.world.directory / "var", tmp_path / "var")
    shutil.copytree(stage.world.directory / "verzoeken", tmp_path / "verzoeken")
    sinks = {one.name: (tmp_path / "verzoeken" / one.name,) for one in stage.world.authorities}
    return End(tmp_path / "var", sinks, list(believed))


def test_a_run_in_which_nothing_went_wrong_is_clean(end: End) -> None:
    assert [one.acknowledged for one in end.believed] == [True] * 4
    assert len({one.identity for one in end.believed}) == 4
    assert end.check() == Report()
    assert end.check().is_clean


def test_there_is_something_in_the_spool_to_be_judged(end: End) -> None:
    assert end.spooled.stat().st_size > 64 * 1024


def lose(end: End) -> None:
    shutil.rmtree(end.verzoek)


def deliver_again(end: End) -> None:
    shutil.copytree(end.verzoek, end.verzoek.with_name("2026-r2"))


def leave_unfinished(end: End) -> None:
    shutil.copytree(end.verzoek, end.verzoek.with_name(".2026"))


def leave_a_file_that_nobody_listed(end: End) -> None:
    (end.verzoek / "extra.pdf").write_bytes(b"extra")


def drop_a_file(end: End) -> None:
    (end.verzoek / "verzoek.pdf").unlink()


def drop_a_file_and_its_line(end: End) -> None:
    drop_a_file(end)
    manifest = json.loads((end.verzoek / "manifest.json").read_text())
    manifest["files"] = [entry for entry in manifest["files"] if entry["path"] != "verzoek.pdf"]
    (end.verzoek / "manifest.json").write_text(json.dumps(manifest))


def turn_a_bit(end: End) -> None:
    content = bytearray((end.verzoek / "verzoek.pdf").read_bytes())
    content[7] ^= 1
    (end.verzoek / "verzoek.pdf").write_bytes(content)


def tear_the_manifest(end: End) -> None:
    content = (end.verzoek / "manifest.json").read_bytes()
    (end.verzoek / "manifest.json").write_bytes(content[: len(content) // 2])


def deliver_to_another(end: End) -> None:
    shutil.move(end.verzoek, end.sinks["stamstad"][0])


def leave_a_job(end: End) -> None:
    end.execute(
        "INSERT INTO job (kind, authority, lane, subject, state, not_before, attempts, created_at)"
        " VALUES ('deliver', 'stamdorp', 'sink', 1, 'parked', 0, 1, 0)"
    )


def park_a_delivery(end: End) -> None:
    end.execute("UPDATE delivery SET state = 'parked' WHERE authority = 'stamdorp'")


def leave_a_message(end: End) -> None:
    end.execute("UPDATE message SET state = 'received' WHERE direction = 'in' AND authority = 'postdorp'")


def forget_a_message_id(end: End) -> None:
    end.execute("DELETE FROM received_id WHERE authority = 'postdorp'")


def damage_the_spool(end: End) -> None:
    content = end.spooled.read_bytes()
    end.spooled.chmod(0o600)
    end.spooled.write_bytes(content[:-1])


def lose_from_the_spool(end: End) -> None:
    end.spooled.unlink()


def leave_in_the_spool(end: End) -> None:
    shutil.copy(end.spooled, end.spooled.with_name("0" * 32))


def leave_unfinished_in_the_spool(end: End) -> None:
    (end.state / "spool" / "incoming" / "x.part").write_bytes(b"half")


VIOLATIONS: dict[Callable[[End], None], set[str]] = {
    lose: {"lost", "disagrees"},
    deliver_again: {"twice"},
    leave_unfinished: {"half"},
    leave_a_file_that_nobody_listed: {"half"},
    drop_a_file: {"half"},
    drop_a_file_and_its_line: {"half"},
    turn_a_bit: {"half"},
    tear_the_manifest: {"half", "lost", "disagrees"},
    deliver_to_another: {"lost", "disagrees"},
    leave_a_job: {"disagrees"},
    park_a_delivery: {"disagrees"},
    leave_a_message: {"disagrees"},
    forget_a_message_id: {"disagrees"},
    damage_the_spool: {"disagrees"},
    lose_from_the_spool: {"disagrees"},
    leave_in_the_spool: {"disagrees"},
    leave_unfinished_in_the_spool: {"disagrees"},
}


@pytest.mark.parametrize("violate", VIOLATIONS, ids=lambda violate: violate.__name__)
def test_a_violation_is_found(end: End, violate: Callable[[End], None]) -> None:
    violate(end)
    report = end.check()
    assert {kind for kind in ("lost", "twice", "half", "disagrees") if getattr(report, kind)} == VIOLATIONS[
        violate
    ]
    assert not report.is_clean


def test_what_was_not_acknowledged_is_not_lost(end: End) -> None:
    never = replace(end.believed[0], message_id="never@dso.example", acknowledged=False, verzoeknummer=None)
    end.believed.append(never)
    assert end.check().is_clean
    end.believed[-1] = replace(never, acknowledged=True)
    assert len(end.check().lost) == 1


def test_what_was_delivered_and_nobody_sent_is_found(end: End) -> None:
    end.believed.pop(0)
    (sentence,) = end.check().disagrees
    assert "nobody sent it" in sentence


def test_a_verzoek_that_was_announced_twice_is_to_be_delivered_once(end: End) -> None:
    end.believed.append(end.believed[0])
    assert end.check().is_clean
