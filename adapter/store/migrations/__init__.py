# SPDX-License-Identifier: EUPL-1.2

"""Migrations of the store (Alembic), run by `adapter.store.migrate`.

Each has a `step`. A `pre` step only adds, and so that what the release before writes still fits: daemons of that
release go on working beside the new ones. What only that release uses is removed by a `post` step, which runs once all
daemons are new.

A revision is called `<number>_<oldest>`: programs from the revision `oldest` on can work on the tables as they are
after it. A `pre` step carries on the `oldest` of the one before it; a `post` step raises it to the number of the
addition that made the removed thing superfluous. So a program can tell from the name of a revision that it does not
know whether to go on. The first two have no `oldest`: programs from 0001 on can work on both.
"""
