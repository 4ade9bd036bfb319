import sqlite3
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from adapter.store import StoreProblem, migrate, schema_is_current
from adapter.store.schema import metadata
from adapter.store.sqlite import sqlite_engine, sqlite_path


def definitions(path: Path) -> dict[str, list[str]]:
    """The definitions, with the constraints of a table in any order."""
    with sqlite3.connect(path) as connection:
        rows = connection.execute(
            "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name != 'alembic_version'"
        ).fetchall()
    connection.close()
    return {
        name: sorted(" ".join(sql.split()).removesuffix(" )").split(", CONSTRAINT ")) for name, sql in rows
    }


def test_the_migrations_lead_to_the_schema(state: Path) -> None:
    engine = sqlite_engine(sqlite_path(state), writes=False)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
    engine.dispose()


def test_the_migrations_make_the_very_same_definitions(state: Path, tmp_path: Path) -> None:
    engine = sqlite_engine(tmp_path / "direct.db", writes=True)
    with engine.begin() as connection:
        metadata.create_all(connection)
    engine.dispose()
    assert definitions(sqlite_path(state)) == definitions(tmp_path / "direct.db")


def test_migrating_twice_changes_nothing(state: Path) -> None:
    before = definitions(sqlite_path(state))
    migrate("sqlite", state)
    assert definitions(sqlite_path(state)) == before


def test_a_store_that_is_not_there_is_not_current_and_is_not_made(tmp_path: Path) -> None:
    assert not schema_is_current("sqlite", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_migrated_store_is_current(state: Path) -> None:
    assert schema_is_current("sqlite", state)


def test_a_store_of_a_newer_program_is_refused(state: Path) -> None:
    with sqlite3.connect(sqlite_path(state)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    assert not schema_is_current("sqlite", state)
    with pytest.raises(StoreProblem, match="newer version"):
        migrate("sqlite", state)
