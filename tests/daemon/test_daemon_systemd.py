# SPDX-License-Identifier: EUPL-1.2

"""The protocols of systemd, with real sockets: what it is told, and sockets that it keeps open over a restart."""

import asyncio
import errno
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from structlog.testing import capture_logs

from adapter.daemon import ServiceManager, inherited_sockets
from adapter.pki import client_context
from adapter.simulator import AgreementPlan, World, create_world

PATIENCE = 60.0
EBMS = frozenset({"ebms"})


class Manager:
    """A service manager: the socket that it hears on."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.socket.bind(f"\0{address[1:]}" if address.startswith("@") else address)
        self.heard: list[dict[str, str]] = []

    async def hear(self) -> dict[str, str]:
        """The next that it is told."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(PATIENCE):
            told = await loop.sock_recv(self.socket, 4096)
        self.heard.append(dict(line.split("=", 1) for line in told.decode().splitlines()))
        return self.heard[-1]

    async def until(self, key: str, value: str | None = None) -> dict[str, str]:
        """Hear until something is told."""
        while True:
            told = await self.hear()
            if key in told and value in {None, told[key]}:
                return told


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Manager]:
    name = f"@stam-adapter-{os.getpid()}" if request.param == "abstract" else str(tmp_path / "notify")
    made = Manager(name)
    yield made
    made.socket.close()


# --- what it is told


async def test_a_path_and_an_abstract_name_are_told(manager: Manager) -> None:
    told = ServiceManager.from_environment({"NOTIFY_SOCKET": manager.address})
    told.ready("receiving\nmessages")
    assert await manager.hear() == {"READY": "1", "STATUS": "receiving messages"}
    told.extend(timedelta(seconds=30))
    assert await manager.hear() == {"EXTEND_TIMEOUT_USEC": "30000000"}
    told.reloading()
    assert set(await manager.hear()) == {"RELOADING", "MONOTONIC_USEC", "STATUS"}
    told.stopping()
    assert (await manager.hear())["STOPPING"] == "1"


