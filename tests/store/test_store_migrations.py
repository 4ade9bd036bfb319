# SPDX-License-Identifier: EUPL-1.2

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import as_file, files
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, text

from adapter.store import (
    SchemaStatus,
    StoreProblem,
    migrate,
    migrating,
    schema_is_current,
    schema_status,
)
from adapter.store.schema import metadata
from adapter.store.sqlite import sqlite_engine, sqlite_path
from tests.migrated import by_statements
from tests.postgresql import Server
from tests.store.conftest import on_store, only_sqlite

pytestmark = pytest.mark.usefixtures("migrations_run")


def definitions(path: Path) -> dict[str, list[str]]:
    """The definitions, with the constraints of a table in any order."""
    with sqlite3.connect(path) as connection:
        rows = connection.execute(
            "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name != 'alembic_version'"
        ).fetchall()
    connection.close()
    return {
        # a column that was added stands behind a line break
        name: sorted(
            " ".join(sql.split()).replace(" ,", ",").removesuffix(")").rstrip().split(", CONSTRAINT ")
        )
        for name, sql in rows
    }


def differences(connection: Connection) -> list[object]:
    context = MigrationContext.configure(connection, opts={"compare_type": True})
    return list(compare_metadata(context, metadata))


def postgres_definitions(connection: Connection) -> set[tuple[str, ...]]:
    """Every column, constraint and index, as the server tells them."""
    queries = (
        "SELECT table_name, column_name, data_type, is_nullable, coalesce(column_default, '') "
        "FROM information_schema.columns WHERE table_schema = 'public'",
        "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint "
        "WHERE connamespace = 'public'::regnamespace",
        "SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'",
    )
    rows = [tuple(row) for query in queries for row in connection.execute(text(query))]
    return {row for row in rows if row[0] != "alembic_version"}


def test_the_migrations_lead_to_the_schema(url: str, state: Path) -> None:
    assert on_store(url, state, differences) == []


@only_sqlite
def test_the_databases_of_other_tests_are_as_the_migrations_make_them(
    state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrating, "upgrade", by_statements)
    for name in ("first", "second"):
        assert migrate("sqlite", tmp_path / name) is SchemaStatus.CURRENT
    assert schema_is_current("sqlite", tmp_path / "second")
    assert definitions(sqlite_path(tmp_path / "second")) == definitions(sqlite_path(state))


@only_sqlite
def test_the_migrations_make_the_very_same_definitions(state: Path, tmp_path: Path) -> None:
    engine = sqlite_engine(tmp_path / "direct.db", writes=True)
    with engine.begin() as connection:
        metadata.create_all(connection)
    engine.dispose()
    assert definitions(sqlite_path(state)) == definitions(tmp_path / "direct.db")


def test_the_migrations_make_the_very_same_definitions_on_postgresql(
    postgresql: Server, postgres_url: str, tmp_path: Path
) -> None:
    name = postgresql.new_database(migrated=False)
    on_store(postgresql.url(name), tmp_path, metadata.create_all)
    direct = on_store(postgresql.url(name), tmp_path, postgres_definitions)
    assert on_store(postgres_url, tmp_path, postgres_definitions) == direct
    postgresql.drop_database(name)


@only_sqlite
def test_migrating_twice_changes_nothing(state: Path) -> None:
    before = definitions(sqlite_path(state))
    migrate("sqlite", state)
    assert definitions(sqlite_path(state)) == before


def test_many_who_migrate_at_the_same_time_wait_for_each_other(postgresql: Server, tmp_path: Path) -> None:
    name = postgresql.new_database(migrated=False)
    url = postgresql.url(name)
    assert schema_status(url, tmp_path) is SchemaStatus.MISSING
    with ThreadPoolExecutor(4) as daemons:
        for _ in daemons.map(lambda number: migrate(url, tmp_path / str(number)), range(4)):
            pass
    assert schema_status(url, tmp_path) is SchemaStatus.CURRENT
    postgresql.drop_database(name)


