# SPDX-License-Identifier: EUPL-1.2

"""What the daemon does with the store before anything else."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from adapter.config import Config, load_config
from adapter.daemon import Daemon
from adapter.simulator import AgreementPlan, create_world
from adapter.store import SchemaStatus, StoreLocked, StoreProblem, migrate, opening, schema_status
from adapter.store.lock import DaemonLock
from tests.store.later_migrations import ADDITION, REMOVAL, migrations_of


@pytest.fixture
def config(tmp_path: Path) -> Config:
    world = create_world(tmp_path, {"voorbeeldstad": AgreementPlan()})
    return load_config(world.config, {})


async def start_and_stop(config: Config) -> list[str]:
    """The actions of its log."""
    daemon = Daemon(config)
    with capture_logs() as lines:
        await daemon.start()
        await daemon.stop()
    return [line.get("action", "") for line in lines]


async def test_a_second_daemon_migrates_nothing_under_the_first(config: Config) -> None:
    config.state.mkdir()
    lock = DaemonLock.take(config.state)
    try:
        with pytest.raises(StoreLocked):
            await Daemon(config).start()
    finally:
        lock.release()
    assert schema_status("sqlite", config.state) is SchemaStatus.MISSING


async def test_a_daemon_adds_what_it_needs_and_leaves_removals_to_an_operator(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await asyncio.to_thread(migrate, "sqlite", config.state)
    later = migrations_of(tmp_path / "later", ADDITION, REMOVAL)
    monkeypatch.setattr(opening, "files", lambda _: later)
    assert "schema.unfinished" in await start_and_stop(config)
    assert schema_status("sqlite", config.state) is SchemaStatus.UNFINISHED


def be_restored(config: Config, text: str) -> Path:
    manifest = config.state / "backup.json"
    config.state.mkdir()
    manifest.write_text(text)
    return manifest


async def test_where_nobody_asks_for_what_was_missed_the_log_says_so(config: Config) -> None:
    made_at = datetime.now(UTC) - timedelta(days=1)
    told = {"made_at": made_at.isoformat(), "store": "sqlite", "files": 0, "octets": 0}
    manifest = be_restored(config, json.dumps(told))
    actions = await start_and_stop(config)
    for action in ("restore.found", "restore.reconciled", "restore.not_asked", "restore.concluded"):
        assert action in actions
    assert not manifest.exists()
    assert "restore.found" not in await start_and_stop(config)


async def test_a_manifest_that_cannot_be_read_is_no_reason_to_go_on(config: Config) -> None:
    manifest = be_restored(config, "{")
    with pytest.raises(StoreProblem, match="cannot be read"):
        await Daemon(config).start()
    assert manifest.exists()
