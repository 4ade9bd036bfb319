# SPDX-License-Identifier: EUPL-1.2

"""The reference ebMS 2.0 adapter (ebms-core) as a process of its own: built once, driven by JSON lines.

The build is `peer/pom.xml`: the published artifact, what it needs, and a small bootstrap. It is kept in `peer/target`,
or in the directory that INTEROP_PEER_TARGET names, and made again only when its sources change.
"""

import asyncio
import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption
from cryptography.hazmat.primitives.serialization.pkcs12 import (
    PKCS12Certificate,
    serialize_java_truststore,
    serialize_key_and_certificates,
)

from adapter.pki import KeyPair

SOURCE = Path(__file__).with_name("peer")
BUILD_TIME = 900
"""Seconds for a build that fetches everything."""

START_TIME = 90
PATIENCE = 30.0
_TOO_SOON = 3
"""How often in a row an answer may come too soon."""

PASSWORD = "throw-away"
_ENDED = frozenset({"DELIVERED", "DELIVERY_FAILED", "FAILED", "EXPIRED"})


class PeerMissing(Exception):
    """The peer cannot be had on this machine; the text says why."""


@dataclass(frozen=True)
class Build:
    """A built peer; `origin` says which ebms-core it is, and whether Maven got it from a repository."""

    directory: Path
    origin: str

    @property
    def classpath(self) -> str:
        return f"{self.directory / 'classes'}{os.pathsep}{self.directory / 'lib'}/*"


def build() -> Build:
    """Build the peer, or find it built. Raises PeerMissing."""
    _need("java")
    target = Path(os.environ.get("INTEROP_PEER_TARGET", SOURCE / "target")).absolute()
    stamp, wanted = target / "built-from", _digest_of_sources()
    if not stamp.is_file() or stamp.read_text() != wanted:
        _need("mvn")
        _run_maven(target)
        stamp.write_text(wanted)
    return Build(target, _origin(target))


def _need(tool: str) -> None:
    if shutil.which(tool) is None:
        raise PeerMissing(f"the interop peer needs `{tool}`, which is not installed")


def _digest_of_sources() -> str:
    digest = hashlib.sha256()
    for path in [SOURCE / "pom.xml", *sorted((SOURCE / "src").rglob("*.java"))]:
        digest.update(str(path.relative_to(SOURCE)).encode() + path.read_bytes())
    return digest.hexdigest()


def _run_maven(target: Path) -> None:
    command = ["mvn", "-B", "-q", "-Dstyle.color=never", f"-Dpeer.target={target}", "package"]
    try:
        done = subprocess.run(
            command, cwd=SOURCE, capture_output=True, text=True, timeout=BUILD_TIME, check=False
        )
    except subprocess.TimeoutExpired as late:
        raise PeerMissing(f"the interop peer was not built in {BUILD_TIME} seconds") from late
    if done.returncode != 0:
        # some builds of Maven print a colour code even where they are told not to
        errors = [line.partition("[ERROR] ")[2] for line in done.stdout.splitlines() if "[ERROR] " in line]
        reason = errors[0].partition(" -> [Help")[0] if errors else done.stdout
        raise PeerMissing(f"the interop peer cannot be built: {reason}")


def _origin(target: Path) -> str:
    """Whether ebms-core came from a remote repository is in a file that Maven keeps beside each artifact."""
    jar = Path((target / "origin.txt").read_text().strip())
    note = jar.with_name("_remote.repositories")
    lines = note.read_text().splitlines() if note.is_file() else []
    repositories = [line.partition(">")[2].rstrip("=") for line in lines if line.startswith(f"{jar.name}>")]
    named = ", ".join(name for name in repositories if name)
    return (
        f"{jar.name} from {named}" if named else f"{jar.name} installed by hand, not the published artifact"
    )


@dataclass(frozen=True)
class Keys:
    """What the peer has of the throw-away PKI: its own key, and every authority that issues certificates."""

    own: KeyPair
    authorities: Sequence[x509.Certificate]

    def write(self, directory: Path) -> tuple[Path, Path]:
        """Write key store and trust store as PKCS12, as Java reads them."""
        encryption = BestAvailableEncryption(PASSWORD.encode())
        store, trusted = directory / "peer.p12", directory / "trust.p12"
        store.write_bytes(
            serialize_key_and_certificates(
                b"peer", self.own.private_key, self.own.certificate, self.own.chain, encryption
            )
        )
        entries = [
            PKCS12Certificate(authority, f"authority-{number}".encode())
            for number, authority in enumerate(self.authorities)
        ]
        trusted.write_bytes(serialize_java_truststore(entries, encryption))
        return store, trusted