def test_a_store_that_is_not_there_is_missing_and_is_not_made(tmp_path: Path) -> None:
    assert schema_status("sqlite", tmp_path) is SchemaStatus.MISSING
    assert not schema_is_current("sqlite", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_database_without_tables_is_missing_them(tmp_path: Path) -> None:
    sqlite_path(tmp_path).touch()
    assert schema_status("sqlite", tmp_path) is SchemaStatus.MISSING


def test_a_migrated_store_is_current(url: str, state: Path) -> None:
    assert schema_status(url, state) is SchemaStatus.CURRENT
    assert schema_is_current(url, state)


def become(revision: str, url: str, state: Path) -> None:
    statement = text("UPDATE alembic_version SET version_num = :revision").bindparams(revision=revision)
    on_store(url, state, lambda connection: connection.execute(statement).rowcount)


def test_a_store_of_an_older_program_is_older(url: str, state: Path) -> None:
    become("0001", url, state)
    assert schema_status(url, state) is SchemaStatus.OLDER
    assert not schema_is_current(url, state)


def test_a_store_of_a_newer_program_is_refused(url: str, state: Path) -> None:
    become("9999", url, state)
    assert schema_status(url, state) is SchemaStatus.NEWER
    with pytest.raises(StoreProblem, match="newer version"):
        migrate(url, state)


def migrated_to(revision: str, state: Path) -> sqlite3.Connection:
    """A store as an earlier version of the program left it."""
    state.mkdir()
    engine = sqlite_engine(sqlite_path(state), writes=True)
    with as_file(files("adapter.store.migrations")) as scripts, engine.begin() as connection:
        config = Config()
        config.set_main_option("script_location", str(scripts))
        config.set_main_option("path_separator", "os")
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
    engine.dispose()
    return sqlite3.connect(sqlite_path(state))


def columns(connection: sqlite3.Connection) -> dict[tuple[str, str], tuple[str, int, str | None]]:
    """The type of each column, whether it must have a value, and its default."""
    tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    return {
        (table, name): (kind, required, default)
        for (table,) in tables
        for _, name, kind, required, default, _ in connection.execute(f"PRAGMA table_info({table})")
    }


def unique_keys(connection: sqlite3.Connection) -> set[tuple[str, str]]:
    rows = connection.execute(
        "SELECT t.name, i.name FROM sqlite_master AS t, pragma_index_list(t.name) AS i "
        "WHERE t.type = 'table' AND i.\"unique\""
    )
    return set(rows.fetchall())


def test_the_version_before_can_write_what_it_always_wrote(tmp_path: Path) -> None:
    before = migrated_to("0001", tmp_path / "state")
    old_columns, old_keys = columns(before), unique_keys(before)
    before.close()
    migrate("sqlite", tmp_path / "state")
    after = sqlite3.connect(sqlite_path(tmp_path / "state"))
    now_columns = columns(after)
    assert {key: now_columns.get(key) for key in old_columns} == old_columns
    tables = {table for table, _ in old_columns}
    added = {key: now_columns[key] for key in now_columns.keys() - old_columns if key[0] in tables}
    assert {required for _, required, _ in added.values()} == {0}
    assert {key for key in unique_keys(after) if key[0] in tables} == old_keys
    after.close()


def test_what_was_delivered_before_there_were_mailboxes_is_processed(tmp_path: Path) -> None:
    before = migrated_to("0001", tmp_path / "state")
    for number, state in enumerate(("delivered", "ready", "parked"), 1):
        before.execute(
            "INSERT INTO delivery (id, authority, sink, flow, origin, revision, name, state, created_at, "
            "updated_at) VALUES (?, 'stad', 'archief', 'message', 'notification', 1, 'm', ?, 7, 8)",
            (number, state),
        )
    before.commit()
    before.close()
    migrate("sqlite", tmp_path / "state")
    after = sqlite3.connect(sqlite_path(tmp_path / "state"))
    found = after.execute("SELECT state, processed_at FROM delivery ORDER BY id").fetchall()
    assert found == [("delivered", 8), ("ready", None), ("parked", None)]
    after.close()
