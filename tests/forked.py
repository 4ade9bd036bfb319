# SPDX-License-Identifier: EUPL-1.2

"""Daemons in processes of their own that can be started and killed many times in a minute.

A process that has imported everything already is forked at each start, which saves most of the second that a start
takes; for what happens from there on it is like any other.
"""

import asyncio
import multiprocessing
import os
import sys
from collections.abc import Callable, Mapping
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

_forking = multiprocessing.get_context("forkserver")
_forking.set_forkserver_preload(["adapter.cli.run", "pytest", "tests.e2e.killable", "tests.faults.faulty"])


class Forked:
    """A forked process as asyncio has processes."""

    def __init__(self, process: ForkServerProcess) -> None:
        self._process = process
        assert process.pid is not None
        self.pid = process.pid
        self.terminate = process.terminate
        self.kill = process.kill

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    async def wait(self) -> int:
        while (code := self.returncode) is None:  # noqa: ASYNC110 - several may wait, and one descriptor tells one
            await asyncio.sleep(0.01)
        return code


def fork(log: Path, function: Callable[..., None], *arguments: Any) -> Forked:
    """Run a function of a module in a process with the environment of now; what it says is added to a file."""
    process = _forking.Process(target=_run, args=(log, dict(os.environ), function, *arguments))
    process.start()
    return Forked(process)


def _run(log: Path, environment: Mapping[str, str], function: Callable[..., None], *arguments: Any) -> None:
    with log.open("ab") as file:
        os.dup2(file.fileno(), sys.stdout.fileno())
        os.dup2(file.fileno(), sys.stderr.fileno())
    os.environ.clear()
    os.environ.update(environment)
    function(*arguments)