@dataclass(frozen=True)
class PeerPayload:
    """A payload that the peer is to send, or that it received and wrote to `path`."""

    path: Path
    content_type: str = "application/octet-stream"
    name: str | None = None
    content_id: str | None = None


@dataclass(frozen=True)
class PeerMessage:
    """A message or signal in the books of the peer."""

    message_id: str
    ref_to_message_id: str | None
    conversation_id: str
    cpa_id: str
    service: str
    action: str
    status: str | None


@dataclass(frozen=True)
class PeerAttempt:
    """One attempt of the peer to send a message; `error` is None where it went well."""

    uri: str | None
    status: int
    error: str | None


@dataclass(frozen=True)
class Route:
    """A kind of message under an agreement, as the peer names it: party ids and service as `type:value`."""

    cpa_id: str
    sender: str
    sender_role: str
    receiver: str
    receiver_role: str
    service: str
    action: str


class PeerRefused(Exception):
    """The peer would not do what was asked; the text is its own."""


@dataclass
class Peer:
    """One running peer. Its methods may be awaited in any event loop."""

    build: Build
    directory: Path
    port: int
    keys: Keys | None
    properties: Mapping[str, str] = field(default_factory=dict)
    path: str = "/ebms"
    java_options: Sequence[str] = ("-XX:TieredStopAtLevel=1",)
    """A test is over before thorough compilation pays."""

    start_milliseconds: int = 0
    _process: subprocess.Popen[bytes] | None = None
    _waiting: dict[int, "Future[Any]"] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _asked: int = 0

    # --- running

    def start(self) -> None:
        """Start the process and wait until it receives."""
        self.directory.mkdir(parents=True, exist_ok=True)
        settings = self.directory / "settings.json"
        settings.write_text(json.dumps(self._settings()))
        ready: Future[Any] = Future()
        self._waiting[0] = ready
        with self._log_path.open("ab") as log:
            self._process = subprocess.Popen(
                [*self._java(), "-cp", self.build.classpath, "peer.Peer", str(settings)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
            )
        assert self._process.stdout is not None
        threading.Thread(target=self._listen, args=(self._process.stdout,), daemon=True).start()
        try:
            self.start_milliseconds = ready.result(START_TIME)
        except BaseException:
            self.stop()
            raise

    @property
    def pid(self) -> int:
        """Of the process, while it runs."""
        assert self._process is not None
        return self._process.pid

    def stop(self) -> None:
        """End the process: the end of its input, and after some seconds the end without asking."""
        if self._process is None:
            return
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _java(self) -> list[str]:
        # a local time zone, as peers in the field have it: their tables hold times without one
        return [
            "java",
            "-Xmx768m",
            # the JAXB of ebms-core 2.19 writes classes in a way that Java 17 forbids
            "-Dcom.sun.xml.bind.v2.bytecode.ClassTailor.noOptimize=true",
            "-Dfile.encoding=UTF-8",
            "-Duser.timezone=Europe/Amsterdam",
            "-Dorg.slf4j.simpleLogger.defaultLogLevel=info",
            # with `debug` it makes a text of every body, also of one of 100 MB
            "-Dorg.slf4j.simpleLogger.log.nl.clockwork.ebms.message=info",
            "-Dorg.slf4j.simpleLogger.showDateTime=true",
            *self.java_options,
        ]

    def _settings(self) -> dict[str, Any]:
        settings: dict[str, Any] = {
            "port": self.port,
            "path": self.path,
            "directory": str(self.directory),
            "tls": self.keys is not None,
            "keystore": None,
            "truststore": None,
            "password": PASSWORD,
            "properties": dict(self.properties),
        }
        if self.keys is not None:
            store, trusted = self.keys.write(self.directory)
            settings |= {"keystore": str(store), "truststore": str(trusted)}
        return settings

    @property
    def _log_path(self) -> Path:
        return self.directory / "peer.log"

    @property
    def log(self) -> str:
        """What the peer logged, with the envelope of every message."""
        return self._log_path.read_text(errors="replace")

    # --- commands

    async def insert_cpa(self, document: Path) -> str:
        """Load an agreement, also where there is one of the same id; its id."""
        return str(await self._ask("insert_cpa", path=str(document)))

    async def send(
        self,
        route: Route,
        payloads: Sequence[PeerPayload] = (),
        *,
        conversation_id: str | None = None,
        ref_to_message_id: str | None = None,
    ) -> str:
        """Give the peer a message to send; the id it gave the message."""
        return str(
            await self._ask(
                "send",
                cpa_id=route.cpa_id,
                **{"from": route.sender},
                from_role=route.sender_role,
                to=route.receiver,
                to_role=route.receiver_role,
                service=route.service,
                action=route.action,
                conversation_id=conversation_id,
                ref_to_message_id=ref_to_message_id,
                payloads=[asdict(payload) | {"path": str(payload.path)} for payload in payloads],
            )
        )

    async def ping(self, cpa_id: str, sender: str, receiver: str) -> None:
        """Send a Ping and wait for its Pong. Raises PeerRefused where none comes."""
        await self._request("ping", cpa_id=cpa_id, **{"from": sender}, to=receiver)

    async def status(self, message_id: str) -> str | None:
        """The state of a message, sent or received, in the peer's own books."""
        found = await self._ask("status", message_id=message_id)
        return None if found is None else str(found)

    async def ended(self, message_id: str, seconds: float = PATIENCE) -> str:
        """Wait until a message that the peer sent has its last state, and return that."""
        async with asyncio.timeout(seconds):
            # nothing in the peer tells of a change
            while (status := await self.status(message_id)) not in _ENDED:  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        assert status is not None
        return status

    async def partner_status(self, message_id: str) -> str:
        """Ask the partner, by a StatusRequest, how far a message is that the peer sent."""
        return str(await self._request("partner_status", message_id=message_id))

    async def _request(self, command: str, **arguments: Any) -> Any:
        """Have a request sent; again, where its answer came too soon for the peer (docs/quirks.md)."""
        for _ in range(_TOO_SOON):
            try:
                return await self._ask(command, **arguments)
            except PeerRefused as refused:
                if "InterruptedException" not in str(refused):
                    raise
        return await self._ask(command, **arguments)

    async def messages(self) -> list[PeerMessage]:
        """Every message and every stored signal, sent and received."""
        return [PeerMessage(**found) for found in await self._ask("messages")]

    async def received(self) -> list[str]:
        """The ids of the messages that the peer received and nobody has processed."""
        return list(await self._ask("unprocessed"))

    async def process(self, message_id: str) -> None:
        """Tell the peer that a message it received was processed."""
        await self._ask("process", message_id=message_id)

    async def payloads(self, message_id: str, directory: Path) -> list[PeerPayload]:
        """Have the payloads of a message written to files in a directory."""
        found = await self._ask("fetch", message_id=message_id, directory=str(directory))
        return [PeerPayload(**payload | {"path": Path(payload["path"])}) for payload in found]

    async def envelope(self, message_id: str) -> bytes:
        """The SOAP envelope of a message or signal as the peer stored it."""
        return str(await self._ask("envelope", message_id=message_id)).encode()

    async def events(self, message_id: str) -> list[str]:
        """What the peer told its application about a message: RECEIVED, DELIVERED, FAILED or EXPIRED."""
        return [found["event"] for found in await self._ask("events") if found["message_id"] == message_id]

    async def attempts(self, message_id: str) -> list[PeerAttempt]:
        """Every attempt of the peer to send a message."""
        return [PeerAttempt(**found) for found in await self._ask("attempts", message_id=message_id)]

    async def requests(self) -> tuple[int, int]:
        """How many requests came to the peer's endpoint, and how many of those it refused unseen."""
        seen, refused = await self._ask("requests")
        return int(seen), int(refused)

    async def refuse(self, requests: int, status: int = 503) -> None:
        """Make the peer answer so many requests with a status, without looking at them."""
        await self._ask("refuse", requests=requests, status=status)

    # --- the lines

    async def _ask(self, command: str, **arguments: Any) -> Any:
        assert self._process is not None
        assert self._process.stdin is not None
        answer: Future[Any] = Future()
        with self._lock:
            self._asked += 1
            number = self._asked
            self._waiting[number] = answer
            line = json.dumps({"id": number, "command": command} | arguments)
            self._process.stdin.write(line.encode() + b"\n")
            self._process.stdin.flush()
        async with asyncio.timeout(60):
            return await asyncio.wrap_future(answer)

    def _listen(self, lines: IO[bytes]) -> None:
        with lines:
            for line in lines:
                self._hear(json.loads(line))
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(PeerRefused(f"the peer ended; see {self._log_path}"))

    def _hear(self, answer: dict[str, Any]) -> None:
        waiting = self._waiting.pop(answer.get("id", 0))
        if waiting.cancelled():
            return
        if "error" in answer:
            waiting.set_exception(PeerRefused(answer["error"]))
        else:
            waiting.set_result(answer.get("result", answer.get("milliseconds")))
