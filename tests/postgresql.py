# SPDX-License-Identifier: EUPL-1.2

"""A PostgreSQL server of our own: made for the run of the tests, and gone after it.

It needs the binaries only (Debian's package `postgresql`, or what is found on PATH). Where they are not there, the
tests that need them skip with the reason; with STAM_ADAPTER_REQUIRE=postgresql in the environment they fail instead.
"""

import asyncio
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import asyncpg
import pytest

from adapter.store import migrate
from tests.servers import NoServer, do_without

R = TypeVar("R")

PASSWORD = "geheim-van-de-test"
START = 30.0

SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "max_connections": "120",
    "shared_buffers": "64MB",
    "fsync": "on",
    "synchronous_commit": "on",
    "log_min_messages": "fatal",
}


def apart(work: Callable[[], Coroutine[Any, Any, R]]) -> R:
    """Run a coroutine in an event loop of its own, from wherever."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(lambda: asyncio.run(work())).result()


def find_binaries() -> Path:
    """The newest server there is."""
    packaged = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    by_version = sorted(packaged, key=lambda path: float(path.parent.parent.name))
    found = by_version[-1] if by_version else shutil.which("initdb")
    if found is None:
        raise NoServer("there is no initdb; install Debian's package postgresql, or put its binaries on PATH")
    return Path(found).resolve().parent


@dataclass
class Server:
    """A running server with a data directory of its own."""

    binaries: Path
    directory: Path
    port: int
    process: subprocess.Popen[bytes] | None = None
    _made: int = 0
    _template: bool = field(default=False)

    def url(self, database: str, *, password: str | None = PASSWORD) -> str:
        login = "stam" if password is None else f"stam:{password}"
        return f"postgresql://{login}@127.0.0.1:{self.port}/{database}"

    def initialise(self) -> None:
        secret = self.directory / "password"
        secret.write_text(PASSWORD)
        self._own(self.directory, secret)
        options = ["-U", "stam", "-A", "scram-sha-256", "--pwfile", str(secret), "-E", "UTF8", "--locale=C"]
        self._run("initdb", "-D", str(self.directory / "data"), *options, "--no-sync")

    def start(self) -> None:
        settings = [part for name, value in SETTINGS.items() for part in ("-c", f"{name}={value}")]
        with (self.directory / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [
                    str(self.binaries / "postgres"),
                    *("-D", str(self.directory / "data"), "-p", str(self.port), "-k", str(self.directory)),
                    *settings,
                ],
                stdout=log,
                stderr=log,
                cwd="/",
                **_user(),
            )
        until = time.monotonic() + START
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > until:
                raise RuntimeError((self.directory / "log").read_text(errors="replace"))
            time.sleep(0.05)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop it: SIGINT ends all connections, SIGQUIT is a crash."""
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(START)
            self.process = None

    def run(self, statement: str, database: str = "postgres") -> None:
        async def work() -> None:
            connection = await asyncpg.connect(self.url(database))
            await connection.execute(statement)
            await connection.close()

        apart(work)

    def new_database(self, *, migrated: bool = True) -> str:
        """Make a database; return its name."""
        if migrated and not self._template:
            self.run("CREATE DATABASE migrated")
            migrate(self.url("migrated"), self.directory / "state")
            self._template = True
        self._made += 1
        name = f"test_{self._made}"
        self.run(f"CREATE DATABASE {name}" + (" TEMPLATE migrated" if migrated else ""))
        return name

    def drop_database(self, name: str) -> None:
        self.run(f"DROP DATABASE {name} WITH (FORCE)")

    def _answers(self) -> bool:
        async def work() -> None:
            await (await asyncpg.connect(self.url("postgres"), timeout=5)).close()

        try:
            apart(work)
        except (OSError, asyncpg.CannotConnectNowError):
            return False
        return True

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self.binaries / program), *arguments]
        done = subprocess.run(command, capture_output=True, cwd="/", check=False, **_user())
        if done.returncode:
            raise RuntimeError(done.stderr.decode(errors="replace"))

    def _own(self, *paths: Path) -> None:
        if account := _account():
            for path in paths:
                os.chown(path, account.pw_uid, account.pw_gid)


def _account() -> pwd.struct_passwd | None:
    """Whom the server runs as: it refuses to run as root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            return pwd.getpwnam(name)
    raise NoServer("the server cannot run as root, and there is no user postgres or nobody")


def _user() -> dict[str, Any]:
    account = _account()
    return {} if account is None else {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Server]:
    """The server of this run."""
    # not below pytest's own temporary directories: only their owner can enter those
    directory = Path(tempfile.mkdtemp(prefix="stam-pg-"))
    server: Server | None = None
    try:
        server = Server(find_binaries(), directory, free_port())
        server.initialise()
        server.start()
        yield server
    except NoServer as missing:
        do_without("postgresql", "PostgreSQL", str(missing))
    finally:
        if server is not None:
            server.stop()
        shutil.rmtree(directory)


@pytest.fixture
def postgres_url(postgresql: Server) -> Iterator[str]:
    """A new, migrated database."""
    name = postgresql.new_database()
    yield postgresql.url(name)
    postgresql.drop_database(name)
