# SPDX-License-Identifier: EUPL-1.2

"""A mail server and a receiver of webhooks, which refuse what real ones refuse."""

import asyncio
import base64
import hashlib
import hmac
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any, cast

from aiohttp import web
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

USER, PASSWORD = "stam-adapter", "geheim-wachtwoord"
SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()


@dataclass
class MailServer:
    """Takes mail; `refuse` is what it answers to the octets of one, `strangers` whom it does not take mail for."""

    port: int = 0
    refuse: str = ""
    strangers: frozenset[str] = frozenset()
    mails: list[EmailMessage] = field(default_factory=list)
    recipients: list[list[str]] = field(default_factory=list)

    async def handle_RCPT(  # noqa: N802 - the name that the library calls
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if address in self.strangers:
            return "550 no such user here"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(  # noqa: N802
        self, _server: SMTP, _session: Session, envelope: Envelope
    ) -> str:
        if self.refuse:
            return self.refuse
        mail = message_from_bytes(cast("bytes", envelope.content), policy=default)
        self.mails.append(cast("EmailMessage", mail))
        self.recipients.append(envelope.rcpt_tos)
        return "250 taken"


def _authenticate(
    _server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, given: Any
) -> AuthResult:
    right = LoginPassword(USER.encode(), PASSWORD.encode())
    return AuthResult(success=given == right, handled=False)


@asynccontextmanager
async def mail_server(
    *, starttls: ssl.SSLContext | None = None, tls: ssl.SSLContext | None = None, login: bool = False
) -> AsyncIterator[MailServer]:
    """A mail server on loopback; with `login` it takes nothing from strangers, nor a password in the clear."""
    state = MailServer()
    loop = asyncio.get_running_loop()
    sessions: list[SMTP] = []

    def protocol() -> SMTP:
        session = SMTP(
            state,
            loop=loop,
            hostname="mail.example",
            tls_context=starttls,
            require_starttls=starttls is not None,
            auth_required=login,
            auth_require_tls=tls is None,
            authenticator=_authenticate if login else None,
        )
        sessions.append(session)
        return session

    server = await loop.create_server(protocol, "127.0.0.1", 0, ssl=tls)
    state.port = server.sockets[0].getsockname()[1]
    try:
        yield state
    finally:
        server.close()
        for session in sessions:
            if session.transport is not None:
                session.transport.abort()
        await asyncio.sleep(0)  # the loop lets go of what was aborted


@dataclass
class WebhookReceiver:
    """Takes what is posted, and only where its signature holds; `status` is what it answers."""

    url: str = ""
    status: int = 200
    posted: list[Any] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.Response:
        if request.method != "POST":
            return web.Response(status=405)
        body = await request.read()
        if not verify(request.headers, body):
            return web.Response(status=401)
        if self.status == 200:
            self.posted.append(await request.json())
            self.ids.append(request.headers["webhook-id"])
        return web.Response(status=self.status, headers={"Location": "http://elsewhere.example/"})


def verify(headers: Any, body: bytes) -> bool:
    """As the receiver does it who has the secret (standardwebhooks.com)."""
    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    return hmac.compare_digest(headers["webhook-signature"], expected)


@asynccontextmanager
async def webhook_receiver(context: ssl.SSLContext | None = None) -> AsyncIterator[WebhookReceiver]:
    state = WebhookReceiver()
    app = web.Application()
    app.router.add_route("*", "/hooks/secret-path", state.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    scheme = "http" if context is None else "https"
    state.url = f"{scheme}://localhost:{runner.addresses[0][1]}/hooks/secret-path"
    try:
        yield state
    finally:
        await runner.cleanup()
