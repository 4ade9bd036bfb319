# SPDX-License-Identifier: EUPL-1.2

"""The adapter and the reference adapter face to face, under one agreement per profile, over mutual TLS."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from adapter.authorities import AgreementDocument, Authorities, KnownAgreement, build_authorities
from adapter.config import Config, load_config
from adapter.daemon import load_keys
from adapter.ebms import AES128_CBC, AES256_CBC
from adapter.msh import Submission, SubmittedPayload, Submitter, new_ping, new_status_request, send_job
from adapter.pki import KeyPair
from adapter.simulator import (
    ACTION,
    DSO_OIN,
    SERVICE,
    AdapterProcess,
    AgreementPlan,
    World,
    WorldAuthority,
    create_world,
    running_adapter,
)
from adapter.simulator.world import REPLY, ROLES
from adapter.store import (
    Content,
    Database,
    Direction,
    EndpointOverride,
    FileSpool,
    MessageKind,
    MessageState,
    NewMessage,
    Spool,
    StoredMessage,
    delete_endpoint_override,
    find_messages,
    get_message,
    insert_message,
    open_database,
    put_endpoint_override,
)
from cpa import Profile, SyncReplyMode
from cpa.names import OIN_TYPE
from tests.interop.agreements import (
    encrypted_with,
    signals_synchronous,
    with_action,
    without_signal_actor,
)
from tests.interop.line import Line, line_to
from tests.interop.matrix import RUN
from tests.interop.peer import PATIENCE, Build, Keys, Peer, PeerMissing, PeerPayload, Route, build
from tests.waiting import until_stored

SOON = timedelta(seconds=2)
"""Between two attempts; with the number of them it is also how long a message lives."""

RETRIES = 14

PEER_ONLY, OURS_ONLY = "nieuwbijdso", "nieuwbijons"
"""Actions that only the peer, and only we, have in the agreement: the other refuses them."""

LEGACY = "legacy = true"
LENIENT = "lenient = true"


@dataclass(frozen=True)
class Deal:
    """One agreement: how it is planned, in what its CPA differs from what is written for that, and our options."""

    profile: Profile
    reply: SyncReplyMode = SyncReplyMode.NONE
    edits: tuple[Callable[[str], str], ...] = ()
    options: str = ""
    retries: int = RETRIES
    interval: timedelta = SOON
    sign_acknowledgments: bool = True

    @property
    def plan(self) -> AgreementPlan:
        return AgreementPlan(self.profile, self.reply, self.retries, self.interval, self.sign_acknowledgments)

    def document(self, written: str) -> str:
        for edit in self.edits:
            written = edit(written)
        return written


def _deal(profile: Profile, reply: SyncReplyMode) -> Deal:
    """Of the matrix: the peer knows no other encryption than CBC with RSA 1.5, which we allow under legacy only."""
    synchronous = reply is SyncReplyMode.MSH_SIGNALS_ONLY
    edits: list[Callable[[str], str]] = [signals_synchronous] if synchronous else []
    if profile.encrypted:
        edits.append(partial(encrypted_with, algorithm=AES128_CBC if synchronous else AES256_CBC))
    return Deal(profile, reply, tuple(edits), LEGACY if profile.encrypted else "")


_SYNC = SyncReplyMode.MSH_SIGNALS_ONLY

DEALS = {one.authority: _deal(one.profile, one.reply) for one in RUN} | {
    # synchronous for business messages only
    "rmmixed": Deal(Profile.OSB_RM, _SYNC, options=LENIENT),
    "rmsmixed": Deal(Profile.OSB_RM_S, _SYNC, options=LENIENT),
    "unsignedack": Deal(Profile.OSB_RM_S, sign_acknowledgments=False),
    "noactor": Deal(Profile.OSB_RM_S, edits=(without_signal_actor,)),
    "noactorsync": Deal(Profile.OSB_RM_S, _SYNC, edits=(signals_synchronous, without_signal_actor)),
    "late": Deal(Profile.OSB_RM_S, retries=0, interval=timedelta(seconds=1)),
    # an attempt takes longer than SOON
    "large": Deal(Profile.OSB_RM_S, retries=1, interval=timedelta(minutes=1)),
    # the encryption that Digikoppeling asks for
    "gcm": Deal(Profile.OSB_RM_E, retries=0, interval=timedelta(seconds=1)),
}
"""One authority, with one agreement, per way to agree."""

_summary: list[str] = []


def note(line: str) -> None:
    """Have something said at the end of the run."""
    _summary.append(line)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say which peer the tests were made with, and what was measured."""
    for line in _summary:
        terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def peer_build() -> Build:
    try:
        return build()
    except PeerMissing as missing:
        pytest.skip(str(missing))


