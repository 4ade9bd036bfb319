# SPDX-License-Identifier: EUPL-1.2

"""Migrations in pre and post steps, with releases to come, on both databases."""

import re
from collections.abc import Callable
from importlib.resources import as_file, files
from pathlib import Path

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect

from adapter.store import SchemaStatus, Step, StoreProblem, migrate, opening, schema_status
from tests.postgresql import Server
from tests.store.conftest import on_store
from tests.store.later_migrations import ADDITION, NEXT, REMOVAL, migrations_of

Release = Callable[..., None]

pytestmark = pytest.mark.usefixtures("migrations_run")


@pytest.fixture
def release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Release:
    """Become the release with these migrations behind the ones there are."""
    made = 0

    def become(*later: tuple[str, str, str]) -> None:
        nonlocal made
        made += 1
        directory = migrations_of(tmp_path / f"release-{made}", *later)
        monkeypatch.setattr(opening, "files", lambda _: directory)

    return become


def tables(connection: Connection) -> set[str]:
    return set(inspect(connection).get_table_names())


def test_a_release_adds_while_the_one_before_goes_on(url: str, state: Path, release: Release) -> None:
    release(ADDITION, REMOVAL)
    assert schema_status(url, state) is SchemaStatus.OLDER
    assert migrate(url, state, Step.PRE, alone=False) is SchemaStatus.UNFINISHED
    assert "cpa_file" in on_store(url, state, tables)
    release()  # the release before, on the new tables
    assert schema_status(url, state) is SchemaStatus.AHEAD
    assert schema_status(url, state).is_usable
    assert migrate(url, state, Step.PRE, alone=False) is SchemaStatus.AHEAD


def test_after_the_removals_the_release_before_is_refused(url: str, state: Path, release: Release) -> None:
    release(ADDITION, REMOVAL)
    migrate(url, state, Step.PRE, alone=False)
    assert migrate(url, state, Step.POST) is SchemaStatus.CURRENT
    assert "cpa_file" not in on_store(url, state, tables)
    release()
    assert schema_status(url, state) is SchemaStatus.NEWER
    with pytest.raises(StoreProblem, match=r"newer version .*0008_0007"):
        migrate(url, state, Step.PRE, alone=False)


def test_a_removal_is_never_made_on_the_way_while_older_daemons_may_run(
    url: str, state: Path, release: Release
) -> None:
    release(ADDITION, REMOVAL, NEXT)
    with pytest.raises(StoreProblem, match="revision 0008_0007 removes"):
        migrate(url, state, Step.PRE, alone=False)
    assert "cpa_file" in on_store(url, state, tables)
    assert schema_status(url, state) is SchemaStatus.OLDER


def test_who_is_alone_makes_it_on_the_way(url: str, state: Path, release: Release) -> None:
    release(ADDITION, REMOVAL, NEXT)
    assert migrate(url, state, Step.PRE, alone=True) is SchemaStatus.CURRENT
    assert "cpa_file" not in on_store(url, state, tables)


def test_a_release_goes_on_beside_the_next_one_that_only_added(
    url: str, state: Path, release: Release
) -> None:
    release(ADDITION, REMOVAL, NEXT)
    migrate(url, state)
    release(ADDITION, REMOVAL)
    assert schema_status(url, state) is SchemaStatus.AHEAD
    release()
    assert schema_status(url, state) is SchemaStatus.NEWER


def test_an_empty_database_is_made_whole_at_once(
    backend: str, tmp_path: Path, release: Release, request: pytest.FixtureRequest
) -> None:
    release(ADDITION, REMOVAL)
    url = "sqlite"
    if backend == "postgresql":
        server: Server = request.getfixturevalue("postgresql")
        url = server.url(server.new_database(migrated=False))
    assert migrate(url, tmp_path / "state", Step.PRE, alone=False) is SchemaStatus.CURRENT


def test_every_migration_says_its_step_and_whom_it_serves() -> None:
    """`pre` carries on the oldest program, `post` raises it."""
    with as_file(files("adapter.store.migrations")) as scripts:
        config = Config()
        config.set_main_option("script_location", str(scripts))
        config.set_main_option("path_separator", "os")
        found = list(reversed(list(ScriptDirectory.from_config(config).walk_revisions())))
    assert [script.revision for script in found[:2]] == ["0001", "0002"]
    assert {script.module.step for script in found[:2]} == {"pre"}
    before = "0001"
    for number, script in enumerate(found[2:], 3):
        named = re.fullmatch(r"(\d{4})_(\d{4})", script.revision)
        assert named is not None
        assert int(named[1]) == number
        assert script.module.step in {"pre", "post"}
        assert named[2] == before if script.module.step == "pre" else named[2] > before
        before = named[2]
