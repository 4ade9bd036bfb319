# SPDX-License-Identifier: EUPL-1.2

"""What a store gets before anything is received: its tables, and what a crash or a restore left is seen to."""

from collections.abc import Callable
from datetime import datetime

from sqlalchemy.exc import SQLAlchemyError

from adapter.config import Config
from adapter.daemon.background import Background
from adapter.daemon.restored import RestoredStore
from adapter.observe import Metrics, get_logger
from adapter.store import (
    Database,
    SchemaStatus,
    Spool,
    SpoolNames,
    Step,
    StoreProblem,
    daemon_is_running,
    is_shared,
    migrate,
    remove_leftovers,
)

log = get_logger(__name__)


def prepare_tables(config: Config) -> None:
    """Add what this version needs; what only the version before uses is removed by `db migrate`. Blocking."""
    url, alone = config.store.url, not is_shared(config.store.url)
    if alone and daemon_is_running(config.state):
        return  # it may be of the version before; opening the store will refuse it to us
    if migrate(url, config.state, Step.PRE, alone=alone) is SchemaStatus.UNFINISHED:
        log.info(
            "the database has what only the version before uses; when no daemon of that runs any more, "
            "`stam-adapter db migrate --post` removes it",
            action="schema.unfinished",
        )


async def look_back(
    config: Config,
    db: Database,
    spool: Spool,
    metrics: Metrics,
    clock: Callable[[], datetime],
    background: Background,
) -> RestoredStore | None:
    """See to what a crash, or a restore from a backup, left behind; return the restored store."""
    restored = RestoredStore.find(config, db, spool, metrics, clock)
    if restored is not None:
        await restored.settle()
    elif not is_shared(config.store.url):
        # several daemons may have one spool: what is young may be of a message that another receives
        names = await spool.names()
        background.start(_sweep(db, spool, names), "sweep", ends=True)
    return restored


async def _sweep(db: Database, spool: Spool, names: SpoolNames) -> None:
    """Remove what a crash left in the spool without a row that names it."""
    try:
        swept = await remove_leftovers(db, spool, names)
    except (StoreProblem, SQLAlchemyError, OSError) as problem:
        log.warning(
            "leftovers of a crash stay until they are a day old",
            action="spool.not_swept",
            reason=type(problem).__name__,
        )
        return
    if swept:
        log.info("removed files that belong to no message", action="spool.swept", files=swept)