@pytest.fixture(scope="session")
def world(peer_build: Build, tmp_path_factory: pytest.TempPathFactory) -> World:
    """The authorities of DEALS; what they receive is delivered as it is."""
    plans = {name: deal.plan for name, deal in DEALS.items()}
    world = create_world(tmp_path_factory.mktemp("interop"), plans)
    config = world.config.read_text().replace('flow = "stam"', 'flow = "message"')
    for authority in world.authorities:
        deal = DEALS[authority.name]
        agreed = deal.document(authority.cpa_path.read_text())
        authority.cpa_path.write_text(with_action(agreed, REPLY, OURS_ONLY))
        copy = peer_copy(world, authority)
        copy.parent.mkdir(exist_ok=True)
        copy.write_text(with_action(agreed, ACTION, PEER_ONLY))
        if deal.options:
            config += f'\n[authorities.{authority.name}.agreements."{authority.cpa_id}"]\n{deal.options}\n'
    world.config.write_text(config)
    return world


def peer_copy(world: World, authority: WorldAuthority) -> Path:
    """The agreement with an authority as the peer has it."""
    return world.directory / "peer-cpa" / authority.cpa_path.name


@pytest.fixture(scope="session")
def peer(peer_build: Build, world: World) -> Iterator[Peer]:
    """The reference adapter in the place of DSO-LV, with every agreement of the world loaded."""
    keys = Keys(world.dso_keys, (world.pki.root, world.pki.domain, world.pki.intermediate))
    running = Peer(peer_build, world.directory / "peer", world.ports.dso_ebms, keys)
    running.start()
    note(f"interop peer: {peer_build.origin}; ready in {running.start_milliseconds / 1000:.1f} s")
    try:
        for authority in world.authorities:
            assert asyncio.run(running.insert_cpa(peer_copy(world, authority))) == authority.cpa_id
        yield running
    finally:
        running.stop()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def adapter(world: World, peer: Peer) -> AsyncIterator[AdapterProcess]:
    """Our daemon, in a process of its own: its connections end with it, as in the field."""
    async with running_adapter(world) as process:
        yield process


XML = b"<verzoeknotificatie><verzoeknummer>2023073100048</verzoeknummer></verzoeknotificatie>"

_OPEN = frozenset({MessageState.CREATED, MessageState.SENT})


