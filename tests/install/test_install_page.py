# SPDX-License-Identifier: EUPL-1.2

"""docs/install.md, step by step in a clean Debian 12, with the commands that stand there: `make install-test`.

Where this machine lets systemd be process 1 of the Debian (namespaces, a cgroup2 that can be written), the service runs
under it with all that its unit forbids. Else `systemctl` enables units and starts nothing, and what it would start is
started from the unit that was installed: its command, environment and user; how the unit protects is then for
`tests/supply/test_supply_units.py` alone.
"""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from adapter.simulator import (
    AgreementPlan,
    SimulatedDso,
    VerzoekSpec,
    World,
    create_world,
    make_verzoek,
    verzoeknummer,
)
from tests.e2e.conftest import until
from tests.install.machine import Machine, running_machine
from tests.install.page import PAGE, blocks, steps

ROOT = Path(__file__).parents[2]
ASKED = "STAM_ADAPTER_INSTALL"

pytestmark = pytest.mark.skipif(
    os.environ.get(ASKED) != "1",
    reason=f"makes a Debian, with the network: {ASKED}=1 (make install-test) does",
)


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with running_machine(tmp_path_factory.mktemp("machine") / "root") as made:
        yield made


@contextlib.asynccontextmanager
async def started_by_hand(machine: Machine) -> AsyncIterator[None]:
    """What systemd would start: the command of the unit, as its user and with its environment. Nothing where it did."""
    if machine.systemd is not None:
        yield
        return
    unit: dict[str, list[str]] = {}
    for line in machine.path("/etc/systemd/system/stam-adapter.service").read_text().splitlines():
        name, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            unit.setdefault(name, []).append(value)
    environ = dict(one.split("=", 1) for one in unit["Environment"])
    as_user = ["setpriv", "--reuid", unit["User"][0], "--regid", unit["Group"][0], "--clear-groups"]
    command = machine.inside(*as_user, "--no-new-privs", "--bounding-set=-all", *unit["ExecStart"][0].split())
    process = await asyncio.create_subprocess_exec(*command, env=machine.environment() | environ)
    try:
        yield
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """The partner, and what the reader has of his own."""
    return create_world(tmp_path_factory.mktemp("world"), {"voorbeeldstad": AgreementPlan()})


@dataclass
class Reader:
    """Follows the page; what it leaves to its reader is done here."""

    machine: Machine
    world: World

    def follow(self, step: str, **own: str) -> str:
        """Do one step as it stands there, but for words of which the page says what to put in their place."""
        commands = steps()[step]
        for word, value in own.items():
            assert word in commands
            commands = commands.replace(word, value)
        return self.machine.run(commands)

    def bring_the_release(self) -> None:
        release = self.machine.path("/root/release")
        release.mkdir()
        shutil.copy(ROOT / "requirements-run.lock", release)
        shutil.rmtree(
            ROOT / "build" / "lib", ignore_errors=True
        )  # what is left there would go into the wheel
        build = [
            sys.executable,
            "-m",
            "build",
            "--wheel",
            "--no-isolation",
            "--outdir",
            str(release),
            str(ROOT),
        ]
        subprocess.run(build, check=True, capture_output=True)

    def bring_the_own_files(self) -> None:
        own, tls = self.machine.path("/root/own"), self.world.directory / "tls"
        own.mkdir(mode=0o700)
        for name, source in (
            ("server.pem", "voorbeeldstad.pem"),
            ("server.key", "voorbeeldstad.key"),
            ("voorbeeldstad.pem", "voorbeeldstad.pem"),
            ("voorbeeldstad.key", "voorbeeldstad.key"),
            ("pkioverheid-private-g1.pem", "root.pem"),
        ):
            shutil.copy(tls / source, own / name)
        shutil.copy(self.world.authorities[0].cpa_path, own / "voorbeeldstad.xml")

    def edit_the_configuration(self) -> None:
        """As the page says: another environment, party and url; and, since the partner is here too, other ports."""
        path = self.machine.path("/etc/stam-adapter/stam-adapter.toml")
        text, ports = path.read_text(), self.world.ports
        config = self.world.config.read_text()
        url = next(line for line in config.splitlines() if line.startswith("url = "))
        party = next(line for line in config.splitlines() if line.startswith("party = "))
        lines = [
            url if line.startswith("url = ") else party if line.startswith("party = ") else line
            for line in text.splitlines()
        ]
        edited = "\n".join(lines)
        for old, new in (
            ('environment = "prod"', 'environment = "pre"'),
            ('listen = "0.0.0.0:8443"', f'listen = "127.0.0.1:{ports.adapter}"'),
        ):
            assert old in edited
            edited = edited.replace(old, new)
        path.write_text(f'{edited}\n[admin]\nlisten = "127.0.0.1:{ports.admin}"\n')

    def edit(self, old: str, new: str) -> None:
        """Write something else into the configuration."""
        path = self.machine.path("/etc/stam-adapter/stam-adapter.toml")
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    def write(self, path: str, *lines: str) -> None:
        file = self.machine.path(path)
        file.parent.mkdir(exist_ok=True)
        file.write_text("\n".join(lines) + "\n")