def test_what_the_environment_says_is_for_this_process_and_not_for_others() -> None:
    environ = {"NOTIFY_SOCKET": "@x", "WATCHDOG_USEC": "60000000", "WATCHDOG_PID": str(os.getpid())}
    found = ServiceManager.from_environment(environ)
    assert (found.address, found.watchdog, environ) == ("@x", timedelta(seconds=60), {})
    others = {"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "1"}
    assert ServiceManager.from_environment(others).watchdog is None
    assert ServiceManager.from_environment({}).address is None


def test_a_manager_that_cannot_be_told_is_said_once(tmp_path: Path) -> None:
    gone = ServiceManager(str(tmp_path / "gone"))
    with capture_logs() as logs:
        gone.status("well")
        gone.status("well")
    assert [line["action"] for line in logs] == ["systemd.not_told"]


def test_without_a_manager_nothing_is_told() -> None:
    with capture_logs() as logs:
        ServiceManager().ready("alone")
    assert logs == []


# --- a daemon under it


@pytest.fixture
async def world(tmp_path: Path) -> World:
    return await asyncio.to_thread(create_world, tmp_path / "world", {"stad": AgreementPlan()})


@asynccontextmanager
async def daemon(
    world: World, environ: dict[str, str], listening: socket.socket | None = None
) -> AsyncIterator[asyncio.subprocess.Process]:
    """The daemon in a process of its own, started as systemd does: with its socket as descriptor 3."""
    command = [sys.executable, "-m", "adapter", "run", "--config", str(world.config)]
    options: dict[str, Any] = {}
    if listening is not None:
        # the process that is started has the id that LISTEN_PID names
        script = 'exec 3<&"$1"; shift; LISTEN_PID=$$ exec "$@"'
        command = ["/bin/bash", "-c", script, "start", str(listening.fileno()), *command]
        environ = environ | {"LISTEN_FDS": "1", "LISTEN_FDNAMES": "ebms"}
        options["pass_fds"] = [listening.fileno()]
    with world.adapter_log.open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            *command, env=os.environ | environ, stdout=log, stderr=log, **options
        )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_a_daemon_tells_of_its_start_its_reload_and_its_end_and_feeds_the_watchdog(
    world: World, manager: Manager
) -> None:
    environ = {"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "400000"}
    async with daemon(world, environ) as process:
        told = await manager.until("READY")
        assert told["STATUS"].startswith("ready, for 1 authority")
        assert "starting: migrating the database" in [one.get("STATUS") for one in manager.heard]
        assert any("EXTEND_TIMEOUT_USEC" in one for one in manager.heard)
        await manager.until("WATCHDOG", "1")
        process.send_signal(signal.SIGHUP)
        assert int((await manager.until("RELOADING"))["MONOTONIC_USEC"]) > 0
        assert (await manager.until("READY"))["STATUS"] == "reloaded"
        process.terminate()
        await manager.until("STOPPING")
        assert await process.wait() == 0


async def test_a_daemon_that_is_stuck_feeds_no_watchdog_and_ends_with_all_its_stacks(world: World) -> None:
    with world.config.open("a") as file:
        file.write('\n[health]\nstuck = "300ms"\n')
    manager = Manager(f"@stam-adapter-stuck-{os.getpid()}")
    async with daemon(world, {"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "200000"}) as process:
        await manager.until("WATCHDOG")
        process.send_signal(signal.SIGSTOP)
        process.send_signal(signal.SIGABRT)  # as systemd does when it was not fed in time
        process.send_signal(signal.SIGCONT)
        # to show the stacks of threads that run may end the process in another way; what counts is that it ends
        assert await process.wait() in {-signal.SIGABRT, -signal.SIGSEGV}
    manager.socket.close()
    text = world.adapter_log.read_text()
    assert "Fatal Python error: Aborted" in text
    assert "in beat" in text or "in _feel" in text or "Thread 0x" in text


# --- sockets


def test_sockets_that_are_meant_for_another_process_are_left_alone() -> None:
    assert inherited_sockets({"LISTEN_FDS": "1", "LISTEN_PID": "1"}, EBMS) == {}
    assert inherited_sockets({}, EBMS) == {}


@pytest.mark.parametrize(
    ("name", "listens", "reason"),
    [
        ("stam-adapter.socket", True, "write FileDescriptorName= with ebms"),
        ("ebms", False, "no listening TCP"),
    ],
)
async def test_a_socket_that_cannot_be_used_is_a_wrong_configuration(
    world: World, name: str, listens: bool, reason: str
) -> None:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        if listens:
            one.listen()
        script = 'exec 3<&"$1"; export LISTEN_PID=$$ LISTEN_FDS=1; exec "$2" -m adapter run --config "$3"'
        process = await asyncio.create_subprocess_exec(
            *("/bin/bash", "-c", script, "start", str(one.fileno()), sys.executable, str(world.config)),
            env=os.environ | {"LISTEN_FDNAMES": name},
            stderr=asyncio.subprocess.PIPE,
            pass_fds=[one.fileno()],
        )
        _, errors = await process.communicate()
    assert process.returncode == 78
    assert reason in " ".join(errors.decode().split())


async def test_a_restart_refuses_no_connection_where_systemd_holds_the_socket(world: World) -> None:
    """Clients come one after the other all the time; each gets an answer, though two daemons are stopped meanwhile."""
    listening = socket.create_server(("127.0.0.1", world.ports.adapter), backlog=1024)
    served: list[int] = []
    stop = asyncio.Event()
    url = f"https://localhost:{world.ports.adapter}/ebms"
    context = client_context(world.dso_keys, world.trust)

    async def come() -> None:
        while not stop.is_set():
            # a new connection each time; 405 is the answer of the endpoint to a GET
            connector = aiohttp.TCPConnector(ssl=context, force_close=True)
            try:
                async with aiohttp.ClientSession(connector=connector) as session, session.get(url) as answer:
                    served.append(answer.status)
            except aiohttp.ClientConnectionError as error:
                # one that was let in just before the end may be cut, and its partner comes again; none is refused
                if getattr(error, "errno", None) == errno.ECONNREFUSED:
                    raise

    coming = []
    try:
        for _ in range(3):
            manager = Manager(f"@stam-adapter-restart-{os.getpid()}")
            async with daemon(world, {"NOTIFY_SOCKET": manager.address}, listening) as process:
                await manager.until("READY")
                coming = coming or [asyncio.create_task(come()) for _ in range(4)]
                before = len(served)
                while len(served) < before + 20:
                    await asyncio.sleep(0.01)
                    assert not any(task.done() for task in coming), [str(task) for task in coming]
                process.terminate()
                assert await process.wait() == 0
            manager.socket.close()
        async with daemon(world, {}, listening):
            stop.set()
            async with asyncio.timeout(PATIENCE):
                await asyncio.gather(*coming)
    finally:
        for task in coming:
            task.cancel()
        listening.close()
    assert set(served) == {405}
    assert "listener.inherited" in world.adapter_log.read_text()