@dataclass(repr=False)  # a test run asks for it twice per test, and it would be large
class Meeting:
    """The peer and our daemon, both running."""

    world: World
    peer: Peer
    config: Config
    db: Database
    pid: int
    """Of the daemon."""

    directory: Path
    """For files of a test."""

    authorities: Authorities
    """With their agreements, as the daemon knows them."""

    # --- who they are

    def authority(self, name: str) -> WorldAuthority:
        return next(one for one in self.world.authorities if one.name == name)

    def keys(self, name: str) -> KeyPair:
        return self.authorities.by_name[name].keys

    def route(self, name: str, action: str = ACTION) -> Route:
        """A message of the peer to an authority, as their agreement names it."""
        authority = self.authority(name)
        return Route(
            cpa_id=authority.cpa_id,
            sender=f"{OIN_TYPE}:{DSO_OIN}",
            sender_role=ROLES[0],
            receiver=f"{OIN_TYPE}:{authority.oin}",
            receiver_role=ROLES[1],
            service=f"{SERVICE.type}:{SERVICE.name}",
            action=action,
        )

    def known(self, name: str) -> KnownAgreement:
        """The agreement of an authority."""
        (agreement,) = self.authorities.by_name[name].agreements
        return agreement

    # --- what the peer sends

    async def peer_sends(self, name: str, *contents: bytes, action: str = ACTION) -> str:
        """Have the peer send a message with these payloads; its id."""
        return await self.peer.send(self.route(name, action), [self.payload(one) for one in contents])

    def payload(self, content: bytes, content_type: str = "application/xml") -> PeerPayload:
        path = self.directory / hashlib.sha256(content).hexdigest()
        path.write_bytes(content)
        return PeerPayload(path, content_type, "notificatie.xml")

    def manifests(self, name: str, message_id: str) -> list[tuple[Path, dict[str, Any]]]:
        """What was delivered of a message to the sink of an authority: directories and their manifests."""
        sink = self.authority(name).sink
        found = [path for path in sink.glob("*/manifest.json") if not path.parent.name.startswith(".")]
        read = [(path.parent, json.loads(path.read_text())) for path in found]
        return [(path, manifest) for path, manifest in read if manifest["messageId"] == message_id]

    async def delivered(self, name: str, message_id: str) -> list[Path]:
        """Wait until a message is in the sink of an authority, once; the files of its payloads."""

        async def is_there() -> bool:
            return bool(self.manifests(name, message_id))

        await self.until(is_there)
        ((directory, manifest),) = self.manifests(name, message_id)
        return [directory / file["path"] for file in manifest["files"]]

    async def processed(self, message_id: str) -> None:
        """Wait until we handed on a message of the peer."""

        async def is_so() -> bool:
            found = await self.db.read(find_messages, direction=Direction.IN, message_id=message_id)
            return any(message.state is MessageState.PROCESSED for message in found)

        await self.until(is_so)

    async def answers(self, message_id: str, kind: MessageKind) -> list[StoredMessage]:
        """What we sent about a message, of one kind."""
        return await self.db.read(
            find_messages, direction=Direction.OUT, kind=kind, ref_to_message_id=message_id
        )

    async def peer_attempts(self, message_id: str, number: int) -> None:
        """Wait until the peer has sent a message so often."""
        async with asyncio.timeout(PATIENCE):
            # nothing in the peer tells of a change
            while len(await self.peer.attempts(message_id)) < number:  # noqa: ASYNC110
                await asyncio.sleep(0.1)

    async def peer_answer(self, message_id: str) -> str:
        """Wait until the peer has, sent or received, an answer to a message; the id of that."""
        async with asyncio.timeout(PATIENCE):
            while True:
                found = [m for m in await self.peer.messages() if m.ref_to_message_id == message_id]
                if found:
                    return found[0].message_id
                await asyncio.sleep(0.1)

    # --- what we send

    async def we_send(self, name: str, *contents: bytes, action: str = REPLY) -> StoredMessage:
        """Have the daemon send a message with these payloads."""
        return await self.submit(name, *[await self.spooled(one) for one in contents], action=action)

    async def submit(self, name: str, *contents: Content, action: str = REPLY) -> StoredMessage:
        """Have the daemon send a message with payloads that are in its spool."""
        known = self.known(name)
        submitter = Submitter(self.db, self.spool, lambda: self.authorities, lambda: datetime.now(UTC))
        payloads = tuple(SubmittedPayload(one, "application/xml", "bevestiging.xml") for one in contents)
        submission = Submission(
            authority=name, cpa_id=known.cpa_id, service=SERVICE, action=action, payloads=payloads
        )
        return await submitter.submit(submission)

    async def spooled(self, *pieces: bytes) -> Content:
        """A content in the spool of the daemon."""
        async with self.spool.writer() as writer:
            for piece in pieces:
                await writer.write(piece)
            return await writer.commit()

    @property
    def spool(self) -> Spool:
        return FileSpool(self.config.state / "spool")

    async def we_ping(self, name: str) -> StoredMessage:
        """Have the daemon send a Ping, and wait what becomes of it."""
        known = self.known(name)
        return await self._request(known, new_ping(known, datetime.now(UTC)))

    async def we_ask_status(self, name: str, message_id: str) -> StoredMessage:
        """Have the daemon send a StatusRequest, and wait what becomes of it."""
        known = self.known(name)
        return await self._request(known, new_status_request(known, message_id, datetime.now(UTC)))

    async def _request(self, known: KnownAgreement, request: NewMessage) -> StoredMessage:
        row = await self.db.write(insert_message, request, send_job(known), datetime.now(UTC))
        return await self.ended(row)

    async def ended(self, row: int, *states: MessageState) -> StoredMessage:
        """Wait until a message of ours is in one of these states, or in one that it stays in."""

        async def is_so() -> bool:
            state = (await self.db.read(get_message, row)).state
            return state in states if states else state not in _OPEN

        await self.until(is_so)
        return await self.db.read(get_message, row)

    # --- waiting and looking

    async def until(self, condition: Callable[[], Awaitable[bool]]) -> None:
        """Wait until something in the store is so."""
        await until_stored(self.db, condition, PATIENCE)

    def logged(self, action: str, **fields: str) -> list[dict[str, Any]]:
        """What the daemon logged of one action, about one message."""
        lines = self.world.adapter_log.read_text().splitlines()
        read = [json.loads(line) for line in lines if line.startswith("{")]
        return [line for line in read if line["action"] == action and fields.items() <= line.items()]

    # --- lines with trouble

    @asynccontextmanager
    async def line_to_us(self, name: str) -> AsyncIterator[Line]:
        """A line over which everything of the peer for an authority comes, while the context lasts."""
        authority = self.authority(name)
        shown = self.keys(self.world.authorities[0].name)
        target = self.world.adapter_endpoint
        async with line_to(target, shown=shown, used=self.world.dso_keys, trust=self.world.trust) as line:
            usual = peer_copy(self.world, authority)
            changed = self.directory / "over-the-line.xml"
            changed.write_text(usual.read_text().replace(target, line.url))
            await self.peer.insert_cpa(changed)
            try:
                yield line
            finally:
                await self.peer.insert_cpa(usual)

    @asynccontextmanager
    async def line_to_peer(self, name: str) -> AsyncIterator[Line]:
        """A line over which everything of an authority for the peer goes, while the context lasts."""
        target = f"https://localhost:{self.world.ports.dso_ebms}/ebms"
        ours = self.keys(name)
        async with line_to(target, shown=self.world.dso_keys, used=ours, trust=self.world.trust) as line:
            override = EndpointOverride(name, target, line.url)
            await self.db.write(put_endpoint_override, override, datetime.now(UTC))
            try:
                yield line
            finally:
                await self.db.write(delete_endpoint_override, name, target, datetime.now(UTC))


@pytest.fixture(scope="session")
def config(world: World) -> Config:
    return load_config(world.config, {})


@pytest.fixture(scope="session")
def authorities(world: World, config: Config) -> Authorities:
    """The authorities of the world, in the same way as the daemon makes them."""
    documents = [
        AgreementDocument(one.name, one.cpa_id, one.cpa_path.read_bytes()) for one in world.authorities
    ]
    made, problems = build_authorities(config.authorities, load_keys(config), documents, "")
    assert not problems
    return made


@pytest.fixture
async def meeting(
    world: World,
    peer: Peer,
    adapter: AdapterProcess,
    config: Config,
    authorities: Authorities,
    tmp_path: Path,
) -> AsyncIterator[Meeting]:
    """The two, and the daemon's store to look into."""
    db = open_database(config.store.url, config.state, exclusive=False)
    try:
        yield Meeting(world, peer, config, db, adapter.pid, tmp_path, authorities)
    finally:
        await db.close()


def payloads_of(sent: Sequence[Path | PeerPayload]) -> list[bytes]:
    """The octets of payloads as one of the two received them."""
    return [(one.path if isinstance(one, PeerPayload) else one).read_bytes() for one in sent]
