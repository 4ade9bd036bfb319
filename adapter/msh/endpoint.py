# SPDX-License-Identifier: EUPL-1.2

"""The HTTP endpoint: one path, POST only, and an HTTP status for everything that can happen to a request.

Who the peer is comes first: before its body is read it must be the partner of one of our agreements (step 2a), and no
certificate of its chain revoked.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from aiohttp import web
from multidict import CIMultiDict
from sqlalchemy.exc import OperationalError

from adapter.ebms import FaultCode, Forbidden, SoapFault
from adapter.msh.answer import FORBIDDEN, UNAVAILABLE, Answer, fault_answer
from adapter.msh.identity import Identifier
from adapter.msh.intake import BodyBroken, BodyTooLarge, BodyTooSlow, Intake, UnsupportedType
from adapter.msh.peer import Peer, admit, check_revocation
from adapter.msh.pressure import Overloaded, Pressure
from adapter.msh.receive import Receiver
from adapter.msh.sign import KeyNotHeld
from adapter.msh.signer import SignerUnknown
from adapter.observe import Reception, bound, get_logger, receiving_step, reception
from adapter.pki import RevocationRefused
from adapter.store import StoreProblem

log = get_logger(__name__)


_ANSWERS: Final[Mapping[type[Exception], Callable[[Any], tuple[Answer, str, str]]]] = {
    # the security log: what was shown, never told to the peer
    Forbidden: lambda problem: (FORBIDDEN, problem.reason, "peer.refused"),
    RevocationRefused: lambda problem: (FORBIDDEN, problem.flaw, "peer.refused"),
    SignerUnknown: lambda problem: (UNAVAILABLE, problem.reason, "request.postponed"),
    SoapFault: lambda problem: (fault_answer(problem), problem.reason, "request.fault"),
    UnsupportedType: lambda _: (Answer(415), "content_type", "request.refused"),
    BodyTooLarge: lambda _: (Answer(413), "too_large", "request.refused"),
    BodyBroken: lambda _: (Answer(400), "body_broken", "request.refused"),
    BodyTooSlow: lambda _: (Answer(408), "too_slow", "request.refused"),
    KeyNotHeld: lambda problem: (UNAVAILABLE, problem.reason, "request.postponed"),
    Overloaded: lambda problem: (UNAVAILABLE, f"overload_{problem.reason}", "request.postponed"),
}
"""What a request is answered with that ends in one of these: the answer, the reason to count, the action to log."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Serves the ebMS endpoint to who `identifier` says may come."""

    receiver: Receiver
    intake: Intake
    path: str
    identifier: Identifier
    pressure: Pressure = field(default_factory=Pressure)

    def application(self) -> web.Application:
        """The aiohttp application: this path, and 404 for every other."""
        app = web.Application()
        app.router.add_route("*", self.path, self.handle)
        app.router.add_route("*", "/{other:.*}", self.not_found)
        return app

    async def not_found(self, request: web.Request) -> web.StreamResponse:
        """Answer a request for any other path."""
        detail = f"{request.method} {request.path[:100]!r}"
        peer = self.identifier.identify(request)
        with bound(peer_address=peer.address):
            if peer.refused is not None:
                return _response(self._forbid(peer.refused, peer))
            return _response(self._refuse(Answer(404), "path", "request.refused", detail, peer))

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one request; whatever happens, with a defined status and one line in the log."""
        metrics = self.receiver.metrics
        peer = self.identifier.identify(request)
        with bound(peer_address=peer.address), metrics.receiving.track_inprogress():
            arrival = Reception()
            before = reception.set(arrival)
            try:
                answer = await self._answer(request, peer)
            finally:
                reception.reset(before)
            arrival.end(status=answer.status)
            return _response(answer)

    async def _answer(self, request: web.Request, peer: Peer) -> Answer:
        if peer.refused is not None:
            return self._forbid(peer.refused, peer)
        if request.method != "POST":
            answer = Answer(405, headers=(("Allow", "POST"),))
            return self._refuse(answer, "method", "request.refused", request.method[:100], peer)
        try:
            with receiving_step("identify"):
                admit(peer, self.receiver.authorities(), test=self.receiver.test)
                await check_revocation(peer, self.receiver.revocation)
            with (
                self.pressure.request(peer.oin or peer.address),
                self.receiver.metrics.receive_seconds.time(),
            ):
                _check_soap_action(request)
                with receiving_step("take_in"):
                    incoming = await self.intake.take(request)
                return await self.receiver.receive(peer, incoming)
        except tuple(_ANSWERS) as problem:
            answer, reason, action = next(
                make(problem) for kind, make in _ANSWERS.items() if isinstance(problem, kind)
            )
            return self._refuse(answer, reason, action, getattr(problem, "detail", str(problem)), peer)
        except (StoreProblem, OperationalError, OSError) as problem:
            log.exception("the message cannot be stored now", action="request.not_stored")
            return self._refuse(UNAVAILABLE, "store", "request.postponed", type(problem).__name__, peer)
        except asyncio.CancelledError:
            log.info("the peer went away", action="request.cancelled", peer=str(peer))
            raise
        except Exception:
            # nothing may escape without an answer: the partner gets a temporary failure and comes again
            log.exception("an unexpected error; please report it", action="request.failed")
            self.receiver.metrics.unexpected_errors_total.labels(kind="receive").inc()
            return self._refuse(UNAVAILABLE, "unexpected", "request.postponed", "see the line before", peer)

    def _forbid(self, problem: Forbidden, peer: Peer) -> Answer:
        return self._refuse(FORBIDDEN, problem.reason, "peer.refused", str(problem), peer)

    def _refuse(self, answer: Answer, reason: str, action: str, detail: str, peer: Peer) -> Answer:
        self.receiver.metrics.refused_total.labels(reason=reason).inc()
        log.warning(
            f"request answered with HTTP {answer.status}",
            action=action,
            reason=reason,
            detail=detail,
            status=answer.status,
            peer=str(peer),
        )
        return answer


def _check_soap_action(request: web.Request) -> None:
    value = request.headers.get("SOAPAction", "")
    if value.strip() not in {'"ebXML"', "ebXML"}:
        raise SoapFault(
            FaultCode.CLIENT,
            "soap_action",
            "The SOAPAction is not ebXML",
            f"the SOAPAction is {value[:100]!r}",
        )


def _response(answer: Answer) -> web.Response:
    headers = CIMultiDict(answer.headers)
    if answer.content_type is not None:
        headers["Content-Type"] = answer.content_type
    # no banner: the peer need not know what it talks to
    headers["Server"] = "ebms"
    return web.Response(status=answer.status, body=answer.body or None, headers=headers)
