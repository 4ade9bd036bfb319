# SPDX-License-Identifier: EUPL-1.2

"""What Alembic runs to migrate: over the connection it is given, in the transaction that is open there."""

from alembic import context

from adapter.store.schema import metadata

context.configure(
    connection=context.config.attributes["connection"], target_metadata=metadata, render_as_batch=True
)
with context.begin_transaction():
    context.run_migrations()
