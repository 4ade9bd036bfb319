# SPDX-License-Identifier: EUPL-1.2

"""What the tests of the message service handler work with: a daemon, its partner, and messages octet by octet."""

import asyncio
import base64
import copy
import hashlib
import io
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import aiohttp
import xmlsec
from aiohttp import web
from cryptography.hazmat.primitives.serialization import Encoding
from lxml import etree
from sqlalchemy import Connection, text

from adapter.authorities import Authorities
from adapter.daemon import Daemon
from adapter.daemon.key_rings import load_keys
from adapter.daemon.registry import Registry
from adapter.ebms import (
    AckRequested,
    Envelope,
    MessageHeader,
    OutgoingBody,
    Party,
    SignalAction,
    build_business_message,
    build_signal,
    read_envelope,
    reference_digests,
    serialize,
    sign_envelope,
    signatures_of,
)
from adapter.msh import Submission, SubmittedPayload, Submitter
from adapter.observe import Metrics
from adapter.pki import KeyPair, client_context
from adapter.simulator import (
    ACTION,
    REPLY,
    SERVICE,
    ReceivedSignal,
    SentMessage,
    SimulatedDso,
    TakenMessage,
    World,
)
from adapter.store import (
    Database,
    EventType,
    Job,
    MessageFilter,
    MessageState,
    Spool,
    StoredMessage,
    find_jobs,
    find_message_events,
    get_message,
    open_spool,
)
from cpa import Agreement, Exchange, Frequency, PartyId, Service
from cpa.names import MSH_SERVICE
from tests.clock import Clock
from tests.ebms.conftest import Judge as SignatureJudge
from tests.ebms.conftest import Signer
from tests.ebms.encrypted import Receiver as DecryptsFor
from tests.ebms.encrypted import judge_decrypts
from tests.waiting import until_stored

SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
EB = "http://www.oasis-open.org/committees/ebxml-msg/schema/msg-header-2_0.xsd"
DS = "http://www.w3.org/2000/09/xmldsig#"
XLINK = "http://www.w3.org/1999/xlink"
NEXT = "http://schemas.xmlsoap.org/soap/actor/next"

HEADER = "/SOAP:Envelope/SOAP:Header"
PATIENCE = 15.0
"""Seconds that a test waits for what must come; only a failing test waits that long."""

PREPRODUCTION: Final = {
    'environment = "test"': 'environment = "pre"',
    "[ebms]\n": '[trust.revocation]\nmode = "off"\n\n[ebms]\n',
}
"""What to replace in a configuration so that it allows no more than it should; the test PKI has no revocation lists."""

Edit = Callable[[etree._Element], None]
Entry = MutableMapping[str, Any]


def eb(name: str) -> str:
    return f"{{{EB}}}{name}"


def ask_next_msh(root: etree._Element) -> None:
    """Have a message ask the next MSH for an acknowledgment, which nobody supports."""
    asked = {
        f"{{{SOAP}}}actor": "urn:oasis:names:tc:ebxml-msg:actor:nextMSH",
        f"{{{SOAP}}}mustUnderstand": "1",
        eb("version"): "2.0",
        eb("signed"): "false",
    }
    etree.SubElement(root[0], eb("AckRequested"), asked)


@dataclass(frozen=True)
class Part:
    """A payload part as it is to be written; `encoding` is its Content-Transfer-Encoding."""

    content: bytes
    content_id: str = field(default_factory=lambda: f"{uuid4()}@dso.example")
    content_type: str = "application/xml"
    encoding: str = "binary"

    @property
    def octets(self) -> bytes:
        if self.encoding == "base64":
            return base64.encodebytes(self.content).replace(b"\n", b"\r\n")
        if self.encoding == "quoted-printable":
            hexed = [f"={octet:02X}" for octet in self.content]
            return "=\r\n".join("".join(hexed[at : at + 20]) for at in range(0, len(hexed), 20)).encode()
        return self.content


def notification(number: str = "2023073100048") -> Part:
    return Part(f"<verzoeknotificatie><verzoeknummer>{number}</verzoeknummer></verzoeknotificatie>".encode())


@dataclass(frozen=True)
class Made:
    """A message ready to be wrapped and sent."""

    header: MessageHeader
    envelope: bytes
    parts: tuple[Part, ...]

    @property
    def id(self) -> str:
        return self.header.message_id


