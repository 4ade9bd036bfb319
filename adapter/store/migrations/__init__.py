"""Migrations of the store (Alembic), run by `adapter.store.migrate`."""
