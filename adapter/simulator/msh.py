# SPDX-License-Identifier: EUPL-1.2

"""The message side of the simulated DSO-LV: pings, sends signed messages under a CPA, and judges what comes back.

It shares the codec of the adapter, so it proves that the chain holds together, not that the codec is right: that is
for independent implementations to judge. It keeps everything in memory.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from aiohttp import web
from lxml import etree

from adapter.ebms import (
    Acknowledgment,
    AckRequested,
    ContentTypeProblem,
    Envelope,
    FaultCode,
    MessageHeader,
    MimeProblem,
    OutgoingPayload,
    Party,
    SignalAction,
    SoapFault,
    StatusResponse,
    build_acknowledgment,
    build_business_message,
    build_fault,
    build_signal,
    build_status_response,
    package_message,
    read_envelope,
    reference_digests,
    reply_header,
    serialize,
    sign_envelope,
    signatures_of,
)
from adapter.msh import new_message_id
from adapter.net import HttpClient, NetProblem
from adapter.observe import get_logger
from adapter.pki import KeyPair, TrustStore
from adapter.simulator.faults import Faults
from adapter.simulator.judging import SignalJudge
from adapter.simulator.records import Payload, ReceivedSignal, SentMessage, TakenMessage, unpack
from cpa import Agreement, Exchange, Frequency, PartyInfo, Service
from cpa.names import MSH_SERVICE

log = get_logger(__name__)

_MAX_SIGNAL = 1024 * 1024
_MAX_BODY = 256 * 1024 * 1024
HOST = "dso.example"
"""Host part of the message ids: the domain is reserved, nobody has it."""


@dataclass(slots=True)
class SimulatedMsh:
    """An MSH for one party under any number of agreements (its own view of each, by CPAId)."""

    agreements: Mapping[str, Agreement]
    keys: KeyPair
    trust: TrustStore
    clock: Callable[[], datetime]
    faults: Faults = field(default_factory=Faults)
    allow_plain: bool = False
    sent: dict[str, SentMessage] = field(default_factory=dict)
    received: list[ReceivedSignal] = field(default_factory=list)
    taken: list[TakenMessage] = field(default_factory=list)
    _by_reference: dict[str | None, list[ReceivedSignal]] = field(default_factory=dict)
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    _client: HttpClient | None = None
    _tasks: set[asyncio.Task[SentMessage]] = field(default_factory=set)

    def application(self, path: str = "/ebms") -> web.Application:
        """The endpoint for acknowledgments, errors, pings and pongs; the caller runs it."""
        app = web.Application(client_max_size=_MAX_BODY)
        app.router.add_post(path, self._receive)
        return app

    async def close(self) -> None:
        """Close outgoing connections."""
        if self._client is not None:
            await self._client.close()

    async def use(self, keys: KeyPair) -> None:
        """Connect and sign with other keys from now on."""
        await self.close()
        self._client, self.keys = None, keys

    async def ping(self, cpa_id: str) -> SentMessage:
        """Send a Ping; the Pong comes to the endpoint, or is in `received` on return where the CPA says so."""
        agreement = self.agreements[cpa_id]
        header = self._header(agreement, Service(MSH_SERVICE), SignalAction.PING)
        exchange = agreement.sent_signal(SignalAction.PING)
        return await self._send(cpa_id, header, build_signal(header), (), exchange)

    async def send(
        self,
        cpa_id: str,
        service: Service,
        action: str,
        payloads: Sequence[Payload],
        *,
        conversation_id: str | None = None,
        time_to_live: datetime | None = None,
        is_lost: bool = False,
    ) -> SentMessage:
        """Send a business message as the agreement says: flags, signature, endpoint. Raises LookupError.

        One that is lost is made, and never sent, until `resend` does.
        """
        agreement = self.agreements[cpa_id]
        exchange = agreement.sent(service, action)
        if exchange is None:
            raise LookupError(f"{cpa_id} does not say that we send {action} of {service}")
        header = self._header(agreement, service, action, exchange, conversation_id, time_to_live)
        outgoing = [_outgoing(payload) for payload in payloads]
        root = self._business(header, exchange, outgoing)
        if exchange.requires_signature:
            digests = [
                (o.content_id, hashlib.sha256(p.content).digest())
                for o, p in zip(outgoing, payloads, strict=True)
            ]
            sign_envelope(
                root,
                private_key=self.keys.private_key,
                certificate=self.keys.certificate,
                payload_digests=digests,
            )
        if self.faults.take_break_signature():
            _damage(root)
        sent = await self._send(cpa_id, header, root, outgoing, exchange, is_lost=is_lost)
        if not is_lost and self.faults.take_duplicate_notification():
            await self.resend(sent)
        return sent

    async def resend(self, sent: SentMessage) -> SentMessage:
        """Send the same octets again, as a reliable sender does when no acknowledgment came."""
        agreement = self.agreements[sent.cpa_id]
        header = read_envelope(sent.envelope).header
        exchange = agreement.sent(header.service, header.action) or agreement.sent_signal(header.action)
        return await self._post(sent, exchange)

    async def wait_for(self, ref_to_message_id: str, timeout: float = 30.0) -> ReceivedSignal:  # noqa: ASYNC109
        """The first signal about a message. Raises TimeoutError where none comes in `timeout` seconds."""
        async with asyncio.timeout(timeout), self._changed:
            await self._changed.wait_for(lambda: self._about(ref_to_message_id))
        return self._about(ref_to_message_id)[0]

    async def wait_for_number(self, ref_to_message_id: str, number: int, timeout: float = 30.0) -> None:  # noqa: ASYNC109
        """Wait until so many signals about a message came in."""
        async with asyncio.timeout(timeout), self._changed:
            await self._changed.wait_for(lambda: len(self._about(ref_to_message_id)) >= number)

    def _about(self, ref_to_message_id: str) -> list[ReceivedSignal]:
        return self._by_reference.get(ref_to_message_id, [])

    # --- sending

    def _header(
        self,
        agreement: Agreement,
        service: Service,
        action: str,
        exchange: Exchange | None = None,
        conversation_id: str | None = None,
        time_to_live: datetime | None = None,
    ) -> MessageHeader:
        message_id = new_message_id(HOST)
        eliminate = (
            exchange is not None and exchange.characteristics.duplicate_elimination is not Frequency.NEVER
        )
        return MessageHeader(
            sender=_party(agreement.us, exchange.sender_role if exchange else None),
            receiver=_party(agreement.them, exchange.receiver_role if exchange else None),
            cpa_id=agreement.cpa_id,
            conversation_id=conversation_id or message_id,
            service=service,
            action=action,
            message_id=message_id,
            timestamp=self.clock(),
            time_to_live=time_to_live,
            duplicate_elimination=eliminate,
        )

    def _business(
        self, header: MessageHeader, exchange: Exchange, payloads: Sequence[OutgoingPayload]
    ) -> etree._Element:
        agreed = exchange.characteristics
        asked = None
        if agreed.ack_requested is not Frequency.NEVER:
            asked = AckRequested(signed=agreed.ack_signature_requested is Frequency.ALWAYS)
        return build_business_message(
            header,
            ack_requested=asked,
            sync_reply=exchange.is_synchronous,
            content_ids=[payload.content_id for payload in payloads],
        )

    async def _send(
        self,
        cpa_id: str,
        header: MessageHeader,
        root: etree._Element,
        payloads: Sequence[OutgoingPayload],
        exchange: Exchange,
        *,
        is_lost: bool = False,
    ) -> SentMessage:
        envelope = serialize(root)
        signed = signatures_of(root)
        references = reference_digests(signed[0][0]) if signed else ()
        body = package_message(envelope, payloads)
        prepared = SentMessage(
            header.message_id, header.conversation_id, cpa_id, body, envelope, references, status=None
        )
        self.sent[header.message_id] = prepared
        return prepared if is_lost else await self._post(prepared, exchange)

    async def _post(self, sent: SentMessage, exchange: Exchange) -> SentMessage:
        client = self._connected()
        try:
            async with client.request(
                "POST", exchange.endpoint, headers=dict(sent.body.headers), data=self._octets(sent)
            ) as response:
                answer = await response.read(_MAX_SIGNAL)
                status, retry_after = response.status, response.headers.get("Retry-After")
        except (NetProblem, ConnectionAbortedError) as problem:
            log.info("the adapter did not answer", action="simulator.not_answered", reason=str(problem))
            return sent
        posted = SentMessage(
            sent.message_id,
            sent.conversation_id,
            sent.cpa_id,
            sent.body,
            sent.envelope,
            sent.references,
            status,
            answer,
            retry_after,
        )
        self.sent[sent.message_id] = posted
        if status == 200 and answer:
            await self._note(answer)
        return posted

    async def _octets(self, sent: SentMessage) -> AsyncIterator[bytes]:
        left = sent.body.content_length // 2 if self.faults.take_cut_message() else None
        async for chunk in sent.body.stream():
            if left is not None and len(chunk) > left:
                yield chunk[:left]
                raise ConnectionAbortedError("cut half way, as asked")
            if left is not None:
                left -= len(chunk)
            yield chunk

    def _connected(self) -> HttpClient:
        if self._client is None:
            self._client = HttpClient(self.keys, self.trust, allow_plain=self.allow_plain)
        return self._client

    # --- receiving

    async def _receive(self, request: web.Request) -> web.Response:
        try:
            body = await request.read()
            octets, payloads, types = unpack(body, request.headers.get("Content-Type", ""))
            envelope = read_envelope(octets)
        except (SoapFault, MimeProblem, ContentTypeProblem) as problem:
            log.info("not understood", action="simulator.fault", reason=str(problem))
            fault = SoapFault(FaultCode.CLIENT, "unreadable", "The message cannot be read")
            return web.Response(status=500, body=build_fault(fault), content_type="text/xml")
        agreement = self.agreements.get(envelope.header.cpa_id)
        if agreement is None:
            return web.Response(status=500)
        if envelope.signal is SignalAction.PING:
            is_silent = self.faults.take_silence()
            return web.Response(status=204) if is_silent else await self._pong(agreement, envelope)
        if envelope.signal is SignalAction.STATUS_REQUEST:
            return await self._status(agreement, envelope)
        if envelope.is_business:
            headers = dict(request.headers)
            return await self._take(agreement, TakenMessage(envelope, octets, payloads, types, body, headers))
        if envelope.signal is SignalAction.ACKNOWLEDGMENT and self.faults.take_late_acknowledgment():
            return web.Response(status=503)
        await self._note(octets)
        return web.Response(status=204)

    async def _note(self, octets: bytes) -> None:
        envelope = read_envelope(octets)
        problems = SignalJudge(self.agreements, self.sent).judge(envelope)
        header = envelope.header
        signal = ReceivedSignal(header.action, header.ref_to_message_id, octets, tuple(problems))
        log.info(
            f"{signal.action} received",
            action="simulator.signal",
            ref=signal.ref_to_message_id,
            problems=signal.problems,
        )
        async with self._changed:
            self.received.append(signal)
            self._by_reference.setdefault(signal.ref_to_message_id, []).append(signal)
            self._changed.notify_all()

    async def _pong(self, agreement: Agreement, ping: Envelope) -> web.Response:
        """Answer a Ping: in the response of a synchronous channel, else in a session of its own."""
        header = reply_header(
            ping.header, SignalAction.PONG, message_id=new_message_id(HOST), now=self.clock()
        )
        return self._answer(agreement, ping, header, build_signal(header))

    async def _status(self, agreement: Agreement, request: Envelope) -> web.Response:
        """Say of a message whether we took it; what we took we processed."""
        header = reply_header(
            request.header, SignalAction.STATUS_RESPONSE, message_id=new_message_id(HOST), now=self.clock()
        )
        asked = request.status_request or ""
        known = any(
            taken.envelope.header.message_id == asked
            for taken in self.taken
            if taken.envelope.header.cpa_id == agreement.cpa_id
        )
        response = StatusResponse(
            asked, "Processed" if known else "NotRecognized", self.clock() if known else None
        )
        return self._answer(agreement, request, header, build_status_response(header, response))

    def _answer(
        self, agreement: Agreement, request: Envelope, header: MessageHeader, root: etree._Element
    ) -> web.Response:
        """A signal for a signal: in the response of a synchronous channel, else in a session of its own."""
        if agreement.received_signal(request.header.action).is_synchronous:
            return web.Response(body=serialize(root), content_type="text/xml", charset="UTF-8")
        exchange = agreement.sent_signal(header.action)
        # after the answer to the request, as from any real MSH
        self._later(self._send(agreement.cpa_id, header, root, (), exchange))
        return web.Response(status=204)

    async def _take(self, agreement: Agreement, message: TakenMessage) -> web.Response:
        """Take a business message, and acknowledge it as it asks: signed or not, in the response or apart."""
        self.taken.append(message)
        async with self._changed:
            self._changed.notify_all()
        if message.envelope.ack_requested is None or self.faults.take_silence():
            return web.Response(status=204)
        exchange = agreement.sent_signal(SignalAction.ACKNOWLEDGMENT)
        header = reply_header(
            message.envelope.header,
            SignalAction.ACKNOWLEDGMENT,
            message_id=new_message_id(HOST),
            now=self.clock(),
        )
        root = self._acknowledgment(header, message.envelope)
        if message.envelope.sync_reply:
            return web.Response(body=serialize(root), content_type="text/xml", charset="UTF-8")
        self._later(self._send(agreement.cpa_id, header, root, (), exchange))
        return web.Response(status=204)

    def _acknowledgment(self, header: MessageHeader, envelope: Envelope) -> etree._Element:
        signed = envelope.ack_requested is not None and envelope.ack_requested.signed
        found = signatures_of(envelope.root)
        references = reference_digests(found[0][0]) if signed and found else ()
        root = build_acknowledgment(
            header,
            Acknowledgment(
                self.clock(),
                envelope.header.message_id,
                tuple(etree.fromstring(reference.element) for reference in references),
            ),
        )
        if signed:
            sign_envelope(root, private_key=self.keys.private_key, certificate=self.keys.certificate)
        return root

    async def wait_for_message(self, number: int = 1, timeout: float = 30.0) -> "TakenMessage":  # noqa: ASYNC109
        """The n-th business message that was taken. Raises TimeoutError where it does not come in time."""
        async with asyncio.timeout(timeout), self._changed:
            await self._changed.wait_for(lambda: len(self.taken) >= number)
        return self.taken[number - 1]

    def _later(self, work: Coroutine[object, object, SentMessage]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _outgoing(payload: Payload) -> OutgoingPayload:
    content = payload.content
    return OutgoingPayload(
        content_id=new_message_id(HOST),
        content_type=payload.content_type,
        size=len(content),
        name=payload.name,
        chunks=lambda: [content],
    )


def _party(info: PartyInfo, role: str | None) -> Party:
    return Party(info.ids, role)


def _damage(root: etree._Element) -> None:
    """Change something that was signed."""
    for element in root.iter("{*}ConversationId"):
        element.text = f"{element.text}-damaged"