@dataclass(frozen=True)
class Request:
    """A whole HTTP request."""

    headers: Mapping[str, str]
    body: bytes


@dataclass
class Draft:
    """A business message of the partner that fits its agreement, but for what a test changes.

    `header` replaces fields of the header; `before` and `after` change the tree before and after signing.
    """

    agreement: Agreement
    keys: KeyPair
    parts: Sequence[Part] = field(default_factory=lambda: [notification()])
    header: dict[str, Any] = field(default_factory=dict)
    ack: bool | None = None
    ack_signed: bool | None = None
    sync: bool | None = None
    sign: bool | None = None
    before: Edit | None = None
    after: Edit | None = None
    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def exchange(self) -> Exchange:
        exchange = self.agreement.sent(SERVICE, ACTION)
        assert exchange is not None
        return exchange

    def make(self) -> Made:
        exchange, agreed = self.exchange, self.exchange.characteristics
        message_id = f"{uuid4()}@dso.example"
        header = MessageHeader(
            sender=Party(self.agreement.us.ids, exchange.sender_role),
            receiver=Party(self.agreement.them.ids, exchange.receiver_role),
            cpa_id=self.agreement.cpa_id,
            conversation_id=message_id,
            service=SERVICE,
            action=ACTION,
            message_id=message_id,
            timestamp=self.now,
            duplicate_elimination=agreed.duplicate_elimination is Frequency.ALWAYS,
        )
        header = replace(header, **self.header)
        asked = agreed.ack_requested is Frequency.ALWAYS if self.ack is None else self.ack
        signed = agreed.ack_signature_requested is Frequency.ALWAYS
        root = build_business_message(
            header,
            ack_requested=AckRequested(signed if self.ack_signed is None else self.ack_signed)
            if asked
            else None,
            sync_reply=exchange.is_synchronous if self.sync is None else self.sync,
            content_ids=[part.content_id for part in self.parts],
        )
        return finish(self, root, header)


def finish(draft: Draft, root: etree._Element, header: MessageHeader) -> Made:
    if draft.before is not None:
        draft.before(root)
    if draft.exchange.requires_signature if draft.sign is None else draft.sign:
        digests = [(part.content_id, hashlib.sha256(part.content).digest()) for part in draft.parts]
        sign_envelope(
            root,
            private_key=draft.keys.private_key,
            certificate=draft.keys.certificate,
            payload_digests=digests,
        )
    if draft.after is not None:
        draft.after(root)
    return Made(header, serialize(root), tuple(draft.parts))


def wrap(
    made: Made,
    *,
    parts: Sequence[Part] | None = None,
    plain: bool = False,
    boundary: str | None = "=_border",
    start: str | None = "soap@dso.example",
    root_type: str = "text/xml; charset=UTF-8",
    root_at: int = 0,
    **headers: str,
) -> Request:
    """The request for a message; `parts` are other parts than its own, `root_at` the place of the SOAP part."""
    common = {"SOAPAction": '"ebXML"'}
    if plain:
        return Request(
            common | {"Content-Type": "text/xml; charset=UTF-8"} | _headers(headers), made.envelope
        )
    bodies = [_part(part) for part in (made.parts if parts is None else parts)]
    root = f"Content-Type: {root_type}\r\nContent-ID: <soap@dso.example>\r\n\r\n".encode() + made.envelope
    bodies.insert(root_at, root)
    line = f"--{boundary}".encode()
    body = b"".join(line + b"\r\n" + one + b"\r\n" for one in bodies) + line + b"--\r\n"
    content_type = 'multipart/related; type="text/xml"'
    content_type += f'; boundary="{boundary}"' if boundary is not None else ""
    content_type += f'; start="<{start}>"' if start is not None else ""
    return Request(common | {"Content-Type": content_type} | _headers(headers), body)


def _headers(given: Mapping[str, str]) -> dict[str, str]:
    names = {"soap_action": "SOAPAction", "content_type": "Content-Type"}
    return {names.get(name, name): value for name, value in given.items()}


def _part(part: Part) -> bytes:
    head = (
        f"Content-Type: {part.content_type}\r\nContent-ID: <{part.content_id}>\r\n"
        f"Content-Transfer-Encoding: {part.encoding}\r\n\r\n"
    )
    return head.encode() + part.octets


