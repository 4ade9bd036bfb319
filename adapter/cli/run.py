# SPDX-License-Identifier: EUPL-1.2

"""`run`: the daemon in the foreground, until it is told to stop."""

import asyncio
import faulthandler
import logging
import os
import signal
import socket
from collections.abc import Sequence
from pathlib import Path

from adapter.cli.output import FAILED, fail
from adapter.cli.settings import DEFAULT_CONFIG, ConfigOption, fail_configuration, read_config
from adapter.config import Config, ConfigFiles, ConfigProblem
from adapter.daemon import Daemon, LoopFailures, Materials, ServiceManager, inherited_sockets
from adapter.observe import configure_logs, get_logger
from adapter.store import StoreProblem

log = get_logger(__name__)


def run(config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Run the daemon in the foreground.

    Authorities are added, changed and withdrawn while it runs: when one of their files changes, and on SIGHUP.

    It stops on SIGTERM and SIGINT: it takes no new message, lets running work end, puts back what does not within
    seconds, and exits with 0.

    Example: stam-adapter run --config /etc/stam-adapter/stam-adapter.toml
    """
    run_daemon(config)


def run_daemon(path: Path, materials: Materials | None = None) -> None:
    """Run the daemon of a configuration until SIGTERM or SIGINT; tests pass `materials` of their own."""
    files = ConfigFiles(path, os.environ)
    config = read_config(path)
    configure_logs(config.log.format, config.log.level)
    faulthandler.enable()  # what a process was at that a watchdog ended, or that crashed
    try:
        manager = ServiceManager.from_environment(os.environ)
        sockets = inherited_sockets(os.environ, frozenset({"ebms"})).get("ebms", [])
        asyncio.run(_run(config, files, materials or Materials(), manager, sockets))
    except ConfigProblem as problem:
        fail_configuration(problem)
    except StoreProblem as problem:
        fail(str(problem))
    except OSError as error:
        fail(f"cannot start: {error}; is another program listening there, and may this user listen there?")


async def _run(
    config: Config,
    files: ConfigFiles,
    materials: Materials,
    manager: ServiceManager,
    sockets: Sequence[socket.socket],
) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(LoopFailures())
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    daemon = Daemon(config, materials, files=files, manager=manager, inherited=sockets)
    loop.add_signal_handler(signal.SIGHUP, daemon.reload)
    await daemon.start()
    await stop.wait()
    await _stop(daemon, materials)


async def _stop(daemon: Daemon, materials: Materials) -> None:
    """Stop within the bound; what hangs beyond it, as a thread in a dead file system, is left to the next start."""
    stopping = asyncio.create_task(daemon.stop())
    await asyncio.wait({stopping}, timeout=materials.stop.total_seconds())
    if not stopping.done():
        log.error(
            "something does not end, and is cut off; its work is taken up again after the start",
            action="daemon.stop_overdue",
            seconds=materials.stop.total_seconds(),
        )
        logging.shutdown()
        os._exit(FAILED)  # leaving in the usual way would wait for that thread
    await stopping