def owner_of(path: Path) -> tuple[int, int, int]:
    found = path.stat()
    return found.st_mode & 0o7777, found.st_uid, found.st_gid


async def test_the_page_leads_from_a_wheel_to_a_verzoek_in_a_directory_and_away_again(
    machine: Machine, world: World
) -> None:
    reader = Reader(machine, world)
    reader.bring_the_release()
    reader.bring_the_own_files()
    done = iter(steps())

    async def follow(step: str, **own: str) -> str:
        assert next(done) == step, "the steps are followed in the order of the page"
        return await asyncio.to_thread(reader.follow, step, **own)

    port = str(world.ports.admin)
    for step in ("packages", "program", "user", "files"):
        await follow(step)
    reader.edit_the_configuration()
    user = int(machine.run("id -u stam-adapter")), int(machine.run("id -g stam-adapter"))
    assert owner_of(machine.path("/etc/stam-adapter/tls/server.key")) == (0o640, 0, user[1])
    assert owner_of(machine.path("/srv/verzoeken")) == (0o2750, *user)
    async with SimulatedDso(world) as dso:
        await follow("check")
        await follow("service")
        wants = machine.path("/etc/systemd/system/multi-user.target.wants/stam-adapter.service")
        assert wants.is_symlink()
        async with started_by_hand(machine):
            assert next(done) == "health"
            said = await until_it_works(lambda: reader.follow("health", **{"8080": port}))
            assert json.loads(said)["status"] == "ready"
            assert "Pong" in await follow("ping", CPA_ID=world.authorities[0].cpa_id)
            manifest = await deliver(dso, world, machine, 1)
            assert owner_of(manifest)[1:] == user
            if machine.systemd is not None:
                await try_what_needs_systemd(machine, reader, dso)
            await follow("instance")
            assert machine.run("id -u stam-adapter-pre")
            await follow("backup")
        await follow("upgrade")
        async with started_by_hand(machine):
            await until_it_works(lambda: reader.follow("health", **{"8080": port}))
    await follow("uninstall")
    assert not machine.path("/opt/stam-adapter").exists()
    assert not list(machine.path("/etc/systemd/system").glob("**/stam-adapter.service"))
    assert manifest.exists()
    await follow("wipe")
    assert not manifest.exists()
    assert next(done, None) is None, "every step was followed"