@dataclass(frozen=True)
class Response:
    """An HTTP answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def fault(self) -> str | None:
        """The code of a SOAP fault, without its prefix."""
        if self.status != 500:
            return None
        return etree.fromstring(self.body).findtext(".//faultcode", "").rpartition(":")[2]


class Judge:
    """The schemas and libxmlsec1: independent of the adapter's own code."""

    def __init__(self, shared: Path | None) -> None:
        self.schema = None
        if shared is not None:
            wanted = {SOAP: "envelope.xsd", EB: "msg-header-2_0.xsd", DS: "xmldsig-core-schema.xsd"}
            folder = shared / "xsd" / "ebms"
            imports = "".join(
                f'<import namespace="{uri}" schemaLocation="{(folder / name).as_uri()}"/>'
                for uri, name in wanted.items()
            )
            schema = f'<schema xmlns="http://www.w3.org/2001/XMLSchema">{imports}</schema>'
            self.schema = etree.XMLSchema(etree.fromstring(schema.encode()))

    def check(self, octets: bytes, signer: KeyPair, payloads: Mapping[str, bytes] | None = None) -> bool:
        """Assert that a message is valid and its signature, if any, holds; whether it is signed.

        `payloads` are the plain ones by Content-ID, each of which the signature must cover.
        """
        root = etree.fromstring(octets)
        if self.schema is not None:
            for entry in (root, *root[0], *root[1]):  # a SOAP header is a lax wildcard: each by itself too
                self.schema.assertValid(copy.deepcopy(entry))
        signatures = root.findall(f"{{{SOAP}}}Header/{{{DS}}}Signature")
        if signatures and payloads:
            by_xmlsec = SignatureJudge()
            signed = Signer(signer.private_key, signer.certificate)
            assert by_xmlsec.verify(octets, signed, dict(payloads))
            assert {uri.removeprefix("cid:") for uri in by_xmlsec.opened} == set(payloads)
            return True
        for signature in signatures:
            context = xmlsec.SignatureContext()
            pem = signer.certificate.public_bytes(Encoding.PEM)
            context.key = xmlsec.Key.from_memory(pem, xmlsec.KeyFormat.CERT_PEM)
            context.verify(signature)
        return bool(signatures)


Reply = int | Callable[[bytes], Awaitable[web.Response]]
"""An HTTP status, or what makes a response of the body of a request."""


@dataclass
class Partner:
    """An endpoint that answers as told, then with 204; keeps what it was sent."""

    answers: list[Reply]
    received: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def handle(self, request: web.Request) -> web.Response:
        body = await request.read()
        answer = self.answers.pop(0) if self.answers else 204
        async with self.changed:
            self.received.append((dict(request.headers), body))
            self.paths.append(request.path)
            self.changed.notify_all()
        if not isinstance(answer, int):
            return await answer(body)
        headers = {"Location": "/elsewhere"} if 300 <= answer < 400 else {}
        return web.Response(status=answer, headers=headers, text="" if answer == 204 else "a page for people")

    async def until(self, number: int) -> None:
        async with asyncio.timeout(PATIENCE), self.changed:
            await self.changed.wait_for(lambda: len(self.received) >= number)


