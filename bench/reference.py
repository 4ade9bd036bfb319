# SPDX-License-Identifier: EUPL-1.2

"""The reference adapter (ebms-core) as a receiver of the same load, where Java and its artifacts are on the machine."""

import asyncio
import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from adapter.pki import KeyPair, load_key_pair
from adapter.simulator import World, free_ports
from bench.processes import cpu_of
from tests.interop.peer import PASSWORD, Build, Keys, Peer, PeerMissing

_JAVA = ("-Dorg.slf4j.simpleLogger.log.nl.clockwork.ebms.message=warn",)
"""It compiles as thoroughly as it likes, and does not log each envelope."""


@dataclass(frozen=True, slots=True)
class Reference:
    """One running ebms-core, in the place of an authority.

    It has no sink: a message that is answered is in its database, for an application to fetch. So there is nothing to
    hold back.
    """

    peer: Peer

    @property
    def endpoints(self) -> Sequence[str]:
        """Where it receives."""
        return [f"https://localhost:{self.peer.port}{self.peer.path}"]

    def cpu(self) -> float:
        """CPU time so far, in seconds, its collector and its compiler included."""
        return cpu_of(self.peer.pid)

    def database_cpu(self) -> float:
        """Nothing: its database is in the process."""
        return 0.0

    async def hold(self) -> None:
        """Do nothing."""

    async def release(self, messages: int) -> None:
        """Do nothing."""


@dataclass(frozen=True)
class _Keys(Keys):
    """The keys of several authorities; ebms-core finds that of an agreement by its certificate."""

    others: Sequence[KeyPair] = ()

    def write(self, directory: Path) -> tuple[Path, Path]:
        """Write key store and trust store; the tool of the JDK puts keys together, as nothing else here can."""
        store, trusted = super().write(directory)
        for number, other in enumerate(self.others):
            place = directory / f"key-{number}"
            place.mkdir()
            one, _ = Keys(other, self.authorities).write(place)
            _merge(one, store, f"peer-{number}")
        return store, trusted


def _merge(source: Path, destination: Path, alias: str) -> None:
    command = ["keytool", "-importkeystore", "-noprompt", "-srcalias", "peer", "-destalias", alias]
    stores = {"src": source, "dest": destination}
    for side, store in stores.items():
        command += [
            f"-{side}keystore",
            str(store),
            f"-{side}storetype",
            "PKCS12",
            f"-{side}storepass",
            PASSWORD,
        ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - its words are ours
    if done.returncode:
        raise PeerMissing(f"the keys for ebms-core cannot be put together: {done.stdout}{done.stderr}")


@asynccontextmanager
async def running_reference(world: World, build: Build) -> AsyncIterator[Reference]:
    """ebms-core in the place of all authorities of a world, with their keys and agreements."""
    tls = world.directory / "tls"
    own, *others = (
        load_key_pair(tls / f"{one.name}.pem", tls / f"{one.name}.key") for one in world.authorities
    )
    keys = _Keys(own, (world.pki.root, world.pki.domain, world.pki.intermediate), others)
    peer = Peer(build, world.directory / "ebms-core", free_ports().adapter, keys, java_options=_JAVA)
    await asyncio.to_thread(peer.start)
    try:
        for authority in world.authorities:
            await peer.insert_cpa(authority.cpa_path)
        yield Reference(peer)
    finally:
        await asyncio.to_thread(peer.stop)