async def try_what_needs_systemd(machine: Machine, reader: Reader, dso: SimulatedDso) -> None:
    """The service under a systemd that is process 1, with everything that the unit forbids it."""
    unit = "stam-adapter"
    found = machine.show(unit, "StatusText", "Type", "MainPID", "NRestarts")
    assert found["StatusText"].startswith("ready, for 1 authority")
    machine.run(f"systemctl reload {unit}")

    async def is_reloaded() -> bool:
        return '"configuration.reloaded"' in machine.journal()

    await until(is_reloaded)
    confined = machine.run(f"cat /proc/{found['MainPID']}/status")
    for line in ("Seccomp:\t2", "NoNewPrivs:\t1", "CapBnd:\t0000000000000000"):
        assert line in confined
    # restarts that refuse nobody, as the page has it, with the port of this CPA
    share = machine.path("/opt/stam-adapter/share/stam-adapter/systemd/stam-adapter.socket")
    share.write_text(share.read_text().replace("8443", f"127.0.0.1:{reader.world.ports.adapter}"))
    await asyncio.to_thread(machine.run, next(one for _, one in blocks() if "stam-adapter.socket" in one))
    assert '"listener.inherited"' in machine.journal()
    await asyncio.to_thread(machine.run, f"systemctl restart {unit}")
    await deliver(dso, reader.world, machine, 2)
    # a configuration that is wrong ends with 78, and is not tried again
    reader.edit("[trust]", "[trusted]")
    failed = await asyncio.to_thread(machine.run, f"systemctl restart {unit} || echo 'it failed'")
    assert failed.strip() == "it failed"
    found = machine.show(unit, "ActiveState", "ExecMainStatus", "NRestarts")
    assert found == {"ActiveState": "failed", "ExecMainStatus": "78", "NRestarts": "0"}
    reader.edit("[trusted]", "[trust]")
    await try_a_credential_and_the_watchdog(machine, reader)


async def try_a_credential_and_the_watchdog(machine: Machine, reader: Reader) -> None:
    """A key that systemd hands over, as the page has it; and a daemon that does nothing is started again."""
    credential = "LoadCredential=voorbeeldstad.key:/root/keys/voorbeeldstad.key"
    key, handed = "/etc/stam-adapter/tls/voorbeeldstad.key", "${CREDENTIALS_DIRECTORY}/voorbeeldstad.key"
    assert all(text in PAGE.read_text("utf-8") for text in (credential, handed))
    machine.run(f"install -d -m 700 /root/keys; install -m 600 {key} /root/keys; rm {key}")
    reader.edit(key, handed)
    lines = ("[Service]", credential, "WatchdogSec=2s", "TimeoutAbortSec=1s", "RestartSec=100ms")
    reader.write("/etc/systemd/system/stam-adapter.service.d/own.conf", *lines)
    await asyncio.to_thread(machine.run, "systemctl daemon-reload; systemctl start stam-adapter")
    stopped = machine.show("stam-adapter", "MainPID")["MainPID"]
    machine.run(f"kill -STOP {stopped}")

    async def is_started_again() -> bool:
        found = machine.show("stam-adapter", "ActiveState", "MainPID", "NRestarts")
        return found["ActiveState"] == "active" and found["MainPID"] != stopped and found["NRestarts"] != "0"

    await until(is_started_again)
    said = machine.journal()
    assert "Watchdog timeout" in said
    assert "Fatal Python error: Aborted" in said  # with the stacks of what it was at
    # the commands of the page that follow need the key where they can read it
    machine.run(f"install -m 640 -g stam-adapter /root/keys/voorbeeldstad.key {key}")
    reader.edit(handed, key)


async def deliver(dso: SimulatedDso, world: World, machine: Machine, number: int) -> Path:
    """A verzoek comes the whole way; its manifest."""
    authority = world.authorities[0]
    verzoek = verzoeknummer(datetime.now(UTC).date(), number)
    await dso.announce(authority, make_verzoek(VerzoekSpec(verzoek, authority.oin)))
    manifest = machine.path(f"/srv/verzoeken/{verzoek}-000/manifest.json")

    async def is_delivered() -> bool:
        return manifest.exists()

    await until(is_delivered)
    assert json.loads(manifest.read_text())["verzoeknummer"] == verzoek
    return manifest


async def until_it_works(step: Callable[[], str]) -> str:
    """Do a step again until it succeeds: one that is started by hand is not waited for."""
    said: list[str] = []

    async def works() -> bool:
        try:
            said.append(await asyncio.to_thread(step))
        except AssertionError as problem:
            said.append(str(problem))
            return False
        return True

    try:
        await until(works)
    except TimeoutError:
        raise AssertionError(said[-1]) from None
    return said[-1]