@dataclass(repr=False)  # pytest-asyncio asks for its text at every start and end, and it holds a world
class House:
    """One daemon and the simulated DSO-LV before its door; `keys` are all certificates of the world by name."""

    world: World
    keys: Mapping[str, KeyPair]
    agreements: Mapping[str, Agreement]
    daemon: Daemon
    dso: SimulatedDso
    clock: Clock
    state: Path
    logs: list[Entry]
    db: Database
    _sessions: dict[str | None, aiohttp.ClientSession] = field(default_factory=dict)
    sent_back: list[bytes] = field(default_factory=list)

    @property
    def metrics(self) -> Metrics:
        return self.daemon.metrics

    # --- sending

    def draft(self, name: str = "rms", **changes: Any) -> Draft:
        """A message of DSO-LV to an authority of the world."""
        return Draft(self.agreements[name], self.keys["dso"], now=self.clock(), **changes)

    def signal(
        self, action: str, name: str = "rms", edit: Edit | None = None, *, sign: bool = False, **header: Any
    ) -> Made:
        """An MSH signal of DSO-LV."""
        agreement = self.agreements[name]
        message_id = f"{uuid4()}@dso.example"
        made = MessageHeader(
            sender=Party(agreement.us.ids),
            receiver=Party(agreement.them.ids),
            cpa_id=agreement.cpa_id,
            conversation_id=message_id,
            service=Service(MSH_SERVICE),
            action=action,
            message_id=message_id,
            timestamp=self.clock(),
        )
        made = replace(made, **header)
        draft = Draft(agreement, self.keys["dso"], parts=(), sign=sign, before=edit)
        return finish(draft, build_signal(made), made)

    async def post(
        self,
        request: Request,
        *,
        keys: str | None = "dso",
        path: str = "/ebms",
        method: str = "POST",
        scheme: str = "https",
        body: AsyncIterator[bytes] | None = None,
    ) -> Response:
        """Send a request with a certificate of the world; `body` is sent instead of that of the request."""
        session = self._session(keys)
        url = f"{scheme}://localhost:{self.world.ports.adapter}{path}"
        async with (
            asyncio.timeout(PATIENCE),
            session.request(
                method,
                url,
                headers=request.headers,
                data=body or io.BytesIO(request.body),
                allow_redirects=False,
            ) as response,
        ):
            octets = await response.read()
            if response.status == 200:
                self.sent_back.append(octets)
            return Response(response.status, dict(response.headers), octets)

    async def send(self, made: Made, request: Request | None = None, *, keys: str = "dso") -> Response:
        """Send a message, of which the simulated DSO-LV then knows that it is its own."""
        self.announce(made)
        return await self.post(wrap(made) if request is None else request, keys=keys)

    def announce(self, made: Made) -> None:
        """Make the simulated DSO-LV expect answers about a message."""
        signatures = signatures_of(etree.fromstring(made.envelope))
        self.dso.msh.sent[made.id] = SentMessage(
            made.id,
            made.header.conversation_id,
            made.header.cpa_id,
            OutgoingBody((), 0, ()),
            made.envelope,
            reference_digests(signatures[0][0]) if signatures else (),
            status=None,
        )

    def _session(self, keys: str | None) -> aiohttp.ClientSession:
        if keys not in self._sessions:
            pair = self.keys[keys] if keys is not None else None
            context = client_context(pair, self.world.trust)
            self._sessions[keys] = aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context))
        return self._sessions[keys]

    async def hang_up(self) -> None:
        """Close every connection to the daemon."""
        sessions, self._sessions = list(self._sessions.values()), {}
        for session in sessions:
            await session.close()

    async def submit(self, name: str = "rms", *payloads: bytes, **wishes: Any) -> StoredMessage:
        """Submit a message of an authority to DSO-LV; `types` are the Content-Types of its payloads."""
        authorities = await self.authorities()
        spool = self.spool()
        submitter = Submitter(self.db, spool, lambda: authorities, self.clock)
        types = wishes.pop("types", ["application/xml"] * len(payloads))
        submitted = []
        for octets, content_type in zip(payloads, types, strict=True):
            async with spool.writer() as writer:
                await writer.write(octets)
                submitted.append(SubmittedPayload(await writer.commit(), content_type))
        values: dict[str, Any] = {
            "authority": name,
            "cpa_id": self.agreements[name].cpa_id,
            "service": SERVICE,
            "action": REPLY,
        }
        values["payloads"] = tuple(submitted)
        return await submitter.submit(Submission(**(values | wishes)))

    def spool(self) -> Spool:
        """The spool of the daemon."""
        return open_spool(self.daemon.config)

    async def authorities(self) -> Authorities:
        """The snapshot that the daemon has."""
        config, metrics = self.daemon.config, Metrics()
        keys = load_keys(config)
        registry = Registry(lambda: config, lambda: keys, self.db, metrics, self.clock)
        await registry.refresh()
        return registry.current()

    def pass_time(self, time: timedelta) -> None:
        """Let time pass, and the worker notice."""
        self.clock.shift += time
        self.db.changes.announce()

    # --- what came of it

    async def reload(self, message: StoredMessage) -> StoredMessage:
        """The message as it is now."""
        return await self.db.read(get_message, message.id)

    async def until_state(self, message: StoredMessage, state: MessageState) -> StoredMessage:
        """Wait until a message is in a state."""

        async def so() -> bool:
            return (await self.reload(message)).state is state

        try:
            await self.until(so)
        except TimeoutError:
            raise AssertionError(f"not {state}: {await self.reload(message)}") from None
        return await self.reload(message)

    async def told(self, message: StoredMessage) -> list[EventType]:
        """What an application is told of a message."""
        found = await self.db.read(
            find_message_events, authorities=None, types=None, filters=MessageFilter(), limit=100
        )
        return [event.type for event in found if event.message.id == message.id]

    async def answer(self, made: Made, number: int = 1) -> ReceivedSignal:
        """The `number`-th signal about a message that comes to DSO-LV in a session of its own."""
        await self.dso.msh.wait_for_number(made.id, number, PATIENCE)
        about = [s for s in self.dso.msh.received if s.ref_to_message_id == made.id]
        return about[number - 1]

    async def until(self, condition: Callable[[], Awaitable[bool]]) -> None:
        """Wait until something in the store is so."""
        await until_stored(self.db, condition, PATIENCE)

    async def until_receiving(self) -> None:
        """Wait until the daemon is busy with a request."""
        await looking(lambda: bool(self.metrics.registry.get_sample_value("stam_adapter_receiving")))

    async def count(self, table: str, where: str = "1=1") -> int:
        """Rows of a table of the store."""
        return await self.db.read(_count, table, where)

    async def received(self) -> int:
        """Business messages that were accepted."""
        states = "state in ('received', 'processed') and direction = 'in' and kind = 'business'"
        return await self.count("message", states)

    async def jobs(self) -> list[Job]:
        return list(await self.db.read(find_jobs))

    async def at_rest(self) -> None:
        """Wait until no job is left."""

        async def done() -> bool:
            return not await self.jobs()

        await self.until(done)

    async def deliveries(self) -> int:
        """Deliveries, once nothing is left to do."""
        await self.at_rest()
        return await self.count("delivery")

    def refused(self, reason: str) -> float:
        return self.metrics.registry.get_sample_value("stam_adapter_refused_total", {"reason": reason}) or 0.0

    def lines(self, action: str) -> list[Entry]:
        return [line for line in self.logs if line["action"] == action]

    def spooled(self) -> list[Path]:
        return [path for path in (self.state / "spool").rglob("*") if path.is_file()]

    async def assert_nothing_kept(self) -> None:
        """No message is taken, no payload is kept, nothing is to be done but to send an error."""
        assert await self.received() == 0
        assert await self.count("payload") == 0
        assert {job.kind for job in await self.jobs()} <= {"send"}
        assert self.spooled() == []

    def judge_all(self, judge: Judge) -> None:
        """Everything that the daemon said is valid, and every signature holds."""
        for octets in [signal.envelope for signal in self.dso.msh.received] + self.sent_back:
            judge.check(octets, self._owner(octets))
        for taken in self.dso.msh.taken:
            judge.check(taken.octets, self._owner(taken.octets), self.plain(taken))

    def _owner(self, octets: bytes) -> KeyPair:
        """The keys of the authority that sent a message."""
        cpa_id = envelope_of(octets).header.cpa_id
        name = next(name for name, agreement in self.agreements.items() if agreement.cpa_id == cpa_id)
        return self.keys[OWNERS.get(name, name)]

    def plain(self, taken: TakenMessage) -> dict[str, bytes]:
        """The payloads of a message that came to DSO-LV, decrypted by libxmlsec1 where they are encrypted."""
        dso = self.keys["dso"]
        to = DecryptsFor(dso.private_key, dso.certificate)
        return {
            content_id: judge_decrypts(octets, to) if b"<xenc:EncryptedData" in octets[:200] else octets
            for content_id, octets in taken.payloads.items()
        }


OWNERS = {"neighbour": "rms"}
"""Whose agreement it is, where the name of an agreement is not that of an authority."""


async def looking(condition: Callable[[], bool]) -> None:
    """Wait until something is so that nobody announces."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.001)


def envelope_of(octets: bytes) -> Envelope:
    return read_envelope(octets)


def errors_of(octets: bytes) -> list[tuple[str, str | None]]:
    """Code and location of every error in a MessageError."""
    listed = envelope_of(octets).error_list
    assert listed is not None
    assert envelope_of(octets).signal is SignalAction.MESSAGE_ERROR
    return [(error.code, error.location) for error in listed.errors]


def _count(conn: Connection, table: str, where: str) -> int:
    return int(conn.execute(text(f"select count(*) from {table} where {where}")).scalar_one())


def other_party(oin: str) -> tuple[PartyId, ...]:
    return (PartyId(oin, "urn:osb:oin"),)
